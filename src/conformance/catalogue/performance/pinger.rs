//! Echo requests at a steady pace, and what became of each.
//!
//! Requests go whether replies have come or not, so that what waits in the device shows as latency. Times are those
//! at which frames passed, and not those at which somebody looked.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::super::super::model::Flow;
use super::super::super::seen::Seen;
use super::super::super::trial::Trial;
use crate::clock::Timestamp;
use crate::proto::icmp;

/// One request.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Bytes of data.
    size: usize,
    at: Timestamp,
    rtt: Option<Duration>,
    replies: u32,
}

/// Requests, and their replies as far as they have come.
#[derive(Debug)]
pub(super) struct Pinger {
    /// The sizes of requests, in turn.
    sizes: Vec<usize>,
    every: Duration,
    /// When the next one goes.
    pub(super) next: Instant,
    sent: Vec<Sent>,
    by_number: HashMap<[u8; 4], usize>,
    /// The number of the request whose reply came last.
    last: usize,
    /// Replies that came behind one to a later request.
    pub(super) overtaken: usize,
}

impl Pinger {
    /// Requests of these sizes in turn, one in `every`, from now on.
    pub(super) fn new(sizes: &[usize], every: Duration) -> Pinger {
        Pinger {
            sizes: sizes.to_vec(),
            every,
            next: Instant::now(),
            sent: Vec::new(),
            by_number: HashMap::new(),
            last: 0,
            overtaken: 0,
        }
    }

    /// Sends a request; its identifier and sequence number.
    pub(super) async fn send(&mut self, t: &mut Trial) -> Flow<[u8; 4]> {
        let size = self.sizes.get(self.sent.len() % self.sizes.len().max(1)).copied();
        let size = size.unwrap_or_default();
        let echo = t.echo(size);
        let at = t.send_timed(&echo.frame()).await?;
        self.by_number.insert(echo.icmp.rest, self.sent.len());
        self.sent.push(Sent { size, at, rtt: None, replies: 0 });
        Ok(echo.icmp.rest)
    }

    /// Sends the request that is due, if one is, and takes what has come.
    pub(super) async fn beat(&mut self, t: &mut Trial) -> Flow {
        if Instant::now() >= self.next {
            self.next = (self.next + self.every).max(Instant::now());
            self.send(t).await?;
        }
        self.collect(t);
        Ok(())
    }

    /// Takes what has come.
    pub(super) fn collect(&mut self, t: &mut Trial) {
        for seen in t.take_seen() {
            self.take(&seen);
        }
        if self.sent.iter().all(|sent| sent.replies > 0) {
            t.is_answered();
        }
    }

    fn take(&mut self, seen: &Seen) {
        let Some(reply) = seen.icmp().filter(|icmp| icmp.kind == icmp::ECHO_REPLY) else { return };
        let Some(&at) = self.by_number.get(&reply.rest) else { return };
        let Some(sent) = self.sent.get_mut(at) else { return };
        sent.replies += 1;
        sent.rtt.get_or_insert(seen.time.since(sent.at));
        self.overtaken += usize::from(at < self.last);
        self.last = at.max(self.last);
    }

    /// Sends `count` requests, and waits for all that comes of them.
    pub(super) async fn run(&mut self, t: &mut Trial, count: usize) -> Flow {
        while self.sent.len() < count {
            self.beat(t).await?;
            let left = self.next.saturating_duration_since(Instant::now());
            t.listen(left).await?;
        }
        self.end(t).await
    }

    /// Waits for what is still on its way.
    pub(super) async fn end(&mut self, t: &mut Trial) -> Flow {
        self.collect(t);
        t.survives().await?;
        self.collect(t);
        Ok(())
    }

    /// How many were sent.
    pub(super) fn count(&self) -> usize {
        self.sent.len()
    }

    /// How many were not answered.
    pub(super) fn lost(&self) -> usize {
        self.sent.iter().filter(|sent| sent.replies == 0).count()
    }

    /// How many replies came twice or more.
    pub(super) fn doubled(&self) -> u32 {
        self.sent.iter().map(|sent| sent.replies.saturating_sub(1)).sum()
    }

    /// The round trips of those of that size.
    pub(super) fn times_of(&self, size: usize) -> Vec<Duration> {
        let of_size = self.sent.iter().filter(|sent| sent.size == size);
        of_size.filter_map(|sent| sent.rtt).collect()
    }

    /// The round trips of all.
    pub(super) fn times(&self) -> Vec<Duration> {
        self.sent.iter().filter_map(|sent| sent.rtt).collect()
    }
}
