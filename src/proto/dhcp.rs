//! DHCP (RFC 2131; options: RFC 2132), and BOOTP (RFC 951), whose messages it uses.
//!
//! A fixed header of 236 bytes, a magic cookie, then options that say which message it is. Without the
//! cookie it is BOOTP.

use super::dhcp_options::{self as options, Area, COOKIE, FILE, OPTIONS, SNAME};
use super::line::Line;
use super::{Exchange, Item, Key, Next, NoteKind, Protocol, Stack, Value, Walk};
use super::{be32, field, ipv4_at, listed, mac_at};
use crate::escape;

/// The number in front of the options.
const MAGIC: u32 = 0x6382_5363;
/// The bytes that a BOOTP message has at least: vendor information is 64 bytes long.
const HEADER: usize = COOKIE;

/// DHCP and BOOTP.
pub static DHCP: Protocol = Protocol {
    name: "dhcp",
    title: "DHCP",
    keys: &[Key::UdpPort(67), Key::UdpPort(68)],
    fields: &[
        field!("op", 0, 1, names op_name),
        field!("htype", 1, 1),
        field!("hlen", 2, 1),
        field!("hops", 3, 1),
        field!("xid", 4, hex32),
        field!("secs", 8, 2),
        field!("flags.broadcast", 10, bit 0x80),
        field!("ciaddr", 12, ipv4),
        field!("yiaddr", 16, ipv4),
        field!("siaddr", 20, ipv4),
        field!("giaddr", 24, ipv4),
        field!("chaddr", 28, 6, Mac, |h| hardware(h).map(Value::Mac)),
        listed!("sname", Text),
        listed!("file", Text),
        listed!("cookie", Hex),
        listed!("option.code", Number, many),
        listed!("option.subnet_mask", Ipv4, many),
        listed!("option.router", Ipv4, many),
        listed!("option.domain_name_server", Ipv4, many),
        listed!("option.host_name", Text, many),
        listed!("option.domain_name", Text, many),
        listed!("option.broadcast_address", Ipv4, many),
        listed!("option.ntp_server", Ipv4, many),
        listed!("option.requested_address", Ipv4, many),
        listed!("option.lease_time", Number, many),
        listed!("option.overload", Number, many),
        listed!("option.message_type", Number, many),
        listed!("option.server_identifier", Ipv4, many),
        listed!("option.parameter_request", Number, many),
        listed!("option.message", Text, many),
        listed!("option.maximum_message_size", Number, many),
        listed!("option.renewal_time", Number, many),
        listed!("option.rebinding_time", Number, many),
        listed!("option.vendor_class", Text, many),
        listed!("option.client_identifier", Bytes, many),
        listed!("option.data", Bytes, many),
    ],
    dissect,
    summary,
    list,
    exchange,
};

fn dissect(walk: &mut Walk<'_>) -> Next {
    let message = walk.rest();
    if !walk.has(&DHCP, HEADER) {
        walk.push(&DHCP, usize::MAX, usize::MAX); // both ports are its own: it is asked only once
        return Next::Payload;
    }
    if !matches!(message[0], 1 | 2) {
        walk.note(&DHCP, 0, NoteKind::Invalid { field: "op", value: message[0].into() });
    }
    if message[2] > 16 {
        walk.note(&DHCP, 2, NoteKind::Invalid { field: "hlen", value: message[2].into() });
    }
    if be32(message, COOKIE) == Some(MAGIC) {
        let mut area = Area::new(message, OPTIONS, message.len());
        area.by_ref().for_each(drop);
        match area.broken_at() {
            Some(at) => {
                // The length that the option announces, or that one is announced at all.
                let needed = message.get(at + 1).map_or(at + 2, |n| at + 2 + usize::from(*n));
                walk.has(&DHCP, needed);
            }
            None if !area.is_ended() => {
                walk.has(&DHCP, message.len() + 1);
            }
            None if options::find(message, 53).is_none() => {
                walk.note(&DHCP, OPTIONS, NoteKind::Wrong("message type is missing"));
            }
            None => {}
        }
    }
    walk.push(&DHCP, usize::MAX, usize::MAX);
    Next::Payload
}

/// The client's hardware address, if it is one of Ethernet's.
fn hardware(message: &[u8]) -> Option<[u8; 6]> {
    let is_ethernet = message.get(2) == Some(&6);
    mac_at(message, 28).filter(|_| is_ethernet)
}

fn is_dhcp(message: &[u8]) -> bool {
    be32(message, COOKIE) == Some(MAGIC)
}

