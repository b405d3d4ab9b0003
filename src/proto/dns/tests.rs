//! Queries, replies and announcements, byte by byte; names and counts that lead nowhere.

use crate::proto::examined::{self, Over, assert_answers, fields, said};

const ASKED: Over = Over::Udp(40000, 53);
const ANSWERED: Over = Over::Udp(53, 40000);
const MULTICAST: Over = Over::Udp(5353, 5353);

/// Id 4242: A of example.com?
fn query() -> Vec<u8> {
    let mut message = b"\x10\x92\x01\x00\0\x01\0\0\0\0\0\x01".to_vec();
    message.extend(b"\x07example\x03com\0\0\x01\0\x01");
    message.extend(b"\0\0\x29\x04\xd0\0\0\x80\0\0\0");
    message
}

/// It is an alias of www.example.com, which is 93.184.216.34.
fn reply() -> Vec<u8> {
    let mut message = b"\x10\x92\x81\x80\0\x01\0\x02\0\0\0\x01".to_vec();
    message.extend(b"\x07Example\x03com\0\0\x01\0\x01");
    message.extend(b"\xc0\x0c\0\x05\0\x01\0\0\x0e\x10\0\x06\x03www\xc0\x0c");
    message.extend(b"\xc0\x29\0\x01\0\x01\0\0\x00\x3c\0\x04\x5d\xb8\xd8\x22");
    message.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
    message
}

fn missing() -> Vec<u8> {
    let mut message = b"\x10\x92\x81\x83\0\x01\0\0\0\0\0\0".to_vec();
    message.extend(b"\x07nothere\x04test\0\0\x01\0\x01");
    message
}

fn announcement() -> Vec<u8> {
    let mut message = b"\0\0\x84\0\0\0\0\x02\0\0\0\0".to_vec();
    message.extend(b"\x05_http\x04_tcp\x05local\0\0\x0c\0\x01\0\0\x11\x94\0\x08\x05esp32\xc0\x0c");
    message.extend(b"\xc0\x28\0\x21\x80\x01\0\0\0\x78\0\x0e\0\0\0\0\0\x50\x05esp32\xc0\x17");
    message
}

fn question_for_services() -> Vec<u8> {
    b"\0\0\0\0\0\x01\0\0\0\0\0\0\x05_http\x04_tcp\x05local\0\0\x0c\x80\x01".to_vec()
}

