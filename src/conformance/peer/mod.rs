//! The judge's own TCP: a connection in the hands of a test, segment by segment.
//!
//! A [`Peer`] does what TCP does where the test does not say otherwise, and nothing behind its back: there
//! is no task and no timer. It looks at the line only while the test waits in one of its methods; what
//! came for others stays where it was, so that several peers live side by side. It acknowledges what
//! comes unless [`Peer::acknowledges`] is off, and keeps every segment with its time in
//! [`Incoming::arrivals`]. Sending is as plain: [`Peer::send`] cuts data into segments and does not look
//! back, [`Peer::write`] keeps to the window and sends again, [`Peer::segment`] is a segment to be sent
//! by hand with whatever is wrong with it.
//!
//! Everything that is left open when a test ends is reset by the trial. Do not call `settle`,
//! `exchange` or `silent` while peers are open: these take what has come, and peers would miss it.

mod incoming;
mod opening;
pub mod response;

use std::time::Duration;

use super::model::Flow;
use super::seen::{Seen, TcpView};
use super::stimulus::Segment;
use super::trial::Trial;
use crate::proto::tcp;
pub use incoming::{Arrival, Incoming};
pub use opening::{Attempt, Opening};
use response::{Reading, Response};

/// How long a server may think, or be silent within a response.
pub const THINKING: Duration = Duration::from_secs(5);
/// How long an acknowledgment may be delayed (RFC 9293 section 3.8.6.3), and be on its way.
pub const ACKNOWLEDGED: Duration = Duration::from_millis(1000);
/// What a peer that has named no MSS can take (RFC 9293 section 3.7.1).
const DEFAULT_MSS: u16 = 536;
/// Bytes of the headers in front of a segment's data.
const SEGMENT_HEADERS: usize = 54;
/// No wait is longer, however much comes.
const LONGEST: Duration = Duration::from_secs(120);
/// How often a segment goes that is not answered.
const TRIES: u32 = 4;

/// Our end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Our port.
    pub ours: u16,
    /// The device's.
    pub theirs: u16,
    /// The sequence number of what we send next.
    pub next: u32,
    /// What we acknowledge in every segment.
    pub acknowledged: u32,
    /// The window that we announce in every segment.
    pub window: u16,
    /// Whether what comes is acknowledged without being asked.
    pub acknowledges: bool,
    /// Whether the device's FIN stays without acknowledgment.
    pub holds_fin: bool,
    /// What has come.
    pub incoming: Incoming,
    /// The SYN and ACK that opened it.
    pub syn_ack: Seen,
    /// The MSS that the device has named, or is taken to have.
    pub their_mss: u16,
    /// The window that the device has announced last.
    pub their_window: u16,
    /// The highest acknowledgment that came.
    pub their_ack: u32,
    /// The reset that ended it, if one did.
    pub reset: Option<Seen>,
    /// Bytes of the stream that were taken as responses.
    pub taken: usize,
}

impl Peer {
    fn new(opening: &Opening, syn: Segment, seen: &Seen, segment: &TcpView<'_>) -> Self {
        let mut incoming = Incoming::new(segment.seq);
        let acknowledged = segment.seq.wrapping_add(1);
        incoming.announce(acknowledged, opening.window);
        Peer {
            ours: syn.tcp.source,
            theirs: syn.tcp.destination,
            next: syn.tcp.seq.wrapping_add(1),
            acknowledged,
            window: opening.window,
            acknowledges: opening.acknowledges,
            holds_fin: false,
            incoming,
            syn_ack: seen.clone(),
            their_mss: segment.mss().unwrap_or(DEFAULT_MSS),
            their_window: segment.window,
            their_ack: segment.ack,
            reset: None,
            taken: 0,
        }
    }

    /// A segment of this connection as it would be next, with these flags and ACK; it counts for nothing
    /// until it is sent, and [`Peer::next`] stays.
    pub fn segment(&self, t: &mut Trial, flags: u8) -> Segment {
        t.segment_from(self.ours, self.theirs).tcp(|tcp| {
            (tcp.seq, tcp.ack) = (self.next, self.acknowledged);
            (tcp.flags, tcp.window) = (flags | tcp::ACK, self.window);
        })
    }

    async fn put(&mut self, t: &mut Trial, segment: &Segment) -> Flow {
        self.incoming.announce(self.acknowledged, self.window);
        t.send(&segment.frame()).await
    }

    /// An ACK of what is acknowledged so far, with the window as it is.
    pub async fn acknowledge(&mut self, t: &mut Trial) -> Flow {
        let segment = self.segment(t, 0);
        self.put(t, &segment).await
    }

