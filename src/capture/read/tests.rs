//! What is written is read back, by whatever program it was written; what is broken is survived.

use std::io::{self, Read};

use super::*;
use crate::capture::{Counts, Format as _, Source, pcap as pcap_out, pcapng as pcapng_out};
use crate::clock::Timestamp;
use crate::proto::samples;
use crate::record::{
    Body, Direction, FramingError, Impaired, LinkChange, Origin, Packet, Problem, Recovery, Span,
};
use bytes::Bytes;
use proptest::prelude::*;

/// Reads at most so many bytes at a time, as a pipe does.
struct Pieces(io::Cursor<Vec<u8>>, usize);

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.1.min(into.len());
        self.0.read(&mut into[..n])
    }
}

/// What there is in a file: records with their remarks, and damage.
#[derive(Debug, PartialEq)]
struct Content {
    described: String,
    seen: Vec<Seen>,
    damage: Vec<Damage>,
}

impl Content {
    fn records(self) -> Vec<Record> {
        self.seen.into_iter().map(|seen| seen.record).collect()
    }
}

fn read_with(how: &Reading, input: Input) -> Result<Content> {
    let mut reader = Reader::new(input, how)?;
    let described = reader.describe();
    let mut seen = Vec::new();
    while let Some(record) = reader.read()? {
        seen.push(Seen { record, remark: reader.remark().map(str::to_owned) });
    }
    Ok(Content { described, seen, damage: reader.damage() })
}

fn read(file: &[u8]) -> Content {
    let input = Input::from_reader(io::Cursor::new(file.to_vec()));
    read_with(&Reading::default(), input).expect("it can be read")
}

fn read_as(format: Format, file: &[u8], piece: usize) -> Result<Content> {
    let how = Reading { format: Some(format), ..Reading::default() };
    let pieces = Pieces(io::Cursor::new(file.to_vec()), piece);
    read_with(&how, Input::from_reader(pieces))
}

fn source() -> Source {
    let framing = crate::framing::ALL[0];
    Source { name: "tcp:h:1".into(), description: "direct tap".into(), framing, console: None }
}

fn pcapng(records: &[(Record, Option<String>)], source: &Source) -> Vec<u8> {
    let mut out = Vec::new();
    let mut format = pcapng_out::Pcapng::new(source, &mut out);
    for (record, remark) in records {
        let held =
            format.record(record, remark.as_deref(), &mut out).expect("a Vec takes everything");
        assert!(held);
    }
    let counts = Counts::default();
    format.finish(Timestamp(1), counts, &mut out).expect("a Vec takes everything");
    out
}

fn pcap(records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut format = pcap_out::Pcap::default();
    for record in records {
        format.record(record, None, &mut out).expect("a Vec takes everything");
    }
    let (now, counts) = (Timestamp(1), Counts::default());
    format.finish(now, counts, &mut out).expect("a Vec takes everything");
    out
}

fn foreign(time: u64, body: Body) -> Record {
    Record {
        time: Some(Span::at(Timestamp(time))),
        origin: Origin { tap: 0, connection: 0, direction: Direction::Unknown },
        offset: None,
        body,
    }
}

