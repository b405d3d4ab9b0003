//! A link that is never sent more than its line carries.
//!
//! [`Pacer`] is the pure part: it knows when the line will have carried what it was given, in absolute
//! nanoseconds, so that late timers cost nothing in the long run. A little may be given ahead, or the line would
//! stand still whenever we look a little late. [`paced`] puts it in front of a sending half: for endpoints whose
//! `line-rate=` is known, and for whoever sends at a rate of his own.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Connector, Link, Pending, Transmit};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::framing::Framing;

/// Bits on the line for a byte: eight, a start and a stop bit.
const BITS: u64 = 10;
/// How far the line may be given work ahead.
const AHEAD: Duration = Duration::from_millis(5);

/// When a line will have carried what it was given.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    baud: u32,
    ahead: Duration,
    /// When everything has been carried, in nanoseconds; and what of a nanosecond is left over, in parts of
    /// `baud`.
    free: Timestamp,
    rest: u64,
}

impl Pacer {
    /// A line of `baud`, idle so far; what it has 5 ms of work for may be given ahead.
    pub fn new(baud: u32) -> Pacer {
        Pacer { baud: baud.max(1), ahead: AHEAD, free: Timestamp::default(), rest: 0 }
    }

    /// When the next thing may go.
    pub fn ready(&self, now: Timestamp) -> Timestamp {
        let ahead = u64::try_from(self.ahead.as_nanos()).unwrap_or(u64::MAX);
        now.max(Timestamp(self.free.0.saturating_sub(ahead)))
    }

    /// `bytes` go at `now`.
    pub fn go(&mut self, now: Timestamp, bytes: usize) {
        if now > self.free {
            (self.free, self.rest) = (now, 0);
        }
        let baud = u128::from(self.baud);
        let work = bytes as u128 * u128::from(BITS) * 1_000_000_000 + u128::from(self.rest);
        self.free =
            self.free + Duration::from_nanos(u64::try_from(work / baud).unwrap_or(u64::MAX));
        self.rest = (work % baud) as u64;
    }

    /// How many bytes go without waiting on a line that is idle: what is cut into pieces is cut so.
    pub fn piece(&self) -> usize {
        let bytes =
            self.ahead.as_nanos() * u128::from(self.baud) / u128::from(BITS) / 1_000_000_000;
        usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
    }
}

/// `tx`, never faster than a line of `baud`; `framing` says how many bytes a frame is there.
pub fn paced(tx: Box<dyn Transmit>, baud: u32, framing: &'static Framing) -> Box<dyn Transmit> {
    let (pacer, start) = (Pacer::new(baud), Instant::now());
    Box::new(Paced { inner: tx, pacer, framing, start, buffer: Vec::new() })
}

/// `connector`, each link of which is paced. One that goes through another uarttool is left to that one.
pub(super) fn around(
    connector: Box<dyn Connector>,
    baud: u32,
    framing: &'static Framing,
) -> Box<dyn Connector> {
    Box::new(PacedConnector { inner: connector, baud, framing })
}

struct PacedConnector {
    inner: Box<dyn Connector>,
    baud: u32,
    framing: &'static Framing,
}

impl Connector for PacedConnector {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn prepare(&self) -> Pending<'_, Result<bool>> {
        self.inner.prepare()
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let link = self.inner.connect().await?;
            Ok(match link.about.shared {
                Some(_) => link,
                None => Link { tx: paced(link.tx, self.baud, self.framing), ..link },
            })
        })
    }

    fn is_persistent(&self) -> bool {
        self.inner.is_persistent()
    }
}

struct Paced {
    inner: Box<dyn Transmit>,
    pacer: Pacer,
    framing: &'static Framing,
    start: Instant,
    buffer: Vec<u8>,
}

impl Paced {
    fn now(&self) -> Timestamp {
        Timestamp::default() + self.start.elapsed()
    }

    async fn wait(&mut self) {
        let now = self.now();
        let ready = self.pacer.ready(now);
        if ready > now {
            tokio::time::sleep_until(self.start + ready.since_epoch()).await;
        }
    }

