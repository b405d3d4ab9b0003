//! The options of a DHCP message (RFC 2132), in the options field and, where the overload option says so,
//! in those of the file and the server's name (RFC 2131 section 4.1).

use super::{Item, Value, be16, be32, ipv4_at};

/// Where the server's name is in a message.
pub(crate) const SNAME: usize = 44;
/// Where the file is.
pub(crate) const FILE: usize = 108;
/// Where the magic cookie is, or vendor information in its place.
pub(crate) const COOKIE: usize = 236;
/// Where the options begin.
pub(crate) const OPTIONS: usize = 240;

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opt<'a> {
    /// Its number.
    pub(super) code: u8,
    /// Where its number is in the message.
    pub(super) at: usize,
    /// What it holds.
    pub(super) data: &'a [u8],
}

/// The options in `area` of the message, as far as they can be read.
#[derive(Clone, Debug)]
pub(super) struct Area<'a> {
    message: &'a [u8],
    at: usize,
    end: usize,
    broken_at: Option<usize>,
    is_ended: bool,
}

impl<'a> Area<'a> {
    pub(super) fn new(message: &'a [u8], start: usize, end: usize) -> Self {
        let end = end.min(message.len());
        Area { message, at: start, end, broken_at: None, is_ended: false }
    }

    /// Where the option begins that is longer than what is left.
    pub(super) fn broken_at(&self) -> Option<usize> {
        self.broken_at
    }

    /// Whether an end option was met.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }
}

impl<'a> Iterator for Area<'a> {
    type Item = Opt<'a>;

    fn next(&mut self) -> Option<Opt<'a>> {
        let area = self.message.get(..self.end)?;
        while area.get(self.at) == Some(&0) {
            self.at += 1;
        }
        let at = self.at;
        let code = *area.get(at)?;
        if code == 255 {
            (self.is_ended, self.at) = (true, self.end);
            return None;
        }
        let data = area.get(at + 1).and_then(|n| area.get(at + 2..at + 2 + usize::from(*n)));
        match data {
            Some(data) => {
                self.at = at + 2 + data.len();
                Some(Opt { code, at, data })
            }
            None => {
                (self.broken_at, self.at) = (Some(at), self.end);
                None
            }
        }
    }
}

/// All options of a message, in the order of the bytes: server's name and file only where they hold some.
pub(super) fn all(message: &[u8]) -> impl Iterator<Item = Opt<'_>> {
    let overload = overload(message);
    let extra = [(2, SNAME, FILE), (1, FILE, COOKIE)];
    let overloaded = extra.into_iter().filter(move |(bit, ..)| overload & bit != 0);
    overloaded.flat_map(|(_, start, end)| Area::new(message, start, end)).chain(Area::new(
        message,
        OPTIONS,
        message.len(),
    ))
}

/// What the overload option of the options field says: bits for file (1) and server's name (2).
pub(crate) fn overload(message: &[u8]) -> u8 {
    let value = find(message, 52).and_then(|data| data.first().copied());
    value.unwrap_or_default()
}

/// What the first option `code` of the options field holds.
pub(super) fn find(message: &[u8], code: u8) -> Option<&[u8]> {
    Area::new(message, OPTIONS, message.len()).find(|option| option.code == code).map(|o| o.data)
}

