//! What becomes of requests, one by one.

use std::net::IpAddr;
use std::time::Duration;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A reply to a request that had none yet.
    Reply(Reply),
    /// Another reply to a request that had one.
    Duplicate(Reply),
    /// A request has had no reply for as long as the plan allows.
    Timeout {
        /// Number of the request, from 1.
        number: u64,
        /// Bytes of data it carried.
        size: usize,
    },
    /// Somebody answered with an ICMP error, which need not be the last word.
    Error {
        /// Number of the request, from 1.
        number: u64,
        /// Who.
        from: IpAddr,
        /// What the error says.
        text: String,
    },
    /// A reply that goes to somebody else, or comes from there; it counts as none.
    Misdirected {
        /// Number of the request, from 1.
        number: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A reply whose checksum is wrong; it counts as none.
    BadChecksum {
        /// Number of the request, from 1.
        number: u64,
    },
    /// Bytes that make no frame.
    Framing(String),
    /// The line was gone and is back; requests that were due meanwhile are lost.
    Back {
        /// How its end showed.
        how: String,
        /// For how long it was gone.
        after: Duration,
    },
}

/// A reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Number of the request, from 1.
    pub number: u64,
    /// Bytes of ICMP message.
    pub length: usize,
    /// TTL of the reply.
    pub ttl: u8,
    /// From the request's departure to the reply's last byte.
    pub time: Duration,
    /// Where its data differs from what was sent.
    pub damage: Option<Damage>,
}

/// The first difference between data sent and data received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A byte has another value.
    Byte {
        /// Its position in the data.
        at: usize,
        /// What was sent.
        sent: u8,
        /// What came back.
        got: u8,
    },
    /// The data has another length.
    Length {
        /// What was sent.
        sent: usize,
        /// What came back.
        got: usize,
    },
}

/// Where `got` differs from `sent`.
pub(super) fn damage(sent: &[u8], got: &[u8]) -> Option<Damage> {
    let differs = sent.iter().zip(got).position(|(a, b)| a != b);
    match differs {
        Some(at) => Some(Damage::Byte { at, sent: sent[at], got: got[at] }),
        None if sent.len() != got.len() => {
            Some(Damage::Length { sent: sent.len(), got: got.len() })
        }
        None => None,
    }
}
