//! More than a device can answer, as fast as the line is.

use std::time::Duration;

use tokio::time::Instant;

use super::super::super::model::Owner::Stack;
use super::super::super::model::Severity::Must;
use super::super::super::model::Tier::Extended;
use super::super::super::model::{Flow, Test};
use super::super::super::stimulus::ArpFrame;
use super::super::super::trial::Trial;
use super::super::row;
use crate::proto::MacAddr;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("ROB-07", "robustness.storms"), (Must, Extended, Stack), "RFC 2544 §26.5; docs/line.md#receivers R9",
        "Two seconds after a storm of broadcasts, ARP requests or pings has crossed the line, the device answers."),
        |t| Box::pin(storms(t))).last(),
];

/// Frames after which what has come is taken, and how long that takes.
const BEFORE_READING: usize = 20;
const GLANCE: Duration = Duration::from_millis(1);
/// How long a device may need to get up again, on an idle line.
const RECOVERY: Duration = Duration::from_secs(2);

async fn storms(t: &mut Trial) -> Flow {
    let id = t.identity();
    let nobody = t.address(77);
    let question = |target| ArpFrame::request(id.host_mac, id.host_ip, target).frame();
    let broadcast = |t: &mut Trial| {
        let mut datagram = t.datagram(9, &[0x42; 22]);
        (datagram.ip.destination, datagram.eth.destination) =
            (t.address(255), MacAddr::broadcast());
        datagram.frame()
    };
    storm(t, "500 broadcasts", 500, broadcast).await?;
    storm(t, "500 ARP requests", 500, |t| {
        let target = if t.rig.numbers.ip_id() % 2 == 0 { id.device_ip } else { nobody };
        question(target)
    })
    .await?;
    let size = t.capped(100);
    storm(t, "300 echo requests", 300, |t| t.echo(size).frame()).await
}

async fn storm(
    t: &mut Trial,
    what: &str,
    count: usize,
    mut frame: impl FnMut(&mut Trial) -> Vec<u8>,
) -> Flow {
    for n in 0..count {
        let frame = frame(t);
        t.send(&frame).await?;
        if n % BEFORE_READING == 0 {
            t.listen(GLANCE).await?; // or the answers would overflow on our side
        }
    }
    let ended = Instant::now();
    let is_there = t.ping_within(RECOVERY).await?;
    let after = ended.elapsed();
    let expected = format!("a ping behind {what} is answered within two seconds");
    if !t.must(is_there, expected, "it was not") {
        t.survives().await?;
    }
    t.remark(format!("{what}: answered again after {:.2} s", after.as_secs_f64()));
    t.settle().await?;
    Ok(())
}
