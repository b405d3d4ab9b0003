//! What `replay --expect` says of devices that do not answer as they did, and of captures that lack something.

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{run, text};
use uarttool::checksum::{Sum, internet};

const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;
const URG: u8 = 32;

/// Frames to send, each so many milliseconds later.
type Answers = Vec<(u64, Vec<u8>)>;

/// A device that answers frames as `answer` says, and its endpoint.
fn device(mut answer: impl FnMut(&[u8]) -> Answers + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let endpoint = format!("tcp:{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.set_nodelay(true);
        let out = Arc::new(Mutex::new(stream.try_clone().expect("a second handle")));
        let mut length = [0; 2];
        while stream.read_exact(&mut length).is_ok() {
            let mut frame = vec![0; usize::from(u16::from_be_bytes(length))];
            if stream.read_exact(&mut frame).is_err() {
                return;
            }
            for (after, frame) in answer(&frame) {
                send(&out, after, frame);
            }
        }
    });
    endpoint
}

fn send(out: &Arc<Mutex<TcpStream>>, after: u64, frame: Vec<u8>) {
    let bytes = [&(frame.len() as u16).to_be_bytes()[..], &frame].concat();
    let out = out.clone();
    let write = move || {
        let _ = out.lock().expect("no panic").write_all(&bytes); // or it has left
    };
    match after {
        0 => write(),
        _ => drop(std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(after));
            write();
        })),
    }
}

/// One that gives `answer` to `question`, and is silent otherwise.
fn answering(question: &[u8], answer: Answers) -> String {
    let question = question.to_vec();
    device(move |frame| if frame == question { answer.clone() } else { Vec::new() })
}

/// A frame with an IPv4 packet in it, of the host or the device.
struct Packet {
    from: Ipv4Addr,
    to: Ipv4Addr,
    mac: Option<[u8; 6]>,
    tos: u8,
    ttl: u8,
    id: u16,
    protocol: u8,
    payload: Vec<u8>,
}

fn packet(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Packet {
    Packet { from, to, mac: None, tos: 0, ttl: 255, id: 7, protocol, payload: payload.to_vec() }
}

fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [first, _, _, last] = address.octets();
    if first == 10 { [0, 0x11, 0x22, 0x33, 0x44, last] } else { [2, 0, 0, 0, 0, last] }
}

impl Packet {
    fn frame(&self) -> Vec<u8> {
        let mut frame = self.mac.unwrap_or_else(|| mac(self.to)).to_vec();
        frame.extend(mac(self.from));
        frame.extend([8, 0, 0x45, self.tos]);
        frame.extend((20 + self.payload.len() as u16).to_be_bytes());
        frame.extend(self.id.to_be_bytes());
        frame.extend([0, 0, self.ttl, self.protocol, 0, 0]);
        frame.extend(self.from.octets());
        frame.extend(self.to.octets());
        let sum = internet(&frame[14..34]).to_be_bytes();
        frame[24..26].copy_from_slice(&sum);
        frame.extend(&self.payload);
        if let Some(at) = [(1, 2), (6, 16), (17, 6)].iter().find(|(p, _)| *p == self.protocol) {
            let pseudo = match self.protocol {
                1 => Sum::default(),
                protocol => Sum::pseudo(self.from, self.to, protocol, self.payload.len()),
            };
            frame[34 + at.1..36 + at.1].fill(0);
            let sum = pseudo.plus(&frame[34..]).finish().to_be_bytes();
            frame[34 + at.1..36 + at.1].copy_from_slice(&sum);
        }
        frame
    }
}

fn datagram(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), data: &[u8]) -> Packet {
    let mut payload = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
    payload.extend((8 + data.len() as u16).to_be_bytes());
    payload.extend([0, 0]);
    payload.extend(data);
    packet(from.0, to.0, 17, &payload)
}

fn echo(sequence: u8, is_reply: bool) -> Vec<u8> {
    let message = [if is_reply { 0 } else { 8 }, 0, 0, 0, 0, 7, 0, sequence, b'a', b'b'];
    let (from, to) = if is_reply { (DEVICE, HOST) } else { (HOST, DEVICE) };
    packet(from, to, 1, &message).frame()
}

