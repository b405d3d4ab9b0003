//! What the decoder makes of clean, broken and cut streams.

use super::*;
use crate::framing::DEFAULT_MAX_FRAME;
use crate::framing::samples::{echo, scraps};
use crate::record::Direction;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const ALL: [&Framing; 3] = [&SLIP_ETH, &SLIP_IP, &SLIP];

fn framed(framing: &Framing, frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    framing.encode(frame, &mut out).expect("the frame is of a legal size");
    out
}

fn decoder(framing: &Framing) -> Box<dyn Decoder> {
    (framing.decoder)(Origin::new(Direction::ToDevice), DEFAULT_MAX_FRAME)
}

fn push(decoder: &mut dyn Decoder, at: u64, bytes: &[u8]) -> Vec<Record> {
    let mut out = Vec::new();
    decoder.push(Timestamp(at), &Bytes::copy_from_slice(bytes), &mut out);
    out
}

fn finish(decoder: &mut dyn Decoder) -> Vec<Record> {
    let mut out = Vec::new();
    decoder.finish(Timestamp(0), &mut out);
    out
}

fn decode(framing: &Framing, bytes: &[u8]) -> Vec<Record> {
    let mut decoder = decoder(framing);
    let mut records = push(&mut *decoder, 0, bytes);
    records.extend(finish(&mut *decoder));
    records
}

fn frames(records: &[Record]) -> Vec<Bytes> {
    let frame = |record: &Record| match &record.body {
        Body::Frame(frame) => Some(frame.clone()),
        _ => None,
    };
    records.iter().filter_map(frame).collect()
}

fn error_of(record: &Record) -> &FramingError {
    match &record.body {
        Body::FramingError(error) => error,
        body => panic!("a framing error was expected, not {body:?}"),
    }
}

fn essence(records: &[Record]) -> Vec<(Option<u64>, Body)> {
    records.iter().map(|r| (r.offset, r.body.clone())).collect()
}

/// The stream again, put together from the records; `slip` frames are as `framings` say, in turn. What
/// is in no record is fill.
fn reassembled(framing: &Framing, records: &[Record], length: usize) -> Vec<u8> {
    let mut stream: Vec<u8> = Vec::new();
    for record in records {
        let offset = record.offset.expect("it came from a stream") as usize;
        assert!(offset >= stream.len(), "no byte is in two records");
        stream.resize(offset, END);
        match &record.body {
            Body::Frame(frame) => stream.extend(&framed(framing, frame)[1..]),
            Body::FramingError(error) => {
                assert!(!error.bytes.is_empty());
                stream.extend_from_slice(&error.bytes);
            }
            body => panic!("a decoder makes no {body:?}"),
        }
    }
    assert!(stream.len() <= length);
    stream.resize(length, END);
    stream
}

#[test]
fn a_frame_comes_out_with_its_end_and_not_before() {
    for framing in ALL {
        let carrying = if *framing == SLIP { &SLIP_IP } else { framing };
        let (frame, stream) = (echo(98, 0xc0), framed(carrying, &echo(98, 0xc0)));
        let mut decoder = decoder(framing);
        let last = stream.len() - 1;
        assert!(push(&mut *decoder, 5, &stream[..1]).is_empty());
        assert!(decoder.is_empty() && decoder.until_boundary() == Some(0));
        assert!(push(&mut *decoder, 6, &stream[1..last]).is_empty());
        assert!(!decoder.is_empty() && decoder.until_boundary().is_none());
        let records = push(&mut *decoder, 9, &stream[last..]);
        assert_eq!(frames(&records), [&frame[..]], "{}", framing.name);
        assert_eq!(records[0].offset, Some(1));
        let (first, last) = (Timestamp(6), Timestamp(9));
        assert_eq!(records[0].time, Some(crate::record::Span { first, last }));
        assert!(decoder.is_empty());
    }
}

#[test]
fn ends_alone_are_nothing() {
    let mut stream = vec![END; 40];
    stream.extend(framed(&SLIP_ETH, &echo(60, 1)));
    stream.extend([END; 9]);
    let records = decode(&SLIP_ETH, &stream);
    assert_eq!((records.len(), records[0].offset), (1, Some(41)));
}

