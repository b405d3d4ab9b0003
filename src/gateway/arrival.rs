//! How a connection gets in, which takes time when the device is away or busy.
//!
//! It waits three times: until the device is found, for a turn to knock at its port (`door`), and then for
//! its answer (`flow`). A client that is gone by then wants nothing any more: its request must not be carried
//! out long after it gave up.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::client::{Presence, Stream};
use super::door::Turn;
use super::flow::{self, Outcome};
use super::patience::LOOK;
use super::{Gateway, Key};

/// Connects `stream` with the device's `port`, at `guest` or its usual address, until both are done.
pub(super) async fn run(
    gateway: &Gateway,
    stream: impl Stream,
    guest: Option<Ipv4Addr>,
    port: u16,
) -> Outcome {
    run_within(gateway, stream, guest, port, gateway.0.settings.hold).await
}

/// The same, where a device that is not there yet has so long to come.
pub(super) async fn run_within(
    gateway: &Gateway,
    mut stream: impl Stream,
    guest: Option<Ipv4Addr>,
    port: u16,
    hold: Duration,
) -> Outcome {
    let arrived = tokio::select! {
        biased;
        arrived = arrive(gateway, guest, port, hold) => arrived,
        () = left(&stream) => Err(Outcome::Reset),
    };
    let outcome = match arrived {
        Ok((turn, key, packets)) => {
            flow::run(gateway, &mut stream, key, packets, turn, gateway.0.settings.mtu).await
        }
        Err(outcome) => outcome,
    };
    if outcome != Outcome::Done {
        stream.reset();
    }
    outcome
}

/// Waits until the device is there, and then for a turn to knock at its door.
async fn arrive(
    gateway: &Gateway,
    guest: Option<Ipv4Addr>,
    port: u16,
    hold: Duration,
) -> Result<(Turn, Key, mpsc::Receiver<Bytes>), Outcome> {
    let since = gateway.0.clock.now();
    let found = tokio::time::timeout(hold, gateway.resolve(guest)).await;
    found.map_err(|_| Outcome::NoAnswer)?;
    let device = guest.unwrap_or_else(|| gateway.device_ip());
    let door = gateway.0.doors.at(device, port);
    let turn = door.turn(gateway, since, hold).await.ok_or(Outcome::NoAnswer)?;
    let (key, packets) = gateway.enter(device, port).ok_or(Outcome::TooMany)?;
    Ok((turn, key, packets))
}

/// Waits until nobody is at the other end of `stream` any more.
async fn left(stream: &impl Stream) {
    loop {
        tokio::time::sleep(LOOK).await;
        if stream.presence() != Presence::Here {
            return;
        }
    }
}
