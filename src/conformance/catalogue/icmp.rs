//! ICMP: echo, errors and when not to send them, and what nobody should answer any more.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::super::model::Owner::{Driver, Stack};
use super::super::model::Severity::{May, Must, Should};
use super::super::model::Tier::{Core, Extended, Smoke};
use super::super::model::{Flow, Group, Mismatch, Test};
use super::super::seen::Seen;
use super::super::stimulus::{ArpFrame, Datagram, ECHO_HEADERS, icmp_frame};
use super::super::trial::{Trial, compare, is_reaction, said};
use super::ipv4::FAR;
use super::row;
use crate::craft::layers::Checksum;
use crate::proto::{MacAddr, be32, icmp};

const TIMESTAMP: u8 = 13;
const TIMESTAMP_REPLY: u8 = 14;
const INFORMATION: u8 = 15;
const INFORMATION_REPLY: u8 = 16;
const MASK: u8 = 17;
const MASK_REPLY: u8 = 18;

/// The group.
#[rustfmt::skip]
pub static ICMP: Group = Group {
    name: "icmp",
    title: "ICMP",
    parts: &[&[
        Test::new(row(("ICM-01", "icmp.echo-basic"), (Must, Smoke, Stack), "RFC 792; RFC 1122 §3.2.2.6",
            "An echo request is answered once, with its identifier, sequence number and data."),
            |t| Box::pin(echo_basic(t))),
        Test::new(row(("ICM-02", "icmp.echo-sizes"), (Must, Smoke, Stack), "RFC 1122 §3.2.2.6, §3.3.2",
            "Echo requests of every size that the line carries are answered whole."),
            |t| Box::pin(echo_sizes(t))),
        Test::new(row(("ICM-03", "icmp.echo-patterns"), (Must, Core, Driver), "RFC 1122 §3.2.2.6; docs/line.md#framing",
            "Whatever the bytes of the data are, they come back as they went: no byte means anything to the line."),
            |t| Box::pin(echo_patterns(t))),
        Test::new(row(("ICM-04", "icmp.echo-checksum-bad"), (Must, Smoke, Stack), "RFC 792; docs/line.md#receivers R11",
            "An echo request whose checksum is wrong is not answered."),
            |t| Box::pin(echo_checksum_bad(t))),
        Test::new(row(("ICM-05", "icmp.echo-truncated"), (Must, Core, Stack), "docs/line.md#receivers R5",
            "A message too short to be an echo request is passed over and does no harm."),
            |t| Box::pin(echo_truncated(t))),
        Test::new(row(("ICM-06", "icmp.echo-code"), (May, Extended, Stack), "RFC 792",
            "An echo request with a code other than 0 is answered or ignored."),
            |t| Box::pin(echo_code(t))),
        Test::new(row(("ICM-07", "icmp.unknown-type"), (Must, Core, Stack), "RFC 1122 §3.2.2",
            "A message of an unknown type is discarded in silence."),
            |t| Box::pin(unknown_type(t))),
        Test::new(row(("ICM-08", "icmp.echo-broadcast"), (May, Core, Stack), "RFC 1122 §3.2.2.6",
            "An echo request to many is answered from the device's own address, or not at all."),
            |t| Box::pin(echo_broadcast(t))),
        Test::new(row(("ICM-09", "icmp.port-unreachable-quote"), (Should, Smoke, Stack), "RFC 1122 §3.2.2, §3.2.2.1, §4.1.3.1",
            "A datagram for a closed port brings Port Unreachable, which quotes its header and 8 bytes unchanged."),
            |t| Box::pin(port_unreachable_quote(t))),
        Test::new(row(("ICM-10", "icmp.protocol-unreachable"), (Should, Core, Stack), "RFC 1122 §3.2.2.1",
            "A packet of an unknown protocol brings Protocol Unreachable, or nothing."),
            |t| Box::pin(protocol_unreachable(t))),
        Test::new(row(("ICM-11", "icmp.no-error-for-group"), (Must, Core, Stack), "RFC 1122 §3.2.2",
            "No error is sent for a packet that went to many."),
            |t| Box::pin(no_error_for_group(t))),
        Test::new(row(("ICM-12", "icmp.no-error-for-error"), (Must, Core, Stack), "RFC 1122 §3.2.2",
            "No error is sent for an error."),
            |t| Box::pin(no_error_for_error(t))),
        Test::new(row(("ICM-13", "icmp.no-error-for-fragment"), (Must, Core, Stack), "RFC 1122 §3.2.2",
            "No error is sent for a fragment that is not the first."),
            |t| Box::pin(no_error_for_fragment(t))),
        Test::new(row(("ICM-14", "icmp.error-rate"), (May, Extended, Stack), "RFC 1812 §4.3.2.8, by analogy",
            "Many errors at once, limited or not, do not keep the device from answering."),
            |t| Box::pin(error_rate(t))).last(),
        Test::new(row(("ICM-15", "icmp.query-types"), (Must, Extended, Stack), "RFC 1122 §3.2.2.7 to §3.2.2.9; RFC 6918",
            "Masks and information are not given away; a timestamp may be, and then as it should be."),
            |t| Box::pin(query_types(t))),
        Test::new(row(("ICM-16", "icmp.redirect"), (Should, Extended, Stack), "RFC 1122 §3.2.2.2",
            "A redirect from a stranger, or to somewhere that is not on this network, does not change the way out."),
            |t| Box::pin(redirect(t))).last(),
        Test::new(row(("ICM-17", "icmp.unsolicited-reply"), (Must, Extended, Stack), "RFC 1122 §3.2.2.6",
            "An echo reply that nobody asked for is not answered."),
            |t| Box::pin(unsolicited_reply(t))),
    ]],
};