fn list(stack: &Stack<'_>, n: usize, visit: &mut dyn FnMut(Item<'_>)) {
    let message = stack.header(n);
    let overload = if is_dhcp(message) { options::overload(message) } else { 0 };
    for (name, start, end, bit) in [("sname", SNAME, FILE, 2), ("file", FILE, COOKIE, 1)] {
        let text = message.get(start..end).unwrap_or_default();
        let length = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        if overload & bit == 0 && length > 0 {
            visit(Item::new(name, Value::Text(&text[..length]), start, length));
        }
    }
    if !is_dhcp(message) {
        return;
    }
    let mut is_before = true;
    for option in options::all(message) {
        if option.at >= OPTIONS && std::mem::take(&mut is_before) {
            visit(Item::new("cookie", Value::Hex(MAGIC.into()), COOKIE, 4));
        }
        options::visit_option(&option, visit);
    }
}

fn summary(stack: &Stack<'_>, n: usize, line: &mut Line) {
    let message = stack.header(n);
    if !is_dhcp(message) {
        line.text("BOOTP ");
        match message.first() {
            Some(1) => line.text("request"),
            Some(2) => line.text("reply"),
            op => line.text("op ").dec(op.copied().unwrap_or_default()),
        };
        say_client(message, line);
        return;
    }
    line.text("DHCP ");
    let kind = options::find(message, 53).and_then(|data| data.first().copied());
    match kind.map(|kind| (kind, options::message_name(kind))) {
        Some((_, Some(name))) => line.text(name),
        Some((kind, None)) => line.text("message type ").dec(kind),
        None => line.text("message"),
    };
    if let Some(2 | 5) = kind {
        say_lease(message, line);
    } else {
        say_client(message, line);
    }
    if !line.is_brief() {
        line.text(", xid 0x").hex(be32(message, 4).unwrap_or_default(), 8);
    }
    say_wishes(message, line);
}

fn say_client(message: &[u8], line: &mut Line) {
    let is_reply = message.first() == Some(&2);
    if let Some(mac) = hardware(message) {
        line.text(if is_reply { " to " } else { " from " }).mac(mac);
    }
}

/// Says which address is given to whom, and for how long.
fn say_lease(message: &[u8], line: &mut Line) {
    if let Some(address) = ipv4_at(message, 16).filter(|address| !address.is_unspecified()) {
        line.text(" ").ipv4(address);
    }
    say_client(message, line);
    match options::find(message, 51).and_then(|data| be32(data, 0)) {
        Some(u32::MAX) => line.text(", lease for ever"),
        Some(seconds) => line.text(", lease ").dec(seconds),
        None => line,
    };
}

/// Says what a client asks for, and what a server has to say.
fn say_wishes(message: &[u8], line: &mut Line) {
    if let Some(address) = options::find(message, 50).and_then(|data| ipv4_at(data, 0)) {
        line.text(", wants ").ipv4(address);
    }
    for (code, what) in [(12, ", hostname "), (56, ", message ")] {
        if let Some(text) = options::find(message, code) {
            line.text(what).shortened(escape::terminal(text), 80);
        }
    }
}

/// Transaction, client, and whether it is about an offer or about a lease.
fn exchange(stack: &Stack<'_>, n: usize) -> Option<Exchange> {
    let message = stack.header(n);
    let client = (be32(message, 4)?, message.get(28..44)?);
    let op = *message.first()?;
    let kind = options::find(message, 53).and_then(|data| data.first().copied());
    let (is_answer, step) = match kind.filter(|_| is_dhcp(message)) {
        Some(1) => (false, 1),
        Some(2) => (true, 1),
        Some(3 | 8) => (false, 2),
        Some(5 | 6) => (true, 2),
        Some(_) => return None,
        None => (op == 2, 0),
    };
    Some(Exchange::new(&DHCP, is_answer, (client, step)))
}

