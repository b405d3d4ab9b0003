//! Frames that stop in their middle, or come slowly.

use std::time::Duration;

use tokio::time::Instant;

use super::super::super::model::Owner::Driver;
use super::super::super::model::Severity::{Must, Should};
use super::super::super::model::Tier::{Core, Extended};
use super::super::super::model::{Flow, Halt, Test};
use super::super::super::rig::Capability;
use super::super::super::trial::{ANSWER, Trial};
use super::super::row;
use super::{MS, framed};

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
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
];

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

/// How often something is sent again that this machine was too busy to send in time.
pub(super) const ATTEMPTS: u32 = 4;

/// By how much a silence may be longer than it was meant to be.
const MOST_LATE: Duration = Duration::from_millis(60);

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
pub(super) async fn slowly(
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

pub(super) fn too_busy() -> Halt {
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
