//! Asking whether the device is there yet: does it accept a connection, does it answer a ping.
//!
//! A knock is a connection like any other, from which nothing comes: it ends as soon as the device has
//! accepted it, in the ordinary way.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::Gateway;
use super::arrival;
use super::client::Stream;
use super::flow::Outcome;
use crate::craft::layers::{Checksum, Ethernet, Icmp, Ipv4};
use crate::proto::icmp;

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is there.
    Accepted,
    /// It is there, and refuses.
    Refused,
    /// It answers ARP, and nothing else.
    Silent,
    /// It does not answer ARP, or the line is not there.
    Nobody,
}

impl Gateway {
    /// Asks whether the device accepts connections at `port`, for `patience` at most.
    pub async fn knock(&self, guest: Option<Ipv4Addr>, port: u16, patience: Duration) -> Answer {
        if tokio::time::timeout(patience, self.resolve(guest)).await.is_err() {
            return Answer::Nobody;
        }
        let (sender, accepted) = oneshot::channel();
        let gateway = self.clone();
        let knock = Knock { accepted: Some(sender) };
        let mut knocking = tokio::spawn(async move {
            arrival::run_within(&gateway, knock, guest, port, patience).await
        });
        tokio::select! {
            biased;
            Ok(()) = accepted => Answer::Accepted, // its end takes its own time
            outcome = &mut knocking => match outcome {
                Ok(Outcome::Done | Outcome::Reset) => Answer::Accepted,
                Ok(Outcome::Refused) => Answer::Refused,
                Ok(Outcome::NoAnswer | Outcome::Lost | Outcome::TooMany) | Err(_) => Answer::Silent,
            }
        }
    }

    /// Asks whether the device answers ARP and a ping, for `patience` at most.
    pub async fn ping(&self, patience: Duration) -> Answer {
        let Ok(destination) = tokio::time::timeout(patience, self.resolve(None)).await else {
            return Answer::Nobody;
        };
        let (sender, replied) = oneshot::channel();
        let rest = {
            let mut state = self.state();
            state.echoes.retain(|_, waiting| !waiting.is_closed());
            let identifier = (self.0.clock.now().0 / 1000) as u32;
            let free = (0..=u16::MAX as u32).map(|n| identifier.wrapping_add(n).to_be_bytes());
            let Some(rest) = free.into_iter().find(|rest| !state.echoes.contains_key(rest)) else {
                return Answer::Silent;
            };
            state.echoes.insert(rest, sender);
            rest
        };
        let (ip, source) = self.host();
        let request = Icmp {
            kind: icmp::ECHO_REQUEST,
            code: 0,
            checksum: Checksum::Right,
            rest,
            data: (0..56).collect(),
        };
        let packet = Ipv4::new(ip, self.device_ip(), 1).packet(&request.message());
        self.answer(Ethernet { destination, source, kind: 0x0800 }.frame(&packet));
        match tokio::time::timeout(patience, replied).await {
            Ok(Ok(())) => Answer::Accepted,
            _ => Answer::Silent,
        }
    }

    /// An echo reply came; whether somebody has waited for it.
    pub(super) fn replied(&self, rest: [u8; 4]) -> bool {
        let waiting = self.state().echoes.remove(&rest);
        waiting.is_some_and(|waiting| waiting.send(()).is_ok())
    }
}

/// A stream that says when the device has accepted, and then that this was all.
struct Knock {
    accepted: Option<oneshot::Sender<()>>,
}

impl AsyncRead for Knock {
    /// Is called when bytes can be sent, and so when the connection stands.
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(accepted) = self.accepted.take() {
            let _ = accepted.send(()); // nobody may want to know any more
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Knock {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Stream for Knock {}
