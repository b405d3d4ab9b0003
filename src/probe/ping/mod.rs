//! Echo requests on a schedule, and what becomes of them.
//!
//! Requests leave at absolute times, so that a slow answer does not shift the next one. Every
//! request stays on the list until it is answered; one that is answered late still counts, as in
//! ping. The outcome of each is told as it happens; [`Statistics`] sums up. A line that goes away may come
//! back (`absence`): the schedule goes on, and what would have left meanwhile is lost.

mod absence;
pub(super) mod echo;
mod outcome;
mod statistics;

use std::collections::{HashMap, VecDeque};
use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::Instant;

use super::inject::Disguise;
use super::{Probe, neighbours6};
use crate::clock::Timestamp;
use crate::dissect::Dissector;
use crate::endpoint::Connector;
use crate::error::{Error, Result};
use crate::proto::Stack;
use crate::record::{Body, Record};
use crate::stop::Stop;
use outcome::damage;
pub use outcome::{Damage, Outcome, Reply};
pub use statistics::Statistics;

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// An IPv6 address; `None` is the device's IPv4 address.
    pub target: Option<Ipv6Addr>,
    /// How many requests; `None` is until told to stop.
    pub count: Option<u64>,
    /// From one request to the next.
    pub interval: Duration,
    /// When a request counts as unanswered, and how long to wait for the last.
    pub timeout: Duration,
    /// Bytes of data: from the first to the last of the range, one after the other, and again.
    pub sizes: RangeInclusive<usize>,
    /// Steps from one size to the next.
    pub step: usize,
    /// The data, repeated; empty is 00, 01, 02, ...
    pub pattern: Vec<u8>,
    /// ICMP identifier.
    pub identifier: u16,
    /// Time to live; IPv6 calls it hop limit.
    pub ttl: u8,
    /// Type of service; IPv6 calls it traffic class.
    pub tos: u8,
    /// What is unusual about the requests.
    pub disguise: Disguise,
}

/// What is known about a request that was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    number: u64,
    size: usize,
    at: Timestamp,
    due: Instant,
    answered: bool,
    told: bool,
}

/// Runs `plan` on `probe` until it is done, told to stop, or the line is gone, telling each outcome;
/// the sum, and what ended the line.
pub async fn run(
    probe: &mut Probe,
    plan: &Plan,
    stop: &mut Stop,
    tell: impl FnMut(Outcome),
) -> (Statistics, Option<Error>) {
    run_over(None, probe, plan, stop, tell).await
}