#[test]
fn a_wrong_escape_is_kept_and_over_with_the_next_end() {
    for wrong in [0x41, escape::ESC, 0] {
        let mut stream = framed(&SLIP_ETH, &echo(60, 1));
        stream[20..22].copy_from_slice(&[escape::ESC, wrong]);
        let good = framed(&SLIP_ETH, &echo(60, 2));
        stream.extend(&good);
        let records = decode(&SLIP_ETH, &stream);
        let error = error_of(&records[0]);
        assert_eq!(error.problem, Problem::WrongEscape { byte: wrong });
        let end = stream.iter().skip(1).position(|byte| *byte == END).expect("it has an end") + 2;
        assert_eq!((&error.bytes[..], error.recovery), (&stream[1..end], Recovery::Sure));
        assert_eq!(frames(&records), [echo(60, 2)]);
    }
    let records = decode(&SLIP_ETH, &[END, 1, 2, escape::ESC, END]);
    assert_eq!(error_of(&records[0]).problem, Problem::WrongEscape { byte: END });
}

#[test]
fn noise_and_log_lines_between_frames_are_kept_apart_from_them() {
    for framing in [&SLIP_ETH, &SLIP_IP] {
        for noise in [&b"go on, all is well here\r\n"[..], b"E (1) it fails\n", &[2; 9]] {
            let stream = [noise, &framed(framing, &echo(98, 1))].concat();
            let records = decode(framing, &stream);
            assert_eq!(records.len(), 2);
            assert_eq!(error_of(&records[0]).problem, Problem::NoFrame);
            assert_eq!(error_of(&records[0]).bytes, [noise, &[END]].concat());
            assert_eq!(frames(&records), [echo(98, 1)]);
        }
    }
}

#[test]
fn a_frame_that_is_too_long_costs_itself_and_no_memory() {
    let long = framed(&SLIP_ETH, &echo(1515, 1));
    let records = decode(&SLIP_ETH, &[&long[..], &framed(&SLIP_ETH, &echo(1514, 2))].concat());
    let problem = Problem::TooLong { length: 1515, limit: 1514 };
    assert_eq!(error_of(&records[0]).problem, problem);
    assert_eq!(frames(&records), [echo(1514, 2)]);
    assert_eq!(frames(&decode(&SLIP_IP, &framed(&SLIP_IP, &echo(1514, 2)))).len(), 1);
    let records = decode(&SLIP_IP, &framed(&SLIP_IP, &echo(1515, 2)));
    assert_eq!(error_of(&records[0]).problem, problem);

    let mut decoder = Slip::new(Origin::new(Direction::ToDevice), 1514, Inside::Ethernet);
    let mut records = Vec::new();
    for _ in 0..40 {
        records.extend(push(&mut decoder, 0, &[0xee; 8192]));
        assert!(decoder.pending.len() <= CHUNK, "{} bytes held", decoder.pending.len());
    }
    assert!(!decoder.is_empty());
    records.extend(push(&mut decoder, 0, &[END]));
    assert!(decoder.is_empty());
    let lengths: Vec<_> = records.iter().map(|record| error_of(record).bytes.len()).collect();
    assert_eq!(lengths, [65536, 65536, 65536, 65536, 40 * 8192 - 4 * 65536 + 1]);
    assert!(records[1..].iter().all(|record| error_of(record).problem == Problem::Continued));
    assert_eq!(error_of(&records[4]).recovery, Recovery::Sure);
}

#[test]
fn what_ends_in_mid_frame_is_kept() {
    let stream = framed(&SLIP_ETH, &echo(98, 1));
    let records = decode(&SLIP_ETH, &stream[..50]);
    let error = error_of(&records[0]);
    assert_eq!((error.problem, error.recovery), (Problem::NoEnd, Recovery::Ended));
    assert_eq!(error.bytes, stream[1..50]);
    let mut decoder = decoder(&SLIP_ETH);
    let mut records = push(&mut *decoder, 0, &stream[..50]);
    decoder.stop(Timestamp(0), &mut records);
    assert!(!error_of(&records[0]).is_new() && decoder.is_empty());
}

