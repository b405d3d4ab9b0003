//! The line: framing, limits, timeouts, buffers, and what a connection leaves behind.
//!
//! A receiver has no mark to find the next frame by: it trusts lengths and silences. These tests lie
//! in both, and look whether it comes back.

use std::time::Duration;

use tokio::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::explore::{self, STEADY};
use super::super::model::Owner::Driver;
use super::super::model::Severity::{May, Must, Should};
use super::super::model::Tier::{Core, Extended, Smoke};
use super::super::model::{Flow, Group, Halt, Test};
use super::super::rig::{BodyPolicy, Capability};
use super::super::seen::Seen;
use super::super::stimulus::{ECHO_HEADERS, Echo};
use super::super::trial::{ANSWER, RESYNC, Trial, is_reaction};
use super::row;
use crate::craft::layers::Checksum;
use crate::framing::DEFAULT_MAX_FRAME;

const MS: Duration = Duration::from_millis(1);

/// The group.
#[rustfmt::skip]
pub static LINK: Group = Group {
    name: "link",
    title: "link and framing",
    parts: &[&[
        Test::new(row(("LNK-01", "link.len-zero"), (Must, Smoke, Driver), "docs/line.md#receivers R3; docs/line.md#bad-lengths",
            "A header that announces no bytes does not keep the next frame from being taken."),
            |t| Box::pin(len_zero(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-02", "link.len-zero-flood"), (Must, Core, Driver), "docs/line.md#receivers R3; docs/line.md#bad-lengths",
            "Five hundred empty headers cost no more than their time on the line."),
            |t| Box::pin(len_zero_flood(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-03", "link.oversize-header-only"), (Must, Core, Driver), "docs/line.md#receivers R3; docs/line.md#bad-lengths",
            "After a header beyond the limit without its bytes the receiver is back in step when the line has been silent for 1.3 s."),
            |t| Box::pin(oversize_header_only(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-04", "link.oversize-zero-body"), (Must, Core, Driver), "docs/line.md#receivers R3; docs/line.md#bad-lengths",
            "A header beyond the limit and as many zero bytes do not keep the next frame from being taken."),
            |t| Box::pin(oversize_zero_body(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-05", "link.oversize-embedded-frame"), (Should, Extended, Driver), "docs/line.md#receivers R4; docs/line.md#bad-lengths",
            "What stands inside a frame that is too long is not taken for a frame of its own."),
            |t| Box::pin(oversize_embedded_frame(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-06", "link.max-frame"), (Must, Smoke, Driver), "docs/line.md#receivers R2; docs/line.md#limits",
            "Frames of up to 1514 bytes, or the declared limit, are answered intact; longer ones do no harm."),
            |t| Box::pin(max_frame(t))),
        Test::new(row(("LNK-07", "link.partial-body-timeout"), (Must, Core, Driver), "docs/line.md#receivers R6; docs/line.md#timeouts",
            "A frame that stops in its middle is given up after 1.3 s of silence at the latest."),
            |t| Box::pin(partial_body_timeout(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-08", "link.partial-header-timeout"), (Must, Core, Driver), "docs/line.md#receivers R7; docs/line.md#timeouts",
            "A header of one byte is given up after 1.3 s of silence at the latest."),
            |t| Box::pin(partial_header_timeout(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-09", "link.slow-sender-accepted"), (Should, Core, Driver), "docs/line.md#receivers R8; docs/line.md#timeouts",
            "A frame with a gap of 0.6 s in its middle is taken."),
            |t| Box::pin(slow_sender_accepted(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-10", "link.timeout-bracket"), (Should, Extended, Driver), "docs/line.md#receivers R8; docs/line.md#timeouts",
            "Frames begin to be given up at a gap between 0.9 and 1.3 s."),
            |t| Box::pin(timeout_bracket(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-11", "link.back-to-back"), (Must, Smoke, Driver), "docs/line.md#receivers R1; docs/line.md#framing",
            "Frames are taken however the stream is cut into pieces, all of them and in order."),
            |t| Box::pin(back_to_back(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-12", "link.byte-at-a-time"), (Must, Core, Driver), "docs/line.md#receivers R1; docs/line.md#framing",
            "A frame that comes byte by byte is taken."),
            |t| Box::pin(byte_at_a_time(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-13", "link.burst-over-buffer"), (Must, Core, Driver), "docs/line.md#receivers R9; docs/line.md#buffers",
            "A burst beyond the receive buffer leaves the receiver in step, and every reply intact; nothing of it should be lost."),
            |t| Box::pin(burst_over_buffer(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-14", "link.noise-then-silence"), (Must, Core, Driver), "docs/line.md#receivers R6; docs/line.md#timeouts",
            "After noise and 1.3 s of silence the next frame is taken."),
            |t| Box::pin(noise_then_silence(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-15", "link.noise-under-traffic"), (May, Extended, Driver), "docs/line.md#receivers R6; docs/line.md#timeouts",
            "How long a receiver stays out of step when traffic goes on behind noise is reported."),
            |t| Box::pin(noise_under_traffic(t))).needs(Capability::RawBytes).last(),
        Test::new(row(("LNK-16", "link.undersized-frames"), (Must, Core, Driver), "docs/line.md#receivers R5; docs/line.md#limits",
            "Frames too short to mean anything are passed over in silence."),
            |t| Box::pin(undersized_frames(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-17", "link.reconnect"), (Must, Smoke, Driver), "docs/line.md#receivers R15; docs/line.md#connections",
            "After the host has left and come back the device answers, beginning with a whole frame."),
            |t| Box::pin(reconnect(t))).needs(Capability::Reconnect),
        Test::new(row(("LNK-18", "link.reconnect-mid-frame"), (Must, Core, Driver), "docs/line.md#receivers R15; docs/line.md#connections",
            "Half a frame from a host that has left is not put in front of what the next one sends."),
            |t| Box::pin(reconnect_mid_frame(t))).needs(Capability::Reconnect),
        Test::new(row(("LNK-19", "link.stalled-reader"), (Must, Extended, Driver), "docs/line.md#receivers R12; docs/line.md#buffers",
            "A host that reads nothing for a while gets whole frames when it reads again."),
            |t| Box::pin(stalled_reader(t))).needs(Capability::RawBytes),
        Test::new(row(("LNK-20", "link.boot-noise"), (Should, Extended, Driver), "docs/line.md#receivers R12; docs/line.md#data-only",
            "From the first byte after a start the line carries frames and nothing else."),
            |t| Box::pin(boot_noise(t))).needs(Capability::Restart),
    ]],
};

/// A frame behind its header.
fn framed(frame: &[u8]) -> Vec<u8> {
    let mut bytes = (frame.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(frame);
    bytes
}

fn replies(seen: &[Seen], echoes: &[Echo]) -> usize {
    echoes.iter().filter(|echo| seen.iter().any(|seen| echo.is_answered_by(seen))).count()
}

/// Sends bytes, and whether the ping right behind them is answered; under a driver that flushes, the
/// one after a silence, since the flush takes what follows.
async fn back_in_step(t: &mut Trial, bytes: &[u8]) -> Flow<bool> {
    t.raw(bytes).await?;
    if t.rig.capabilities.policy == Some(BodyPolicy::Flush) {
        t.resync().await?;
    }
    t.ping().await
}

async fn len_zero(t: &mut Trial) -> Flow {
    let answered = back_in_step(t, &[0, 0]).await?;
    t.must(answered, "the ping behind '00 00' is answered", "it was not");
    t.settle().await.map(|_| ())
}

async fn len_zero_flood(t: &mut Trial) -> Flow {
    let answered = back_in_step(t, &[0; 1000]).await?;
    t.must(answered, "the ping behind 500 times '00 00' is answered in time", "it was not");
    t.settle().await.map(|_| ())
}

async fn oversize_header_only(t: &mut Trial) -> Flow {
    let limit = t.max_frame() as u16;
    for header in [limit + 1, u16::MAX] {
        t.raw(&header.to_be_bytes()).await?;
        let at_once = t.ping().await?;
        t.resync().await?;
        let later = t.ping().await?;
        t.must(
            later,
            format!("a ping is answered 1.3 s after a header of {header}"),
            "it was not: the receiver waits for bytes that do not come",
        );
        t.remark(format!(
            "header of {header}: the ping at once {}",
            if at_once { "answered" } else { "lost" }
        ));
        t.settle().await?;
    }
    if let Some(policy) = t.rig.capabilities.policy {
        t.remark(format!("policy: {}", policy.name()));
    }
    Ok(())
}

/// A length beyond the limit that leaves no odd byte when it is read as empty headers.
fn even_beyond(t: &Trial) -> usize {
    (t.max_frame() + 2) & !1
}

async fn oversize_zero_body(t: &mut Trial) -> Flow {
    let length = even_beyond(t);
    let mut bytes = (length as u16).to_be_bytes().to_vec();
    bytes.resize(2 + length, 0);
    let answered = back_in_step(t, &bytes).await?;
    let expected = format!("the ping behind a header of {length} and as many zeros is answered");
    t.must(answered, expected, "it was not");
    t.settle().await.map(|_| ())
}

async fn oversize_embedded_frame(t: &mut Trial) -> Flow {
    let length = even_beyond(t);
    let inner = t.echo(32);
    t.rig.invariants.sent(&inner.frame());
    let mut bytes = (length as u16).to_be_bytes().to_vec();
    bytes.extend([0; 4]);
    bytes.extend(framed(&inner.frame()));
    bytes.resize(2 + length, 0);
    t.raw(&bytes).await?;
    t.resync().await?;
    let seen = t.settle().await?;
    let is_answered = |seen: &Seen| inner.is_answered_by(seen);
    if t.rig.capabilities.policy == Some(BodyPolicy::HeaderSkip) {
        // It cannot be otherwise under this policy, which is one of the three that are accepted.
        if seen.iter().any(is_answered) {
            t.remark("warning: frames can be smuggled in: a ping inside a frame that is too long is answered");
        }
        return Ok(());
    }
    t.none(
        &seen,
        "a ping inside the body of a frame that is too long is not answered",
        is_answered,
    );
    Ok(())
}

async fn max_frame(t: &mut Trial) -> Flow {
    let limit = t.max_frame();
    let design = t.rig.target.max_frame;
    let is_declared = t.rig.target.is_max_declared;
    t.remark(format!("frames of up to {limit} bytes are answered"));
    t.must(
        limit >= design,
        format!("an echo of {design} bytes is answered intact"),
        explain_limit(limit),
    );
    if is_declared && limit == design && design < DEFAULT_MAX_FRAME {
        t.remark(format!("warning: {}", explain_limit(limit)));
    }
    for size in [limit - 1, limit] {
        let is_answered = explore::answers(t, size).await?;
        t.must(is_answered, format!("an echo of {size} bytes is answered intact"), "it was not");
    }
    let echo = t.echo(0).data(vec![STEADY; limit + 1 - ECHO_HEADERS]);
    t.send(&echo.frame()).await?;
    t.resync().await?;
    let seen = t.settle().await?;
    let is_longer = seen.iter().any(|seen| echo.is_answered_by(seen));
    if is_longer {
        t.remark(format!("a frame of {} bytes is answered as well", limit + 1));
    }
    Ok(())
}

/// What a firmware author has to know about a limit that is too low.
fn explain_limit(limit: usize) -> String {
    let advice = format!("set the interface's MTU to {} (TCP MSS {})", limit - 14, limit - 14 - 40);
    match limit {
        1500 => format!(
            "the largest echo answered is a frame of 1500 bytes: the driver's limit of 1500 counts the \
             14 bytes of the Ethernet header, but the interface promises an MTU of 1500, and packets \
             from 1487 to 1500 bytes vanish; raise the limit to 1514, or {advice}"
        ),
        limit => format!(
            "the largest echo answered is a frame of {limit} bytes, which leaves {} for the IP packet; \
             raise the driver's limit, or {advice}",
            limit - 14
        ),
    }
}

async fn partial_body_timeout(t: &mut Trial) -> Flow {
    let cut = framed(&t.echo(56).frame());
    t.raw(&cut[..20]).await?;
    t.resync().await?;
    let answered = t.ping().await?;
    t.must(answered, "the ping behind half a frame and 1.3 s of silence is answered", "it was not");
    t.settle().await.map(|_| ())
}

async fn partial_header_timeout(t: &mut Trial) -> Flow {
    t.raw(&[0x00]).await?;
    t.resync().await?;
    let answered = t.ping().await?;
    t.must(
        answered,
        "the ping behind half a header and 1.3 s of silence is answered",
        "it was not: the receiver waits for the second byte for ever, and takes the next frame's first",
    );
    t.back_into_step().await?;
    t.settle().await.map(|_| ())
}

/// Sends an echo request with silences between its pieces; whether it is answered.
async fn with_gaps(t: &mut Trial, cuts: &[usize], gap: Duration) -> Flow<bool> {
    for _ in 0..ATTEMPTS {
        let echo = t.echo(56);
        t.rig.invariants.sent(&echo.frame());
        let longest = slowly(t, &framed(&echo.frame()), cuts, gap).await?.0;
        if longest <= gap + MOST_LATE {
            return t.wait_for(ANSWER, |seen| echo.is_answered_by(seen)).await;
        }
        t.resync().await?;
        t.settle().await?;
    }
    Err(too_busy())
}

/// Sends bytes with a silence behind each cut; the longest silence that it became, and the time of all.
async fn slowly(
    t: &mut Trial,
    bytes: &[u8],
    cuts: &[usize],
    gap: Duration,
) -> Flow<(Duration, Duration)> {
    let begun = Instant::now();
    let (mut from, mut longest) = (0, Duration::ZERO);
    for cut in cuts {
        t.raw(&bytes[from..*cut]).await?;
        let silent = Instant::now();
        t.listen(gap).await?;
        longest = longest.max(silent.elapsed());
        from = *cut;
    }
    t.raw(&bytes[from..]).await?;
    Ok((longest, begun.elapsed()))
}

/// How often something is sent again that this machine was too busy to send in time.
const ATTEMPTS: u32 = 4;
/// By how much a silence may be longer than it was meant to be.
const MOST_LATE: Duration = Duration::from_millis(60);

fn too_busy() -> Halt {
    Halt::Inconclusive("this machine is too busy to keep the times that the test needs".to_owned())
}

async fn slow_sender_accepted(t: &mut Trial) -> Flow {
    let answered = with_gaps(t, &[40], 600 * MS).await?;
    t.should_hold(answered, "a ping with a gap of 0.6 s in its middle is answered", "it was not");
    t.resync().await?;
    t.settle().await.map(|_| ())
}

async fn timeout_bracket(t: &mut Trial) -> Flow {
    let (mut taken, mut given_up) = (0, None);
    for gap in [700u32, 900, 1100, 1500] {
        let answered = with_gaps(t, &[40], gap * MS).await?;
        t.resync().await?;
        t.settle().await?;
        match answered {
            true => taken = gap,
            false => given_up = given_up.or(Some(gap)),
        }
    }
    let restarts = with_gaps(t, &[30, 60], 700 * MS).await?;
    t.resync().await?;
    t.settle().await?;
    let bracket = format!(
        "{taken} ms taken, {} given up",
        given_up.map_or("none".to_owned(), |ms| format!("{ms} ms"))
    );
    t.remark(format!(
        "{bracket}; the timer {} with each byte",
        if restarts { "starts anew" } else { "does not start anew" }
    ));
    let good = given_up.is_some_and(|ms| ms > 900) && taken <= 1300;
    t.should_hold(good, "a gap of 0.9 s is taken, and one of 1.5 s is not", bracket);
    Ok(())
}

/// Ten frames in one stream, written in the pieces that `cuts` make; whether all were answered, in
/// order.
async fn burst(t: &mut Trial, cuts: &[usize]) -> Flow<bool> {
    let echoes: Vec<Echo> = (0..10).map(|n| t.echo(t.capped(n * 8))).collect();
    let frames: Vec<Vec<u8>> = echoes.iter().map(Echo::frame).collect();
    frames.iter().for_each(|frame| t.rig.invariants.sent(frame));
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| framed(frame)).collect();
    let mut from = 0;
    for cut in cuts {
        t.raw(&bytes[from..*cut]).await?;
        t.listen(2 * MS).await?;
        from = *cut;
    }
    t.raw(&bytes[from..]).await?;
    let seen = t.settle().await?;
    let order: Vec<usize> = seen
        .iter()
        .filter_map(|seen| echoes.iter().position(|echo| echo.is_answered_by(seen)))
        .collect();
    Ok(order == (0..10).collect::<Vec<_>>())
}

async fn back_to_back(t: &mut Trial) -> Flow {
    let whole = burst(t, &[]).await?;
    t.must(whole, "ten pings in one write are answered, in order", "they were not");
    for cut in (1..20).chain([70, 500]) {
        let good = burst(t, &[cut]).await?;
        let expected =
            format!("ten pings in two writes, cut at byte {cut}, are answered, in order");
        if !t.must(good, expected, "they were not") {
            break;
        }
    }
    Ok(())
}

async fn byte_at_a_time(t: &mut Trial) -> Flow {
    /// Drivers may give up a frame that takes a second in all.
    const SOON_ENOUGH: Duration = Duration::from_millis(800);
    for _ in 0..ATTEMPTS {
        let echo = t.echo(20);
        t.rig.invariants.sent(&echo.frame());
        let bytes = framed(&echo.frame());
        let cuts: Vec<usize> = (1..bytes.len()).collect();
        let all = slowly(t, &bytes, &cuts, 2 * MS).await?.1;
        if all <= SOON_ENOUGH {
            let seen = t.settle().await?;
            t.reply_among(&echo, &seen, "a frame sent byte by byte");
            return Ok(());
        }
        t.resync().await?;
        t.settle().await?;
    }
    Err(too_busy())
}

async fn burst_over_buffer(t: &mut Trial) -> Flow {
    for count in [10, 36] {
        let echoes: Vec<Echo> = (0..count).map(|_| t.echo(t.capped(402))).collect();
        let frames: Vec<Vec<u8>> = echoes.iter().map(Echo::frame).collect();
        frames.iter().for_each(|frame| t.rig.invariants.sent(frame));
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| framed(frame)).collect();
        t.raw(&bytes).await?;
        let last = &echoes[count - 1];
        t.wait_for(ANSWER, |seen| last.is_answered_by(seen)).await?;
        t.resync().await?;
        let back = t.ping().await?;
        t.must(
            back,
            format!("the stream is in step 1.3 s after a burst of {} bytes", bytes.len()),
            "it was not",
        );
        let seen = t.settle().await?;
        let broken = seen.iter().any(|seen| {
            echoes.iter().any(|echo| {
                echo.is_answered_by(seen)
                    && seen.icmp().is_some_and(|icmp| icmp.data != echo.icmp.data)
            })
        });
        t.must(!broken, "every reply to a burst is intact", "one was not");
        let answered = replies(&seen, &echoes);
        t.check(
            Should,
            answered == count,
            format!("{count} replies to a burst of {} bytes", bytes.len()),
            format!("{answered} came"),
        );
    }
    Ok(())
}

async fn noise_then_silence(t: &mut Trial) -> Flow {
    for length in [37, 4096] {
        let noise = noise(length);
        t.raw(&noise).await?;
        t.resync().await?;
        let answered = t.ping().await?;
        if !answered && !t.rig.capabilities.has_header_timeout {
            t.back_into_step().await?;
            return Err(Halt::Inconclusive(
                "the receiver does not give up a header of one byte (link.partial-header-timeout), so \
                 that some noise leaves it out of step whatever the silence"
                    .to_owned(),
            ));
        }
        t.must(
            answered,
            format!("the ping 1.3 s behind {length} bytes of noise is answered"),
            "it was not",
        );
        t.back_into_step().await?;
        t.settle().await?;
    }
    Ok(())
}

/// Bytes that are no frame that anybody would answer: the same in every run, since what a receiver makes
/// of noise hangs on every byte.
fn noise(length: usize) -> Vec<u8> {
    let mut noise = vec![0; length];
    ChaCha8Rng::seed_from_u64(length as u64).fill_bytes(&mut noise);
    noise
}

async fn noise_under_traffic(t: &mut Trial) -> Flow {
    let noise = noise(64 * 1024);
    t.raw(&noise).await?;
    let begun = Instant::now();
    let end = begun + Duration::from_secs(20) + t.backlog();
    let mut back = None;
    while back.is_none() && Instant::now() < end {
        let echo = t.echo(16);
        t.send(&echo.frame()).await?;
        t.listen(300 * MS).await?;
        let seen = t.take_seen();
        back = seen.iter().any(|seen| echo.is_answered_by(seen)).then(|| begun.elapsed());
    }
    t.remark(match back {
        Some(time) => format!("in step again after {:.1} s of traffic", time.as_secs_f64()),
        None => "not in step after 20 s of traffic".to_owned(),
    });
    t.resync().await?;
    t.settle().await.map(|_| ())
}

async fn undersized_frames(t: &mut Trial) -> Flow {
    let echo = t.echo(16).frame();
    for length in [1, 13, 14, 15] {
        let seen = t.exchange(&echo[..length]).await?;
        t.none(&seen, format!("no answer to a frame of {length} bytes"), is_reaction);
    }
    Ok(())
}

async fn reconnect(t: &mut Trial) -> Flow {
    t.settle().await?; // a line that is quiet cannot be met in mid-frame
    t.framing_errors.clear();
    t.leave().await?;
    tokio::time::sleep(50 * MS).await;
    t.reconnect().await?;
    let answered = t.ping().await?;
    t.must(answered, "a ping on the new connection is answered", "it was not");
    t.settle().await?;
    if !t.framing_errors.is_empty() {
        t.remark("the new connection began in mid-frame");
    }
    Ok(())
}

async fn reconnect_mid_frame(t: &mut Trial) -> Flow {
    // Cut behind its ICMP header: whatever completes it, its checksum is wrong.
    let mixed = t.echo(0).data(vec![STEADY; 100]).icmp(|icmp| icmp.checksum = Checksum::Wrong);
    t.raw(&framed(&mixed.frame())[..60]).await?;
    t.listen(20 * MS).await?;
    t.leave().await?;
    tokio::time::sleep(50 * MS).await;
    t.reconnect().await?;
    let at_once = t.ping().await?;
    t.resync().await?;
    let later = t.ping().await?;
    t.must(
        at_once || later,
        "a ping on the new connection is answered within 1.3 s of silence",
        "it was not",
    );
    t.remark(match (at_once, later) {
        (true, _) => "answered at once",
        (false, true) => "answered after the silence",
        (false, false) => "not answered",
    });
    let seen = t.settle().await?;
    t.none(&seen, "no reply has anything of the frame that was cut", |seen| {
        mixed.is_answered_by(seen)
    });
    Ok(())
}

async fn stalled_reader(t: &mut Trial) -> Flow {
    const COUNT: usize = 20;
    let size = t.capped(1000);
    let echoes: Vec<Echo> = (0..COUNT).map(|_| t.echo(size)).collect();
    let frames: Vec<Vec<u8>> = echoes.iter().map(Echo::frame).collect();
    frames.iter().for_each(|frame| t.rig.invariants.sent(frame));
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| framed(frame)).collect();
    t.framing_errors.clear();
    t.raw_without_reading(&bytes, 3 * Duration::from_secs(1)).await?;
    let last = &echoes[COUNT - 1];
    t.wait_for(ANSWER, |seen| last.is_answered_by(seen)).await?;
    t.resync().await?;
    let seen = t.settle().await?;
    let errors = t.framing_errors.len();
    t.must(
        errors == 0,
        "everything read after a pause of 3 s is whole frames",
        format!("{errors} framing error(s)"),
    );
    t.remark(format!("{} of {COUNT} replies came", replies(&seen, &echoes)));
    Ok(())
}

async fn boot_noise(t: &mut Trial) -> Flow {
    t.framing_errors.clear();
    t.restart().await?;
    let end = Instant::now() + t.within(Duration::from_secs(30));
    while !t.ping().await? {
        if Instant::now() > end {
            return Err(Halt::Inconclusive(
                "it did not answer within 30 s of its start".to_owned(),
            ));
        }
        t.listen(RESYNC).await?;
    }
    t.settle().await?;
    let bytes: usize = t.framing_errors.iter().map(|error| error.bytes.len()).sum();
    let first =
        t.framing_errors.first().map(|error| crate::escape::terminal(&error.bytes).to_string());
    let actual = format!("{bytes} other bytes, beginning with '{}'", first.unwrap_or_default());
    t.should_hold(bytes == 0, "only frames between start and first reply", actual);
    Ok(())
}
