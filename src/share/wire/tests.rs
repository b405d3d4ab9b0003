//! What is written is read back, and whatever is read, nothing panics.

use super::*;
use crate::record::{
    Direction, FramingError, Impaired, LinkChange, LinkType, Origin, Packet, Problem, Recovery,
    Span,
};
use proptest::prelude::*;
use std::collections::VecDeque;

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
    let recovery = prop_oneof![
        Just(Recovery::Sure),
        Just(Recovery::Likely),
        Just(Recovery::Searching),
        Just(Recovery::Ended),
    ];
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
        (any::<u16>(), any_bytes(), any::<u32>()).prop_map(|(link, bytes, length)| {
            Body::Packet(Packet { link: LinkType(link), bytes, length })
        }),
    ]
}

fn any_record() -> impl Strategy<Value = Record> {
    let direction = prop_oneof![
        Just(Direction::ToDevice),
        Just(Direction::FromDevice),
        Just(Direction::Unknown)
    ];
    let time = any::<Option<(u64, u64)>>().prop_map(|time| {
        time.map(|(first, last)| Span { first: Timestamp(first), last: Timestamp(last) })
    });
    let origin = (any::<u16>(), any::<u32>(), direction)
        .prop_map(|(tap, connection, direction)| Origin { tap, connection, direction });
    (time, origin, any::<Option<u64>>(), any_body())
        .prop_map(|(time, origin, offset, body)| Record { time, origin, offset, body })
}

fn any_hello() -> impl Strategy<Value = Hello> {
    let line = prop_oneof![Just(Line::Waiting), Just(Line::Unverified), Just(Line::Served)];
    let host = any::<Option<([u8; 4], [u8; 6])>>();
    let host = host.prop_map(|host| host.map(|(ip, mac)| Host { ip, mac }));
    let terms = (any::<String>(), any::<u64>(), line, any::<String>(), any::<u32>(), host)
        .prop_map(|(endpoint, since, line, framing, max_frame, host)| {
            let since = Timestamp(since);
            Terms { endpoint, since, line, framing, max_frame, host }
        });
    let identities = prop::collection::vec(any::<String>(), 0..4);
    (any::<u16>(), any::<u32>(), any::<String>(), identities, terms).prop_map(
        |(minor, pid, command, identities, terms)| Hello {
            major: MAJOR,
            minor,
            pid,
            command,
            identities,
            terms: Some(terms),
        },
    )
}

fn from_holder() -> impl Strategy<Value = FromHolder> {
    prop_oneof![
        any_hello().prop_map(FromHolder::Hello),
        Just(FromHolder::Welcome),
        prop::collection::vec(any_record(), 0..8).prop_map(FromHolder::Records),
        any::<u64>().prop_map(|time| FromHolder::Sent(Timestamp(time))),
        Just(FromHolder::Granted),
        any::<String>().prop_map(FromHolder::Refused),
        any::<String>().prop_map(FromHolder::End),
    ]
}

fn to_holder() -> impl Strategy<Value = ToHolder> {
    let attach = (any::<u16>(), any::<u16>(), any::<u32>(), any::<String>());
    prop_oneof![
        attach.prop_map(|(major, minor, pid, command)| ToHolder::Attach {
            major,
            minor,
            pid,
            command
        }),
        prop::collection::vec(any_bytes(), 0..8).prop_map(ToHolder::Frames),
        any_bytes().prop_map(ToHolder::Raw),
        Just(ToHolder::TakeAlone),
        Just(ToHolder::GiveBack),
    ]
}

proptest! {
    #[test]
    fn what_a_holder_says_is_read_back(said in prop::collection::vec(from_holder(), 0..6)) {
        let mut out = Vec::new();
        said.iter().for_each(|message| message.encode(&mut out));
        let mut buffer = BytesMut::from(&out[..]);
        let mut heard = Vec::new();
        while let Some(message) = split(&mut buffer, MAX_MESSAGE).expect("short enough") {
            heard.extend(FromHolder::decode(message).expect("well-formed"));
        }
        prop_assert_eq!(heard, said);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn what_is_said_to_a_holder_is_read_back(said in to_holder()) {
        let mut out = Vec::new();
        said.encode(&mut out);
        let mut buffer = BytesMut::from(&out[..]);
        let message = split(&mut buffer, MAX_MESSAGE).expect("short enough").expect("whole");
        prop_assert_eq!(ToHolder::decode(message), Ok(said));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = FromHolder::decode(Bytes::from(bytes.clone()));
        let _ = ToHolder::decode(Bytes::from(bytes.clone()));
        let _ = split(&mut BytesMut::from(&bytes[..]), 100);
    }

    #[test]
    fn damaged_messages_never_panic(
        said in from_holder(), asked in to_holder(),
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut out = Vec::new();
        said.encode(&mut out);
        let (at, cut) = (at.index(out.len()), cut.index(out.len()));
        out[at] = byte;
        let _ = FromHolder::decode(Bytes::copy_from_slice(&out[4..]));
        let _ = FromHolder::decode(Bytes::copy_from_slice(&out[4.min(cut)..cut]));
        out.clear();
        asked.encode(&mut out);
        let at = at % out.len();
        out[at] = byte;
        let _ = ToHolder::decode(Bytes::copy_from_slice(&out[4..]));
    }

    #[test]
    fn batches_carry_every_record_in_order_in_messages_of_bounded_size(
        records in prop::collection::vec(any_record(), 0..50),
    ) {
        let mut queue = VecDeque::from(records.clone());
        let mut heard = Vec::new();
        while !queue.is_empty() {
            let mut out = Vec::new();
            encode_batch(&mut queue, &mut out);
            let mut buffer = BytesMut::from(&out[..]);
            let message = split(&mut buffer, MAX_MESSAGE).expect("short enough").expect("whole");
            match FromHolder::decode(message) {
                Ok(Some(FromHolder::Records(some))) => heard.extend(some),
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(heard, records);
    }
}

#[test]
fn a_message_is_not_longer_than_allowed_and_a_record_that_would_be_is_a_gap() {
    let mut buffer = BytesMut::from(&[0, 1, 0, 1, 9][..]);
    assert_eq!(split(&mut buffer, 0x10000), Err(Malformed::TooLong(0x10001)));
    let body = Body::Frame(Bytes::from(vec![0; MAX_MESSAGE]));
    let record = Record { time: None, origin: Origin::new(Direction::Unknown), offset: None, body };
    let mut out = Vec::new();
    encode_batch(&mut VecDeque::from([record]), &mut out);
    let Ok(Some(FromHolder::Records(records))) = FromHolder::decode(Bytes::from(out).slice(4..))
    else {
        panic!("no records")
    };
    assert!(matches!(records[0].body, Body::Gap { records: 1, .. }));
}

#[test]
fn a_hello_of_another_major_version_still_says_who_and_what() {
    let terms = None;
    let identities = vec!["tcp:127.0.0.1:5556".to_owned()];
    let hello = Hello { major: 2, minor: 9, pid: 7, command: "x".to_owned(), identities, terms };
    let mut out = Vec::new();
    FromHolder::Hello(hello.clone()).encode(&mut out);
    out.extend([0xff; 40]); // whatever version 2 says there
    let decoded = FromHolder::decode(Bytes::from(out).slice(4..));
    assert_eq!(decoded, Ok(Some(FromHolder::Hello(hello))));
}
