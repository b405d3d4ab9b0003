//! What a bridge tells: who is at the other end, why a guest may be silent, what was learned, and, on a
//! terminal, a line that lives.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::qemu;
use crate::bus::Inbox;
use crate::cli::scribe::Scribe;
use crate::cli::terminal;
use crate::endpoint::Spec;
use crate::event::{Event, Events};
use crate::gateway::Gateway;
use crate::record::{Body, Direction, LinkChange, Record};

/// A guest that is silent for so long is asked who it is.
const ASK: Duration = Duration::from_secs(1);
/// One that is silent for so long is worth a word.
const SILENCE: Duration = Duration::from_secs(2);
/// Bytes that are no frames and look like text, before that is said.
const TEXT: u64 = 60;
/// How often the living line is written anew.
const GLANCE: Duration = Duration::from_secs(1);
/// How often records are taken.
const STEP: Duration = Duration::from_millis(100);
/// Bits on the line for a byte: eight, a start and a stop bit.
const BITS: f64 = 10.0;
/// Bytes on the line in front of each frame.
const LENGTH: u64 = 2;

/// Prints what happens; a link's news are those of the device at `spec`.
pub fn events(scribe: &Scribe, spec: &Spec) -> Events {
    let scribe = scribe.clone();
    let role = match spec.form.name {
        "tcp" | "unix" => ", we are its client",
        "tcp-listen" | "unix-listen" => ", it is our client",
        _ => "",
    };
    Events::new(move |event| {
        scribe.tell(&match event {
            Event::Connected { endpoint, peer } => {
                let peer = peer.unwrap_or_else(|| "connected".to_owned());
                format!("device   {endpoint}  {peer}{role}")
            }
            Event::Attached { holder, endpoint } => {
                format!("device   {endpoint}  through {holder}, which holds it")
            }
            Event::Lost { endpoint, how } => format!("device   {endpoint}  is gone: {how}"),
            Event::Waiting { endpoint, why, .. } => {
                format!("device   {endpoint}  {why}; waiting for it")
            }
            event => event.to_string(),
        });
    })
}

/// What goes over the line, and what it means when nothing does.
pub struct Watcher {
    inbox: Inbox,
    gateway: Gateway,
    scribe: Scribe,
    spec: Spec,
    /// The line's rate in baud, where that is known.
    rate: Option<u32>,
    up_since: Option<Instant>,
    /// The process id of whoever has the other end.
    pid: Option<u32>,
    has_heard: bool,
    has_asked: bool,
    /// It was said that the guest is silent, and that it sends text.
    has_told: (bool, bool),
    /// Bytes of frames to the device and from it since the line was written, and their number.
    moved: [(u64, u64); 2],
}

impl Watcher {
    /// Watches the line at `spec`, which has `rate` baud, through `inbox`.
    pub fn new(
        inbox: Inbox,
        gateway: &Gateway,
        scribe: &Scribe,
        spec: &Spec,
        rate: Option<u32>,
    ) -> Watcher {
        Watcher {
            inbox,
            gateway: gateway.clone(),
            scribe: scribe.clone(),
            spec: spec.clone(),
            rate,
            up_since: None,
            pid: None,
            has_heard: false,
            has_asked: false,
            has_told: (false, false),
            moved: Default::default(),
        }
    }

    /// Watches for ever.
    pub async fn run(mut self) {
        let mut next = tokio::time::Instant::now() + GLANCE;
        loop {
            tokio::time::sleep(STEP).await;
            while let Some(record) = self.inbox.poll() {
                self.take(&record);
            }
            self.explain();
            if tokio::time::Instant::now() >= next {
                next += GLANCE;
                self.show();
            }
        }
    }