/// A segment, and what else may be odd about it.
#[derive(Clone)]
struct Segment {
    is_ours: bool,
    port: u16,
    seq: u32,
    ack: u32,
    flags: u8,
    data: Vec<u8>,
    mac: Option<[u8; 6]>,
    ttl: u8,
    window: u16,
}

impl Segment {
    fn frame(&self) -> Vec<u8> {
        let (from, to) = if self.is_ours { (HOST, DEVICE) } else { (DEVICE, HOST) };
        let (source, destination) = if self.is_ours { (self.port, 80) } else { (80, self.port) };
        let mut bytes = [source.to_be_bytes(), destination.to_be_bytes()].concat();
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend([0x50, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0, 0, 0, 0]);
        bytes.extend(&self.data);
        Packet { mac: self.mac, ttl: self.ttl, ..packet(from, to, 6, &bytes) }.frame()
    }
}

/// What is said in a recorded connection: each time a question and its answer.
fn conversation(talk: &[(&str, &str)], is_closed: bool) -> Vec<Vec<u8>> {
    let (mut ours, mut theirs) = (100u32, 5000u32);
    let mut frames = Vec::new();
    let mut say = |is_ours: bool, flags: u8, data: &str, ours: u32, theirs: u32| {
        let (seq, ack) = if is_ours { (ours, theirs) } else { (theirs, ours) };
        let data = data.as_bytes().to_vec();
        let (port, window) = (40000, 5840);
        let segment = Segment { is_ours, port, seq, ack, flags, data, mac: None, ttl: 255, window };
        frames.push(segment.frame());
    };
    say(true, SYN, "", ours, 0);
    ours += 1;
    say(false, SYN | ACK, "", ours, theirs);
    theirs += 1;
    say(true, ACK, "", ours, theirs);
    for (question, answer) in talk {
        say(true, PSH | ACK, question, ours, theirs);
        ours += question.len() as u32;
        say(false, PSH | ACK, answer, ours, theirs);
        theirs += answer.len() as u32;
        say(true, ACK, "", ours, theirs);
    }
    if is_closed {
        say(true, FIN | ACK, "", ours, theirs);
        ours += 1;
        say(false, FIN | ACK, "", ours, theirs);
        say(true, ACK, "", ours, theirs + 1);
    }
    frames
}

/// A server of today that gives these answers one after the other; `tweak` may change what it sends.
fn server(
    answers: &[&str],
    mut tweak: impl FnMut(Vec<Segment>) -> Vec<Segment> + Send + 'static,
) -> String {
    let mut answers: Vec<String> = answers.iter().rev().map(|text| (*text).to_owned()).collect();
    let mut theirs = 777_000u32;
    device(move |frame| {
        let number = |at: usize| u32::from_be_bytes(frame[at..at + 4].try_into().expect("four"));
        if frame[23] != 6 {
            return Vec::new();
        }
        let (seq, flags, length) = (number(38), frame[47], frame.len() as u32 - 54);
        let span = length + u32::from(flags & (SYN | FIN) != 0);
        let segment = |flags: u8, data: &str| Segment {
            is_ours: false,
            port: u16::from_be_bytes([frame[34], frame[35]]),
            seq: theirs,
            ack: seq + span,
            flags,
            data: data.as_bytes().to_vec(),
            mac: None,
            ttl: 255,
            window: 5840,
        };
        let said = match flags {
            flags if flags & SYN != 0 => segment(SYN | ACK, ""),
            flags if flags & FIN != 0 => segment(FIN | ACK, ""),
            _ if length > 0 => segment(PSH | ACK, &answers.pop().unwrap_or_default()),
            _ => return Vec::new(),
        };
        theirs += said.data.len() as u32 + u32::from(said.flags & (SYN | FIN) != 0);
        tweak(vec![said]).iter().map(|segment| (0, segment.frame())).collect()
    })
}

/// What comes of a capture of these frames, each with how much of it was kept: exit code, report, error.
fn judged(
    frames: &[(&[u8], usize)],
    endpoint: &str,
    more: &[&str],
) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("some.pcap");
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    bytes.extend(1u32.to_le_bytes());
    for (n, (frame, kept)) in frames.iter().enumerate() {
        let kept = frame.len().min(*kept);
        for word in [1000, 1000 * n as u32, kept as u32, frame.len() as u32] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(&frame[..kept]);
    }
    std::fs::write(&path, bytes).expect("a file");
    let path = path.to_str().expect("a path");
    let args = ["replay", path, "-d", endpoint, "--no-attach", "--expect", "-qq"];
    let output = run([&args[..], &["--timeout", "0.5"], more].concat());
    let (stdout, stderr) = text(&output);
    (output.status.code(), stdout, stderr)
}

