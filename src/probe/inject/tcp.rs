//! Segments to ports, and what each port says: a probe in the manner of a port scan.
//!
//! A segment goes to every port, at the plan's interval, each from a port of its own unless one is
//! given. What comes back is told as it comes: a SYN-ACK (open), a reset (closed), an error by ICMP,
//! another segment; or nothing until the timeout. A connection that has been half opened is reset, the
//! reset having the sequence number that the device waits for (RFC 9293 section 3.10.7.4).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::{Disguise, carried, ends, frame, ip_layer, is_group, quoted_ports, since};
use crate::clock::Timestamp;
use crate::dissect::Dissector;
use crate::error::Result;
use crate::probe::Probe;
use crate::proto::{NoteKind, Stack, Value, be16, be32, tcp};
use crate::record::{Body, Record};
use crate::stop::Stop;

/// What to send.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to; `None` is the device.
    pub target: Option<IpAddr>,
    /// To these ports.
    pub ports: Vec<u16>,
    /// From this port; `None` is one for each segment.
    pub source_port: Option<u16>,
    /// The flags.
    pub flags: u8,
    /// Sequence number of the first segment.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Window.
    pub window: u16,
    /// An MSS option.
    pub mss: Option<u16>,
    /// Data.
    pub data: Vec<u8>,
    /// Times that every port is asked.
    pub count: u64,
    /// From one segment to the next.
    pub interval: Duration,
    /// How long a port may take.
    pub timeout: Duration,
    /// Whether what is half open is reset.
    pub resets: bool,
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
    /// A segment.
    Segment(Segment),
    /// An error by ICMP: from whom, what it says, after how long.
    Error(IpAddr, String, Duration),
    /// Nothing in time.
    Nothing,
}

/// A segment that came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// After how long.
    pub after: Duration,
    /// Its flags.
    pub flags: u8,
    /// Its sequence number.
    pub seq: u32,
    /// What it acknowledges.
    pub ack: u32,
    /// Its window.
    pub window: u16,
    /// Options by name, with their values.
    pub options: Vec<(&'static str, u64)>,
    /// Bytes of data.
    pub data: Vec<u8>,
    /// Whether its checksum is wrong.
    pub is_damaged: bool,
    /// What is wrong with the numbers, if something is.
    pub odd: Option<String>,
}

struct Open {
    port: u16,
    seq: u32,
    sent: Timestamp,
    due: Instant,
}

