//! SIGINT, SIGTERM and SIGHUP become the word to stop; a second one ends the process at once. SIGHUP
//! stays ignored where it was when we started, as under nohup.
//!
//! A command that passes signals on to a program hears of SIGQUIT, SIGUSR1 and SIGUSR2, too, which would
//! end it otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal as Number;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::error::{Category, Error, Result};
use crate::stop::Stopper;

/// Whether a signal has asked us to stop.
#[derive(Clone, Debug, Default)]
pub struct Interrupted(Arc<AtomicBool>);

impl Interrupted {
    /// Whether it has.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Listens for signals from now on, on a thread of its own: whatever the others are stuck in, a second
/// signal ends the process.
pub fn watch(stopper: Stopper) -> Result<Interrupted> {
    let interrupted = Interrupted::default();
    let flag = interrupted.0.clone();
    let (runtime, signals) = listen()?;
    std::thread::spawn(move || runtime.block_on(obey(signals, &flag, &stopper)));
    Ok(interrupted)
}

/// The signals that ask for the end.
struct Signals {
    int: Signal,
    term: Signal,
    hup: Option<Signal>,
}

impl Signals {
    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.int.recv() => SIGINT,
            _ = self.term.recv() => SIGTERM,
            Some(_) = async { self.hup.as_mut()?.recv().await } => SIGHUP as i32,
        }
    }
}

/// Listens from now on; the runtime is for the thread that waits.
fn listen() -> Result<(Runtime, Signals)> {
    let cannot = |error| Error::environment("cannot listen for signals").caused_by(error);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(cannot)?;
    let guard = runtime.enter();
    let int = signal(SignalKind::interrupt()).map_err(cannot)?;
    let term = signal(SignalKind::terminate()).map_err(cannot)?;
    let hup = match is_ignored(SIGHUP) {
        true => None,
        false => Some(signal(SignalKind::hangup()).map_err(cannot)?),
    };
    drop(guard);
    Ok((runtime, Signals { int, term, hup }))
}

async fn obey(mut signals: Signals, flag: &AtomicBool, stopper: &Stopper) {
    loop {
        signals.next().await;
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(Category::Interrupted.exit_code().into());
        }
        stopper.stop();
    }
}

/// Signals as they come, by their numbers, for a command that passes them on. When so many wait that
/// whoever takes them must be stuck, the next ends the process at once.
pub fn arrivals() -> Result<mpsc::Receiver<i32>> {
    let (sender, receiver) = mpsc::channel(3);
    let (runtime, mut signals) = listen()?;
    let mut others = Others::listen(&runtime)?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let number = tokio::select! {
                    number = signals.next() => number,
                    number = others.next() => number,
                };
                let is_message = matches!(number, SIGUSR1 | SIGUSR2);
                match sender.try_send(number) {
                    Err(TrySendError::Full(_)) if !is_message => {
                        std::process::exit(Category::Interrupted.exit_code().into());
                    }
                    _ => {} // of messages that nobody takes one more does not matter
                }
            }
        });
    });
    Ok(receiver)
}

/// The signals that only mean something to a program.
struct Others {
    quit: Signal,
    user_1: Signal,
    user_2: Signal,
}

impl Others {
    fn listen(runtime: &Runtime) -> Result<Others> {
        let _guard = runtime.enter();
        let open = |kind| {
            signal(kind)
                .map_err(|error| Error::environment("cannot listen for signals").caused_by(error))
        };
        Ok(Others {
            quit: open(SignalKind::quit())?,
            user_1: open(SignalKind::user_defined1())?,
            user_2: open(SignalKind::user_defined2())?,
        })
    }

    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.quit.recv() => SIGQUIT,
            _ = self.user_1.recv() => SIGUSR1,
            _ = self.user_2.recv() => SIGUSR2,
        }
    }
}

/// The number of SIGHUP.
pub const SIGHUP: u32 = 1;
/// The number of SIGINT.
pub const SIGINT: i32 = 2;
/// The number of SIGQUIT.
pub const SIGQUIT: i32 = 3;
/// The number of SIGTERM.
pub const SIGTERM: i32 = 15;
/// The number of SIGUSR1.
pub const SIGUSR1: i32 = Number::USR1.as_raw();
/// The number of SIGUSR2.
pub const SIGUSR2: i32 = Number::USR2.as_raw();

/// Whether a signal is ignored; where the system does not tell, it is not.
pub fn is_ignored(signal: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 << (signal - 1) != 0)
}
