//! TCP connections that a test opens, so that none outlives it.

use std::collections::BTreeMap;

use super::Trial;
use crate::conformance::model::Flow;
use crate::conformance::seen::Seen;
use crate::conformance::stimulus::Segment;
use crate::craft::layers::Tcp;
use crate::proto::tcp;

/// Connections that are remembered at most.
const MOST: usize = 1000;

/// Our port and the device's.
type Ports = (u16, u16);

/// The connections of a test, as its own address sees them.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// What the device has acknowledged last, if anything.
    open: BTreeMap<Ports, Option<u32>>,
}

impl Connections {
    /// A frame of ours goes: one with SYN may open a connection.
    pub(super) fn sent(&mut self, frame: &Seen) {
        let Some(segment) = frame.tcp() else { return };
        if segment.has(tcp::SYN) && self.open.len() < MOST {
            self.open.entry((segment.source, segment.destination)).or_default();
        }
    }

    /// A frame came: what it acknowledges, or that the connection is over.
    pub(super) fn received(&mut self, frame: &Seen) {
        let Some(segment) = frame.tcp() else { return };
        let ports = (segment.destination, segment.source);
        if segment.has(tcp::RST) {
            self.open.remove(&ports);
        } else if segment.has(tcp::ACK)
            && let Some(acknowledged) = self.open.get_mut(&ports)
        {
            *acknowledged = Some(segment.ack);
        }
    }

    /// Forgets them; those that the device may still know, with what it wants next.
    fn take(&mut self) -> Vec<(Ports, u32)> {
        let open = std::mem::take(&mut self.open);
        open.into_iter().filter_map(|(ports, seq)| Some((ports, seq?))).collect()
    }
}

impl Trial {
    /// A segment to a port, from a port of its own, with a window of 4096 and no flags.
    pub fn segment(&mut self, port: u16) -> Segment {
        let source = self.rig.numbers.port();
        self.segment_from(source, port)
    }

    /// The same from one of our ports.
    pub fn segment_from(&mut self, source: u16, port: u16) -> Segment {
        let tcp = Tcp { window: 4096, ..Tcp::new(source, port) };
        Segment { eth: self.eth(0x0800), ip: self.ip(6), tcp, data: Vec::new() }
    }

    /// Takes the segments to our port from the device's out of what has come, and leaves the rest.
    pub fn take_segments(&mut self, ours: u16, theirs: u16) -> Vec<Seen> {
        let is_of = |seen: &Seen| {
            let ports = seen.tcp().map(|segment| (segment.destination, segment.source));
            ports == Some((ours, theirs))
        };
        if !self.seen.iter().any(is_of) {
            return Vec::new();
        }
        let (taken, left) = std::mem::take(&mut self.seen).into_iter().partition(is_of);
        self.seen = left;
        taken
    }

    /// Resets every connection that the test has opened and that may be left.
    pub async fn close_connections(&mut self) -> Flow {
        self.close_web().await?;
        for ((ours, theirs), seq) in self.connections.take() {
            let reset = self.segment_from(ours, theirs);
            let reset = reset.tcp(|tcp| (tcp.seq, tcp.flags, tcp.window) = (seq, tcp::RST, 0));
            self.send(&reset.frame()).await?;
        }
        Ok(())
    }

    /// No longer cares for a connection: somebody else ends it.
    pub fn forget_connection(&mut self, ours: u16, theirs: u16) {
        self.connections.open.remove(&(ours, theirs));
    }
}
