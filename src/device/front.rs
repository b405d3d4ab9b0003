//! The tunnel's driver in front of a stack that is not ours: Linux behind a TAP interface, or
//! another device behind its own line.
//!
//! Theory of operation: the line, its timing and the driver are the reference device's; what they
//! take goes to the stack's link, and what comes from there goes on the line. Addresses and ARP are
//! the stack's own. While the transmit buffer is full, nothing is read from the stack. Frames for
//! the stack wait in a queue of their own, so that a stack that reads nothing loses frames, as with
//! a full mailbox, and never holds up the line.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::console::Console;
use super::counters::Counters;
use super::driver::Driver;
use super::faults::{self, Layer};
use super::{Settings, receive, until};
use crate::clock::{Clock, Timestamp};
use crate::endpoint::{Link, Receive, Received, Transmit};
use crate::error::{Error, Result};
use crate::framing::strict::Strict;
use crate::proto::ethernet;

/// Frames that wait for the stack at most.
const MAILBOX: usize = 512;
/// Frames that are handed to the stack in one go at most.
const BATCH: usize = 32;
/// The longest frame that a header can announce: what the stack sends is limited by the driver.
const LONGEST: usize = 65535;

/// A running driver and the way to its stack.
pub struct Front {
    clock: Clock,
    model: &'static str,
    driver: Driver,
    counters: Counters,
    console: Console,
    mailbox: mpsc::Sender<Bytes>,
    from_stack: Box<dyn Receive>,
    /// What the stack has sent and there was no room for yet.
    outgoing: Strict,
    /// The stack's endpoint.
    name: String,
}

impl Front {
    /// Refuses faults that do not sit between line and frames: nothing of ours is there in front of
    /// the stack at `endpoint`.
    pub fn check(settings: &Settings, endpoint: &str) -> Result<()> {
        let chosen = |info: &&faults::Info| settings.faults.has(info.fault);
        let mut chosen = faults::ALL.iter().filter(chosen);
        let Some(info) = chosen.find(|info| info.layer != Layer::Stream) else { return Ok(()) };
        let text = format!(
            "fault {} ({}) cannot be had in front of the stack at {endpoint}",
            info.name, info.id
        );
        let help =
            "only line and driver are ours there: choose a fault in the byte stream, F1 to F9";
        Err(Error::usage(text).with_help(help))
    }

    /// Switches the driver on, with its stack behind `stack`. Must run inside the event loop.
    pub fn new(settings: &Settings, clock: Clock, stack: Link) -> Result<Self> {
        Self::check(settings, &stack.about.endpoint)?;
        let (mailbox, mail) = mpsc::channel(MAILBOX);
        tokio::spawn(deliver(mail, stack.tx));
        Ok(Front {
            model: settings.model.name,
            driver: Driver::new(settings),
            counters: Counters::default(),
            console: Console::new(clock.now()),
            mailbox,
            from_stack: stack.rx,
            outgoing: Strict::new(LONGEST, None), // we are the ones who are late
            name: stack.about.endpoint,
            clock,
        })
    }

    /// Sends the driver's log lines to `console`; what there is no room for is lost.
    pub fn attach_console(&mut self, console: mpsc::Sender<String>) {
        let boot = format!("uarttool reference driver, model {}, stack {}", self.model, self.name);
        self.console.attach(console, &boot);
    }

    /// Lives with `link` until that ends; says how it did. Without a link, forever: what the stack
    /// sends is lost then. An error is the end of the stack.
    pub async fn run(&mut self, mut link: Option<&mut Link>) -> Result<String> {
        loop {
            let now = self.clock.now();
            self.pass_up(now);
            while let Some(bytes) = self.driver.output(now, &mut self.counters) {
                if let Some(link) = &mut link
                    && let Err(error) = link.tx.send_raw(&bytes).await
                {
                    return Ok(self.disconnected(error.chain()));
                }
            }
            self.pass_down(now);
            let (has_window, has_room) = (self.driver.has_window(), self.driver.has_room());
            tokio::select! {
                biased;
                received = receive(&mut link), if has_window => match received? {
                    Received::Bytes(bytes) => {
                        self.driver.input(self.clock.now(), bytes, &mut self.counters);
                    }
                    Received::Records(_) => {} // hosts speak in bytes
                    Received::End(how) => return Ok(self.disconnected(how)),
                },
                received = self.from_stack.receive(), if has_room => match received? {
                    Received::Bytes(bytes) => self.outgoing.push(self.clock.now(), &bytes),
                    Received::Records(_) => {} // the line of a stack is not shared
                    Received::End(how) => return Err(gone(&self.name, &how)),
                },
                () = self.mailbox.closed() => {
                    return Err(gone(&self.name, "it takes no more frames"));
                }
                () = until(self.driver.deadline(), now) => {}
            }
        }
    }

    fn disconnected(&mut self, how: String) -> String {
        self.driver.disconnected();
        how
    }

    /// What the driver has taken by `now` goes to the stack.
    fn pass_up(&mut self, now: Timestamp) {
        while let Some((_, frame)) = self.driver.hear(now, &mut self.counters, &self.console) {
            if frame.len() < ethernet::HEADER {
                self.counters.short_frames += 1;
            } else {
                let _ = self.mailbox.try_send(frame.into()); // full: lost; closed: see run
            }
        }
    }

    /// What the stack has sent goes on the line, as far as there is room.
    fn pass_down(&mut self, now: Timestamp) {
        while self.driver.has_room()
            && let Some(frame) = self.outgoing.next()
        {
            self.driver.put_on_line(now, &frame, Duration::ZERO, &mut self.counters);
        }
    }
}

fn gone(name: &str, how: &str) -> Error {
    Error::environment(format!("the stack at {name} went away: {how}"))
}

/// Hands frames to the stack until there are no more, or it takes no more.
async fn deliver(mut mail: mpsc::Receiver<Bytes>, mut stack: Box<dyn Transmit>) {
    let mut frames = Vec::new();
    while mail.recv_many(&mut frames, BATCH).await > 0 {
        if stack.send(&frames).await.is_err() {
            return;
        }
        frames.clear();
    }
}
