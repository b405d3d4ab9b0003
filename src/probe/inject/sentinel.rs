//! A question that every device answers: who has its address (RFC 826)?

use std::time::Duration;

use tokio::time::Instant;

use super::wire::Wire;
use crate::error::Result;
use crate::probe::{Identity, Probe};
use crate::proto::arp;
use crate::record::{Body, Record};

/// Questions until a device counts as dead.
const TRIES: u32 = 3;

/// What the device said to the sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It answered after so long.
    Answers(Duration),
    /// It did not answer any of several questions.
    Silent,
}

/// Silence after which receivers give up a frame that never ends (docs/line.md, receivers).
const GIVES_UP: Duration = Duration::from_millis(1300);

/// Asks, each time for `patience`; what comes besides the answer is told. Where `wire` may have left the
/// device within a frame, it is given the time to notice that: a question at once would be taken for the
/// rest of the frame, and so would the next.
pub async fn ask(
    probe: &mut Probe,
    wire: &Wire,
    patience: Duration,
    tell: &mut impl FnMut(&Record),
) -> Result<Life> {
    let patience = if wire.breaks_off() { patience.max(GIVES_UP) } else { patience };
    if wire.breaks_off() {
        let deadline = Instant::now() + GIVES_UP;
        while let Some(record) = probe.receive(deadline).await? {
            tell(&record);
            if Instant::now() >= deadline {
                break;
            }
        }
    }
    for _ in 0..TRIES {
        let asked = probe.identity().to_owned();
        probe.ask_for_device().await?;
        let sent = Instant::now();
        let deadline = sent + patience;
        while let Some(record) = probe.receive(deadline).await? {
            if is_answer(&record, &asked) {
                return Ok(Life::Answers(sent.elapsed()));
            }
            tell(&record);
            if Instant::now() >= deadline {
                break; // a line that is never silent does not stop time
            }
        }
    }
    Ok(Life::Silent)
}

fn is_answer(record: &Record, asked: &Identity) -> bool {
    let Body::Frame(frame) = &record.body else { return false };
    arp::Message::in_frame(frame).is_some_and(|message| {
        message.op == arp::REPLY
            && message.spa == asked.device_ip
            && message.tha == asked.host_mac.octets()
    })
}