    /// Acknowledges everything that has come in order.
    pub async fn acknowledge_all(&mut self, t: &mut Trial) -> Flow {
        let held = u32::from(self.holds_fin && self.incoming.is_finished());
        self.acknowledged = self.incoming.expected().wrapping_sub(held);
        self.acknowledge(t).await
    }

    /// Announces another window.
    pub async fn announce(&mut self, t: &mut Trial, window: u16) -> Flow {
        self.window = window;
        self.acknowledge(t).await
    }

    /// The most data that goes into one segment: what the device takes and the line carries.
    pub fn mss(&self, t: &Trial) -> usize {
        let most = t.max_frame().saturating_sub(SEGMENT_HEADERS);
        usize::from(self.their_mss).clamp(1, most.max(1))
    }

    /// Data in segments as large as may be, at once, whatever the device's window is.
    pub async fn send(&mut self, t: &mut Trial, data: &[u8]) -> Flow {
        for piece in data.chunks(self.mss(t)) {
            self.send_piece(t, piece).await?;
        }
        Ok(())
    }

    /// Asks for a page, the last on this connection.
    pub async fn get(&mut self, t: &mut Trial, path: &str) -> Flow {
        let host = t.identity().device_ip;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        self.send(t, request.as_bytes()).await
    }

    /// Data in one segment.
    pub async fn send_piece(&mut self, t: &mut Trial, data: &[u8]) -> Flow {
        let segment = self.segment(t, tcp::PSH).data(data);
        self.next = self.next.wrapping_add(data.len() as u32);
        self.put(t, &segment).await
    }

    /// A segment with data that belongs `ahead` bytes behind what we send next; [`Peer::next`] stays, and
    /// is moved by [`Peer::skip`] when the gap is filled.
    pub async fn send_ahead(&mut self, t: &mut Trial, ahead: usize, data: &[u8]) -> Flow {
        let segment = self.segment(t, tcp::PSH).data(data);
        let segment = segment.tcp(|tcp| tcp.seq = tcp.seq.wrapping_add(ahead as u32));
        self.put(t, &segment).await
    }

    /// So many bytes went ahead.
    pub fn skip(&mut self, bytes: usize) {
        self.next = self.next.wrapping_add(bytes as u32);
    }

    /// Data within the device's window, sent again until it is acknowledged; whether it was.
    pub async fn write(&mut self, t: &mut Trial, data: &[u8]) -> Flow<bool> {
        let start = self.next;
        let acked = |peer: &Peer| {
            let n = peer.their_ack.wrapping_sub(start) as usize;
            if n <= data.len() { n } else { 0 }
        };
        let mut idle = 0;
        while acked(self) < data.len() {
            if self.reset.is_some() || idle >= TRIES {
                return Ok(false);
            }
            let done = acked(self);
            if idle > 0 {
                self.next = start.wrapping_add(done as u32);
            }
            let edge = (done + usize::from(self.their_window)).min(data.len());
            let mut at = self.next.wrapping_sub(start) as usize;
            while at < edge {
                let piece = &data[at..edge.min(at + self.mss(t))];
                self.send_piece(t, piece).await?;
                at += piece.len();
            }
            let window = self.their_window;
            let moved = |peer: &Peer| {
                acked(peer) > done || peer.their_window > window || peer.reset.is_some()
            };
            idle = if self.wait(t, ACKNOWLEDGED, moved).await? { 0 } else { idle + 1 };
        }
        self.next = start.wrapping_add(data.len() as u32);
        Ok(true)
    }

    /// A FIN behind what was sent.
    pub async fn finish(&mut self, t: &mut Trial) -> Flow {
        self.finish_with(t, &[]).await
    }

    /// The same in one segment with data.
    pub async fn finish_with(&mut self, t: &mut Trial, data: &[u8]) -> Flow {
        let segment = self.segment(t, tcp::FIN).data(data);
        self.next = self.next.wrapping_add(data.len() as u32 + 1);
        self.put(t, &segment).await
    }

    /// An exact reset. The trial no longer cares for the connection.
    pub async fn abort(&mut self, t: &mut Trial) -> Flow {
        // What was sent may not have been taken; what was acknowledged is what is expected.
        let seq = self.their_ack;
        let segment = self.segment(t, 0);
        let segment = segment.tcp(|tcp| (tcp.seq, tcp.flags, tcp.window) = (seq, tcp::RST, 0));
        self.put(t, &segment).await?;
        t.forget_connection(self.ours, self.theirs);
        Ok(())
    }

