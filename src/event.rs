//! What a long-running command tells the world while it runs.
//!
//! Libraries below the commands never print: they hand [`Event`]s to an [`Events`] sink, and the
//! terminal, progress bars, reports and the live screen each make of them what they need.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Something worth telling while a command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A listener is open; the text is the address others connect to.
    Listening(String),
    /// A link is up.
    Connected {
        /// The endpoint as the user wrote it.
        endpoint: String,
        /// The process at the other end, where it can be told.
        peer: Option<String>,
    },
    /// The link goes through another uarttool, which holds the line.
    Attached {
        /// Who that is.
        holder: String,
        /// What it holds.
        endpoint: String,
    },
    /// A link went away.
    Lost {
        /// The endpoint as the user wrote it.
        endpoint: String,
        /// How it showed.
        how: String,
    },
    /// The link is not there yet; another attempt follows.
    Waiting {
        /// The endpoint as the user wrote it.
        endpoint: String,
        /// Why the last attempt failed.
        why: String,
        /// When the next one comes.
        again_in: Duration,
    },
    /// Something the user should know, in one sentence.
    Note(String),
    /// Something that is probably wrong, in one sentence.
    Warning(String),
    /// So much of the work is done.
    Progress {
        /// Units done.
        done: u64,
        /// Units in all, where that is known.
        total: Option<u64>,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Listening(address) => write!(f, "listening on {address}"),
            Event::Connected { endpoint, peer: Some(peer) } => {
                write!(f, "connected to {endpoint}, {peer}")
            }
            Event::Connected { endpoint, peer: None } => write!(f, "connected to {endpoint}"),
            Event::Attached { holder, endpoint } => {
                write!(f, "attached to {holder}, which holds {endpoint}")
            }
            Event::Lost { endpoint, how } => write!(f, "lost {endpoint}: {how}"),
            Event::Waiting { endpoint, why, again_in } => {
                write!(f, "waiting for {endpoint}: {why}; trying again every {again_in:?}")
            }
            Event::Note(text) => f.write_str(text),
            Event::Warning(text) => write!(f, "warning: {text}"),
            Event::Progress { done, total: Some(total) } => write!(f, "{done} of {total}"),
            Event::Progress { done, total: None } => write!(f, "{done}"),
        }
    }
}

/// Where events go. Clones share the same sink.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// A sink that hands every event to `sink`, which must not block.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Events(Arc::new(sink))
    }

    /// A sink that forgets everything.
    pub fn ignore() -> Self {
        Events::new(|_| {})
    }

    /// Tells one event.
    pub fn tell(&self, event: Event) {
        (self.0)(event);
    }

    /// Tells a [`Event::Note`].
    pub fn note(&self, text: impl Into<String>) {
        self.tell(Event::Note(text.into()));
    }

    /// Tells a [`Event::Warning`].
    pub fn warn(&self, text: impl Into<String>) {
        self.tell(Event::Warning(text.into()));
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
