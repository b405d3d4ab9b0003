//! IPv4: what a host takes, what it has to pass over in silence, and what it sends.

use super::super::model::Owner::Stack;
use super::super::model::Severity::{Must, Should};
use super::super::model::Tier::{Core, Extended, Smoke};
use super::super::model::{Flow, Group, Halt, Test};
use super::super::seen::Seen;
use super::super::trial::{Trial, compare, is_reaction};
use super::row;
use crate::checksum;
use crate::craft::layers::{Checksum, Ipv4};
use crate::proto::icmp;
use std::net::Ipv4Addr;

/// The group.
#[rustfmt::skip]
pub static IPV4: Group = Group {
    name: "ipv4",
    title: "IPv4",
    parts: &[&[
        Test::new(row(("IP4-01", "ipv4.header-checksum-bad"), (Must, Smoke, Stack), "RFC 1122 §3.2.1.2",
            "A packet whose header checksum is wrong is discarded in silence."),
            |t| Box::pin(header_checksum_bad(t))),
        Test::new(row(("IP4-02", "ipv4.version"), (Must, Core, Stack), "RFC 1122 §3.2.1.1",
            "A packet of another version in a frame of IPv4 is discarded in silence."),
            |t| Box::pin(version(t))),
        Test::new(row(("IP4-03", "ipv4.ihl"), (Must, Core, Stack), "RFC 791 §3.1",
            "A packet whose header would be shorter than 20 bytes, or longer than the packet, is passed over."),
            |t| Box::pin(ihl(t))),
        Test::new(row(("IP4-04", "ipv4.total-length"), (Must, Core, Stack), "RFC 791 §3.1",
            "A packet whose length does not fit what is there is passed over."),
            |t| Box::pin(total_length(t))),
        Test::new(row(("IP4-05", "ipv4.option-nop-eol"), (Must, Core, Stack), "RFC 791 §3.1; RFC 1122 §3.2.1.8",
            "A packet with options that mean nothing is taken."),
            |t| Box::pin(option_nop_eol(t))),
        Test::new(row(("IP4-06", "ipv4.option-record-route"), (Should, Extended, Stack), "RFC 1122 §3.2.2.6",
            "An echo reply carries the request's record route option, with the device's own entry."),
            |t| Box::pin(option_record_route(t))),
        Test::new(row(("IP4-07", "ipv4.option-source-route"), (Must, Extended, Stack), "RFC 1122 §3.2.1.8(c), §3.3.5",
            "A packet whose source route ends here is answered or dropped, never passed on."),
            |t| Box::pin(option_source_route(t))),
        Test::new(row(("IP4-08", "ipv4.option-malformed"), (Must, Core, Stack), "RFC 791 §3.1; RFC 1122 §3.2.1.8",
            "Options that make no sense are ignored, dropped or complained about, and do no harm."),
            |t| Box::pin(option_malformed(t))),
        Test::new(row(("IP4-09", "ipv4.ttl-received"), (Must, Core, Stack), "RFC 1122 §3.2.1.7",
            "A packet for the device is taken whatever its time to live."),
            |t| Box::pin(ttl_received(t))),
        Test::new(row(("IP4-10", "ipv4.ttl-sent"), (Should, Smoke, Stack), "RFC 1122 §3.2.1.7",
            "What the device sends can travel: its time to live is 32 or more."),
            |t| Box::pin(ttl_sent(t))),
        Test::new(row(("IP4-11", "ipv4.dst-not-mine"), (Must, Smoke, Stack), "RFC 1122 §3.2.1.3",
            "A packet for another address is discarded in silence."),
            |t| Box::pin(dst_not_mine(t))),
        Test::new(row(("IP4-12", "ipv4.dst-loopback"), (Must, Core, Stack), "RFC 1122 §3.2.1.3",
            "A packet for the loopback network that comes from outside is not answered."),
            |t| Box::pin(dst_loopback(t))),
        Test::new(row(("IP4-13", "ipv4.src-loopback"), (Must, Core, Stack), "RFC 1122 §3.2.1.3(g)",
            "A packet from the loopback network that comes from outside is not answered."),
            |t| Box::pin(src_loopback(t))),
        Test::new(row(("IP4-14", "ipv4.src-group"), (Must, Core, Stack), "RFC 1122 §3.2.1.3(c), (e)",
            "A packet that claims to come from many is discarded in silence."),
            |t| Box::pin(src_group(t))),
        Test::new(row(("IP4-15", "ipv4.src-own-or-zero"), (Must, Core, Stack), "RFC 1122 §3.2.1.3(a)",
            "A packet that claims to come from the device itself, or from nobody, brings nothing onto the wire."),
            |t| Box::pin(src_own_or_zero(t))),
        Test::new(row(("IP4-16", "ipv4.flags-reserved-df"), (Must, Extended, Stack), "RFC 791 §3.1",
            "A packet that must not be fragmented is taken, and the reserved flag is never sent."),
            |t| Box::pin(flags_reserved_df(t))),
        Test::new(row(("IP4-17", "ipv4.tos-echoed"), (Should, Extended, Stack), "RFC 1349 §5.1",
            "An echo reply has the type of service of its request."),
            |t| Box::pin(tos_echoed(t))),
        Test::new(row(("IP4-18", "ipv4.off-subnet"), (Must, Core, Stack), "RFC 1122 §3.3.1.1, §3.3.1.2",
            "What goes beyond the network goes to the gateway's Ethernet address."),
            |t| Box::pin(off_subnet(t))),
        Test::new(row(("IP4-19", "ipv4.id-field"), (Must, Extended, Stack), "RFC 6864 §4.3",
            "Packets that may be fragmented carry identifications that differ."),
            |t| Box::pin(id_field(t))),
    ]],
};

