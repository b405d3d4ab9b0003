//! A recorded stream as a source: it has no times, waits for its watchers, and loses nothing.

use std::cell::RefCell;

use super::Tap;
use crate::bus::Bus;
use crate::clock::Timestamp;
use crate::endpoint::{Link, Received};
use crate::error::Result;
use crate::record::{Direction, Origin, Record};
use crate::stop::Stop;

/// Reads `link` to its end; whether it got there before it was told to stop.
pub(super) async fn read(
    tap: &Tap,
    mut link: Link,
    bus: &RefCell<Bus>,
    stop: &mut Stop,
) -> Result<bool> {
    let origin = Origin::new(Direction::Unknown);
    let mut decoder = (tap.options.framing.decoder)(origin, tap.options.max_frame);
    let mut records = Vec::new();
    loop {
        let received = tokio::select! {
            biased;
            () = stop.wait() => return Ok(false),
            received = link.rx.receive() => received?,
        };
        let is_over = matches!(received, Received::End(_));
        match received {
            Received::Bytes(bytes) => decoder.push(Timestamp::default(), &bytes, &mut records),
            Received::Records(mut whole) => records.append(&mut whole),
            Received::End(_) => decoder.finish(Timestamp::default(), &mut records),
        }
        tokio::select! {
            biased;
            () = stop.wait() => return Ok(false),
            () = hand_out(&mut records, bus) => {}
        }
        if is_over {
            return Ok(true);
        }
    }
}

/// Hands out every record, one after the other, as fast as the watchers take them. Nobody else uses
/// the bus meanwhile.
#[allow(clippy::await_holding_refcell_ref)]
async fn hand_out(records: &mut Vec<Record>, bus: &RefCell<Bus>) {
    let mut bus = bus.borrow_mut();
    for mut record in records.drain(..) {
        record.time = None;
        bus.publish_patiently(&record).await;
    }
}
