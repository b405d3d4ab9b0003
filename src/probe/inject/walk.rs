//! From port to port: each is asked, at an interval, and has so long to answer.
//!
//! A question goes to every port, each from a port of its own unless one is given. What comes back is told
//! as it comes: what the protocol makes of it, an error by ICMP, or nothing when a port's time is up. What
//! is asked and what the answer means, [`Asks`] knows: segments in [`super::tcp`], datagrams in
//! [`super::udp`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::{Disguise, carried, ends, frame, ip_layer, is_group, quoted_ports, since};
use crate::clock::Timestamp;
use crate::dissect::Dissector;
use crate::error::Result;
use crate::probe::Probe;
use crate::proto::{Stack, be16};
use crate::record::{Body, Record};
use crate::stop::Stop;

/// Where to, and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to; `None` is the device.
    pub target: Option<IpAddr>,
    /// To these ports.
    pub ports: Vec<u16>,
    /// From this port; `None` is one for each question.
    pub source_port: Option<u16>,
    /// Times that every port is asked.
    pub count: u64,
    /// From one question to the next.
    pub interval: Duration,
    /// How long a port may take.
    pub timeout: Duration,
    /// What is unusual about the frames.
    pub disguise: Disguise,
}

/// A protocol with ports.
pub trait Asks {
    /// What an answer says.
    type Said;
    /// Its name.
    const NAME: &'static str;
    /// Its number in IP.
    const NUMBER: u8;

    /// The question from port `own` to `port`, as text of its layer and of what is in it.
    fn question(&self, own: u16, port: u16) -> String;

    /// What layer `at` says, from there and so long after the question.
    fn answer(
        &self,
        stack: &Stack<'_>,
        at: usize,
        from: IpAddr,
        after: Duration,
    ) -> Option<Self::Said>;

    /// What is sent behind an answer, if anything is.
    fn parting(&self, _said: &Self::Said, _own: u16, _port: u16) -> Option<String> {
        None
    }
}

/// What a port said.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// The port.
    pub port: u16,
    /// What.
    pub what: What<T>,
}

/// What was said.
#[derive(Clone, Debug, PartialEq)]
pub enum What<T> {
    /// An answer of the protocol itself.
    Said(T),
    /// An error by ICMP: from whom, what it says, after how long.
    Error(IpAddr, String, Duration),
    /// Nothing in time.
    Nothing,
}

struct Open {
    sent: Timestamp,
    due: Instant,
}

struct Run<'a, A> {
    asks: &'a A,
    plan: &'a Plan,
    target: IpAddr,
    /// By our port and the device's.
    open: HashMap<(u16, u16), Open>,
    answers: u64,
    dissector: Dissector,
}

/// Asks every port; how many answers came.
pub async fn run<A: Asks>(
    probe: &mut Probe,
    asks: &A,
    plan: &Plan,
    stop: &mut Stop,
    tell: &mut impl FnMut(Answer<A::Said>),
) -> Result<u64> {
    super::resolve(probe, plan.target, plan.timeout).await?;
    let target = super::target_of(probe.identity(), plan.target);
    let (open, dissector) = (HashMap::new(), Dissector::default());
    let mut run = Run { asks, plan, target, open, answers: 0, dissector };
    let first = 0xc000 | std::process::id() as u16 & 0x1fff;
    let mut next = Instant::now();
    let all = plan.ports.len().saturating_mul(plan.count as usize);
    let shots = (0..plan.count).flat_map(|_| plan.ports.iter().copied());
    for (n, port) in shots.enumerate() {
        let own = plan.source_port.unwrap_or(first.wrapping_add((n % 0x2000) as u16).max(1024));
        if run.send(probe, own, port).await? {
            tell(Answer { port, what: What::Nothing }); // the one before from the same port
        }
        if n + 1 == all {
            break;
        }
        next = (next + plan.interval).max(Instant::now());
        run.listen(probe, next, false, stop, tell).await?;
        if stop.is_stopped() {
            return Ok(run.answers);
        }
    }
    while let Some(due) = run.open.values().map(|open| open.due).min() {
        run.listen(probe, due, true, stop, tell).await?;
        if stop.is_stopped() {
            break;
        }
    }
    Ok(run.answers)
}

