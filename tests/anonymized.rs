//! What `--anonymize` makes of frames of every protocol: as well-formed as they were, and without anything
//! that was a name, a text or a payload.
//!
//! The frames are those of the comparison with tshark, made from a seed, and those of the corpus.

#[allow(dead_code)] // the comparison with tshark uses all of it
#[path = "dissected/frames/mod.rs"]
mod frames;

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use bytes::Bytes;
use frames::Make;
use uarttool::analysis::anonymize::Anonymizer;
use uarttool::capture::read::{Inner, Reader, Reading};
use uarttool::checksum::{self, Sum};
use uarttool::dissect::Dissector;
use uarttool::proto::{self, NoteKind, Stack, Value};
use uarttool::record::{Body, Direction, LinkType, Origin, Packet, Record};

/// Frames of each protocol that are made.
const COUNT: usize = 1200;

const MAKERS: [(&str, LinkType, Make); 23] = [
    ("ethernet", LinkType::ETHERNET, frames::link::ethernet),
    ("stp", LinkType::ETHERNET, frames::link::spanning_tree),
    ("sll", LinkType::LINUX_SLL, frames::link::cooked),
    ("sll2", LinkType::LINUX_SLL2, frames::link::cooked_v2),
    ("null", LinkType::NULL, frames::link::loopback),
    ("arp", LinkType::ETHERNET, frames::network::arp),
    ("ipv4", LinkType::ETHERNET, frames::network::ipv4),
    ("ipv6", LinkType::ETHERNET, frames::network::ipv6),
    ("icmp", LinkType::ETHERNET, frames::control::icmp),
    ("icmpv6", LinkType::ETHERNET, frames::control::icmpv6),
    ("igmp", LinkType::ETHERNET, frames::control::igmp),
    ("udp", LinkType::ETHERNET, frames::transport::udp),
    ("tcp", LinkType::ETHERNET, frames::transport::tcp),
    ("coap", LinkType::ETHERNET, frames::coap::coap),
    ("dhcp", LinkType::ETHERNET, frames::dhcp::dhcp),
    ("dns", LinkType::ETHERNET, frames::dns::dns),
    ("mdns", LinkType::ETHERNET, frames::dns::mdns),
    ("llmnr", LinkType::ETHERNET, frames::dns::llmnr),
    ("http", LinkType::ETHERNET, frames::http::http),
    ("mqtt", LinkType::ETHERNET, frames::mqtt::mqtt),
    ("ntp", LinkType::ETHERNET, frames::small::ntp),
    ("tftp", LinkType::ETHERNET, frames::small::tftp),
    ("tls", LinkType::ETHERNET, frames::tls::tls),
];

fn anonymized(by: &mut Anonymizer, link: LinkType, bytes: &[u8], length: usize) -> Bytes {
    let packet = Packet { link, bytes: Bytes::copy_from_slice(bytes), length: length as u32 };
    let origin = Origin::new(Direction::Unknown);
    let record = Record { time: None, origin, offset: None, body: Body::Packet(packet) };
    match by.record(&record).body {
        Body::Packet(packet) => packet.bytes,
        other => panic!("{other:?}"),
    }
}

/// What is wrong with a frame and where, without the values that come of its bytes.
fn faults(stack: &Stack<'_>) -> Vec<(&'static str, usize, NoteKind)> {
    let malformed = stack.notes.iter().filter(|note| note.is_malformed());
    let fault = |note: &proto::Note| {
        let kind = match note.kind {
            NoteKind::Checksum { .. } => NoteKind::Checksum { found: 0, expected: 0 },
            // Behind a fault not even the length of data is kept.
            NoteKind::Truncated { .. } if ["dns", "mdns", "llmnr"].contains(&note.protocol) => {
                NoteKind::Truncated { needed: 0, had: 0 }
            }
            NoteKind::Invalid { field, .. } => NoteKind::Invalid { field, value: 0 },
            kind => kind,
        };
        (note.protocol, note.offset, kind)
    };
    malformed.map(fault).collect()
}

