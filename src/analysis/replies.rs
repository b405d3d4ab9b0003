//! Which frame answers which, and how long it took.
//!
//! What asks and what answers is said by the protocols ([`crate::proto::Exchange`]); questions that
//! are never answered are forgotten in the order in which they came.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::proto::Stack;

/// Questions that are remembered at most.
const MEMORY: usize = 4096;

/// The keys are hashes already.
type AsItIs = BuildHasherDefault<Key>;

/// A hash that is its key.
#[derive(Debug, Default)]
struct Key(u64);

impl Hasher for Key {
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Remembers questions and finds them for their answers.
#[derive(Debug, Default)]
pub struct Replies {
    asked: HashMap<u64, Timestamp, AsItIs>,
    order: VecDeque<(u64, Timestamp)>,
}

impl Replies {
    /// Looks at a frame seen at `now`; if it answers an earlier one, says after how long. The
    /// uppermost layer that asks or answers decides.
    pub fn observe(&mut self, stack: &Stack<'_>, now: Timestamp) -> Option<Duration> {
        let layers = stack.layers.iter().enumerate().rev();
        let mut own = layers.filter(|(_, layer)| !layer.is_quoted);
        let exchange = own.find_map(|(n, layer)| (layer.protocol.exchange)(stack, n))?;
        if exchange.is_answer {
            return self.asked.remove(&exchange.key).map(|asked| now.since(asked));
        }
        self.remember(exchange.key, now);
        None
    }

    /// A question that is repeated is answered from its last time on.
    fn remember(&mut self, key: u64, now: Timestamp) {
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
    use std::net::Ipv4Addr;

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
            frame[34] = crate::proto::icmp::ECHO_REPLY;
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
