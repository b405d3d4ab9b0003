//! ARP: answering, asking, and a static entry that nobody can talk the device out of.

use std::time::Duration;

use super::super::model::Owner::{Driver, Stack};
use super::super::model::Severity::{May, Must, Should};
use super::super::model::Tier::{Core, Extended, Smoke};
use super::super::model::{Flow, Group, Mismatch, Severity, Test};
use super::super::seen::Seen;
use super::super::stimulus::ArpFrame;
use super::super::trial::{ANSWER, Trial, compare, is_reaction, said};
use super::row;
use crate::craft::layers::Arp;
use crate::proto::{MacAddr, arp};
use std::net::Ipv4Addr;

/// The group.
#[rustfmt::skip]
pub static ARP: Group = Group {
    name: "arp",
    title: "ARP",
    parts: &[&[
        Test::new(row(("ARP-01", "arp.request-broadcast"), (Must, Smoke, Stack), "RFC 826; RFC 5227 §2.6",
            "A question for the device's address gets one reply, to the asker alone, that says where the device is."),
            |t| Box::pin(request_broadcast(t))),
        Test::new(row(("ARP-02", "arp.request-unicast"), (Must, Core, Stack), "RFC 826",
            "A question that is sent to the device alone is answered as well."),
            |t| Box::pin(request_unicast(t))),
        Test::new(row(("ARP-03", "arp.request-padded"), (Must, Core, Stack), "RFC 826; RFC 894",
            "A question that is padded to 60 bytes is answered."),
            |t| Box::pin(request_padded(t))),
        Test::new(row(("ARP-04", "arp.request-other-target"), (Must, Smoke, Stack), "RFC 826",
            "A question for another address is not answered."),
            |t| Box::pin(request_other_target(t))),
        Test::new(row(("ARP-05", "arp.bad-hw-proto-len"), (Must, Core, Stack), "RFC 826",
            "Messages for other hardware or protocols, or with other address lengths, are passed over."),
            |t| Box::pin(bad_hw_proto_len(t))),
        Test::new(row(("ARP-06", "arp.bad-opcode"), (Must, Core, Stack), "RFC 826",
            "Messages that neither ask nor answer are not answered."),
            |t| Box::pin(bad_opcode(t))),
        Test::new(row(("ARP-07", "arp.truncated"), (Must, Core, Stack), "docs/line.md#receivers R5",
            "A message cut short is passed over and does no harm."),
            |t| Box::pin(truncated(t))),
        Test::new(row(("ARP-08", "arp.static-survives-reply"), (Must, Smoke, Driver), "docs/line.md#receivers R14; docs/line.md#addresses",
            "A reply that nobody asked for does not replace the static entry for the host."),
            |t| Box::pin(static_survives_reply(t))),
        Test::new(row(("ARP-09", "arp.static-survives-gratuitous"), (Must, Core, Driver), "docs/line.md#receivers R14; docs/line.md#addresses",
            "An announcement by somebody else does not replace the static entry for the host."),
            |t| Box::pin(static_survives_gratuitous(t))),
        Test::new(row(("ARP-10", "arp.no-arp-for-host"), (Should, Core, Driver), "docs/line.md#receivers R14; docs/line.md#addresses",
            "The device never asks where the host is: it has a static entry."),
            |t| Box::pin(no_arp_for_host(t))).last(),
        Test::new(row(("ARP-11", "arp.resolve-neighbour"), (Must, Core, Stack), "RFC 1122 §2.3.3, §2.3.2.2",
            "To answer a neighbour whom it does not know the device asks, and then answers where it is told to."),
            |t| Box::pin(resolve_neighbour(t))),
        Test::new(row(("ARP-12", "arp.resolve-rate"), (Must, Extended, Stack), "RFC 1122 §2.3.2.1",
            "A neighbour who does not answer is asked for at most twice a second, and should be at most once."),
            |t| Box::pin(resolve_rate(t))),
        Test::new(row(("ARP-13", "arp.probe-zero-spa"), (Must, Core, Stack), "RFC 5227 §2.5; RFC 826",
            "A probe for the device's address, which comes from 0.0.0.0, is answered."),
            |t| Box::pin(probe_zero_spa(t))),
        Test::new(row(("ARP-14", "arp.conflict"), (May, Extended, Stack), "RFC 5227 §2.4",
            "The device keeps its address when somebody else announces it; it may defend it."),
            |t| Box::pin(conflict(t))),
        Test::new(row(("ARP-15", "arp.sender-group-mac"), (Should, Extended, Stack), "RFC 1812 §3.3.2, by analogy",
            "A question whose sender claims a group's address is neither answered to the group nor remembered."),
            |t| Box::pin(sender_group_mac(t))),
        Test::new(row(("ARP-16", "arp.table-pressure"), (Must, Extended, Stack), "RFC 826; docs/line.md#receivers R14",
            "Sixty-four neighbours are answered, and the static entry stays."),
            |t| Box::pin(table_pressure(t))).last(),
    ]],
};

