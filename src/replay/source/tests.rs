//! Captures as they are read: which frames come, in what form, and what comes instead of those that cannot be sent.

use std::io::Write;

use super::*;
use crate::capture::read::Inner;
use crate::framing;
use crate::proto::samples;

/// A pcap file of a link type, with packets of so many kept bytes, each a second behind the one before.
fn pcap(link: u32, packets: &[(Vec<u8>, usize)]) -> tempfile::NamedTempFile {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    bytes.extend(link.to_le_bytes());
    for (n, (packet, length)) in packets.iter().enumerate() {
        for word in [n as u32, 0, packet.len() as u32, *length as u32] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(packet);
    }
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&bytes).expect("it is written");
    file
}

fn whole(frames: &[Vec<u8>]) -> Vec<(Vec<u8>, usize)> {
    frames.iter().map(|frame| (frame.clone(), frame.len())).collect()
}

fn job(file: &tempfile::NamedTempFile) -> Job {
    Job {
        path: file.path().to_owned(),
        reading: Reading {
            format: None,
            follow: false,
            framing: framing::ALL[0],
            max_frame: 1514,
            inner: Inner::Never,
            stop: None,
            tell: None,
        },
        filter: None,
        sent: Direction::ToDevice,
        with_answers: true,
        from_frame: 1,
        rounds: 1,
        ends: Ends::default(),
        rules: Rules::default(),
        max_frame: 1514,
        carries: Carries::Ethernet,
    }
}

/// Everything that comes: number, and what.
fn all(job: Job) -> Vec<(u64, What)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("an event loop");
    runtime.block_on(async {
        let (mut source, _) = start(job).expect("it can be read");
        let mut items = Vec::new();
        while let Some(item) = source.next().await.expect("it is whole") {
            items.push((item.number, item.what));
        }
        items
    })
}

/// The numbers of the frames that would be sent; 0 is where a round begins.
fn sent(job: Job) -> Vec<u64> {
    let items = all(job).into_iter();
    let sent = items.filter(|(_, what)| matches!(what, What::Again | What::Frame(Side::Ours, _)));
    sent.map(|(number, _)| number).collect()
}

/// A datagram from the host to the device.
fn ours(port: u16) -> Vec<u8> {
    let mut frame = samples::datagram();
    let (left, right) = (frame[26..30].to_vec(), frame[30..34].to_vec());
    frame[26..30].copy_from_slice(&right);
    frame[30..34].copy_from_slice(&left);
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
    frame[34..36].copy_from_slice(&40000u16.to_be_bytes());
    frame[36..38].copy_from_slice(&port.to_be_bytes());
    frame
}

#[test]
fn only_the_first_round_begins_later_and_a_capture_with_nothing_to_send_ends() {
    let frames = whole(&[ours(1), ours(2), samples::datagram(), ours(4)]);
    let file = pcap(1, &frames);
    assert_eq!(sent(Job { from_frame: 2, ..job(&file) }), [2, 4]);
    assert_eq!(
        sent(Job { from_frame: 2, rounds: 3, ..job(&file) }),
        [2, 4, 0, 1, 2, 4, 0, 1, 2, 4]
    );
    assert_eq!(sent(Job { from_frame: 5, rounds: 2, ..job(&file) }), [0, 1, 2, 4]);
    assert_eq!(sent(Job { from_frame: 6, ..job(&file) }), [0; 0]);
    let nothing = Filter::parse("tcp port 9").expect("a filter");
    assert_eq!(sent(Job { filter: Some(nothing), rounds: u64::MAX, ..job(&file) }), [0; 0]);
}

