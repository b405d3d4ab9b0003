//! What a DNS record holds, as text that people read, in the manner of master files (RFC 1035 section
//! 5.1; unknown types and broken data: RFC 3597 section 5).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::dns_message::{OPT, end_of_name};
use super::{Domain, be16, be32, ipv4_at, read::ipv6_at};
use crate::escape;

/// What a record holds; it shows itself escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordData<'a> {
    /// The whole message, to which compressed names refer.
    pub message: &'a [u8],
    /// The type of the record.
    pub kind: u16,
    /// Where in the message the data begins.
    pub at: usize,
    /// How many bytes it has.
    pub length: usize,
}

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const PTR: u16 = 12;
const HINFO: u16 = 13;
const MX: u16 = 15;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const DNAME: u16 = 39;
const NSEC: u16 = 47;
const SVCB: u16 = 64;
const HTTPS: u16 = 65;
const CAA: u16 = 257;

impl<'a> RecordData<'a> {
    /// The bytes, up to the end of the data.
    fn bytes(&self) -> &'a [u8] {
        self.message.get(self.at..self.at.saturating_add(self.length)).unwrap_or_default()
    }

    /// The name `offset` bytes into the data, and where it ends in the data.
    fn name(&self, offset: usize) -> Option<(Domain<'a>, usize)> {
        let at = self.at.checked_add(offset)?;
        let end = end_of_name(self.message, at).ok()?.checked_sub(self.at)?;
        (end <= self.length).then_some((Domain { message: self.message, at }, end))
    }

    /// What the type says that it is; `None` if the type is not known or the data is not so.
    fn read(&self) -> Option<Data<'a>> {
        let bytes = self.bytes();
        Some(match self.kind {
            A if bytes.len() == 4 => Data::Ipv4(ipv4_at(bytes, 0)?),
            AAAA if bytes.len() == 16 => Data::Ipv6(ipv6_at(bytes, 0)?),
            NS | CNAME | PTR | DNAME => Data::Name(self.name(0)?.0),
            MX => Data::Numbered([be16(bytes, 0)?, 0, 0], 1, self.name(2)?.0),
            SRV => {
                let numbers = [be16(bytes, 0)?, be16(bytes, 2)?, be16(bytes, 4)?];
                Data::Numbered(numbers, 3, self.name(6)?.0)
            }
            SOA => {
                let (primary, next) = self.name(0)?;
                let (mailbox, next) = self.name(next)?;
                Data::Authority(primary, mailbox, bytes.get(next..next + 20)?)
            }
            TXT | HINFO if !bytes.is_empty() => Data::Strings(bytes),
            SVCB | HTTPS => {
                let (target, end) = self.name(2)?;
                Data::Service(be16(bytes, 0)?, target, bytes.get(end..)?)
            }
            CAA => {
                let tag = usize::from(*bytes.get(1)?);
                Data::Issuer(*bytes.first()?, bytes.get(2..2 + tag)?, bytes.get(2 + tag..)?)
            }
            NSEC => {
                let (next, end) = self.name(0)?;
                Data::Next(next, bytes.get(end..)?)
            }
            OPT => Data::Options(bytes),
            _ => return None,
        })
    }
}

/// Data that could be read.
enum Data<'a> {
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
    Name(Domain<'a>),
    /// The first so many of the numbers, and a name.
    Numbered([u16; 3], usize, Domain<'a>),
    /// Of SOA: primary server, mailbox and five numbers.
    Authority(Domain<'a>, Domain<'a>, &'a [u8]),
    /// Strings with a byte of length each.
    Strings(&'a [u8]),
    /// Of SVCB: priority, target and parameters.
    Service(u16, Domain<'a>, &'a [u8]),
    /// Of CAA: flags, tag and value.
    Issuer(u8, &'a [u8], &'a [u8]),
    /// Of NSEC: the next name, and a map of the types that this one has.
    Next(Domain<'a>, &'a [u8]),
    /// Of OPT.
    Options(&'a [u8]),
}

impl fmt::Display for RecordData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(data) = self.read() else { return show_unknown(self.bytes(), f) };
        match data {
            Data::Ipv4(address) => address.fmt(f),
            Data::Ipv6(address) => address.fmt(f),
            Data::Name(name) => name.fmt(f),
            Data::Numbered(numbers, count, name) => {
                numbers.iter().take(count).try_for_each(|number| write!(f, "{number} "))?;
                name.fmt(f)
            }
            Data::Authority(primary, mailbox, numbers) => {
                write!(f, "{primary} {mailbox}")?;
                let mut numbers = (0..5).filter_map(|n| be32(numbers, 4 * n));
                numbers.try_for_each(|number| write!(f, " {number}"))
            }
            Data::Strings(strings) => show_strings(strings, f),
            Data::Service(priority, target, parameters) => {
                write!(f, "{priority} {target}")?;
                let mut each = keyed(parameters);
                each.try_for_each(|(key, value)| write!(f, " key{key} of {} bytes", value.len()))
            }
            Data::Issuer(flags, tag, value) => {
                write!(f, "{flags} {} \"{}\"", escape::terminal(tag), escape::terminal(value))
            }
            Data::Next(next, types) => {
                next.fmt(f)?;
                show_types(types, f)
            }
            Data::Options(options) => show_options(options, f),
        }
    }
}

/// Bytes that nothing is known about.
fn show_unknown(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\\# {}", bytes.len())?;
    for (n, byte) in bytes.iter().enumerate() {
        write!(f, "{}{byte:02x}", if n == 0 { " " } else { "" })?;
    }
    Ok(())
}

fn show_strings(mut rest: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut gap = "";
    while let Some((&length, behind)) = rest.split_first() {
        let (string, next) = behind.split_at(behind.len().min(length.into()));
        write!(f, "{gap}\"{}\"", escape::terminal(string))?;
        (gap, rest) = (" ", next);
    }
    Ok(())
}

/// Values with a key and a length of two bytes each, as far as they can be read.
fn keyed(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (key, length) = (be16(rest, 0)?, usize::from(be16(rest, 2)?));
        let value = rest.get(4..4 + length)?;
        rest = &rest[4 + length..];
        Some((key, value))
    })
}

