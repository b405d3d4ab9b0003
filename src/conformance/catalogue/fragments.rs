//! Fragments of IPv4 packets: put together right, or left alone.
//!
//! Most datagrams here are echo requests with 72 bytes of ICMP, cut at 48, or less where frames are
//! small. What a device that gives up
//! an incomplete one says of it later is passed over in other tests (`Trial::is_late`).

use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use super::super::model::Owner::Stack;
use super::super::model::Severity::{May, Must, Should};
use super::super::model::Tier::{Core, Extended, Long};
use super::super::model::{Flow, Group, Test};
use super::super::rig::Capability::{NoReassembly, Reassembly};
use super::super::seen::Seen;
use super::super::stimulus::Echo;
use super::super::trial::{Trial, compare, is_reaction};
use super::icmp::quoted;
use super::row;
use crate::checksum;

/// The group.
#[rustfmt::skip]
pub static FRAGMENTS: Group = Group {
    name: "fragments",
    title: "IPv4 fragments",
    parts: &[&[
        Test::new(row(("FRG-01", "fragments.two-in-order"), (Must, Core, Stack), "RFC 1122 §3.3.2",
            "A datagram in two fragments is put together and answered once."),
            |t| Box::pin(two_in_order(t))).needs(Reassembly),
        Test::new(row(("FRG-02", "fragments.two-reversed"), (Must, Core, Stack), "RFC 791 §3.2; RFC 1122 §3.3.2",
            "Fragments may come in any order."),
            |t| Box::pin(two_reversed(t))).needs(Reassembly),
        Test::new(row(("FRG-03", "fragments.eight-byte-pieces"), (Must, Core, Stack), "RFC 791 §3.2; RFC 1122 §3.3.2",
            "Fragments may be as small as 8 bytes."),
            |t| Box::pin(eight_byte_pieces(t))).needs(Reassembly),
        Test::new(row(("FRG-04", "fragments.interleaved"), (Should, Extended, Stack), "RFC 791 §3.2",
            "Two datagrams whose fragments come by turns are both put together."),
            |t| Box::pin(interleaved(t))).needs(Reassembly),
        Test::new(row(("FRG-05", "fragments.duplicate"), (Must, Core, Stack), "RFC 791 §3.2",
            "A fragment that comes twice does not disturb its datagram."),
            |t| Box::pin(duplicate(t))).needs(Reassembly),
        Test::new(row(("FRG-06", "fragments.overlap"), (Should, Extended, Stack), "RFC 791 §3.2; RFC 1858 §4; RFC 5722, by analogy",
            "Where two fragments overlap, the bytes of one of them count, or the datagram is dropped."),
            |t| Box::pin(overlap(t))).needs(Reassembly),
        Test::new(row(("FRG-07", "fragments.not-multiple-of-8"), (Must, Core, Stack), "RFC 791 §3.1, §3.2",
            "A fragment that ends between two blocks of 8 bytes, and is not the last, is not rounded up."),
            |t| Box::pin(not_multiple_of_8(t))).needs(Reassembly),
        Test::new(row(("FRG-08", "fragments.offset-overflow"), (Must, Core, Stack), "RFC 791 §3.1; docs/line.md#receivers R5",
            "Fragments that end beyond 65535 bytes, or hold nothing, are passed over and do no harm."),
            |t| Box::pin(offset_overflow(t))),
        Test::new(row(("FRG-09", "fragments.timeout"), (Must, Long, Stack), "RFC 1122 §3.3.2",
            "An incomplete datagram is discarded in time, and its sender told if its first fragment has come."),
            |t| Box::pin(timeout(t))).needs(Reassembly),
        Test::new(row(("FRG-10", "fragments.exhaustion"), (Should, Extended, Stack), "RFC 1122 §1.2.2",
            "Incomplete datagrams, however many, do not keep a complete one out."),
            |t| Box::pin(exhaustion(t))).needs(Reassembly).last(),
        Test::new(row(("FRG-11", "fragments.large-echo"), (May, Extended, Stack), "RFC 1122 §3.3.2, §3.3.3; RFC 791 §3.2",
            "A datagram larger than a frame may be answered, and then in sound fragments."),
            |t| Box::pin(large_echo(t))).needs(Reassembly),
        Test::new(row(("FRG-12", "fragments.protocol-in-key"), (Must, Extended, Stack), "RFC 791 §3.2; RFC 1122 §3.3.2",
            "Fragments of different protocols are never put together."),
            |t| Box::pin(protocol_in_key(t))).needs(Reassembly),
        Test::new(row(("FRG-13", "fragments.reassembly-off"), (Must, Core, Stack), "RFC 791 §3.2",
            "A device that puts nothing together does not take a fragment for a whole datagram."),
            |t| Box::pin(reassembly_off(t))).needs(NoReassembly),
    ]],
};