/// Whether a segment of a stream that does not hold whole messages became zeros, and so is no message any more.
fn is_lost(before: &Stack<'_>, after: &Stack<'_>, new: &[u8]) -> bool {
    let Some((last, below)) = before.layers.split_last() else { return false };
    let is_stream = below.last().is_some_and(|layer| layer.protocol.name == "tcp");
    let is_doubtful = ["dns", "mqtt"].contains(&last.protocol.name);
    let is_gone = after.layers.len() == below.len() && new[last.start..].iter().all(|b| *b == 0);
    is_stream && is_doubtful && is_gone
}

/// What differs between a frame and what was made of it that should not: its faults, or its layers.
fn difference(link: LinkType, old: &[u8], new: &[u8], length: usize) -> Option<String> {
    let (mut before, mut after) = (Dissector::default(), Dissector::default());
    let (before, after) =
        (before.dissect_as(link, old, length), after.dissect_as(link, new, length));
    let layers = |stack: &Stack<'_>| -> Vec<(&'static str, usize, usize)> {
        stack.layers.iter().map(|layer| (layer.protocol.name, layer.start, layer.payload)).collect()
    };
    if is_lost(&before, &after, new) {
        return None;
    }
    let told = |stack: &Stack<'_>| format!("{:?}\n{:?}", layers(stack), stack.notes);
    let is_same = faults(&before) == faults(&after)
        && (before.is_malformed() || layers(&before) == layers(&after));
    (!is_same).then(|| format!("{}\n{}\n{old:02x?}\n{new:02x?}\n", told(&before), told(&after)))
}

/// Fields that hold text or bytes and yet tell nothing of anybody.
const TELLING_NOTHING: [(&str, &str); 12] = [
    ("http", "method"),
    ("http", "version"),
    ("http", "transfer_encoding"),
    ("http", "header"), // the names of headers
    ("mqtt", "protocol_name"),
    ("tftp", "mode"),
    ("tftp", "option.name"),
    ("tftp", "option.value"),
    ("tls", "alpn"),
    ("dns", "additional.name"), // the root, of EDNS
    ("ntp", ""),                // its times are text
    ("http", "reason"),
];

/// The first field with a name, a text or an address of somebody that is still what it was.
fn leak(link: LinkType, old: &[u8], new: &[u8], length: usize) -> Option<String> {
    let mut dissector = Dissector::default();
    let stack = dissector.dissect_as(link, old, length);
    let mut found = None;
    for (n, layer) in stack.layers.iter().enumerate() {
        stack.visit(n, &mut |item| {
            let place = layer.start + item.at.0..layer.start + item.at.0 + item.at.1;
            let (was, is) = (&old[place.clone()], &new[place.clone()]);
            let is_secret = match item.value {
                Value::Mac(mac) => mac[0] & 1 == 0 && mac != [0; 6],
                Value::Ipv4(address) => {
                    let is_mask = item.name.ends_with("mask");
                    let is_group = address.is_multicast() || address.is_broadcast();
                    let is_bare = address.octets()[1..] == [0; 3] || address.is_loopback();
                    !is_mask && !is_group && !is_bare
                }
                Value::Ipv6(address) => {
                    place.len() == 16
                        && !address.is_multicast()
                        && !address.is_loopback()
                        && !address.is_unspecified()
                }
                Value::Text(_) | Value::Bytes(_) => {
                    was.len() >= 4 && was.iter().any(|b| !matches!(b, 0 | b'x'))
                }
                Value::Number(_) | Value::Hex(_) | Value::Flag(_) => false,
                Value::Domain(_) | Value::Record(_) => {
                    was.windows(4).any(|four| four.iter().all(u8::is_ascii_lowercase))
                }
            };
            let protocol = layer.protocol.name;
            let is_open = TELLING_NOTHING.contains(&(protocol, item.name)) || protocol == "ntp";
            if is_secret && !is_open && was == is && found.is_none() {
                found = Some(format!("{protocol}.{}: {was:02x?}\n{old:02x?}", item.name));
            }
        });
    }
    let payload = stack.layers.last().map_or(0, |layer| layer.payload);
    let same =
        old[payload..].iter().zip(&new[payload..]).map(|(a, b)| a == b && !matches!(a, 0 | b'x'));
    let mut run = 0;
    for is_same in same {
        run = if is_same { run + 1 } else { 0 };
        if run >= 8
            && found.is_none()
            && stack.layers.last().is_some_and(|l| l.protocol.name != "http")
        {
            found = Some(format!(
                "payload of {}\n{old:02x?}\n{new:02x?}",
                stack.layers.last()?.protocol.name
            ));
        }
    }
    found
}

