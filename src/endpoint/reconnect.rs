//! Connecting again: wraps a connector and is one.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Connector, Link, Pending};
use crate::error::{Category, Result};
use crate::event::{Event, Events};

/// A connector that waits for its endpoint: when it is not there, it tries again.
pub struct Reconnect {
    inner: Box<dyn Connector>,
    every: Duration,
    events: Events,
    /// When the last connection was made.
    last: Mutex<Option<Instant>>,
}

impl Reconnect {
    /// Wraps `inner`; attempts are `every` apart.
    pub fn new(inner: Box<dyn Connector>, every: Duration, events: Events) -> Self {
        Reconnect { inner, every, events, last: Mutex::default() }
    }
}

impl Reconnect {
    fn last(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connector for Reconnect {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn prepare(&self) -> Pending<'_, Result<bool>> {
        self.inner.prepare()
    }

    /// Fails only with what waiting cannot mend. Each reason is told once.
    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            // A server that lets everybody in and out again is not to be asked without a pause.
            let last = *self.last();
            if let Some(last) = last {
                tokio::time::sleep_until(last + self.every).await;
            }
            let mut told = None;
            loop {
                let error = match self.inner.connect().await {
                    Err(error) if error.category() == Category::Environment => error,
                    result => {
                        *self.last() = Some(Instant::now());
                        return result;
                    }
                };
                let why = error.chain();
                if told.as_ref() != Some(&why) {
                    self.events.tell(Event::Waiting {
                        endpoint: self.name().to_owned(),
                        why: why.clone(),
                        again_in: self.every,
                    });
                    told = Some(why);
                }
                tokio::time::sleep(self.every).await;
            }
        })
    }

    fn is_persistent(&self) -> bool {
        true
    }
}
