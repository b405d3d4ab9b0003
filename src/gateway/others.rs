//! Ports of ours that other processes use: they speak on this line under our address, and what comes back to
//! them must not be refused by us.
//!
//! What an attached process sends is overheard. A port that it has sent from is its own for a while, at least
//! as long as the binding of a client of its own would last (RFC 4787 section 4.3).

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long a port is remembered after the last packet from it.
const PATIENCE: Duration = Duration::from_secs(130);
/// Ports at once; of more, those that were silent the longest are forgotten.
const MOST: usize = 2048;

/// The ports, each with its protocol.
#[derive(Debug, Default)]
pub(super) struct Others {
    last: HashMap<(u8, u16), Instant>,
}

impl Others {
    /// Somebody else has sent from `port`.
    pub(super) fn note(&mut self, protocol: u8, port: u16) {
        let now = Instant::now();
        if self.last.len() >= MOST && !self.last.contains_key(&(protocol, port)) {
            self.last.retain(|_, last| now.duration_since(*last) < PATIENCE);
            if self.last.len() >= MOST {
                // Half of them at once: looking for the oldest each time would cost too much.
                let mut times: Vec<Instant> = self.last.values().copied().collect();
                times.sort_unstable();
                let middle = times.get(MOST / 2).copied().unwrap_or(now);
                self.last.retain(|_, last| *last > middle);
            }
        }
        self.last.insert((protocol, port), now);
    }

    /// Whether somebody else uses `port`.
    pub(super) fn have(&self, protocol: u8, port: u16) -> bool {
        self.last.get(&(protocol, port)).is_some_and(|last| last.elapsed() < PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_port_is_remembered_for_a_while_and_there_is_an_end_to_them() {
        let mut others = Others::default();
        others.note(17, 5);
        assert!(others.have(17, 5) && !others.have(6, 5) && !others.have(17, 6));
        tokio::time::sleep(PATIENCE).await;
        assert!(!others.have(17, 5));
        for port in 0..=u16::MAX {
            tokio::time::sleep(Duration::from_millis(1)).await;
            others.note(17, port);
        }
        assert!(others.last.len() <= MOST && others.have(17, u16::MAX) && !others.have(17, 0));
        // All at the same moment.
        let mut others = Others::default();
        (0..=u16::MAX).for_each(|port| others.note(17, port));
        assert!(others.last.len() <= MOST && others.have(17, u16::MAX));
    }
}
