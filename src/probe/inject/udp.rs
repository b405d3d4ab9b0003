//! Datagrams to ports, and what each port says: a reply, an error by ICMP, nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::{Disguise, carried, ends, frame, ip_layer, is_group, quoted_ports, since};
use crate::clock::Timestamp;
use crate::dissect::Dissector;
use crate::error::Result;
use crate::probe::Probe;
use crate::proto::{Stack, be16, udp};
use crate::record::{Body, Record};
use crate::stop::Stop;

/// What to send.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to; `None` is the device.
    pub target: Option<IpAddr>,
    /// To these ports.
    pub ports: Vec<u16>,
    /// From this port; `None` is one for each datagram.
    pub source_port: Option<u16>,
    /// Data.
    pub data: Vec<u8>,
    /// Times that every port is asked.
    pub count: u64,
    /// From one datagram to the next.
    pub interval: Duration,
    /// How long a port may take.
    pub timeout: Duration,
    /// What is unusual about the frames.
    pub disguise: Disguise,
}

/// What a port said.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The port.
    pub port: u16,
    /// What.
    pub what: What,
}

/// What was said.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A datagram with this data, from whom, after how long.
    Reply(Vec<u8>, IpAddr, Duration),
    /// An error by ICMP: from whom, what it says, after how long.
    Error(IpAddr, String, Duration),
    /// Nothing in time.
    Nothing,
}

struct Open {
    sent: Timestamp,
    due: Instant,
}

struct Run<'a> {
    plan: &'a Plan,
    target: IpAddr,
    open: HashMap<(u16, u16), Open>,
    answers: u64,
}

/// Asks every port; how many answers came.
pub async fn run(
    probe: &mut Probe,
    plan: &Plan,
    stop: &mut Stop,
    tell: &mut impl FnMut(Answer),
) -> Result<u64> {
    super::resolve(probe, plan.target, plan.timeout).await?;
    let target = super::target_of(probe.identity(), plan.target);
    let mut run = Run { plan, target, open: HashMap::new(), answers: 0 };
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

impl Run<'_> {
    /// Sends one; whether another one from the same port still waits for its answer.
    async fn send(&mut self, probe: &mut Probe, own: u16, port: u16) -> Result<bool> {
        let digits: String = self.plan.data.iter().map(|byte| format!("{byte:02x}")).collect();
        let data = if digits.is_empty() { digits } else { format!("/0x{digits}") };
        let text =
            format!("eth/{}/udp(src_port={own},dst_port={port}){data}", ip_layer(self.target));
        let ends = ends(probe.identity(), Some(self.target));
        let disguise = &self.plan.disguise;
        let bytes = disguise.wire.cut(frame(&text, &ends, disguise)?);
        let sent = disguise.wire.send(probe, &bytes).await?;
        Ok(self
            .open
            .insert((own, port), Open { sent, due: Instant::now() + self.plan.timeout })
            .is_some())
    }

    async fn listen(
        &mut self,
        probe: &mut Probe,
        deadline: Instant,
        is_last: bool,
        stop: &mut Stop,
        tell: &mut impl FnMut(Answer),
    ) -> Result<()> {
        loop {
            let record = tokio::select! {
                biased;
                () = stop.wait() => return Ok(()),
                record = probe.receive(deadline) => record?,
            };
            let is_over = Instant::now() >= deadline;
            if let Some(answer) = record.as_ref().and_then(|record| self.take(record)) {
                self.answers += 1;
                tell(answer);
            }
            self.expire(tell);
            if is_over || record.is_none() || (is_last && self.open.is_empty()) {
                return Ok(());
            }
        }
    }

    fn expire(&mut self, tell: &mut impl FnMut(Answer)) {
        let now = Instant::now();
        self.open.retain(|(_, port), open| {
            let is_late = open.due <= now;
            if is_late {
                tell(Answer { port: *port, what: What::Nothing });
            }
            !is_late
        });
    }

    fn take(&mut self, record: &Record) -> Option<Answer> {
        let Body::Frame(frame) = &record.body else { return None };
        let mut dissector = Dissector::default();
        self.judge(&dissector.dissect(frame), record)
    }

    fn judge(&mut self, stack: &Stack<'_>, record: &Record) -> Option<Answer> {
        if let Some((from, text, [own, port])) = quoted_ports(stack, 17) {
            let open = self.open.remove(&(own, port))?;
            let what = What::Error(from, text, since(record, open.sent));
            return Some(Answer { port, what });
        }
        let (from, _, at) = carried(stack)?;
        stack.layers.get(at).filter(|layer| layer.protocol == &udp::UDP)?;
        if from != self.target && !is_group(self.target) {
            return None;
        }
        let header = stack.header(at);
        let (port, own) = (be16(header, 0)?, be16(header, 2)?);
        let open = self.open.remove(&(own, port))?;
        let what = What::Reply(stack.payload(at).to_vec(), from, since(record, open.sent));
        Some(Answer { port, what })
    }
}
