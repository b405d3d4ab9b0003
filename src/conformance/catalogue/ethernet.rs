//! Ethernet: who is meant, and what is not for IPv4. On a tunnel no hardware filters addresses or
//! pads frames; the firmware has to know.

use super::super::model::Owner::{Driver, Stack};
use super::super::model::Severity::{May, Must, Should};
use super::super::model::Tier::{Core, Extended, Smoke};
use super::super::model::{Flow, Group, Test};
use super::super::trial::{Trial, compare, is_reaction};
use super::row;
use crate::proto::MacAddr;

/// The group.
#[rustfmt::skip]
pub static ETHERNET: Group = Group {
    name: "ethernet",
    title: "Ethernet",
    parts: &[&[
        Test::new(row(("ETH-01", "ethernet.dst-other-unicast"), (Should, Core, Driver),
            "docs/line.md#receivers R13; docs/line.md#addresses",
            "A frame to another station's address is passed over, since no hardware filters it out."),
            |t| Box::pin(dst_other_unicast(t))),
        Test::new(row(("ETH-02", "ethernet.l2-broadcast-unicast-ip"), (Should, Extended, Stack), "RFC 1122 §3.3.6",
            "A packet to one host in a frame to all is discarded in silence."),
            |t| Box::pin(l2_broadcast_unicast_ip(t))),
        Test::new(row(("ETH-03", "ethernet.unknown-ethertype"), (Must, Core, Driver), "docs/line.md#receivers R13",
            "Frames of other types are passed over, and a tagged one is not answered untagged."),
            |t| Box::pin(unknown_ethertype(t))),
        Test::new(row(("ETH-04", "ethernet.trailing-pad"), (Must, Smoke, Stack), "RFC 894; RFC 791 §3.1",
            "Bytes behind the packet belong to the frame: they are not echoed."),
            |t| Box::pin(trailing_pad(t))),
        Test::new(row(("ETH-05", "ethernet.unpadded-short"), (Must, Core, Driver), "docs/line.md#framing",
            "A frame of less than 60 bytes is taken: nothing on the line pads."),
            |t| Box::pin(unpadded_short(t))),
        Test::new(row(("ETH-06", "ethernet.reply-addressing"), (Should, Core, Driver), "docs/line.md#receivers R14; docs/line.md#addresses",
            "Replies to the host go to the address of the static entry, whatever the request came from."),
            |t| Box::pin(reply_addressing(t))),
        Test::new(row(("ETH-07", "ethernet.src-mac-group"), (May, Extended, Driver), "IEEE 802.3 §3.2.3; docs/line.md#receivers R13",
            "A frame that claims to come from a group is passed over."),
            |t| Box::pin(src_mac_group(t))),
        Test::new(row(("ETH-08", "ethernet.tx-frame-sanity"), (Must, Smoke, Driver), "docs/line.md#framing; docs/line.md#limits; RFC 894",
            "What the device sends has a sane length, its own source address and a known destination."),
            |t| Box::pin(tx_frame_sanity(t))),
    ]],
};

async fn dst_other_unicast(t: &mut Trial) -> Flow {
    let other = t.echo(16).eth(|eth| eth.destination = MacAddr(2, 0, 0, 0, 0, 0x99));
    t.silent(&other.frame(), "an echo request to 02:00:00:00:00:99").await.map(|_| ())
}

async fn l2_broadcast_unicast_ip(t: &mut Trial) -> Flow {
    let echo = t.echo(16).eth(|eth| eth.destination = MacAddr::broadcast());
    t.silent(&echo.frame(), "an echo request for one host in a frame to all").await?;
    // The RFC speaks of broadcasts; what is done with groups is reported.
    let echo = t.echo(16).eth(|eth| eth.destination = MacAddr(1, 0, 0x5e, 0, 0, 1));
    let seen = t.exchange(&echo.frame()).await?;
    let answered = seen.iter().any(|seen| echo.is_answered_by(seen));
    t.remark(format!(
        "in a frame to a group it is {}",
        if answered { "answered" } else { "discarded" }
    ));
    Ok(())
}