/// Five frames, each of its own length.
fn five() -> Vec<Record> {
    let start = 1_700_000_000_000_000_000;
    let frame = |n: u8| {
        let mut frame = samples::echo_request();
        frame.extend(vec![n; usize::from(n) * 3]);
        foreign(start + u64::from(n), Body::Frame(frame.into()))
    };
    (0..5).map(frame).collect()
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn any_body() -> impl Strategy<Value = Body> {
    let problem = prop_oneof![
        Just(Problem::ZeroLength),
        any::<(u32, u32)>().prop_map(|(length, limit)| Problem::TooLong { length, limit }),
        any::<Option<u32>>().prop_map(|length| Problem::Cut { length }),
        any::<u32>().prop_map(|length| Problem::OutOfStep { length }),
        Just(Problem::Continued),
        any::<u8>().prop_map(|byte| Problem::WrongEscape { byte }),
        Just(Problem::NoFrame),
        Just(Problem::NoEnd),
    ];
    let recovery = prop::sample::select(vec![
        Recovery::Sure,
        Recovery::Likely,
        Recovery::Searching,
        Recovery::Ended,
        Recovery::Stopped,
    ]);
    prop_oneof![
        any_bytes().prop_map(Body::Frame),
        (problem, any_bytes(), recovery).prop_map(|(problem, bytes, recovery)| {
            Body::FramingError(FramingError { problem, bytes, recovery })
        }),
        any::<(u64, u64)>().prop_map(|(records, bytes)| Body::Gap { records, bytes }),
        any::<String>().prop_map(|with| Body::Link(LinkChange::Connected(with))),
        any::<String>().prop_map(|how| Body::Link(LinkChange::Lost(how))),
        Just(Body::Link(LinkChange::Reset)),
        any_bytes().prop_map(Body::Console),
        (any::<String>(), prop::option::of(any_bytes()))
            .prop_map(|(what, lost)| Body::Impaired(Impaired { what, lost })),
        (any::<u16>(), any_bytes(), 0u32..300).prop_map(|(link, bytes, more)| {
            let length = bytes.len() as u32 + more;
            Body::Packet(Packet { link: LinkType(link), bytes, length })
        }),
    ]
}

fn any_record() -> impl Strategy<Value = Record> {
    let direction =
        prop::sample::select(vec![Direction::ToDevice, Direction::FromDevice, Direction::Unknown]);
    let moment = prop_oneof![Just(0), any::<u64>()];
    let time = prop::option::of((moment.clone(), moment)).prop_map(|time| {
        time.map(|(first, last)| Span { first: Timestamp(first), last: Timestamp(last) })
    });
    let connection = prop_oneof![Just(0), Just(1), any::<u32>()];
    let origin = (any::<u16>(), connection, direction)
        .prop_map(|(tap, connection, direction)| Origin { tap, connection, direction });
    (time, origin, any::<Option<u64>>(), any_body())
        .prop_map(|(time, origin, offset, body)| Record { time, origin, offset, body })
}

fn any_remark() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[a-z\n]{1,20}")
}

proptest! {
    /// Every record, whatever it is, comes back as it went into a pcapng file.
    #[test]
    fn our_own_pcapng_gives_identical_records(
        records in prop::collection::vec((any_record(), any_remark()), 0..20),
        console in any::<bool>(),
        piece in 1usize..2000,
    ) {
        let console = console.then(|| "unix:console".to_owned());
        let file = pcapng(&records, &Source { console, ..source() });
        let content = read_as(Format::Pcapng, &file, piece).expect("it can be read");
        prop_assert_eq!(&content.damage, &vec![]);
        let wanted: Vec<Seen> =
            records.into_iter().map(|(record, remark)| Seen { record, remark }).collect();
        prop_assert_eq!(content.seen, wanted);
    }

    /// In pcap a time of zero is none, and of packets with other link types nothing is there.
    #[test]
    fn our_own_pcap_gives_the_frames(
        records in prop::collection::vec(any_record(), 0..20),
        piece in 1usize..500,
    ) {
        let link = |record: &Record| packet_link(record);
        let first = records.iter().find_map(link);
        let wanted: Vec<Record> = records
            .iter()
            .filter(|record| link(record).is_some() && link(record) == first)
            .filter(|record| record.time.is_none_or(|span| span.last.0 < (1 << 32) * 1_000_000_000))
            .map(|record| {
                let time = record.time.map(|span| Span::at(span.last)).filter(|s| s.last.0 != 0);
                let origin = foreign(0, Body::Frame(Bytes::new())).origin;
                let body = match &record.body {
                    Body::Packet(p)
                        if p.link == LinkType::ETHERNET && p.length as usize == p.bytes.len() =>
                    {
                        Body::Frame(p.bytes.clone())
                    }
                    body => body.clone(),
                };
                Record { time, origin, offset: None, body }
            })
            .collect();
        let content = read_as(Format::Pcap, &pcap(&records), piece).expect("it can be read");
        prop_assert_eq!(&content.damage, &vec![]);
        prop_assert_eq!(content.records(), wanted);
    }

    #[test]
    fn any_bytes_are_survived_as_any_format(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        piece in 1usize..100,
    ) {
        for (format, head) in [
            (Format::Pcap, &pcap(&[])[..]),
            (Format::Pcapng, &pcapng(&[], &source())[..]),
            (Format::Stream, &[][..]),
            (Format::Hex, &[][..]),
        ] {
            let _ = read_as(format, &bytes, piece);
            let _ = read_as(format, &[head, &bytes].concat(), piece);
        }
        let input = Input::from_reader(Pieces(io::Cursor::new(bytes), piece));
        let _ = read_with(&Reading::default(), input);
    }

    #[test]
    fn any_text_is_survived_as_a_dump(text in "[0-9a-f]{0,9}[ :x*\n.>!-]{0,3}([0-9a-f ]{0,60}\n?){0,9}") {
        // A text without a dump is an error, however it is cut.
        let once = read_as(Format::Hex, text.as_bytes(), 7).map_err(|error| error.chain());
        let again = read_as(Format::Hex, text.as_bytes(), 1 << 20).map_err(|error| error.chain());
        prop_assert_eq!(once, again);
    }
}

