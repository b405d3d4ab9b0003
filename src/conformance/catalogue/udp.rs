//! UDP: what comes back from ports that are served, and from those that are not.

use super::super::model::Owner::Stack;
use super::super::model::Severity::{May, Must, Should};
use super::super::model::Tier::{Core, Extended, Smoke};
use super::super::model::{Flow, Group, Test};
use super::super::rig::Capability::UdpEcho;
use super::super::seen::Seen;
use super::super::stimulus::{Datagram, ECHO_HEADERS};
use super::super::trial::{ANSWER, Trial, compare, is_reaction};
use super::icmp::port_unreachable;
use super::row;
use crate::craft::layers::Checksum;
use crate::proto::icmp;

/// The group.
#[rustfmt::skip]
pub static UDP: Group = Group {
    name: "udp",
    title: "UDP",
    parts: &[&[
        Test::new(row(("UDP-01", "udp.closed-port"), (Should, Smoke, Stack), "RFC 1122 §4.1.3.1",
            "A datagram for a port on which nobody listens brings Port Unreachable."),
            |t| Box::pin(closed_port(t))),
        Test::script(row(("UDP-02", "udp.closed-port-bad-checksum"), (Must, Core, Stack), "RFC 1122 §4.1.3.4",
            "A datagram for a closed port whose checksum is wrong is discarded in silence."), r#"
send    udp closed cksum=bad data="is anybody there?"
silent
"#),
        Test::script(row(("UDP-03", "udp.header-truncated"), (Must, Core, Stack), "RFC 768; docs/line.md#receivers R5",
            "A packet too short for a UDP header is passed over and does no harm."), "
send    ip proto=17 raw=9c409c49
silent
ping
"),
        Test::new(row(("UDP-04", "udp.port-zero"), (May, Extended, Stack), "RFC 768",
            "A datagram to port 0, or from it to a closed port, brings Port Unreachable or nothing."),
            |t| Box::pin(port_zero(t))),
        Test::script(row(("UDP-05", "udp.source-group"), (Must, Core, Stack), "RFC 1122 §4.1.3.6",
            "A datagram from a broadcast or group address is discarded in silence."), r#"
send    udp closed ip.src=net.255 data="is anybody there?"
silent
send    udp echo   ip.src=net.255 data="is anybody there?"        via echo
silent
send    udp closed ip.src=224.0.0.1 data="is anybody there?"      via group
silent
"#),
        Test::new(row(("UDP-06", "udp.echo-roundtrip"), (Must, Core, Stack), "RFC 768; RFC 862",
            "Datagrams of every size come to their service and back unchanged, also without data."),
            |t| Box::pin(echo_roundtrip(t))).needs(UdpEcho),
        Test::script(row(("UDP-07", "udp.checksum-zero"), (Must, Core, Stack), "RFC 768; RFC 1122 §4.1.3.4",
            "A datagram without a checksum is accepted."), r#"
send    udp echo cksum=zero data="without a checksum"
expect  udp data="without a checksum" cksum=ok
"#).needs(UdpEcho),
        Test::script(row(("UDP-08", "udp.checksum-bad"), (Must, Core, Stack), "RFC 1122 §4.1.3.4",
            "A datagram whose checksum is wrong is discarded in silence."), r#"
send    udp echo cksum=bad data="with a wrong checksum"
silent
"#).needs(UdpEcho),
        Test::new(row(("UDP-09", "udp.length-lies"), (Must, Core, Stack), "RFC 768; docs/line.md#receivers R5",
            "A datagram that claims to be longer than its packet, or shorter than its header, is discarded."),
            |t| Box::pin(length_lies(t))).needs(UdpEcho),
        Test::script(row(("UDP-10", "udp.length-short"), (Should, Extended, Stack), "RFC 768",
            "Bytes behind the length that a datagram gives are not delivered."), r#"
send    udp echo len=13 cksum=zero data="hello, you"
expect  udp data="hello" cksum=ok
"#).needs(UdpEcho),
    ]],
};

async fn closed_port(t: &mut Trial) -> Flow {
    let (_, error) = port_unreachable(t).await?;
    if let Some(error) = error {
        let mut fields = Vec::new();
        let ip = error.ip();
        compare(&mut fields, "ip.src", Some(t.identity().device_ip), ip.map(|ip| ip.source));
        compare(&mut fields, "ip.dst", Some(t.identity().host_ip), ip.map(|ip| ip.destination));
        compare(&mut fields, "icmp.checksum", Some(true), error.transport_checksum());
        t.check_frame(Must, &error, "Port Unreachable from the device to us", fields);
    }
    Ok(())
}

async fn port_zero(t: &mut Trial) -> Flow {
    let mut from_zero = t.datagram_to_nobody();
    from_zero.udp.source = 0;
    let to_zero = t.datagram(0, b"is anybody there?");
    for (datagram, what) in [(to_zero, "to port 0"), (from_zero, "from port 0")] {
        let seen = t.exchange(&datagram.frame()).await?;
        let is_error = |seen: &Seen| seen.is_icmp(icmp::UNREACHABLE);
        let expected = format!("Port Unreachable or nothing for a datagram {what}");
        t.none(&seen, expected, |seen| is_reaction(seen) && !is_error(seen));
        let came = if seen.iter().any(is_error) { "Unreachable" } else { "silent" };
        t.remark(format!("{what}: {came}"));
    }
    Ok(())
}

async fn echo_roundtrip(t: &mut Trial) -> Flow {
    let echo = t.rig.target.ports.echo;
    let most = t.max_frame().saturating_sub(ECHO_HEADERS); // UDP's header is as long as ICMP's
    for size in [0, 1, 5, most] {
        let data: Vec<_> = (0..size).map(|n| n as u8).collect();
        let datagram = t.datagram(echo, &data);
        t.send(&datagram.frame()).await?;
        t.wait_for(ANSWER, |seen| datagram.is_answered_by(seen)).await?;
        let seen = t.settle().await?;
        judge_echo(t, &datagram, &seen);
    }
    Ok(())
}

/// One datagram came back, as it went.
fn judge_echo(t: &mut Trial, datagram: &Datagram, seen: &[Seen]) {
    let size = datagram.data.len();
    let answers: Vec<_> = seen.iter().filter(|seen| datagram.is_answered_by(seen)).collect();
    let expected = format!("one datagram comes back for one with {size} bytes of data");
    t.must(answers.len() == 1, expected, format!("{} came", answers.len()));
    let Some(answer) = answers.first() else { return };
    let mut fields = Vec::new();
    let received = answer.udp().map(|udp| udp.data).unwrap_or_default();
    compare(&mut fields, "udp.data.len", size, received.len());
    compare(&mut fields, "udp.data", true, received == datagram.data);
    compare(&mut fields, "udp.checksum wrong", false, answer.transport_checksum() == Some(false));
    t.check_frame(Must, answer, format!("the {size} bytes that were sent"), fields);
}

async fn length_lies(t: &mut Trial) -> Flow {
    // Without a checksum, which would be wrong over any other length.
    for (length, what) in
        [(200, "of 200 in a packet of 13 bytes"), (4, "of 4, less than its header")]
    {
        let mut datagram = t.datagram(t.rig.target.ports.echo, b"hello");
        (datagram.udp.length, datagram.udp.checksum) = (Some(length), Checksum::Exact(0));
        let seen = t.exchange(&datagram.frame()).await?;
        let expected = format!("nothing, or Parameter Problem, for a length {what}");
        t.none(&seen, expected, |seen| is_reaction(seen) && !seen.is_icmp(12));
    }
    Ok(())
}
