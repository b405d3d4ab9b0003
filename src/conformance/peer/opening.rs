//! How connections of a test begin.

use super::{Peer, SEGMENT_HEADERS, TRIES};
use crate::conformance::model::{Flow, Halt};
use crate::conformance::seen::Seen;
use crate::conformance::stimulus::Segment;
use crate::conformance::trial::{ANSWER, Trial, said};
use crate::proto::tcp;

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The device's port.
    pub port: u16,
    /// Ours; by itself one that was never used.
    pub source: Option<u16>,
    /// Our initial sequence number; by itself one of its own.
    pub isn: Option<u32>,
    /// The MSS that the SYN offers; `None` leaves the option away.
    pub mss: Option<u16>,
    /// The window that we announce.
    pub window: u16,
    /// Whether what comes is acknowledged without being asked.
    pub acknowledges: bool,
    /// How often the SYN goes.
    pub tries: u32,
}

impl Opening {
    /// To a port of the device, with the largest MSS and a window of 4096.
    pub const fn to(port: u16) -> Self {
        let mss = Some(1460);
        let (window, acknowledges, tries) = (4096, true, TRIES);
        Opening { port, source: None, isn: None, mss, window, acknowledges, tries }
    }

    /// With this MSS, or none.
    #[must_use]
    pub const fn mss(self, mss: Option<u16>) -> Self {
        Opening { mss, ..self }
    }

    /// With this window.
    #[must_use]
    pub const fn window(self, window: u16) -> Self {
        Opening { window, ..self }
    }

    /// From this port of ours.
    #[must_use]
    pub const fn from(self, source: u16) -> Self {
        Opening { source: Some(source), ..self }
    }

    /// With this initial sequence number.
    #[must_use]
    pub const fn isn(self, isn: u32) -> Self {
        Opening { isn: Some(isn), ..self }
    }

    /// What comes is not acknowledged.
    #[must_use]
    pub const fn mute(self) -> Self {
        Opening { acknowledges: false, ..self }
    }

    /// The SYN goes once, whatever comes.
    #[must_use]
    pub const fn once(self) -> Self {
        Opening { tries: 1, ..self }
    }

    /// The SYN.
    pub fn syn(&self, t: &mut Trial) -> Segment {
        let segment = match self.source {
            Some(source) => t.segment_from(source, self.port),
            None => t.segment(self.port),
        };
        let isn = self.isn.unwrap_or(0x1000_0000 | u32::from(segment.tcp.source) << 12);
        let largest = t.max_frame().saturating_sub(SEGMENT_HEADERS) as u16;
        segment.tcp(|tcp| {
            (tcp.seq, tcp.flags, tcp.window) = (isn, tcp::SYN, self.window);
            if let Some(mss) = self.mss {
                tcp.options = [&[2, 4], &mss.min(largest).to_be_bytes()[..]].concat();
            }
        })
    }

    /// Opens a connection that has to be had: one that is refused or not answered fails the test.
    pub async fn open(self, t: &mut Trial) -> Flow<Peer> {
        let port = self.port;
        let attempt = self.attempt(t).await?;
        let actual = match &attempt {
            Attempt::Open(_) => "it is open".to_owned(),
            Attempt::Refused(seen) => said(seen),
            Attempt::Silent => "nothing came, while pings were answered".to_owned(),
        };
        let is_open = matches!(attempt, Attempt::Open(_));
        let expected = format!("a connection to port {port}: the SYN is answered by SYN and ACK");
        if !is_open && !t.is_alive().await? {
            return Err(Halt::Inconclusive("the device did not answer a ping as well".to_owned()));
        }
        t.must(is_open, expected, actual);
        match attempt {
            Attempt::Open(peer) => Ok(*peer),
            Attempt::Refused(_) | Attempt::Silent => Err(Halt::Failed),
        }
    }

    /// Tries to open a connection; the SYN goes again where nothing comes.
    pub async fn attempt(self, t: &mut Trial) -> Flow<Attempt> {
        let syn = self.syn(t);
        for _ in 0..self.tries {
            t.send(&syn.frame()).await?;
            t.wait_for(ANSWER, |seen| is_reply(&syn, seen)).await?;
            let came = t.take_segments(syn.tcp.source, syn.tcp.destination);
            let reply = came.iter().find(|seen| is_reply(&syn, seen));
            let Some((seen, segment)) = reply.and_then(|seen| Some((seen, seen.tcp()?))) else {
                continue;
            };
            if segment.has(tcp::RST) {
                return Ok(Attempt::Refused(seen.clone()));
            }
            let mut peer = Peer::new(&self, syn, seen, &segment);
            peer.acknowledge(t).await?;
            return Ok(Attempt::Open(Box::new(peer)));
        }
        Ok(Attempt::Silent)
    }
}

/// Whether it answers that SYN, for or against.
fn is_reply(syn: &Segment, seen: &Seen) -> bool {
    let wanted = syn.tcp.seq.wrapping_add(1);
    seen.tcp().filter(|_| syn.is_answered_by(seen)).is_some_and(|segment| {
        segment.has(tcp::ACK)
            && segment.ack == wanted
            && (segment.has(tcp::SYN) || segment.has(tcp::RST))
    })
}

/// What came of an attempt to connect.
#[derive(Debug)]
pub enum Attempt {
    /// A connection.
    Open(Box<Peer>),
    /// A reset.
    Refused(Seen),
    /// Nothing.
    Silent,
}
