//! Dumps as programs write them, and what is read of them.

use super::*;
use crate::framing;
use crate::proto::dump::{Layout, dump};
use crate::proto::line::Line as Text;
use crate::proto::samples;
use crate::record::{Problem, Recovery};

fn read_in(text: &str, piece: usize) -> (Vec<Record>, usize) {
    struct Pieces(std::io::Cursor<Vec<u8>>, usize);
    impl std::io::Read for Pieces {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(into.len());
            self.0.read(&mut into[..n])
        }
    }
    let pieces = Pieces(std::io::Cursor::new(text.as_bytes().to_vec()), piece);
    let mut input = Input::from_reader(pieces);
    let mut hex = Hex::new(framing::ALL[0], 1514);
    let mut log = Log::default();
    let mut records = Vec::new();
    while let Step::Seen(seen) = hex.next(&mut input, &mut log).expect("it can be read") {
        records.push(seen.record);
    }
    (records, log.take().len())
}

fn read(text: &str) -> Vec<Record> {
    let (records, damage) = read_in(text, 1 << 20);
    assert_eq!(damage, 0);
    assert_eq!(read_in(text, 7).0, records, "in pieces");
    records
}

fn frames(text: &str) -> Vec<Vec<u8>> {
    let frame = |record: Record| match record.body {
        Body::Frame(frame) => frame.to_vec(),
        other => panic!("{other:?}"),
    };
    read(text).into_iter().map(frame).collect()
}

fn ours(bytes: &[u8], characters: bool) -> String {
    let mut text = Text::new(false);
    dump(bytes, if characters { Layout::HexAndCharacters } else { Layout::Hex }, &mut text);
    String::from_utf8(text.as_bytes().to_vec()).expect("dumps are ASCII")
}

fn all() -> Vec<Vec<u8>> {
    vec![samples::echo_request(), samples::syn(), samples::datagram(), samples::arp_request()]
}

/// Rows of a dump: offset, groups of so many bytes, and what stands behind them.
fn rows(bytes: &[u8], offset: fn(usize) -> String, group: usize) -> String {
    let mut text = String::new();
    for (n, row) in bytes.chunks(16).enumerate() {
        text.push_str(&offset(16 * n));
        for part in row.chunks(group) {
            text.push(' ');
            part.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
        }
        text.push('\n');
    }
    text
}

#[test]
fn our_own_lines_are_read_with_direction_and_error() {
    let mut text = "22:14:03.123456 -> IP 192.168.100.1 > 192.168.100.2: ICMP\n".to_owned();
    text += &ours(&samples::echo_request(), false);
    text += "22:14:03.5 ** link lost: x\n22:14:03.5 <- ARP, Request\n";
    text += &ours(&samples::arp_request(), true);
    text +=
        "22:14:04.0 !! framing: length 0 at byte 10; passed over 2 bytes, back in step (sure)\n";
    text += &ours(&[0, 0], false);
    let records = read(&text);
    assert_eq!(records[0].body, Body::Frame(samples::echo_request().into()));
    assert_eq!(records[0].origin.direction, Direction::ToDevice);
    assert_eq!(records[1].body, Body::Frame(samples::arp_request().into()));
    assert_eq!(records[1].origin.direction, Direction::FromDevice);
    let error = FramingError {
        problem: Problem::ZeroLength,
        bytes: Bytes::from_static(&[0, 0]),
        recovery: Recovery::Sure,
    };
    assert_eq!((records[2].offset, &records[2].body), (Some(10), &Body::FramingError(error)));
    assert_eq!(records.len(), 3);
}

#[test]
fn a_dump_without_the_ethernet_header_is_a_packet() {
    for frame in all() {
        let text = format!("12:00:00.0 IP a > b\n{}", ours(&frame[14..], true));
        let bytes = Bytes::from(frame).slice(14..);
        let length = bytes.len() as u32;
        let packet = Packet { link: LinkType::RAW, bytes, length };
        assert_eq!(read(&text)[0].body, Body::Packet(packet));
    }
    let cut = read(&ours(&samples::echo_request()[14..60], false));
    assert!(matches!(&cut[0].body, Body::Packet(Packet { length: 84, .. })), "{cut:?}");
}

#[test]
fn frames_of_every_program_are_read() {
    type Dump = fn(&[u8]) -> String;
    let one: [(&str, Dump); 6] = [
        ("tcpdump -xx", |bytes| ours(bytes, false)),
        ("tcpdump -XX", |bytes| ours(bytes, true)),
        ("tshark -x", |bytes| rows(bytes, |at| format!("{at:04x} "), 1) + "\n"),
        ("hexdump -C", |bytes| rows(bytes, |at| format!("{at:08x} "), 1)),
        ("xxd", |bytes| rows(bytes, |at| format!("{at:08x}:"), 2)),
        ("od -t x1", |bytes| rows(bytes, |at| format!("{at:07o}"), 1)),
    ];
    for (name, dump) in one {
        let text: String = all().iter().map(|frame| dump(frame)).collect();
        assert_eq!(frames(&text), all(), "{name}");
    }
    let digits = |frame: &Vec<u8>| frame.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<String> = all().iter().map(digits).collect();
    assert_eq!(frames(&lines.join("\n")), all());
    let plain: Vec<String> = lines
        .iter()
        .map(|line| {
            let rows: Vec<&str> = line
                .as_bytes()
                .chunks(60)
                .map(|r| std::str::from_utf8(r).expect("digits"))
                .collect();
            rows.join("\n")
        })
        .collect();
    assert_eq!(frames(&plain.join("\n\n")), all(), "xxd -p");
}

