use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::craft::layers::{Arp, Checksum, Tcp, Udp};
use crate::event::Events;
use crate::gateway::Settings;
use crate::share::wire::Host;
use crate::tap::host::Station;

const US: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);
const OUR_MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 1);
const ITS_MAC: MacAddr = MacAddr(2, 0, 0, 0, 0, 2);

/// A gateway on a line that is there, and what it tells.
fn gateway(holder: Option<Host>) -> (Gateway, Arc<Mutex<Vec<String>>>) {
    let settings = Settings {
        first_port: crate::gateway::FIRST_PORT,
        host_ip: US,
        host_mac: OUR_MAC,
        device_ip: DEVICE,
        is_device_ip_fixed: false,
        device_mac: None,
        carries: crate::framing::Carries::Ethernet,
        mtu: 1486,
        window: 5840,
        hold: Duration::from_secs(1),
    };
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = told.clone();
    let events = Events::new(move |event| sink.lock().expect("whole").push(event.to_string()));
    let gateway = Gateway::new(settings, Clock::system(), events);
    gateway.up(holder);
    (gateway, told)
}

/// What it answers to `frame`.
fn answers(gateway: &Gateway, frame: Vec<u8>) -> Vec<Bytes> {
    gateway.receive(&frame.into());
    let mut frames = Vec::new();
    let mut outgoing = gateway.0.outgoing.try_lock().expect("nobody else takes it");
    while let Ok(frame) = outgoing.answers.try_recv() {
        frames.push(frame);
    }
    frames
}

fn from_device(protocol: u8, payload: &[u8]) -> Vec<u8> {
    framed(OUR_MAC, DEVICE, protocol, payload)
}

fn framed(destination: MacAddr, source: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let packet = Ipv4::new(source, US, protocol).packet(payload);
    Ethernet { destination, source: ITS_MAC, kind: IPV4 }.frame(&packet)
}

fn echo() -> Vec<u8> {
    let (kind, checksum) = (icmp::ECHO_REQUEST, Checksum::Right);
    Icmp { kind, code: 0, checksum, rest: [0, 1, 0, 2], data: vec![7; 8] }.message()
}

fn datagram(source: Ipv4Addr, checksum: Checksum) -> Vec<u8> {
    Udp { checksum, ..Udp::new(7, 9) }.datagram(source, US, b"hello")
}

fn syn(source: Ipv4Addr, checksum: Checksum) -> Vec<u8> {
    Tcp { flags: SYN, checksum, ..Tcp::new(1025, 80) }.segment(source, US, &[])
}

fn arp(op: u16, (sha, spa): (MacAddr, Ipv4Addr), tpa: Ipv4Addr) -> Vec<u8> {
    let (hardware_length, protocol_length) = (6, 4);
    let tha = MacAddr::zero();
    let (hardware, protocol) = (1, IPV4);
    let message =
        Arp { hardware, protocol, hardware_length, protocol_length, op, sha, spa, tha, tpa };
    Ethernet { destination: MacAddr::broadcast(), source: sha, kind: 0x0806 }
        .frame(&message.message())
}

#[test]
fn what_is_asked_of_us_is_answered() {
    let (gateway, _) = gateway(None);
    for frame in [
        from_device(ICMP, &echo()),
        from_device(UDP, &datagram(DEVICE, Checksum::Right)),
        from_device(UDP, &datagram(DEVICE, Checksum::Exact(0))),
        from_device(TCP, &syn(DEVICE, Checksum::Right)),
        arp(arp::REQUEST, (ITS_MAC, DEVICE), US),
        arp(arp::REQUEST, (ITS_MAC, Ipv4Addr::UNSPECIFIED), US), // a probe
    ] {
        assert_eq!(answers(&gateway, frame.clone()).len(), 1, "{frame:02x?}");
    }
}