/// A question from us for the device.
fn question(t: &Trial) -> ArpFrame {
    let id = t.identity();
    ArpFrame::request(id.host_mac, id.host_ip, id.device_ip)
}

fn arp_replies(seen: &[Seen]) -> Vec<&Seen> {
    let is_arp = |seen: &&Seen| seen.kind() == Some(0x0806) && is_arp_answer(seen);
    seen.iter().filter(is_arp).collect()
}

/// Anything by ARP but a question of the device's own; a reply under a wrong opcode is one, too.
fn is_arp_answer(seen: &Seen) -> bool {
    seen.arp().is_none_or(|message| {
        message.op != arp::REQUEST || !seen.destination().is_some_and(|mac| mac.is_multicast())
    })
}

/// Sends a question that has to be answered, and checks the answer.
async fn answered(t: &mut Trial, frame: &[u8], asked: &Arp, how: &str) -> Flow {
    let seen = t.exchange(frame).await?;
    let replies = arp_replies(&seen);
    let count = format!("{} came", replies.len());
    t.must(replies.len() == 1, format!("one ARP reply to a question {how}"), count);
    if let Some(reply) = replies.first() {
        let fields = differences(t, reply, asked);
        t.check_frame(Must, reply, format!("the reply to a question {how}"), fields);
        let mut fields = Vec::new();
        compare(&mut fields, "eth.dst", Some(asked.sha), reply.destination());
        t.check_frame(Should, reply, "the reply goes to the asker alone", fields);
    }
    Ok(())
}

fn differences(t: &Trial, reply: &Seen, asked: &Arp) -> Vec<Mismatch> {
    let id = t.identity();
    let mut fields = Vec::new();
    let Some(message) = reply.arp() else {
        compare(&mut fields, "arp", "IPv4 over Ethernet", "something else");
        return fields;
    };
    compare(&mut fields, "eth.src", Some(id.device_mac), reply.source());
    compare(&mut fields, "arp.op", arp::REPLY, message.op);
    compare(&mut fields, "arp.sha", id.device_mac, MacAddr::from(message.sha));
    compare(&mut fields, "arp.spa", id.device_ip, message.spa);
    compare(&mut fields, "arp.tha", asked.sha, MacAddr::from(message.tha));
    compare(&mut fields, "arp.tpa", asked.spa, message.tpa);
    fields
}

async fn request_broadcast(t: &mut Trial) -> Flow {
    let asked = question(t);
    answered(t, &asked.frame(), &asked.arp, "to everybody").await
}

async fn request_unicast(t: &mut Trial) -> Flow {
    let asked = question(t).to(t.identity().device_mac);
    answered(t, &asked.frame(), &asked.arp, "to the device alone").await
}

async fn request_padded(t: &mut Trial) -> Flow {
    let asked = question(t);
    let mut frame = asked.frame();
    frame.resize(60, 0);
    answered(t, &frame, &asked.arp, "padded to 60 bytes").await
}

async fn request_other_target(t: &mut Trial) -> Flow {
    let other = t.address(77);
    let asked = question(t).arp(|arp| arp.tpa = other);
    t.silent(&asked.frame(), format!("a question for {other}")).await.map(|_| ())
}

async fn bad_hw_proto_len(t: &mut Trial) -> Flow {
    type Change = fn(&mut Arp);
    let vectors: [(Severity, &str, Change); 4] = [
        (Must, "hardware type 15, Frame Relay", |arp| arp.hardware = 15),
        (Must, "protocol type 0x86dd", |arp| arp.protocol = 0x86dd),
        (Should, "hardware addresses of 5 bytes", |arp| arp.hardware_length = 5),
        (Should, "protocol addresses of 16 bytes", |arp| arp.protocol_length = 16),
    ];
    for (severity, what, change) in vectors {
        let asked = question(t).arp(change);
        let seen = t.exchange(&asked.frame()).await?;
        let answer = seen.iter().find(|seen| is_reaction(seen));
        let actual = answer.map_or("none came".to_owned(), said);
        t.check(severity, answer.is_none(), format!("no answer to a question with {what}"), actual);
    }
    Ok(())
}