/// An echo request, and the two parts of its message.
fn in_halves(t: &mut Trial) -> (Echo, [Range<usize>; 2]) {
    const DATA: usize = 64;
    let echo = t.echo(t.capped(DATA));
    let halves = echo.halves();
    (echo, halves)
}

/// Sends frames, and everything that comes of them.
async fn exchange_all(t: &mut Trial, frames: &[Vec<u8>]) -> Flow<Vec<Seen>> {
    for frame in frames {
        t.send(frame).await?;
    }
    t.settle().await
}

/// Sends an echo request in these parts, which has to be answered as if it were whole.
async fn answered_in(t: &mut Trial, echo: &Echo, parts: &[Range<usize>], what: &str) -> Flow {
    let frames: Vec<_> = parts.iter().map(|part| echo.fragment(part.clone())).collect();
    let seen = exchange_all(t, &frames).await?;
    t.reply_among(echo, &seen, format!("an echo request {what}"));
    Ok(())
}

/// Sends fragments that bring nothing, or Parameter Problem.
async fn refused(t: &mut Trial, frames: &[Vec<u8>], what: String) -> Flow {
    let seen = exchange_all(t, frames).await?;
    let expected = format!("nothing, or Parameter Problem, for {what}");
    t.none(&seen, expected, |seen| is_reaction(seen) && !seen.is_icmp(12));
    Ok(())
}

async fn two_in_order(t: &mut Trial) -> Flow {
    let (echo, halves) = in_halves(t);
    answered_in(t, &echo, &halves, "in two fragments").await
}

async fn two_reversed(t: &mut Trial) -> Flow {
    let (echo, [first, second]) = in_halves(t);
    answered_in(t, &echo, &[second, first], "in two fragments, the last one first").await
}

async fn eight_byte_pieces(t: &mut Trial) -> Flow {
    let echo = t.echo(t.capped(56));
    let length = echo.icmp.message().len();
    let parts: Vec<_> = (0..length).step_by(8).map(|at| at..length.min(at + 8)).collect();
    answered_in(t, &echo, &parts, "in fragments of 8 bytes").await
}

async fn interleaved(t: &mut Trial) -> Flow {
    let ((one, halves), (other, _)) = (in_halves(t), in_halves(t));
    let mut frames = Vec::new();
    for part in halves {
        frames.extend([one.fragment(part.clone()), other.fragment(part)]);
    }
    let seen = exchange_all(t, &frames).await?;
    t.reply_among(&one, &seen, "the first of two echo requests whose fragments come by turns");
    t.reply_among(&other, &seen, "the second of two echo requests whose fragments come by turns");
    Ok(())
}

async fn duplicate(t: &mut Trial) -> Flow {
    let (echo, [first, second]) = in_halves(t);
    answered_in(t, &echo, &[first.clone(), first, second], "whose first fragment comes twice").await
}

