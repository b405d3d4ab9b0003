//! What a connection, a host that reads nothing, and a start leave behind.

use std::time::Duration;

use tokio::time::Instant;

use super::super::super::explore::STEADY;
use super::super::super::model::Owner::Driver;
use super::super::super::model::Severity::{Must, Should};
use super::super::super::model::Tier::{Core, Extended, Smoke};
use super::super::super::model::{Flow, Halt, Test};
use super::super::super::rig::Capability;
use super::super::super::stimulus::Echo;
use super::super::super::trial::{ANSWER, RESYNC, Trial};
use super::super::row;
use super::{MS, framed, replies};
use crate::craft::layers::Checksum;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
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
];

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
