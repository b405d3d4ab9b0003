//! How long a connection lasts on which nothing happens.
//!
//! One that is idle lasts for ever, as TCP has it: a console or a subscription may be silent for days. But it
//! ends when the device owes acknowledgements and is silent for [`PATIENCE`], and when its client is gone and
//! nothing has moved for [`ORPHAN`] since; at once when the client broke off. A client is looked at as
//! long as it is not read from; otherwise reading tells.

use std::time::Duration;

use super::client::Presence;
use super::flow::Outcome;
use crate::clock::Timestamp;

/// A device that owes acknowledgements and is silent for so long has lost the connection.
const PATIENCE: Duration = Duration::from_secs(60);
/// A connection whose client is gone and whose device does not end it lasts for so long, as one in
/// FIN-WAIT-2 does that belongs to no process.
const ORPHAN: Duration = Duration::from_secs(60);
/// How often to look whether a client is there.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// What is known of both ends of a connection.
#[derive(Debug)]
pub(super) struct Patience {
    /// When the device last said something.
    heard: Timestamp,
    /// Since when it has owed acknowledgements.
    owes: Option<Timestamp>,
    /// When to look at the client again.
    look: Timestamp,
    /// Since when it has been gone, and nothing has moved.
    gone: Option<Timestamp>,
}

impl Patience {
    /// That of a connection which begins now.
    pub(super) fn new(now: Timestamp) -> Patience {
        Patience { heard: now, owes: None, look: now + LOOK, gone: None }
    }

    /// The device has said something.
    pub(super) fn hear(&mut self, now: Timestamp) {
        self.heard = now;
    }

    /// Something of the client has gone to the device.
    pub(super) fn moved(&mut self) {
        self.gone = None;
    }

    /// Whether it is over, where the device `owes` acknowledgements or not.
    pub(super) fn with_device(&mut self, owes: bool, now: Timestamp) -> Option<Outcome> {
        self.owes = owes.then(|| self.owes.unwrap_or(now));
        let since = self.owes?.max(self.heard);
        (now >= since + PATIENCE).then_some(Outcome::Lost)
    }

    /// Whether it is over, as far as the client is concerned, who is looked at if that is due. One who is gone
    /// is not waited for if `waits` is false.
    pub(super) fn with_client(
        &mut self,
        look: impl FnOnce() -> Presence,
        waits: bool,
        now: Timestamp,
    ) -> Option<Outcome> {
        if now < self.look {
            return None;
        }
        self.look = now + LOOK;
        let is_over = match look() {
            Presence::Here => {
                self.gone = None;
                false
            }
            Presence::Gone => now >= *self.gone.get_or_insert(now) + ORPHAN || !waits,
            Presence::Broken => true,
        };
        is_over.then_some(Outcome::Reset)
    }

    /// When to ask again; the client only if it `looks`.
    pub(super) fn due(&self, looks: bool) -> Option<Timestamp> {
        let device = self.owes.map(|since| since.max(self.heard) + PATIENCE);
        device.into_iter().chain(looks.then_some(self.look)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp((seconds * 1e9) as u64)
    }

    #[test]
    fn silence_ends_a_connection_only_if_something_is_owed() {
        let mut patience = Patience::new(at(0.0));
        assert_eq!(patience.with_device(false, at(1e6)), None);
        assert_eq!(patience.due(false), None);
        assert_eq!(patience.with_device(true, at(1e6)), None);
        assert_eq!(patience.with_device(true, at(1e6 + 59.0)), None);
        patience.hear(at(1e6 + 59.0));
        assert_eq!(patience.due(false), Some(at(1e6 + 119.0)));
        assert_eq!(patience.with_device(true, at(1e6 + 118.0)), None);
        assert_eq!(patience.with_device(true, at(1e6 + 119.0)), Some(Outcome::Lost));
        assert_eq!(patience.with_device(false, at(1e6 + 119.0)), None);
        assert_eq!(patience.with_device(true, at(1e6 + 119.0)), None);
    }

    #[test]
    fn who_is_gone_is_waited_for_and_who_broke_off_is_not() {
        let mut patience = Patience::new(at(0.0));
        assert_eq!(
            patience.with_client(|| Presence::Broken, true, at(0.4)),
            None,
            "not yet looked"
        );
        assert_eq!(patience.with_client(|| Presence::Gone, true, at(1.0)), None);
        assert_eq!(patience.with_client(|| Presence::Gone, true, at(60.0)), None);
        patience.moved();
        assert_eq!(patience.with_client(|| Presence::Gone, true, at(61.0)), None);
        assert_eq!(patience.due(true), Some(at(61.5)));
        assert_eq!(patience.with_client(|| Presence::Gone, true, at(121.0)), Some(Outcome::Reset));
        assert_eq!(patience.with_client(|| Presence::Here, true, at(122.0)), None);
        assert_eq!(patience.with_client(|| Presence::Gone, true, at(123.0)), None);
        assert_eq!(patience.with_client(|| Presence::Gone, false, at(124.0)), Some(Outcome::Reset));
        assert_eq!(
            patience.with_client(|| Presence::Broken, true, at(125.0)),
            Some(Outcome::Reset)
        );
    }
}
