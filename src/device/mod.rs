//! The reference device: what a tunnel's firmware does, in this process.
//!
//! Theory of operation. Bytes from the host take their time on the `uart`; the driver's
//! `receiver` makes frames of them; `frame_faults` may spoil them; `neighbours` speaks Ethernet
//! and ARP; the `stack` speaks IPv4, ICMP, UDP and TCP; `services` answer. The way back is the
//! same. All of it is told the time and never asks; [`Device::run`] is the only part that waits.
//!
//! With the same seed, and the same bytes at the same times, the device sends the same bytes at the
//! same times.

mod answers;
mod counters;
pub mod faults;
mod frame_faults;
mod mends;
pub mod model;
mod neighbours;
mod packet;
mod receiver;
mod services;
mod stack;
mod uart;
mod web;

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::{Clock, Timestamp};
use crate::endpoint::{Link, Received};
use crate::error::Result;
use counters::Counters;
use faults::{Fault, Faults};
use frame_faults::FrameFaults;
use mends::Mends;
use model::{Model, Overrun, Policy};
use neighbours::{Neighbours, Taken};
use packet::Flow;
use receiver::{Flush, Receiver};
use services::Services;
use stack::Stack;
use uart::Uart;
use web::Web;

/// The driver's tag in the console.
const TAG: &str = "netif_uart_tunnel";

/// Which device.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The model, with what the user changed of it.
    pub model: Model,
    /// What is wrong with it.
    pub faults: Faults,
    /// Decides what chance decides.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { model: model::ALL[0], faults: Faults::none(), seed: 1 }
    }
}

impl Settings {
    /// The model as the faults change it.
    fn effective_model(&self) -> Model {
        let mut model = self.model;
        if self.faults.has(Fault::Max1500) {
            model.max_frame = model.max_frame.min(1500);
        }
        if self.faults.has(Fault::BodyDiscard) {
            model.policy = Policy::Discard;
        }
        if self.faults.has(Fault::Paced) {
            model.line_rate = Some(115_200);
        }
        if self.faults.has(Fault::BurstLost) {
            (model.buffer, model.overrun, model.line_rate) = (2048, Overrun::Drop, None);
        }
        model
    }
}

/// A running device.
pub struct Device {
    clock: Clock,
    settings: Settings,
    uart: Uart,
    receiver: Receiver,
    frames: FrameFaults,
    mends: Mends,
    neighbours: Neighbours,
    stack: Stack,
    services: Services,
    counters: Counters,
    max_frame: usize,
    is_dead: bool,
    console: Option<mpsc::Sender<String>>,
    started: Timestamp,
}

impl Device {
    /// Switches a device on. Must run inside the event loop.
    pub fn new(settings: Settings, clock: Clock) -> Self {
        let model = settings.effective_model();
        let now = clock.now();
        let neighbours = Neighbours::new(settings.faults);
        let gateway = std::net::Ipv4Addr::new(192, 168, 100, 1);
        let mut stack = Stack::new(now, neighbours.own_ip(), gateway, settings.seed);
        let names: Vec<_> = faults::ALL
            .iter()
            .filter(|info| settings.faults.has(info.fault))
            .map(|info| info.name)
            .collect();
        let description = json!({
            "device": "uarttool reference device",
            "model": model.name,
            "max_frame": model.max_frame,
            "line_rate": model.line_rate,
            "faults": names,
        });
        let web = Web::new(description, settings.faults.has(Fault::NotFoundIsOk));
        let services = Services::new(&mut stack, web, settings.faults);
        let mut device = Device {
            uart: Uart::new(&model),
            receiver: Receiver::new(model, settings.faults),
            frames: FrameFaults::new(settings.faults, settings.seed),
            mends: Mends::default(),
            neighbours,
            stack,
            services,
            counters: Counters { boots: 1, ..Counters::default() },
            max_frame: model.max_frame,
            is_dead: false,
            console: None,
            started: now,
            settings,
            clock,
        };
        let announcement = device.neighbours.announcement();
        device.transmit(now, announcement);
        device
    }