/// What an option holds.
enum Shape {
    Address(&'static str),
    Number(&'static str),
    Text(&'static str),
    Bytes(&'static str),
}

/// The field and the shape of the options that have fields of their own; several addresses or numbers of
/// one byte may follow each other.
fn shape(code: u8) -> Option<Shape> {
    Some(match code {
        1 => Shape::Address("option.subnet_mask"),
        3 => Shape::Address("option.router"),
        6 => Shape::Address("option.domain_name_server"),
        12 => Shape::Text("option.host_name"),
        15 => Shape::Text("option.domain_name"),
        28 => Shape::Address("option.broadcast_address"),
        42 => Shape::Address("option.ntp_server"),
        50 => Shape::Address("option.requested_address"),
        51 => Shape::Number("option.lease_time"),
        52 => Shape::Number("option.overload"),
        53 => Shape::Number("option.message_type"),
        54 => Shape::Address("option.server_identifier"),
        55 => Shape::Number("option.parameter_request"),
        56 => Shape::Text("option.message"),
        57 => Shape::Number("option.maximum_message_size"),
        58 => Shape::Number("option.renewal_time"),
        59 => Shape::Number("option.rebinding_time"),
        60 => Shape::Text("option.vendor_class"),
        61 => Shape::Bytes("option.client_identifier"),
        _ => return None,
    })
}

/// Visits one option: its number, and what it holds.
pub(super) fn visit_option(option: &Opt<'_>, visit: &mut dyn FnMut(Item<'_>)) {
    let Opt { code, at, data } = *option;
    let item = Item::new("option.code", Value::Number(code.into()), at, 2 + data.len());
    visit(item.meaning(name(code)));
    let start = at + 2;
    match shape(code) {
        Some(Shape::Address(name)) if !data.is_empty() && data.len() % 4 == 0 => {
            for place in (0..data.len()).step_by(4) {
                if let Some(address) = ipv4_at(data, place) {
                    visit(Item::new(name, Value::Ipv4(address), start + place, 4));
                }
            }
        }
        Some(Shape::Number(name)) => visit_number(name, option, visit),
        Some(Shape::Text(name)) => visit(Item::new(name, Value::Text(data), start, data.len())),
        Some(Shape::Bytes(name)) => visit(Item::new(name, Value::Bytes(data), start, data.len())),
        Some(Shape::Address(_)) | None => {
            visit(Item::new("option.data", Value::Bytes(data), start, data.len()));
        }
    }
}

fn visit_number(field: &'static str, option: &Opt<'_>, visit: &mut dyn FnMut(Item<'_>)) {
    let Opt { code, at, data } = *option;
    let start = at + 2;
    match (code, data.len()) {
        (55, _) => {
            for (n, wanted) in data.iter().enumerate() {
                let item = Item::new(field, Value::Number((*wanted).into()), start + n, 1);
                visit(item.meaning(name(*wanted)));
            }
        }
        (52 | 53, 1) => {
            let number = data[0];
            let meaning = if code == 53 { message_name(number) } else { overload_name(number) };
            visit(Item::new(field, Value::Number(number.into()), start, 1).meaning(meaning));
        }
        (57, 2) | (51 | 58 | 59, 4) => {
            let number = be32(data, 0).or(be16(data, 0).map(u32::from)).unwrap_or_default();
            let meaning = (code != 57 && number == u32::MAX).then_some("for ever");
            let item = Item::new(field, Value::Number(number.into()), start, data.len());
            visit(item.meaning(meaning));
        }
        _ => visit(Item::new("option.data", Value::Bytes(data), start, data.len())),
    }
}

/// The name of a message type (RFC 2132 section 9.6).
pub(super) fn message_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "Discover",
        2 => "Offer",
        3 => "Request",
        4 => "Decline",
        5 => "ACK",
        6 => "NAK",
        7 => "Release",
        8 => "Inform",
        _ => return None,
    })
}

fn overload_name(bits: u8) -> Option<&'static str> {
    Some(match bits {
        1 => "file holds options",
        2 => "sname holds options",
        3 => "file and sname hold options",
        _ => return None,
    })
}

/// The name of an option (IANA's registry).
fn name(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "subnet mask",
        2 => "time offset",
        3 => "router",
        4 => "time server",
        6 => "domain name server",
        7 => "log server",
        12 => "host name",
        15 => "domain name",
        17 => "root path",
        26 => "interface MTU",
        28 => "broadcast address",
        31 => "router discovery",
        33 => "static route",
        42 => "NTP server",
        43 => "vendor specific",
        44 => "NetBIOS name server",
        46 => "NetBIOS node type",
        47 => "NetBIOS scope",
        50 => "requested address",
        51 => "lease time",
        52 => "overload",
        53 => "message type",
        54 => "server identifier",
        55 => "parameter request list",
        56 => "message",
        57 => "maximum message size",
        58 => "renewal time",
        59 => "rebinding time",
        60 => "vendor class",
        61 => "client identifier",
        66 => "TFTP server name",
        67 => "boot file name",
        77 => "user class",
        80 => "rapid commit",
        81 => "client FQDN",
        82 => "relay agent information",
        93 => "client architecture",
        100 => "time zone",
        108 => "IPv6-only preferred",
        114 => "captive portal",
        116 => "auto configuration",
        119 => "domain search",
        121 => "classless static route",
        150 => "TFTP server address",
        252 => "proxy auto discovery",
        _ => return None,
    })
}
