//! Servers that answer from another port than they were asked at, a fresh one each time, such as TFTP's (RFC 1350
//! section 4).
//!
//! In the recording such an answer begins a conversation of its own, between our port and the fresh one; so it does
//! today, with another fresh one. The first such answer of today belongs to the first recorded one: from then on, an
//! alias leads from the one to the other, and what we send goes to the port of today.

use std::collections::HashSet;
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};

use super::{EARLY, Session};
use crate::proto::{Stack, be16, ip};
use crate::replay::conversation::{Conversation, Kind, Side};
use crate::replay::mend;

/// Ports of ours that are remembered.
const MEMORY: usize = 16 * 1024;

/// Whom we have asked by UDP.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// From which port of ours whom, and at which of his.
    asked: HashSet<Conversation>,
    /// The same without his port.
    ends: HashSet<(u16, Option<IpAddr>)>,
    /// Answers of today to which the recording has not come.
    early: Vec<Conversation>,
    has_moved: bool,
}

impl Ports {
    /// A question, if it is one.
    pub(super) fn ask(&mut self, conversation: &Conversation) {
        if conversation.kind != Kind::Udp {
            return;
        }
        if self.asked.len() >= MEMORY {
            (self.asked, self.ends) = Default::default();
        }
        self.asked.insert(*conversation);
        self.ends.insert((conversation.ours.1, conversation.theirs.0));
    }

    /// Whether a conversation is with somebody whom we have asked from that port, but at another one of his.
    pub(super) fn is_asked(&self, conversation: &Conversation) -> bool {
        conversation.kind == Kind::Udp
            && self.ends.contains(&(conversation.ours.1, conversation.theirs.0))
            && !self.asked.contains(conversation)
    }

    /// Whether any port is another one than recorded.
    pub(super) fn has_moved(&self) -> bool {
        self.has_moved
    }
}

fn is_between(one: &Conversation, other: &Conversation) -> bool {
    one.kind == other.kind && one.ours == other.ours && one.theirs.0 == other.theirs.0
}

impl Session {
    /// An answer from another port came today.
    pub(super) fn answered(&mut self, today: Conversation) {
        let is_known = |flow: Option<&super::Flow>| flow.is_some_and(|flow| flow.recorded > 0);
        if self.aliases.contains_key(&today) {
            return;
        }
        if is_known(self.young.get(&today)) || is_known(self.old.get(&today)) {
            self.flow(today).is_fresh = false; // it is the same port as recorded
            return;
        }
        let flows = self.young.iter().chain(&self.old);
        let mut fresh = flows.filter(|(known, flow)| flow.is_fresh && is_between(known, &today));
        match fresh.next().map(|(recorded, _)| *recorded) {
            Some(recorded) => self.moves(today, recorded),
            None if !self.ports.early.contains(&today) && self.ports.early.len() < EARLY => {
                self.ports.early.push(today);
            }
            None => {}
        }
    }

    /// The recording has come to a fresh port: that of today may be known.
    pub(super) fn find_fresh(&mut self, recorded: Conversation) {
        let found = self.ports.early.iter().position(|today| is_between(today, &recorded));
        if let Some(n) = found {
            let today = self.ports.early.remove(n);
            let heard = self.flow(today).heard;
            self.flow(recorded).heard += heard;
            self.moves(today, recorded);
        }
    }

    fn moves(&mut self, today: Conversation, recorded: Conversation) {
        let flow = self.flow(recorded);
        flow.is_fresh = false;
        flow.their_port = Some(today.theirs.1);
        if today != recorded {
            self.ports.has_moved = true;
            self.alias(today, recorded);
        }
    }

    /// A datagram of ours as it has to be today.
    pub(super) fn datagram(&mut self, stack: &Stack<'_>, frame: &Bytes) -> Option<Bytes> {
        let recorded = Conversation::of(stack, Side::Ours);
        let port = self.flow(recorded).their_port?;
        let (ours, theirs) = (recorded.ours.1, recorded.theirs.1);
        // The frame goes from us to them: what is theirs is the destination.
        Some(with_ports(stack, frame, [(theirs, port), (ours, ours)]))
    }
}

/// The frame with the first of each pair of ports replaced by the second, quoted ones too.
pub(super) fn with_ports(
    stack: &Stack<'_>,
    frame: &Bytes,
    [ours, theirs]: [(u16, u16); 2],
) -> Bytes {
    let mut new = BytesMut::from(&frame[..]);
    let mut replace = |at: usize, (from, to): (u16, u16)| {
        if be16(frame, at) == Some(from)
            && let Some(place) = new.get_mut(at..at + 2)
        {
            place.copy_from_slice(&to.to_be_bytes());
        }
    };
    for (n, layer) in stack.layers.iter().enumerate() {
        // What is quoted went the other way.
        let (source, destination) = if layer.is_quoted { (ours, theirs) } else { (theirs, ours) };
        let is_bare = n + 1 == stack.layers.len() && ip::quoted(stack, n).is_some();
        let at = match layer.protocol.name {
            "tcp" | "udp" => layer.start,
            "ipv4" | "ipv6" if is_bare => layer.payload,
            _ => continue,
        };
        replace(at, source);
        replace(at + 2, destination);
    }
    mend::mend(stack, &mut new);
    new.freeze()
}
