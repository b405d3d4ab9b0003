//! Who talks to whom: addresses and ports together, for the exchanges of application protocols.
//!
//! A question and its answer differ in nothing but the order of their ends, so the key of an
//! [`Exchange`] is made of the asker's end, the answerer's end and what the protocol itself says.

use std::hash::Hash;
use std::net::IpAddr;

use super::ip;
use super::{Exchange, Protocol, Stack};

/// An address and a port.
pub(super) type End = (IpAddr, u16);

/// Source and destination of layer `n`, whose layer below has ports.
pub(super) fn of(stack: &Stack<'_>, n: usize) -> Option<(End, End)> {
    let (source, destination) = ip::addresses(stack, n)?.both();
    let (from, to) = ip::ports(stack, n.checked_sub(1)?)?;
    Some(((source, from), (destination, to)))
}

/// A question of layer `n`, or an answer to it, between these two ends, told apart from others by `parts`.
pub(super) fn exchange(
    protocol: &Protocol,
    (stack, n): (&Stack<'_>, usize),
    is_answer: bool,
    parts: impl Hash,
) -> Option<Exchange> {
    let (source, destination) = of(stack, n)?;
    let (asker, answerer) = if is_answer { (destination, source) } else { (source, destination) };
    Some(Exchange::new(protocol, is_answer, (asker, answerer, parts)))
}