async fn echo_basic(t: &mut Trial) -> Flow {
    let echo = t.echo(5).icmp(|icmp| icmp.rest = [0xbe, 0xef, 0x12, 0x34]);
    t.answered(&echo, "an echo request with id 0xbeef and sequence number 0x1234").await.map(|_| ())
}

async fn echo_sizes(t: &mut Trial) -> Flow {
    let most = t.rig.target.max_frame - ECHO_HEADERS;
    let mut sizes = vec![0, 1, 8, 56, 100, 575, 576, 1000, most - 1, most];
    if t.rig.is_thorough {
        sizes = (0..=most).collect();
    }
    let limit = t.capped(most);
    if limit < most {
        t.remark(format!("sizes beyond {limit} are left out: link.max-frame tells why"));
    }
    sizes.retain(|size| *size <= limit);
    let before = t.failure_count();
    for size in sizes {
        let echo = t.echo(size);
        t.answered(&echo, format!("an echo request with {size} bytes of data")).await?;
        if t.failure_count() > before + 2 {
            break;
        }
        if t.outages >= MOST_OUTAGES {
            t.remark(format!(
                "the rest is left out: pings are lost again and again, the last at {size}"
            ));
            break;
        }
    }
    Ok(())
}

/// Outages after which a long test ends.
const MOST_OUTAGES: u32 = 20;

async fn echo_patterns(t: &mut Trial) -> Flow {
    let repeated =
        |pattern: &[u8]| -> Vec<u8> { pattern.iter().copied().cycle().take(200).collect() };
    let rising: Vec<u8> = (0..=255).collect();
    for pattern in
        [&[0x00][..], &[0xff], &[0x55], &[0xaa], &rising, &[0x7e], &[0xc0, 0xdb], b"\r\n"]
    {
        let size = t.capped(200);
        let echo = t.echo(0).data(repeated(pattern)[..size].to_vec());
        let shown: Vec<_> = pattern.iter().take(2).map(|byte| format!("{byte:02x}")).collect();
        let what = format!(
            "200 bytes of {}{}",
            shown.join(" "),
            if pattern.len() > 2 { " ..." } else { "" }
        );
        t.answered(&echo, what).await?;
    }
    Ok(())
}

async fn echo_checksum_bad(t: &mut Trial) -> Flow {
    let echo = t.echo(8).icmp(|icmp| icmp.checksum = Checksum::Wrong);
    t.silent(&echo.frame(), "an echo request whose checksum is wrong").await.map(|_| ())
}

async fn echo_truncated(t: &mut Trial) -> Flow {
    let (eth, ip) = (t.eth(0x0800), t.ip(1));
    let frame = eth.frame(&ip.packet(&[icmp::ECHO_REQUEST, 0, 0xf7, 0xff]));
    t.silent(&frame, "an echo request of 4 bytes").await.map(|_| ())
}

