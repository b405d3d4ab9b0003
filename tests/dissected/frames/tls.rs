//! TLS: hellos with extensions, alerts, changes of cipher, encrypted data.

use super::{Maker, counted};

/// Records, one or several in a segment.
pub fn tls(maker: &mut Maker) -> Vec<u8> {
    let is_answer = maker.chance(2);
    let mut bytes = Vec::new();
    match maker.below(5) {
        0..=2 => {
            let hello = hello(maker, is_answer);
            bytes.extend(record(22, if is_answer { 0x0303 } else { 0x0301 }, &hello));
        }
        3 => bytes.extend(record(
            21,
            0x0303,
            &[maker.pick(&[1, 2]), maker.pick(&[0, 10, 40, 42, 48, 70, 80, 112])],
        )),
        _ => {
            bytes.extend(record(20, 0x0303, &[1]));
            let data = maker.some(20, 80);
            bytes.extend(record(23, 0x0303, &data));
        }
    }
    maker.tcp_with(443, is_answer, &bytes)
}

fn record(kind: u8, version: u16, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &version.to_be_bytes(), &counted(2, body)].concat()
}

fn hello(maker: &mut Maker, is_server: bool) -> Vec<u8> {
    const SUITES: [u16; 8] = [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xcca8, 0x009c, 0x002f];
    let mut body = u16::to_be_bytes(maker.pick(&[0x0303, 0x0303, 0x0302])).to_vec();
    body.extend(maker.bytes(32));
    let session = maker.pick(&[0, 32]);
    body.extend(counted(1, &maker.bytes(session)));
    let mut extensions = Vec::new();
    let mut extension = |kind: u16, data: &[u8]| {
        extensions.extend([&kind.to_be_bytes()[..], &counted(2, data)].concat());
    };
    if is_server {
        body.extend(maker.pick(&SUITES).to_be_bytes());
        body.push(0);
        if maker.chance(2) {
            extension(43, &[3, 4]);
        }
        if maker.chance(2) {
            let chosen = counted(1, maker.pick(&[&b"h2"[..], b"http/1.1"]));
            extension(16, &counted(2, &chosen));
        }
        extension(0xff01, &[0]);
    } else {
        let suites: Vec<u8> =
            SUITES.iter().filter(|_| maker.chance(2)).flat_map(|s| s.to_be_bytes()).collect();
        let suites = if suites.is_empty() { vec![0x13, 1] } else { suites };
        body.extend(counted(2, &suites));
        body.extend([1, 0]);
        if maker.chance(2) {
            let name = [vec![0], counted(2, &maker.letters(1, 40))].concat();
            extension(0, &counted(2, &name));
        }
        if maker.chance(2) {
            let offered = [counted(1, b"h2"), counted(1, b"http/1.1")].concat();
            extension(16, &counted(2, &offered));
        }
        if maker.chance(2) {
            extension(43, &counted(1, &[3, 4, 3, 3]));
        }
        extension(10, &counted(2, &[0, 29, 0, 23]));
        extension(23, &[]);
    }
    body.extend(counted(2, &extensions));
    [&[if is_server { 2 } else { 1 }][..], &counted(3, &body)].concat()
}
