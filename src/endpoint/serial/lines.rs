//! DTR and RTS, and what they do to a board.
//!
//! The usual circuit of ESP boards has two transistors between these lines and the chip: EN (reset) is low
//! while RTS is on and DTR is off, IO0 (which program to boot) is low while DTR is on and RTS is off.
//! With both on, or both off, the chip runs. Since each line is moved on its own, the order decides which of
//! the two is pulled for a moment on the way. Sequences are data here, so that they can be looked at
//! without a board.

use std::fmt;
use std::io;
use std::time::Duration;

/// Two lines that can be moved.
pub trait Lines {
    /// Turns DTR on or off.
    fn set_dtr(&self, is_on: bool) -> io::Result<()>;
    /// Turns RTS on or off.
    fn set_rts(&self, is_on: bool) -> io::Result<()>;
}

/// One step of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// DTR on or off.
    Dtr(bool),
    /// RTS on or off.
    Rts(bool),
    /// Nothing for so long.
    Wait(Duration),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = |is_on: bool| if is_on { "on" } else { "off" };
        match self {
            Step::Dtr(is_on) => write!(f, "DTR {}", state(*is_on)),
            Step::Rts(is_on) => write!(f, "RTS {}", state(*is_on)),
            Step::Wait(time) => write!(f, "{} ms", time.as_millis()),
        }
    }
}

/// How long EN is held low: longer than the capacitor at it takes to discharge.
const HOLD: Duration = Duration::from_millis(100);
/// How long IO0 is held low behind the reset: until the chip has looked at it.
const STRAP: Duration = Duration::from_millis(50);

/// EN low and high again, IO0 high all the time: the program in the flash boots.
pub const RESET: &[Step] = &[Step::Dtr(false), Step::Rts(true), Step::Wait(HOLD), Step::Rts(false)];

/// The same with IO0 low when the chip looks at it: it waits for a download. For a moment both lines are on,
/// which lets go of EN before IO0 is low; EN rises slowly through its capacitor, and IO0 is there first.
pub const BOOTLOADER: &[Step] = &[
    Step::Dtr(false),
    Step::Rts(true),
    Step::Wait(HOLD),
    Step::Dtr(true),
    Step::Rts(false),
    Step::Wait(STRAP),
    Step::Dtr(false),
];

/// The steps that bring the lines where `dtr` and `rts` want them, from where opening has left them (both
/// on), with no reset on the way unless it is what they ask for.
pub fn after_opening(dtr: Option<bool>, rts: Option<bool>) -> Vec<Step> {
    // RTS first: RTS on without DTR would be a reset.
    let steps = [rts.map(Step::Rts), dtr.map(Step::Dtr)];
    steps.into_iter().flatten().collect()
}

/// Does `steps` one after the other.
pub async fn play(lines: &impl Lines, steps: &[Step]) -> io::Result<()> {
    for step in steps {
        match step {
            Step::Dtr(is_on) => lines.set_dtr(*is_on)?,
            Step::Rts(is_on) => lines.set_rts(*is_on)?,
            Step::Wait(time) => tokio::time::sleep(*time).await,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// The circuit, and a chip that remembers how it was started. EN rises so slowly that a move of the
    /// lines that comes at once is quicker.
    #[derive(Default)]
    struct Board {
        state: RefCell<(bool, bool)>,
        is_rising: RefCell<bool>,
        seen: RefCell<Vec<&'static str>>,
    }

    impl Board {
        fn opened() -> Board {
            Board { state: RefCell::new((true, true)), ..Board::default() }
        }

        fn moved(&self, dtr: bool, rts: bool) -> io::Result<()> {
            let was_reset = self.is_reset();
            *self.state.borrow_mut() = (dtr, rts);
            self.rise();
            match (was_reset, self.is_reset()) {
                (true, false) => *self.is_rising.borrow_mut() = true,
                (false, true) => self.seen.borrow_mut().push("reset"),
                _ => {}
            }
            Ok(())
        }

        /// EN is high, if it was on its way there.
        fn rise(&self) {
            if self.is_rising.replace(false) {
                let is_download = *self.state.borrow() == (true, false);
                self.seen.borrow_mut().push(if is_download { "download" } else { "boot" });
            }
        }

        fn is_reset(&self) -> bool {
            let (dtr, rts) = *self.state.borrow();
            rts && !dtr
        }
    }

    impl Lines for Board {
        fn set_dtr(&self, is_on: bool) -> io::Result<()> {
            let rts = self.state.borrow().1;
            self.moved(is_on, rts)
        }

        fn set_rts(&self, is_on: bool) -> io::Result<()> {
            let dtr = self.state.borrow().0;
            self.moved(dtr, is_on)
        }
    }

    async fn played(steps: &[Step]) -> (Vec<&'static str>, (bool, bool)) {
        let board = Board::opened();
        play(&board, steps).await.expect("a board has lines");
        board.rise();
        (board.seen.take(), board.state.take())
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_boots_the_program_and_the_other_one_the_loader() {
        let start = tokio::time::Instant::now();
        assert_eq!(played(RESET).await, (vec!["reset", "boot"], (false, false)));
        assert!(start.elapsed() >= HOLD);
        assert_eq!(played(BOOTLOADER).await, (vec!["reset", "download"], (false, false)));
    }

    #[tokio::test(start_paused = true)]
    async fn setting_the_lines_resets_nothing_unless_that_is_what_was_asked() {
        for (dtr, rts) in [
            (None, None),
            (Some(true), Some(true)),
            (Some(false), Some(false)),
            (Some(true), Some(false)),
            (None, Some(false)),
        ] {
            let (seen, _) = played(&after_opening(dtr, rts)).await;
            assert!(seen.is_empty(), "{dtr:?} {rts:?}: {seen:?}");
        }
        let (seen, _) = played(&after_opening(Some(false), Some(true))).await;
        assert_eq!(seen, ["reset"], "held");
    }

    #[test]
    fn a_sequence_reads_as_what_it_does() {
        let text: Vec<_> = RESET.iter().map(Step::to_string).collect();
        assert_eq!(text.join(", "), "DTR off, RTS on, 100 ms, RTS off");
    }
}
