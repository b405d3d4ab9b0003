//! The reference device: what a tunnel's firmware does, in this process.
//!
//! Theory of operation. Bytes from the host take their time on the `uart`; the `driver` with its
//! `receiver` makes frames of them; `frame_faults` may spoil them; `neighbours` speaks Ethernet
//! and ARP; `reassembly` puts fragments together; the `stack` speaks IPv4, ICMP, UDP and TCP; `services` answer. The way back is the
//! same. All of it is told the time and never asks; [`Device::run`] is the only part that waits.
//!
//! [`Front`] is the line and the driver alone, in front of a stack that is not ours.
//!
//! With the same seed, and the same bytes at the same times, the device sends the same bytes at the
//! same times.

mod answers;
mod console;
mod counters;
mod datagram_faults;
mod driver;
pub mod faults;
mod flow_faults;
mod frame_faults;
mod front;
mod mends;
pub mod model;
mod neighbours;
mod own_faults;
mod pace_faults;
mod packet;
mod reassembly;
mod receiver;
mod segment_faults;
mod services;
mod stack;
mod uart;
mod wear_faults;
mod web;
mod web_faults;

use std::future::poll_fn;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::{Clock, Timestamp};
use crate::endpoint::{Link, Received};
use crate::error::Result;
use crate::proto::ethernet;
use console::Console;
use counters::Counters;
use driver::Driver;
use faults::{Fault, Faults};
use flow_faults::FlowFaults;
use frame_faults::FrameFaults;
pub use front::Front;
use mends::Mends;
use model::{Model, Overrun, Policy};
use neighbours::{Neighbours, Taken};
use own_faults::{Fate, OwnFaults};
use pace_faults::PaceFaults;
use packet::Flow;
use reassembly::{Joined, Reassembly};
use segment_faults::SegmentFaults;
use services::Services;
use stack::Stack;
use wear_faults::{Wear, WearFaults};
use web::Web;

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
    driver: Driver,
    frames: FrameFaults,
    flow_faults: FlowFaults,
    mends: Mends,
    own_faults: OwnFaults,
    pace_faults: PaceFaults,
    segment_faults: SegmentFaults,
    neighbours: Neighbours,
    reassembly: Reassembly,
    stack: Stack,
    services: Services,
    counters: Counters,
    wear: WearFaults,
    is_dead: bool,
    console: Console,
}

impl Device {
    /// Switches a device on. Must run inside the event loop.
    pub fn new(settings: Settings, clock: Clock) -> Self {
        let model = settings.effective_model();
        let now = clock.now();
        let neighbours = Neighbours::new(settings.faults);
        let gateway = std::net::Ipv4Addr::new(192, 168, 100, 1);
        let mtu = model.max_frame.saturating_sub(ethernet::HEADER);
        let mut stack = Stack::new(now, neighbours.own_ip(), gateway, mtu, settings.seed);
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
        let web = Web::new(description, settings.faults);
        let services = Services::new(&mut stack, web, settings.faults);
        let mut device = Device {
            driver: Driver::new(&settings),
            frames: FrameFaults::new(settings.faults, settings.seed),
            flow_faults: FlowFaults::new(settings.faults),
            mends: Mends::default(),
            own_faults: OwnFaults::new(settings.faults),
            pace_faults: PaceFaults::new(settings.faults),
            segment_faults: SegmentFaults::new(settings.faults),
            neighbours,
            reassembly: Reassembly::new(settings.faults),
            stack,
            services,
            counters: Counters { boots: 1, ..Counters::default() },
            wear: WearFaults::new(settings.faults, now),
            is_dead: false,
            console: Console::new(now),
            settings,
            clock,
        };
        if device.settings.faults.has(Fault::BootNoise) {
            device.driver.write(now, b"ets Jun  8 2016 00:22:57\r\nrst:0x1 (POWERON_RESET)\r\n");
        }
        let announcement = device.neighbours.announcement();
        device.transmit(now, announcement);
        device
    }

    /// Sends the lines of the device's console to `console`, from its boot on; what there is no room
    /// for is lost.
    pub fn attach_console(&mut self, console: mpsc::Sender<String>) {
        let name = self.settings.model.name;
        self.console.attach(console, &format!("uarttool reference device, model {name}"));
    }

    /// The device dies: nothing is heard of it any more but this.
    fn die(&mut self, now: Timestamp) {
        if !std::mem::replace(&mut self.is_dead, true) {
            let text = "Guru Meditation Error: Core  0 panic'ed (LoadProhibited).";
            self.console.say(text.to_owned());
        }
        self.console.log(now, 'E', "main", "halted");
    }

    /// Lives with `link` until that ends; says how it did. Without a link, forever: what the device
    /// sends is lost then.
    pub async fn run(&mut self, mut link: Option<&mut Link>) -> Result<String> {
        loop {
            let now = self.clock.now();
            self.advance(now);
            while let Some(bytes) = self.driver.output(now, &mut self.counters) {
                if let Some(link) = &mut link
                    && let Err(error) = link.tx.send_raw(&bytes).await
                {
                    return Ok(self.disconnected(error.chain()));
                }
            }
            let deadline = self.deadline(now);
            let has_window = self.driver.has_window();
            tokio::select! {
                biased;
                () = poll_fn(|cx| {
                    self.services.poll(cx, now, &mut self.stack, &mut self.counters)
                }) => {}
                received = receive(&mut link), if has_window => match received? {
                    Received::Bytes(bytes) => {
                        self.driver.input(self.clock.now(), bytes, &mut self.counters);
                    }
                    Received::Records(_) => {} // hosts speak in bytes
                    Received::End(how) => return Ok(self.disconnected(how)),
                },
                () = until(deadline, now) => {}
            }
        }
    }