async fn bad_opcode(t: &mut Trial) -> Flow {
    for op in [0, 3, 65535] {
        let (ip, mac) = t.neighbour(); // who may be remembered
        let device = t.identity().device_ip;
        let asked = ArpFrame::request(mac, ip, device).arp(|arp| arp.op = op);
        t.silent(&asked.frame(), format!("opcode {op}")).await?;
    }
    Ok(())
}

async fn truncated(t: &mut Trial) -> Flow {
    let whole = question(t).frame();
    t.silent(&whole[..14 + 20], "a question cut to 20 of 28 bytes").await.map(|_| ())
}

/// Whether an echo reply still goes to the address of the static entry after `claim`.
async fn static_entry_survives(t: &mut Trial, claim: &ArpFrame) -> Flow {
    let id = t.identity();
    t.exchange(&claim.frame()).await?;
    let echo = t.echo(16);
    let reply = t.answered(&echo, "an echo request after the claim").await?;
    if let Some(reply) = reply {
        let mut fields = Vec::new();
        compare(&mut fields, "eth.dst", Some(id.host_mac), reply.destination());
        t.check_frame(Must, &reply, "the reply still goes to the static entry's address", fields);
    }
    // A device that believes such claims is told the truth again.
    let mut truth = *claim;
    (truth.eth.source, truth.arp.sha) = (id.host_mac, id.host_mac);
    t.exchange(&truth.frame()).await.map(|_| ())
}

const IMPOSTOR: MacAddr = MacAddr(2, 0, 0, 0, 0, 0x66);

async fn static_survives_reply(t: &mut Trial) -> Flow {
    let id = t.identity();
    let claim = ArpFrame::reply(IMPOSTOR, id.host_ip, id.device_mac, id.device_ip);
    static_entry_survives(t, &claim).await
}

async fn static_survives_gratuitous(t: &mut Trial) -> Flow {
    let id = t.identity();
    let claim = ArpFrame::request(IMPOSTOR, id.host_ip, id.host_ip);
    static_entry_survives(t, &claim).await
}

async fn no_arp_for_host(t: &mut Trial) -> Flow {
    let echo = t.echo(16);
    t.exchange(&echo.frame()).await?;
    let asked = t.rig.invariants.asked_for_host;
    let actual = format!("it has asked {asked} time(s) so far");
    t.should_hold(asked == 0, "the device never asks for the host's address", actual);
    Ok(())
}

fn asks_for(seen: &Seen, ip: Ipv4Addr) -> bool {
    seen.arp().is_some_and(|message| message.op == arp::REQUEST && message.tpa == ip)
}

async fn resolve_neighbour(t: &mut Trial) -> Flow {
    // One that it knows from before, from us or from somebody else, tells nothing; all of them do.
    let mut known = 0;
    let (ip, mac, echo, asked) = loop {
        let (ip, mac) = t.neighbour();
        let first = from(t, ip, mac);
        t.send(&first.frame()).await?;
        let echo = from(t, ip, mac);
        t.send(&echo.frame()).await?;
        let came = |seen: &Seen| asks_for(seen, ip) || first.is_answered_by(seen);
        t.wait_for(ANSWER, came).await?;
        let is_known = t.seen().iter().any(|seen| first.is_answered_by(seen));
        if is_known && known < 3 {
            known += 1;
            t.settle().await?;
            continue;
        }
        break (ip, mac, echo, t.seen().iter().any(|seen| asks_for(seen, ip)));
    };
    if !t.must(asked, format!("the device asks who has {ip}, to answer it"), "it did not") && !asked
    {
        return Ok(());
    }
    let seen = t.take_seen();
    t.none(&seen, "the question goes to everybody", |seen| {
        asks_for(seen, ip) && seen.destination() != Some(MacAddr::broadcast())
    });
    let id = t.identity();
    t.send(&ArpFrame::reply(mac, ip, id.device_mac, id.device_ip).frame()).await?;
    let queued = t.wait_for(ANSWER, |seen| echo.is_answered_by(seen)).await?;
    t.check(
        Should,
        queued,
        "the latest packet that waited for the answer is sent then",
        "it was not",
    );
    t.settle().await?;
    let echo = from(t, ip, mac);
    let reply = t.answered(&echo, format!("an echo request from {ip}")).await?;
    if let Some(reply) = reply {
        let mut fields = Vec::new();
        compare(&mut fields, "eth.dst", Some(mac), reply.destination());
        t.check_frame(Must, &reply, "the reply goes where the neighbour said it is", fields);
    }
    Ok(())
}