#[test]
fn nobody_is_refused_who_did_not_send_it_soundly_to_us_alone() {
    let (gateway, _) = gateway(None);
    for frame in [
        from_device(UDP, &datagram(DEVICE, Checksum::Wrong)),
        from_device(TCP, &syn(DEVICE, Checksum::Wrong)),
        framed(MacAddr::broadcast(), DEVICE, UDP, &datagram(DEVICE, Checksum::Right)),
        framed(MacAddr::broadcast(), DEVICE, TCP, &syn(DEVICE, Checksum::Right)),
    ] {
        assert!(answers(&gateway, frame.clone()).is_empty(), "{frame:02x?}");
    }
}

#[test]
fn nothing_goes_to_an_address_that_no_host_has() {
    let (gateway, _) = gateway(None);
    for source in [[255, 255, 255, 255], [0, 0, 0, 0], [224, 0, 0, 1], [127, 0, 0, 1], US.octets()]
    {
        let source = source.into();
        for (protocol, payload) in [
            (ICMP, echo()),
            (UDP, datagram(source, Checksum::Right)),
            (TCP, syn(source, Checksum::Right)),
        ] {
            let frame = framed(OUR_MAC, source, protocol, &payload);
            assert!(answers(&gateway, frame).is_empty(), "{source} {protocol}");
        }
    }
    let mut frame = from_device(ICMP, &echo());
    frame[6..12].copy_from_slice(&[1, 0, 0x5e, 0, 0, 1]);
    assert!(answers(&gateway, frame).is_empty());
    let group = MacAddr(1, 0, 0x5e, 0, 0, 1);
    assert!(answers(&gateway, arp(arp::REQUEST, (group, DEVICE), US)).is_empty());
    assert_eq!(gateway.device_mac(), None);
}

#[test]
fn beside_another_host_we_answer_nothing() {
    let holder = Host { ip: US.octets(), mac: OUR_MAC.octets() };
    let (gateway, _) = gateway(Some(holder));
    for frame in [
        from_device(ICMP, &echo()),
        from_device(UDP, &datagram(DEVICE, Checksum::Right)),
        from_device(TCP, &syn(DEVICE, Checksum::Right)),
        arp(arp::REQUEST, (ITS_MAC, DEVICE), US),
    ] {
        assert!(answers(&gateway, frame.clone()).is_empty(), "{frame:02x?}");
    }
    assert_eq!(gateway.device_mac(), Some(ITS_MAC));
}

#[test]
fn what_others_may_want_is_not_refused() {
    let (gateway, _) = gateway(None);
    let refused = from_device(UDP, &datagram(DEVICE, Checksum::Right)); // to port 9
    assert_eq!(answers(&gateway, refused.clone()).len(), 1);
    let theirs = Udp::new(9, 7).datagram(US, DEVICE, b"hello");
    let packet = Ipv4::new(US, DEVICE, UDP).packet(&theirs);
    let frame = Ethernet { destination: ITS_MAC, source: OUR_MAC, kind: IPV4 }.frame(&packet);
    gateway.overhear(&frame.into());
    assert!(answers(&gateway, refused).is_empty());
    assert_eq!(answers(&gateway, from_device(TCP, &syn(DEVICE, Checksum::Right))).len(), 1);
}

#[test]
fn a_device_that_takes_our_address_or_talks_without_end_is_told_of() {
    let (gateway, told) = gateway(None);
    for _ in 0..50 {
        answers(&gateway, arp(arp::REQUEST, (ITS_MAC, US), US));
    }
    let said = std::mem::take(&mut *told.lock().expect("whole"));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("192.168.100.1 is its address, which is ours"), "{said:?}");
    for n in 0..10_000u32 {
        let ip = Ipv4Addr::new(192, 168, 100, 2 + (n % 2) as u8);
        answers(&gateway, arp(arp::REQUEST, (ITS_MAC, ip), ip));
    }
    let said = told.lock().expect("whole").len();
    assert!((2..=super::super::DEVICE_NEWS.0 as usize).contains(&said), "{said}");
}
