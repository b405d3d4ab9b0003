//! Where records come from.
//!
//! A tap passes bytes on first, then frames those same bytes, then hands whole records to the
//! [`crate::bus`], which drops and counts rather than wait: the line is never delayed by whoever watches.
//!
//! - [`direct`]: we are the tunnel's client and only listen.
//! - [`proxy`]: we stand between the tunnel and its client.
//! - [`host`]: we are the device's host, and speak ourselves.
//! - [`console`]: beside either, the device's console.
//!
//! While it has the line, a tap shares it with other processes (see [`crate::share`]).

pub mod console;
pub mod direct;
pub mod host;
mod leg;
pub mod proxy;
mod recording;
mod senders;

use crate::clock::Clock;
use crate::endpoint::{About, Options};
use crate::event::{Event, Events};
use crate::record::{Body, Direction, LinkChange, Origin, Record, Span};

/// What every tap needs.
#[derive(Clone, Debug)]
pub struct Tap {
    /// The time.
    pub clock: Clock,
    /// Where to tell what happens.
    pub events: Events,
    /// How the line frames, and its limit.
    pub options: Options,
}

/// How tapping ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// We were told to stop.
    Stopped,
    /// The line went away; the text says how it showed.
    Lost(String),
    /// A recording came to its end.
    Finished,
}

impl Tap {
    /// A record about the link itself.
    fn link_record(&self, connection: u32, direction: Direction, change: LinkChange) -> Record {
        Record {
            time: Some(Span::at(self.clock.now())),
            origin: Origin { tap: 0, connection, direction },
            offset: None,
            body: Body::Link(change),
        }
    }

    /// Tells that a link is up; the record for it.
    fn connected(&self, about: &About, connection: u32, direction: Direction) -> Record {
        if about.shared.is_some() {
            // It was told to whom we are attached.
        } else if about.is_live {
            let (endpoint, peer) = (about.endpoint.clone(), about.peer.clone());
            self.events.tell(Event::Connected { endpoint, peer });
        } else {
            self.events.note(format!("reading {}", about.endpoint));
        }
        let with = match &about.peer {
            Some(peer) => format!("{}, {peer}", about.endpoint),
            None => about.endpoint.clone(),
        };
        self.link_record(connection, direction, LinkChange::Connected(with))
    }

    /// Tells that a link is gone; the record for it.
    fn lost(&self, endpoint: &str, connection: u32, direction: Direction, how: &str) -> Record {
        self.events.tell(Event::Lost { endpoint: endpoint.to_owned(), how: how.to_owned() });
        self.link_record(connection, direction, LinkChange::Lost(format!("{endpoint}: {how}")))
    }
}

#[cfg(test)]
mod tests;