fn packet_link(record: &Record) -> Option<LinkType> {
    inner::packet(record).map(|(link, _)| link)
}

/// Every byte, every bit of which is turned over, in turn.
fn corruptions(file: &[u8], from: usize) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
    (from..file.len()).flat_map(move |at| {
        [0x01, 0x80, 0xff].into_iter().map(move |mask| {
            let mut bad = file.to_vec();
            bad[at] ^= mask;
            (at, bad)
        })
    })
}

#[test]
fn a_pcap_with_any_byte_wrong_still_has_its_later_frames() {
    let five = five();
    let file = pcap(&five);
    let last = five[4].body.clone();
    for (at, bad) in corruptions(&file, 24) {
        let content = read_as(Format::Pcap, &bad, 1 << 20).expect("it can be read");
        let is_there = content.seen.iter().any(|seen| seen.record.body == last);
        let in_last = at >= file.len() - 16 - 98 - 12;
        assert!(is_there || in_last, "byte {at}: {content:#?}");
        let good = five.iter().filter(|r| content.seen.iter().any(|s| s.record.body == r.body));
        assert!(good.count() >= 3, "byte {at}: {content:#?}");
    }
    for (_, bad) in corruptions(&file, 0).take(3 * 24) {
        let _ = read_as(Format::Pcap, &bad, 1 << 20);
    }
}

#[test]
fn a_pcapng_with_any_byte_wrong_still_has_its_later_frames() {
    let five: Vec<_> = five().into_iter().map(|record| (record, None)).collect();
    let file = pcapng(&five, &source());
    for (at, bad) in corruptions(&file, 0) {
        let content = read_as(Format::Pcapng, &bad, 1 << 20);
        let Ok(content) = content else {
            assert!(at < 4, "byte {at}");
            continue;
        };
        let good = five.iter().filter(|(record, _)| {
            content.seen.iter().any(|seen| match (&seen.record.body, &record.body) {
                (Body::Frame(a), Body::Frame(b)) => a == b,
                (Body::Packet(a), Body::Frame(b)) => a.bytes == b, // the link type is wrong
                _ => false,
            })
        });
        assert!(good.count() >= 4, "byte {at}: {content:#?}");
    }
}

#[test]
fn a_file_that_is_cut_anywhere_gives_what_there_is_and_says_so() {
    let five = five();
    let with_remarks: Vec<_> = five.iter().map(|record| (record.clone(), None)).collect();
    for (format, file) in
        [(Format::Pcap, pcap(&five)), (Format::Pcapng, pcapng(&with_remarks, &source()))]
    {
        let whole = read_as(format, &file, 1 << 20).expect("it can be read");
        assert_eq!((whole.seen.len(), &whole.damage), (5, &vec![]));
        let mut last = 0;
        for n in 24..file.len() {
            let content = read_as(format, &file[..n], 1 << 20).expect("it can be read");
            let (wholes, cuts): (Vec<_>, Vec<_>) =
                content.seen.iter().partition(|seen| matches!(seen.record.body, Body::Frame(_)));
            assert!(wholes.iter().zip(&whole.seen).all(|(a, b)| **a == *b), "{n}: {content:#?}");
            assert!(wholes.len() >= last && cuts.len() <= 1, "{n}: {content:#?}");
            assert!(cuts.is_empty() || content.damage.len() == 1, "{n}: {content:#?}");
            assert!(content.damage.len() <= 1, "{n}: {content:#?}");
            last = wholes.len();
        }
        assert!(last >= 4);
    }
}

