//! Which frames belong together: the two ends of a conversation, as seen from the one whose frames are sent again.

use std::net::IpAddr;

use crate::proto::{Stack, arp, be16, icmp, icmpv6, ip, tcp, udp};

/// Who sends a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// We, who send the recording again.
    Ours,
    /// The other side, which answers.
    Theirs,
}

/// What a conversation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A TCP connection.
    Tcp,
    /// Datagrams between two ports.
    Udp,
    /// ICMP or ICMPv6, of one identifier if there is one.
    Control,
    /// ARP.
    Arp,
    /// Other IP packets, by their protocol.
    Ip(u8),
    /// Other frames.
    Other,
}

/// A conversation: its kind and both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conversation {
    /// What it is about.
    pub kind: Kind,
    /// Our address and port.
    pub ours: (Option<IpAddr>, u16),
    /// Theirs.
    pub theirs: (Option<IpAddr>, u16),
}

impl Conversation {
    /// The one to which a frame of `side` belongs. What an error message tells belongs to the conversation that
    /// it quotes.
    pub fn of(stack: &Stack<'_>, side: Side) -> Conversation {
        let (kind, source, destination) =
            ends(stack).unwrap_or((Kind::Other, (None, 0), (None, 0)));
        let (ours, theirs) = match side {
            Side::Ours => (source, destination),
            Side::Theirs => (destination, source),
        };
        Conversation { kind, ours, theirs }
    }
}

type End = (Option<IpAddr>, u16);

/// Kind, source and destination.
fn ends(stack: &Stack<'_>) -> Option<(Kind, End, End)> {
    let quoted = (0..stack.layers.len()).find_map(|n| ip::quoted(stack, n));
    if let Some(quoted) = quoted {
        let (source, destination) = quoted.addresses.both();
        let (from, to) = quoted.ports.unwrap_or_default();
        let kind = match quoted.protocol {
            6 => Kind::Tcp,
            17 => Kind::Udp,
            1 | 58 => Kind::Control,
            other => Kind::Ip(other),
        };
        // What is quoted went the other way.
        return Some((kind, (Some(destination), to), (Some(source), from)));
    }
    if let Some(n) = stack.find(&arp::ARP) {
        let header = stack.header(n);
        let address = |at| crate::proto::ipv4_at(header, at).map(IpAddr::from);
        return Some((Kind::Arp, (address(14), 0), (address(24), 0)));
    }
    let top = stack.layers.iter().rposition(|layer| {
        matches!(layer.protocol.name, "tcp" | "udp" | "icmp" | "icmpv6" | "igmp")
    });
    let top = top.unwrap_or(stack.layers.len());
    let (source, destination) = ip::addresses(stack, top)?.both();
    let (kind, (from, to)) = match stack.layers.get(top).map(|layer| layer.protocol) {
        Some(protocol) if protocol == &tcp::TCP => (Kind::Tcp, ip::ports(stack, top)?),
        Some(protocol) if protocol == &udp::UDP => (Kind::Udp, ip::ports(stack, top)?),
        Some(protocol) if protocol == &icmp::ICMP || protocol == &icmpv6::ICMPV6 => {
            let header = stack.header(top);
            let has_identifier = matches!(header.first(), Some(0 | 8 | 128 | 129));
            let identifier = be16(header, 4).filter(|_| has_identifier).unwrap_or_default();
            (Kind::Control, (identifier, identifier))
        }
        Some(_) => (Kind::Ip(2), (0, 0)),
        None => (Kind::Ip(0), (0, 0)),
    };
    Some((kind, (Some(source), from), (Some(destination), to)))
}

impl std::fmt::Display for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |(address, port): End| match (address, port, self.kind) {
            (None, ..) => "?".to_owned(),
            (Some(address), port, Kind::Tcp | Kind::Udp) => format!("{address}.{port}"),
            (Some(address), ..) => address.to_string(),
        };
        let what = match self.kind {
            Kind::Tcp => "TCP",
            Kind::Udp => "UDP",
            Kind::Control => "ICMP",
            Kind::Arp => "ARP",
            Kind::Ip(_) => "IP",
            Kind::Other => return f.write_str("other frames"),
        };
        write!(f, "{what} {} > {}", end(self.ours), end(self.theirs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::Dissector;
    use crate::proto::samples;

    #[test]
    fn both_sides_speak_of_the_same_conversation() {
        let of = |frame: &[u8], side| {
            Conversation::of(&Dissector::default().dissect(frame), side).to_string()
        };
        let forth = samples::datagram();
        let mut back = forth.clone();
        (back[29], back[33]) = (forth[33], forth[29]);
        back[34..36].copy_from_slice(&forth[36..38]);
        back[36..38].copy_from_slice(&forth[34..36]);
        assert_eq!(of(&forth, Side::Theirs), "UDP 192.168.100.1.40000 > 192.168.100.2.7");
        assert_eq!(of(&back, Side::Ours), of(&forth, Side::Theirs));
        // What an error of ours quotes is what they have sent.
        let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
        message.extend(&forth[14..]);
        let error = samples::ethernet(0x0800, &samples::ipv4(1, &message));
        assert_eq!(of(&error, Side::Ours), of(&forth, Side::Theirs));
        assert_eq!(of(&[0; 14], Side::Ours), "other frames");
    }
}