async fn echo_code(t: &mut Trial) -> Flow {
    let echo = t.echo(8).icmp(|icmp| icmp.code = 5);
    let seen = t.exchange(&echo.frame()).await?;
    let answered = seen.iter().any(|seen| echo.is_answered_by(seen));
    t.remark(format!(
        "an echo request with code 5 is {}",
        if answered { "answered" } else { "ignored" }
    ));
    t.none(&seen, "an echo reply or nothing", |seen| {
        is_reaction(seen) && !echo.is_answered_by(seen)
    });
    Ok(())
}

async fn unknown_type(t: &mut Trial) -> Flow {
    let echo = t.echo(8).icmp(|icmp| icmp.kind = 77); // unassigned, unlike 42 (RFC 8335)
    t.silent(&echo.frame(), "an ICMP message of type 77").await.map(|_| ())
}

/// The Ethernet address for a group.
fn group_mac(ip: Ipv4Addr) -> MacAddr {
    match ip.octets() {
        [224..=239, b, c, d] if ip.is_multicast() => MacAddr(1, 0, 0x5e, b & 0x7f, c, d),
        _ => MacAddr::broadcast(),
    }
}

async fn echo_broadcast(t: &mut Trial) -> Flow {
    let own = t.identity().device_ip;
    for to in [t.address(255), Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)] {
        let echo =
            t.echo(8).ip(|ip| ip.destination = to).eth(|eth| eth.destination = group_mac(to));
        let seen = t.exchange(&echo.frame()).await?;
        let expected = format!("an echo request to {to} is answered from {own} or not at all");
        t.none_at(Must, &seen, expected, |seen| {
            is_reaction(seen) && seen.ip().is_none_or(|ip| ip.source != own)
        });
        let answers = seen.iter().filter(|seen| echo.is_answered_by(seen)).count();
        let expected = format!("an echo request to {to} is answered once at most");
        t.must(answers <= 1, expected, format!("{answers} replies came"));
        t.remark(format!("{to}: {}", if answers > 0 { "answered" } else { "silent" }));
    }
    Ok(())
}

/// How long a host that sends few errors may need until it sends another.
const ERROR_PAUSE: Duration = Duration::from_secs(2);

/// Whether a frame is an ICMP error of that code for `packet`, and what of its quotation is wrong.
pub(super) fn quoted(seen: &Seen, packet: &[u8]) -> Vec<Mismatch> {
    let mut fields = Vec::new();
    let data = seen.icmp().map(|icmp| icmp.data.to_vec()).unwrap_or_default();
    let header = usize::from(packet[0] & 15) * 4;
    let least = (header + 8).min(packet.len());
    compare(&mut fields, "bytes quoted, at least the header and 8", true, data.len() >= least);
    let differing = packet.iter().zip(&data).position(|(a, b)| a != b);
    if let Some(at) = differing {
        fields.push(Mismatch {
            field: if at < header { "quoted IP header" } else { "quoted data" },
            expected: format!("byte {at} is {:02x}", packet[at]),
            received: format!("{:02x}", data[at]),
        });
    }
    fields
}

/// A datagram for a closed port, and the Port Unreachable that it brings.
pub(super) async fn port_unreachable(t: &mut Trial) -> Flow<(Datagram, Option<Seen>)> {
    let is_error = |seen: &Seen| {
        seen.icmp().is_some_and(|icmp| (icmp.kind, icmp.code) == (icmp::UNREACHABLE, 3))
    };
    let mut datagram = t.datagram_to_nobody();
    let mut seen = t.exchange(&datagram.frame()).await?;
    if !seen.iter().any(is_error) {
        t.listen(ERROR_PAUSE).await?; // errors are rationed, and others may have had theirs
        datagram = t.datagram_to_nobody();
        seen = t.exchange(&datagram.frame()).await?;
    }
    let error = seen.into_iter().find(is_error);
    let expected = format!("Port Unreachable for UDP port {}", datagram.udp.destination);
    t.check(Should, error.is_some(), expected, "nothing came");
    Ok((datagram, error))
}

async fn port_unreachable_quote(t: &mut Trial) -> Flow {
    let (datagram, error) = port_unreachable(t).await?;
    if let Some(error) = error {
        let fields = quoted(&error, &datagram.packet());
        t.check_frame(Must, &error, "the datagram's header and 8 bytes, unchanged", fields);
        let mut fields = Vec::new();
        compare(&mut fields, "ip.tos", Some(0), error.ip().map(|ip| ip.tos));
        t.check_frame(Should, &error, "an error of the ordinary type of service", fields);
    }
    Ok(())
}