#[test]
fn frames_of_every_protocol_stay_what_they_are_and_tell_nothing() {
    let mut wrong = String::new();
    for (name, link, make) in MAKERS {
        let mut by = Anonymizer::with_key([3; 32]);
        let (mut whole, mut damaged) = (0, 0);
        for frame in frames::made(make, COUNT) {
            let new = anonymized(&mut by, link, &frame.bytes, frame.length);
            assert_eq!(new.len(), frame.bytes.len());
            let difference = difference(link, &frame.bytes, &new, frame.length);
            let leak = leak(link, &frame.bytes, &new, frame.length);
            let counter = if frame.is_whole { &mut whole } else { &mut damaged };
            if let Some(text) = difference.or(leak) {
                *counter += 1;
                if *counter <= 2 {
                    wrong += &format!("--- {name}, whole: {}\n{text}\n", frame.is_whole);
                }
            }
        }
        if whole + damaged > 0 {
            wrong += &format!("=== {name}: {whole} whole frames, {damaged} damaged ones\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_corpus_stays_what_it_is_and_tells_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let how = Reading { inner: Inner::Never, ..Reading::default() };
    let mut wrong = String::new();
    for entry in fs::read_dir(folder).expect("there is a corpus") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_none_or(|extension| extension != "pcap") {
            continue;
        }
        let mut reader = Reader::open(&path, &how).expect("it can be read");
        let mut by = Anonymizer::with_key([3; 32]);
        while let Some(record) = reader.read().expect("it can be read") {
            let (link, bytes, length) = match &record.body {
                Body::Frame(bytes) => (LinkType::ETHERNET, bytes, bytes.len()),
                Body::Packet(packet) => (packet.link, &packet.bytes, packet.length as usize),
                other => panic!("{other:?}"),
            };
            let new = anonymized(&mut by, link, bytes, length);
            let difference = difference(link, bytes, &new, length);
            if let Some(text) = difference.or_else(|| leak(link, bytes, &new, length)) {
                wrong += &format!("--- {}\n{text}\n", path.display());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_protocol_is_among_the_frames() {
    let mut seen = Vec::new();
    let mut dissector = Dissector::default();
    for (_, link, make) in MAKERS {
        for frame in frames::made(make, COUNT).iter().filter(|frame| frame.is_whole) {
            let stack = dissector.dissect_as(link, &frame.bytes, frame.length);
            seen.extend(stack.layers.iter().map(|layer| layer.protocol.name));
            seen.sort_unstable();
            seen.dedup();
        }
    }
    let missing = proto::ALL.iter().filter(|protocol| !seen.contains(&protocol.name));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&proto::Protocol>::new());
}

const SECRET: &[u8; 8] = b"sEcReT42";

/// `payload` by UDP or TCP between these ports, in an Ethernet frame.
fn carried(protocol: u8, (from, to): (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut segment = [from.to_be_bytes(), to.to_be_bytes()].concat();
    match protocol {
        17 => segment.extend([((payload.len() + 8) as u16).to_be_bytes(), [0; 2]].concat()),
        _ => segment.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0x10, 0, 0, 0, 0, 0]),
    }
    segment.extend(payload);
    ethernet(0x0800, &ipv4(protocol, 0, &segment))
}

fn ethernet(kind: u16, packet: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &kind.to_be_bytes()[..], packet].concat()
}

fn ipv4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let total = (payload.len() as u16 + 20).to_be_bytes();
    let [high, low] = fragment.to_be_bytes();
    let mut packet = vec![0x45, 0, total[0], total[1], 0, 7, high, low, 64, protocol, 0, 0];
    packet.extend([192, 168, 100, 1, 192, 168, 100, 2]);
    let sum = checksum::internet(&packet).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    packet.extend(payload);
    packet
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], next, 64];
    packet.extend(A6.octets());
    packet.extend(B6.octets());
    packet.extend(payload);
    packet
}

