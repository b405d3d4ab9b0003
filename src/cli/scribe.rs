//! News on stderr from a command that carries a line, and so must not wait for whoever reads them.
//!
//! A thread of its own writes, behind a bounded queue: when nobody reads (a pipe that is full, a terminal
//! that was stopped with Ctrl-S), what does not fit is left out, and the next line that gets through says how
//! much that was. On a terminal the last line may live: it is replaced again and again, and makes way for
//! what is told.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::terminal;
use crate::error::{Error, Result};

/// Lines that wait to be written.
const ROOM: usize = 256;
/// How long the end of a command waits for its last lines to be taken.
const FAREWELL: Duration = Duration::from_millis(500);
/// Clears the line on which the cursor is.
const CLEAR: &str = "\r\x1b[K";

/// Writes lines to stderr and holds nobody up; clones write to the same.
#[derive(Clone, Debug)]
pub struct Scribe {
    orders: SyncSender<Order>,
    left_out: Arc<AtomicU64>,
    /// A living line waits to be written; another would be in vain.
    has_living: Arc<AtomicBool>,
    can_live: bool,
}

#[derive(Debug)]
enum Order {
    Line(String),
    Living(String),
    /// Everything in front of this was written.
    Tell(SyncSender<()>),
}

impl Scribe {
    /// One for stderr.
    pub fn start() -> Result<Scribe> {
        let stderr = std::io::stderr();
        let out = stderr.as_fd().try_clone_to_owned().map_err(|error| {
            Error::environment("cannot use stderr a second time").caused_by(error)
        })?;
        let kind = std::env::var("TERM").unwrap_or_default();
        let can_live = stderr.is_terminal() && !matches!(kind.as_str(), "" | "dumb");
        Ok(Scribe::on(File::from(out), can_live))
    }

    fn on(out: impl Write + Send + 'static, can_live: bool) -> Scribe {
        let (orders, coming) = sync_channel(ROOM);
        let scribe =
            Scribe { orders, left_out: Arc::default(), has_living: Arc::default(), can_live };
        let has_living = scribe.has_living.clone();
        thread::spawn(move || write_all(&coming, out, &has_living));
        scribe
    }

    /// Whether there can be a living line.
    pub fn can_live(&self) -> bool {
        self.can_live
    }

    /// One line.
    pub fn tell(&self, text: &str) {
        let line = crate::escape::lines(text);
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        let line = match left_out {
            0 => line,
            n => format!("({n} lines were left out here, since nobody took them)\n{line}"),
        };
        if self.orders.try_send(Order::Line(line)).is_err() {
            self.left_out.fetch_add(left_out + 1, Ordering::Relaxed);
        }
    }

    /// Replaces the line that lives, or begins one.
    pub fn live(&self, text: &str) {
        if !self.can_live || self.has_living.swap(true, Ordering::Relaxed) {
            return;
        }
        let text: String = text.chars().take(terminal::width().saturating_sub(1)).collect();
        let line = crate::escape::lines(&text);
        if self.orders.try_send(Order::Living(line)).is_err() {
            self.has_living.store(false, Ordering::Relaxed);
        }
    }

    /// Waits until everything was written, but not for long.
    pub fn finish(&self) {
        let deadline = Instant::now() + FAREWELL;
        let (sender, written) = sync_channel(1);
        while Instant::now() < deadline {
            if self.orders.try_send(Order::Tell(sender.clone())).is_ok() {
                let _ = written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn write_all(orders: &Receiver<Order>, mut out: impl Write, has_living: &AtomicBool) {
    let mut lives = false;
    for order in orders {
        // A failure is not to be mended: nobody reads.
        match order {
            Order::Line(line) => {
                let clear = if lives { CLEAR } else { "" };
                let _ = out.write_all(format!("{clear}{line}\n").as_bytes());
                lives = false;
            }
            Order::Living(line) => {
                has_living.store(false, Ordering::Relaxed);
                let _ = out.write_all(format!("{CLEAR}{line}").as_bytes());
                lives = true;
            }
            Order::Tell(sender) => {
                if std::mem::take(&mut lives) {
                    let _ = out.write_all(CLEAR.as_bytes());
                }
                let _ = sender.send(()); // whoever asked has waited long enough
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// What was written, when the scribe is gone.
    fn written(can_live: bool, tell: impl Fn(&Scribe)) -> String {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        tell(&Scribe::on(writer, can_live));
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        text
    }

    #[test]
    fn a_line_that_lives_makes_way_and_is_gone_in_the_end() {
        let story = |scribe: &Scribe| {
            scribe.tell("one");
            scribe.live("1 B/s");
            scribe.tell("two");
            scribe.finish();
            scribe.live("2 B/s");
            scribe.finish();
        };
        assert_eq!(written(true, story), "one\n\r\x1b[K1 B/s\r\x1b[Ktwo\n\r\x1b[K2 B/s\r\x1b[K");
        assert_eq!(written(false, story), "one\ntwo\n");
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_was_left_out_is_told() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let scribe = Scribe::on(writer, true);
        let started = Instant::now();
        let line = "x".repeat(1000);
        (0..10_000).for_each(|_| scribe.tell(&line));
        scribe.live("1 B/s");
        scribe.finish();
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        let reading = thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        scribe.finish();
        scribe.tell("the end");
        drop(scribe);
        let text = reading.join().expect("it read").expect("text");
        let told = text.lines().filter(|told| **told == line).count();
        let left_out = 10_000 - told;
        assert!((200..1000).contains(&told), "{told}");
        // A line that got through in between says how many were missing until then.
        let numbers = text.lines().filter_map(|line| {
            line.strip_prefix('(')?.split_once(" lines were left out here")?.0.parse::<usize>().ok()
        });
        assert_eq!(numbers.sum::<usize>(), left_out, "{told}");
        assert!(text.contains("the end"));
    }
}