async fn protocol_unreachable(t: &mut Trial) -> Flow {
    // 253 is for experiments (RFC 3692), so that somebody may want it.
    for (protocol, severity) in [(200, Should), (253, May)] {
        let (eth, ip) = (t.eth(0x0800), t.ip(protocol));
        let packet = ip.packet(&[0x33; 16]);
        let seen = t.exchange(&eth.frame(&packet)).await?;
        let is_error =
            |seen: &Seen| seen.icmp().is_some_and(|icmp| (icmp.kind, icmp.code) == (3, 2));
        let other = seen.iter().find(|seen| is_reaction(seen) && !is_error(seen));
        let expected = format!("Protocol Unreachable for protocol {protocol}, or nothing");
        let actual = other.map_or("nothing else came".to_owned(), said);
        t.check(severity, other.is_none(), expected, actual);
        match seen.iter().find(|seen| is_error(seen)) {
            Some(error) => {
                let fields = quoted(error, &packet);
                t.check_frame(
                    severity,
                    error,
                    "the packet's header and 8 bytes, unchanged",
                    fields,
                );
            }
            None => t.remark(format!("silent on protocol {protocol}")),
        }
    }
    Ok(())
}

async fn no_error_for_group(t: &mut Trial) -> Flow {
    let own = t.identity().device_ip;
    for to in [t.address(255), Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1), own] {
        let mut datagram = t.datagram_to_nobody();
        datagram.ip.destination = to;
        datagram.eth.destination = group_mac(to);
        let what = match to == own {
            true => {
                "a datagram for a closed port of the device alone, in a frame to all".to_owned()
            }
            false => format!("a datagram for a closed port at {to}"),
        };
        t.silent(&datagram.frame(), what).await?;
    }
    let mut datagram = t.datagram_to_nobody();
    datagram.ip.source = Ipv4Addr::UNSPECIFIED;
    t.silent(&datagram.frame(), "a datagram for a closed port from 0.0.0.0").await.map(|_| ())
}

async fn no_error_for_error(t: &mut Trial) -> Flow {
    // An error for a datagram that the device never sent.
    let mut inner = t.datagram(1, b"nobody's");
    std::mem::swap(&mut inner.ip.source, &mut inner.ip.destination);
    std::mem::swap(&mut inner.udp.source, &mut inner.udp.destination);
    let (eth, ip) = (t.eth(0x0800), t.ip(1));
    let frame = icmp_frame(eth, &ip, icmp::UNREACHABLE, 3, [0; 4], &inner.packet());
    t.silent(&frame, "an ICMP error that belongs to nobody").await.map(|_| ())
}

async fn no_error_for_fragment(t: &mut Trial) -> Flow {
    let mut datagram = t.datagram_to_nobody();
    datagram.ip.offset = 5;
    t.silent(&datagram.frame(), "a fragment at offset 40 for a closed port").await.map(|_| ())
}

async fn error_rate(t: &mut Trial) -> Flow {
    const DATAGRAMS: usize = 30;
    for _ in 0..DATAGRAMS {
        let datagram = t.datagram_to_nobody();
        t.send(&datagram.frame()).await?;
    }
    let seen = t.settle().await?;
    let errors = seen.iter().filter(|seen| seen.is_icmp(icmp::UNREACHABLE)).count();
    t.remark(format!("{errors} errors for {DATAGRAMS} datagrams"));
    Ok(())
}