#[test]
fn a_stream_is_framed_whatever_wrote_the_dump() {
    let mut stream = Vec::new();
    for frame in all() {
        framing::ALL[0].encode(&frame, &mut stream).expect("it fits");
    }
    let little = |bytes: &[u8]| -> String {
        let swapped: Vec<u8> =
            bytes.chunks(2).flat_map(|pair| [pair.get(1).copied().unwrap_or(0), pair[0]]).collect();
        let end = bytes.len();
        rows(&swapped, |at| format!("{at:07x}"), 2) + &format!("{end:07x}\n")
    };
    assert_eq!(stream.len() % 2, 1, "so that the last word is half a one");
    assert_eq!(frames(&little(&stream)), all());
    let records = read(&rows(&stream, |at| format!("{at:08x} "), 1));
    assert_eq!(records[1].offset, Some(100));
    assert_eq!(records[1].origin, Origin::new(Direction::Unknown));
}

#[test]
fn stars_repeat_rows_up_to_a_bound() {
    let mut frame = samples::echo_request();
    frame.truncate(48);
    frame.extend([7; 160]);
    let mut text = rows(&frame[..64], |at| format!("{at:08x} "), 1);
    text += "*\n000000d0\n";
    assert_eq!(frames(&text), [frame]);
    let (records, damage) = read_in("00000000  01 02\n*\nffffffffffffffff\n", 100);
    assert_eq!(damage, 1);
    assert!(!records.is_empty());
}

#[test]
fn garbage_between_the_lines_is_passed_over() {
    let dump = ours(&samples::echo_request(), true);
    let noisy = dump.replace('\n', "\n\u{1}\u{2}garbage \u{1F600}\n");
    assert_eq!(frames(&noisy), [samples::echo_request()]);
    let long = format!("{}\n{dump}", "z".repeat(MAX_LINE + 5));
    let (records, damage) = read_in(&long, 5000);
    assert_eq!((records.len(), damage), (1, 1));
}

#[test]
fn times_with_a_date_are_taken() {
    let text = format!("1700000000.123456 IP a > b\n{}", ours(&samples::syn(), false));
    let time = Some(Span::at(Timestamp(1_700_000_000_123_456_000)));
    assert_eq!(read(&text)[0].time, time);
}

/// Rows of bytes without an offset, each behind `prefix`.
fn bare_rows(bytes: &[u8], width: usize, prefix: &str) -> String {
    let row = |row: &[u8]| row.iter().map(|byte| format!("{byte:02x} ")).collect::<String>();
    bytes.chunks(width).map(|part| format!("{prefix}{}\n", row(part))).collect()
}

#[test]
fn bytes_that_are_wrapped_without_offsets_are_one_frame() {
    let mut even = samples::datagram();
    even.resize(96, 0);
    even[16..18].copy_from_slice(&82u16.to_be_bytes());
    even[24..26].fill(0);
    let sum = crate::checksum::internet(&even[14..34]).to_be_bytes();
    even[24..26].copy_from_slice(&sum);
    even[90..].fill(9);
    for width in [16, 32] {
        for prefix in ["", "I (1234) eth: ", "> "] {
            let text: String = all().iter().map(|f| bare_rows(f, width, prefix)).collect();
            assert_eq!(frames(&text), all(), "{width} {prefix}");
        }
        let two = bare_rows(&even, width, "").repeat(2);
        assert_eq!(frames(&two), [even.clone(), even.clone()], "nothing is between them");
        let text = bare_rows(&even, width, "") + &bare_rows(&samples::echo_request(), 98, "");
        assert_eq!(frames(&text), [even.clone(), samples::echo_request()]);
    }
    assert!(is_dump(bare_rows(&even, 16, "").as_bytes()));
}

#[test]
fn dumps_in_the_log_of_a_device_are_read() {
    let mut text = "I (1230) eth: link up\n".to_owned();
    for (n, frame) in all().iter().enumerate() {
        for (row, part) in frame.chunks(16).enumerate() {
            let address = 0x3ffb_0000 + 0x1000 * n + 16 * row;
            let bytes: Vec<String> = part.iter().map(|byte| format!("{byte:02x}")).collect();
            let (left, right) = bytes.split_at(bytes.len().min(8));
            let (left, right) = (left.join(" "), right.join(" "));
            text += &format!("I (1234) eth: {address:#010x}   {left}  {right:23}  |beef: {row}|\n");
        }
        text += "W (1235) wifi: beacon timeout\n";
    }
    assert_eq!(frames(&text), all());
    assert!(is_dump(text.as_bytes()));
}