    /// Sends the lines of the device's console to `console`, from its boot on; what there is no room
    /// for is lost.
    pub fn attach_console(&mut self, console: mpsc::Sender<String>) {
        self.console = Some(console);
        let name = self.settings.model.name;
        self.log(self.started, 'I', "boot", &format!("uarttool reference device, model {name}"));
        self.log(self.started, 'I', "main", "ready");
    }

    /// A line in ESP-IDF's manner: level, milliseconds since boot, tag, text.
    fn log(&self, now: Timestamp, level: char, tag: &str, text: &str) {
        if let Some(console) = &self.console {
            let ms = now.since(self.started).as_millis();
            let _ = console.try_send(format!("{level} ({ms}) {tag}: {text}")); // or it is lost
        }
    }

    /// The device dies: nothing is heard of it any more but this.
    fn die(&mut self, now: Timestamp) {
        if !std::mem::replace(&mut self.is_dead, true)
            && let Some(console) = &self.console
        {
            let text = "Guru Meditation Error: Core  0 panic'ed (LoadProhibited).";
            let _ = console.try_send(text.to_owned());
        }
        self.log(now, 'E', "main", "halted");
    }

    /// Lives with `link` until that ends; says how it did. Without a link, forever: what the device
    /// sends is lost then.
    pub async fn run(&mut self, mut link: Option<&mut Link>) -> Result<String> {
        loop {
            let now = self.clock.now();
            self.advance(now);
            while let Some(bytes) = self.uart.output(now) {
                self.counters.tx_bytes += bytes.len() as u64;
                if let Some(link) = &mut link
                    && let Err(error) = link.tx.send_raw(&bytes).await
                {
                    return Ok(self.disconnected(error.chain()));
                }
            }
            let deadline = self.deadline(now);
            let has_window = self.uart.has_window();
            tokio::select! {
                biased;
                () = poll_fn(|cx| {
                    self.services.poll(cx, now, &mut self.stack, &mut self.counters)
                }) => {}
                received = receive(&mut link), if has_window => match received? {
                    Received::Bytes(bytes) => self.input(bytes),
                    Received::Records(_) => {} // hosts speak in bytes
                    Received::End(how) => return Ok(self.disconnected(how)),
                },
                () = until(deadline, now) => {}
            }
        }
    }

    /// A UART does not notice that nobody listens any more.
    fn disconnected(&mut self, how: String) -> String {
        self.receiver.disconnected();
        how
    }

    /// Bytes from the host.
    fn input(&mut self, bytes: Bytes) {
        self.counters.rx_bytes += bytes.len() as u64;
        self.counters.overruns += self.uart.send(self.clock.now(), bytes) as u64;
    }

    /// Everything that happens up to `now`.
    fn advance(&mut self, now: Timestamp) {
        loop {
            let gives_up = self.receiver.deadline().filter(|at| *at <= now);
            let limit = gives_up.unwrap_or(now);
            if let Some((arrived, bytes)) = self.uart.receive(limit, self.receiver.wanted()) {
                self.driver_reads(arrived, &bytes);
            } else if gives_up.is_some() {
                let given_up = (self.counters.header_timeouts, self.counters.body_timeouts);
                self.receiver.give_up(&mut self.counters);
                if given_up != (self.counters.header_timeouts, self.counters.body_timeouts) {
                    self.log(limit, 'W', TAG, "Failed to read complete frame");
                }
            } else {
                break;
            }
        }
        let heard = |flow: &Flow| self.frames.heard(flow);
        self.counters.tcp_expired += self.services.expire(now, &mut self.stack, &heard);
        while let Some(frame) = self.frames.resend(now) {
            self.put_on_line(now, frame, Duration::ZERO);
        }
        self.poll_stack(now);
    }