fn whole(frames: &[Vec<u8>]) -> Vec<(&[u8], usize)> {
    frames.iter().map(|frame| (&frame[..], usize::MAX)).collect()
}

/// The same, where the exit code must be this one; the report.
fn told(code: i32, frames: &[(&[u8], usize)], endpoint: &str) -> String {
    let (got, stdout, stderr) = judged(frames, endpoint, &[]);
    assert_eq!(got, Some(code), "{stdout}{stderr}");
    stdout
}

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 40\r\n\r\n\
    0123456789012345678901234567890123456789";
const BROKEN: &str = "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n";

#[test]
fn of_a_cut_or_lost_answer_what_is_there_is_compared() {
    let frames = conversation(&[(GET, OK)], true);
    for kept in [90, 100, 110] {
        let cut: Vec<_> = frames.iter().map(|frame| (&frame[..], kept)).collect();
        let report = told(0, &cut, &server(&[OK], |said| said));
        assert!(report.contains(" was compared in part: "), "{report}");
        assert!(report.contains("1 connection compared in part ("), "{report}");
        let report = told(1, &cut, &server(&[BROKEN], |said| said));
        assert!(report.contains("actual    HTTP/1.1 500 Broken"), "{report}");
        // What was cut had a length: a device that says less is another one.
        let half = OK.replace("01234567890123456789", "");
        assert_eq!(
            judged(&cut, &server(&[&half], |said| said), &[]).0,
            Some(if kept > 100 { 1 } else { 0 }),
            "{kept}"
        );
    }
    // The capture lost the segment with the answer.
    let mut lost = whole(&frames);
    lost.remove(4);
    let report = told(0, &lost, &server(&[OK], |said| said));
    assert!(report.contains("bytes were not recorded"), "{report}");
    assert!(!report.contains("connection as recorded"), "{report}");
    // A part of the body was lost, and what is behind it is compared.
    let (front, rest) = OK.split_at(OK.len() - 20);
    let (middle, back) = rest.split_at(10);
    for (answer, code) in [
        (OK.to_owned(), 0),
        (OK.replacen("56789\"", "5678X", 1), 0),
        (format!("{front}{middle}XXXXXXXXXX"), 1),
    ] {
        let mut pieces = conversation(&[(GET, front), ("", middle), ("", back)], true);
        pieces.remove(7);
        pieces.remove(6);
        let answers = server(&[&answer], |said| said);
        let report = told(code, &whole(&pieces), &answers);
        assert!(report.contains("10 bytes were not recorded"), "{report}");
    }
}

#[test]
fn a_datagram_that_was_cut_is_compared_as_far_as_it_goes() {
    let (ours, theirs) = ((HOST, 30000), (DEVICE, 7));
    let question = datagram(ours, theirs, b"hello").frame();
    let answer = |text: &[u8]| datagram(theirs, ours, text).frame();
    let good = answer(b"hello, world");
    let frames = [(&question[..], usize::MAX), (&good[..], 47)];
    let report = told(0, &frames, &answering(&question, vec![(0, good.clone())]));
    assert!(report.ends_with("answers: 0 as recorded, 1 compared in part\n"), "{report}");
    let report = told(1, &frames, &answering(&question, vec![(0, answer(b"HELLO, world"))]));
    assert!(report.contains("expected  payload  hello"), "{report}");
    told(1, &frames, &answering(&question, vec![(0, answer(b"hello, worlds"))]));
    let report = told(1, &frames, &answering(&question, Vec::new()));
    assert!(report.contains("this answer did not come"), "{report}");
    // Too little to tell what it answers.
    let frames = [(&question[..], usize::MAX), (&good[..], 30)];
    let (code, report, error) =
        judged(&frames, &answering(&question, vec![(0, good.clone())]), &[]);
    assert_eq!(code, Some(4), "{report}{error}");
    assert!(report.contains("1 not compared (cut or missing in the capture)"), "{report}");
}

