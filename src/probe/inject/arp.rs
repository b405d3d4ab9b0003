//! Messages of ARP, and who answers (RFC 826; probes and announcements: RFC 5227).
//!
//! Whoever says that it has the address is told, and whether more than one says so. A probe asks for an
//! address without claiming one; an announcement claims one, and is answered only by somebody who has
//! it too. What a device says of itself, its announcement at its start or a question of its own, is no
//! answer to a request.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::Instant;

use super::{Disguise, ends, frame, since};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::probe::Probe;
use crate::proto::{MacAddr, arp};
use crate::record::{Body, Record};
use crate::stop::Stop;

/// The kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Who has an address?
    Request,
    /// The same, without saying who asks (RFC 5227 section 1.1, ARP Probe).
    Probe,
    /// The sender has the address (ARP Announcement); also called gratuitous.
    Gratuitous,
    /// An answer that nobody asked for.
    Reply,
}

/// What to send.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which kind of message.
    pub kind: Kind,
    /// The address that it is about.
    pub address: Ipv4Addr,
    /// The sender that it names.
    pub sender_ip: Ipv4Addr,
    /// And where that is.
    pub sender_mac: MacAddr,
    /// How many messages.
    pub count: u64,
    /// From one to the next.
    pub interval: Duration,
    /// How long to listen behind the last.
    pub timeout: Duration,
    /// What is unusual about the frames.
    pub disguise: Disguise,
}

/// How somebody says that it has the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// In reply to what was sent.
    Reply,
    /// In a reply to somebody else, or to nobody.
    OtherReply,
    /// By an announcement: it names itself as sender and as target.
    Announcement,
    /// By asking for another address from that one.
    Question,
}

/// Somebody says that it has the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who.
    pub mac: MacAddr,
    /// After how long.
    pub after: Duration,
    /// By what.
    pub how: How,
    /// Whether it is taken for an answer, and not for what it says of itself.
    pub is_answer: bool,
    /// Whether somebody else has claimed it before.
    pub is_second: bool,
}

/// Who claims the address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimants {
    /// Each once.
    pub all: Vec<MacAddr>,
    /// Those of them that have answered.
    pub answered: Vec<MacAddr>,
}

impl Claimants {
    fn add(&mut self, mac: MacAddr, is_answer: bool) {
        for (list, is_in) in [(&mut self.all, true), (&mut self.answered, is_answer)] {
            if is_in && !list.contains(&mac) {
                list.push(mac);
            }
        }
    }
}

/// Sends, and tells every claim; who claims the address.
pub async fn run(
    probe: &mut Probe,
    plan: &Plan,
    stop: &mut Stop,
    tell: &mut impl FnMut(Claim),
) -> Result<Claimants> {
    let ends = ends(probe.identity(), None);
    let device = probe.identity().device_mac;
    let bytes = plan.disguise.wire.cut(frame(&plan.text(device), &ends, &plan.disguise)?);
    let mut claimants = Claimants::default();
    let mut next = Instant::now();
    if plan.is_claim() {
        // What is on its way already, such as the announcement of a device that starts, objects to nothing.
        next += ON_ITS_WAY;
        listen(probe, next, stop, |record| {
            plan.judge(record, None, &mut claimants, tell);
        })
        .await?;
    }
    for n in 1..=plan.count {
        if stop.is_stopped() {
            break;
        }
        let sent = Some(plan.disguise.wire.send(probe, &bytes).await?);
        next += if n == plan.count { plan.timeout } else { plan.interval };
        listen(probe, next, stop, |record| {
            plan.judge(record, sent, &mut claimants, tell);
        })
        .await?;
    }
    Ok(claimants)
}

/// How long is listened before an address is claimed.
const ON_ITS_WAY: Duration = Duration::from_millis(100);

impl Plan {
    /// The message as text.
    pub fn text(&self, device: MacAddr) -> String {
        let Plan { address, sender_ip, sender_mac, .. } = self;
        match self.kind {
            Kind::Request => format!("arp(op=1,sha={sender_mac},spa={sender_ip},tpa={address})"),
            Kind::Probe => format!("arp(op=1,sha={sender_mac},spa=0.0.0.0,tpa={address})"),
            Kind::Gratuitous => format!("arp(op=1,sha={sender_mac},spa={address},tpa={address})"),
            Kind::Reply => {
                format!("eth(dst={device})/arp(op=2,sha={sender_mac},spa={address},tha={device})")
            }
        }
    }

    /// Whether it says that the sender has the address.
    pub fn is_claim(&self) -> bool {
        matches!(self.kind, Kind::Gratuitous | Kind::Reply)
    }

    /// Tells the claim in a record, if there is one; nothing may have been sent yet.
    fn judge(
        &self,
        record: &Record,
        sent: Option<Timestamp>,
        claimants: &mut Claimants,
        tell: &mut impl FnMut(Claim),
    ) {
        let Some((mac, how)) = self.claim(record) else { return };
        let is_answer = sent.is_some() && self.takes(how);
        let is_second = claimants.all.first().is_some_and(|first| *first != mac);
        claimants.add(mac, is_answer);
        let after = sent.map_or(Duration::ZERO, |sent| since(record, sent));
        tell(Claim { mac, after, how, is_answer, is_second });
    }

    /// Whether that answers such a message. Whoever uses an address that is probed for has it, whatever it
    /// says (RFC 5227 section 2.1.1), and it is by an announcement that an address is defended (section 2.4).
    fn takes(&self, how: How) -> bool {
        match self.kind {
            Kind::Request => how == How::Reply,
            Kind::Probe => true,
            Kind::Gratuitous | Kind::Reply => how != How::Question,
        }
    }

    /// Who claims the address by this record, and how.
    fn claim(&self, record: &Record) -> Option<(MacAddr, How)> {
        let Body::Frame(frame) = &record.body else { return None };
        let message = arp::Message::in_frame(frame)?;
        if message.spa != self.address || message.spa.is_unspecified() {
            return None;
        }
        let is_to_us = message.tha == self.sender_mac.octets();
        let how = match message.op {
            arp::REPLY if is_to_us => How::Reply,
            _ if message.spa == message.tpa => How::Announcement,
            arp::REPLY => How::OtherReply,
            _ => How::Question,
        };
        Some((MacAddr::from(message.sha), how))
    }
}

/// Hands on what comes until `deadline`.
async fn listen(
    probe: &mut Probe,
    deadline: Instant,
    stop: &mut Stop,
    mut take: impl FnMut(&Record),
) -> Result<()> {
    loop {
        let record = tokio::select! {
            biased;
            () = stop.wait() => return Ok(()),
            record = probe.receive(deadline) => record?,
        };
        let Some(record) = record else { return Ok(()) };
        take(&record);
        if Instant::now() >= deadline {
            return Ok(());
        }
    }
}
