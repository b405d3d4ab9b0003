//! What the decoder makes of clean, broken and cut streams.

use super::super::len16be::LEN16BE;
use super::super::prefix::Be16;
use super::*;
use crate::framing::DEFAULT_MAX_FRAME;
use crate::record::{Direction, Span};
use proptest::prelude::*;
use tokio_util::codec::{Decoder as _, LengthDelimitedCodec};

/// An IPv4 frame of `length` bytes (at least 34) that is plausible: its header checksum is right.
fn ipv4_frame(length: usize, mark: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, mark];
    frame.extend([0, 0, 64, 1, 0, 0, 192, 168, 100, 1, 192, 168, 100, 2]);
    frame[16..18].copy_from_slice(&((length - 14) as u16).to_be_bytes());
    let sum: u32 = frame[14..34].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    frame[24..26].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    frame.resize(length, mark);
    frame
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    LEN16BE.encode(frame, &mut out).expect("the frame is of a legal size");
    out
}

fn decoder() -> Prefixed<Be16> {
    Prefixed::<Be16>::new(Origin::new(Direction::FromDevice), DEFAULT_MAX_FRAME)
}

const SECOND: u64 = 1_000_000_000;

fn push(decoder: &mut Prefixed<Be16>, at: u64, bytes: &[u8]) -> Vec<Record> {
    let mut out = Vec::new();
    decoder.push(Timestamp(at), &Bytes::copy_from_slice(bytes), &mut out);
    out
}

fn idle(decoder: &mut Prefixed<Be16>, at: u64) -> Vec<Record> {
    let mut out = Vec::new();
    decoder.idle(Timestamp(at), &mut out);
    out
}

fn finish(decoder: &mut Prefixed<Be16>) -> Vec<Record> {
    let mut out = Vec::new();
    decoder.finish(Timestamp(0), &mut out);
    out
}

/// All records of `bytes`, pushed at once.
fn decode(bytes: &[u8]) -> Vec<Record> {
    let mut decoder = decoder();
    let mut records = push(&mut decoder, 0, bytes);
    records.extend(finish(&mut decoder));
    records
}

fn frame_of(record: &Record) -> Option<&[u8]> {
    match &record.body {
        Body::Frame(frame) => Some(frame),
        _ => None,
    }
}

fn error_of(record: &Record) -> &FramingError {
    match &record.body {
        Body::FramingError(error) => error,
        body => panic!("a framing error was expected, not {body:?}"),
    }
}

/// Offsets and bodies, which may not depend on how the stream was cut.
fn essence(records: &[Record]) -> Vec<(Option<u64>, Body)> {
    records.iter().map(|r| (r.offset, r.body.clone())).collect()
}

/// The stream again, put together from the records.
fn reassembled(records: &[Record]) -> Vec<u8> {
    let mut stream = Vec::new();
    for record in records {
        assert_eq!(record.offset, Some(stream.len() as u64), "offsets count every byte");
        match &record.body {
            Body::Frame(frame) => stream.extend(framed(frame)),
            Body::FramingError(error) => {
                assert!(!error.bytes.is_empty());
                stream.extend_from_slice(&error.bytes);
            }
            body => panic!("a decoder makes no {body:?}"),
        }
    }
    stream
}

#[test]
fn a_frame_comes_out_with_its_last_byte_and_not_before() {
    let frame = icmp_frame(98, 1);
    let stream = framed(&frame);
    let mut decoder = decoder();
    assert!(push(&mut decoder, 5, &stream[..99]).is_empty());
    assert!(!decoder.is_empty());
    let records = push(&mut decoder, 9, &stream[99..]);
    assert_eq!(records.len(), 1);
    assert_eq!(frame_of(&records[0]), Some(&frame[..]));
    assert_eq!(records[0].offset, Some(0));
    assert_eq!(records[0].time, Some(Span { first: Timestamp(5), last: Timestamp(9) }));
    assert!(decoder.is_empty());
}

#[test]
fn frames_of_unknown_protocols_are_frames_too() {
    let weird = [9; 60];
    let records = decode(&framed(&weird));
    assert_eq!(records.len(), 1);
    assert_eq!(frame_of(&records[0]), Some(&weird[..]));
    let tiny = decode(&framed(&[1]));
    assert_eq!(frame_of(&tiny[0]), Some(&[1][..]));
}