#[test]
fn nothing_to_compare_is_no_success() {
    let (us, them) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let question = datagram((us, 30000), (them, 7), b"hello").frame();
    let answer = datagram((them, 7), (us, 30000), b"hello").frame();
    let frames = [question, answer];
    let (code, report, error) =
        judged(&whole(&frames), &device(|_| Vec::new()), &["--keep-addresses"]);
    assert_eq!(code, Some(4), "{report}{error}");
    for part in [
        "found no recorded answer of the device",
        "10.0.0.1 (00:11:22:33:44:01) and 10.0.0.2 (00:11:22:33:44:02)",
        "--rewrite-ip 10.0.0.1=192.168.100.1,10.0.0.2=192.168.100.2",
        "--device-ip 10.0.0.2",
    ] {
        assert!(error.contains(part), "{error}");
    }
    // What it says to give works.
    let rewrite = [
        "--rewrite-ip",
        "10.0.0.1=192.168.100.1,10.0.0.2=192.168.100.2",
        "--rewrite-mac",
        "00:11:22:33:44:01=02:00:00:00:00:01,00:11:22:33:44:02=02:00:00:00:00:02",
    ];
    let (code, report, _) = judged(&whole(&frames), &device(|_| Vec::new()), &rewrite);
    assert_eq!(code, Some(1), "{report}");
}

#[test]
fn answers_that_should_not_come_are_heard() {
    let (question, reply) = (echo(1, false), echo(1, true));
    let report =
        told(1, &[(&question[..], usize::MAX)], &answering(&question, vec![(60, reply.clone())]));
    assert!(report.contains("an answer came that was not recorded: IP 192.168.100.2"), "{report}");
    let frames = [question.clone(), reply.clone(), echo(2, false)];
    told(0, &whole(&frames), &answering(&question, vec![(0, reply.clone())]));
    let twice = vec![(0, reply.clone()), (60, reply.clone())];
    told(1, &whole(&frames[..2]), &answering(&question, twice));
    let second = echo(2, false);
    let both = device(move |frame| match frame == second {
        true => vec![(60, echo(2, true))],
        false => vec![(0, reply.clone())],
    });
    told(1, &whole(&frames), &both);
}

#[test]
fn behind_the_end_of_the_recording_nothing_more_is_right() {
    let frames = conversation(&[(GET, OK)], false);
    let behind = |flags: u8, data: &'static str| {
        server(&[OK], move |mut said| {
            if !said[0].data.is_empty() {
                let seq = said[0].seq + said[0].data.len() as u32;
                said.push(Segment {
                    seq,
                    flags,
                    data: data.as_bytes().to_vec(),
                    ..said[0].clone()
                });
            }
            said
        })
    };
    told(0, &whole(&frames), &server(&[OK], |said| said));
    let report = told(1, &whole(&frames), &behind(RST, ""));
    assert!(report.contains("expected  the end  open\n    actual    the end  reset"), "{report}");
    for more in [OK, "garbage"] {
        let report = told(1, &whole(&frames), &behind(ACK, more));
        assert!(report.contains("bytes more than the"), "{report}");
    }
    // A recording that ends in the middle of an answer says nothing about the rest.
    let begun = conversation(&[(GET, &OK[..OK.len() - 7])], false);
    let report = told(0, &whole(&begun), &server(&[OK], |said| said));
    assert!(
        report.contains("has 7 bytes more today: the recording ends in the middle"),
        "{report}"
    );
}

#[test]
fn segments_are_judged_with_what_carries_them() {
    let frames = conversation(&[(GET, OK)], true);
    let each = |change: fn(&mut Segment)| {
        server(&[OK], move |mut said| {
            said.iter_mut().for_each(change);
            said
        })
    };
    let report = told(0, &whole(&frames), &each(|_| {}));
    assert!(report.starts_with("answers: 1 connection as recorded, "), "{report}");
    told(0, &whole(&frames), &each(|segment| segment.window = 0));
    for (change, what) in [
        ((|s| s.mac = Some([255; 6])) as fn(&mut Segment), "ethernet.dst  ff:ff:ff:ff:ff:ff"),
        (
            |s| s.ttl = 1,
            "opens in another way\n    expected  ipv4.ttl  255\n    actual    ipv4.ttl  1",
        ),
        (|s| s.ack = 101, "has not acknowledged all of ours today: "),
        (
            |s| s.ack += u32::from(s.flags & SYN != 0),
            "expected  tcp.ack  101\n    actual    tcp.ack  102",
        ),
        (|s| s.flags |= if s.data.is_empty() { 0 } else { URG }, "sends data in another way"),
        (|s| s.ttl -= u8::from(s.flags & FIN != 0), "closes in another way"),
    ] {
        let report = told(1, &whole(&frames), &each(change));
        assert!(report.contains(what), "{what}: {report}");
    }
    let reset = server(&[OK], |mut said| {
        if said[0].flags & FIN != 0 {
            said.push(Segment { seq: said[0].seq + 1, flags: RST, ..said[0].clone() });
        }
        said
    });
    let report = told(1, &whole(&frames), &reset);
    assert!(report.contains("is reset behind its end today"), "{report}");
}

