//! The device's console, UART0, as records on the same time axis as the line.
//!
//! We only listen. A console is a courtesy: when it cannot be had, or goes away, the capture of the
//! line goes on, and says so.

use std::cell::RefCell;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::Tap;
use crate::bus::Bus;
use crate::clock::Timestamp;
use crate::endpoint::{Connector, Received};
use crate::error::Result;
use crate::record::{Body, Direction, Origin, Record, Span};

/// A longer line comes in pieces.
const LONGEST: usize = 4096;
/// What has no line end after so long, such as a prompt, is shown as it is.
const UNFINISHED: Duration = Duration::from_millis(300);
/// The tap id of console records.
const TAP: u16 = 1;

/// Listens to `connector` for ever; fails only with what the user has to mend.
pub async fn run(tap: &Tap, connector: &dyn Connector, bus: &RefCell<Bus>) -> Result<()> {
    connector.prepare().await?;
    for connection in 1.. {
        let mut link = connector.connect().await?;
        tap.events.note(format!("console at {}", link.about.endpoint));
        let mut lines = Lines::new(connection);
        let how = loop {
            let deadline = lines.deadline().unwrap_or(Instant::now() + Duration::from_secs(3600));
            match tokio::time::timeout_at(deadline, link.rx.receive()).await {
                Err(_) => lines.end(),
                Ok(received) => match received? {
                    Received::Bytes(bytes) => lines.push(tap.clock.now(), &bytes),
                    Received::Records(_) => {} // a console is never shared
                    Received::End(how) => break how,
                },
            }
            lines.publish(bus);
        };
        lines.end();
        lines.publish(bus);
        tap.events.warn(format!("the console at {} went away: {how}", link.about.endpoint));
        if !connector.is_persistent() {
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}

/// Cuts a stream into lines.
struct Lines {
    origin: Origin,
    pending: BytesMut,
    first: Timestamp,
    last: Timestamp,
    arrived: Instant,
    records: Vec<Record>,
}

impl Lines {
    fn new(connection: u32) -> Self {
        let origin = Origin { tap: TAP, connection, direction: Direction::FromDevice };
        let (first, last) = Default::default();
        let (pending, arrived, records) = (BytesMut::new(), Instant::now(), Vec::new());
        Lines { origin, pending, first, last, arrived, records }
    }

    fn push(&mut self, now: Timestamp, bytes: &Bytes) {
        for byte in bytes {
            if self.pending.is_empty() {
                self.first = now;
            }
            (self.last, self.arrived) = (now, Instant::now());
            match byte {
                b'\n' => self.end_line(),
                byte => self.pending.extend_from_slice(&[*byte]),
            }
            if self.pending.len() >= LONGEST {
                self.end_line();
            }
        }
    }

    /// When an unfinished line is shown.
    fn deadline(&self) -> Option<Instant> {
        (!self.pending.is_empty()).then(|| self.arrived + UNFINISHED)
    }

    /// The line ends here, whether it says so or not.
    fn end(&mut self) {
        if !self.pending.is_empty() {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        let line = self.pending.split().freeze();
        let length = line.len() - usize::from(line.last() == Some(&b'\r'));
        let line = line.slice(..length);
        if line.is_empty() {
            return;
        }
        let time = Some(Span { first: self.first, last: self.last });
        let body = Body::Console(line);
        self.records.push(Record { time, origin: self.origin, offset: None, body });
    }

    fn publish(&mut self, bus: &RefCell<Bus>) {
        if !self.records.is_empty() {
            bus.borrow_mut().publish(&mut self.records);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(1);
        for piece in pieces {
            lines.push(Timestamp(5), &Bytes::copy_from_slice(piece));
        }
        lines.end();
        let text = |record: Record| match record.body {
            Body::Console(line) => line.to_vec(),
            body => panic!("{body:?}"),
        };
        lines.records.into_iter().map(text).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn lines_end_with_lf_or_cr_lf_however_they_are_cut() {
        let expected = [&b"I (1) boot"[..], b"> "];
        assert_eq!(lines_of(&[b"I (1) boot\r\n\r\n> "]), expected);
        assert_eq!(lines_of(&[b"I (1)", b" boot\r", b"\n\n", b"> "]), expected);
        assert_eq!(lines_of(&[&[b'x'; 10_000]]).len(), 3);
    }
}
