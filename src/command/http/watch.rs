//! The line, watched while a request is under way.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use crate::analysis::stalls::{Judgement, Stalls};
use crate::bus::Inbox;
use crate::cli::network::Network;
use crate::clock::{Clock, Timestamp};
use crate::gateway::Gateway;
use crate::record::{Body, LinkChange, Record};

/// How long to wait for a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Without anything moving.
    pub(super) standing: Duration,
    /// In all.
    pub(super) whole: Option<Duration>,
}

/// What the HTTP client tells of its progress.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// When it was given something.
    pub(super) moved: Cell<Timestamp>,
    /// It waits for whoever reads the body.
    pub(super) is_writing: Cell<bool>,
}

/// Sees what is on the line, and judges it.
pub(super) struct Watch {
    inbox: Inbox,
    stalls: Stalls,
    gateway: Gateway,
    clock: Clock,
    began: Timestamp,
    /// The port of the last connection before the request, which is not its own.
    before: Option<u16>,
    keeps_alive: bool,
    is_up: bool,
}

impl Watch {
    /// Watches from now on for stalls of at least `limit`.
    pub(super) fn new(network: &Network, limit: Duration, keeps_alive: bool) -> Watch {
        Watch {
            inbox: network.watch(),
            stalls: Stalls::new(limit),
            gateway: network.gateway.clone(),
            clock: network.clock(),
            began: network.clock().now(),
            before: None,
            keeps_alive,
            is_up: false,
        }
    }

    fn take(&mut self, record: &Record) {
        match record.body {
            Body::Link(LinkChange::Connected(_)) => self.is_up = true,
            Body::Link(LinkChange::Lost(_)) => self.is_up = false,
            _ => {}
        }
        self.stalls.observe(record);
    }

    /// Takes the next record; never completes when there are no more.
    async fn take_next(&mut self) {
        match self.inbox.next().await {
            Some(record) => self.take(&record),
            None => std::future::pending().await,
        }
    }

    /// Waits until the line is there.
    pub(super) async fn until_up(&mut self) {
        while !self.is_up {
            self.take_next().await;
        }
    }

    /// Goes on watching while `work` is done.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            never = self.take_all() => match never {},
        }
    }

    async fn take_all(&mut self) -> Infallible {
        loop {
            self.take_next().await;
        }
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A request begins.
    pub(super) fn begin(&mut self) -> Timestamp {
        self.drain();
        self.began = self.clock.now();
        self.before = self.gateway.newest_port().filter(|_| !self.keeps_alive);
        self.stalls.begin(self.began);
        self.began
    }

    fn drain(&mut self) {
        while let Some(record) = self.inbox.poll() {
            self.take(&record);
        }
    }

    /// The port of the request's connection, if there is one yet.
    fn port(&self) -> Option<u16> {
        self.gateway.newest_port().filter(|port| Some(*port) != self.before)
    }

    /// Watches until there is no hope any more; says why.
    pub(super) async fn until_hopeless(
        &mut self,
        patience: Patience,
        progress: &Progress,
    ) -> String {
        loop {
            self.drain();
            let now = self.clock.now();
            let moved = self.stalls.last_progress(self.port()).max(progress.moved.get());
            let (stood, took) = (now.since(moved), now.since(self.began));
            let is_reading = !progress.is_writing.get();
            if is_reading && stood >= patience.standing {
                return format!("timed out: nothing moved for {:?}", patience.standing);
            }
            if let Some(whole) = patience.whole.filter(|whole| took >= *whole) {
                return format!("timed out after {whole:?}");
            }
            let standing = if is_reading { patience.standing - stood } else { patience.standing };
            let whole = patience.whole.map_or(standing, |whole| whole - took);
            let nap = standing.min(whole).max(Duration::from_millis(1));
            tokio::select! {
                biased;
                () = self.take_next() => {}
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    /// What the packets say of the request that ended at `end`.
    pub(super) fn judge(&mut self, end: Timestamp) -> Judgement {
        self.drain();
        self.stalls.judge(self.port(), end)
    }
}
