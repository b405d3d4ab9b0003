//! Flights of a handshake, byte by byte; what is encrypted and what is no record.

use crate::proto::examined::{Over, assert_answers, examine_hostile, examine_large};
use crate::proto::examined::{fields, hex, protocol, said, said_briefly};

const TO_SERVER: Over = Over::Tcp(40000, 443);
const TO_CLIENT: Over = Over::Tcp(443, 40000);

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], &(body.len() as u16).to_be_bytes()[..], body].concat()
}

fn hello(suites: &[u8], compression: &[u8], extensions: &[u8]) -> Vec<u8> {
    let length = (extensions.len() as u16).to_be_bytes();
    let random = [0xaa; 32];
    [&[3, 3][..], &random, &[0], suites, compression, &length, extensions].concat()
}

fn client_hello() -> Vec<u8> {
    let extensions = [
        b"\0\0\0\x10\0\x0e\0\0\x0bexample.com".as_slice(),
        b"\0\x10\0\x0e\0\x0c\x02h2\x08http/1.1\0\x2b\0\x05\x04\x03\x04\x03\x03",
    ];
    let hello = hello(&[0, 4, 0x13, 1, 0xc0, 0x2f], &[1, 0], &extensions.concat());
    record(22, &handshake(1, &hello))
}

fn server_hello() -> Vec<u8> {
    let hello = hello(&[0x13, 1], &[0], &[0, 43, 0, 2, 3, 4]);
    [record(22, &handshake(2, &hello)), record(20, &[1]), record(23, &[0x5a; 40])].concat()
}

/// Of TLS 1.2: messages in one record and in several, then what is encrypted.
fn second_flight() -> Vec<u8> {
    let key = handshake(16, &[32; 33]);
    [record(22, &key), record(20, &[1]), record(22, &[&[0; 8][..], &[0x77; 32]].concat())].concat()
}

fn server_flight() -> Vec<u8> {
    let hello = handshake(2, &hello(&[0xc0, 0x2f], &[0], &[]));
    let certificate = handshake(11, &[&[0, 0, 7, 0, 0, 4][..], &[0x30; 4]].concat());
    record(22, &[hello, certificate, handshake(14, &[])].concat())
}

