//! Packets of both versions, byte by byte; what is declined and what is never shown.

use crate::proto::examined::{Over, assert_answers, examine_hostile, examine_large};
use crate::proto::examined::{exchange as told, fields, protocol, said, said_briefly};

const TO_BROKER: Over = Over::Tcp(40000, 1883);
const TO_CLIENT: Over = Over::Tcp(1883, 40000);

/// A client with a will, a user name and a password.
fn connect() -> Vec<u8> {
    let body = b"\0\x04MQTT\x04\xc6\0\x3c\0\x05esp32\0\x04gone\0\x01x\0\x03bob\0\x06secret";
    [&[0x10, body.len() as u8], body.as_slice()].concat()
}

/// The same of 5.0, with properties, without the rest.
fn connect_5() -> Vec<u8> {
    let body = b"\0\x04MQTT\x05\x02\0\x3c\x05\x11\0\0\0\x0a\0\x05esp32";
    [&[0x10, body.len() as u8], body.as_slice()].concat()
}

const PUBLISH: &[u8] = b"\x30\x13\0\x0csensors/temp22.5C\xc0\x00";
const SUBSCRIBE: &[u8] = b"\x82\x0e\0\x07\0\x03a/#\x01\0\x03b/+\x00";
const SUBSCRIBE_5: &[u8] = b"\x82\x09\0\x07\0\0\x03a/#\x01";

#[test]
fn packets_read_as_sentences() {
    let lines = [
        said(TO_BROKER, &connect()),
        said(TO_BROKER, &connect_5()),
        said(TO_CLIENT, b"\x20\x02\0\0"),
        said(TO_CLIENT, b"\x20\x02\0\x05"),
        said(TO_CLIENT, b"\x20\x03\0\x87\0"),
        said(TO_BROKER, PUBLISH),
        said(TO_BROKER, b"\x3d\x87\x68\0\x03a/b\x12\x34the beginning of much"),
        said(TO_BROKER, SUBSCRIBE),
        said(TO_BROKER, SUBSCRIBE_5),
        said(TO_CLIENT, b"\x90\x03\0\x07\x80"),
        said(TO_CLIENT, b"\x40\x02\0\x09\xd0\0"),
        said(TO_CLIENT, b"\x40\x04\0\x09\x97\0"),
        said(TO_BROKER, b"\x62\x02\0\x09"),
        said(TO_BROKER, b"\xe0\x00"),
        said(TO_CLIENT, b"\xe0\x02\x8b\0"),
        said(TO_BROKER, &b"\xc0\0".repeat(6)),
        said(TO_BROKER, b"\xc0\0\xff\0"),
        said(TO_BROKER, b"rest of a message"),
        said_briefly(TO_BROKER, &connect()),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    MQTT Connect "esp32", user "bob", v3.1.1, keep alive 60 s
    MQTT Connect "esp32", v5.0, keep alive 60 s
    MQTT ConnAck accepted
    MQTT ConnAck not authorized
    MQTT ConnAck not authorized
    MQTT Publish "sensors/temp" QoS 0, 5 bytes; PingReq
    MQTT Publish "a/b" QoS 2 id 4660, 13312 bytes, retain, duplicate
    MQTT Subscribe id 7 "a/#" QoS 1, "b/+" QoS 0
    MQTT Subscribe id 7 "a/#" QoS 1
    MQTT SubAck id 7, failure
    MQTT PubAck id 9; PingResp
    MQTT PubAck id 9, quota exceeded
    MQTT PubRel id 9
    MQTT Disconnect
    MQTT Disconnect, server shutting down
    MQTT PingReq; PingReq; PingReq; PingReq; 2 more
    MQTT PingReq [2: mqtt: packet cannot be read]
    payload
    MQTT Connect "esp32", user "bob"
    "#);
}

#[test]
fn every_field_has_its_place_and_no_password_is_shown() {
    let shown = fields(TO_BROKER, &connect());
    assert!(!shown.contains("secret"));
    insta::assert_snapshot!(shown, @r#"
    type = 1 (Connect) @0+1
    remaining_length = 39 @1+1
    protocol_name = "MQTT" @4+4
    protocol_level = 4 (3.1.1) @8+1
    connect_flags = 0xc6 @9+1
    keep_alive = 60 @10+2
    client_id = "esp32" @14+5
    will_topic = "gone" @21+4
    will_message = bytes 78 @27+1
    user_name = "bob" @30+3
    "#);
    insta::assert_snapshot!(fields(TO_BROKER, PUBLISH), @r#"
    type = 3 (Publish) @0+1
    dup = false @0+1
    qos = 0 (at most once) @0+1
    retain = false @0+1
    remaining_length = 19 @1+1
    topic = "sensors/temp" @4+12
    payload_length = 5 @16+5
    type = 12 (PingReq) @21+1
    remaining_length = 0 @22+1
    "#);
    insta::assert_snapshot!(fields(TO_BROKER, SUBSCRIBE), @r#"
    type = 8 (Subscribe) @0+1
    remaining_length = 14 @1+1
    packet_id = 7 @2+2
    topic_filter = "a/#" @6+3
    requested_qos = 1 (at least once) @9+1
    topic_filter = "b/+" @12+3
    requested_qos = 0 (at most once) @15+1
    "#);
    insta::assert_snapshot!(fields(TO_CLIENT, b"\x20\x02\x01\0\x90\x03\0\x07\x01"), @r"
    type = 2 (ConnAck) @0+1
    remaining_length = 2 @1+1
    session_present = true @2+1
    return_code = 0 (accepted) @3+1
    type = 9 (SubAck) @4+1
    remaining_length = 3 @5+1
    packet_id = 7 @6+2
    return_code = 1 (granted QoS 1) @8+1
    ");
}

#[test]
fn answers_belong_to_their_questions() {
    assert_answers((TO_BROKER, &connect()), (TO_CLIENT, b"\x20\x02\0\0"));
    assert_answers((TO_BROKER, b"\xc0\0"), (TO_CLIENT, b"\xd0\0"));
    assert_answers((TO_BROKER, SUBSCRIBE), (TO_CLIENT, b"\x90\x04\0\x07\x01\x00"));
    assert_answers((TO_BROKER, b"\x32\x06\0\x01a\0\x09x"), (TO_CLIENT, b"\x40\x02\0\x09"));
    assert_eq!(told(TO_BROKER, PUBLISH), None, "QoS 0 is not acknowledged");
}

#[test]
fn what_is_no_packet_is_declined() {
    assert_eq!(protocol(TO_BROKER, b"\x30\x02\0\x09"), None, "a topic longer than its packet");
    assert_eq!(protocol(TO_BROKER, b"\x36\x04\0\x01ab"), None, "a QoS that is not there");
    assert_eq!(protocol(TO_BROKER, b"\x80\x06\0\x01\0\x01a\0"), None, "reserved flags");
    assert_eq!(protocol(TO_BROKER, b"\xc0\x01a"), None, "a ping with something in it");
}

#[test]
fn hostile_bytes_are_harmless() {
    let samples: [&[u8]; 5] = [&connect(), &connect_5(), PUBLISH, SUBSCRIBE, SUBSCRIBE_5];
    examine_hostile(TO_BROKER, &samples);
    examine_large(TO_BROKER, &b"\xc0\0".repeat(32_000));
    examine_large(TO_BROKER, &b"\x30\x04\0\x01ab".repeat(10_000));
    let filters = b"\0\x01a\0".repeat(16_000);
    let head = [0x82, 0x80 | 2, 0x80 | 116, 3, 0, 7];
    examine_large(TO_BROKER, &[head.as_slice(), &filters].concat());
}