#[test]
fn answers_to_groups_are_compared_if_we_have_asked() {
    let group = Ipv4Addr::new(224, 0, 0, 251);
    let name = b"\x03esp\x05local\x00";
    let to_group = Some([1, 0, 0x5e, 0, 0, 0xfb]);
    let multicast = |from: Ipv4Addr, message: Vec<u8>| {
        Packet { mac: to_group, ..datagram((from, 5353), (group, 5353), &message) }.frame()
    };
    let query = [&[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], &name[..], &[0, 1, 0, 1]].concat();
    let question = multicast(HOST, query);
    let answer = |last: u8| {
        let head = [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let record = [0, 1, 0, 1, 0, 0, 0, 120, 0, 4, 192, 168, 100, last];
        multicast(DEVICE, [&head, &name[..], &record].concat())
    };
    let frames = [question.clone(), answer(2)];
    let report = told(0, &whole(&frames), &answering(&question, vec![(0, answer(2))]));
    assert!(report.ends_with("answers: 1 as recorded\n"), "{report}");
    let report = told(1, &whole(&frames), &answering(&question, vec![(0, answer(6))]));
    assert!(report.contains("mdns.answer.data  192.168.100.6"), "{report}");
    told(1, &whole(&frames), &answering(&question, Vec::new()));
    // What is announced besides is counted.
    let report =
        told(0, &whole(&frames), &answering(&question, vec![(0, answer(2)), (0, answer(6))]));
    assert!(report.ends_with("1 not compared (of its own accord)\n"), "{report}");
    // An offer of a DHCP server goes to everybody.
    let everybody = Ipv4Addr::BROADCAST;
    let dhcp = |kind: u8, address: u8| {
        let mut message = vec![if kind == 1 { 1 } else { 2 }, 1, 6, 0, 0, 0, 0, 77];
        message.resize(236, 0);
        message[16..20].copy_from_slice(&[192, 168, 100, address]);
        message[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        message.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind, 255]);
        let (from, to) =
            if kind == 1 { ((Ipv4Addr::UNSPECIFIED, 68), 67) } else { ((DEVICE, 67), 68) };
        let datagram = datagram(from, (everybody, to), &message);
        let mut frame = Packet { mac: Some([255; 6]), ..datagram }.frame();
        frame[6..12].copy_from_slice(&mac(if kind == 1 { HOST } else { DEVICE }));
        frame
    };
    let discover = dhcp(1, 0);
    let frames = [discover.clone(), dhcp(2, 1)];
    told(0, &whole(&frames), &answering(&discover, vec![(0, dhcp(2, 1))]));
    let report = told(1, &whole(&frames), &answering(&discover, vec![(0, dhcp(2, 6))]));
    assert!(report.contains("dhcp.yiaddr"), "{report}");
}

#[test]
fn bytes_that_belong_to_no_field_are_compared() {
    let (ours, theirs) = ((HOST, 30000), (DEVICE, 53));
    let question =
        datagram(ours, theirs, b"\0\x05\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01").frame();
    let answer = |rest: &[u8], id: u16| {
        let message = b"\0\x05\x81\x80\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        Packet { id, ..datagram(theirs, ours, &[&message[..], rest].concat()) }.frame()
    };
    let frames = [question.clone(), answer(b"rest", 1)];
    told(0, &whole(&frames), &answering(&question, vec![(0, answer(b"rest", 2))]));
    let report = told(1, &whole(&frames), &answering(&question, vec![(0, answer(b"rust", 1))]));
    assert!(report.contains("the answer differs, UDP"), "{report}");
    let refused = |unused: u8| {
        let message = [&[3, 3, 0, 0, 0, 0, 0, unused], &question[14..]].concat();
        packet(DEVICE, HOST, 1, &message).frame()
    };
    let frames = [question.clone(), refused(0)];
    told(0, &whole(&frames), &answering(&question, vec![(0, refused(0))]));
    let report = told(1, &whole(&frames), &answering(&question, vec![(0, refused(9))]));
    assert!(report.contains("    expected  bytes from 41  00"), "{report}");
}

