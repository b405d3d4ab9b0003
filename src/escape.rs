//! Nothing from the line, or from another process, reaches a screen unescaped.
//!
//! A device can put terminal control sequences, bidirectional overrides or broken UTF-8 into
//! anything it names. [`terminal`] makes them visible and harmless, and leaves ordinary text of
//! any language as it is.

use std::fmt::{self, Write};

/// `bytes` as text that is safe to print on a terminal, on one line.
///
/// Control characters become `\n`, `\t`, `\r` or `\xNN`; bytes that are not UTF-8 become `\xNN`;
/// invisible and direction-changing characters become `\u{NNNN}`; a backslash is doubled, so that
/// the original bytes can be told from the escapes.
pub fn terminal(bytes: &[u8]) -> impl fmt::Display + '_ {
    Terminal(bytes)
}

/// Text of our own that may quote foreign text: every line of it is made safe as [`terminal`] does,
/// but backslashes, which are escapes already, stay as they are.
pub fn lines(text: &str) -> String {
    let safe = |line: &str| terminal(line.as_bytes()).to_string().replace("\\\\", "\\");
    text.split('\n').map(safe).collect::<Vec<_>>().join("\n")
}

struct Terminal<'a>(&'a [u8]);

impl fmt::Display for Terminal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                write_char(f, c)?;
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

fn write_char(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        '\\' => f.write_str("\\\\"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        c if (c as u32) < 0x20 || c == '\x7f' => write!(f, "\\x{:02x}", c as u32),
        c if is_deceptive(c) => write!(f, "\\u{{{:x}}}", c as u32),
        c => f.write_char(c),
    }
}

/// Whether a character may reach a screen as it is.
pub fn is_harmless(c: char) -> bool {
    !((c as u32) < 0x20 || c == '\x7f' || is_deceptive(c))
}

/// Characters that change how the text around them is shown, or show nothing themselves.
fn is_deceptive(c: char) -> bool {
    matches!(c as u32,
        0x80..=0x9f          // C1 controls: 0x9b alone starts a control sequence
        | 0xad               // soft hyphen
        | 0x61c | 0x180e
        | 0x200b..=0x200f    // zero-width characters and direction marks
        | 0x2028..=0x202e    // line and paragraph separators, bidirectional overrides
        | 0x2060..=0x206f
        | 0xfe00..=0xfe0f | 0xfeff | 0xfff9..=0xfffb
        | 0xe0000..=0xe0fff) // tags and variation selectors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        terminal(bytes).to_string()
    }

    #[test]
    fn ordinary_text_of_any_language_stays() {
        assert_eq!(
            shown("I (12) main: ready, Grüße, 你好".as_bytes()),
            "I (12) main: ready, Grüße, 你好"
        );
    }

    #[test]
    fn control_sequences_are_visible_and_harmless() {
        assert_eq!(shown(b"\x1b[2J\x07"), "\\x1b[2J\\x07");
        assert_eq!(shown(b"a\r\nb\tc\\"), "a\\r\\nb\\tc\\\\");
        assert_eq!(shown("\u{9b}31m".as_bytes()), "\\u{9b}31m");
        assert_eq!(shown("abc\u{202e}def".as_bytes()), "abc\\u{202e}def");
    }

    #[test]
    fn lines_keep_their_ends_and_are_escaped_once() {
        assert_eq!(lines("a\x1b[2J\n  b\\x1b"), "a\\x1b[2J\n  b\\x1b");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_shown_as_hex() {
        assert_eq!(shown(b"ok\xff\xfe"), "ok\\xff\\xfe");
        assert_eq!(shown(b"\xc3"), "\\xc3");
    }

    #[test]
    fn nothing_that_is_shown_contains_a_control_character() {
        for c in (0..=0x10ffff).filter_map(char::from_u32) {
            let text = shown(c.to_string().as_bytes());
            assert!(!text.chars().any(char::is_control), "{c:?} gives {text:?}");
        }
    }
}
