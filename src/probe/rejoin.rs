//! Losing the link, and going on with another one to the same device, as everybody sees it: watchers, and
//! those who share the line.

use std::time::Duration;

use tokio::time::Instant;

use super::Probe;
use crate::endpoint::Link;
use crate::error::Error;
use crate::record::{Body, Direction, LinkChange, Record, Span};

/// How long the receiving half may take to say how the link ended, where sending has noticed it first.
const EXPLAIN: Duration = Duration::from_millis(500);

impl Probe {
    /// Lets go of a link that ended with `error`; says how that showed. What came before is still to be had.
    pub async fn lose(&mut self, error: &Error) -> String {
        let deadline = Instant::now() + EXPLAIN;
        let mut came = Vec::new();
        while self.ended.is_none()
            && let Ok(Some(record)) = self.receive(deadline).await
        {
            came.push(record);
        }
        came.into_iter().rev().for_each(|record| self.queue.push_front(record));
        let how = self.ended.clone().unwrap_or_else(|| error.chain());
        self.sharing.down(&how);
        let endpoint = self.link.about.endpoint.clone();
        self.cut();
        self.show(LinkChange::Lost(format!("{endpoint}: {how}")));
        how
    }

    /// Goes on with `link`.
    pub fn rejoin(&mut self, link: Link) {
        let about = link.about.clone();
        self.relink(link);
        self.deliverer = super::Deliverer::new(self.connection, &self.options, &self.clock);
        self.sharing.up(&about);
        self.show(LinkChange::Connected(match &about.peer {
            Some(peer) => format!("{}, {peer}", about.endpoint),
            None => about.endpoint,
        }));
    }

    fn show(&mut self, change: LinkChange) {
        let origin = self.origin(Direction::Unknown);
        let time = Some(Span::at(self.clock.now()));
        let record = Record { time, origin, offset: None, body: Body::Link(change) };
        self.watchers.borrow_mut().publish(&mut vec![record]);
    }
}