fn over_tcp(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

#[test]
fn messages_read_as_sentences() {
    let asked = Over::Tcp(40000, 53);
    let lines = [
        said(ASKED, &query()),
        said(ANSWERED, &reply()),
        said(ANSWERED, &missing()),
        said(MULTICAST, &question_for_services()),
        said(MULTICAST, &announcement()),
        said(Over::Udp(40000, 5355), &query()),
        said(asked, &over_tcp(&query())),
        said(asked, &over_tcp(&query())[..20]),
        said(asked, &query()),
        examined::said_briefly(ANSWERED, &reply()),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    DNS query 4242 A example.com, 1 additional
    DNS reply 4242 A Example.com: CNAME www.Example.com, A 93.184.216.34, 1 additional
    DNS reply 4242 A nothere.test: NXDomain
    mDNS query PTR _http._tcp.local (QU)
    mDNS reply: PTR _http._tcp.local esp32._http._tcp.local, SRV esp32._http._tcp.local 0 0 80 esp32.local
    LLMNR query 4242 A example.com, 1 additional
    DNS query 4242 A example.com, 1 additional
    DNS query 4242
    payload
    DNS reply 4242 A Example.com: CNAME www.Example.com, A 93.184.216.34
    ");
}

#[test]
fn every_field_has_its_place() {
    insta::assert_snapshot!(fields(ANSWERED, &reply()), @r"
    id = 4242 @0+2
    qr = true @2+1
    opcode = 0 (query) @2+1
    aa = false @2+1
    tc = false @2+1
    rd = true @2+1
    ra = true @3+1
    ad = false @3+1
    cd = false @3+1
    rcode = 0 (NoError) @3+1
    qdcount = 1 @4+2
    ancount = 2 @6+2
    nscount = 0 @8+2
    arcount = 1 @10+2
    question.name = Example.com @12+13
    question.type = 1 (A) @25+2
    question.class = 1 (IN) @27+2
    answer.name = Example.com @29+2
    answer.type = 5 (CNAME) @31+2
    answer.class = 1 (IN) @33+2
    answer.ttl = 3600 @35+4
    answer.data = www.Example.com @41+6
    answer.name = www.Example.com @47+2
    answer.type = 1 (A) @49+2
    answer.class = 1 (IN) @51+2
    answer.ttl = 60 @53+4
    answer.data = 93.184.216.34 @59+4
    additional.name = . @63+1
    additional.type = 41 (OPT) @64+2
    additional.class = 1232 @66+2
    additional.ttl = 0 @68+4
    edns.udp_payload_size = 1232 @66+2
    edns.version = 0 @69+1
    edns.do = false @70+1
    additional.data = no options @74+0
    ");
    insta::assert_snapshot!(fields(Over::Tcp(53, 40000), &over_tcp(&missing())), @r"
    length = 30 @0+2
    id = 4242 @2+2
    qr = true @4+1
    opcode = 0 (query) @4+1
    aa = false @4+1
    tc = false @4+1
    rd = true @4+1
    ra = true @5+1
    ad = false @5+1
    cd = false @5+1
    rcode = 3 (NXDomain) @5+1
    qdcount = 1 @6+2
    ancount = 0 @8+2
    nscount = 0 @10+2
    arcount = 0 @12+2
    question.name = nothere.test @14+14
    question.type = 1 (A) @28+2
    question.class = 1 (IN) @30+2
    ");
    insta::assert_snapshot!(fields(MULTICAST, &announcement()), @r"
    id = 0 @0+2
    qr = true @2+1
    opcode = 0 (query) @2+1
    aa = true @2+1
    tc = false @2+1
    rd = false @2+1
    ra = false @3+1
    ad = false @3+1
    cd = false @3+1
    rcode = 0 (NoError) @3+1
    qdcount = 0 @4+2
    ancount = 2 @6+2
    nscount = 0 @8+2
    arcount = 0 @10+2
    answer.name = _http._tcp.local @12+18
    answer.type = 12 (PTR) @30+2
    answer.class = 1 (IN) @32+2
    answer.cache_flush = false @32+1
    answer.ttl = 4500 @34+4
    answer.data = esp32._http._tcp.local @40+8
    answer.name = esp32._http._tcp.local @48+2
    answer.type = 33 (SRV) @50+2
    answer.class = 1 (IN) @52+2
    answer.cache_flush = true @52+1
    answer.ttl = 120 @54+4
    answer.data = 0 0 80 esp32.local @60+14
    ");
}

#[test]
fn broken_messages_say_what_is_wrong() {
    let mut loops = query();
    loops[12..14].copy_from_slice(&[0xc0, 12]);
    let mut longer = query();
    longer.push(0);
    let lines = [
        said(ASKED, &loops),
        said(ASKED, &query()[..20]),
        said(ASKED, &query()[..11]),
        said(ASKED, &[255; 12]),
        said(ASKED, &longer),
        said(Over::Tcp(40000, 53), &[&[0, 39][..], &query()].concat()),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    DNS query 4242 [12: dns: name does not point back]
    DNS query 4242 [0: truncated: dns needs 21 bytes, had 20]
    payload [0: truncated: dns needs 12 bytes, had 11]
    DNS opcode 15 65535: code 15, truncated [0: truncated: dns needs 13 bytes, had 12]
    DNS query 4242 A example.com, 1 additional [40: 1 bytes follow the packet]
    DNS query 4242 A example.com [0: dns: message is longer than its length says]
    ");
}

#[test]
fn answers_belong_to_their_questions() {
    assert_answers((ASKED, &query()), (ANSWERED, &reply()));
    let by_stream = (over_tcp(&query()), over_tcp(&reply()));
    assert_answers((Over::Tcp(40000, 53), &by_stream.0), (Over::Tcp(53, 40000), &by_stream.1));
    let [asked, other] = [query(), missing()].map(|m| examined::exchange(ASKED, &m));
    assert_ne!(asked.map(|asked| asked.key), other.map(|other| other.key));
    assert_eq!(examined::exchange(MULTICAST, &question_for_services()), None);
}

#[test]
fn hostile_bytes_are_harmless() {
    let samples = [query(), reply(), missing(), announcement(), question_for_services()];
    let samples: Vec<&[u8]> = samples.iter().map(Vec::as_slice).collect();
    examined::examine_hostile(ANSWERED, &samples);
    examined::examine_hostile(MULTICAST, &samples);
    let prefixed = samples.iter().map(|sample| over_tcp(sample)).collect::<Vec<_>>();
    let prefixed: Vec<&[u8]> = prefixed.iter().map(Vec::as_slice).collect();
    examined::examine_hostile(Over::Tcp(53, 40000), &prefixed);
}

#[test]
fn a_large_message_is_read_in_time() {
    // Names that point to names that point to names, each of them long.
    let mut message = b"\0\0\x80\0\0\0\xff\xff\xff\xff\xff\xff".to_vec();
    message.extend([&[61][..], &[b'a'; 61]].concat().repeat(3));
    message.extend(b"\0\0\x02\0\x01\0\0\0\0\0\0");
    let mut last = 12;
    while message.len() < 65_000 {
        let here = message.len().min(0x3fff);
        message.extend([0xc0 | (last >> 8) as u8, last as u8]);
        message.extend(b"\0\x02\0\x01\0\0\0\0\0\x02");
        message.extend([0xc0 | (last >> 8) as u8, last as u8]);
        last = if here < 0x3fff { here } else { last };
    }
    examined::examine_large(ANSWERED, &message);
    examined::examine_large(MULTICAST, &message);
}
