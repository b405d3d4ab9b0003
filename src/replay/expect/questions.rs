//! What we have asked, and who we were: so that answers to groups are told from what is said to everybody.
//!
//! Most answers come to us alone. One that goes to a group is one if we have asked for it: by its key where its
//! protocol has one, and with multicast DNS, whose answers repeat no question, by a name that was asked for; each
//! such question has one answer on each side, since names are also announced (RFC 6762 section 8.3).

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use super::pairs::Whose;
use crate::dissect::render::value;
use crate::proto::line::Line;
use crate::proto::{Stack, dns, ethernet};

/// Questions that are remembered in each of two generations.
const MEMORY: usize = 16 * 1024;
/// Names that were asked for by multicast DNS and are remembered.
const NAMES: usize = 1024;
/// Senders that are told apart.
const SPEAKERS: usize = 4;

/// Who has sent frames that were sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// The address, if it has one.
    pub ip: Option<IpAddr>,
    /// The Ethernet address.
    pub mac: [u8; 6],
    /// How many frames.
    pub frames: u64,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Questions {
    young: HashSet<u64>,
    old: HashSet<u64>,
    /// Names that were asked for, and how often nothing has answered yet: in the recording, and today.
    names: HashMap<u64, [u32; 2]>,
    speakers: Vec<Speaker>,
}

impl Questions {
    /// A frame of ours, from `ip`; what it asks, if it asks something.
    pub(super) fn ask(&mut self, stack: &Stack<'_>, ip: Option<IpAddr>, question: Option<u64>) {
        if let Some(mac) = ethernet::source(stack.frame) {
            self.note_speaker(ip, mac);
        }
        if let Some(question) = question {
            if self.young.len() >= MEMORY {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(question);
        }
        if self.names.len() < NAMES {
            names(stack, "question.name", &mut |name| {
                let waiting = self.names.entry(name).or_default();
                *waiting = waiting.map(|n| n.saturating_add(1));
            });
        }
    }

    fn note_speaker(&mut self, ip: Option<IpAddr>, mac: [u8; 6]) {
        let ip = ip.filter(|ip| !ip.is_unspecified());
        let known = self.speakers.iter().position(|known| known.ip == ip && known.mac == mac);
        match known {
            Some(n) => self.speakers[n].frames += 1,
            None if self.speakers.len() < SPEAKERS => {
                self.speakers.push(Speaker { ip, mac, frames: 1 });
            }
            None => {}
        }
    }

    /// Whether a frame to a group answers a question of ours, `question` where its protocol tells that; what was
    /// asked by name is answered with it.
    pub(super) fn is_answered(
        &mut self,
        stack: &Stack<'_>,
        question: Option<u64>,
        whose: Whose,
    ) -> bool {
        if let Some(question) = question {
            return self.young.contains(&question) || self.old.contains(&question);
        }
        let mut is_asked = false;
        names(stack, "answer.name", &mut |name| {
            let waiting = self.names.get_mut(&name).map(|waiting| &mut waiting[whose as usize]);
            if let Some(waiting) = waiting.filter(|waiting| **waiting > 0 && !is_asked) {
                *waiting -= 1;
                is_asked = true;
            }
        });
        is_asked
    }

    /// Who has sent what was sent again, in the order in which they began.
    pub(super) fn speakers(&self) -> &[Speaker] {
        &self.speakers
    }
}

/// Visits the names of one kind in a message of multicast DNS, as numbers.
fn names(stack: &Stack<'_>, field: &str, visit: &mut dyn FnMut(u64)) {
    let Some(n) = stack.find(&dns::MDNS) else { return };
    let mut text = Line::new(false);
    stack.visit(n, &mut |item| {
        if item.name == field {
            text.clear();
            value::say(&item, &mut text);
            let mut hasher = DefaultHasher::new();
            text.as_bytes().to_ascii_lowercase().hash(&mut hasher);
            visit(hasher.finish());
        }
    });
}