/// The same over a line that may go away: `connector` finds it again.
pub async fn run_over(
    connector: Option<&dyn Connector>,
    probe: &mut Probe,
    plan: &Plan,
    stop: &mut Stop,
    mut tell: impl FnMut(Outcome),
) -> (Statistics, Option<Error>) {
    if let Some(target) = plan.target
        && let Err(error) = neighbours6::resolve(probe, target, plan.timeout).await
    {
        return (Statistics::default(), Some(error));
    }
    let start = Instant::now();
    let mut run = Run {
        plan,
        start,
        next_departure: start,
        next_size: *plan.sizes.start(),
        sent: HashMap::new(),
        open: VecDeque::new(),
        statistics: Statistics::default(),
        dissector: Dissector::default(),
        asked: false,
    };
    let result = loop {
        let (connector, error) = match (run.go(probe, stop, &mut tell).await, connector) {
            (Err(error), Some(connector)) => (connector, error),
            (result, _) => break result,
        };
        match run.wait_for(connector, error, probe, stop, &mut tell).await {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    for record in probe.drain() {
        run.arrive(&record, probe, &mut tell);
    }
    (run.finish(), result.err())
}

/// How long a frame that has begun may take after the word to stop.
const FINISH: Duration = Duration::from_millis(500);

async fn long_after(stop: &mut Stop) {
    stop.wait().await;
    tokio::time::sleep(FINISH).await;
}

struct Run<'a> {
    plan: &'a Plan,
    start: Instant,
    /// When the next request leaves, if one does.
    next_departure: Instant,
    next_size: usize,
    /// By sequence number, which wraps: an old request gives way to the new one.
    sent: HashMap<u16, Sent>,
    /// Numbers of requests whose time is not up, oldest first. All have the same time.
    open: VecDeque<u64>,
    statistics: Statistics,
    dissector: Dissector,
    /// Whether the device was asked for its Ethernet address.
    asked: bool,
}

impl Run<'_> {
    /// Until every request has left and has been answered or given up.
    async fn go(
        &mut self,
        probe: &mut Probe,
        stop: &mut Stop,
        tell: &mut impl FnMut(Outcome),
    ) -> Result<()> {
        while !stop.is_stopped() {
            // What has come goes before what is due: a late reply is not told as missing.
            while let Some(record) = probe.receive(Instant::now()).await? {
                self.arrive(&record, probe, tell);
            }
            let now = Instant::now();
            if self.expire(now, tell) {
                probe.ask_for_device().await?;
            }
            let departure = self.departure();
            if departure.is_some_and(|at| at <= now) {
                // A frame that has begun is finished if the line takes it at all: half of one would
                // cost whoever comes next.
                tokio::select! {
                    biased;
                    departed = self.depart(probe) => departed?,
                    () = long_after(stop) => {
                        self.statistics.unsent += 1;
                        return Ok(());
                    }
                }
                continue;
            }
            let Some(deadline) = self.next_deadline(departure) else { return Ok(()) };
            let record = tokio::select! {
                biased;
                () = stop.wait() => return Ok(()),
                record = probe.receive(deadline) => record?,
            };
            if let Some(record) = record {
                self.arrive(&record, probe, tell);
            }
        }
        Ok(())
    }

    /// When the next request leaves; `None` when all have left.
    fn departure(&self) -> Option<Instant> {
        let n = self.statistics.transmitted;
        self.plan.count.is_none_or(|count| n < count).then_some(self.next_departure)
    }

    /// The oldest request that still has time, after forgetting those that need it no more.
    fn oldest_open(&mut self) -> Option<Sent> {
        while let Some(number) = self.open.front() {
            let sent = self.sent.get(&(*number as u16)).filter(|sent| sent.number == *number);
            match sent {
                Some(sent) if !sent.answered && !sent.told => return Some(*sent),
                _ => self.open.pop_front(),
            };
        }
        None
    }

    /// When there is something to do next; `None` when the run is over.
    fn next_deadline(&mut self, departure: Option<Instant>) -> Option<Instant> {
        self.oldest_open().map(|sent| sent.due).into_iter().chain(departure).min()
    }

    async fn depart(&mut self, probe: &mut Probe) -> Result<()> {
        let number = self.statistics.transmitted + 1;
        let data = self.data(self.next_size);
        let frame = echo::request(self.plan, probe.identity(), number as u16, &data)?;
        let at = self.plan.disguise.wire.send(probe, &frame).await?;
        self.departed(at);
        Ok(())
    }

    /// Notes that the next request left at `at`.
    fn departed(&mut self, at: Timestamp) {
        let number = self.statistics.transmitted + 1;
        let size = self.next_size;
        let (first, last) = (*self.plan.sizes.start(), *self.plan.sizes.end());
        self.next_size = if size + self.plan.step > last { first } else { size + self.plan.step };
        let due = Instant::now() + self.plan.timeout;
        let sent = Sent { number, size, at, due, answered: false, told: false };
        if let Some(old) = self.sent.insert(number as u16, sent)
            && !old.answered
        {
            *self.statistics.unanswered.entry(old.size).or_default() += 1;
        }
        self.open.push_back(number);
        self.statistics.transmitted = number;
        // Departures keep their schedule; where the line is slower than that, it decides.
        self.next_departure = (self.next_departure + self.plan.interval).max(Instant::now());
    }

    fn data(&self, size: usize) -> Vec<u8> {
        match &self.plan.pattern[..] {
            [] => (0..size).map(|n| n as u8).collect(),
            pattern => pattern.iter().copied().cycle().take(size).collect(),
        }
    }

    /// Tells the requests whose time is up. The first time the device is to be asked whether it is where
    /// we think it is: then true.
    fn expire(&mut self, now: Instant, tell: &mut impl FnMut(Outcome)) -> bool {
        let mut asks = false;
        while let Some(sent) = self.oldest_open().filter(|sent| sent.due <= now) {
            if let Some(sent) = self.sent.get_mut(&(sent.number as u16)) {
                sent.told = true;
            }
            tell(Outcome::Timeout { number: sent.number, size: sent.size });
            let goes_on = self.departure().is_some();
            let is_lost = self.statistics.received == 0 && goes_on;
            if is_lost && self.plan.target.is_none() && !std::mem::replace(&mut self.asked, true) {
                asks = true;
            }
        }
        asks
    }

    fn arrive(&mut self, record: &Record, probe: &Probe, tell: &mut impl FnMut(Outcome)) {
        match &record.body {
            Body::Frame(frame) => {
                let now = record.time.map_or(Timestamp::default(), |span| span.last);
                let mut dissector = std::mem::take(&mut self.dissector);
                let outcome = self.judge(&dissector.dissect(frame), now, probe);
                self.dissector = dissector;
                if let Some(outcome) = outcome {
                    tell(outcome);
                }
            }
            Body::FramingError(error) => {
                tell(Outcome::Framing(error.describe(record.offset).to_string()));
            }
            Body::Packet(_)
            | Body::Gap { .. }
            | Body::Link(_)
            | Body::Console(_)
            | Body::Impaired(_) => {}
        }
    }

    /// What a frame means for our requests.
    fn judge(&mut self, stack: &Stack<'_>, now: Timestamp, probe: &Probe) -> Option<Outcome> {
        let message = echo::message(stack)?;
        let ours = message.identifier == self.plan.identifier;
        let mut sent = *self.sent.get(&message.sequence).filter(|_| ours)?;
        if !message.is_reply {
            self.statistics.errors += 1;
            let mut line = crate::proto::line::Line::new(false);
            stack.summarise(message.at, &mut line);
            let text = String::from_utf8_lossy(line.as_bytes()).into_owned();
            return Some(Outcome::Error { number: sent.number, from: message.from, text });
        }
        if let Some(what) = echo::misdirection(stack, probe.identity(), self.plan.target) {
            return Some(Outcome::Misdirected { number: sent.number, what });
        }
        if echo::is_damaged(stack) {
            return Some(Outcome::BadChecksum { number: sent.number });
        }
        let reply = Reply {
            number: sent.number,
            length: message.length,
            ttl: message.ttl,
            time: now.since(sent.at),
            damage: damage(&self.data(sent.size), message.data),
        };
        self.statistics.damaged += u64::from(reply.damage.is_some());
        if std::mem::replace(&mut sent.answered, true) {
            self.statistics.duplicates += 1;
            return Some(Outcome::Duplicate(reply));
        }
        self.sent.insert(message.sequence, sent);
        self.statistics.received += 1;
        self.statistics.largest_answered = self.statistics.largest_answered.max(Some(sent.size));
        self.statistics.add_time(reply.time);
        Some(Outcome::Reply(reply))
    }

    fn finish(mut self) -> Statistics {
        let now = Instant::now();
        for sent in self.sent.values().filter(|sent| !sent.answered) {
            if sent.due > now && !sent.told {
                self.statistics.in_flight += 1;
            } else {
                *self.statistics.unanswered.entry(sent.size).or_default() += 1;
            }
        }
        self.statistics.elapsed = self.start.elapsed();
        self.statistics
    }
}
