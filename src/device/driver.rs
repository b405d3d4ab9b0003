//! The driver: frames out of what comes on the line, and frames onto it.

use std::time::Duration;

use bytes::Bytes;

use super::Settings;
use super::console::Console;
use super::counters::Counters;
use super::faults::{Fault, Faults};
use super::receiver::{Flush, Receiver};
use super::uart::Uart;
use crate::clock::Timestamp;

/// The driver's tag in the console.
const TAG: &str = "netif_uart_tunnel";

/// The line and the driver's two halves.
#[derive(Debug)]
pub struct Driver {
    uart: Uart,
    receiver: Receiver,
    max_frame: usize,
    faults: Faults,
}

impl Driver {
    /// The driver of a device that was just switched on.
    pub fn new(settings: &Settings) -> Self {
        let model = settings.effective_model();
        Driver {
            uart: Uart::new(&model),
            receiver: Receiver::new(model, settings.faults),
            max_frame: model.max_frame,
            faults: settings.faults,
        }
    }

    /// Bytes from the host, at `now`.
    pub fn input(&mut self, now: Timestamp, bytes: Bytes, counters: &mut Counters) {
        counters.rx_bytes += bytes.len() as u64;
        counters.overruns += self.uart.send(now, bytes) as u64;
    }

    /// The next frame that is complete by `now`, and when it was. To be called until there is none.
    pub fn hear(
        &mut self,
        now: Timestamp,
        counters: &mut Counters,
        console: &Console,
    ) -> Option<(Timestamp, Vec<u8>)> {
        loop {
            let gives_up = self.receiver.deadline().filter(|at| *at <= now);
            let limit = gives_up.unwrap_or(now);
            if let Some((arrived, bytes)) = self.uart.receive(limit, self.receiver.wanted()) {
                if let Some(frame) = self.read(arrived, &bytes, counters, console) {
                    counters.rx_frames += 1;
                    return Some((arrived, frame));
                }
            } else {
                self.give_up(gives_up?, counters, console);
            }
        }
    }

    fn read(
        &mut self,
        arrived: Timestamp,
        bytes: &[u8],
        counters: &mut Counters,
        console: &Console,
    ) -> Option<Vec<u8>> {
        let mut flush = Flush::Nothing;
        let bad = counters.bad_length;
        let frame = self.receiver.push(arrived, bytes, counters, &mut flush);
        counters.flushed += match flush {
            Flush::Nothing => 0,
            Flush::Arrived => self.uart.flush(arrived) as u64,
            Flush::Everything => self.uart.flush(Timestamp(u64::MAX)) as u64,
        };
        if counters.bad_length > bad {
            console.log(arrived, 'W', TAG, "Invalid frame length");
        }
        frame
    }

    fn give_up(&mut self, at: Timestamp, counters: &mut Counters, console: &Console) {
        let before = (counters.header_timeouts, counters.body_timeouts);
        self.receiver.give_up(counters);
        if before != (counters.header_timeouts, counters.body_timeouts) {
            console.log(at, 'W', TAG, "Failed to read complete frame");
        }
    }

    /// Puts a frame on the line, not before `delay` has passed.
    pub fn put_on_line(
        &mut self,
        now: Timestamp,
        frame: &[u8],
        delay: Duration,
        counters: &mut Counters,
    ) {
        if frame.len() > self.max_frame {
            return; // the driver refuses what it would not take
        }
        counters.tx_frames += 1;
        let mut bytes = (frame.len() as u16).to_be_bytes().to_vec();
        bytes.extend_from_slice(frame);
        if self.faults.has(Fault::StallTears) && self.uart.is_busy() {
            bytes.truncate(2 + frame.len() / 2);
        }
        self.uart.transmit(now, now + delay, bytes.into());
    }

    /// Writes bytes that are no frame.
    pub fn write(&mut self, now: Timestamp, bytes: &'static [u8]) {
        self.uart.transmit(now, now, Bytes::from_static(bytes));
    }

    /// The next piece of what was sent that is on the host's side by `now`.
    pub fn output(&mut self, now: Timestamp, counters: &mut Counters) -> Option<Bytes> {
        let bytes = self.uart.output(now)?;
        counters.tx_bytes += bytes.len() as u64;
        Some(bytes)
    }

    /// Whether the host may send more.
    pub fn has_window(&self) -> bool {
        self.uart.has_window()
    }

    /// Whether the transmit buffer has room.
    pub fn has_room(&self) -> bool {
        self.uart.has_room()
    }

    /// When something happens by itself.
    pub fn deadline(&self) -> Option<Timestamp> {
        let arrival = self.uart.arrival(self.receiver.wanted());
        [arrival, self.receiver.deadline(), self.uart.next_output()].into_iter().flatten().min()
    }

    /// The host has gone away. A UART does not notice.
    pub fn disconnected(&mut self) {
        self.receiver.disconnected();
    }
}