async fn unknown_ethertype(t: &mut Trial) -> Flow {
    let experimental = t.echo(16).eth(|eth| eth.kind = 0x88b5);
    t.silent(&experimental.frame(), "a frame of type 0x88b5").await?;
    let short_ipv6 = t.echo(16).eth(|eth| eth.kind = 0x86dd);
    t.silent(&short_ipv6.frame(), "a frame of type 0x86dd without a packet of IPv6").await?;
    // Not the LLC header of IP (RFC 1042), which a host may well understand.
    let mut payload = vec![0x42, 0x42, 0x03];
    payload.resize(46, 0);
    let length = t.eth(46).frame(&payload);
    t.silent(&length, "an 802.3 frame of length 46").await?;
    let echo = t.echo(16);
    let mut tagged = echo.frame();
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
    t.silent(&tagged, "an echo request tagged for VLAN 5").await?;
    Ok(())
}

async fn trailing_pad(t: &mut Trial) -> Flow {
    let mut echo = t.echo(2);
    echo.padding = vec![0xa5; 16];
    t.answered(&echo, "2 bytes of data with 16 bytes behind the packet").await.map(|_| ())
}

async fn unpadded_short(t: &mut Trial) -> Flow {
    let echo = t.echo(2);
    let reply = t.answered(&echo, "a frame of 44 bytes").await?;
    if let Some(reply) = reply {
        t.remark(format!("the reply is a frame of {} bytes", reply.bytes.len()));
    }
    Ok(())
}

async fn reply_addressing(t: &mut Trial) -> Flow {
    let identity = t.identity();
    let echo = t.echo(16).eth(|eth| eth.source = MacAddr(2, 0, 0, 0, 0, 0x77));
    let Some(reply) = t.answered(&echo, "an echo request from 02:00:00:00:00:77").await? else {
        return Ok(());
    };
    let mut fields = Vec::new();
    compare(&mut fields, "eth.dst", Some(identity.host_mac), reply.destination());
    t.check_frame(Should, &reply, "the reply goes to the static entry's address", fields);
    Ok(())
}

async fn src_mac_group(t: &mut Trial) -> Flow {
    for from in [MacAddr::broadcast(), MacAddr(1, 0, 0x5e, 0, 0, 1)] {
        let echo = t.echo(16).eth(|eth| eth.source = from);
        t.silent(&echo.frame(), format!("an echo request from {from}")).await?;
    }
    Ok(())
}

async fn tx_frame_sanity(t: &mut Trial) -> Flow {
    let (identity, max) = (t.identity(), t.rig.target.max_frame);
    for size in [0, 56, 1000] {
        let size = t.capped(size);
        let echo = t.echo(size);
        t.send(&echo.frame()).await?;
    }
    let question = super::super::stimulus::ArpFrame::request(
        identity.host_mac,
        identity.host_ip,
        identity.device_ip,
    );
    let seen = t.exchange(&question.frame()).await?;
    let sent: Vec<_> = seen.iter().filter(|seen| is_reaction(seen)).collect();
    t.must(
        sent.len() >= 4,
        "three echo replies and an ARP reply",
        format!("{} frames", sent.len()),
    );
    for seen in sent {
        let mut fields = Vec::new();
        let length = seen.bytes.len();
        compare(&mut fields, "frame.length", true, (14..=max).contains(&length));
        compare(&mut fields, "eth.src", Some(identity.device_mac), seen.source());
        compare(&mut fields, "eth.dst", Some(identity.host_mac), seen.destination());
        if seen.kind() == Some(0x0800) {
            compare(&mut fields, "ip.total_length within the frame", true, seen.ip().is_some());
        }
        t.check_frame(Must, seen, "a sane frame", fields);
    }
    Ok(())
}