/// The types of NSEC's map: blocks of 256 with a bit for each (RFC 4034 section 4.1.2).
fn show_types(mut rest: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    while let [block, length, behind @ ..] = rest {
        let (bits, next) = behind.split_at(behind.len().min((*length).into()));
        for n in (0..bits.len().min(32) * 8).filter(|n| bits[n / 8] & (0x80 >> (n % 8)) != 0) {
            let kind = u16::from(*block) << 8 | n as u16;
            match type_name(kind.into()) {
                Some(name) => write!(f, " {name}")?,
                None => write!(f, " TYPE{kind}")?,
            }
        }
        rest = next;
    }
    Ok(())
}

/// The options of EDNS (RFC 6891 section 6.1.2): which, and how long.
fn show_options(options: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if options.is_empty() {
        return f.write_str("no options");
    }
    for (n, (code, value)) in keyed(options).enumerate() {
        f.write_str(if n == 0 { "" } else { ", " })?;
        match option_name(code) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "option {code}")?,
        }
        write!(f, " of {} bytes", value.len())?;
    }
    Ok(())
}

/// The name of an EDNS option (IANA's registry).
fn option_name(code: u16) -> Option<&'static str> {
    Some(match code {
        3 => "name server id",
        8 => "client subnet",
        9 => "expire",
        10 => "cookie",
        11 => "TCP keepalive",
        12 => "padding",
        15 => "extended error",
        _ => return None,
    })
}

/// The name of a record's or question's type (IANA's registry).
pub fn type_name(kind: u64) -> Option<&'static str> {
    Some(match u16::try_from(kind).ok()? {
        A => "A",
        NS => "NS",
        CNAME => "CNAME",
        SOA => "SOA",
        PTR => "PTR",
        HINFO => "HINFO",
        MX => "MX",
        TXT => "TXT",
        AAAA => "AAAA",
        SRV => "SRV",
        35 => "NAPTR",
        DNAME => "DNAME",
        OPT => "OPT",
        43 => "DS",
        46 => "RRSIG",
        NSEC => "NSEC",
        48 => "DNSKEY",
        50 => "NSEC3",
        52 => "TLSA",
        SVCB => "SVCB",
        HTTPS => "HTTPS",
        99 => "SPF",
        249 => "TKEY",
        250 => "TSIG",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        CAA => "CAA",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: u16, bytes: &[u8]) -> String {
        let message = [b"\x07example\x03com\x00".as_slice(), bytes].concat();
        RecordData { message: &message, kind, at: 13, length: bytes.len() }.to_string()
    }

    #[test]
    fn every_type_reads_as_in_a_master_file() {
        let next = [&[0xc0, 0][..], &[0, 5, 0x40, 0, 0, 0, 0x40], &[1, 1, 0x40]].concat();
        let lines = [
            shown(A, &[93, 184, 216, 34]),
            shown(AAAA, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            shown(CNAME, b"\x03www\xc0\x00"),
            shown(MX, b"\x00\x0a\x04mail\xc0\x00"),
            shown(SRV, b"\0\0\0\x05\x00\x50\x05esp32\xc0\x00"),
            shown(TXT, b"\x05path=\x07a\x1b[2J\"b"),
            shown(SOA, &[&[0xc0, 0, 0xc0, 0][..], &[0, 0, 0, 7].repeat(5)].concat()),
            shown(CAA, b"\x00\x05issueca.example.net"),
            shown(HTTPS, b"\0\x01\0\0\x01\0\x03\x02h2"),
            shown(NSEC, &next),
            shown(OPT, &[0, 10, 0, 2, 1, 2, 0xfd, 0xe9, 0, 0]),
            shown(OPT, &[]),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        93.184.216.34
        2001:db8::1
        www.example.com
        10 mail.example.com
        0 5 80 esp32.example.com
        "path=" "a\x1b[2J"b"
        example.com example.com 7 7 7 7 7
        0 issue "ca.example.net"
        1 . key1 of 3 bytes
        example.com A SRV CAA
        cookie of 2 bytes, option 65001 of 0 bytes
        no options
        "#);
    }

    #[test]
    fn what_is_not_what_its_type_says_is_shown_as_bytes() {
        assert_eq!(shown(A, &[1, 2, 3]), "\\# 3 010203");
        assert_eq!(shown(CNAME, &[0xc0, 99]), "\\# 2 c063");
        assert_eq!(shown(MX, &[]), "\\# 0");
        assert_eq!(shown(65280, &[0xab]), "\\# 1 ab");
    }
}