const A4: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
const B4: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);
const A6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const B6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// Frames with a secret wherever names, texts, keys and payloads are.
fn secrets() -> Vec<Vec<u8>> {
    let join = |parts: &[&[u8]]| parts.concat();
    let dns = |rest: &[u8]| join(&[&[0, 9, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], rest]);
    let question = join(&[b"\x08", SECRET, b"\x05local\0\0\x01\0\x01"]);
    let text = join(&[&question, b"\xc0\x0c\0\x10\0\x01\0\0\0\x09\0\x09\x08", SECRET]);
    let unknown = join(&[&question, b"\xc0\x0c\xff\0\0\x01\0\0\0\x09\0\x08", SECRET]);
    let connect = [b"\0\x04MQTT\x04\xc6\0\x3c", &b"\0\x08sEcReT42".repeat(5)[..]].concat();
    let connect = join(&[&[0x10, connect.len() as u8], &connect]);
    let mut dhcp = vec![1, 1, 6, 0, 9, 9, 9, 9, 0, 0, 0, 0];
    dhcp.resize(34, 0);
    dhcp.extend(SECRET); // behind the hardware address
    dhcp.resize(44, 0);
    dhcp.extend(SECRET); // the server's name
    dhcp.resize(108, 0);
    dhcp.extend(SECRET); // the file
    dhcp.resize(236, 0);
    dhcp.extend(b"\x63\x82\x53\x63\x35\x01\x01");
    for code in [12u8, 15, 43, 51, 60, 61, 1, 77, 81, 119] {
        dhcp.extend([&[code, 8][..], SECRET].concat());
    }
    dhcp.push(255);
    dhcp.extend(SECRET);
    let hello = join(&[
        &[3, 3],
        SECRET,
        SECRET,
        SECRET,
        SECRET,
        &[8],
        SECRET,
        &[0, 2, 0x13, 1, 1, 0, 0, 29],
        &[0, 0, 0, 13, 0, 11, 0, 0, 8],
        SECRET,
        &[0, 35, 0, 8],
        SECRET,
    ]);
    let tls = join(&[
        &[22, 3, 3, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8],
        &hello,
        &[23, 3, 3, 0, 8],
        SECRET,
    ]);
    let http = b"GET /sEcReT42?q=sEcReT42 HTTP/1.1\r\nHost: sEcReT42.example\r\n\
        sEcReT42: 1\r\nCookie: id=sEcReT42\r\nContent-Type: a/sEcReT42\r\nsEcReT42\r\n\
        Transfer-Encoding: sEcReT42, chunked\r\n\r\n8;sEcReT42\r\nsEcReT42\r\n0\r\nsEcReT42: 1\r\n\r\n";
    let status = b"HTTP/1.1 200 sEcReT42\r\nServer: sEcReT42\r\n\r\nsEcReT42";
    let mut signed = vec![0x24, 2, 6, 0xe9];
    signed.resize(48, 0);
    signed.extend(join(&[&[0, 0, 0, 1], SECRET, SECRET]));
    let coap =
        join(&[b"\x48\x01\0\x09", SECRET, b"\xb8", SECRET, b"\xf8", SECRET, b"\xff", SECRET]);
    let coap_etag =
        join(&[b"\x48\x01\0\x09", SECRET, b"\x48", SECRET, b"\x78", SECRET, b"\xff", SECRET]);
    let mut echo = join(&[&[8, 0, 0, 0, 0, 1, 0, 1], SECRET]);
    let quoting = join(&[&[3, 3, 0, 0, 0, 0, 0, 0], &carried(17, (40000, 53), &dns(&text))[14..]]);
    echo.extend(SECRET);
    let solicitation = join(&[
        &[135, 0, 0, 0, 0, 0, 0, 0],
        &B6.octets(),
        &[14, 2, 0, 0, 0, 0],
        SECRET,
        &[0, 0],
        &[31, 3, 0, 0, 0, 0, 0, 9, 8],
        SECRET,
        &[0; 7],
        &[4, 2, 0, 0, 0, 0, 0, 0],
        SECRET,
        &[37, 2, 0, 0, 0, 0],
        SECRET,
        &[0, 0],
        &[200, 2, 0, 0, 0, 0],
        SECRET,
        &[0, 0],
    ]);
    let options = join(&[&[58, 1, 30, 12], SECRET, &[0; 4], &solicitation]);
    vec![
        carried(17, (53, 40000), &dns(&text)),
        carried(17, (5353, 5353), &dns(&unknown)),
        carried(6, (53, 40000), &join(&[&[0, dns(&text).len() as u8], &dns(&text)])),
        carried(6, (40000, 1883), &connect),
        carried(6, (40000, 1883), &join(&[b"\x32\x14\0\x08", SECRET, b"\0\x07", SECRET])),
        carried(6, (40000, 1883), &join(&[b"\x82\x0d\0\x07\0\x08", SECRET, b"\x01"])),
        carried(17, (68, 67), &dhcp),
        carried(6, (40000, 443), &tls),
        carried(6, (40000, 80), http),
        carried(6, (80, 40000), status),
        carried(6, (40000, 23), SECRET),
        carried(17, (40000, 123), &signed),
        carried(17, (40000, 5683), &coap),
        carried(17, (40000, 5683), &coap_etag),
        carried(
            17,
            (40000, 69),
            &join(&[b"\0\x01", SECRET, b"\0", SECRET, b"\0", SECRET, b"\0", SECRET, b"\0"]),
        ),
        carried(17, (69, 40000), &join(&[b"\0\x05\0\x01", SECRET, b"\0"])),
        carried(17, (69, 40000), &join(&[b"\0\x03\0\x01", SECRET])),
        carried(17, (40000, 40001), SECRET),
        ethernet(0x0800, &ipv4(1, 0, &echo)),
        ethernet(0x0800, &ipv4(1, 0, &quoting)),
        ethernet(0x0800, &ipv4(47, 0, SECRET)),
        ethernet(0x0800, &ipv4(17, 0x00b9, SECRET)),
        ethernet(0x86dd, &ipv6(58, &solicitation)),
        ethernet(0x86dd, &ipv6(60, &options)),
        ethernet(0x88cc, SECRET),
        ethernet(0x0806, &join(&[&[0, 1, 8, 0, 8, 8, 0, 1], SECRET, SECRET, SECRET, SECRET])),
        ethernet(24, &join(&[&[0x42, 0x42, 3], SECRET, SECRET])),
        ethernet(0x0030, &join(&[&[0xe0, 0xe0, 3], SECRET, SECRET])),
    ]
}