#[test]
fn recorded_checksums_that_a_network_card_fills_in_are_no_difference() {
    let mut frames = conversation(&[(GET, OK)], true);
    frames.iter_mut().filter(|frame| frame[29] == 2).for_each(|frame| frame[50] ^= 0x55);
    let report = told(0, &whole(&frames), &server(&[OK], |said| said));
    assert!(report.starts_with("answers: 1 connection as recorded, "), "{report}");
    told(1, &whole(&frames), &server(&[BROKEN], |said| said));
    let question = datagram((HOST, 30000), (DEVICE, 7), b"hello").frame();
    let answer = datagram((DEVICE, 7), (HOST, 30000), b"hello").frame();
    let mut wrong = answer.clone();
    wrong[40] ^= 0x55;
    let frames = [question.clone(), wrong.clone()];
    told(0, &whole(&frames), &answering(&question, vec![(0, answer.clone())]));
    let frames = [question.clone(), answer];
    told(1, &whole(&frames), &answering(&question, vec![(0, wrong)]));
    // A head of HTTP that is none is a stream like any other.
    let odd = "HTTP/1.1 200 OK\r\nContent-Length: x\r\n:::\r\n\r\nabc";
    let frames = conversation(&[(GET, odd)], true);
    told(0, &whole(&frames), &server(&[odd], |said| said));
}

#[test]
fn the_same_body_in_other_chunks_is_no_difference() {
    let answer =
        |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let recorded = answer("a\r\nhellohello\r\n0\r\n\r\n");
    let frames = conversation(&[(GET, &recorded), (GET, OK)], true);
    let today = answer("5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\n");
    told(0, &whole(&frames), &server(&[&today, OK], |said| said));
    for other in ["5\r\nhello\r\n5\r\nhellO\r\n0\r\n\r\n", "5\r\nhello\r\n5\r\nhello\r\n"] {
        told(1, &whole(&frames), &server(&[&answer(other), OK], |said| said));
    }
    // Answers without a body, although they announce one.
    for head in [
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
    ] {
        let frames = conversation(&[("HEAD / HTTP/1.1\r\n\r\n", head), (GET, OK)], true);
        let other = OK.replace("today", "later");
        told(0, &whole(&frames), &server(&[head, &other], |said| said));
        told(1, &whole(&frames), &server(&[head, BROKEN], |said| said));
    }
}

#[test]
fn blocks_of_tftp_are_answers() {
    let ours = (HOST, 30001);
    let question = datagram(ours, (DEVICE, 69), b"\0\x01file\0octet\0").frame();
    let block =
        |text: &[u8]| datagram((DEVICE, 5000), ours, &[&[0, 3, 0, 1], text].concat()).frame();
    let frames = [question.clone(), block(b"good data")];
    let report = told(0, &whole(&frames), &answering(&question, vec![(0, block(b"good data"))]));
    assert_eq!(report, "answers: 1 as recorded\n");
    told(1, &whole(&frames), &answering(&question, vec![(0, block(b"bad data!"))]));
}

#[test]
fn a_line_that_goes_away_when_everything_was_said_is_no_error() {
    let (question, reply) = (echo(1, false), echo(1, true));
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let endpoint = format!("tcp:{}", listener.local_addr().expect("an address"));
    let frames = [question.clone(), reply.clone()];
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut taken = vec![0; 2 + question.len()];
        stream.read_exact(&mut taken).expect("the question");
        let bytes = [&(reply.len() as u16).to_be_bytes()[..], &reply].concat();
        stream.write_all(&bytes).expect("it listens");
    });
    assert_eq!(told(0, &whole(&frames), &endpoint), "answers: 1 as recorded\n");
}
