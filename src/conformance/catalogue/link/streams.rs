//! How the stream is cut into pieces, bursts, noise, and frames that are no frames.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use super::super::super::model::Owner::Driver;
use super::super::super::model::Severity::{May, Must, Should};
use super::super::super::model::Tier::{Core, Extended, Smoke};
use super::super::super::model::{Flow, Halt, Test};
use super::super::super::rig::Capability;
use super::super::super::stimulus::Echo;
use super::super::super::trial::{ANSWER, Trial, is_reaction};
use super::super::row;
use super::silences::{ATTEMPTS, slowly, too_busy};
use super::{MS, framed, replies};

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
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
];

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
