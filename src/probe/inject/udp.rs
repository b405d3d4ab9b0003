//! Datagrams to ports, and what each port says: a reply, an error by ICMP, nothing.

use std::net::IpAddr;
use std::time::Duration;

use super::walk::{self, Asks};
use crate::proto::Stack;

/// What to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Datagrams {
    /// Data.
    pub data: Vec<u8>,
}

/// A datagram that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its data.
    pub data: Vec<u8>,
    /// From whom.
    pub from: IpAddr,
    /// After how long.
    pub after: Duration,
}

impl Asks for Datagrams {
    type Said = Reply;
    const NAME: &'static str = "udp";
    const NUMBER: u8 = 17;

    fn question(&self, own: u16, port: u16) -> String {
        format!("udp(src_port={own},dst_port={port}){}", walk::data(&self.data))
    }

    fn answer(&self, stack: &Stack<'_>, at: usize, from: IpAddr, after: Duration) -> Option<Reply> {
        Some(Reply { data: stack.payload(at).to_vec(), from, after })
    }
}
