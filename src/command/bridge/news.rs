//! What a bridge tells: who is at the other end, why a guest may be silent, what was learned, and, on a
//! terminal, a line that lives.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::bus::Inbox;
use crate::cli::terminal;
use crate::event::{Event, Events};
use crate::gateway::Gateway;
use crate::record::{Body, Direction, Record};

/// A guest that is silent for so long is worth a word.
const SILENCE: Duration = Duration::from_secs(2);
/// Bytes that are no frames and look like text, before that is said.
const TEXT: u64 = 60;
/// How often the living line is written anew.
const GLANCE: Duration = Duration::from_secs(1);
/// How often records are taken.
const STEP: Duration = Duration::from_millis(100);

/// Prints what happens; a link's news are those of the device.
pub fn events(is_living: &Arc<AtomicBool>) -> Events {
    let is_living = is_living.clone();
    Events::new(move |event| {
        if is_living.swap(false, Ordering::Relaxed) {
            terminal::overwrite("");
        }
        match event {
            Event::Connected { endpoint, peer } => {
                let peer = peer.unwrap_or_else(|| "connected".to_owned());
                terminal::tell(&format!("device   {endpoint}  {peer}, we are its client"));
            }
            Event::Attached { holder, endpoint } => {
                terminal::tell(&format!("device   {endpoint}  through {holder}, which holds it"));
            }
            Event::Lost { endpoint, how } => {
                terminal::tell(&format!("device   {endpoint}  is gone: {how}"));
            }
            Event::Waiting { endpoint, why, .. } => {
                terminal::tell(&format!("device   {endpoint}  {why}; waiting for it"));
            }
            event => terminal::tell(&event.to_string()),
        }
    })
}

/// What goes over the line, and what it means when nothing does.
pub struct Watcher {
    inbox: Inbox,
    gateway: Gateway,
    is_living: Arc<AtomicBool>,
    shows: bool,
    up_since: Option<Instant>,
    /// The process id of whoever has the other end.
    pid: Option<u32>,
    has_heard: bool,
    /// It was said that the guest is silent, and that it sends text.
    has_told: (bool, bool),
    /// Bytes to the device and from it since the line was written.
    bytes: [u64; 2],
}

impl Watcher {
    /// Watches the line through `inbox`.
    pub fn new(inbox: Inbox, gateway: &Gateway, is_living: &Arc<AtomicBool>) -> Watcher {
        Watcher {
            inbox,
            gateway: gateway.clone(),
            is_living: is_living.clone(),
            shows: std::io::stderr().is_terminal(),
            up_since: None,
            pid: None,
            has_heard: false,
            has_told: (false, false),
            bytes: [0, 0],
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
            Body::Link(crate::record::LinkChange::Connected(with)) => {
                self.up_since = Some(Instant::now());
                self.pid = pid_in(with);
                (self.has_heard, self.has_told) = (false, (false, false));
            }
            Body::Link(_) => self.up_since = None,
            Body::Frame(frame) => match record.origin.direction {
                Direction::ToDevice => self.bytes[0] += frame.len() as u64,
                _ => {
                    self.has_heard = true;
                    self.bytes[1] += frame.len() as u64;
                }
            },
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
                self.tell(
                    "guest    sends text and no frames: are console and tunnel swapped? The tunnel is \
                     UART1, QEMU's second '-serial'",
                );
            }
        } else if since.elapsed() >= SILENCE && !std::mem::replace(&mut self.has_told.0, true) {
            match self.pid.and_then(halted) {
                Some(debugger) => self.tell(&format!(
                    "guest    silent so far, and started halted (-S): gdb{debugger} has to attach and \
                     continue it, or start it without -S"
                )),
                None => self.tell("guest    silent so far: still booting, or its network is not up"),
            }
        }
    }

    fn tell(&self, text: &str) {
        if self.is_living.swap(false, Ordering::Relaxed) {
            terminal::overwrite("");
        }
        terminal::tell(text);
    }

    fn show(&mut self) {
        let [to, from] = std::mem::take(&mut self.bytes);
        if !self.shows {
            return;
        }
        let flows = terminal::count(self.gateway.open_flows() as u64, "connection");
        let (to, from) = (terminal::bytes(to), terminal::bytes(from));
        self.is_living.store(true, Ordering::Relaxed);
        terminal::overwrite(&format!("-> {to}/s  <- {from}/s  {flows}  (Ctrl-C ends it)"));
    }
}

/// The process id in a text such as `tcp:h:1, qemu (pid 7)`.
fn pid_in(text: &str) -> Option<u32> {
    let (_, rest) = text.rsplit_once("(pid ")?;
    rest.strip_suffix(')')?.parse().ok()
}

/// Whether QEMU was started halted, and where it waits for a debugger.
fn halted(pid: u32) -> Option<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<String> =
        line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into()).collect();
    debugger(&words)
}

fn debugger(words: &[String]) -> Option<String> {
    words.iter().any(|word| word == "-S").then_some(())?;
    if words.iter().any(|word| word == "-s") {
        return Some(" on :1234".to_owned());
    }
    let at = words.iter().position(|word| word == "-gdb");
    let port = at.and_then(|at| words.get(at + 1)?.rsplit(':').next());
    Some(port.map_or(String::new(), |port| {
        format!(" on :{}", port.split(',').next().unwrap_or_default())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_waits_for_gdb_is_told_by_its_command_line() {
        let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        assert_eq!(debugger(&words("qemu -M x -nographic")), None);
        assert_eq!(debugger(&words("qemu -S -s")).as_deref(), Some(" on :1234"));
        assert_eq!(debugger(&words("qemu -gdb tcp::3333,x -S")).as_deref(), Some(" on :3333"));
        assert_eq!(debugger(&words("qemu -S")).as_deref(), Some(""));
        assert_eq!(pid_in("tcp:h:1, qemu-system-xtensa (pid 4242)"), Some(4242));
        assert_eq!(pid_in("tcp:h:1"), None);
    }
}
