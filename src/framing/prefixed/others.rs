//! What holds for lengths of every width and order: the rules of a decoder, on streams of each.

use super::*;
use crate::framing::samples::{echo, scraps};
use crate::framing::{DEFAULT_MAX_FRAME, Framing};
use crate::record::Direction;
use proptest::prelude::*;

const NAMES: [&str; 3] = ["len16be", "len16le", "len32be"];

fn framing(name: &str) -> &'static Framing {
    Framing::by_name(name).expect("it is in the list")
}

fn framed(name: &str, frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    framing(name).encode(frame, &mut out).expect("the frame is of a legal size");
    out
}

/// All records of the pieces, pushed one after the other.
fn decode<'a>(name: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Record> {
    let mut decoder = (framing(name).decoder)(Origin::new(Direction::Unknown), DEFAULT_MAX_FRAME);
    let mut out = Vec::new();
    for piece in pieces {
        decoder.push(Timestamp(0), &Bytes::copy_from_slice(piece), &mut out);
    }
    decoder.finish(Timestamp(0), &mut out);
    assert!(decoder.is_empty());
    out
}

fn frames(records: &[Record]) -> Vec<Bytes> {
    let frame = |record: &Record| match &record.body {
        Body::Frame(frame) => Some(frame.clone()),
        _ => None,
    };
    records.iter().filter_map(frame).collect()
}

fn problem(record: &Record) -> Problem {
    match &record.body {
        Body::FramingError(error) => error.problem,
        body => panic!("a framing error was expected, not {body:?}"),
    }
}

/// The stream again, put together from the records.
fn reassembled(name: &str, records: &[Record]) -> Vec<u8> {
    let mut stream = Vec::new();
    for record in records {
        assert_eq!(record.offset, Some(stream.len() as u64), "offsets count every byte");
        match &record.body {
            Body::Frame(frame) => stream.extend(framed(name, frame)),
            Body::FramingError(error) => stream.extend_from_slice(&error.bytes),
            body => panic!("a decoder makes no {body:?}"),
        }
    }
    stream
}

#[test]
fn headers_are_as_they_are_documented() {
    assert_eq!(framed("len16be", &[9; 98])[..3], [0, 98, 9]);
    assert_eq!(framed("len16le", &[9; 98])[..3], [98, 0, 9]);
    assert_eq!(framed("len32be", &[9; 98])[..5], [0, 0, 0, 98, 9]);
}

#[test]
fn a_huge_length_is_an_error_and_no_memory_is_held_for_it() {
    let mut decoder = Prefixed::<super::super::prefix::Be32>::new(
        Origin::new(Direction::Unknown),
        DEFAULT_MAX_FRAME,
    );
    let mut records = Vec::new();
    let huge = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
    decoder.push(Timestamp(0), &huge, &mut records);
    assert!(decoder.pending.capacity() < 1024, "{}", decoder.pending.capacity());
    for sequence in 0..2 {
        let next = framed("len32be", &echo(98, sequence));
        decoder.push(Timestamp(0), &Bytes::from(next), &mut records);
    }
    assert_eq!(problem(&records[0]), Problem::TooLong { length: u32::MAX, limit: 1514 });
    assert_eq!(frames(&records), [echo(98, 0), echo(98, 1)]);
}

#[test]
fn a_length_of_zero_is_one_error_and_the_frame_behind_it_is_found() {
    for name in NAMES {
        let stream = [&vec![0; 400][..], &framed(name, &echo(98, 1))].concat();
        let records = decode(name, [&stream[..]]);
        assert_eq!((problem(&records[0]), records.len()), (Problem::ZeroLength, 2), "{name}");
        assert_eq!(frames(&records), [echo(98, 1)]);
    }
}

#[test]
fn an_odd_frame_comes_out_with_its_last_byte() {
    for name in NAMES {
        let mut decoder = (framing(name).decoder)(Origin::new(Direction::Unknown), 1514);
        let mut records = Vec::new();
        decoder.push(Timestamp(0), &Bytes::from(framed(name, &[0xcc; 1000])), &mut records);
        assert!(records.len() == 1 && decoder.is_empty(), "{name}");
    }
}

#[test]
fn a_sender_that_is_reset_in_mid_frame_costs_only_that_frame() {
    for name in NAMES {
        let cut = framed(name, &echo(400, 1));
        let behind: Vec<u8> = (2..7).flat_map(|mark| framed(name, &echo(90, mark))).collect();
        let header = framing(name).header.expect("it has one");
        for sent in 60..=cut.len() - header {
            let records = decode(name, [&cut[..sent], &behind]);
            let whole = frames(&records);
            let found = (2..7).filter(|mark| whole.contains(&echo(90, *mark).into())).count();
            assert_eq!(found, 5, "{name}: {sent} bytes were sent");
        }
    }
}

#[test]
fn a_hundred_thousand_random_bytes_do_no_harm() {
    let mut state = 5u64;
    let noise: Vec<u8> = (0..100_000)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        })
        .collect();
    for name in NAMES {
        assert_eq!(reassembled(name, &decode(name, [&noise[..]])), noise);
        for scrap in scraps() {
            assert_eq!(reassembled(name, &decode(name, [&scrap[..]])), scrap);
        }
    }
}

/// What a hostile or broken line might carry, whatever its lengths look like.
fn piece(name: &'static str) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (42usize..300, any::<u8>()).prop_map(move |(n, mark)| framed(name, &echo(n, mark))),
        1 => (42usize..300, any::<u8>(), any::<prop::sample::Index>()).prop_map(
            move |(n, mark, cut)| {
                let mut bytes = framed(name, &echo(n, mark));
                bytes.truncate(cut.index(bytes.len()));
                bytes
            }
        ),
        1 => prop::collection::vec(any::<u8>(), 1..80).prop_map(move |frame| framed(name, &frame)),
        1 => prop::collection::vec(any::<u8>(), 1..200),
        1 => (1usize..60, prop_oneof![Just(0), Just(0xff)]).prop_map(|(n, byte)| vec![byte; n]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_split_gives_the_same_records_and_no_byte_is_lost(
        (name, pieces) in prop::sample::select(&NAMES[..])
            .prop_flat_map(|name| (Just(name), prop::collection::vec(piece(name), 0..10))),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let stream = pieces.concat();
        let whole = decode(name, [&stream[..]]);
        prop_assert_eq!(reassembled(name, &whole), stream.clone());
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let split = decode(name, cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]));
        let essence = |records: &[Record]| -> Vec<_> {
            records.iter().map(|record| (record.offset, record.body.clone())).collect()
        };
        prop_assert_eq!(essence(&split), essence(&whole));
        let bytes = decode(name, stream.chunks(1));
        prop_assert_eq!(essence(&bytes), essence(&whole));
    }

    #[test]
    fn frames_come_back_as_they_were(
        name in prop::sample::select(&NAMES[..]),
        sizes in prop::collection::vec((42usize..1514, any::<u8>()), 0..12),
    ) {
        let sent: Vec<_> = sizes.iter().map(|&(n, mark)| echo(n, mark)).collect();
        let stream: Vec<u8> = sent.iter().flat_map(|frame| framed(name, frame)).collect();
        prop_assert_eq!(frames(&decode(name, [&stream[..]])), sent);
    }
}