    /// Takes what has come for it, and acknowledges that; whether anything had.
    pub async fn poll(&mut self, t: &mut Trial) -> Flow<bool> {
        let came = t.take_segments(self.ours, self.theirs);
        let mut takes_answer = false;
        for seen in &came {
            if let Some(segment) = seen.tcp() {
                takes_answer |= self.take(seen, &segment);
            }
        }
        if self.acknowledges && takes_answer {
            self.acknowledge_all(t).await?;
        }
        Ok(!came.is_empty())
    }

    /// A segment came; whether it wants to be acknowledged.
    fn take(&mut self, seen: &Seen, segment: &TcpView<'_>) -> bool {
        if segment.has(tcp::RST) {
            self.reset = self.reset.take().or(Some(seen.clone()));
            return false;
        }
        self.incoming.take(seen, segment);
        if segment.has(tcp::ACK) {
            self.their_window = segment.window;
            if (segment.ack.wrapping_sub(self.their_ack) as i32) > 0 {
                self.their_ack = segment.ack;
            }
        }
        !segment.data.is_empty() || segment.flags & (tcp::FIN | tcp::SYN) != 0
    }

    /// Takes what comes until `done` says so, or nothing has come for `patience` on an idle line; whether
    /// it said so.
    pub async fn wait(
        &mut self,
        t: &mut Trial,
        patience: Duration,
        done: impl Fn(&Peer) -> bool,
    ) -> Flow<bool> {
        let end = tokio::time::Instant::now() + t.within(LONGEST.max(patience));
        loop {
            let came = self.poll(t).await?;
            if done(self) {
                return Ok(true);
            }
            if tokio::time::Instant::now() >= end {
                return Ok(false);
            }
            if came {
                continue;
            }
            let (ours, theirs) = (self.ours, self.theirs);
            // A window full of segments may be before what is waited for.
            let ahead = t.rig.pace.byte_time.saturating_mul(u32::from(self.window));
            let is_ours = |seen: &Seen| is_of(seen, ours, theirs);
            if !t.wait_for(patience + ahead, is_ours).await? {
                return Ok(false);
            }
        }
    }

    /// Takes what comes for exactly so long.
    pub async fn listen(&mut self, t: &mut Trial, time: Duration) -> Flow {
        let end = tokio::time::Instant::now() + time;
        loop {
            self.poll(t).await?;
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            t.listen_for_one(left).await?;
        }
    }

    /// Waits until what was sent is acknowledged; whether it was.
    pub async fn is_acknowledged(&mut self, t: &mut Trial) -> Flow<bool> {
        let wanted = self.next;
        self.wait(t, ACKNOWLEDGED, |peer| peer.their_ack == wanted).await
    }

    /// Waits until the device has sent its last byte and its FIN, or a reset; whether it was the FIN.
    pub async fn wait_for_end(&mut self, t: &mut Trial, patience: Duration) -> Flow<bool> {
        let ended = |peer: &Peer| peer.incoming.is_finished() || peer.reset.is_some();
        self.wait(t, patience, ended).await?;
        Ok(self.incoming.is_finished())
    }

    /// Reads the next response, until it is whole or nothing more comes. `has_body`: the request was not
    /// HEAD.
    pub async fn response(&mut self, t: &mut Trial, has_body: bool) -> Flow<Reading> {
        let ended = |peer: &Peer| {
            let is_whole = match peer.reading(has_body) {
                Reading::Response(response) => response.is_complete && response.status >= 200,
                Reading::Partial => false,
                Reading::Bad(_) => true,
            };
            is_whole || peer.incoming.is_finished() || peer.reset.is_some()
        };
        self.wait(t, THINKING, ended).await?;
        let reading = self.reading(has_body);
        if let Reading::Response(response) = &reading {
            self.taken += response.used;
        }
        Ok(reading)
    }

    /// What the stream holds behind the responses that were taken; 1xx are passed over.
    pub fn reading(&self, has_body: bool) -> Reading {
        let is_closed = self.incoming.is_finished() || self.reset.is_some();
        let mut rest = self.incoming.stream().get(self.taken..).unwrap_or_default();
        let mut passed = 0;
        loop {
            match response::read(rest, is_closed, has_body) {
                Reading::Response(interim @ Response { status: 100..=199, .. })
                    if interim.used < rest.len() =>
                {
                    passed += interim.used;
                    rest = rest.get(interim.used..).unwrap_or_default();
                }
                Reading::Response(response) => {
                    let used = response.used + passed;
                    return Reading::Response(Response { used, ..response });
                }
                other => return other,
            }
        }
    }
}

/// Whether a frame is a segment to our port from the device's.
fn is_of(seen: &Seen, ours: u16, theirs: u16) -> bool {
    seen.tcp().is_some_and(|segment| (segment.destination, segment.source) == (ours, theirs))
}