    fn driver_reads(&mut self, arrived: Timestamp, bytes: &[u8]) {
        let mut flush = Flush::Nothing;
        let bad = self.counters.bad_length;
        let frame = self.receiver.push(arrived, bytes, &mut self.counters, &mut flush);
        self.counters.flushed += match flush {
            Flush::Nothing => 0,
            Flush::Arrived => self.uart.flush(arrived) as u64,
            Flush::Everything => self.uart.flush(Timestamp(u64::MAX)) as u64,
        };
        if self.counters.bad_length > bad {
            self.log(arrived, 'W', TAG, "Invalid frame length");
        }
        if let Some(frame) = frame.filter(|_| !self.is_dead) {
            self.frame_arrives(arrived, frame);
        }
    }

    fn frame_arrives(&mut self, now: Timestamp, frame: Vec<u8>) {
        self.counters.rx_frames += 1;
        if frame.len() < 14 {
            self.counters.short_frames += 1;
            return;
        }
        if self.settings.faults.has(Fault::RxAlias) {
            self.services.overwrite(now, &frame);
        }
        let (stack, counters) = (&self.stack, &mut self.counters);
        let life = |flow: &Flow| stack.has_connection(flow);
        let received = self.frames.received(now, frame, &life, counters);
        if received.death {
            self.die(now);
        }
        for frame in received.deliver {
            self.deliver(now, &frame);
        }
        for frame in received.answer {
            self.transmit(now, frame);
        }
    }

    fn deliver(&mut self, now: Timestamp, frame: &[u8]) {
        match self.neighbours.receive(frame, &mut self.counters) {
            Taken::Ignored => {}
            Taken::Death => self.die(now),
            Taken::Frames(frames) => {
                for frame in frames {
                    self.transmit(now, frame);
                }
            }
            Taken::Packet(packet) => {
                self.counters.ip_received += 1;
                self.mends.received(&packet, &mut self.counters);
                self.stack.receive(packet);
                self.poll_stack(now);
            }
        }
    }

    fn poll_stack(&mut self, now: Timestamp) {
        let packets = self.stack.poll(now, self.uart.has_room());
        for packet in packets {
            let packet = self.mends.sent(packet, &mut self.counters);
            self.counters.ip_sent += 1;
            if let Some(frame) = self.neighbours.send(now, packet, &mut self.counters) {
                self.transmit(now, frame);
            }
        }
    }

    /// Sends a frame, as far as the faults let it.
    fn transmit(&mut self, now: Timestamp, frame: Vec<u8>) {
        if self.is_dead {
            return;
        }
        for (frame, delay) in self.frames.sent(now, frame, &mut self.counters) {
            self.put_on_line(now, frame, delay);
        }
    }

    fn put_on_line(&mut self, now: Timestamp, frame: Vec<u8>, delay: Duration) {
        if frame.len() > self.max_frame {
            return; // the driver refuses what it would not take
        }
        self.counters.tx_frames += 1;
        let mut bytes = (frame.len() as u16).to_be_bytes().to_vec();
        bytes.extend(frame);
        self.uart.transmit(now, now + delay, bytes.into());
    }

    /// When something happens by itself.
    fn deadline(&mut self, now: Timestamp) -> Option<Timestamp> {
        let stack = match self.uart.has_room() {
            true => self.stack.poll_at(now),
            false => None, // the next output makes room
        };
        [
            self.uart.arrival(self.receiver.wanted()),
            self.receiver.deadline(),
            self.uart.next_output(),
            self.frames.deadline(),
            self.services.deadline(now),
            stack,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

async fn receive(link: &mut Option<&mut Link>) -> Result<Received> {
    match link {
        Some(link) => link.rx.receive().await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Timestamp>, now: Timestamp) {
    match deadline {
        // Timers tick in milliseconds: short waits are rounded up, deadlines are absolute.
        Some(at) => tokio::time::sleep_until(Instant::now() + at.since(now)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
