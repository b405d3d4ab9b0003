//! What is downloaded, and downloads that go on as long as they are let.

use std::time::Duration;

use tokio::time::Instant;

use super::super::super::model::{Flow, Halt};
use super::super::super::trial::Trial;
use super::super::super::web::{Asking, Request};
use super::Line;
use super::pinger::Pinger;

/// The first page that is asked for: some devices have pages of every length.
const SAMPLE: (&str, u64) = ("/blob/1000", 1000);
/// A page shorter than this measures connections and not the line.
const LONG: u64 = 10_000;
/// The length of a page where nothing paces the line.
const UNPACED: u64 = 1_000_000;
/// Bytes that are enough for one stretch, however early: on a line without any pace, more tell no more.
const MOST: u64 = 32 * 1024 * 1024;
/// How long to wait behind a download that failed.
const PAUSE: Duration = Duration::from_millis(100);
/// So many that failed are enough.
const ENOUGH: u32 = 10;
/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) path: String,
    /// Bytes of its body.
    pub(super) length: u64,
}

impl Page {
    /// The page that takes about so long on this line, as far as the device has a choice.
    pub(super) async fn lasting(t: &mut Trial, time: Duration) -> Flow<Page> {
        let (path, length) = SAMPLE;
        let sample = t.ask(Request::get(path)).await?;
        if sample.is_whole(200) && sample.length == length {
            let line = Line::of(t);
            let fits = (line.rate * time.as_secs_f64()) as u64;
            let length = if line.is_known { fits.clamp(LONG, UNPACED) } else { UNPACED };
            return Ok(Page { path: format!("/blob/{length}"), length });
        }
        let page = t.ask(Request::get("/")).await?;
        if !page.is_whole(200) {
            let why = format!("GET / brought {}: look at http.get-root", page.said());
            return Err(Halt::Inconclusive(why));
        }
        let length = page.length;
        let short =
            if length < LONG { "; short as it is, throughput is only reported" } else { "" };
        t.remark(format!(
            "there is no {path}: the test loops over / with its {length} bytes{short}"
        ));
        Ok(Page { path: "/".to_owned(), length })
    }

    /// Whether it is long enough to fill the line.
    pub(super) fn is_long(&self) -> bool {
        self.length >= LONG
    }
}

/// Downloads of one page, one behind the other.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) page: Page,
    asking: Option<Asking>,
    /// What became of those that have ended.
    pub(super) tally: Tally,
    moved: (u64, Instant),
}

/// What downloads came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Bytes of bodies.
    pub(super) bytes: u64,
    /// Bytes of data on the connections, each counted once, and those that were sent again.
    pub(super) data: u64,
    pub(super) again: u64,
    /// The most data in one segment.
    pub(super) largest: u64,
    /// The most that the device was let have on its way on one connection.
    pub(super) window: u16,
    /// Whole pages.
    pub(super) pages: u32,
    /// Downloads that failed, and why the first did.
    pub(super) failed: u32,
    pub(super) why: Option<String>,
    /// The longest time without progress.
    pub(super) stall: Duration,
}

impl Load {
    pub(super) fn new(page: Page) -> Load {
        Load { page, asking: None, tally: Tally::default(), moved: (0, Instant::now()) }
    }

    /// Bytes of bodies so far.
    pub(super) fn bytes(&self) -> u64 {
        let under_way = self.asking.as_ref().map_or(0, |asking| asking.known().length);
        self.tally.bytes + under_way
    }

    /// Whether there is nothing more to be had of it.
    fn has_failed(&self) -> bool {
        self.tally.failed >= ENOUGH
    }

    /// Goes on until `end`, until enough has come, or until nothing is to be had any more: whether it was before
    /// the end. `pinger` sends its requests beside it.
    pub(super) async fn run(
        &mut self,
        t: &mut Trial,
        mut pinger: Option<&mut Pinger>,
        end: Instant,
    ) -> Flow<bool> {
        self.moved = (self.bytes(), Instant::now());
        let enough = self.bytes() + MOST;
        while Instant::now() < end {
            if self.has_failed() || self.bytes() >= enough {
                return Ok(true);
            }
            let mut next = end.min(Instant::now() + LOOK);
            if let Some(pinger) = pinger.as_deref_mut() {
                pinger.beat(t).await?;
                next = next.min(pinger.next);
            }
            self.step(t, next).await?;
            let (bytes, now) = (self.bytes(), Instant::now());
            if bytes > self.moved.0 {
                self.moved = (bytes, now);
            }
            self.tally.stall = self.tally.stall.max(now - self.moved.1);
            if pinger.is_none() {
                t.take_seen(); // what else comes is no matter of it
            }
        }
        Ok(false)
    }

    /// Goes on until `next`, or until a download has ended.
    async fn step(&mut self, t: &mut Trial, next: Instant) -> Flow {
        let asking = match self.asking.take() {
            Some(asking) => asking,
            None => t.begin(Request::get(self.page.path.clone()))?,
        };
        if !t.watch(&asking, next).await? {
            self.asking = Some(asking);
            return Ok(());
        }
        let exchange = t.finish(asking).await?;
        let is_whole = exchange.is_whole(200) && exchange.length == self.page.length;
        self.tally.note(&exchange);
        if is_whole {
            self.tally.pages += 1;
            return Ok(());
        }
        self.tally.failed += 1;
        self.tally.why.get_or_insert(exchange.said());
        t.listen(PAUSE).await
    }

    /// Breaks off what is under way; what all came to.
    pub(super) async fn stop(mut self, t: &mut Trial) -> Flow<Tally> {
        if let Some(asking) = self.asking.take() {
            let exchange = t.finish_until(asking, Some(Instant::now())).await?;
            self.tally.note(&exchange);
        }
        Ok(self.tally)
    }
}

impl Tally {
    fn note(&mut self, exchange: &super::super::super::web::Exchange) {
        self.bytes += exchange.length;
        let theirs = &exchange.wire.theirs;
        self.data += theirs.bytes;
        self.again += theirs.again;
        self.largest = self.largest.max(theirs.largest as u64);
        self.window = self.window.max(exchange.wire.window);
    }
}
