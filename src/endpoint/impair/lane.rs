//! One direction of an impaired line: frames and times in, fates and frames out. No clock, no sockets.
//!
//! A frame that is not dropped is cut, then damaged, then doubled; it waits its delay, never less than
//! the one before it, so that order is kept; a frame to be reordered waits for the next one instead, and
//! goes behind that. Then the line carries it, at its rate, or stands still in front of it.
//! What is no frame keeps its place among the frames and is changed by nothing.
//!
//! What waits is bounded in bytes: frames beyond that are lost, as in any queue, and counted. Where
//! the line has a rate, whoever sends is held up before it comes to that, as at a real line.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::dice::{Dice, Fate};
use super::rules::Rules;
use super::tally::Tally;
use crate::clock::Timestamp;
use crate::framing::Framing;
use crate::record::FramingError;

/// Bytes of frames that wait at most, and of what is no frame.
pub(super) const ROOM: usize = 1024 * 1024;
/// How long a frame that is to go after the next one waits for that.
pub(super) const HOLD: Duration = Duration::from_millis(100);
/// Bytes that a line with a rate takes before it has carried them: what a driver and a UART hold.
const TAKEN: usize = 4096;
/// Bits on the line for a byte: eight, a start and a stop bit.
const BITS: u128 = 10;

/// What goes along a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// A frame.
    Frame(Bytes),
    /// Bytes that are to be sent as they are.
    Raw(Bytes),
    /// Bytes that were received and make no frame.
    Error(FramingError),
}

impl Load {
    /// All of it.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Load::Frame(bytes) | Load::Raw(bytes) => bytes,
            Load::Error(error) => &error.bytes,
        }
    }
}

/// What comes out of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// What it is.
    pub load: Load,
    /// Where it was in the raw stream.
    pub offset: Option<u64>,
    /// How long it took to arrive, from its first byte to its last.
    pub lasted: Duration,
    /// When it comes out; of a frame that is lost, when that was.
    pub at: Timestamp,
    /// What was done to it; empty if nothing.
    pub what: String,
    /// It went no further.
    pub is_lost: bool,
    /// When it went in.
    since: Timestamp,
}

/// A frame that waits for the next.
#[derive(Debug)]
struct Held {
    frames: Vec<Passed>,
    fate: Fate,
    until: Timestamp,
}

/// One direction of a line.
#[derive(Debug)]
pub(super) struct Lane {
    rules: Rules,
    dice: Dice,
    framing: &'static Framing,
    tally: Arc<Tally>,
    /// In the order in which they come out.
    waiting: VecDeque<Passed>,
    /// What is lost and was not told of.
    lost: VecDeque<Passed>,
    held: Option<Held>,
    /// Bytes of frames that wait, and of everything else.
    frame_bytes: usize,
    other_bytes: usize,
    /// When what went in last has waited its delay.
    released: Timestamp,
    /// When the line has carried everything that is on it.
    free: Timestamp,
}

impl Lane {
    pub fn new(rules: Rules, dice: Dice, framing: &'static Framing, tally: Arc<Tally>) -> Lane {
        Lane {
            rules,
            dice,
            framing,
            tally,
            waiting: VecDeque::new(),
            lost: VecDeque::new(),
            held: None,
            frame_bytes: 0,
            other_bytes: 0,
            released: Timestamp::default(),
            free: Timestamp::default(),
        }
    }

    /// Whether something may have to wait.
    pub fn has_waiting(&self) -> bool {
        self.rules.has_waiting()
    }

    /// A frame that came at `now`; `offset` and `lasted` as in [`Passed`].
    pub fn frame(&mut self, now: Timestamp, frame: Bytes, offset: Option<u64>, lasted: Duration) {
        self.tally.frames.up();
        let fate = self.dice.roll(frame.len());
        let mut passed = Passed {
            load: Load::Frame(frame),
            offset,
            lasted,
            at: now,
            what: String::new(),
            is_lost: false,
            since: now,
        };
        if fate.drop {
            self.tally.dropped.up();
            return self.lose(passed, "dropped");
        }
        self.damage(&mut passed, &fate);
        let mut frames = vec![passed.clone()];
        if fate.dup {
            self.tally.doubled.up();
            passed.say("sent a second time".to_owned());
            frames.push(passed);
        }
        if fate.reorder && self.held.is_none() {
            self.held = Some(Held { frames, fate, until: now + HOLD });
            return;
        }
        self.schedule_all(now, frames, &fate);
        if let Some(mut held) = self.held.take() {
            self.tally.reordered.up();
            held.frames.iter_mut().for_each(|frame| frame.say("sent after the next".to_owned()));
            self.schedule_all(now, held.frames, &held.fate);
        }
    }

    /// What is no frame, which came at `now`: it keeps its place.
    pub fn other(&mut self, now: Timestamp, load: Load, offset: Option<u64>, lasted: Duration) {
        self.let_go(now);
        let passed = Passed {
            load,
            offset,
            lasted,
            at: now,
            what: String::new(),
            is_lost: false,
            since: now,
        };
        let fate = Fate { delay: self.rules.delay, ..Fate::default() };
        self.schedule(now, passed, &fate);
    }

