//! The fields that scripts name: where each stands in what comes, and how it is set in what goes.

use std::net::Ipv4Addr;

use super::draft::{Draft, Layer};
use crate::conformance::seen::Seen;
use crate::craft::layers::Checksum;
use crate::proto::{MacAddr, be16, be32};

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A number.
    Number(u64),
    /// An IPv4 address.
    Ip(Ipv4Addr),
    /// An Ethernet address.
    Mac(MacAddr),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A checksum that is to be sent.
    Checksum(Checksum),
    /// Whether a checksum that came is right.
    IsRight(bool),
}

/// How a field's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number of so many bits; sums wrap there.
    Number(u32),
    /// `192.168.100.1`, `host`, `device`, `net.77`.
    Ip,
    /// `02:00:00:00:00:01`, `host`, `device`, `broadcast`.
    Mac,
    /// `"text"`, hex.
    Bytes,
    /// To send: `bad`, `zero` or a number; to expect: `ok` or `bad`.
    Checksum,
}

type Get = fn(&Seen) -> Option<Value>;
type Set = fn(&mut Draft, Value);

/// A field.
pub(super) struct Field {
    /// Its name with its layer: `tcp.seq`.
    pub name: &'static str,
    /// How its value is written.
    pub kind: Kind,
    /// Where it stands in what comes.
    pub get: Option<Get>,
    /// How it is set in what goes.
    pub set: Option<Set>,
}

impl Field {
    /// The field of that name: `seq` of a segment, `ip.ttl` of anything.
    pub fn find(layer: Layer, name: &str) -> Option<&'static Field> {
        let has_name = |field: &&Field| match field.name.split_once('.') {
            Some(("any", own)) => own == name,
            Some((of, own)) => field.name == name || of == layer.name() && own == name,
            None => false,
        };
        FIELDS.iter().find(has_name)
    }

    /// The name that is nearest, to be shown where one is unknown.
    pub fn near(layer: Layer, name: &str) -> Option<&'static str> {
        let own = |field: &'static Field| match field.name.split_once('.') {
            Some((of, own)) if of == layer.name() || of == "any" => own,
            _ => field.name,
        };
        let far = |known: &str| crate::conformance::select::distance(name, known);
        let near = FIELDS.iter().map(own).min_by_key(|known| far(known))?;
        (far(near) <= (near.len() / 2).clamp(1, 3)).then_some(near)
    }
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Field) -> bool {
        self.name == other.name
    }
}

const fn both(name: &'static str, kind: Kind, get: Get, set: Set) -> Field {
    Field { name, kind, get: Some(get), set: Some(set) }
}

const fn seen(name: &'static str, kind: Kind, get: Get) -> Field {
    Field { name, kind, get: Some(get), set: None }
}

const fn sent(name: &'static str, kind: Kind, set: Set) -> Field {
    Field { name, kind, get: None, set: Some(set) }
}

fn number(value: impl Into<u64>) -> Option<Value> {
    Some(Value::Number(value.into()))
}

/// The number that was given; what is none was refused when the script was read.
fn n(value: &Value) -> u64 {
    match value {
        Value::Number(number) => *number,
        _ => 0,
    }
}

fn ip(value: &Value) -> Ipv4Addr {
    match value {
        Value::Ip(ip) => *ip,
        _ => Ipv4Addr::UNSPECIFIED,
    }
}

fn mac(value: &Value) -> MacAddr {
    match value {
        Value::Mac(mac) => *mac,
        _ => MacAddr::zero(),
    }
}

fn bytes(value: Value) -> Vec<u8> {
    match value {
        Value::Bytes(bytes) => bytes,
        _ => Vec::new(),
    }
}

fn checksum(value: &Value) -> Checksum {
    match value {
        Value::Checksum(checksum) => *checksum,
        _ => Checksum::Right,
    }
}

/// An option of a segment, as a number of its length.
fn option(seen: &Seen, kind: u8) -> Option<Value> {
    let tcp = seen.tcp()?;
    let value = tcp.option(kind)?;
    match value.len() {
        0 => number(1u64), // that it is there is all
        1 => number(value[0]),
        2 | 3 => number(be16(value, 0)?),
        _ => number(be32(value, 0)?),
    }
}

const N8: Kind = Kind::Number(8);
const N16: Kind = Kind::Number(16);
const N32: Kind = Kind::Number(32);

