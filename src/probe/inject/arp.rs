//! Messages of ARP, and who answers (RFC 826; probes and announcements: RFC 5227).
//!
//! Whoever says that it has the address is told, and whether more than one says so. A probe asks for an
//! address without claiming one; an announcement claims one, and is answered only by somebody who has
//! it too.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::Instant;

use super::{Disguise, ends, frame, since};
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

/// Somebody says that it has the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who.
    pub mac: MacAddr,
    /// After how long.
    pub after: Duration,
    /// Whether by a reply, or by a message of its own.
    pub is_reply: bool,
    /// Whether nobody else has claimed it before.
    pub is_first: bool,
}

/// Sends, and tells every claim; who claims the address.
pub async fn run(
    probe: &mut Probe,
    plan: &Plan,
    stop: &mut Stop,
    tell: &mut impl FnMut(Claim),
) -> Result<Vec<MacAddr>> {
    let ends = ends(probe.identity(), None);
    let device = probe.identity().device_mac;
    let bytes = plan.disguise.wire.cut(frame(&plan.text(device), &ends, &plan.disguise)?);
    let mut claims = Vec::new();
    let mut next = Instant::now();
    for n in 1..=plan.count {
        let sent = plan.disguise.wire.send(probe, &bytes).await?;
        next += if n == plan.count { plan.timeout } else { plan.interval };
        loop {
            let record = tokio::select! {
                biased;
                () = stop.wait() => return Ok(claims),
                record = probe.receive(next) => record?,
            };
            let Some(record) = record else { break };
            if let Some((mac, is_reply)) = plan.claim(&record) {
                let is_first = claims.is_empty();
                let is_known = claims.contains(&mac);
                if !is_known {
                    claims.push(mac);
                }
                let claim = Claim { mac, after: since(&record, sent), is_reply, is_first };
                tell(Claim { is_first: is_first || is_known, ..claim });
            }
            if Instant::now() >= next {
                break;
            }
        }
    }
    Ok(claims)
}

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

    /// Who claims the address by this record, and whether in reply.
    fn claim(&self, record: &Record) -> Option<(MacAddr, bool)> {
        let Body::Frame(frame) = &record.body else { return None };
        let message = arp::Message::in_frame(frame)?;
        let is_about = message.spa == self.address && !message.spa.is_unspecified();
        is_about.then_some((MacAddr::from(message.sha), message.op == arp::REPLY))
    }
}