#[test]
fn no_secret_is_left_of_frames_whole_or_cut() {
    let mut by = Anonymizer::with_key([3; 32]);
    for frame in secrets() {
        let is_there = |bytes: &[u8]| bytes.windows(8).any(|eight| eight == SECRET);
        assert!(is_there(&frame));
        for kept in 0..=frame.len() {
            for length in [kept, frame.len()] {
                let new = anonymized(&mut by, LinkType::ETHERNET, &frame[..kept], length);
                assert!(!is_there(&new), "{kept} of {frame:02x?}\n{new:02x?}");
            }
        }
    }
}

/// DNS messages whose secret stands behind what cannot be read.
#[test]
fn nothing_stays_behind_a_fault_of_dns() {
    let mut by = Anonymizer::with_key([3; 32]);
    let header = |answers| [0, 1, 1, 0, 0, 1, 0, answers, 0, 0, 0, 0];
    let tail = b"SECRET-TAIL-OF-ANSWER-1234567890";
    let starts: [(u8, &[u8]); 9] = [
        (0, b"\x03abc\xff\xf0"),             // a name points forwards
        (1, b"\x01a\0\0\x01\0\x01\xff\xf0"), // that of an answer
        (1, b"\x01a\0\0\x01\0\x01\0"),       // type and class are none
        (2, b"\x01a\0\0\x01\0\x01\0\0\x29\x02\0\0\0\0\0\0\x02\0\0\0\x06"), // EDNS
        (1, b"\x01a\0\0\x01\0\x01\xc0\x0c\0\x05\0\x01\0\0\0\x01\0\x20\xff\xf0"),
        (1, b"\x01a\0\0\x01\0\x01\xc0\x0c"),
        (1, b"\x01a\0\0\x01\0\x01\x3f"),
        (1, b"\x01a\0\0\x01\0\x01\x04"),
        (0, b""),
    ];
    for (answers, start) in starts {
        for port in [53, 5353, 5355] {
            for kept in 0..=tail.len() {
                let message = [&header(answers), start, &tail[..kept]].concat();
                let frame = carried(17, (40000, port), &message);
                let new = anonymized(&mut by, LinkType::ETHERNET, &frame, frame.len());
                let place = frame.len() - kept;
                let same = new[place..].iter().zip(tail).filter(|(a, b)| a == b).count();
                assert!(same <= 1, "{port} {start:02x?}: {:02x?}", &new[place..]);
                let difference = difference(LinkType::ETHERNET, &frame, &new, frame.len());
                assert_eq!(difference, None);
            }
        }
    }
}

