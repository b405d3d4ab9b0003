//! The line: framing, limits, timeouts, buffers, and what a connection leaves behind.
//!
//! A receiver has no mark to find the next frame by: it trusts lengths and silences. These tests lie
//! in both, and look whether it comes back.

mod connections;
mod lengths;
mod silences;
mod streams;

use std::time::Duration;

use super::super::model::{Flow, Group};
use super::super::rig::BodyPolicy;
use super::super::seen::Seen;
use super::super::stimulus::Echo;
use super::super::trial::Trial;

const MS: Duration = Duration::from_millis(1);

/// The group.
pub static LINK: Group = Group {
    name: "link",
    title: "link and framing",
    parts: &[lengths::TESTS, silences::TESTS, streams::TESTS, connections::TESTS],
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
