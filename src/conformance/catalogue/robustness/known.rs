//! One packet for each kind of fault that IP stacks have been published for.

use super::super::super::model::Owner::Stack;
use super::super::super::model::Severity::Must;
use super::super::super::model::Tier::Core;
use super::super::super::model::{Flow, Test};
use super::super::super::stimulus::{ArpFrame, icmp_frame};
use super::super::super::trial::Trial;
use super::super::row;
use crate::craft::layers::Ipv4;
use crate::proto::tcp;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("ROB-06", "robustness.known-cves"), (Must, Core, Stack), "AMNESIA:33; Ripple20; URGENT/11; INFRA:HALT (classes)",
        "The packets that are known to have killed other stacks do no harm."),
        |t| Box::pin(known_cves(t))),
];

async fn known_cves(t: &mut Trial) -> Flow {
    for (what, frame) in
        options(t).into_iter().chain(headers(t)).chain(fragments(t)).chain(cut_short(t))
    {
        t.send(&frame).await?;
        let is_there = t.is_alive().await?;
        let actual = format!("it has not answered any more since {what}");
        if !t.must(is_there, format!("the device survives {what}"), actual) {
            t.survives().await?; // says that it is dead
        }
        t.take_seen();
    }
    Ok(())
}

type Vectors = Vec<(&'static str, Vec<u8>)>;

/// Lengths in options that cannot be (AMNESIA:33, INFRA:HALT).
fn options(t: &mut Trial) -> Vectors {
    let port = t.rig.target.ports.http;
    let mut segment = |options: &[u8]| {
        let segment = t.segment(port).tcp(|tcp| {
            (tcp.flags, tcp.options) = (tcp::SYN, options.to_vec());
        });
        segment.frame()
    };
    let mut vectors = vec![
        ("a TCP option of length 0", segment(&[2, 0, 5, 0xb4])),
        ("a TCP option of length 1", segment(&[253, 1, 0, 0])),
        ("a TCP option longer than the header", segment(&[2, 40, 5, 0xb4])),
        ("an MSS of 0", segment(&[2, 4, 0, 0])),
        ("a selective acknowledgment of half a block", segment(&[5, 6, 0, 0, 0, 1, 0, 0])),
        ("a window scale of 255", segment(&[3, 3, 255, 0])),
    ];
    for (what, options) in [
        ("an IPv4 option of length 0", [7, 0, 4, 0]),
        ("an IPv4 option longer than the header", [7, 39, 4, 0]),
        ("a record route whose pointer is beyond it", [7, 4, 200, 0]),
        ("a source route of length 1", [131, 1, 4, 0]),
    ] {
        let echo = t.echo(8).ip(|ip| ip.options = options.to_vec());
        vectors.push((what, echo.frame()));
    }
    vectors
}

/// Headers that claim more than there is, and headers within headers (URGENT/11, Ripple20).
fn headers(t: &mut Trial) -> Vectors {
    let port = t.rig.target.ports.http;
    let urgent = t.segment(port).tcp(|tcp| {
        (tcp.flags, tcp.urgent) = (tcp::ACK | tcp::PSH | tcp::URG, 0xffff);
    });
    let urgent = urgent.data(b"x").frame();
    let mut offset = |offset: u8| {
        let segment = t.segment(port).tcp(|tcp| {
            (tcp.flags, tcp.data_offset) = (tcp::SYN, Some(offset));
        });
        segment.frame()
    };
    let (beyond, within) = (offset(15), offset(3));
    let inner = t.echo(8);
    let inner = inner.ip.packet(&inner.icmp.message());
    let (eth, outer) = (t.eth(0x0800), t.ip(4));
    let long = t.echo(8).ip(|ip| ip.ihl = Some(15)).frame();
    let total = t.echo(8).ip(|ip| ip.total_length = Some(0xffff)).frame();
    let nothing = t.echo(8).ip(|ip| ip.total_length = Some(0)).frame();
    let mut datagram = t.datagram(t.rig.target.ports.echo, b"x");
    datagram.udp.length = Some(0xffff);
    vec![
        ("an urgent pointer far behind the data", urgent),
        ("a TCP header that ends behind the segment", beyond),
        ("a TCP header that ends within itself", within),
        ("an IPv4 packet in an IPv4 packet", eth.frame(&outer.packet(&inner))),
        ("an IPv4 header that ends behind the packet", long),
        ("an IPv4 packet that claims 65535 bytes", total),
        ("an IPv4 packet that claims no bytes", nothing),
        ("a UDP datagram that claims 65535 bytes", datagram.frame()),
    ]
}

/// Fragments that overlap, overflow, or hold nothing (teardrop and its like).
fn fragments(t: &mut Trial) -> Vectors {
    let (eth, ip) = (t.eth(0x0800), t.ip(17));
    let fragment = |flags: u8, offset: u16, length: usize| {
        let ip = Ipv4 { flags, offset, ..ip.clone() };
        eth.frame(&ip.packet(&vec![0x41; length]))
    };
    vec![
        ("the first fragment of a datagram", fragment(1, 0, 32)),
        ("a fragment within one that came before", fragment(0, 1, 8)),
        ("a fragment that ends behind 65535 bytes", fragment(0, 8189, 64)),
        ("a fragment without data", fragment(1, 4, 0)),
        ("a fragment whose length is no multiple of 8", fragment(1, 6, 7)),
    ]
}

/// Messages that end within their own header.
fn cut_short(t: &mut Trial) -> Vectors {
    let id = t.identity();
    let arp = ArpFrame::request(id.host_mac, id.host_ip, id.device_ip).frame();
    let eth = t.eth(0x0800);
    let mut carrying = |protocol: u8, bytes: &[u8]| {
        let ip = t.ip(protocol);
        eth.frame(&ip.packet(bytes))
    };
    let mut vectors = vec![
        ("an ARP message of 8 bytes", arp[..14 + 8].to_vec()),
        ("an ARP message of 20 bytes", arp[..14 + 20].to_vec()),
        ("an ICMP message of 4 bytes", carrying(1, &[8, 0, 0xf7, 0xff])),
        ("an ICMP message of 0 bytes", carrying(1, &[])),
        ("a UDP header of 4 bytes", carrying(17, &[0, 7, 0, 7])),
        ("a TCP header of 10 bytes", carrying(6, &[0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0])),
        ("an IGMP message of 1 byte", carrying(2, &[0x11])),
    ];
    let ip = t.ip(1);
    let quoted = [0x4f, 0, 0, 20, 0, 0, 0, 0];
    vectors.push((
        "an ICMP error that quotes a header cut short",
        icmp_frame(eth, &ip, 3, 3, [0; 4], &quoted),
    ));
    vectors.push(("a frame of nothing but its addresses", eth.frame(&[])[..12].to_vec()));
    vectors
}