async fn overlap(t: &mut Trial) -> Flow {
    for is_other_first in [false, true] {
        let (echo, _) = in_halves(t);
        let message = echo.icmp.message();
        let mut other = message.clone(); // words change places: any mixture has the same checksum
        other[8..12].rotate_left(2);
        other[12..16].rotate_left(2);
        let mut frames = [echo.part(0..16, &message), echo.part(8..24, &other)];
        if is_other_first {
            frames.reverse();
        }
        let frames = [&frames[..], &[echo.part(24..message.len(), &message)]].concat();
        let seen = exchange_all(t, &frames).await?;
        let replies = || seen.iter().filter(|seen| echo.is_answered_by(seen));
        let is_pure = |seen: &Seen| {
            let data = seen.icmp().map(|icmp| icmp.data).unwrap_or_default();
            data == &message[8..] || data == &other[8..]
        };
        t.should_hold(
            replies().all(is_pure),
            "a reply with the bytes of one of the fragments that overlap, or none",
            "a reply that mixes the two",
        );
        let order = if is_other_first { "the second one first" } else { "in order" };
        let came = replies().next().and_then(Seen::icmp).map(|icmp| icmp.data == &message[8..]);
        t.remark(match came {
            None => format!("overlapping fragments, {order}: dropped"),
            Some(true) => format!("overlapping fragments, {order}: the bytes of the first count"),
            Some(false) => format!("overlapping fragments, {order}: the bytes of the second count"),
        });
    }
    Ok(())
}

async fn not_multiple_of_8(t: &mut Trial) -> Flow {
    let size = t.capped(29);
    let echo = t.echo(if size.is_multiple_of(8) { size.saturating_sub(1) } else { size });
    let mut message = echo.icmp.message();
    let (end, block) = (message.len(), message.len().next_multiple_of(8));
    message.resize(block + 24, 0); // zeros: its checksum is right with and without them
    let alone = echo.part(0..end, &message);
    refused(t, &[alone], format!("a fragment of {end} bytes that is not the last")).await?;
    let rest = echo.part(block..block + 24, &message);
    let what = format!("a datagram that lacks the bytes from {end} to {}", block - 1);
    refused(t, &[rest], what).await
}

async fn offset_overflow(t: &mut Trial) -> Flow {
    let (echo, [first, _]) = in_halves(t);
    let first = echo.fragment(first);
    let bare = |flags, offset, size| {
        let echo = echo.clone().ip(|ip| (ip.flags, ip.offset) = (flags, offset));
        echo.eth.frame(&echo.ip.packet(&vec![0x02; size]))
    };
    let beyond = bare(0, 8189, t.capped(1400));
    refused(t, &[first, beyond], "a fragment that ends beyond 65535 bytes".to_owned()).await?;
    for (offset, what) in [(0, "a first fragment"), (6, "a later fragment")] {
        let what = format!("{what} that is not the last and holds no bytes");
        refused(t, &[bare(1, offset, 0)], what).await?;
    }
    Ok(())
}

/// The longest time that is recommended, and a margin.
const LONGEST: Duration = Duration::from_secs(125);
/// What is recommended: from 60 to 120 s, timers that tick in seconds allowed for.
const RECOMMENDED: std::ops::RangeInclusive<f64> = 58.0..=122.0;

async fn timeout(t: &mut Trial) -> Flow {
    let (echo, [first, second]) = in_halves(t);
    let first = echo.fragment(first);
    let started = Instant::now();
    t.send(&first).await?;
    let is_it = |seen: &Seen| seen.given_up() == Some(echo.ip.id);
    let is_told = t.wait_for(LONGEST, is_it).await?;
    let time = started.elapsed().as_secs_f64();
    let told = t.take_seen().into_iter().find(is_it);
    let second = t.exchange(&echo.fragment(second)).await?;
    t.none(&second, "an incomplete datagram is discarded within 120 s", |seen| {
        echo.is_answered_by(seen)
    });
    t.must(
        is_told,
        "Time Exceeded (11, 1) for a datagram whose first fragment has come",
        "it did not come",
    );
    if let Some(told) = told {
        t.remark(format!("incomplete datagrams are given up after {time:.0} s"));
        let expected = "a time between 60 and 120 s, as is recommended";
        t.check(Should, RECOMMENDED.contains(&time), expected, format!("{time:.1} s"));
        let fields = quoted(&told, &first[14..]);
        t.check_frame(Must, &told, "the first fragment's header and 8 bytes, unchanged", fields);
    }
    Ok(())
}

async fn exhaustion(t: &mut Trial) -> Flow {
    const INCOMPLETE: usize = 40;
    let mut lost = Vec::new();
    for _ in 0..INCOMPLETE {
        let (echo, [first, _]) = in_halves(t);
        lost.push(echo.fragment(first));
    }
    let seen = exchange_all(t, &lost).await?;
    let given_up = seen.iter().filter(|seen| seen.given_up().is_some()).count();
    if given_up > 0 {
        t.remark(format!("{given_up} of {INCOMPLETE} incomplete datagrams are given up at once"));
    }
    let (echo, halves) = in_halves(t);
    answered_in(t, &echo, &halves, "in two fragments behind 40 that lack their rest").await
}