fn op_name(op: u64) -> Option<&'static str> {
    match op {
        1 => Some("request"),
        2 => Some("reply"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::examined::{Over, assert_answers, examine_hostile, examine_large};
    use crate::proto::examined::{fields, said, said_briefly};

    const TO_SERVER: Over = Over::Udp(68, 67);
    const TO_CLIENT: Over = Over::Udp(67, 68);

    fn header(op: u8, yiaddr: [u8; 4]) -> Vec<u8> {
        let mut message = vec![op, 1, 6, 0, 0x39, 3, 0xf3, 0x26, 0, 0, 0x80, 0, 0, 0, 0, 0];
        message.extend(yiaddr);
        message.resize(28, 0);
        message.extend([2, 0, 0, 0, 0, 2]);
        message.resize(COOKIE, 0);
        message
    }

    fn message(op: u8, yiaddr: [u8; 4], options: &[u8]) -> Vec<u8> {
        let mut message = header(op, yiaddr);
        message.extend([0x63, 0x82, 0x53, 0x63]);
        message.extend(options);
        message.push(255);
        message
    }

    fn discover() -> Vec<u8> {
        let options = b"\x35\x01\x01\x3d\x07\x01\x02\0\0\0\0\x02\x0c\x05esp32\x37\x03\x01\x03\x06\x39\x02\x05\xdc";
        message(1, [0; 4], options)
    }

    fn offer() -> Vec<u8> {
        let options = b"\x35\x01\x02\x36\x04\xc0\xa8\x64\x01\x33\x04\0\0\x0e\x10";
        message(2, [192, 168, 100, 2], options)
    }

    fn request() -> Vec<u8> {
        message(
            1,
            [0; 4],
            b"\x35\x01\x03\x32\x04\xc0\xa8\x64\x02\x36\x04\xc0\xa8\x64\x01\x0c\x05esp32",
        )
    }

    fn ack() -> Vec<u8> {
        let options = [
            b"\x35\x01\x05\x36\x04\xc0\xa8\x64\x01\x33\x04\0\0\x0e\x10\x3a\x04\0\0\x07\x08"
                .as_slice(),
            b"\x3b\x04\0\0\x0c\x4e\x01\x04\xff\xff\xff\0\x03\x04\xc0\xa8\x64\x01\0",
            b"\x06\x08\xc0\xa8\x64\x01\x08\x08\x08\x08\x0f\x04home\x2b\x02\xab\xcd",
        ];
        message(2, [192, 168, 100, 2], &options.concat())
    }

    /// File and server's name hold options.
    fn overloaded() -> Vec<u8> {
        let mut message = message(2, [192, 168, 100, 2], b"\x35\x01\x05\x34\x01\x03");
        message[SNAME..SNAME + 7].copy_from_slice(&[3, 4, 192, 168, 100, 1, 255]);
        message[FILE..FILE + 7].copy_from_slice(&[51, 4, 0, 0, 0, 60, 255]);
        message
    }

    #[test]
    fn messages_read_as_sentences() {
        let mut cut = discover();
        cut.truncate(cut.len() - 2);
        let lines = [
            said(TO_SERVER, &discover()),
            said(TO_CLIENT, &offer()),
            said(TO_SERVER, &request()),
            said(TO_CLIENT, &ack()),
            said(TO_CLIENT, &overloaded()),
            said(TO_CLIENT, &message(2, [0; 4], b"\x35\x01\x06\x38\x08no\x1b[31m!")),
            said(TO_SERVER, &header(1, [0; 4])),
            said(TO_SERVER, &message(1, [0; 4], b"")),
            said(TO_SERVER, &cut),
            said(TO_SERVER, &discover()[..250]),
            said(TO_SERVER, &discover()[..200]),
            said_briefly(TO_SERVER, &discover()),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        DHCP Discover from 02:00:00:00:00:02, xid 0x3903f326, hostname esp32
        DHCP Offer 192.168.100.2 to 02:00:00:00:00:02, lease 3600, xid 0x3903f326
        DHCP Request from 02:00:00:00:00:02, xid 0x3903f326, wants 192.168.100.2, hostname esp32
        DHCP ACK 192.168.100.2 to 02:00:00:00:00:02, lease 3600, xid 0x3903f326
        DHCP ACK 192.168.100.2 to 02:00:00:00:00:02, xid 0x3903f326
        DHCP NAK to 02:00:00:00:00:02, xid 0x3903f326, message no\x1b[31m!
        BOOTP request from 02:00:00:00:00:02
        DHCP message from 02:00:00:00:00:02, xid 0x3903f326 [240: dhcp: message type is missing]
        DHCP Discover from 02:00:00:00:00:02, xid 0x3903f326, hostname esp32 [0: truncated: dhcp needs 268 bytes, had 267]
        DHCP Discover from 02:00:00:00:00:02, xid 0x3903f326 [0: truncated: dhcp needs 252 bytes, had 250]
        BOOTP request from 02:00:00:00:00:02 [0: truncated: dhcp needs 236 bytes, had 200]
        DHCP Discover from 02:00:00:00:00:02, hostname esp32
        ");
    }

    #[test]
    fn every_field_has_its_place() {
        insta::assert_snapshot!(fields(TO_SERVER, &discover()), @r#"
        op = 1 (request) @0+1
        htype = 1 @1+1
        hlen = 6 @2+1
        hops = 0 @3+1
        xid = 0x3903f326 @4+4
        secs = 0 @8+2
        flags.broadcast = true @10+1
        ciaddr = 0.0.0.0 @12+4
        yiaddr = 0.0.0.0 @16+4
        siaddr = 0.0.0.0 @20+4
        giaddr = 0.0.0.0 @24+4
        chaddr = 02:00:00:00:00:02 @28+6
        cookie = 0x63825363 @236+4
        option.code = 53 (message type) @240+3
        option.message_type = 1 (Discover) @242+1
        option.code = 61 (client identifier) @243+9
        option.client_identifier = bytes 01020000000002 @245+7
        option.code = 12 (host name) @252+7
        option.host_name = "esp32" @254+5
        option.code = 55 (parameter request list) @259+5
        option.parameter_request = 1 (subnet mask) @261+1
        option.parameter_request = 3 (router) @262+1
        option.parameter_request = 6 (domain name server) @263+1
        option.code = 57 (maximum message size) @264+4
        option.maximum_message_size = 1500 @266+2
        "#);
        insta::assert_snapshot!(fields(TO_CLIENT, &ack()), @r#"
        op = 2 (reply) @0+1
        htype = 1 @1+1
        hlen = 6 @2+1
        hops = 0 @3+1
        xid = 0x3903f326 @4+4
        secs = 0 @8+2
        flags.broadcast = true @10+1
        ciaddr = 0.0.0.0 @12+4
        yiaddr = 192.168.100.2 @16+4
        siaddr = 0.0.0.0 @20+4
        giaddr = 0.0.0.0 @24+4
        chaddr = 02:00:00:00:00:02 @28+6
        cookie = 0x63825363 @236+4
        option.code = 53 (message type) @240+3
        option.message_type = 5 (ACK) @242+1
        option.code = 54 (server identifier) @243+6
        option.server_identifier = 192.168.100.1 @245+4
        option.code = 51 (lease time) @249+6
        option.lease_time = 3600 @251+4
        option.code = 58 (renewal time) @255+6
        option.renewal_time = 1800 @257+4
        option.code = 59 (rebinding time) @261+6
        option.rebinding_time = 3150 @263+4
        option.code = 1 (subnet mask) @267+6
        option.subnet_mask = 255.255.255.0 @269+4
        option.code = 3 (router) @273+6
        option.router = 192.168.100.1 @275+4
        option.code = 6 (domain name server) @280+10
        option.domain_name_server = 192.168.100.1 @282+4
        option.domain_name_server = 8.8.8.8 @286+4
        option.code = 15 (domain name) @290+6
        option.domain_name = "home" @292+4
        option.code = 43 (vendor specific) @296+4
        option.data = bytes abcd @298+2
        "#);
        insta::assert_snapshot!(fields(TO_CLIENT, &overloaded()), @r"
        op = 2 (reply) @0+1
        htype = 1 @1+1
        hlen = 6 @2+1
        hops = 0 @3+1
        xid = 0x3903f326 @4+4
        secs = 0 @8+2
        flags.broadcast = true @10+1
        ciaddr = 0.0.0.0 @12+4
        yiaddr = 192.168.100.2 @16+4
        siaddr = 0.0.0.0 @20+4
        giaddr = 0.0.0.0 @24+4
        chaddr = 02:00:00:00:00:02 @28+6
        option.code = 3 (router) @44+6
        option.router = 192.168.100.1 @46+4
        option.code = 51 (lease time) @108+6
        option.lease_time = 60 @110+4
        cookie = 0x63825363 @236+4
        option.code = 53 (message type) @240+3
        option.message_type = 5 (ACK) @242+1
        option.code = 52 (overload) @243+3
        option.overload = 3 (file and sname hold options) @245+1
        ");
    }

    #[test]
    fn answers_belong_to_their_questions() {
        assert_answers((TO_SERVER, &discover()), (TO_CLIENT, &offer()));
        assert_answers((TO_SERVER, &request()), (TO_CLIENT, &ack()));
        assert_answers((TO_SERVER, &header(1, [0; 4])), (TO_CLIENT, &header(2, [1, 2, 3, 4])));
    }

    #[test]
    fn hostile_bytes_are_harmless() {
        examine_hostile(TO_CLIENT, &[&discover(), &ack(), &overloaded(), &header(1, [0; 4])]);
        examine_large(TO_CLIENT, &message(1, [0; 4], &[12, 0].repeat(32_000)));
        examine_large(
            TO_CLIENT,
            &message(1, [0; 4], &[[55, 255].as_slice(), &[1; 255]].concat().repeat(250)),
        );
    }
}