#[test]
fn a_frame_cut_by_silence_is_told_from_one_that_goes_on_and_from_the_next() {
    for framing in [&SLIP_ETH, &SLIP_IP] {
        let stream = framed(framing, &echo(98, 1));
        for cut in 2..stream.len() - 1 {
            for next in [&stream[cut..], &stream[..], &stream[1..]] {
                let mut decoder = decoder(framing);
                let mut records = push(&mut *decoder, 0, &stream[..cut]);
                decoder.idle(Timestamp(2 * SECOND), &mut records);
                assert!(records.is_empty());
                let records = push(&mut *decoder, 2 * SECOND, next);
                let found = frames(&records);
                assert_eq!(found.last(), Some(&Bytes::from(echo(98, 1))), "cut at {cut}");
            }
        }
    }
}

/// Pieces of a stream that a hostile or broken line might carry.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let frame = || {
        (42usize..300, any::<u8>(), any::<bool>()).prop_map(|(n, mark, is_ip)| {
            framed(if is_ip { &SLIP_IP } else { &SLIP_ETH }, &echo(n, mark))
        })
    };
    prop_oneof![
        4 => frame(),
        1 => (frame(), any::<prop::sample::Index>()).prop_map(|(mut bytes, cut)| {
            bytes.truncate(cut.index(bytes.len()));
            bytes
        }),
        1 => prop::collection::vec(any::<u8>(), 1..300),
        1 => prop::collection::vec(0xbeu8..0xdf, 1..60),
        1 => (1usize..9).prop_map(|n| vec![END; n]),
        1 => Just(vec![0x33; 70_000]),
        1 => Just(vec![0x33; 2 * 65_536]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_split_gives_the_same_records_and_no_byte_is_lost(
        pieces in prop::collection::vec(piece(), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let stream = pieces.concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        for framing in ALL {
            let whole = decode(framing, &stream);
            if *framing != SLIP {
                prop_assert_eq!(&reassembled(framing, &whole, stream.len()), &stream);
            }
            let mut decoder = decoder(framing);
            let mut records = Vec::new();
            for pair in cuts.windows(2) {
                records.extend(push(&mut *decoder, 0, &stream[pair[0]..pair[1]]));
            }
            records.extend(finish(&mut *decoder));
            prop_assert_eq!(essence(&records), essence(&whole));
        }
    }

    #[test]
    fn silences_at_the_same_places_give_the_same_records_however_the_rest_is_cut(
        before in prop::collection::vec(piece(), 0..4),
        after in prop::collection::vec(piece(), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (before, after) = (before.concat(), after.concat());
        for framing in ALL {
            let run = |after_cut: usize| {
                let mut decoder = decoder(framing);
                let mut records = push(&mut *decoder, 0, &before);
                decoder.idle(Timestamp(2 * SECOND), &mut records);
                records.extend(push(&mut *decoder, 3 * SECOND, &after[..after_cut]));
                records.extend(push(&mut *decoder, 3 * SECOND, &after[after_cut..]));
                records.extend(finish(&mut *decoder));
                records
            };
            let whole = run(after.len());
            prop_assert_eq!(essence(&run(cut.index(after.len() + 1))), essence(&whole));
            if *framing != SLIP {
                let stream = [&before[..], &after].concat();
                prop_assert_eq!(reassembled(framing, &whole, stream.len()), stream);
            }
        }
    }

    #[test]
    fn frames_come_back_as_they_were(frames in prop::collection::vec((42usize..1514, any::<u8>()), 0..9)) {
        let frames: Vec<_> = frames.iter().map(|&(n, mark)| echo(n, mark)).collect();
        for carrying in [&SLIP_ETH, &SLIP_IP] {
            let mut stream = Vec::new();
            for frame in &frames {
                carrying.encode(frame, &mut stream).expect("it fits");
            }
            for framing in [carrying, &SLIP] {
                prop_assert_eq!(super::tests::frames(&decode(framing, &stream)), frames.clone());
            }
        }
    }
}

#[test]
fn a_hundred_thousand_random_bytes_do_no_harm() {
    for framing in ALL {
        for scrap in scraps() {
            decode(framing, &scrap);
        }
        let mut state = 5u64;
        let noise: Vec<u8> = (0..100_000)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .collect();
        let records = decode(framing, &noise);
        if *framing != SLIP {
            assert_eq!(reassembled(framing, &records, noise.len()), noise);
        }
    }
}