/// An echo request from a neighbour.
fn from(t: &mut Trial, ip: Ipv4Addr, mac: MacAddr) -> super::super::stimulus::Echo {
    t.echo(16).eth(|eth| eth.source = mac).ip(|header| header.source = ip)
}

async fn resolve_rate(t: &mut Trial) -> Flow {
    const TIME: u64 = 4;
    let (ip, mac) = t.neighbour();
    for _ in 0..20 {
        let echo = from(t, ip, mac);
        t.send(&echo.frame()).await?;
        t.listen(Duration::from_millis(TIME * 1000 / 20)).await?;
    }
    let seen = t.settle().await?;
    let asked = seen.iter().filter(|seen| asks_for(seen, ip)).count();
    // One at the start, and one for the time of the sentinel.
    for (severity, most) in [(Must, 2 * TIME + 2), (Should, TIME + 2)] {
        let expected = format!("at most {most} questions in {TIME} s");
        t.check(severity, asked as u64 <= most, expected, format!("{asked} came"));
    }
    Ok(())
}

async fn probe_zero_spa(t: &mut Trial) -> Flow {
    let asked = question(t).arp(|arp| arp.spa = Ipv4Addr::UNSPECIFIED);
    answered(t, &asked.frame(), &asked.arp, "from 0.0.0.0").await
}

async fn conflict(t: &mut Trial) -> Flow {
    let id = t.identity();
    let claim = ArpFrame::request(IMPOSTOR, id.device_ip, id.device_ip);
    let mut seen = t.exchange(&claim.frame()).await?;
    seen.extend(t.exchange(&claim.frame()).await?);
    let defends =
        |seen: &&Seen| seen.arp().is_some_and(|m| (m.spa, m.tpa) == (id.device_ip, id.device_ip));
    let defended = seen.iter().filter(defends).count();
    t.remark(if defended > 0 { "it defends its address" } else { "it says nothing" });
    t.check(May, defended <= 1, "at most one defence in 10 s", format!("{defended} came"));
    let echo = t.echo(16);
    t.answered(&echo, "an echo request after the conflict").await.map(|_| ())
}

async fn sender_group_mac(t: &mut Trial) -> Flow {
    let (ip, _) = t.neighbour();
    let asked = question(t).arp(|arp| (arp.sha, arp.spa) = (MacAddr::broadcast(), ip));
    let seen = t.exchange(&asked.frame()).await?;
    let to_group = |seen: &Seen| {
        is_arp_answer(seen)
            && seen.kind() == Some(0x0806)
            && seen.destination().is_some_and(|mac| mac.is_multicast())
    };
    t.none(&seen, "no ARP reply to a group", to_group);
    let (_, mac) = t.neighbour();
    let echo = from(t, ip, mac);
    let seen = t.exchange(&echo.frame()).await?;
    t.none(&seen, "nothing is sent to the group's address that was claimed", |seen| {
        is_reaction(seen) && seen.destination() == Some(MacAddr::broadcast())
    });
    Ok(())
}

async fn table_pressure(t: &mut Trial) -> Flow {
    const NEIGHBOURS: usize = 64;
    let id = t.identity();
    let mut answered = 0;
    for _ in 0..NEIGHBOURS {
        let (ip, mac) = t.neighbour();
        let asked = ArpFrame::request(mac, ip, id.device_ip);
        t.send(&asked.frame()).await?;
        let is_reply = |seen: &Seen| {
            seen.arp().is_some_and(|m| m.op == arp::REPLY && MacAddr::from(m.tha) == mac)
        };
        answered += usize::from(t.wait_for(ANSWER, is_reply).await?);
        t.take_seen();
    }
    t.must(answered == NEIGHBOURS, format!("{NEIGHBOURS} replies"), format!("{answered} came"));
    let echo = t.echo(16);
    let reply = t.answered(&echo, "an echo request from the host").await?;
    if let Some(reply) = reply {
        let mut fields = Vec::new();
        compare(&mut fields, "eth.dst", Some(id.host_mac), reply.destination());
        let severity: Severity = Must;
        t.check_frame(severity, &reply, "the reply goes to the static entry's address", fields);
    }
    Ok(())
}
