//! Reading numbers and addresses from headers, and declaring fields.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The big-endian 16-bit number at `at`.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// The big-endian 32-bit number at `at`.
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// The IPv4 address at `at`.
pub(crate) fn ipv4_at(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    be32(bytes, at).map(Ipv4Addr::from)
}

/// The IPv6 address at `at`.
pub(crate) fn ipv6_at(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    let octets: [u8; 16] = bytes.get(at..at.checked_add(16)?)?.try_into().ok()?;
    Some(Ipv6Addr::from(octets))
}

/// The Ethernet address at `at`.
pub(crate) fn mac_at(bytes: &[u8], at: usize) -> Option<[u8; 6]> {
    bytes.get(at..at.checked_add(6)?)?.try_into().ok()
}

/// Declares a [`super::Field`] of fixed place: its name, where it is, how it is read from the header,
/// and on demand what its numbers mean: `names` is a function of the number, `meaning` one of the
/// header and the number.
macro_rules! field {
    ($name:literal, $at:literal, 1 $(, $how:ident $f:expr)?) => {
        field!($name, $at, 1, Number, |h| h.get($at).map(|b| $crate::proto::Value::Number(u64::from(*b))) $(, $how $f)?)
    };
    ($name:literal, $at:literal, 2 $(, $how:ident $f:expr)?) => {
        field!($name, $at, 2, Number, |h| $crate::proto::be16(h, $at).map(|n| $crate::proto::Value::Number(n.into())) $(, $how $f)?)
    };
    ($name:literal, $at:literal, 4 $(, $how:ident $f:expr)?) => {
        field!($name, $at, 4, Number, |h| $crate::proto::be32(h, $at).map(|n| $crate::proto::Value::Number(n.into())) $(, $how $f)?)
    };
    ($name:literal, $at:literal, mac) => {
        field!($name, $at, 6, Mac, |h| $crate::proto::mac_at(h, $at).map($crate::proto::Value::Mac))
    };
    ($name:literal, $at:literal, ipv4) => {
        field!($name, $at, 4, Ipv4, |h| $crate::proto::ipv4_at(h, $at).map($crate::proto::Value::Ipv4))
    };
    ($name:literal, $at:literal, ipv6) => {
        field!($name, $at, 16, Ipv6, |h| $crate::proto::read::ipv6_at(h, $at).map($crate::proto::Value::Ipv6))
    };
    ($name:literal, $at:literal, hex8 $(, $how:ident $f:expr)?) => {
        field!($name, $at, 1, Hex, |h| h.get($at).map(|b| $crate::proto::Value::Hex(u64::from(*b))) $(, $how $f)?)
    };
    ($name:literal, $at:literal, hex16 $(, $how:ident $f:expr)?) => {
        field!($name, $at, 2, Hex, |h| $crate::proto::be16(h, $at).map(|n| $crate::proto::Value::Hex(n.into())) $(, $how $f)?)
    };
    ($name:literal, $at:literal, hex32 $(, $how:ident $f:expr)?) => {
        field!($name, $at, 4, Hex, |h| $crate::proto::be32(h, $at).map(|n| $crate::proto::Value::Hex(n.into())) $(, $how $f)?)
    };
    ($name:literal, $at:literal, bit $mask:literal) => {
        field!($name, $at, 1, Flag, |h| h.get($at).map(|b| $crate::proto::Value::Flag(b & $mask != 0)))
    };
    ($name:literal, $at:literal, $len:literal, $kind:ident, $get:expr) => {
        field!($name, $at, $len, $kind, $get, meaning |_, _| None)
    };
    ($name:literal, $at:literal, $len:literal, $kind:ident, $get:expr, names $names:expr) => {
        field!($name, $at, $len, $kind, $get, meaning |_, n| $names(n))
    };
    ($name:literal, $at:literal, $len:literal, $kind:ident, $get:expr, meaning $meaning:expr) => {
        $crate::proto::Field {
            name: $name,
            kind: $crate::proto::Kind::$kind,
            is_many: false,
            at: ($at, $len),
            get: Some($get),
            meaning: $meaning,
        }
    };
}
pub(crate) use field;

/// Declares a [`super::Field`] that `list` visits: its name and kind, and `many` if a layer may have
/// several of it.
macro_rules! listed {
    ($name:literal, $kind:ident) => {
        listed!($name, $kind, is_many false)
    };
    ($name:literal, $kind:ident, many) => {
        listed!($name, $kind, is_many true)
    };
    ($name:literal, $kind:ident, is_many $many:literal) => {
        $crate::proto::Field {
            name: $name,
            kind: $crate::proto::Kind::$kind,
            is_many: $many,
            at: (0, 0),
            get: None,
            meaning: |_, _| None,
        }
    };
}
pub(crate) use listed;
