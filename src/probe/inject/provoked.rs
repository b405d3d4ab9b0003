//! What comes back, told from what the device says of itself.
//!
//! A device announces its address at its start, asks for its neighbours, and looks for services, whatever
//! is sent to it. An answer is what the protocols take for one, and anything else that goes to an address
//! from which something was sent and is no question for a neighbour.

use std::collections::HashSet;

use crate::analysis::replies::Replies;
use crate::clock::Timestamp;
use crate::dissect::Dissector;
use crate::proto::{arp, ethernet};

/// The type of the message that asks for a neighbour (RFC 4861 section 4.3).
const NEIGHBOR_SOLICITATION: u8 = 135;
/// Senders that are remembered at most.
const MEMORY: usize = 1024;

/// Remembers what was sent, and knows what it may have provoked.
#[derive(Default)]
pub(super) struct Provoked {
    dissector: Dissector,
    replies: Replies,
    senders: HashSet<[u8; 6]>,
}

impl Provoked {
    /// A frame has gone out.
    pub fn sent(&mut self, frame: &[u8], at: Timestamp) {
        self.replies.observe(&self.dissector.dissect(frame), at);
        if let Some(sender) = ethernet::source(frame)
            && self.senders.len() < MEMORY
        {
            self.senders.insert(sender);
        }
    }

    /// Whether a frame that has come is an answer to that, as far as anybody can see.
    pub fn is_answer(&mut self, frame: &[u8], at: Timestamp) -> bool {
        let stack = self.dissector.dissect(frame);
        if self.replies.observe(&stack, at).is_some() {
            return true;
        }
        let is_question = stack.layers.iter().enumerate().any(|(n, layer)| {
            let header = stack.header(n);
            match layer.protocol.name {
                "arp" => header.get(6..8) == Some(&arp::REQUEST.to_be_bytes()),
                "icmpv6" => header.first() == Some(&NEIGHBOR_SOLICITATION),
                _ => false,
            }
        });
        let is_ours = frame.get(..6).is_some_and(|to| self.senders.contains(to));
        is_ours && !is_question
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ours, theirs};
    use super::*;

    #[test]
    fn what_the_device_says_of_itself_is_no_answer() {
        let mut provoked = Provoked::default();
        let now = Timestamp::default();
        assert!(!provoked.is_answer(&theirs("icmp(type=0)"), now), "nothing was sent yet");
        provoked.sent(&ours("icmp"), now);
        for (text, is_answer) in [
            ("icmp(type=0)", true),
            ("icmp(type=3,code=2)/ip/\"x\"", true),
            ("tcp(flags=R)", true),
            ("arp(spa=192.168.100.2,tpa=192.168.100.2)", false),
            ("arp", false),
            ("eth(dst=02:00:00:00:00:01)/arp", false),
            ("eth(dst=01:00:5e:00:00:fb)/ip(dst=224.0.0.251)/udp(port=5353)", false),
            ("icmp6(type=135)", false),
            ("eth(dst=02:00:00:00:00:77)/ip/icmp(type=0,id=9)", false),
        ] {
            assert_eq!(provoked.is_answer(&theirs(text), now), is_answer, "{text}");
        }
        provoked.sent(&ours("arp"), now);
        assert!(provoked.is_answer(&theirs("arp(op=reply)"), now));
        provoked.sent(&ours("dhcp"), now);
        let offer = "eth(dst=broadcast)/ip(dst=255.255.255.255)/udp(sport=67,dport=68)/\
                     dhcp(op=2,chaddr=02:00:00:00:00:01,option.message_type=offer)";
        assert!(provoked.is_answer(&theirs(offer), now), "to everybody, and ours all the same");
    }
}