    /// Cuts it, then turns bits of what is left.
    fn damage(&mut self, passed: &mut Passed, fate: &Fate) {
        let Load::Frame(frame) = &mut passed.load else { return };
        let whole = frame.len();
        let mut what = Vec::new();
        if let Some(length) = fate.truncate.filter(|length| *length < whole) {
            self.tally.truncated.up();
            frame.truncate(length);
            what.push(format!("truncated from {whole} bytes to {length}"));
        }
        if !fate.corrupt.is_empty() {
            self.tally.corrupted.up();
            let mut bytes = BytesMut::from(&frame[..]);
            for bit in &fate.corrupt {
                if let Some(byte) = bytes.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            *frame = bytes.freeze();
            what.push(match fate.corrupt.as_slice() {
                [bit] => format!("corrupted bit {} of byte {}", bit % 8, bit / 8),
                bits => format!("corrupted {} bits from byte {} on", bits.len(), bits[0] / 8),
            });
        }
        what.into_iter().for_each(|what| passed.say(what));
    }

    fn schedule_all(&mut self, now: Timestamp, frames: Vec<Passed>, fate: &Fate) {
        let mut fate = fate.clone();
        for frame in frames {
            self.schedule(now, frame, &fate);
            fate.stall = false; // not for the copy again
        }
    }

    /// Gives it its place and its time.
    fn schedule(&mut self, now: Timestamp, mut passed: Passed, fate: &Fate) {
        let is_frame = matches!(passed.load, Load::Frame(_));
        let n = passed.load.bytes().len();
        if is_frame && self.frame_bytes + n > ROOM {
            self.tally.crowded_out.up();
            return self.lose(passed, "dropped, since too many were waiting");
        }
        self.released = self.released.max(now).max(passed.since + fate.delay);
        let mut start = self.released.max(self.free);
        if fate.stall {
            self.tally.stalls.up();
            start = start + self.rules.stall_for;
            passed.say(format!("the line stood still for {:?}", self.rules.stall_for));
        }
        self.free = start + self.time_of(&passed.load);
        passed.at = self.free;
        let late = passed.at.since(passed.since);
        if is_frame {
            self.frame_bytes += n;
            self.tally.arrive(late);
            if !late.is_zero() {
                passed.say(format!("delayed {:.3} ms", late.as_secs_f64() * 1e3));
            }
        } else {
            self.other_bytes += n;
        }
        self.waiting.push_back(passed);
    }

    /// How long the line takes to carry it.
    fn time_of(&self, load: &Load) -> Duration {
        let Some(rate) = self.rules.rate else { return Duration::ZERO };
        let n = match load {
            Load::Frame(frame) => {
                let mut line = Vec::with_capacity(frame.len() + 4);
                match self.framing.encode(frame, &mut line) {
                    Ok(()) => line.len(),
                    Err(_) => frame.len(),
                }
            }
            other => other.bytes().len(),
        };
        time_of(n, rate)
    }

    fn lose(&mut self, mut passed: Passed, what: &str) {
        passed.what = what.to_owned();
        passed.is_lost = true;
        // Of what nobody asks for, the latest is kept.
        if self.lost.len() >= MAX_LOST {
            self.lost.pop_front();
        }
        self.lost.push_back(passed);
    }

    /// The frame that waits for a next one waits no longer.
    fn let_go(&mut self, now: Timestamp) {
        if let Some(held) = self.held.take() {
            self.schedule_all(now, held.frames, &held.fate);
        }
    }

    /// When there is something to be had from [`Lane::next`]; `None` while nothing waits.
    pub fn due(&self) -> Option<Timestamp> {
        let front = self.waiting.front().map(|passed| passed.at);
        let lost = self.lost.front().map(|passed| passed.at);
        let held = self.held.as_ref().map(|held| held.until);
        [front, lost, held].into_iter().flatten().min()
    }

    /// The next thing that is out by `now`.
    pub fn next(&mut self, now: Timestamp) -> Option<Passed> {
        if let Some(until) = self.held.as_ref().map(|held| held.until).filter(|until| *until <= now)
        {
            self.let_go(until);
        }
        if let Some(lost) = self.lost.pop_front() {
            return Some(lost);
        }
        self.waiting.front().filter(|passed| passed.at <= now)?;
        let passed = self.waiting.pop_front()?;
        let n = passed.load.bytes().len();
        match passed.load {
            Load::Frame(_) => self.frame_bytes -= n,
            _ => self.other_bytes -= n,
        }
        Some(passed)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.lost.is_empty() && self.held.is_none()
    }

    /// Until when more is not taken; `None` when it is.
    pub fn busy(&self, now: Timestamp) -> Option<Timestamp> {
        let full = match self.other_bytes > ROOM {
            true => self.waiting.front().map(|passed| passed.at.max(now + TICK)),
            false => None,
        };
        let slow = self.rules.rate.and_then(|rate| {
            let ahead = self.rules.delay + self.rules.jitter + time_of(TAKEN, rate);
            let until = Timestamp(self.free.0.saturating_sub(nanos(ahead)));
            (until > now).then_some(until)
        });
        full.max(slow)
    }
}

/// Notes of lost frames that are kept for whoever takes them.
const MAX_LOST: usize = 4096;
/// How soon one looks again.
const TICK: Duration = Duration::from_millis(1);

fn time_of(bytes: usize, rate: u32) -> Duration {
    let nanos = bytes as u128 * BITS * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Passed {
    fn say(&mut self, what: String) {
        if !self.what.is_empty() {
            self.what.push_str(", ");
        }
        self.what.push_str(&what);
    }
}
