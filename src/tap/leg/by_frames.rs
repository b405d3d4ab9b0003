//! Passing on frames in place of bytes: where the line itself decides what becomes of each.
//!
//! Nothing of the kind is published here: an impaired line tells what went over it, and that is what is seen.

use super::{Ended, Leg};
use crate::endpoint::{Receive, Received, Transmit};
use crate::error::Result;
use crate::record::{Body, Direction, Record};
use crate::tap::senders::Senders;

impl Leg<'_> {
    /// Passes everything on as [`Leg::forward_with`] does, frame by frame: whatever is sent in between is never in the middle of one.
    pub(super) async fn forward_frames(
        &mut self,
        rx: &mut dyn Receive,
        tx: &mut dyn Transmit,
        senders: &mut Senders<'_>,
    ) -> Result<Ended> {
        loop {
            let received = tokio::select! {
                received = self.receive(rx) => Some(received?),
                () = senders.fetch() => None,
            };
            let sent = match received {
                None => senders.deliver(tx).await,
                Some(Received::End(how)) => return Ok(Ended::Source(how)),
                Some(Received::Bytes(bytes)) => {
                    self.frame(self.tap.clock.now(), &bytes);
                    self.pass_frames(tx).await
                }
                Some(Received::Records(mut records)) => {
                    self.records.append(&mut records);
                    self.pass_frames(tx).await
                }
            };
            if let Err(error) = sent {
                return Ok(Ended::Sink(error));
            }
        }
    }

    /// Sends what was framed: frames as frames, and what is none as it is.
    async fn pass_frames(&mut self, tx: &mut dyn Transmit) -> Result<()> {
        let mut frames = Vec::new();
        for record in std::mem::take(&mut self.records) {
            match record.body {
                Body::Frame(frame) if !frame.is_empty() => frames.push(frame),
                Body::FramingError(error) => {
                    if !frames.is_empty() {
                        tx.send(&std::mem::take(&mut frames)).await?;
                    }
                    tx.send_raw(&error.bytes).await?;
                }
                _ => {}
            }
        }
        if frames.is_empty() { Ok(()) } else { tx.send(&frames).await }
    }

    /// What came from the device, as it was on the line.
    pub(super) fn on_the_line(&self, records: &[Record]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for record in records.iter().filter(|r| r.origin.direction == Direction::FromDevice) {
            match &record.body {
                // It came over such a line.
                Body::Frame(frame) => drop(self.tap.options.framing.encode(frame, &mut bytes)),
                Body::FramingError(error) => bytes.extend_from_slice(&error.bytes),
                _ => {}
            }
        }
        bytes
    }
}
