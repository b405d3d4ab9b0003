//! Domain names in DNS messages, read where they stand.
//!
//! A name is a row of labels, and a pointer may take the place of its last ones (RFC 1035 section
//! 4.1.4). Pointers must lead back, and labels, bytes and jumps are counted, so that reading ends
//! whatever the bytes are. Nothing is copied: the name is shown from the message.

use super::be16;

/// A domain name in a DNS message (RFC 1035 section 3.1), shown with its dots and escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain<'a> {
    /// The message, to which compressed names refer.
    pub message: &'a [u8],
    /// Where in it the name begins.
    pub at: usize,
}

/// No name has more bytes (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;
/// No name has more labels.
const MAX_LABELS: usize = 128;

impl<'a> Domain<'a> {
    /// The labels, as far as they can be read. A pointer must point back (RFC 1035 section 4.1.4).
    pub fn labels(self) -> impl Iterator<Item = &'a [u8]> {
        let (mut at, mut jumps, mut left) = (self.at, 0, MAX_NAME);
        let next = move || {
            loop {
                let length = usize::from(*self.message.get(at)?);
                match length {
                    0 => return None,
                    1..=63 => {
                        let label = self.message.get(at + 1..at + 1 + length)?;
                        left = left.checked_sub(1 + length)?;
                        at += 1 + length;
                        return Some(label);
                    }
                    192.. if jumps < MAX_LABELS => {
                        let to = usize::from(be16(self.message, at)? & 0x3fff);
                        (jumps, at) = (jumps + 1, Some(to).filter(|to| *to < at)?);
                    }
                    _ => return None,
                }
            }
        };
        std::iter::from_fn(next).take(MAX_LABELS)
    }

    /// Where the bytes of the name end; `None` when they are not all there.
    pub fn end(self) -> Option<usize> {
        let mut at = self.at;
        for _ in 0..MAX_LABELS {
            match usize::from(*self.message.get(at)?) {
                0 => return Some(at + 1),
                length @ 1..=63 => at += 1 + length,
                192.. => return Some(at + 2).filter(|end| *end <= self.message.len()),
                _ => return None,
            }
        }
        None
    }
}

impl std::fmt::Display for Domain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut is_first = true;
        for label in self.labels() {
            if !std::mem::take(&mut is_first) {
                f.write_str(".")?;
            }
            crate::escape::terminal(label).fmt(f)?;
        }
        if is_first { f.write_str(".") } else { Ok(()) }
    }
}