#[test]
fn a_segment_that_packets_do_not_fill_becomes_zeros() {
    let mut by = Anonymizer::with_key([3; 32]);
    let mut made = |from, to, payload: &[u8]| {
        let frame = carried(6, (from, to), payload);
        let new = anonymized(&mut by, LinkType::ETHERNET, &frame, frame.len());
        new[54..].to_vec()
    };
    let continued = [b"pSECRET-password".as_slice(), &[b'B'; 49]].concat();
    assert_eq!(made(40000, 1883, &continued), [0; 65]);
    // A publication that goes on, one in front of text, and a code that is none.
    for payload in [b"\x30\x7f\0\x03logAAAA".as_slice(), b"\xc0\0SECRET", b"\x90\x03ABC"] {
        assert_eq!(made(40000, 1883, payload), vec![0; payload.len()]);
    }
    assert_eq!(made(40000, 1883, b"\x30\x07\0\x03logAA\xc0\0"), b"\x30\x07\0\x03xxx\0\0\xc0\0");
    assert_eq!(made(1883, 40000, b"\x90\x04\0\x07\0\x01"), b"\x90\x04\0\x07\0\x01");
    let dns = b"\0\x40\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    assert_eq!(made(40000, 53, dns), [0; 21]);
}

/// The ICMP message of this type and code as it becomes, up to what it quotes.
fn error(kind: u8, code: u8) -> Vec<u8> {
    let quoted = ipv4(17, 0, &message(17, false, 20));
    let payload = [&[kind, code, 0, 0, 0x11, 0x22, 0x33, 0x44], &quoted[..]].concat();
    let frame = ethernet(0x0800, &ipv4(1, 0, &payload));
    let new =
        anonymized(&mut Anonymizer::with_key([3; 32]), LinkType::ETHERNET, &frame, frame.len());
    let inner = ethernet(0x0800, &new[42..]);
    let mut dissector = Dissector::default();
    assert_eq!(dissector.dissect(&inner).notes, [], "the checksum of what is quoted is right");
    assert_ne!(new[68..70], [0, 0]);
    new[38..42].to_vec()
}

#[test]
fn what_an_error_does_not_use_becomes_zeros() {
    assert_eq!(error(3, 1), [0; 4]);
    assert_eq!(error(3, 4), [0, 0, 0x33, 0x44]);
    assert_eq!(error(4, 0), [0; 4]);
    assert_eq!(error(11, 0), [0; 4]);
    assert_eq!(error(12, 0), [0x11, 0, 0, 0]);
    for (kind, expected) in [(1, [0; 4]), (2, [1, 2, 3, 4]), (3, [0; 4]), (4, [1, 2, 3, 4])] {
        let frame = ethernet(0x86dd, &ipv6(58, &[kind, 0, 0, 0, 1, 2, 3, 4]));
        let mut by = Anonymizer::with_key([3; 32]);
        let new = anonymized(&mut by, LinkType::ETHERNET, &frame, frame.len());
        assert_eq!(new[58..62], expected, "{kind}");
    }
}