#[test]
fn five_hundred_zero_headers_are_one_error_and_the_ping_behind_them_is_found() {
    let ping = ipv4_frame(98, 1);
    let mut stream = vec![0; 1000];
    stream.extend(framed(&ping));
    let records = decode(&stream);
    assert_eq!(records.len(), 2);
    let error = error_of(&records[0]);
    assert_eq!(error.problem, Problem::ZeroLength);
    assert_eq!(error.bytes.len(), 1000);
    assert_eq!(error.recovery, Recovery::Likely);
    assert_eq!(frame_of(&records[1]), Some(&ping[..]));
}

#[test]
fn a_header_beyond_the_limit_is_passed_over_and_two_frames_behind_it_make_sure() {
    let mut stream = vec![0xff, 0xff];
    stream.extend([0x5a; 35]);
    stream.extend(framed(&ipv4_frame(98, 1)));
    stream.extend(framed(&ipv4_frame(60, 2)));
    let records = decode(&stream);
    assert_eq!(records.len(), 3);
    let error = error_of(&records[0]);
    assert_eq!(error.problem, Problem::TooLong { length: 65535, limit: 1514 });
    assert_eq!((error.bytes.len(), error.recovery), (37, Recovery::Sure));
}

#[test]
fn the_last_frame_before_a_silence_is_not_withheld() {
    let mut decoder = decoder();
    let mut stream = vec![0xff, 0xff];
    stream.extend(framed(&ipv4_frame(98, 1)));
    assert!(push(&mut decoder, 0, &stream).is_empty(), "the search wants to see what follows");
    assert!(!decoder.is_empty());
    let records = idle(&mut decoder, 1);
    assert_eq!(records.len(), 2);
    assert_eq!(error_of(&records[0]).recovery, Recovery::Likely);
    assert!(frame_of(&records[1]).is_some());
}

#[test]
fn a_frame_that_its_checksums_confirm_is_not_held_back_at_all() {
    let mut decoder = decoder();
    let mut stream = vec![0xff, 0xff, 1, 2, 3];
    stream.extend(framed(&icmp_frame(98, 1)));
    let records = push(&mut decoder, 0, &stream);
    assert_eq!(records.len(), 2);
    assert_eq!(error_of(&records[0]).recovery, Recovery::Sure);
}

#[test]
fn a_frame_cut_by_silence_is_told_from_the_one_behind_it() {
    let ping = framed(&ipv4_frame(98, 1));
    for cut in 1..99 {
        let mut decoder = decoder();
        assert!(push(&mut decoder, 0, &ping[..cut]).is_empty());
        assert!(idle(&mut decoder, 2 * SECOND).is_empty());
        let mut records = push(&mut decoder, 2 * SECOND, &ping);
        records.extend(idle(&mut decoder, 2 * SECOND + 1));
        assert_eq!(records.len(), 2, "cut after {cut} bytes: {records:?}");
        let length = (cut >= 2).then_some(98);
        assert_eq!(error_of(&records[0]).problem, Problem::Cut { length });
        assert_eq!(error_of(&records[0]).bytes, ping[..cut]);
        assert_eq!(frame_of(&records[1]), Some(&ping[2..]));
    }
}

#[test]
fn a_pause_inside_a_frame_that_then_goes_on_loses_nothing() {
    let ping = framed(&ipv4_frame(98, 1));
    for cut in 1..99 {
        let mut decoder = decoder();
        assert!(push(&mut decoder, 0, &ping[..cut]).is_empty());
        assert!(idle(&mut decoder, 5 * SECOND).is_empty());
        let mut records = push(&mut decoder, 5 * SECOND, &ping[cut..]);
        records.extend(idle(&mut decoder, 5 * SECOND + 1));
        assert_eq!(records.len(), 1, "paused after {cut} bytes: {records:?}");
        assert_eq!(frame_of(&records[0]), Some(&ping[2..]));
    }
}

