//! What a replay tells: how far it is, and in the end what was done and what came back.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::ReplayArgs;
use super::drive::{self, Place};
use super::hints;
use crate::cli::scribe::Scribe;
use crate::cli::sink::Totals;
use crate::cli::terminal::count;
use crate::replay::expect::Judge;
use crate::replay::lateness::Lateness;
use crate::replay::offload::Fault;
use crate::replay::schedule::{Schedule, Speed};
use crate::replay::session::Mark;
use crate::replay::source::{Ends, Why};

/// How often progress is shown.
const OFTEN: Duration = Duration::from_millis(250);
/// Columns of the longest bar.
const BAR: u64 = 40;
/// Where the bars of the histogram begin, in microseconds.
const STEPS: [u64; 7] = [0, 10, 100, 1000, 10_000, 100_000, 1_000_000];

/// How far a replay is, on a terminal.
pub(super) struct Progress {
    scribe: Scribe,
    is_quiet: bool,
    began: Instant,
    shown: Instant,
}

impl Progress {
    pub(super) fn new(scribe: &Scribe, is_quiet: bool) -> Progress {
        let now = Instant::now();
        Progress { scribe: scribe.clone(), is_quiet, began: now, shown: now }
    }

    pub(super) fn show(&mut self, name: &str, share: f64, sent: u64) {
        if self.is_quiet || !self.scribe.can_live() || self.shown.elapsed() < OFTEN {
            return;
        }
        self.shown = Instant::now();
        let done = count(sent, "frame");
        let text = match share {
            0.01..1.0 => {
                let left = self.began.elapsed().mul_f64((1.0 - share) / share);
                format!("{name}: {done} sent, {:.0} %, {} left", share * 100.0, clock(left))
            }
            _ => format!("{name}: {done} sent"),
        };
        self.scribe.live(&text);
    }

    pub(super) fn tell(&self, text: &str) {
        self.scribe.tell(text);
    }

    pub(super) fn clear(&mut self) {
        self.is_quiet = true;
    }
}

/// `1:05`, `2:00:00`.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// A short time: `8 us`, `1.20 ms`, `3.1 s`.
fn short(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..0.95 => format!("{} ns", time.as_nanos()),
        ..1000.0 => format!("{micros:.0} us"),
        ..1e6 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.3} s", micros / 1e6),
    }
}

