//! The four messages of a lease, byte by byte; options in the fields of names.

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
    message(1, [0; 4], b"\x35\x01\x03\x32\x04\xc0\xa8\x64\x02\x36\x04\xc0\xa8\x64\x01\x0c\x05esp32")
}

fn ack() -> Vec<u8> {
    let options = [
        b"\x35\x01\x05\x36\x04\xc0\xa8\x64\x01\x33\x04\0\0\x0e\x10\x3a\x04\0\0\x07\x08".as_slice(),
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