    fn take(&mut self, record: &Record) {
        match &record.body {
            Body::Link(LinkChange::Connected(with)) => {
                self.up_since = Some(Instant::now());
                self.pid = pid_in(with);
                (self.has_heard, self.has_asked, self.has_told) = (false, false, (false, false));
            }
            Body::Link(_) => self.up_since = None,
            Body::Frame(frame) => {
                let is_from = record.origin.direction != Direction::ToDevice;
                self.has_heard |= is_from;
                let (bytes, frames) = &mut self.moved[usize::from(is_from)];
                *bytes += frame.len() as u64;
                *frames += 1;
            }
            _ => {}
        }
    }

    /// Says once what is wrong, when it shows.
    fn explain(&mut self) {
        let Some(since) = self.up_since.filter(|_| !self.has_heard) else { return };
        let counters = self.gateway.counters();
        let early = counters.early.load(Ordering::Relaxed);
        let text = counters.early_text.load(Ordering::Relaxed);
        if early >= TEXT && text * 10 >= early * 9 {
            if !std::mem::replace(&mut self.has_told.1, true) {
                self.scribe.tell(
                    "guest    sends text and no frames: are console and tunnel swapped? The tunnel is \
                     UART1, QEMU's second '-serial'",
                );
            }
        } else if since.elapsed() >= ASK && !std::mem::replace(&mut self.has_asked, true) {
            self.ask();
        } else if since.elapsed() >= SILENCE && !std::mem::replace(&mut self.has_told.0, true) {
            let words = self.pid.map(qemu::arguments).unwrap_or_default();
            match qemu::debugger(&words) {
                Some(debugger) => self.scribe.tell(&format!(
                    "guest    silent so far, and started halted (-S): gdb{debugger} has to attach and \
                     continue it, or start it without -S"
                )),
                None => self.scribe.tell(
                    "guest    silent so far, and does not answer ARP: still booting, or its network is \
                     not up; or this is its console, and the tunnel is QEMU's second '-serial'",
                ),
            }
        }
    }

    /// Nothing was heard, but a device that is well may have nothing to say by itself: asks it. A console
    /// is not asked, since what it makes of the question is not known.
    fn ask(&mut self) {
        let words = self.pid.map(qemu::arguments).unwrap_or_default();
        if qemu::is_console(&words, &self.spec) {
            self.has_told.0 = true;
            self.scribe.tell(
                "guest    silent so far, and this is QEMU's first '-serial', the console: the tunnel is \
                 the second",
            );
        } else {
            self.gateway.ask();
        }
    }

    fn show(&mut self) {
        let [to, from] = std::mem::take(&mut self.moved);
        if !self.scribe.can_live() {
            return;
        }
        let flows = terminal::count(self.gateway.open_flows() as u64, "connection");
        let (to, from) = (self.rate_of(to), self.rate_of(from));
        self.scribe.live(&format!("-> {to}  <- {from}  {flows}  (Ctrl-C ends it)"));
    }

    fn rate_of(&self, (bytes, frames): (u64, u64)) -> String {
        let shown = terminal::bytes(bytes);
        match self.rate {
            None => format!("{shown}/s"),
            Some(rate) => format!("{shown}/s {}%", percent(bytes + frames * LENGTH, rate)),
        }
    }
}

/// How much of a line of `rate` baud so many bytes a second are.
fn percent(bytes: u64, rate: u32) -> u64 {
    let share = bytes as f64 * BITS / f64::from(rate.max(1));
    (share / GLANCE.as_secs_f64() * 100.0).round() as u64
}

/// The process id in a text such as `tcp:h:1, qemu (pid 7)`.
fn pid_in(text: &str) -> Option<u32> {
    let (_, rest) = text.rsplit_once("(pid ")?;
    rest.strip_suffix(')')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_at_the_other_end_and_the_use_of_the_line() {
        assert_eq!(pid_in("tcp:h:1, qemu-system-xtensa (pid 4242)"), Some(4242));
        assert_eq!(pid_in("tcp:h:1"), None);
        assert_eq!(percent(11_520, 115_200), 100);
        assert_eq!((percent(5760, 115_200), percent(0, 300), percent(30, 0)), (50, 0, 30_000));
    }
}