#[test]
fn each_side_is_known_by_its_addresses() {
    let file = pcap(1, &whole(&[ours(1), samples::datagram(), ours(3)]));
    let sides = |job: Job| {
        let of = |(_, what)| match what {
            What::Frame(side, _) => side,
            other => panic!("{other:?}"),
        };
        all(job).into_iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(sides(job(&file)), [Side::Ours, Side::Theirs, Side::Ours]);
    assert_eq!(sides(Job { with_answers: false, ..job(&file) }), [Side::Ours, Side::Ours]);
    let other = Job { sent: Direction::FromDevice, ..job(&file) };
    assert_eq!(sides(other), [Side::Theirs, Side::Ours, Side::Theirs]);
}

#[test]
fn what_cannot_be_sent_is_told_in_its_place() {
    let long = [&ours(1)[..], &[0; 1500]].concat();
    let mut packets = whole(&[ours(1), long, Vec::new()]);
    packets.push((ours(4), 90));
    packets.push((samples::datagram(), 90));
    let file = pcap(1, &packets);
    let found = all(job(&file));
    assert_eq!(found[1], (2, What::Unfit(Why::TooLong, 1)));
    assert_eq!(found[2], (3, What::Unfit(Why::Empty, 1)));
    assert_eq!(found[3], (4, What::Unfit(Why::Cut, 1)));
    assert_eq!(found[4], (5, What::Part(samples::datagram().into())));
    assert_eq!(found.len(), 5);
    let exact = Job { max_frame: packets[1].0.len(), ..job(&file) };
    assert_eq!(sent(exact), [1, 2]);

    let mut request = samples::arp_request();
    request[28..32].copy_from_slice(&[192, 168, 100, 1]); // the host asks
    request[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    let file = pcap(1, &whole(&[request, ours(2), ours(3)[..14].to_vec()]));
    let found = all(Job { carries: Carries::Ip, ..job(&file) });
    assert_eq!(found[0], (1, What::Unfit(Why::NoIp, 1)));
    assert!(matches!(found[1], (2, What::Frame(Side::Ours, _))));
    assert_eq!(found[2], (3, What::Unfit(Why::NoIp, 1)));
    assert_eq!(sent(job(&file)), [1, 2, 3]);

    let file = pcap(127, &whole(&[vec![0; 60]]));
    assert_eq!(all(job(&file)), [(1, What::Unfit(Why::Link(LinkType(127)), 1))]);
    let file = pcap(101, &whole(&[vec![0; 60]]));
    assert_eq!(all(job(&file)), [(1, What::Unfit(Why::NoPacket, 1))]);
}

#[test]
fn a_filter_knows_what_was_in_front_of_the_first_frame_and_in_the_other_direction() {
    // TFTP goes on between ports that only the request tells (RFC 1350 section 4).
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/tftp.pcap");
    let path = PathBuf::from(corpus);
    let file = tempfile::NamedTempFile::new().expect("a file");
    for with_answers in [false, true] {
        let filtered = |from_frame| {
            let filter = Filter::parse("tftp").ok();
            sent(Job { path: path.clone(), filter, from_frame, with_answers, ..job(&file) })
        };
        let every = filtered(1);
        assert!(every.len() > 3, "{every:?}");
        for from in 2..8 {
            let rest: Vec<u64> = every.iter().copied().filter(|n| *n >= from).collect();
            assert_eq!(filtered(from), rest, "from frame {from}");
        }
    }
}

#[test]
fn what_is_rewritten_is_what_directions_and_filters_see() {
    let file = pcap(1, &whole(&[ours(1), samples::datagram()]));
    let rules =
        Rules { ips: vec![([192, 168, 100, 2].into(), [10, 0, 0, 2].into())], ..Rules::default() };
    let filter = Filter::parse("host 10.0.0.2").ok();
    let found = all(Job { rules, filter, ..job(&file) });
    assert_eq!(found.len(), 2);
    let What::Frame(Side::Ours, frame) = &found[0].1 else { panic!("{found:?}") };
    assert_eq!(frame[30..34], [10, 0, 0, 2]);
}

#[test]
fn items_that_are_put_back_come_again_first() {
    let item = |number| Item { number, at: None, what: What::Again };
    let mut source = Source::of(vec![item(2), item(3)]);
    source.put_back(item(1));
    assert_eq!(
        std::iter::from_fn(|| source.poll()).map(|item| item.number).collect::<Vec<_>>(),
        [1, 2, 3]
    );
}