#[test]
fn a_fraction_of_more_than_a_second_is_carried_over() {
    let mut file = pcap(&five());
    let second = 24 + 16 + 98;
    let third = second + 16 + 98 + 3;
    for (at, nanos) in [(second, 1_000_000_000u32), (third, 3_500_000_000)] {
        file[at + 4..at + 8].copy_from_slice(&nanos.to_le_bytes());
    }
    let content = read(&file);
    let times = |content: &Content| -> Vec<u64> {
        let time =
            |seen: &Seen| seen.record.time.expect("a time").last.0 - 1_700_000_000_000_000_000;
        content.seen.iter().map(time).collect()
    };
    assert_eq!(times(&content), [0, 1_000_000_000, 3_500_000_000, 3, 4]);
    let bodies = |records: Vec<Record>| records.into_iter().map(|r| r.body).collect::<Vec<_>>();
    let lines: Vec<String> = content.damage.iter().map(Damage::to_string).collect();
    assert_eq!(bodies(content.records()), bodies(five()));
    insta::assert_snapshot!(lines.join("\n"), @r"
    byte 138: a time of which the fraction is more than a second: it is carried over
    byte 624: 2 times in all had a fraction of more than a second
    ");

    file[..4].copy_from_slice(&0xa1b2_c3d4u32.to_le_bytes()); // the same in microseconds
    for at in [second, third] {
        file[at + 4..at + 8].copy_from_slice(&1_500_000u32.to_le_bytes());
    }
    let content = read(&file);
    assert_eq!(times(&content), [0, 1_500_000_000, 1_500_000_000, 3000, 4000]);
    let content = read(&file[..third + 60]);
    assert_eq!(times(&content), [0, 1_500_000_000], "nothing bears the last out");
}

#[test]
fn a_fraction_of_more_than_a_second_in_a_header_that_is_odd_besides_is_damage() {
    let second = 24 + 16 + 98;
    let good = pcap(&five());
    for (at, wrong) in [(0, 1u32), (12, 5)] {
        let mut file = good.clone();
        file[second + 4..second + 8].copy_from_slice(&1_000_000_000u32.to_le_bytes());
        file[second + at..second + at + 4].copy_from_slice(&wrong.to_le_bytes());
        let content = read(&file);
        assert_eq!((content.seen.len(), content.damage.len()), (4, 1), "{at}: {content:?}");
        assert!(content.damage[0].passed_over > 0);
    }
}

#[test]
fn damage_is_told_with_its_place() {
    let mut all = Vec::new();
    let file = pcap(&five());
    all.extend(read(&file[..file.len() - 7]).damage);
    let mut bad = file.clone();
    bad[24 + 16 + 98 + 8..][..4].copy_from_slice(&70_000_000u32.to_le_bytes());
    all.extend(read(&bad).damage);
    let records: Vec<_> = five().into_iter().map(|record| (record, None)).collect();
    let file = pcapng(&records, &source());
    let mut bad = file.clone();
    let at = file.windows(4).position(|four| four == [0, 0, 0, 6]).expect("a packet");
    bad[at + 7] ^= 4;
    all.extend(read(&bad).damage);
    all.extend(read(&file[..at + 40]).damage);
    all.extend(read(&file[..at + 20]).damage);
    let lines: Vec<String> = all.iter().map(Damage::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    byte 498: the file ends in the middle of a packet: 103 of 110 bytes are there
    byte 138: a packet of 70000000 bytes; passed over 117 bytes
    byte 112: a block of 148 bytes whose end says 6; passed over 144 bytes
    byte 112: the file ends in the middle of a packet: 12 of 98 bytes are there
    byte 112: the file ends in the middle of a block: 20 bytes are there; passed over 20 bytes
    ");
}

#[test]
fn pieces_of_every_size_give_the_same() {
    let five: Vec<_> = five().into_iter().map(|record| (record, None)).collect();
    let file = pcapng(&five, &source());
    let plain: Vec<Record> = five.iter().map(|(record, _)| record.clone()).collect();
    let mut bad = pcap(&plain);
    bad[150] ^= 0xff;
    for (format, file) in [(Format::Pcapng, file), (Format::Pcap, bad)] {
        let whole = read_as(format, &file, 1 << 20).expect("it can be read");
        for piece in 1..200 {
            assert_eq!(read_as(format, &file, piece).expect("it can be read"), whole, "{piece}");
        }
    }
}

/// A block of pcapng in either byte order.
fn block(is_big: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let u32 = |n: u32| if is_big { n.to_be_bytes() } else { n.to_le_bytes() };
    let length = u32((body.len().next_multiple_of(4) + 12) as u32);
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    [&u32(kind)[..], &length, body, &padding, &length].concat()
}

#[test]
fn sections_have_their_own_order_and_interfaces_their_own_clock() {
    let mut file = Vec::new();
    for is_big in [false, true] {
        let u16 = |n: u16| if is_big { n.to_be_bytes() } else { n.to_le_bytes() };
        let u32 = |n: u32| if is_big { n.to_be_bytes() } else { n.to_le_bytes() };
        let section = [&u32(0x1a2b_3c4d)[..], &u16(1), &u16(0), &[0xff; 8]].concat();
        file.extend(block(is_big, 0x0a0d_0d0a, &section));
        let resolution = [&u16(9)[..], &u16(1), &[0x80 | 10, 0, 0, 0], &[0; 4]].concat();
        file.extend(block(is_big, 1, &[&u16(1)[..], &u16(0), &u32(3), &resolution].concat()));
        file.extend(block(is_big, 1, &[&u16(101)[..], &u16(0), &u32(0)].concat()));
        file.extend(block(is_big, 0xbad, b"whatever this is"));
        let flags = [&u16(2)[..], &u16(4), &u32(1), &[0; 4]].concat();
        let head = [u32(0), u32(0), u32(1536), u32(3), u32(3)].concat();
        file.extend(block(is_big, 6, &[&head[..], b"abc\0", &flags].concat()));
        let head = [u32(1), u32(0), u32(7), u32(3), u32(9)].concat();
        file.extend(block(is_big, 6, &[&head[..], b"def\0"].concat()));
        file.extend(block(is_big, 3, &[&u32(8)[..], b"ghi"].concat()));
        let head = [&u16(1)[..], &u16(0), &u32(0), &u32(8), &u32(2), &u32(2)].concat();
        file.extend(block(is_big, 2, &[&head[..], b"jk"].concat()));
    }
    let content = read(&file);
    assert_eq!(content.described, "pcapng, 4 interfaces");
    assert_eq!(content.damage, []);
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    let raw = |text, length| Packet { link: LinkType::RAW, bytes: bytes(text), length };
    let mut first = foreign(1_500_000_000, Body::Frame(bytes("abc")));
    first.origin.direction = Direction::FromDevice;
    let cut = Packet { link: LinkType::ETHERNET, bytes: bytes("ghi"), length: 8 };
    let simple = Record { time: None, ..foreign(0, Body::Packet(cut)) };
    let one = [
        first,
        foreign(7000, Body::Packet(raw("def", 9))),
        simple,
        foreign(8000, Body::Packet(raw("jk", 2))),
    ];
    assert_eq!(content.records(), [&one[..], &one].concat());
}

#[test]
fn both_orders_and_all_variants_of_pcap_are_read() {
    for (magic, unit, extra) in
        [(0xa1b2_c3d4u32, 1000, 0), (0xa1b2_3c4d, 1, 0), (0xa1b2_cd34, 1000, 8)]
    {
        for is_big in [false, true] {
            let u32 = |n: u32| if is_big { n.to_be_bytes() } else { n.to_le_bytes() };
            let link = 0x5400_0001; // Ethernet, with the length of the check sequence
            let mut file = [u32(magic), u32(0), u32(0), u32(0), u32(65535), u32(link)].concat();
            for length in [3, 9] {
                file.extend([u32(5), u32(7), u32(3), u32(length)].concat());
                file.extend(vec![0; extra]);
                file.extend(b"abc");
            }
            let content = read_as(Format::Pcap, &file, 10).expect("it can be read");
            let link = LinkType::ETHERNET;
            let cut = Packet { link, bytes: Bytes::from_static(b"abc"), length: 9 };
            let time = 5_000_000_000 + 7 * unit;
            let wanted = [
                foreign(time, Body::Frame(Bytes::from_static(b"abc"))),
                foreign(time, Body::Packet(cut)),
            ];
            assert_eq!(content.records(), wanted, "{magic:x} {is_big}");
        }
    }
}

#[test]
fn files_are_described() {
    let five: Vec<_> = five().into_iter().map(|record| (record, None)).collect();
    let plain: Vec<Record> = five.iter().map(|(record, _)| record.clone()).collect();
    assert_eq!(read(&pcap(&plain)).described, "pcap, nanoseconds, Ethernet");
    assert_eq!(read(&pcapng(&five, &source())).described, "pcapng, Ethernet");
    let mut stream = Vec::new();
    framing::ALL[0].encode(&samples::echo_request(), &mut stream).expect("it fits");
    let content = read(&stream);
    assert_eq!((&content.described[..], content.seen.len()), ("raw stream", 1));
    assert_eq!(content.seen[0].record.offset, Some(0));
    assert_eq!(content.seen[0].record.time, None);
}

#[test]
fn a_growing_file_is_read_to_its_end_and_on() {
    use std::io::Write;
    let five = five();
    let file = pcap(&five);
    let mut growing = tempfile::NamedTempFile::new().expect("a file");
    growing.write_all(&file[..200]).expect("it is written");
    let (stopper, stop) = crate::stop::pair();
    let how = Reading { follow: true, stop: Some(stop), ..Reading::default() };
    let mut reader = Reader::open(growing.path(), &how).expect("it is a pcap");
    assert_eq!(reader.read().expect("no error"), Some(five[0].clone()));
    let writer = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(120));
        growing.write_all(&file[200..file.len() - 5]).expect("it is written");
        std::thread::sleep(std::time::Duration::from_millis(120));
        stopper.stop();
        growing
    });
    for record in &five[1..4] {
        assert_eq!(reader.read().expect("no error"), Some(record.clone()));
    }
    assert_eq!(reader.read().expect("no error"), None);
    assert_eq!(reader.damage(), [], "somebody is still writing it");
    drop(writer.join());
}