#[test]
fn records_read_as_sentences() {
    let retry = hello(&[0x13, 2], &[0], &[0, 43, 0, 2, 3, 4]);
    let mut retry = record(22, &handshake(2, &retry));
    retry[11..19].copy_from_slice(&hex("cf21ad74e59a6111"));
    let data = [record(23, &[1; 30]), record(23, &[2; 300])].concat();
    let mut cut = server_flight();
    cut.truncate(60);
    let lines = [
        said(TO_SERVER, &client_hello()),
        said(TO_CLIENT, &server_hello()),
        said(TO_CLIENT, &server_flight()),
        said(TO_CLIENT, &cut),
        said(TO_SERVER, &second_flight()),
        said(TO_CLIENT, &retry),
        said(TO_SERVER, &data),
        said(TO_SERVER, &data[..100]),
        said(TO_CLIENT, &record(21, &[2, 42])),
        said(TO_CLIENT, &record(21, &[2, 250])),
        said(TO_CLIENT, &record(21, &[0x9d; 26])),
        said(TO_CLIENT, &record(20, &[1]).repeat(9)),
        said(TO_SERVER, &client_hello()[..50]),
        said(TO_SERVER, b"the middle of a record"),
        said(Over::Tcp(40000, 4433), &client_hello()),
        said_briefly(TO_CLIENT, &server_hello()),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    TLS ClientHello, SNI example.com, ALPN h2 http/1.1
    TLS ServerHello, TLS 1.3, 0x1301 TLS_AES_128_GCM_SHA256; change cipher spec; application data, 1 record
    TLS ServerHello, TLS 1.2, 0xc02f TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256; Certificate; ServerHelloDone
    TLS ServerHello, TLS 1.2, 0xc02f TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256; Certificate
    TLS ClientKeyExchange; change cipher spec; encrypted handshake message
    TLS HelloRetryRequest, TLS 1.3, 0x1302 TLS_AES_256_GCM_SHA384
    TLS application data, 2 records
    TLS application data, 2 records
    TLS alert fatal: bad certificate
    TLS alert fatal: 250
    TLS encrypted alert
    TLS change cipher spec; change cipher spec; change cipher spec; change cipher spec; change cipher spec; change cipher spec; 3 more
    TLS ClientHello
    payload
    TLS ClientHello, SNI example.com, ALPN h2 http/1.1
    TLS ServerHello, TLS 1.3, 0x1301; change cipher spec; application data, 1 record
    ");
}

#[test]
fn every_field_has_its_place() {
    insta::assert_snapshot!(fields(TO_SERVER, &client_hello()), @r#"
    record.type = 22 (handshake) @0+1
    record.version = 0x303 (TLS 1.2) @1+2
    record.length = 96 @3+2
    handshake.type = 1 (ClientHello) @5+1
    handshake.length = 92 @6+3
    handshake.version = 0x303 (TLS 1.2) @9+2
    handshake.random = bytes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa @11+32
    offered_cipher_suite = 0x1301 (TLS_AES_128_GCM_SHA256) @46+2
    offered_cipher_suite = 0xc02f (TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) @48+2
    extension.type = 0 (server_name) @54+20
    server_name = "example.com" @63+11
    extension.type = 16 (application_layer_protocol_negotiation) @74+18
    alpn = "h2" @81+2
    alpn = "http/1.1" @84+8
    extension.type = 43 (supported_versions) @92+9
    supported_version = 0x304 (TLS 1.3) @97+2
    supported_version = 0x303 (TLS 1.2) @99+2
    "#);
    insta::assert_snapshot!(fields(TO_CLIENT, &server_hello()), @r"
    record.type = 22 (handshake) @0+1
    record.version = 0x303 (TLS 1.2) @1+2
    record.length = 50 @3+2
    handshake.type = 2 (ServerHello) @5+1
    handshake.length = 46 @6+3
    handshake.version = 0x303 (TLS 1.2) @9+2
    handshake.random = bytes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa @11+32
    cipher_suite = 0x1301 (TLS_AES_128_GCM_SHA256) @44+2
    extension.type = 43 (supported_versions) @49+6
    supported_version = 0x304 (TLS 1.3) @53+2
    record.type = 20 (change cipher spec) @55+1
    record.version = 0x303 (TLS 1.2) @56+2
    record.length = 1 @58+2
    record.type = 23 (application data) @61+1
    record.version = 0x303 (TLS 1.2) @62+2
    record.length = 40 @64+2
    ");
    insta::assert_snapshot!(fields(TO_CLIENT, &record(21, &[2, 42])), @r"
    record.type = 21 (alert) @0+1
    record.version = 0x303 (TLS 1.2) @1+2
    record.length = 2 @3+2
    alert.level = 2 (fatal) @5+1
    alert.description = 42 (bad certificate) @6+1
    ");
}

#[test]
fn what_is_encrypted_is_not_read_as_plain() {
    for body in [&[0x14; 40][..], &[0; 40], &[&[1, 0, 1, 0][..], &[9; 36]].concat()] {
        let frame = record(22, body);
        assert_eq!(said(TO_CLIENT, &frame), "TLS encrypted handshake message");
        assert!(!fields(TO_CLIENT, &frame).contains("handshake.type"));
    }
}

#[test]
fn what_is_no_record_is_declined() {
    for bytes in [&[22, 3, 3, 0xff, 0xff, 1][..], &[25, 3, 3, 0, 5], &[22, 2, 0, 0, 5], &[22, 3]] {
        assert_eq!(protocol(TO_SERVER, bytes), None);
    }
}

#[test]
fn a_server_hello_answers_a_client_hello() {
    assert_answers((TO_SERVER, &client_hello()), (TO_CLIENT, &server_hello()));
}

#[test]
fn hostile_bytes_are_harmless() {
    let samples = [client_hello(), server_hello(), server_flight(), second_flight()];
    let samples: Vec<&[u8]> = samples.iter().map(Vec::as_slice).collect();
    examine_hostile(TO_SERVER, &samples);
    examine_large(TO_SERVER, &record(20, &[1]).repeat(10_000));
    examine_large(TO_SERVER, &record(23, &[]).repeat(13_000));
    examine_large(TO_SERVER, &record(22, &handshake(14, &[]).repeat(4000)).repeat(4));
}
