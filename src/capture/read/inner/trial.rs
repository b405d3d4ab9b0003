//! Whether a capture is one of the tunnel: a port proves nothing, since anybody may use it.
//!
//! The first packets are read as the tunnel's, and the records of each direction judged: frames in at least one
//! of them make it the tunnel.

use std::collections::HashMap;

use super::Tunnel;
use crate::capture::read::plausible::Tally;
use crate::framing::Framing;
use crate::record::{Direction, Record};

/// The judgement of a capture's first packets.
pub(in super::super) struct Trial {
    tunnel: Tunnel,
    /// By connection and direction.
    tallies: HashMap<(u32, Direction), Tally>,
    scratch: Vec<Record>,
}

impl Trial {
    pub(in super::super) fn new(port: u16, framing: &'static Framing, max_frame: usize) -> Self {
        Trial {
            tunnel: Tunnel::new(port, framing, max_frame),
            tallies: HashMap::new(),
            scratch: Vec::new(),
        }
    }

    /// Takes a packet; whether frames of the tunnel were seen by now.
    pub(in super::super) fn take(&mut self, record: &Record) -> bool {
        self.tunnel.take(record, &mut self.scratch);
        self.judge()
    }

    /// There are no more packets to judge by: whether what is left makes it the tunnel.
    pub(in super::super) fn finish(&mut self) -> bool {
        self.tunnel.finish(true, &mut self.scratch);
        self.judge()
    }

    fn judge(&mut self) -> bool {
        let mut shows = false;
        for record in self.scratch.drain(..) {
            let of = (record.origin.connection, record.origin.direction);
            let tally = self.tallies.entry(of).or_default();
            tally.add(&record.body);
            shows |= tally.is_stream();
        }
        shows
    }
}