async fn query_types(t: &mut Trial) -> Flow {
    for (kind, reply, severity, what) in [
        (MASK, MASK_REPLY, Must, "an address mask request"),
        (INFORMATION, INFORMATION_REPLY, Should, "an information request"),
    ] {
        let (eth, ip) = (t.eth(0x0800), t.ip(1));
        let frame = icmp_frame(eth, &ip, kind, 0, [0x11, 0x22, 0, 1], &[0; 4]);
        let seen = t.exchange(&frame).await?;
        let answered = seen.iter().any(|seen| seen.is_icmp(reply));
        t.check(severity, !answered, format!("no reply to {what}"), "it was answered");
    }
    let (eth, ip) = (t.eth(0x0800), t.ip(1));
    let originate = [1, 2, 3, 4];
    let data = [originate, [0; 4], [0; 4]].concat();
    let frame = icmp_frame(eth, &ip, TIMESTAMP, 0, [0x11, 0x23, 0, 1], &data);
    let seen = t.exchange(&frame).await?;
    match seen.iter().find(|seen| seen.is_icmp(TIMESTAMP_REPLY)) {
        None => t.remark("timestamps are not answered"),
        Some(reply) => {
            let mut fields = Vec::new();
            let message = reply.icmp();
            compare(
                &mut fields,
                "ip.src",
                Some(t.identity().device_ip),
                reply.ip().map(|ip| ip.source),
            );
            compare(&mut fields, "icmp.rest", Some([0x11, 0x23, 0, 1]), message.map(|m| m.rest));
            compare(
                &mut fields,
                "icmp.originate",
                Some(0x0102_0304),
                message.and_then(|m| be32(m.data, 0)),
            );
            compare(&mut fields, "icmp.data.len", Some(12), message.map(|m| m.data.len()));
            t.check_frame(Must, reply, "a timestamp reply as it should be", fields);
            const DAY_MS: u32 = 86_400_000;
            let stamps =
                [4, 8].map(|at| message.and_then(|m| be32(m.data, at)).unwrap_or_default());
            let good = stamps.iter().all(|stamp| stamp & 1 << 31 != 0 || *stamp < DAY_MS);
            t.check(
                Should,
                good,
                "times of the day, or marked as something else",
                format!("{stamps:?}"),
            );
        }
    }
    Ok(())
}

/// A redirect for what goes to [`FAR`], to another gateway.
fn redirect_frame(t: &mut Trial, (from, mac): (Ipv4Addr, MacAddr), to: Ipv4Addr) -> Vec<u8> {
    let mut quoted = t.echo(8);
    (quoted.ip.source, quoted.ip.destination) = (t.identity().device_ip, FAR);
    let quoted = quoted.ip.packet(&quoted.icmp.message());
    let (mut eth, mut ip) = (t.eth(0x0800), t.ip(1));
    (eth.source, ip.source) = (mac, from);
    icmp_frame(eth, &ip, REDIRECT, 1, to.octets(), &quoted[..28])
}

const REDIRECT: u8 = 5;

async fn redirect(t: &mut Trial) -> Flow {
    let host = (t.identity().host_ip, t.identity().host_mac);
    let stranger = t.neighbour();
    let other = (t.address(66), MacAddr(2, 0, 0, 0, 1, 66));
    for (from, to, what) in [
        (stranger, other.0, "a redirect from a stranger"),
        (host, Ipv4Addr::new(10, 9, 9, 9), "a redirect to an address that is not on this network"),
    ] {
        let frame = redirect_frame(t, from, to);
        t.exchange(&frame).await?;
        let echo = t.echo(8).ip(|ip| ip.source = FAR);
        let reply = t.answered(&echo, format!("an echo request from {FAR} after {what}")).await?;
        if let Some(reply) = reply {
            let mut fields = Vec::new();
            compare(&mut fields, "eth.dst", Some(host.1), reply.destination());
            t.check_frame(Should, &reply, "the reply still goes to the gateway", fields);
        }
    }
    valid_redirect(t, host, other).await
}

/// A redirect that a host has to follow, and most small ones do not: reported, and taken back.
async fn valid_redirect(
    t: &mut Trial,
    host: (Ipv4Addr, MacAddr),
    other: (Ipv4Addr, MacAddr),
) -> Flow {
    let frame = redirect_frame(t, host, other.0);
    t.exchange(&frame).await?;
    let echo = t.echo(8).ip(|ip| ip.source = FAR);
    let seen = t.exchange(&echo.frame()).await?;
    let asks = |seen: &Seen| seen.arp().is_some_and(|arp| arp.tpa == other.0);
    let followed = seen.iter().any(|seen| asks(seen) || seen.destination() == Some(other.1));
    t.remark(format!(
        "a redirect from the gateway is {}",
        if followed { "followed" } else { "ignored" }
    ));
    if followed {
        let id = t.identity();
        let here = ArpFrame::reply(other.1, other.0, id.device_mac, id.device_ip);
        t.exchange(&here.frame()).await?;
        let back = redirect_frame(t, other, host.0);
        t.exchange(&back).await?;
    }
    Ok(())
}

async fn unsolicited_reply(t: &mut Trial) -> Flow {
    let echo = t.echo(8).icmp(|icmp| icmp.kind = icmp::ECHO_REPLY);
    t.silent(&echo.frame(), "an echo reply that nobody asked for").await.map(|_| ())
}