/// A number of bytes as it is on lines: `64.0 kB`.
fn bytes(n: u64) -> String {
    match n {
        ..1000 => format!("{n} B"),
        1000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

/// What there is to tell in the end.
pub(super) struct Told<'a> {
    pub(super) args: &'a ReplayArgs,
    pub(super) totals: &'a drive::Totals,
    pub(super) schedule: &'a Schedule,
    pub(super) judge: Option<&'a Judge>,
    /// What the capture of what happened lacks.
    pub(super) lacks: &'a str,
}

/// What a capture that was written lacks, a line each.
pub(super) fn lacks(written: &Totals) -> String {
    let dropped = count(written.dropped, "record");
    let dropped = (written.dropped > 0).then(|| {
        format!(
            "{dropped} missing in the capture that '-w' has written: it was slower than the line"
        )
    });
    let lines = [dropped, written.left_out_summary(), written.kept_summary()];
    lines.into_iter().flatten().map(|line| line + "\n").collect()
}

impl Told<'_> {
    /// All of it.
    pub(super) fn text(&self, is_cut_short: bool, ends: &Ends) -> String {
        let mut text = String::new();
        if let Some(judge) = self.judge {
            text.push_str(&judge.differences());
            text.push_str(&judge.remarks());
        }
        if !self.args.is_silent() {
            text.push_str(&self.sum());
            if !self.args.is_quiet() {
                text.push_str(&histogram(&self.totals.lateness));
            }
        }
        text.push_str(&self.unfit());
        text.push_str(&self.disturbed());
        text.push_str(&self.faults());
        if !self.args.is_silent() {
            text.push_str(&self.waits(ends));
        }
        if let Some(judge) = self.judge {
            let _ = writeln!(text, "{}", judge.sum());
        }
        text.push_str(self.lacks);
        if is_cut_short {
            text.push_str(&self.stopped());
        }
        text
    }

    fn sum(&self) -> String {
        let drive::Totals { sent, bytes: size, time, lateness, .. } = self.totals;
        let seconds = time.as_secs_f64();
        let mut text =
            format!("sent {}, {} in {seconds:.3} s", count(*sent, "frame"), bytes(*size));
        if lateness.frames() > 0 {
            let _ = writeln!(
                text,
                "; lateness p50 {}, p99 {}, most {}; drift at the end {}",
                short(lateness.percentile(0.5)),
                short(lateness.percentile(0.99)),
                short(lateness.most()),
                short(lateness.last())
            );
        } else if seconds > 0.0 {
            let rate = *sent as f64 / seconds;
            let _ =
                writeln!(text, "; {rate:.0} frames/s, {:.1} Mbit/s", *size as f64 * 8e-6 / seconds);
        } else {
            text.push('\n');
        }
        text
    }

    /// What could not be sent.
    fn unfit(&self) -> String {
        let mut text = String::new();
        for (why, (n, numbers)) in &self.totals.unfit {
            let what = match why {
                Why::FramingError => count(*n, "framing error"),
                _ => count(*n, "frame"),
            };
            let _ = writeln!(text, "not sent: {what}, {} ({})", reason(*why), listed(*n, numbers));
        }
        text
    }

    /// What was the matter with checksums.
    fn faults(&self) -> String {
        let mut text = String::new();
        for (fault, (n, numbers)) in &self.totals.faults {
            let _ = match fault {
                Fault::LeftToCard if self.args.is_silent() => Ok(()),
                Fault::LeftToCard => {
                    let sums = count(*n, "checksum");
                    writeln!(
                        text,
                        "{sums} left to a network card filled in ({})",
                        listed(*n, numbers)
                    )
                }
                Fault::Wrong => {
                    let frames = count(*n, "frame");
                    let numbers = listed(*n, numbers);
                    writeln!(text, "{frames} sent with a wrong checksum, as recorded ({numbers})")
                }
            };
        }
        text
    }

    /// What came that is no answer.
    fn disturbed(&self) -> String {
        let drive::Totals { errors, lost, .. } = self.totals;
        let mut text = String::new();
        if *errors > 0 {
            let _ = writeln!(
                text,
                "{} came: bytes that make no frame",
                count(*errors, "framing error")
            );
        }
        if *lost > 0 {
            let lost = count(*lost, "record");
            let _ = writeln!(
                text,
                "{lost} lost on the way here: we were too slow, and answers may seem to be missing"
            );
        }
        text
    }

    /// What was waited for, and in vain.
    fn waits(&self, ends: &Ends) -> String {
        let mut text = String::new();
        let drive::Totals { held: (n, time), given_up, late, heard, timeless, first, .. } =
            self.totals;
        if *n > 0 {
            let _ = write!(text, "waited {} for answers, {} in all", times(*n), short(*time));
            let late = (*late).min(*given_up);
            if late > 0 {
                let _ = write!(text, "; {} they came late, behind '--timeout'", times(late));
            }
            if *given_up > late {
                let _ = write!(text, "; {} they did not come", times(given_up - late));
            }
            text.push('\n');
        }
        if self.schedule.shortened() > 0 {
            let _ = writeln!(text, "{} shortened", count(self.schedule.shortened(), "gap"));
        }
        if *timeless > 0 && matches!(self.args.speed(), Speed::Recorded(_)) {
            let _ = writeln!(
                text,
                "{} without a time went right behind the one in front; '-p' sets a rate",
                count(*timeless, "frame")
            );
        }
        text.push_str(&self.untranslated());
        let first = first.as_ref().filter(|_| *heard == 0 && self.args.sends_to_device());
        text.push_str(&first.map(|frame| hints::silence(frame, ends)).unwrap_or_default());
        text
    }

    /// TCP that went with numbers that are not today's.
    fn untranslated(&self) -> String {
        let why = match self.totals.untranslated {
            0 => return String::new(),
            _ if self.args.is_waiting() => "no beginning of their connection was answered",
            _ => "'--no-wait' does not listen",
        };
        let segments = count(self.totals.untranslated, "TCP segment");
        format!("{segments} sent with the recorded acknowledgment, which is not today's: {why}\n")
    }

    /// Where it stopped.
    fn stopped(&self) -> String {
        let drive::Totals { last: Place { number, round }, unsure, .. } = *self.totals;
        if self.totals.is_complete {
            return "interrupted while the last answers were waited for\n".to_owned();
        }
        if number == 0 {
            return "interrupted before anything was sent\n".to_owned();
        }
        let round = match self.args.is_looped() {
            true => format!(" in round {}", round + 1),
            false => String::new(),
        };
        let next = Mark { number: number + 1, sent: self.totals.sent };
        let mut text = format!("interrupted behind frame {number} of the capture{round}");
        let from = self.totals.open.map_or(next, |(first, _)| first);
        if let Some((Mark { number, .. }, open)) = self.totals.open {
            let _ = match open {
                1 => write!(text, ", in a TCP connection that began with frame {number}"),
                n => {
                    write!(text, ", in {n} TCP connections that began with frame {number} or later")
                }
            };
        }
        let options = self.args.rest(from, self.totals.last.round);
        let _ = writeln!(text, "; go on with '{options}'");
        if unsure > 0 {
            let frames = count(unsure as u64, "frame");
            let _ = writeln!(
                text,
                "up to {frames} behind it may have gone: the last write was cut short"
            );
        }
        text
    }
}

