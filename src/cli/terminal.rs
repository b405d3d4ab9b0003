//! What people read while a command runs: events on stderr, one a line.

use std::io::Write;

use crate::event::{Event, Events};

/// A sink that prints every event to stderr.
pub fn events() -> Events {
    Events::new(|event| say(&event))
}

/// A sink that prints what is news beside the output itself: link changes after the first
/// connection stand in the output in their place in time.
pub fn events_beside_lines() -> Events {
    let connected = std::sync::atomic::AtomicBool::new(false);
    Events::new(move |event| match event {
        Event::Connected { .. } => {
            if !connected.swap(true, std::sync::atomic::Ordering::Relaxed) {
                say(&event);
            }
        }
        Event::Lost { .. } => {}
        _ => say(&event),
    })
}

/// One line on stderr. Nothing is to be done if nobody reads it.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", crate::escape::lines(text));
}

/// Replaces the last line on stderr, which is a terminal; nothing clears it.
pub fn overwrite(text: &str) {
    let text: String = text.chars().take(width().saturating_sub(1)).collect();
    let _ = write!(std::io::stderr(), "\r\x1b[K{}", crate::escape::lines(&text));
}

/// The same for news from a running tap: if nobody reads stderr and it is full, the news is dropped
/// rather than the line held up.
fn say(event: &Event) {
    use rustix::event::{PollFd, PollFlags, poll};
    let stderr = std::io::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    let now = rustix::event::Timespec::default();
    if poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0) {
        tell(&event.to_string());
    }
}

/// A number of bytes as people read it: `24.1 KiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `1 frame`, `2 frames`.
pub fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The width of the terminal on stderr in columns; 80 where it does not tell.
pub fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(24_679), "24.1 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(count(1, "frame"), "1 frame");
        assert_eq!(count(0, "frame"), "0 frames");
    }
}
