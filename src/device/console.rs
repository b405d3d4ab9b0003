//! What the device says on its console, in ESP-IDF's manner.

use tokio::sync::mpsc;

use crate::clock::Timestamp;

/// Where log lines go, and when the device has started.
#[derive(Debug)]
pub struct Console {
    lines: Option<mpsc::Sender<String>>,
    started: Timestamp,
}

impl Console {
    /// Nobody reads it yet.
    pub fn new(started: Timestamp) -> Self {
        Console { lines: None, started }
    }

    /// Sends lines to `lines` from now on, and first what is said at boot. What there is no room for
    /// is lost.
    pub fn attach(&mut self, lines: mpsc::Sender<String>, boot: &str) {
        self.lines = Some(lines);
        self.log(self.started, 'I', "boot", boot);
        self.log(self.started, 'I', "main", "ready");
    }

    /// A line: level, milliseconds since boot, tag, text.
    pub fn log(&self, now: Timestamp, level: char, tag: &str, text: &str) {
        let ms = now.since(self.started).as_millis();
        self.say(format!("{level} ({ms}) {tag}: {text}"));
    }

    /// A line as it is.
    pub fn say(&self, line: String) {
        if let Some(lines) = &self.lines {
            let _ = lines.try_send(line); // or it is lost
        }
    }
}
