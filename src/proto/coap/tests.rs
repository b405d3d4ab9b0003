//! Requests and replies, byte by byte; options that end where they must not.

use crate::proto::examined::{Over, assert_answers, examine_hostile, examine_large};
use crate::proto::examined::{exchange as told, fields, hex, said};

const ASKED: Over = Over::Udp(40000, 5683);
const ANSWERED: Over = Over::Udp(5683, 40000);

/// GET coap://host/sensors/temp?x=1, observing, with a token of two bytes.
fn request() -> Vec<u8> {
    let mut message = hex("42 01 04d2 abcd 34");
    message.extend(b"host\x30\x57sensors\x04temp\x43x=1");
    message
}

fn reply() -> Vec<u8> {
    let mut message = hex("62 45 04d2 abcd c0 22 2715 91 0a ff");
    message.extend(b"22.5 C");
    message
}

#[test]
fn messages_read_as_sentences() {
    let separate = [&hex("42 45 7000 abcd ff")[..], b"later"].concat();
    let long = [&hex("40 01 0001 be 0001")[..], &[b'a'; 270]].concat();
    let lines = [
        said(ASKED, &request()),
        said(ANSWERED, &reply()),
        said(ANSWERED, &separate),
        said(ANSWERED, &hex("60 00 04d2")),
        said(ASKED, &hex("40 00 0007")),
        said(ANSWERED, &hex("70 00 0007")),
        said(ANSWERED, &hex("60 84 0001 ff")),
        said(ASKED, &hex("49 01 0001 00")),
        said(ASKED, &hex("44 01 0001 00")),
        said(ASKED, &hex("40 01 0001 f0")),
        said(ASKED, &hex("40 01 0001 b5 61")),
        said(ASKED, &hex("40 00 0001 b5 61")),
        said(ASKED, &hex("80 00 0001")),
        said(ASKED, &hex("40 e1 0001")),
        said(ASKED, &hex("40 01")),
        said(ASKED, &long),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    CoAP CON GET coap://host/sensors/temp?x=1, MID 1234, observe 0
    CoAP ACK 2.05 Content, MID 1234, text/plain, block2 0/more/64, 6 bytes
    CoAP CON 2.05 Content, MID 28672, 5 bytes
    CoAP ACK empty, MID 1234
    CoAP CON empty, MID 7
    CoAP RST empty, MID 7
    CoAP ACK 4.04 Not Found, MID 1 [5: coap: payload marker without a payload]
    CoAP CON GET /, MID 1, 1 bytes [0: bad coap token_length 9]
    CoAP CON GET /, MID 1, 1 bytes [0: truncated: coap needs 8 bytes, had 5]
    CoAP CON GET /, MID 1, 1 bytes [4: coap: option cannot be read]
    CoAP CON GET /, MID 1, 2 bytes [0: truncated: coap needs 10 bytes, had 6]
    CoAP CON empty, MID 1, 2 bytes [4: coap: an empty message with more than a header] [0: truncated: coap needs 10 bytes, had 6]
    payload
    CoAP CON 7.01, MID 1
    payload [0: truncated: coap needs 4 bytes, had 2]
    CoAP CON GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..., MID 1
    ");
}

#[test]
fn every_field_has_its_place() {
    insta::assert_snapshot!(fields(ASKED, &request()), @r#"
    version = 1 @0+1
    type = 0 (confirmable) @0+1
    token_length = 2 @0+1
    code = 0x1 (0.01 GET) @1+1
    message_id = 1234 @2+2
    token = bytes abcd @4+2
    uri_host = "host" @6+5
    option.number = 3 (Uri-Host) @6+5
    option.text = "host" @7+4
    option.number = 6 (Observe) @11+1
    option.value = 0 (register) @12+0
    uri_path = "sensors/temp" @12+13
    option.number = 11 (Uri-Path) @12+8
    option.text = "sensors" @13+7
    option.number = 11 (Uri-Path) @20+5
    option.text = "temp" @21+4
    uri_query = "x=1" @25+4
    option.number = 15 (Uri-Query) @25+4
    option.text = "x=1" @26+3
    "#);
    insta::assert_snapshot!(fields(ANSWERED, &reply()), @r"
    version = 1 @0+1
    type = 2 (acknowledgement) @0+1
    token_length = 2 @0+1
    code = 0x45 (2.05 Content) @1+1
    message_id = 1234 @2+2
    token = bytes abcd @4+2
    option.number = 12 (Content-Format) @6+1
    option.value = 0 (text/plain) @7+0
    option.number = 14 (Max-Age) @7+3
    option.value = 10005 @8+2
    option.number = 23 (Block2) @10+2
    option.value = 10 @11+1
    ");
}

#[test]
fn a_response_belongs_to_the_request_with_its_token() {
    assert_answers((ASKED, &request()), (ANSWERED, &reply()));
    assert_answers((ASKED, &request()), (ANSWERED, &hex("42 45 7000 abcd")));
    assert_answers((ASKED, &hex("40 00 0007")), (ANSWERED, &hex("70 00 0007")));
    assert_eq!(told(ANSWERED, &hex("60 00 04d2")), None);
}

#[test]
fn hostile_bytes_are_harmless() {
    examine_hostile(ASKED, &[&request(), &reply()]);
    examine_large(ASKED, &[&hex("40 01 0001 b0")[..], &[0; 65_000]].concat());
    examine_large(ASKED, &[&hex("40 01 0001 b1")[..], &[1; 65_000]].concat());
    examine_large(ASKED, &[&hex("40 01 0001")[..], &[0xe0, 0xff, 0xff].repeat(21_000)].concat());
}