    /// A UART does not notice that nobody listens any more.
    fn disconnected(&mut self, how: String) -> String {
        self.driver.disconnected();
        how
    }

    /// Everything that happens up to `now`.
    fn advance(&mut self, now: Timestamp) {
        while let Some((arrived, frame)) = self.driver.hear(now, &mut self.counters, &self.console)
        {
            if !self.is_dead {
                self.frame_arrives(arrived, frame);
            }
        }
        let heard = |flow: &Flow| self.frames.heard(flow);
        self.counters.tcp_expired += self.services.expire(now, &mut self.stack, &heard);
        while let Some(frame) = self.frames.resend(now) {
            self.driver.put_on_line(now, &frame, Duration::ZERO, &mut self.counters);
        }
        self.give_up_fragments(now);
        self.poll_stack(now);
    }

    fn frame_arrives(&mut self, now: Timestamp, mut frame: Vec<u8>) {
        match self.wear.received(now, &frame) {
            Wear::None => {}
            Wear::Away => return,
            Wear::Back => {
                self.counters.boots += 1;
                let announcement = self.neighbours.announcement();
                self.transmit(now, announcement);
            }
            Wear::Death => return self.die(now),
        }
        let fate = match self.own_faults.received(&mut frame) {
            Fate::Taken => self.segment_faults.received(&mut frame),
            other => other,
        };
        match fate {
            Fate::Taken => {}
            Fate::Dropped => return,
            Fate::Answered(answer) => return self.transmit(now, answer),
            Fate::Death => return self.die(now),
        }
        if web_faults::kills(self.settings.faults, &frame) {
            return self.die(now);
        }
        match datagram_faults::received(self.settings.faults, &mut frame) {
            Fate::Taken => {}
            Fate::Dropped | Fate::Answered(_) => return,
            Fate::Death => return self.die(now),
        }
        if frame.len() < ethernet::HEADER {
            self.counters.short_frames += 1;
            return;
        }
        if !self.flow_faults.received(&mut frame) {
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
                if self.settings.faults.has(Fault::LearnsFromIp) {
                    self.neighbours.teach(frame);
                }
                self.services.make_way(frame, &mut self.stack);
                self.packet_arrives(now, packet);
            }
        }
    }

    fn packet_arrives(&mut self, now: Timestamp, packet: Vec<u8>) {
        match self.reassembly.take(now, packet) {
            Joined::Nothing => {}
            Joined::Death => self.die(now),
            Joined::Whole(packet, times) => {
                for packet in std::iter::repeat_n(packet, times) {
                    self.mends.received(&packet, &mut self.counters);
                    self.stack.receive(packet);
                    self.poll_stack(now);
                }
            }
        }
    }

    /// Tells the senders of datagrams whose rest has not come.
    fn give_up_fragments(&mut self, now: Timestamp) {
        for packet in self.reassembly.expire(now) {
            self.counters.icmp_errors += 1;
            self.counters.ip_sent += 1;
            if let Some(frame) = self.neighbours.send(now, packet, &mut self.counters) {
                self.transmit(now, frame);
            }
        }
    }

    fn poll_stack(&mut self, now: Timestamp) {
        let packets = self.stack.poll(now, self.driver.has_room());
        for packet in packets {
            let packet = match self.settings.faults.has(Fault::QuoteRewritten) {
                true => packet,
                false => self.mends.sent(packet, &mut self.counters),
            };
            self.counters.ip_sent += 1;
            if self.settings.faults.has(Fault::AsksForHost) {
                let question = self.neighbours.question_for_host();
                self.transmit(now, question);
            }
            if let Some(frame) = self.neighbours.send(now, packet, &mut self.counters) {
                self.transmit(now, frame);
            }
        }
    }

    /// Sends a frame, as far as the faults let it.
    fn transmit(&mut self, now: Timestamp, mut frame: Vec<u8>) {
        if self.is_dead || !self.flow_faults.sent(&mut frame) {
            return;
        }
        for (mut frame, delay) in self.frames.sent(now, frame, &mut self.counters) {
            self.own_faults.sent(&mut frame);
            if !self.segment_faults.sent(&mut frame) {
                continue;
            }
            let going = self.pace_faults.sent(now, &mut frame);
            let delay = delay + going.delay;
            for _ in 0..=u8::from(going.twice) {
                self.driver.put_on_line(now, &frame, delay, &mut self.counters);
            }
        }
    }

    /// When something happens by itself.
    fn deadline(&mut self, now: Timestamp) -> Option<Timestamp> {
        let stack = match self.driver.has_room() {
            true => self.stack.poll_at(now),
            false => None, // the next output makes room
        };
        let services = self.services.deadline(now);
        let (driver, frames) = (self.driver.deadline(), self.frames.deadline());
        [driver, frames, services, self.reassembly.deadline(), stack].into_iter().flatten().min()
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