struct Run<'a> {
    plan: &'a Plan,
    target: IpAddr,
    /// By our port and the device's.
    open: HashMap<(u16, u16), Open>,
    answers: u64,
    dissector: Dissector,
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
    let mut run =
        Run { plan, target, open: HashMap::new(), answers: 0, dissector: Dissector::default() };
    let first = plan.source_port.unwrap_or(0xc000 | std::process::id() as u16 & 0x1fff);
    let mut next = Instant::now();
    let all = plan.ports.len().saturating_mul(plan.count as usize);
    let shots = (0..plan.count).flat_map(|_| plan.ports.iter().copied());
    for (n, port) in shots.enumerate() {
        let own = match plan.source_port {
            Some(own) => own,
            None => first.wrapping_add((n % 0x2000) as u16).max(1024),
        };
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
    fn segment(&self, own: u16, port: u16, more: &str) -> String {
        format!("eth/{}/tcp(src_port={own},dst_port={port},{more})", ip_layer(self.target))
    }

    /// Sends one; whether another one from the same port still waits for its answer.
    async fn send(&mut self, probe: &mut Probe, own: u16, port: u16) -> Result<bool> {
        let plan = self.plan;
        let mss = plan.mss.map(|mss| format!(",option.mss={mss}")).unwrap_or_default();
        let digits: String = plan.data.iter().map(|byte| format!("{byte:02x}")).collect();
        let data = if digits.is_empty() { digits } else { format!("/0x{digits}") };
        let more = format!(
            "seq={},ack={},flags={},window={}{mss}",
            plan.seq, plan.ack, plan.flags, plan.window
        );
        let text = self.segment(own, port, &more) + &data;
        let ends = ends(probe.identity(), Some(self.target));
        let bytes = plan.disguise.wire.cut(frame(&text, &ends, &plan.disguise)?);
        let sent = plan.disguise.wire.send(probe, &bytes).await?;
        let due = Instant::now() + plan.timeout;
        Ok(self.open.insert((own, port), Open { port, seq: plan.seq, sent, due }).is_some())
    }

    /// Takes what comes until `deadline`, or until the last port has answered, and tells ports whose time is
    /// up.
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
            if let Some(record) = &record {
                self.take(probe, record, tell).await?;
            }
            self.expire(tell);
            if is_over || record.is_none() || (is_last && self.open.is_empty()) {
                return Ok(());
            }
        }
    }

    fn expire(&mut self, tell: &mut impl FnMut(Answer)) {
        let now = Instant::now();
        let late: Vec<(u16, u16)> =
            self.open.iter().filter(|(_, open)| open.due <= now).map(|(ports, _)| *ports).collect();
        for ports in late {
            if let Some(open) = self.open.remove(&ports) {
                tell(Answer { port: open.port, what: What::Nothing });
            }
        }
    }

    async fn take(
        &mut self,
        probe: &mut Probe,
        record: &Record,
        tell: &mut impl FnMut(Answer),
    ) -> Result<()> {
        let Body::Frame(frame) = &record.body else { return Ok(()) };
        let mut dissector = std::mem::take(&mut self.dissector);
        let found = self.judge(&dissector.dissect(frame), record);
        self.dissector = dissector;
        let Some((own, answer)) = found else { return Ok(()) };
        self.answers += 1;
        let reset = match &answer.what {
            What::Segment(segment) if segment.flags & (tcp::SYN | tcp::ACK) == 0x12 => {
                Some((segment.ack, answer.port))
            }
            _ => None,
        };
        tell(answer);
        if let Some((seq, port)) = reset.filter(|_| self.plan.resets) {
            let text = self.segment(own, port, &format!("seq={seq},flags=R,window=0"));
            let ends = ends(probe.identity(), Some(self.target));
            let bytes = super::frame(
                &text,
                &ends,
                &Disguise { vlan: self.plan.disguise.vlan, ..Disguise::default() },
            )?;
            probe.send(bytes).await?;
        }
        Ok(())
    }

    /// What a frame says to one of our segments, with our port.
    fn judge(&mut self, stack: &Stack<'_>, record: &Record) -> Option<(u16, Answer)> {
        if let Some((from, text, [own, port])) = quoted_ports(stack, 6) {
            let open = self.open.remove(&(own, port))?;
            let what = What::Error(from, text, since(record, open.sent));
            return Some((own, Answer { port, what }));
        }
        let (from, _, at) = carried(stack)?;
        let layer = stack.layers.get(at).filter(|layer| layer.protocol == &tcp::TCP)?;
        debug_assert_eq!(layer.protocol.name, "tcp");
        if from != self.target && !is_group(self.target) {
            return None;
        }
        let header = stack.header(at);
        let (port, own) = (be16(header, 0)?, be16(header, 2)?);
        let open = self.open.remove(&(own, port))?;
        let segment = self.segment_of(stack, at, since(record, open.sent), open.seq)?;
        Some((own, Answer { port, what: What::Segment(segment) }))
    }

    fn segment_of(
        &self,
        stack: &Stack<'_>,
        at: usize,
        after: Duration,
        sent: u32,
    ) -> Option<Segment> {
        let header = stack.header(at);
        let mut options = Vec::new();
        stack.visit(at, &mut |item| {
            if let (Some(name), Value::Number(value)) =
                (item.name.strip_prefix("option."), item.value)
            {
                options.push((name, value));
            }
        });
        let (flags, ack) = (*header.get(13)?, be32(header, 8)?);
        let taken = u32::from(self.plan.flags & tcp::SYN != 0)
            + u32::from(self.plan.flags & tcp::FIN != 0)
            + self.plan.data.len() as u32;
        let least = sent.wrapping_add(u32::from(self.plan.flags & tcp::SYN != 0));
        let behind = ack.wrapping_sub(least);
        let is_odd = flags & tcp::ACK != 0
            && self.plan.flags & tcp::ACK == 0
            && behind > taken.saturating_sub(u32::from(self.plan.flags & tcp::SYN != 0));
        Some(Segment {
            after,
            flags,
            seq: be32(header, 4)?,
            ack,
            window: be16(header, 14)?,
            options,
            data: stack.payload(at).to_vec(),
            is_damaged: stack
                .notes
                .iter()
                .any(|note| matches!(note.kind, NoteKind::Checksum { .. })),
            odd: is_odd.then(|| format!("it acknowledges {ack}, where {least} was due")),
        })
    }
}