impl<A: Asks> Run<'_, A> {
    /// The frame around a layer.
    fn around(&self, probe: &Probe, layer: &str, disguise: &Disguise) -> Result<Vec<u8>> {
        let ends = ends(probe.identity(), Some(self.target));
        frame(&format!("eth/{}/{layer}", ip_layer(self.target)), &ends, disguise)
    }

    /// Sends one; whether another one from the same port still waits for its answer.
    async fn send(&mut self, probe: &mut Probe, own: u16, port: u16) -> Result<bool> {
        let disguise = &self.plan.disguise;
        let frame = self.around(probe, &self.asks.question(own, port), disguise)?;
        let sent = disguise.wire.send(probe, &disguise.wire.cut(frame)).await?;
        let due = Instant::now() + self.plan.timeout;
        Ok(self.open.insert((own, port), Open { sent, due }).is_some())
    }

    /// Takes what comes until `deadline`, or until the last port has answered, and tells ports whose time is
    /// up.
    async fn listen(
        &mut self,
        probe: &mut Probe,
        deadline: Instant,
        is_last: bool,
        stop: &mut Stop,
        tell: &mut impl FnMut(Answer<A::Said>),
    ) -> Result<()> {
        loop {
            let record = tokio::select! {
                biased;
                () = stop.wait() => return Ok(()),
                record = probe.receive(deadline) => record?,
            };
            let is_over = Instant::now() >= deadline;
            if let Some(record) = &record {
                self.take(probe, record, tell).await?;
            }
            self.expire(tell);
            if is_over || record.is_none() || (is_last && self.open.is_empty()) {
                return Ok(());
            }
        }
    }

    fn expire(&mut self, tell: &mut impl FnMut(Answer<A::Said>)) {
        let now = Instant::now();
        self.open.retain(|(_, port), open| {
            let is_late = open.due <= now;
            if is_late {
                tell(Answer { port: *port, what: What::Nothing });
            }
            !is_late
        });
    }

    async fn take(
        &mut self,
        probe: &mut Probe,
        record: &Record,
        tell: &mut impl FnMut(Answer<A::Said>),
    ) -> Result<()> {
        let Body::Frame(frame) = &record.body else { return Ok(()) };
        let mut dissector = std::mem::take(&mut self.dissector);
        let found = self.judge(&dissector.dissect(frame), record);
        self.dissector = dissector;
        let Some((own, answer)) = found else { return Ok(()) };
        self.answers += 1;
        let parting = match &answer.what {
            What::Said(said) => self.asks.parting(said, own, answer.port),
            What::Error(..) | What::Nothing => None,
        };
        tell(answer);
        if let Some(parting) = parting {
            let plain = Disguise { vlan: self.plan.disguise.vlan, ..Disguise::default() };
            let frame = self.around(probe, &parting, &plain)?;
            probe.send(frame).await?;
        }
        Ok(())
    }

    /// What a frame says to one of our questions, with our port.
    fn judge(&mut self, stack: &Stack<'_>, record: &Record) -> Option<(u16, Answer<A::Said>)> {
        if let Some((from, text, [own, port])) = quoted_ports(stack, A::NUMBER) {
            let open = self.open.remove(&(own, port))?;
            let what = What::Error(from, text, since(record, open.sent));
            return Some((own, Answer { port, what }));
        }
        let (from, _, at) = carried(stack)?;
        stack.layers.get(at).filter(|layer| layer.protocol.name == A::NAME)?;
        if from != self.target && !is_group(self.target) {
            return None;
        }
        let header = stack.header(at);
        let (port, own) = (be16(header, 0)?, be16(header, 2)?);
        let after = since(record, self.open.get(&(own, port))?.sent);
        let said = self.asks.answer(stack, at, from, after)?;
        self.open.remove(&(own, port));
        Some((own, Answer { port, what: What::Said(said) }))
    }
}

/// Data of a question, as text.
pub(super) fn data(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if digits.is_empty() { digits } else { format!("/0x{digits}") }
}