/// Every field; those of `any` belong to every message.
#[rustfmt::skip]
pub(super) static FIELDS: &[Field] = &[
    both("eth.dst", Kind::Mac, |s| s.destination().map(Value::Mac), |d, v| d.eth.destination = mac(&v)),
    both("eth.src", Kind::Mac, |s| s.source().map(Value::Mac), |d, v| d.eth.source = mac(&v)),
    both("eth.type", N16, |s| s.kind().and_then(number), |d, v| d.eth.kind = n(&v) as u16),

    both("arp.op", N16, |s| number(s.arp()?.op), |d, v| d.arp.op = n(&v) as u16),
    sent("arp.htype", N16, |d, v| d.arp.hardware = n(&v) as u16),
    sent("arp.ptype", N16, |d, v| d.arp.protocol = n(&v) as u16),
    sent("arp.hlen", N8, |d, v| d.arp.hardware_length = n(&v) as u8),
    sent("arp.plen", N8, |d, v| d.arp.protocol_length = n(&v) as u8),
    both("arp.sha", Kind::Mac, |s| Some(Value::Mac(s.arp()?.sha.into())), |d, v| d.arp.sha = mac(&v)),
    both("arp.spa", Kind::Ip, |s| Some(Value::Ip(s.arp()?.spa)), |d, v| d.arp.spa = ip(&v)),
    both("arp.tha", Kind::Mac, |s| Some(Value::Mac(s.arp()?.tha.into())), |d, v| d.arp.tha = mac(&v)),
    both("arp.tpa", Kind::Ip, |s| Some(Value::Ip(s.arp()?.tpa)), |d, v| d.arp.tpa = ip(&v)),

    both("ip.src", Kind::Ip, |s| Some(Value::Ip(s.ip()?.source)), |d, v| d.ip.source = ip(&v)),
    both("ip.dst", Kind::Ip, |s| Some(Value::Ip(s.ip()?.destination)), |d, v| d.ip.destination = ip(&v)),
    both("ip.ttl", N8, |s| number(s.ip()?.ttl), |d, v| d.ip.ttl = n(&v) as u8),
    both("ip.tos", N8, |s| number(s.ip()?.tos), |d, v| d.ip.tos = n(&v) as u8),
    both("ip.id", N16, |s| number(s.ip()?.id), |d, v| d.ip.id = n(&v) as u16),
    both("ip.flags", Kind::Number(3), |s| number(s.ip()?.flags), |d, v| d.ip.flags = n(&v) as u8),
    both("ip.off", Kind::Number(13), |s| number(s.ip()?.offset as u64 / 8), |d, v| d.ip.offset = n(&v) as u16),
    both("ip.proto", N8, |s| number(s.ip()?.protocol), |d, v| d.ip.protocol = n(&v) as u8),
    both("ip.total", N16, |s| { let ip = s.ip()?; number((ip.header.len() + ip.payload.len()) as u64) }, |d, v| d.ip.total_length = Some(n(&v) as u16)),
    both("ip.ihl", Kind::Number(4), |s| number(s.ip()?.header.len() as u64 / 4), |d, v| d.ip.ihl = Some(n(&v) as u8)),
    sent("ip.version", Kind::Number(4), |d, v| d.ip.version = n(&v) as u8),
    both("ip.opt", Kind::Bytes, |s| Some(Value::Bytes(s.ip()?.header.get(20..)?.to_vec())), |d, v| d.ip.options = bytes(v)),
    both("ip.cksum", Kind::Checksum, |s| Some(Value::IsRight(crate::checksum::internet(s.ip()?.header) == 0)), |d, v| d.ip.checksum = checksum(&v)),
    seen("ip.len", N16, |s| number(s.ip()?.payload.len() as u64)),

    both("icmp.type", N8, |s| number(s.icmp()?.kind), |d, v| d.icmp.kind = n(&v) as u8),
    both("icmp.code", N8, |s| number(s.icmp()?.code), |d, v| d.icmp.code = n(&v) as u8),
    both("icmp.id", N16, |s| number(be16(&s.icmp()?.rest, 0)?), |d, v| d.icmp.rest[..2].copy_from_slice(&(n(&v) as u16).to_be_bytes())),
    both("icmp.seq", N16, |s| number(be16(&s.icmp()?.rest, 2)?), |d, v| d.icmp.rest[2..].copy_from_slice(&(n(&v) as u16).to_be_bytes())),
    both("icmp.rest", N32, |s| number(be32(&s.icmp()?.rest, 0)?), |d, v| d.icmp.rest = (n(&v) as u32).to_be_bytes()),
    both("icmp.data", Kind::Bytes, |s| Some(Value::Bytes(s.icmp()?.data.to_vec())), |d, v| d.data = bytes(v)),
    seen("icmp.len", N16, |s| number(s.icmp()?.data.len() as u64)),
    both("icmp.cksum", Kind::Checksum, |s| { s.icmp()?; s.transport_checksum().map(Value::IsRight) }, |d, v| d.set_checksum(checksum(&v))),

    both("udp.sport", N16, |s| number(s.udp()?.source), |d, v| d.udp.source = n(&v) as u16),
    both("udp.dport", N16, |s| number(s.udp()?.destination), |d, v| d.udp.destination = n(&v) as u16),
    both("udp.len", N16, |s| number(s.udp()?.data.len() as u64), |d, v| d.udp.length = Some(n(&v) as u16)),
    both("udp.data", Kind::Bytes, |s| Some(Value::Bytes(s.udp()?.data.to_vec())), |d, v| d.data = bytes(v)),
    both("udp.cksum", Kind::Checksum, |s| { s.udp()?; Some(Value::IsRight(s.transport_checksum() != Some(false))) }, |d, v| d.set_checksum(checksum(&v))),

    both("tcp.sport", N16, |s| number(s.tcp()?.source), |d, v| d.tcp.source = n(&v) as u16),
    both("tcp.dport", N16, |s| number(s.tcp()?.destination), |d, v| d.tcp.destination = n(&v) as u16),
    both("tcp.seq", N32, |s| number(s.tcp()?.seq), |d, v| d.tcp.seq = n(&v) as u32),
    both("tcp.ack", N32, |s| number(s.tcp()?.ack), |d, v| d.tcp.ack = n(&v) as u32),
    seen("tcp.end", N32, |s| number(s.tcp()?.end())),
    both("tcp.off", Kind::Number(4), |s| number(s.tcp()?.options.len() as u64 / 4 + 5), |d, v| d.tcp.data_offset = Some(n(&v) as u8)),
    both("tcp.res", Kind::Number(4), |s| number(s.tcp()?.reserved), |d, v| d.tcp.reserved = n(&v) as u8),
    both("tcp.flags", N8, |s| number(s.tcp()?.flags), |d, v| d.tcp.flags = n(&v) as u8),
    both("tcp.win", N16, |s| number(s.tcp()?.window), |d, v| d.tcp.window = n(&v) as u16),
    both("tcp.urg", N16, |s| number(s.tcp()?.urgent), |d, v| d.tcp.urgent = n(&v) as u16),
    both("tcp.cksum", Kind::Checksum, |s| { s.tcp()?; s.transport_checksum().map(Value::IsRight) }, |d, v| d.set_checksum(checksum(&v))),
    both("tcp.mss", N16, |s| option(s, 2), |d, v| d.add_option(2, &(n(&v) as u16).to_be_bytes())),
    both("tcp.ws", N8, |s| option(s, 3), |d, v| d.add_option(3, &[n(&v) as u8])),
    both("tcp.sackok", Kind::Number(1), |s| option(s, 4), |d, _| d.add_option(4, &[])),
    both("tcp.ts", N32, |s| option(s, 8), |d, v| d.add_option(8, &(n(&v) << 32).to_be_bytes())),
    seen("tcp.sack", N32, |s| option(s, 5)),
    sent("tcp.opt", Kind::Bytes, |d, v| d.tcp.options.extend(bytes(v))),
    seen("tcp.len", N16, |s| number(s.tcp()?.data.len() as u64)),
    both("tcp.data", Kind::Bytes, |s| Some(Value::Bytes(s.tcp()?.data.to_vec())), |d, v| d.data = bytes(v)),

    sent("any.raw", Kind::Bytes, |d, v| d.raw = Some(bytes(v))),
    sent("any.pad", Kind::Bytes, |d, v| d.pad = bytes(v)),
    sent("any.cut", N16, |d, v| d.cut = Some(n(&v) as usize)),
    sent("any.prefix", N16, |d, v| d.prefix = Some(n(&v) as u16)),
    seen("any.frame", N16, |s| number(s.bytes.len() as u64)),
];