/// An echo request with a changed IPv4 header has to be passed over in silence.
async fn silent_on(t: &mut Trial, what: &str, change: impl FnOnce(&mut Ipv4)) -> Flow {
    let echo = t.echo(8).ip(change);
    t.silent(&echo.frame(), what).await.map(|_| ())
}

async fn header_checksum_bad(t: &mut Trial) -> Flow {
    silent_on(t, "a header whose checksum is wrong", |ip| ip.checksum = Checksum::Wrong).await
}

async fn version(t: &mut Trial) -> Flow {
    silent_on(t, "version 6 in a frame of IPv4", |ip| ip.version = 6).await
}

/// Whether a frame is more than the Parameter Problem that a bad header may bring (RFC 792).
fn is_unwanted(seen: &Seen) -> bool {
    is_reaction(seen) && seen.icmp().is_none_or(|icmp| (icmp.kind, icmp.code) != (12, 0))
}

/// A frame that brings nothing, or Parameter Problem.
async fn refused(t: &mut Trial, frame: &[u8], what: &str) -> Flow {
    let seen = t.exchange(frame).await?;
    t.none(&seen, format!("nothing, or Parameter Problem, for {what}"), is_unwanted);
    Ok(())
}

async fn ihl(t: &mut Trial) -> Flow {
    let echo = t.echo(8).ip(|ip| ip.ihl = Some(4));
    refused(t, &echo.frame(), "a header of 4 words").await?;
    // The checksum is right over the 60 bytes that are claimed: the length alone is wrong.
    let echo = t.echo(0).ip(|ip| ip.ihl = Some(15));
    let mut frame = echo.frame();
    frame.resize(14 + 60, 0x02);
    frame[24..26].fill(0);
    let sum = checksum::internet(&frame[14..]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    refused(t, &frame, "a header of 15 words in a packet of 28 bytes").await
}

async fn total_length(t: &mut Trial) -> Flow {
    for (length, what) in [
        (1000, "a length of 1000 in a packet of 28 bytes"),
        (19, "a length of 19, less than a header"),
        (24, "a length of 24, less than header and ICMP"),
    ] {
        let echo = t.echo(0).ip(|ip| ip.total_length = Some(length));
        refused(t, &echo.frame(), what).await?;
    }
    Ok(())
}

async fn option_nop_eol(t: &mut Trial) -> Flow {
    let echo = t.echo(8).ip(|ip| ip.options = vec![1, 1, 1, 0]);
    t.answered(&echo, "an echo request with the options NOP NOP NOP EOL").await.map(|_| ())
}

async fn option_record_route(t: &mut Trial) -> Flow {
    const RECORD_ROUTE: u8 = 7;
    let echo = t.echo(8).ip(|ip| ip.options = vec![RECORD_ROUTE, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let reply = t.must_answer(&echo, "an echo request with a record route of two slots").await?;
    if let Some(reply) = reply {
        let options = reply.ip().map(|ip| ip.header[20..].to_vec()).unwrap_or_default();
        let own = t.identity().device_ip.octets();
        let carries = options.first() == Some(&RECORD_ROUTE)
            && options.get(2).is_some_and(|pointer| *pointer >= 8)
            && options.windows(4).any(|slot| slot == own);
        t.should_hold(
            carries,
            "the reply carries the record route, with the device's own address in it",
            format!("its options are {options:02x?}"),
        );
    }
    Ok(())
}

/// Loose source and record route.
const SOURCE_ROUTE: u8 = 131;

async fn option_source_route(t: &mut Trial) -> Flow {
    let via = t.identity().host_ip.octets();
    let mut options = vec![SOURCE_ROUTE, 7, 8]; // the pointer stands behind the end: it is complete
    options.extend(via);
    let echo = t.echo(8).ip(|ip| ip.options = options);
    let seen = t.exchange(&echo.frame()).await?;
    t.none(&seen, "the request is not passed on", |seen| seen.is_icmp(icmp::ECHO_REQUEST));
    let reply = seen.iter().find(|seen| echo.is_answered_by(seen));
    t.remark(if reply.is_some() { "answered" } else { "not answered" });
    if let Some(ip) = reply.and_then(Seen::ip) {
        let reversed = ip.header.get(20..).is_some_and(|options| options.contains(&SOURCE_ROUTE));
        t.check(
            Should,
            reversed,
            "a reply that takes the route back (RFC 1122 §3.2.2.6)",
            "a plain reply",
        );
    }
    let via = t.address(77);
    let mut options = vec![SOURCE_ROUTE, 7, 4];
    options.extend(via.octets());
    let echo = t.echo(8).ip(|ip| ip.options = options);
    let seen = t.exchange(&echo.frame()).await?;
    // Who wants to pass it on has to ask for the next station first.
    let passes_on = |seen: &Seen| {
        seen.is_icmp(icmp::ECHO_REQUEST) || seen.arp().is_some_and(|arp| arp.tpa == via)
    };
    let expected = format!("a packet that is to go on to {via} is not passed on");
    t.none_at(Should, &seen, expected, passes_on);
    Ok(())
}

async fn option_malformed(t: &mut Trial) -> Flow {
    for (options, what) in [
        (vec![7, 0, 4, 0], "an option of length 0"),
        (vec![7, 40, 4, 0], "an option that ends behind the header"),
        (vec![1, 1, 1, 7], "an option without its length"),
    ] {
        let echo = t.echo(8).ip(|ip| ip.options = options);
        let seen = t.exchange(&echo.frame()).await?;
        let is_allowed =
            |seen: &Seen| echo.is_answered_by(seen) || seen.is_icmp(12) || !is_reaction(seen);
        t.none(
            &seen,
            format!("{what} is ignored, dropped or answered by Parameter Problem"),
            |seen| !is_allowed(seen),
        );
    }
    Ok(())
}

async fn ttl_received(t: &mut Trial) -> Flow {
    for ttl in [0, 1] {
        let echo = t.echo(8).ip(|ip| ip.ttl = ttl);
        t.answered(&echo, format!("an echo request with TTL {ttl}")).await?;
    }
    Ok(())
}

async fn ttl_sent(t: &mut Trial) -> Flow {
    let echo = t.echo(8);
    t.send(&echo.frame()).await?;
    let datagram = t.datagram_to_nobody();
    let seen = t.exchange(&datagram.frame()).await?;
    // What is for groups travels no further than it is meant to (RFC 1112 section 6.1).
    let packets = seen.iter().filter_map(|seen| Some((seen, seen.ip()?)));
    let packets: Vec<_> = packets.filter(|(_, ip)| !ip.destination.is_multicast()).collect();
    t.must(!packets.is_empty(), "an echo reply", "no packet came");
    for (seen, ip) in packets {
        t.must(ip.ttl > 0, "a TTL of more than 0", "0");
        let mut fields = Vec::new();
        if ip.ttl < 32 {
            compare(&mut fields, "ip.ttl", "32 or more".to_owned(), ip.ttl.to_string());
        }
        t.check_frame(Should, seen, "a TTL of 32 or more", fields);
    }
    Ok(())
}

async fn dst_not_mine(t: &mut Trial) -> Flow {
    let other = t.address(99);
    silent_on(t, &format!("a packet for {other}"), |ip| ip.destination = other).await
}

async fn dst_loopback(t: &mut Trial) -> Flow {
    silent_on(t, "a packet for 127.0.0.1", |ip| ip.destination = Ipv4Addr::LOCALHOST).await
}

async fn src_loopback(t: &mut Trial) -> Flow {
    silent_on(t, "a packet from 127.0.0.1", |ip| ip.source = Ipv4Addr::LOCALHOST).await
}

async fn src_group(t: &mut Trial) -> Flow {
    let group = Ipv4Addr::new(224, 0, 0, 1);
    for (source, what) in [
        (t.address(255), "the network's broadcast address"),
        (Ipv4Addr::BROADCAST, "everybody"),
        (group, "a group"),
    ] {
        silent_on(t, &format!("a packet from {what}, {source}"), |ip| ip.source = source).await?;
    }
    Ok(())
}

async fn src_own_or_zero(t: &mut Trial) -> Flow {
    silent_on(t, "a packet from 0.0.0.0", |ip| ip.source = Ipv4Addr::UNSPECIFIED).await?;
    let own = t.identity().device_ip;
    let echo = t.echo(8).ip(|ip| ip.source = own);
    let seen = t.exchange(&echo.frame()).await?;
    // What has no neighbour of its own address asks for it; what has learned one answers there.
    let asks = |seen: &Seen| seen.arp().is_some_and(|arp| arp.tpa == own);
    t.none_at(
        Should,
        &seen,
        format!("nothing comes of a packet from its own address, {own}"),
        |seen| is_reaction(seen) || asks(seen),
    );
    Ok(())
}

async fn flags_reserved_df(t: &mut Trial) -> Flow {
    let echo = t.echo(8).ip(|ip| ip.flags = 2);
    t.answered(&echo, "an echo request with DF").await?;
    let echo = t.echo(8).ip(|ip| ip.flags = 4);
    let seen = t.exchange(&echo.frame()).await?;
    t.none(&seen, "the reserved flag is clear in what comes back", |seen| {
        seen.ip().is_some_and(|ip| ip.flags & 4 != 0)
    });
    let answered = seen.iter().any(|seen| echo.is_answered_by(seen));
    t.remark(format!(
        "a request with the reserved flag is {}",
        if answered { "answered" } else { "dropped" }
    ));
    Ok(())
}

async fn tos_echoed(t: &mut Trial) -> Flow {
    const EXPEDITED: u8 = 46 << 2;
    let echo = t.echo(8).ip(|ip| ip.tos = EXPEDITED);
    let reply = t.answered(&echo, "an echo request with DSCP 46").await?;
    if let Some((reply, tos)) = reply.as_ref().and_then(|reply| Some((reply, reply.ip()?.tos))) {
        let mut fields = Vec::new();
        compare(&mut fields, "ip.dscp", EXPEDITED >> 2, tos >> 2);
        t.check_frame(Should, reply, "the request's type of service", fields);
    }
    Ok(())
}

/// An address that is nowhere near.
pub(super) const FAR: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);

async fn off_subnet(t: &mut Trial) -> Flow {
    let echo = t.echo(8).ip(|ip| ip.source = FAR);
    let seen = t.exchange(&echo.frame()).await?;
    let asks = |seen: &Seen| seen.arp().is_some_and(|arp| arp.tpa == FAR);
    t.none(&seen, format!("no question who has {FAR}, which is not on this network"), asks);
    if !seen.iter().any(|seen| echo.is_answered_by(seen) || asks(seen)) {
        return Err(Halt::Inconclusive("nothing came: the device has no gateway".to_owned()));
    }
    let reply = t.reply_among(&echo, &seen, format!("an echo request from {FAR}"));
    if let Some(reply) = reply {
        let mut fields = Vec::new();
        compare(&mut fields, "eth.dst", Some(t.identity().host_mac), reply.destination());
        t.check_frame(Must, &reply, "the reply goes to the gateway", fields);
    }
    Ok(())
}

async fn id_field(t: &mut Trial) -> Flow {
    let mut ids = Vec::new();
    for size in [8, 600, 600] {
        let size = t.capped(size);
        let echo = t.echo(size).ip(|ip| ip.flags = 0);
        let reply = t.answered(&echo, "an echo request").await?;
        let ip = reply.as_ref().and_then(|reply| reply.ip());
        // A packet that must not be fragmented needs no identification (RFC 6864 section 4.1).
        ids.extend(ip.filter(|ip| ip.flags & 2 == 0).map(|ip| ip.id));
    }
    if ids.len() < 2 {
        t.remark("it sends everything with DF: no identification is needed");
    }
    let mut different = ids.clone();
    different.sort_unstable();
    different.dedup();
    t.must(different.len() == ids.len(), "identifications that differ", format!("{ids:04x?}"));
    Ok(())
}
