//! Which frame answers which, and how long it took.
//!
//! Echo replies are matched to requests by addresses, identifier and sequence number. Requests
//! that are never answered are forgotten in the order in which they came.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::proto::{Stack, be16, icmp, ipv4, ipv4_at};

/// Requests that are remembered at most.
const MEMORY: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    asker: Ipv4Addr,
    answerer: Ipv4Addr,
    identifier: u16,
    sequence: u16,
}

/// Remembers requests and finds them for their replies.
#[derive(Debug, Default)]
pub struct Replies {
    asked: HashMap<Key, Timestamp>,
    order: VecDeque<(Key, Timestamp)>,
}

impl Replies {
    /// Looks at a frame seen at `now`; if it answers an earlier one, says after how long.
    pub fn observe(&mut self, stack: &Stack<'_>, now: Timestamp) -> Option<Duration> {
        let [_, network, message, ..] = stack.layers else { return None };
        let [kind, _, ..] = *stack.header(2) else { return None };
        if network.protocol != &ipv4::IPV4 || message.protocol != &icmp::ICMP {
            return None;
        }
        let (ip, header) = (stack.header(1), stack.header(2));
        let (src, dst) = (ipv4_at(ip, 12)?, ipv4_at(ip, 16)?);
        let (identifier, sequence) = (be16(header, 4)?, be16(header, 6)?);
        match kind {
            icmp::ECHO_REQUEST => {
                self.remember(Key { asker: src, answerer: dst, identifier, sequence }, now);
                None
            }
            icmp::ECHO_REPLY => {
                let key = Key { asker: dst, answerer: src, identifier, sequence };
                self.asked.remove(&key).map(|asked| now.since(asked))
            }
            _ => None,
        }
    }

    fn remember(&mut self, key: Key, now: Timestamp) {
        self.asked.insert(key, now);
        self.order.push_back((key, now));
        while self.order.len() > MEMORY {
            let Some((key, time)) = self.order.pop_front() else { break };
            if self.asked.get(&key) == Some(&time) {
                self.asked.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::craft::{EchoRequest, Route};
    use crate::dissect::Dissector;
    use pnet::util::MacAddr;

    fn echo(sequence: u16, is_reply: bool) -> Vec<u8> {
        let (a, b) = (Ipv4Addr::new(192, 168, 100, 1), Ipv4Addr::new(192, 168, 100, 2));
        let (source, destination) = if is_reply { (b, a) } else { (a, b) };
        let mac = MacAddr(2, 0, 0, 0, 0, 1);
        let route = Route { source_mac: mac, destination_mac: mac, source, destination };
        let echo = EchoRequest { identifier: 7, sequence, ttl: 64, tos: 0, ip_id: 0, data: b"abc" };
        let mut frame = echo.frame(&route);
        if is_reply {
            frame[34] = icmp::ECHO_REPLY;
        }
        frame
    }

    fn observe(replies: &mut Replies, frame: &[u8], now: u64) -> Option<Duration> {
        replies.observe(&Dissector::default().dissect(frame), Timestamp(now))
    }

    #[test]
    fn a_reply_tells_how_long_its_request_has_waited_and_only_once() {
        let mut replies = Replies::default();
        assert_eq!(observe(&mut replies, &echo(1, false), 1000), None);
        assert_eq!(observe(&mut replies, &echo(2, true), 1500), None, "another sequence number");
        assert_eq!(observe(&mut replies, &echo(1, true), 3500), Some(Duration::from_nanos(2500)));
        assert_eq!(observe(&mut replies, &echo(1, true), 4000), None, "a duplicate");
    }

    #[test]
    fn memory_is_bounded() {
        let mut replies = Replies::default();
        for n in 0..3 * MEMORY {
            observe(&mut replies, &echo(n as u16, false), n as u64);
        }
        assert!(replies.asked.len() <= MEMORY && replies.order.len() <= MEMORY);
    }
}