#[test]
fn a_network_and_its_broadcast_keep_their_role() {
    for key in 0..40 {
        let mut by = Anonymizer::with_key([key; 32]);
        let mut last = |host: u8| {
            let mut packet = ipv4(17, 0, &[]);
            packet[19] = host;
            let frame = ethernet(0x0800, &packet);
            anonymized(&mut by, LinkType::ETHERNET, &frame, frame.len())[33]
        };
        let mut hosts: Vec<u8> = (0..=255).map(&mut last).collect();
        assert_eq!((hosts[0], hosts[255]), (0, 255));
        hosts.sort_unstable();
        assert!(hosts.iter().copied().eq(0..=255), "each is another");
    }
}

#[test]
fn announced_prefixes_get_no_hosts() {
    for (bits, is_bare) in [(64u8, true), (48, true), (52, true), (0, true), (48, false)] {
        let mut prefix = [0u8; 16];
        let there = if is_bare { usize::from(bits.div_ceil(8)) } else { 8 };
        prefix[..there].fill(0x2a);
        if is_bare && bits % 8 == 4 {
            prefix[there - 1] = 0x20;
        }
        let mut advertisement = vec![134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        advertisement.extend([3, 4, bits, 0xc0, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 0]);
        advertisement.extend(prefix);
        let frame = ethernet(0x86dd, &ipv6(58, &advertisement));
        let mut by = Anonymizer::with_key([3; 32]);
        let new = anonymized(&mut by, LinkType::ETHERNET, &frame, frame.len());
        let found = &new[new.len() - 16..];
        assert!(found[there..].iter().all(|byte| *byte == 0), "{bits}: {found:02x?}");
        assert!(!is_bare || bits % 8 == 0 || found[there - 1] & 15 == 0, "{bits}: {found:02x?}");
        assert!(bits == 0 || found[..there] != prefix[..there]);
    }
}

#[test]
fn options_about_the_way_keep_their_form() {
    let mut by = Anonymizer::with_key([3; 32]);
    let mut made = |options: &[u8]| {
        let mut packet = ipv4(17, 0, &[]);
        packet.extend(options);
        packet[0] += (options.len() / 4) as u8;
        packet[3] += options.len() as u8;
        let frame = ethernet(0x0800, &packet);
        anonymized(&mut by, LinkType::ETHERNET, &frame, frame.len())[34..].to_vec()
    };
    for kind in [7, 131, 137] {
        let new = made(&[kind, 11, 8, 10, 1, 2, 3, 0, 0, 0, 0, 0]);
        assert_eq!((&new[..4], &new[7..]), (&[kind, 11, 8, 10][..], &[0; 5][..]));
        assert_ne!(new[4..7], [1, 2, 3]);
    }
    let times = [68, 12, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(made(&times)[..8], times[..8], "the time is kept");
    assert_eq!(made(&times)[8..], [0; 4], "there is none yet");
    let new = made(&[68, 12, 13, 1, 10, 1, 2, 3, 5, 6, 7, 8]);
    assert_eq!((&new[..5], &new[8..]), (&[68, 12, 13, 1, 10][..], &[5, 6, 7, 8][..]));
    assert_ne!(new[5..8], [1, 2, 3]);
    assert_eq!(made(&[7, 6, 4, 9, 9, 9, 1, 0]), [1, 1, 1, 1, 1, 1, 1, 0], "no addresses fit");
}

#[test]
fn arp_of_other_hardware_keeps_its_protocol_addresses() {
    let mut arp = vec![0, 7, 8, 0, 1, 4, 0, 1, 0x51];
    arp.extend([10, 1, 2, 3, 0x52, 10, 1, 2, 4]);
    let frame = ethernet(0x0806, &arp);
    let new =
        anonymized(&mut Anonymizer::with_key([3; 32]), LinkType::ETHERNET, &frame, frame.len());
    let new = &new[14..];
    assert_eq!((&new[..10], &new[13..15]), (&[0, 7, 8, 0, 1, 4, 0, 1, 0, 10][..], &[0, 10][..]));
    assert_ne!(new[10..13], [1, 2, 3]);
    assert_eq!(new[10..12], new[15..17], "the same network");
}

/// A message of this protocol with the right checksum and a payload of `size` bytes.
fn message(protocol: u8, is_v6: bool, size: usize) -> Vec<u8> {
    let (mut message, at) = match protocol {
        17 => (
            [&[0x9c, 0x40, 0x9c, 0x41][..], &((size + 8) as u16).to_be_bytes(), &[0; 2]].concat(),
            6,
        ),
        6 => (vec![0x9c, 0x40, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0x10, 0, 0, 0, 0, 0], 16),
        58 => (vec![128, 0, 0, 0, 0, 7, 0, 1], 2),
        _ => (vec![8, 0, 0, 0, 0, 7, 0, 1], 2),
    };
    message.extend((0..size).map(|n| (n * 7) as u8));
    let sum = match (protocol, is_v6) {
        (1, _) => Sum::default(),
        (_, false) => Sum::pseudo(A4, B4, protocol, message.len()),
        (_, true) => Sum::pseudo_v6(A6, B6, protocol, message.len()),
    };
    let sum = sum.plus(&message).finish().to_be_bytes();
    message[at..at + 2].copy_from_slice(&sum);
    message
}

/// The message in pieces of 8 * `words` bytes: where each begins, whether more follow, and its bytes.
fn pieces(message: &[u8], words: usize) -> impl Iterator<Item = (usize, bool, &[u8])> {
    let count = message.chunks(8 * words).count();
    let piece = move |(n, piece)| (8 * words * n, n + 1 < count, piece);
    message.chunks(8 * words).enumerate().map(piece)
}

#[test]
fn checksums_over_fragments_are_right_when_they_are_put_together() {
    let mut by = Anonymizer::with_key([3; 32]);
    for (protocol, size, words) in
        [(17, 3000, 185), (6, 3001, 100), (1, 2000, 8), (17, 1000, 1), (6, 130, 16), (17, 1999, 9)]
    {
        let mut whole = Vec::new();
        let mut header = Vec::new();
        for (at, more, piece) in pieces(&message(protocol, false, size), words) {
            let fragment = (at / 8) as u16 | u16::from(more) << 13;
            let frame = ethernet(0x0800, &ipv4(protocol, fragment, piece));
            let new = anonymized(&mut by, LinkType::ETHERNET, &frame, frame.len());
            header = new[26..34].to_vec();
            whole.extend_from_slice(&new[34..]);
        }
        let mut packet = ipv4(protocol, 0, &whole);
        packet[12..20].copy_from_slice(&header);
        let frame = ethernet(0x0800, &packet);
        let mut dissector = Dissector::default();
        let notes = dissector.dissect(&frame).notes;
        let notes = notes.iter().filter(|note| note.protocol != "ipv4");
        assert_eq!(notes.count(), 0, "{protocol} {size} {words}");
    }
    for (protocol, size, words) in
        [(17, 3000, 181), (6, 3001, 100), (58, 2000, 8), (58, 64, 9), (6, 1200, 153)]
    {
        let mut whole = Vec::new();
        let mut addresses = Vec::new();
        for has_options in [false, true] {
            whole.clear();
            let next = if has_options { 60 } else { protocol };
            let options: &[u8] = if has_options { &[protocol, 0, 1, 4, 0, 0, 0, 0] } else { &[] };
            let all = [options, &message(protocol, true, size)].concat();
            for (at, more, piece) in pieces(&all, words) {
                let word = (at as u16 | u16::from(more)).to_be_bytes();
                let header = [next, 0, word[0], word[1], 0, 0, 0, 9];
                let frame = ethernet(0x86dd, &ipv6(44, &[&header[..], piece].concat()));
                let new = anonymized(&mut by, LinkType::ETHERNET, &frame, frame.len());
                addresses = new[22..54].to_vec();
                whole.extend_from_slice(&new[62..]);
            }
            let mut packet = ipv6(next, &whole);
            packet[8..40].copy_from_slice(&addresses);
            let frame = ethernet(0x86dd, &packet);
            let mut dissector = Dissector::default();
            assert_eq!(
                dissector.dissect(&frame).notes,
                [],
                "{protocol} {size} {words} {has_options}"
            );
        }
    }
}