async fn large_echo(t: &mut Trial) -> Flow {
    const LARGE: usize = 3000;
    let echo = t.echo(LARGE);
    let length = LARGE + 8;
    let step = (t.max_frame().saturating_sub(34) / 8 * 8).clamp(8, 1008);
    let part = |start: usize| start..(start + step).min(length);
    let frames: Vec<_> = (0..length).step_by(step).map(|at| echo.fragment(part(at))).collect();
    let seen = exchange_all(t, &frames).await?;
    let Some(first) = seen.iter().find(|seen| echo.is_answered_by(seen)) else {
        t.remark(format!("an echo request with {LARGE} bytes of data is not answered"));
        return Ok(());
    };
    let id = first.ip().map(|ip| ip.id);
    let parts = seen.iter().filter(|seen| seen.ip().is_some_and(|ip| ip.protocol == 1));
    let parts: Vec<_> = parts.filter(|seen| seen.ip().map(|ip| ip.id) == id).collect();
    t.remark(format!("it is answered in {} fragments", parts.len()));
    let joined = join(&parts);
    let expected = "a reply in fragments that end at multiples of 8 bytes and leave no gap";
    t.must(joined.is_ok(), expected, joined.as_ref().err().map_or("it is sound", String::as_str));
    let message = joined.unwrap_or_default();
    let mut fields = Vec::new();
    compare(&mut fields, "icmp.checksum", 0, checksum::internet(&message));
    compare(&mut fields, "icmp.data", true, message.get(8..) == Some(&echo.icmp.data[..]));
    t.check_frame(Must, first, "a reply that mirrors the request", fields);
    Ok(())
}

/// What fragments hold together, or what is wrong with them.
fn join(parts: &[&Seen]) -> Result<Vec<u8>, String> {
    let mut views: Vec<_> = parts.iter().filter_map(|seen| seen.ip()).collect();
    views.sort_by_key(|ip| ip.offset);
    let last = views.len().saturating_sub(1);
    let mut joined = Vec::new();
    for (n, ip) in views.iter().enumerate() {
        let (offset, length) = (ip.offset, ip.payload.len());
        if offset != joined.len() {
            return Err(format!(
                "a fragment begins at {offset}, where {} bytes came",
                joined.len()
            ));
        }
        if (ip.flags & 1 == 0) != (n == last) {
            return Err(format!("the flag for more is wrong in the fragment at {offset}"));
        }
        if n < last && !length.is_multiple_of(8) {
            return Err(format!("the fragment at {offset} has {length} bytes"));
        }
        joined.extend_from_slice(ip.payload);
    }
    Ok(joined)
}

async fn protocol_in_key(t: &mut Trial) -> Flow {
    const UDP: u8 = 17;
    let (echo, [first, second]) = in_halves(t);
    let other = echo.clone().ip(|ip| ip.protocol = UDP).fragment(second.clone());
    let seen = exchange_all(t, &[echo.fragment(first), other]).await?;
    let expected = "fragments of ICMP and UDP with the same identification are not put together";
    t.none(&seen, expected, |seen| echo.is_answered_by(seen));
    if !seen.iter().any(|seen| echo.is_answered_by(seen)) {
        let seen = t.exchange(&echo.fragment(second)).await?;
        let came = seen.iter().any(|seen| echo.is_answered_by(seen));
        let expected = "a reply once the second fragment of ICMP has come, too";
        t.check(Should, came, expected, "it did not come");
    }
    Ok(())
}

async fn reassembly_off(t: &mut Trial) -> Flow {
    let echo = t.echo(t.capped(40) / 8 * 8);
    let mut message = echo.icmp.message();
    let whole = message.len();
    message.resize(whole + 8, 0);
    let first = echo.part(0..whole, &message);
    t.silent(&first, "a first fragment that holds a whole echo request").await.map(|_| ())
}
