//! Nothing of the payload is left, and everything that holds together still does.

use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::proto::{NoteKind, Value, ethernet, ipv4, samples, tcp};
use proptest::prelude::*;

fn anonymizer() -> Anonymizer {
    Anonymizer::with_key([7; 32])
}

fn frame(by: &mut Anonymizer, bytes: &[u8]) -> Bytes {
    by.frame(LinkType::ETHERNET, bytes, bytes.len())
}

#[test]
fn addresses_and_payload_are_replaced_and_the_rest_stays() {
    let mut by = anonymizer();
    for original in [samples::echo_request(), samples::syn(), samples::datagram()] {
        let new = frame(&mut by, &original);
        assert_eq!(new.len(), original.len());
        let mut dissector = Dissector::default();
        let stack = dissector.dissect(&new);
        assert_eq!(stack.notes, [], "its checksums are right");
        let mut old = Dissector::default();
        let old = old.dissect(&original);
        assert_eq!(stack.layers, old.layers);
        for (protocol, name) in
            [(&ethernet::ETHERNET, "src"), (&ipv4::IPV4, "src"), (&ipv4::IPV4, "dst")]
        {
            assert_ne!(stack.field(protocol, name), old.field(protocol, name));
        }
        for name in ["seq", "flags", "window", "src_port"] {
            assert_eq!(stack.field(&tcp::TCP, name), old.field(&tcp::TCP, name));
        }
        assert!(stack.payload(2).iter().all(|byte| *byte == 0));
    }
}

#[test]
fn the_same_is_replaced_by_the_same_and_networks_stay_networks() {
    let mut by = Names::new([7; 32]);
    let address = |text: &str| text.parse::<Ipv4Addr>().expect("an address");
    let (a, b, c) = (address("192.168.100.1"), address("192.168.100.2"), address("192.168.101.1"));
    let (x, y, z) = (by.v4(a), by.v4(b), by.v4(c));
    assert_eq!(by.v4(a), x);
    let common = |a: Ipv4Addr, b: Ipv4Addr| (u32::from(a) ^ u32::from(b)).leading_zeros();
    assert_eq!(common(x, y), common(a, b));
    assert_eq!(common(x, z), common(a, c));
    assert_ne!(x, a);
    for nobody in ["224.0.0.251", "255.255.255.255", "127.0.0.1", "0.0.0.0"] {
        assert_eq!(by.v4(address(nobody)), address(nobody));
    }
    let six = |text: &str| text.parse::<Ipv6Addr>().expect("an address");
    let (x, y) = (by.v6(six("2001:db8::1")), by.v6(six("2001:db8::2")));
    assert_eq!((u128::from(x) ^ u128::from(y)).leading_zeros(), 126);
    assert!(by.v6(six("fe80::1")).is_unicast_link_local());
    assert_ne!(Names::new([8; 32]).v4(a), by.v4(a), "another key, another name");
    assert_ne!(Anonymizer::new().names.key, Anonymizer::new().names.key);
}

#[test]
fn the_group_of_an_address_does_not_give_it_away() {
    let mut by = Names::new([7; 32]);
    let group: Ipv6Addr = "ff02::1:ffd5:7068".parse().expect("an address");
    let new = by.v6(group);
    assert!(new != group && new.to_string().starts_with("ff02::1:ff"), "{new}");
    let octets = new.octets();
    let mac = by.mac([0x33, 0x33, 0xff, 0xd5, 0x70, 0x68]);
    assert_eq!(mac, [0x33, 0x33, 0xff, octets[13], octets[14], octets[15]]);
}

#[test]
fn a_wrong_checksum_stays_wrong_by_as_much() {
    let mut by = anonymizer();
    let mut original = samples::datagram();
    original[41] ^= 0x21;
    let new = frame(&mut by, &original);
    let difference = |bytes: &[u8]| {
        let mut dissector = Dissector::default();
        let [note] = dissector.dissect(bytes).notes else { panic!("one note") };
        let NoteKind::Checksum { found, expected } = note.kind else { panic!("a checksum") };
        (i32::from(found) - i32::from(expected)).rem_euclid(0xffff)
    };
    assert_eq!(difference(&new), difference(&original));
}

#[test]
fn what_is_no_frame_loses_its_text_too() {
    let record = |body| Record {
        time: None,
        origin: crate::record::Origin::new(crate::record::Direction::FromDevice),
        offset: None,
        body,
    };
    let console = record(Body::Console(Bytes::from_static(b"ssid=home")));
    let Body::Console(line) = anonymizer().record(&console).body else { panic!("a line") };
    assert_eq!(&line[..], b"xxxxxxxxx");
}

proptest! {
    #[test]
    fn nothing_of_the_payload_is_left(
        payload in prop::collection::vec(b'A'..=b'Z', 8..200),
        which in 0usize..3,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut original = [samples::echo_request(), samples::syn(), samples::datagram()][which].clone();
        original.extend(&payload);
        original.truncate(cut.index(original.len() + 1));
        let new = frame(&mut anonymizer(), &original);
        let is_there = |window: &[u8]| new.windows(8).any(|other| other == window);
        prop_assert!(!payload.windows(8).any(is_there));
        prop_assert_eq!(new.len(), original.len());
    }

    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let new = frame(&mut anonymizer(), &bytes);
        prop_assert_eq!(new.len(), bytes.len());
    }

    #[test]
    fn no_two_addresses_become_one(a: u32, b: u32) {
        let mut by = Names::new([7; 32]);
        let (a, b) = (Ipv4Addr::from(a), Ipv4Addr::from(b));
        prop_assume!(a != b);
        prop_assert_ne!(by.v4(a), by.v4(b));
    }
}

#[test]
fn fields_keep_their_values_under_ipv4_options() {
    let mut original = samples::echo_request();
    original[14] = 0x47; // two more words of header: a record of the route
    original[17] += 8;
    original.splice(34..34, [7, 7, 8, 10, 1, 2, 3, 0]);
    let new = frame(&mut anonymizer(), &original);
    assert_eq!((&new[34..38], new[41]), (&[7, 7, 8, 10][..], 0), "all but the address");
    assert_ne!(new[38..41], [1, 2, 3]);
    let mut dissector = Dissector::default();
    let stack = dissector.dissect(&new);
    assert_eq!(stack.field(&ipv4::IPV4, "ttl"), Some(Value::Number(64)));
}
