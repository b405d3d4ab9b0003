//! A short text on the stack, for values that are made rather than found: times, seconds, addresses.

use std::fmt;

/// The bytes that such a text can have: a time with nanoseconds has 30, an IPv6 address 45.
const ROOM: usize = 64;

/// A text of at most 64 bytes; what goes beyond is left out.
#[derive(Clone, Copy)]
pub(super) struct ShortText {
    bytes: [u8; ROOM],
    length: usize,
}

impl ShortText {
    /// `value` as it shows itself.
    pub(super) fn of(value: impl fmt::Display) -> Self {
        use fmt::Write;
        let mut text = ShortText { bytes: [0; ROOM], length: 0 };
        let _ = write!(text, "{value}"); // what has no room is left out
        text
    }

    /// The text.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Write for ShortText {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let end = self.length.saturating_add(more.len());
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(more.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_fits() {
        assert_eq!(ShortText::of(-20).as_bytes(), b"-20");
        assert_eq!(ShortText::of("x".repeat(64)).as_bytes().len(), 64);
        assert_eq!(ShortText::of("x".repeat(65)).as_bytes(), b"");
    }
}