#[test]
fn joining_in_mid_frame_costs_only_that_frame() {
    let frames: Vec<_> = (0..8).map(|n| ipv4_frame(300 + usize::from(n), n)).collect();
    let stream: Vec<u8> = frames.iter().flat_map(|f| framed(f)).collect();
    for start in 1..302 {
        let records = decode(&stream[start..]);
        let whole =
            records.iter().filter_map(frame_of).filter(|f| frames[1..].iter().any(|w| w == f));
        assert_eq!(whole.count(), 7, "joined at byte {start}");
        assert_eq!(reassembled(&records), &stream[start..]);
    }
}

/// An ICMP message over IPv4 with every checksum right.
fn icmp_frame(length: usize, mark: u8) -> Vec<u8> {
    let mut frame = ipv4_frame(length, mark);
    frame[36..38].fill(0);
    let sum = crate::checksum::internet(&frame[34..]);
    frame[36..38].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn a_sender_that_is_reset_in_mid_frame_costs_only_that_frame() {
    let (cut, next, last) = (icmp_frame(700, 1), icmp_frame(60, 2), icmp_frame(300, 3));
    for sent in 40..701 {
        let mut stream = framed(&cut)[..sent].to_vec();
        stream.extend(framed(&next));
        for _ in 0..4 {
            stream.extend(framed(&last));
        }
        let records = decode(&stream);
        let whole: Vec<_> = records.iter().filter_map(frame_of).collect();
        assert!(whole.contains(&&next[..]), "{sent} of 702 bytes were sent");
        assert!(whole.iter().filter(|frame| **frame == last).count() == 4);
        assert_eq!(reassembled(&records), stream);
    }
}

#[test]
fn a_frame_behind_a_cut_one_is_shown_when_silence_follows() {
    let (cut, next, last) = (icmp_frame(700, 1), icmp_frame(60, 2), icmp_frame(61, 3));
    for sent in 1..500 {
        let mut decoder = decoder();
        let mut records = push(&mut decoder, 0, &framed(&cut)[..sent]);
        records.extend(push(&mut decoder, 0, &framed(&next)));
        records.extend(push(&mut decoder, 0, &framed(&last)));
        records.extend(idle(&mut decoder, SECOND / 10));
        let frames: Vec<_> = records.iter().filter_map(frame_of).collect();
        assert_eq!(frames, [&next[..], &last[..]], "{sent} of 702 bytes were sent");
        assert!(decoder.pending.is_empty());
    }
}

#[test]
fn a_good_frame_that_carries_a_framed_one_stays_whole() {
    let mut frame = icmp_frame(400, 1);
    frame[100..202].copy_from_slice(&framed(&icmp_frame(100, 2)));
    frame[36..38].fill(0);
    let sum = crate::checksum::internet(&frame[34..]);
    frame[36..38].copy_from_slice(&sum.to_be_bytes());
    let records = decode(&framed(&frame));
    assert_eq!(records.iter().filter_map(frame_of).collect::<Vec<_>>(), [&frame[..]]);
}

#[test]
fn what_ends_in_mid_frame_is_kept() {
    let ping = framed(&ipv4_frame(98, 1));
    let records = decode(&ping[..50]);
    assert_eq!(error_of(&records[0]).problem, Problem::Cut { length: Some(98) });
    assert_eq!(error_of(&records[0]).recovery, Recovery::Ended);
    assert_eq!(error_of(&records[0]).bytes, ping[..50]);
}

#[test]
fn endless_noise_comes_out_in_bounded_pieces() {
    let mut decoder = decoder();
    let mut records = Vec::new();
    for _ in 0..40 {
        records.extend(push(&mut decoder, 0, &[0xee; 8192]));
        assert!(decoder.pending.len() <= CHUNK + 8192, "{} bytes held", decoder.pending.len());
    }
    records.extend(finish(&mut decoder));
    assert!(records.iter().all(|r| error_of(r).bytes.len() <= CHUNK + 8192));
    assert_eq!(reassembled(&records).len(), 40 * 8192);
    assert_eq!(error_of(&records[1]).problem, Problem::Continued);
}

/// Pieces of a stream that a hostile or broken line might carry.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (34usize..400, any::<u8>()).prop_map(|(n, mark)| framed(&ipv4_frame(n, mark))),
        1 => (34usize..400, any::<u8>(), any::<prop::sample::Index>()).prop_map(|(n, mark, cut)| {
            let mut bytes = framed(&ipv4_frame(n, mark));
            bytes.truncate(cut.index(bytes.len()));
            bytes
        }),
        1 => prop::collection::vec(any::<u8>(), 1..80).prop_map(|frame| framed(&frame)),
        1 => prop::collection::vec(any::<u8>(), 1..300),
        1 => Just(vec![0, 0]),
        1 => Just(vec![0xff, 0xff]),
        1 => (1usize..200).prop_map(|n| vec![0; n]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_split_gives_the_same_records_and_no_byte_is_lost(
        pieces in prop::collection::vec(piece(), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let stream = pieces.concat();
        let whole = decode(&stream);
        prop_assert_eq!(&reassembled(&whole), &stream);

        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut decoder = decoder();
        let mut records = Vec::new();
        for pair in cuts.windows(2) {
            records.extend(push(&mut decoder, 0, &stream[pair[0]..pair[1]]));
        }
        records.extend(finish(&mut decoder));
        prop_assert_eq!(essence(&records), essence(&whole));
    }

    #[test]
    fn every_byte_alone_gives_the_same_records(pieces in prop::collection::vec(piece(), 0..8)) {
        let stream = pieces.concat();
        let mut decoder = decoder();
        let mut records = Vec::new();
        for byte in &stream {
            records.extend(push(&mut decoder, 0, &[*byte]));
        }
        records.extend(finish(&mut decoder));
        prop_assert_eq!(essence(&records), essence(&decode(&stream)));
    }

    #[test]
    fn silences_at_the_same_places_give_the_same_records_however_the_rest_is_cut(
        before in prop::collection::vec(piece(), 0..5),
        after in prop::collection::vec(piece(), 0..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let (before, after) = (before.concat(), after.concat());
        let run = |after_cut: usize| {
            let mut decoder = decoder();
            let mut records = push(&mut decoder, 0, &before);
            records.extend(idle(&mut decoder, 2 * SECOND));
            records.extend(push(&mut decoder, 3 * SECOND, &after[..after_cut]));
            records.extend(push(&mut decoder, 3 * SECOND, &after[after_cut..]));
            records.extend(finish(&mut decoder));
            records
        };
        let whole = run(after.len());
        prop_assert_eq!(reassembled(&whole), [before.clone(), after.clone()].concat());
        prop_assert_eq!(essence(&run(cut.index(after.len() + 1))), essence(&whole));
    }

    #[test]
    fn clean_input_gives_what_the_length_delimited_codec_gives(
        frames in prop::collection::vec((34usize..1514, any::<u8>()), 0..20),
    ) {
        let stream: Vec<u8> =
            frames.iter().flat_map(|&(n, mark)| framed(&ipv4_frame(n, mark))).collect();
        let mut codec = LengthDelimitedCodec::builder()
            .length_field_type::<u16>()
            .max_frame_length(DEFAULT_MAX_FRAME)
            .new_codec();
        let mut buffer = BytesMut::from(&stream[..]);
        let mut expected = Vec::new();
        while let Some(frame) = codec.decode(&mut buffer).expect("the stream is clean") {
            expected.push(frame.to_vec());
        }
        let records = decode(&stream);
        let frames: Vec<_> = records.iter().filter_map(frame_of).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(frames.len(), records.len());
        prop_assert_eq!(frames, expected);
    }
}

#[test]
fn noise_is_an_error_when_we_stop_and_the_beginning_of_a_frame_is_none() {
    let mut decoder = decoder();
    let mut records = push(&mut decoder, 0, &[0xff; 300]);
    decoder.stop(Timestamp(1), &mut records);
    assert!(records.iter().all(|record| error_of(record).recovery != Recovery::Stopped));
    let bytes: usize = records.iter().map(|record| error_of(record).bytes.len()).sum();
    assert_eq!((bytes, error_of(&records[0]).is_new()), (300, true));
    let mut records = push(&mut decoder, 2, &framed(&ipv4_frame(60, 1))[..40]);
    decoder.stop(Timestamp(3), &mut records);
    assert_eq!((records.len(), error_of(&records[0]).is_new()), (1, false));
}
