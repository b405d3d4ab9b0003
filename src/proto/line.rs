//! A line of text under construction, written without the formatting machinery.
//!
//! One line a frame is the hottest output there is; these few writers cover what it needs and
//! append to one buffer that is reused from frame to frame.

use std::net::{Ipv4Addr, Ipv6Addr};

use anstyle::{AnsiColor, Style};

/// A growing line. Only ASCII and escaped text go in.
#[derive(Debug, Default)]
pub struct Line {
    bytes: Vec<u8>,
    brief: bool,
    coloured: bool,
}

/// A colour by what it means. None of them vanishes on a light or on a dark background, and none is
/// the only bearer of what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tint {
    /// To the device.
    ToDevice,
    /// From the device.
    FromDevice,
    /// What is wrong.
    Wrong,
    /// What is remarkable.
    Remark,
    /// What is rarely looked at.
    Faint,
    /// A heading.
    Heading,
}

impl Tint {
    fn style(self) -> Style {
        match self {
            Tint::ToDevice => AnsiColor::Cyan.on_default().bold(),
            Tint::FromDevice => AnsiColor::Green.on_default().bold(),
            Tint::Wrong => AnsiColor::Red.on_default().bold(),
            Tint::Remark => AnsiColor::Magenta.on_default(),
            Tint::Faint => Style::new().dimmed(),
            Tint::Heading => Style::new().bold(),
        }
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// `00` to `99`.
static PAIRS: [[u8; 2]; 100] = pairs();

const fn pairs() -> [[u8; 2]; 100] {
    let mut pairs = [[b'0'; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
}

impl Line {
    /// An empty line; a brief one leaves out what is rarely looked at.
    pub fn new(brief: bool) -> Self {
        Line { bytes: Vec::with_capacity(256), brief, coloured: false }
    }

    /// The same, for a screen that shows colours.
    #[must_use]
    pub fn coloured(self, coloured: bool) -> Self {
        Line { coloured, ..self }
    }

    /// Begins a colour, if there are colours; [`Line::plain`] ends it.
    pub fn tint(&mut self, tint: Tint) -> &mut Self {
        if self.coloured {
            self.display(tint.style());
        }
        self
    }

    /// Ends a colour.
    pub fn plain(&mut self) -> &mut Self {
        if self.coloured {
            self.display(anstyle::Reset);
        }
        self
    }

    /// Whether summaries should leave out what is rarely looked at.
    pub fn is_brief(&self) -> bool {
        self.brief
    }

    /// The text so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Starts again.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Text that is known to be safe.
    #[inline]
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// One character that is known to be safe.
    pub fn character(&mut self, c: char) -> &mut Self {
        match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => self.bytes.push(byte),
            _ => self.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        self
    }

    /// So many spaces.
    pub fn spaces(&mut self, n: usize) -> &mut Self {
        self.bytes.resize(self.bytes.len() + n, b' ');
        self
    }

    /// A decimal number.
    #[inline]
    pub fn dec(&mut self, number: impl Into<u64>) -> &mut Self {
        let number = number.into();
        if number < 1000 {
            self.small(number as usize);
            return self;
        }
        let mut number = number;
        let mut digits = [0; 20];
        let mut at = digits.len();
        while number >= 100 {
            let pair = PAIRS[(number % 100) as usize];
            (digits[at - 2], digits[at - 1]) = (pair[0], pair[1]);
            at -= 2;
            number /= 100;
        }
        let pair = PAIRS[number as usize];
        digits[at - 1] = pair[1];
        at -= 1;
        if number >= 10 {
            digits[at - 1] = pair[0];
            at -= 1;
        }
        self.bytes.extend_from_slice(&digits[at..]);
        self
    }

    /// A number under 1000.
    #[inline]
    fn small(&mut self, number: usize) {
        let pair = PAIRS[number % 100];
        match number {
            100.. => self.bytes.extend_from_slice(&[b'0' + (number / 100) as u8, pair[0], pair[1]]),
            10.. => self.bytes.extend_from_slice(&pair),
            _ => self.bytes.push(pair[1]),
        }
    }

    /// A decimal number with leading zeros, of exactly `width` digits.
    pub fn dec_padded(&mut self, number: u32, width: u32) -> &mut Self {
        for place in (0..width).rev() {
            self.bytes.push(b'0' + (number / 10u32.pow(place) % 10) as u8);
        }
        self
    }

    /// A hex number of exactly `width` digits.
    pub fn hex(&mut self, number: impl Into<u64>, width: u32) -> &mut Self {
        let number = number.into();
        for place in (0..width).rev() {
            self.bytes.push(DIGITS[(number >> (4 * place) & 15) as usize]);
        }
        self
    }

    /// An Ethernet address.
    pub fn mac(&mut self, mac: [u8; 6]) -> &mut Self {
        for (n, byte) in mac.into_iter().enumerate() {
            if n > 0 {
                self.bytes.push(b':');
            }
            self.hex(byte, 2);
        }
        self
    }

    /// An IPv4 address.
    pub fn ipv4(&mut self, address: Ipv4Addr) -> &mut Self {
        let [a, b, c, d] = address.octets();
        self.bytes.reserve(15);
        self.small(a.into());
        for octet in [b, c, d] {
            self.bytes.push(b'.');
            self.small(octet.into());
        }
        self
    }

    /// An IPv6 address (RFC 5952).
    pub fn ipv6(&mut self, address: Ipv6Addr) -> &mut Self {
        self.display(address)
    }

    /// Bytes from the line as text, made safe by [`crate::escape::terminal`].
    pub fn escaped(&mut self, bytes: &[u8]) -> &mut Self {
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
        if bytes.iter().all(is_plain) {
            self.bytes.extend_from_slice(bytes);
            return self;
        }
        self.display(crate::escape::terminal(bytes))
    }

    /// Anything that knows how to show itself; slower than the rest.
    pub fn display(&mut self, value: impl std::fmt::Display) -> &mut Self {
        use std::io::Write;
        let _ = write!(self.bytes, "{value}"); // writing to a Vec cannot fail
        self
    }

    /// The same, with `...` in place of what goes beyond `most` bytes.
    pub fn shortened(&mut self, value: impl std::fmt::Display, most: usize) -> &mut Self {
        let start = self.bytes.len();
        self.display(value);
        let is_inside = |at: &usize| self.bytes.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
        if self.bytes.len() - start > most {
            let end = (start..=start + most).rev().find(|at| !is_inside(at)).unwrap_or(start);
            self.bytes.truncate(end);
            self.text("...");
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_written_only_where_there_are_colours() {
        let mut line = Line::new(false);
        line.tint(Tint::Wrong).text("x").plain();
        assert_eq!(line.as_bytes(), b"x");
        let mut line = Line::new(false).coloured(true);
        line.tint(Tint::Wrong).text("x").plain();
        assert_eq!(line.as_bytes(), b"\x1b[1m\x1b[31mx\x1b[0m");
    }

    #[test]
    fn every_writer_writes_what_its_name_says() {
        let mut line = Line::new(false);
        line.text("n ").dec(0u8).text(" ").dec(u64::MAX).text(" ").dec_padded(42, 6);
        line.text(" 0x").hex(0x88b5u16, 4).text(" ").mac([2, 0, 0, 0, 0, 0xaf]).text(" ");
        line.ipv4(Ipv4Addr::new(192, 168, 100, 2)).text(" ").ipv6(Ipv6Addr::LOCALHOST);
        line.text(" ").escaped(b"ok").text(" ").escaped(b"a\\\x1b");
        let expected = "n 0 18446744073709551615 000042 0x88b5 02:00:00:00:00:af 192.168.100.2 ::1 ok a\\\\\\x1b";
        assert_eq!(String::from_utf8_lossy(line.as_bytes()), expected);
    }

    #[test]
    fn what_is_too_long_is_shortened_between_characters() {
        for (text, expected) in [("abcd", "abcd"), ("abcde", "abcd..."), ("abc\u{fc}", "abc...")] {
            let mut line = Line::new(false);
            line.shortened(text, 4);
            assert_eq!(String::from_utf8_lossy(line.as_bytes()), expected);
        }
    }
}