#[test]
fn a_capture_of_the_tunnel_is_known_by_the_frames_on_its_port() {
    let packet_of = |port: u16, data: &[u8]| {
        let mut frame = samples::syn();
        frame[36..38].copy_from_slice(&port.to_be_bytes());
        frame[47] = 0x10; // ACK
        frame[17] += data.len() as u8;
        frame.extend(data);
        foreign(1_700_000_000_000_000_000, Body::Frame(frame.into()))
    };
    let packet = |port| packet_of(port, &[&[0, 42], &samples::arp_request()[..]].concat());
    let other = read(&pcap(&[packet(80), packet(80)]));
    assert_eq!((&other.described[..], other.seen.len()), ("pcap, nanoseconds, Ethernet", 2));
    let tunnel = read(&pcap(&[packet(80), packet(5556)]));
    assert_eq!(tunnel.described, "pcap of TCP port 5556");
    assert_eq!(tunnel.seen[0].record.body, Body::Frame(samples::arp_request().into()));
    assert_eq!(tunnel.seen[0].record.origin, Origin::new(Direction::ToDevice));
    let file = pcap(&[packet(80), packet(5556)]);
    let input = || Input::from_reader(io::Cursor::new(file.clone()));
    let never = Reading { inner: Inner::Never, ..Reading::default() };
    assert_eq!(read_with(&never, input()).expect("it can be read").seen.len(), 2);
    let port = Reading { inner: Inner::Port(80), ..Reading::default() };
    let mut reader = Reader::new(input(), &port).expect("it can be read");
    assert!(reader.read().expect("no error").is_some());
    assert_eq!(reader.describe(), "pcap of TCP port 80");
    assert_eq!(reader.read().expect("no error"), None);
    assert_eq!(reader.passed_over(), 1);
    assert!(!reader.is_tunnel_without_frames());
    for data in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 90], &[0, 42, 0xff, 0xff]] {
        let other = read(&pcap(&[packet_of(5556, data)]));
        assert_eq!((&other.described[..], other.seen.len()), ("pcap, nanoseconds, Ethernet", 1));
    }
    let file = pcap(&[packet_of(5556, b"GET / HTTP/1.1\r\n\r\n")]);
    let port = Reading { inner: Inner::Port(5556), ..Reading::default() };
    let input = Input::from_reader(io::Cursor::new(file));
    let mut reader = Reader::new(input, &port).expect("it can be read");
    let error = reader.read().expect("no error").map(|record| record.body);
    assert!(matches!(error, Some(Body::FramingError(error)) if error.is_new()));
    assert!(reader.is_tunnel_without_frames());
}
