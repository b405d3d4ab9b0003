//! Heads and chunked bodies, whole, cut and wrong.

use crate::proto::examined::{Over, assert_answers, examine_hostile, examine_large};
use crate::proto::examined::{exchange as told, fields, said, said_briefly};

const ASKED: Over = Over::Tcp(40000, 80);
const ANSWERED: Over = Over::Tcp(80, 40000);
const ELSEWHERE: Over = Over::Tcp(40000, 5000);

const GET: &[u8] =
    b"GET /index.html HTTP/1.1\r\nHost: 192.168.100.2\r\nUser-Agent: uarttool\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\
    Content-Length: 1234\r\nServer: esp32\r\n\r\n<html>";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
    5\r\nhello\r\n1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n";

#[test]
fn heads_read_as_their_start_lines() {
    let long = [b"GET /".as_slice(), &[b'a'; 1000]].concat();
    let lines = [
        said(ASKED, GET),
        said(ANSWERED, OK),
        said(ANSWERED, CHUNKED),
        said(ELSEWHERE, GET),
        said(ELSEWHERE, b"GET / HTT"),
        said(ASKED, b"GET / HTT"),
        said(ASKED, b"PATCHWORK / of"),
        said(ANSWERED, b"<html>HTTP/1.1 200 OK\r\n\r\n"),
        said(ASKED, b"GET /\x1b[2J\xe2\x80\xae HTTP/1.1\n\n"),
        said(ASKED, &long),
        said(ASKED, b"GET /old\r\n"),
        said(ASKED, b"POST /x HTTP/1.1\r\nContent-Length: 1x\r\n\r\n"),
        said(ASKED, b"GET / HTTP/1.1\r\nno colon\r\n\r\n"),
        said(ASKED, b"GET / HTTP/1.1\r\nA : b\r\n c\r\n\r\n"),
        said(ANSWERED, b"HTTP/1.1 404 \r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        said_briefly(ANSWERED, OK),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    HTTP: GET /index.html HTTP/1.1
    HTTP: HTTP/1.1 200 OK, text/html, 1234 bytes
    HTTP: HTTP/1.1 200 OK, chunked
    HTTP: GET /index.html HTTP/1.1
    payload
    HTTP: GET / HTT
    payload
    payload
    HTTP: GET /\x1b[2J\u{202e} HTTP/1.1
    HTTP: GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...
    HTTP: GET /old [0: http: request line without a version]
    HTTP: POST /x HTTP/1.1 [18: http: content length is not a number]
    HTTP: GET / HTTP/1.1 [16: http: header without a colon]
    HTTP: GET / HTTP/1.1 [16: http: header's name is not a word]
    HTTP: HTTP/1.1 404, chunked [45: http: chunk size cannot be read]
    HTTP: HTTP/1.1 200 OK
    ");
}

#[test]
fn every_field_has_its_place() {
    insta::assert_snapshot!(fields(ASKED, GET), @r#"
    method = "GET" @0+3
    target = "/index.html" @4+11
    version = "HTTP/1.1" @16+8
    header = "Host: 192.168.100.2" @26+19
    host = "192.168.100.2" @32+13
    header = "User-Agent: uarttool" @47+20
    user_agent = "uarttool" @59+8
    "#);
    insta::assert_snapshot!(fields(ANSWERED, OK), @r#"
    version = "HTTP/1.1" @0+8
    status = 200 (successful) @9+3
    reason = "OK" @13+2
    header = "Content-Type: text/html; charset=utf-8" @17+38
    content_type = "text/html; charset=utf-8" @31+24
    header = "Content-Length: 1234" @57+20
    content_length = 1234 @73+4
    header = "Server: esp32" @79+13
    server = "esp32" @87+5
    "#);
    insta::assert_snapshot!(fields(ANSWERED, CHUNKED), @r#"
    version = "HTTP/1.1" @0+8
    status = 200 (successful) @9+3
    reason = "OK" @13+2
    header = "Transfer-Encoding: gzip, Chunked" @17+32
    transfer_encoding = "gzip, Chunked" @36+13
    chunk_size = 5 @53+1
    chunk_size = 26 @63+2
    chunk_size = 0 @99+1
    "#);
    insta::assert_snapshot!(fields(ASKED, b"POST /x HTTP/1.0\r\nContent-Length:7\t \r\nHos"), @r#"
    method = "POST" @0+4
    target = "/x" @5+2
    version = "HTTP/1.0" @8+8
    header = "Content-Length:7\\t " @18+18
    content_length = 7 @33+1
    "#);
}

#[test]
fn a_response_belongs_to_the_request_of_its_connection() {
    assert_answers((ASKED, GET), (ANSWERED, OK));
    assert_eq!(told(ANSWERED, b"HTTP/1.1 100 Continue\r\n\r\n"), None);
}

#[test]
fn hostile_bytes_are_harmless() {
    examine_hostile(ASKED, &[GET, OK, CHUNKED]);
    examine_large(ASKED, &[b"GET / HTTP/1.1\r\n".as_slice(), &b":\n".repeat(32_000)].concat());
    examine_large(ASKED, &[b"GET /".as_slice(), &[0x1b; 65_000]].concat());
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice();
    examine_large(ANSWERED, &[chunks, &b"1\na\r\n".repeat(12_000)].concat());
    examine_large(ANSWERED, &[chunks, &b"ffffffffffffffff\r\n".repeat(12_000)].concat());
}