/// The first numbers of so many frames.
fn listed(n: u64, numbers: &[u64]) -> String {
    let more = if n > numbers.len() as u64 { " ..." } else { "" };
    let numbers = numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    format!("frame {numbers}{more}")
}

fn times(n: u64) -> String {
    match n {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    }
}

fn reason(why: Why) -> String {
    match why {
        Why::TooLong => "longer than the line carries: '--max-frame' raises the limit".to_owned(),
        Why::Cut => "of which the capture kept only the beginning".to_owned(),
        Why::Link(link) => format!("of link type {link}, which has no Ethernet frames"),
        Why::NoPacket => "without a packet behind the header".to_owned(),
        Why::Empty => "of no bytes".to_owned(),
        Why::NoIp => "without an IP packet, and the line carries nothing else".to_owned(),
        Why::FramingError => "bytes that make no frame".to_owned(),
        Why::Gap => "that the capture lacks".to_owned(),
    }
}

/// How many frames went how late, if there are enough to see something.
fn histogram(lateness: &Lateness) -> String {
    let mut text = String::new();
    if lateness.frames() < 10 {
        return text;
    }
    let ends = STEPS.iter().skip(1).copied().chain([u64::MAX / 1000]);
    let counted: Vec<_> = STEPS
        .iter()
        .zip(ends)
        .map(|(from, to)| {
            let (from, to) = (Duration::from_micros(*from), Duration::from_micros(to));
            (from, to, lateness.between(from, to))
        })
        .collect();
    let most = counted.iter().map(|(.., n)| *n).max().unwrap_or_default().max(1);
    for (from, to, n) in counted.into_iter().filter(|(.., n)| *n > 0) {
        let label = match (from.is_zero(), to.as_secs() > 1000) {
            (true, _) => format!("under {}", unit(to)),
            (_, true) => format!("{} and more", unit(from)),
            _ => format!("{} to {}", unit(from), unit(to)),
        };
        let bar = "#".repeat((n * BAR).div_ceil(most) as usize);
        let _ = writeln!(text, "  {label:<17} {bar:<40} {n}");
    }
    text
}

/// A power of ten of microseconds.
fn unit(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        ..1000 => format!("{micros} us"),
        1000..1_000_000 => format!("{} ms", micros / 1000),
        _ => format!("{} s", micros / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        assert_eq!(short(Duration::from_nanos(8_400)), "8 us");
        assert_eq!(short(Duration::from_nanos(300)), "300 ns");
        assert_eq!(short(Duration::from_micros(1204)), "1.20 ms");
        assert_eq!(short(Duration::from_millis(3100)), "3.100 s");
        assert_eq!((bytes(64_000), bytes(12)), ("64.0 kB".to_owned(), "12 B".to_owned()));
        assert_eq!(clock(Duration::from_secs(65)), "1:05");
        assert_eq!(clock(Duration::from_secs(7200)), "2:00:00");
    }

    #[test]
    fn a_histogram_has_a_bar_for_each_power_of_ten() {
        let mut lateness = Lateness::default();
        (0..90).for_each(|_| lateness.count(Duration::from_micros(5)));
        (0..9).for_each(|_| lateness.count(Duration::from_micros(70)));
        lateness.count(Duration::from_secs(5));
        insta::assert_snapshot!(histogram(&lateness), @r"
          under 10 us       ######################################## 90
          10 us to 100 us   ####                                     9
          1 s and more      #                                        1
        ");
        assert_eq!(histogram(&Lateness::default()), "");
    }
}
