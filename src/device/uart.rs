//! The line between host and device: bytes take their time, and buffers are finite.
//!
//! Times are absolute and accumulate in nanoseconds, so that a million bytes are as late as they
//! should be and no more.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::model::{Model, Overrun};
use crate::clock::Timestamp;

/// Bytes that the host may have on their way before it has to wait.
const WINDOW: usize = 4096;

/// Both directions of the line.
#[derive(Debug)]
pub struct Uart {
    byte_time: Duration,
    buffer: usize,
    overrun: Overrun,
    /// Bytes on their way to the device: when the first of each piece began.
    incoming: VecDeque<(Timestamp, Bytes)>,
    incoming_bytes: usize,
    incoming_free: Timestamp,
    /// What the device sends: when the last byte of each piece is on the host's side.
    outgoing: VecDeque<(Timestamp, Bytes)>,
    outgoing_bytes: usize,
    outgoing_free: Timestamp,
}

impl Uart {
    /// A silent line.
    pub fn new(model: &Model) -> Self {
        Uart {
            byte_time: model.byte_time(),
            buffer: model.buffer,
            overrun: model.overrun,
            incoming: VecDeque::new(),
            incoming_bytes: 0,
            incoming_free: Timestamp::default(),
            outgoing: VecDeque::new(),
            outgoing_bytes: 0,
            outgoing_free: Timestamp::default(),
        }
    }

    fn times(&self, bytes: usize) -> Duration {
        let nanos = self.byte_time.as_nanos() as u64;
        Duration::from_nanos(nanos.saturating_mul(bytes as u64))
    }

    /// Whether the host may send more.
    pub fn has_window(&self) -> bool {
        self.incoming_bytes < WINDOW
    }

    /// The host sends `bytes` at `now`; how many of them were lost because the buffer was full. On a
    /// paced line the device reads as fast as they come; without pacing a burst is there at once.
    pub fn send(&mut self, now: Timestamp, mut bytes: Bytes) -> usize {
        let mut lost = 0;
        if self.overrun == Overrun::Drop && self.byte_time.is_zero() {
            let room = self.buffer.saturating_sub(self.incoming_bytes);
            lost = bytes.len().saturating_sub(room);
            bytes.truncate(room);
        }
        if bytes.is_empty() {
            return lost;
        }
        let start = self.incoming_free.max(now);
        self.incoming_free = start + self.times(bytes.len());
        self.incoming_bytes += bytes.len();
        self.incoming.push_back((start, bytes));
        lost
    }

    /// When the next bytes, `wanted` or as many as are on their way, will have arrived.
    pub fn arrival(&self, wanted: usize) -> Option<Timestamp> {
        let (start, bytes) = self.incoming.front()?;
        Some(*start + self.times(bytes.len().min(wanted)))
    }

    /// Takes at most `wanted` bytes that have arrived by `now`, and when the last of them did.
    pub fn receive(&mut self, now: Timestamp, wanted: usize) -> Option<(Timestamp, Bytes)> {
        let byte_time = self.byte_time.as_nanos() as u64;
        let (start, bytes) = self.incoming.front_mut()?;
        let there = match byte_time {
            0 => bytes.len(),
            nanos => (now.since(*start).as_nanos() as u64 / nanos) as usize,
        };
        let n = there.min(wanted).min(bytes.len());
        if n == 0 {
            return None;
        }
        let piece = bytes.split_to(n);
        *start = *start + Duration::from_nanos(byte_time.saturating_mul(n as u64));
        let arrived = if byte_time == 0 { now } else { *start };
        if bytes.is_empty() {
            self.incoming.pop_front();
        }
        self.incoming_bytes -= n;
        Some((arrived, piece))
    }

    /// Throws away what has arrived by `now`; how many bytes.
    pub fn flush(&mut self, now: Timestamp) -> usize {
        let mut flushed = 0;
        while let Some((_, bytes)) = self.receive(now, usize::MAX) {
            flushed += bytes.remaining();
        }
        flushed
    }

    /// The device sends `bytes` at `now`, not before `earliest`.
    pub fn transmit(&mut self, now: Timestamp, earliest: Timestamp, bytes: Bytes) {
        let start = self.outgoing_free.max(now).max(earliest);
        self.outgoing_free = start + self.times(bytes.len());
        self.outgoing_bytes += bytes.len();
        self.outgoing.push_back((self.outgoing_free, bytes));
    }

    /// Whether more than a frame waits to be sent.
    pub fn is_busy(&self) -> bool {
        self.outgoing_bytes > WINDOW / 2
    }

    /// Whether the device's transmit buffer has room.
    pub fn has_room(&self) -> bool {
        self.outgoing_bytes < WINDOW
    }

    /// When the next piece is on the host's side.
    pub fn next_output(&self) -> Option<Timestamp> {
        self.outgoing.front().map(|(due, _)| *due)
    }

    /// The next piece, if it is on the host's side.
    pub fn output(&mut self, now: Timestamp) -> Option<Bytes> {
        self.outgoing.front().filter(|(due, _)| *due <= now)?;
        let (_, bytes) = self.outgoing.pop_front()?;
        self.outgoing_bytes -= bytes.len();
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uart(line_rate: Option<u32>, overrun: Overrun) -> Uart {
        let model = Model { line_rate, overrun, buffer: 2048, ..super::super::model::ALL[0] };
        Uart::new(&model)
    }

    #[test]
    fn bytes_take_their_time_and_rounding_does_not_add_up() {
        let mut uart = uart(Some(115_200), Overrun::Hold);
        let byte = 10_000_000_000 / 115_200;
        for _ in 0..1000 {
            assert_eq!(uart.send(Timestamp(0), Bytes::from_static(&[1])), 0);
        }
        assert_eq!(uart.arrival(1), Some(Timestamp(byte)));
        assert_eq!(uart.receive(Timestamp(byte - 1), 9), None);
        assert!(uart.receive(Timestamp(byte), 9).is_some());
        let mut last = Timestamp(0);
        while let Some((arrived, _)) = uart.receive(Timestamp(u64::MAX / 4), 9) {
            last = arrived;
        }
        assert_eq!(last, Timestamp(1000 * byte));
    }

    #[test]
    fn a_burst_without_pacing_overruns_the_buffer_or_waits() {
        let burst = Bytes::from(vec![7; 5000]);
        assert_eq!(uart(None, Overrun::Drop).send(Timestamp(5), burst.clone()), 5000 - 2048);
        let mut held = uart(None, Overrun::Hold);
        assert_eq!(held.send(Timestamp(5), burst.clone()), 0);
        assert!(!held.has_window());
        assert_eq!(held.flush(Timestamp(5)), 5000);
        assert!(held.has_window());
    }

    #[test]
    fn sending_is_paced_as_well() {
        let mut uart = uart(Some(921_600), Overrun::Hold);
        let byte = 10_000_000_000 / 921_600;
        uart.transmit(Timestamp(0), Timestamp(0), Bytes::from(vec![1; 100]));
        uart.transmit(Timestamp(0), Timestamp(0), Bytes::from(vec![2; 100]));
        assert_eq!(uart.next_output(), Some(Timestamp(100 * byte)));
        assert_eq!(uart.output(Timestamp(100 * byte - 1)), None);
        assert!(uart.output(Timestamp(100 * byte)).is_some());
        assert_eq!(uart.next_output(), Some(Timestamp(200 * byte)));
    }
}