    /// How many bytes a frame is on the line; one that cannot be sent is refused below.
    fn size(&mut self, frame: &Bytes) -> usize {
        self.buffer.clear();
        match self.framing.encode(frame, &mut self.buffer) {
            Ok(()) => self.buffer.len(),
            Err(_) => 0,
        }
    }
}

impl Transmit for Paced {
    /// Frames for which the line has time go in one write.
    fn send<'a>(&'a mut self, frames: &'a [Bytes]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            let mut rest = frames;
            while !rest.is_empty() {
                self.wait().await;
                let now = self.now();
                let mut n = 0;
                while let Some(frame) = rest.get(n).filter(|_| self.pacer.ready(now) <= now) {
                    let size = self.size(frame);
                    self.pacer.go(now, size);
                    n += 1;
                }
                let (these, others) = rest.split_at(n.max(1).min(rest.len()));
                self.inner.send(these).await?;
                rest = others;
            }
            Ok(())
        })
    }

    fn send_raw<'a>(&'a mut self, bytes: &'a [u8]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            for piece in bytes.chunks(self.pacer.piece()) {
                self.wait().await;
                self.pacer.go(self.now(), piece.len());
                self.inner.send_raw(piece).await?;
            }
            Ok(())
        })
    }

    fn sent_at(&self) -> Option<Timestamp> {
        self.inner.sent_at()
    }

    fn close(&mut self) -> Pending<'_, Result<()>> {
        self.inner.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Received, memory};
    use crate::framing;

    #[test]
    fn a_line_is_never_given_more_than_it_carries_and_a_little() {
        for baud in [300, 115_200, 921_600, 3_000_000] {
            let mut pacer = Pacer::new(baud);
            let (mut now, mut given) = (Timestamp(7_000_000_000), 0u64);
            let start = now;
            for n in 0..10_000u64 {
                now = pacer.ready(now) + Duration::from_micros(n % 1500); // timers are late
                let bytes = (n % 1500 + 1) as usize;
                let carried = now.since(start).as_secs_f64() * f64::from(baud) / 10.0;
                let ahead = given as f64 - carried;
                assert!(ahead <= f64::from(baud) / 10.0 * 0.005 + 1.0, "{ahead} bytes ahead");
                pacer.go(now, bytes);
                given += bytes as u64;
            }
        }
    }

    #[test]
    fn late_timers_cost_nothing_while_the_line_has_work() {
        let mut pacer = Pacer::new(115_200);
        let mut now = Timestamp(0);
        for _ in 0..10_000 {
            now = pacer.ready(now) + Duration::from_millis(1);
            pacer.go(now, 100);
        }
        let line_time = 10_000.0 * 100.0 * 10.0 / 115_200.0;
        assert!((now.0 as f64 / 1e9 - line_time).abs() < 0.02, "{} s", now.0 as f64 / 1e9);
        // What an idle line has not carried is not made up for.
        let idle = now + Duration::from_secs(60);
        assert_eq!(pacer.ready(idle), idle);
        pacer.go(idle, 1152);
        assert_eq!(pacer.ready(idle), idle + Duration::from_millis(95));
    }

    #[tokio::test(start_paused = true)]
    async fn frames_and_raw_bytes_go_as_fast_as_the_line() {
        let (near, mut far) = memory::pair("test:", "far", framing::ALL[0]);
        let mut tx = paced(near.tx, 115_200, framing::ALL[0]);
        let started = Instant::now();
        let frames = vec![Bytes::from(vec![9; 98]); 50];
        let sending = async {
            tx.send(&frames).await.expect("it goes");
            tx.send_raw(&[7; 5000]).await.expect("it goes");
        };
        let mut got = Vec::new();
        let receiving = async {
            while got.len() < 10_000 {
                let Ok(Received::Bytes(bytes)) = far.rx.receive().await else { break };
                got.extend(bytes);
                let carried = started.elapsed().as_secs_f64() * 11_520.0;
                assert!(got.len() as f64 <= carried + 58.0 + 100.0, "{} at {carried}", got.len());
            }
        };
        tokio::join!(sending, receiving);
        let took = started.elapsed().as_secs_f64() / (10_000.0 / 11_520.0);
        assert!((0.98..1.02).contains(&took), "{took}");
        assert_eq!(got[..2], [0, 98]);
        assert_eq!(got[5000..], [7; 5000]);
    }
}
