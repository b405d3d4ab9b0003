//! One line of a hex dump.
//!
//! All programs write an offset, groups of digits, and maybe the characters, but each in a way of its own:
//!
//! ```text
//!         0x0010:  c0a8 6401 c0a8 6402 0800 00e5 0007 0001  ..d...d.........     tcpdump, and we
//! 00000010  c0 a8 64 01 c0 a8 64 02  08 00 00 e5 00 07 00 01  |..d...d.........|  hexdump -C
//! 0000010 a8c0 0164 a8c0 0264 0008 e500 0700 0100                                hexdump, od -x
//! 00000010: c0a8 6401 c0a8 6402 0800 00e5 0007 0001  ..d...d.........            xxd
//! 0010  c0 a8 64 01 c0 a8 64 02 08 00 00 e5 00 07 00 01   ..d...d.........       tshark
//! c0a86401c0a86402080000e500070001                                               xxd -p, and people
//! I (1234) eth: 0x3ffb0010   c0 a8 64 01 c0 a8 64 02  08 00 00 e5 00 07 00 01  |..d...d.........|   ESP-IDF's log
//! I (1234) eth: c0 a8 64 01 c0 a8 64 02  08 00 00 e5 00 07 00 01                                    the same
//! ```
//!
//! Groups are separated by one blank; what follows more of them are the characters, except behind the
//! eighth byte of rows in single bytes, where `hexdump -C` leaves a gap.

/// Rows are no longer than this, in bytes: as wide as xxd can make them.
const MAX_ROW: usize = 256;
/// A row that begins in the middle of what was dumped has at least so many bytes.
pub(super) const MIN_ROW: usize = 8;
/// Fewer bytes without an offset are a word that happens to be hex.
pub(super) const MIN_BARE: usize = 14;
/// The bytes of a whole line of `xxd -p`.
pub(super) const PLAIN_ROW: usize = 30;
/// Lines without an offset that have as many bytes may be the rows of one dump.
pub(super) const ROWS: [usize; 3] = [16, PLAIN_ROW, 32];

/// The digits of an address in ESP-IDF's log.
const ADDRESS: usize = 8;

/// What a line is. Its bytes, if it has some, are in the buffer that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Bytes with their offset.
    Row(Offset),
    /// An offset alone: the end of hexdump's and od's output.
    End(Offset),
    /// `*`: rows like the one before.
    Repeat,
    /// Digits without an offset. Whether nothing separates them.
    Bare {
        /// No blanks or colons are between the digits.
        is_solid: bool,
    },
    /// Nothing but blanks.
    Blank,
    /// Anything else.
    Text,
}

/// The offset of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offset {
    /// Read as hex.
    pub hex: u64,
    /// Read as octal, as od has it, where that can be.
    pub octal: Option<u64>,
    /// It can be told to be an offset by how it is written.
    pub is_sure: bool,
    /// The row is in words of 16 bits, the lower byte first.
    pub is_words: bool,
}

/// Whether a dump can begin with this row.
pub(super) fn begins(offset: Offset, row: &[u8]) -> bool {
    offset.hex == 0 || (offset.is_sure && row.len() >= MIN_ROW)
}

/// Reads a line, without its end; puts its bytes into `row`.
pub(super) fn parse(line: &[u8], row: &mut Vec<u8>) -> Line {
    row.clear();
    let line = line.trim_ascii();
    match line {
        [] => return Line::Blank,
        b"*" => return Line::Repeat,
        _ => {}
    }
    let quoted = line.strip_prefix(b"> ").unwrap_or(line).trim_ascii();
    let Some(message) = message(quoted) else { return digits(quoted, row) };
    match digits(message, row) {
        line @ (Line::Row(_) | Line::Bare { .. }) => line,
        Line::End(_) | Line::Repeat | Line::Blank | Line::Text => Line::Text,
    }
}

fn digits(line: &[u8], row: &mut Vec<u8>) -> Line {
    match with_offset(line, row) {
        Some(line) => line,
        None => bare(line, row),
    }
}

/// What stands in a line of ESP-IDF's log behind level, time and tag: `I (1234) eth: `, maybe in colour.
fn message(line: &[u8]) -> Option<&[u8]> {
    let colour = |line: &[u8]| Some(line.iter().position(|byte| *byte == b'm')? + 1);
    let line = match line.starts_with(b"\x1b[") {
        true => line.get(colour(line)?..)?,
        false => line,
    };
    let (level, rest) = line.split_first()?;
    let rest = rest.strip_prefix(b" (").filter(|_| b"EWIDV".contains(level))?;
    let is_time = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b':' | b'.');
    let rest = rest.get(rest.iter().take_while(|byte| is_time(byte)).count()..)?;
    let rest = rest.strip_prefix(b") ")?;
    let tag = rest.windows(2).position(|pair| pair == b": ")?;
    let message = rest.get(tag + 2..)?;
    Some(message.strip_suffix(b"\x1b[0m").unwrap_or(message).trim_ascii())
}

/// How an offset is set off from its row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// `0x` in front, and a colon behind or all the digits of an address.
    Both,
    /// A colon behind.
    Colon,
    /// Nothing.
    None,
}

fn with_offset(line: &[u8], row: &mut Vec<u8>) -> Option<Line> {
    let (prefix, rest) = match line.strip_prefix(b"0x") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let n = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = rest.split_at_checked(n).filter(|_| (4..=16).contains(&n))?;
    let (mark, rest) = match (prefix, rest.strip_prefix(b":")) {
        (true, None) if n == ADDRESS && rest.starts_with(b"  ") => (Mark::Both, rest),
        (true, rest) => (Mark::Both, rest?),
        (false, Some(rest)) => (Mark::Colon, rest),
        (false, None) => (Mark::None, rest),
    };
    let text = std::str::from_utf8(digits).ok()?;
    let mut offset = Offset {
        hex: u64::from_str_radix(text, 16).ok()?,
        octal: u64::from_str_radix(text, 8).ok().filter(|_| mark == Mark::None),
        is_sure: mark != Mark::None || n >= 6,
        is_words: false,
    };
    if rest.is_empty() && mark == Mark::None {
        return Some(Line::End(offset));
    }
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let group = groups(rest.get(blanks..).filter(|_| blanks > 0)?, row)?;
    match (mark, group, n) {
        (Mark::Both | Mark::Colon, ..) | (Mark::None, 2, _) => {}
        (Mark::None, 4, 7..) => {
            offset.is_words = true;
            row.chunks_exact_mut(2).for_each(|pair| pair.reverse());
        }
        _ => return None,
    }
    Some(Line::Row(offset))
}

/// The bytes of groups of digits; how many digits the first one has, if there is one.
fn groups(mut rest: &[u8], row: &mut Vec<u8>) -> Option<usize> {
    let mut first = None;
    loop {
        let n = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, behind) = rest.split_at_checked(n)?;
        let is_whole = matches!(behind.first(), None | Some(b' ' | b'\t' | b'|'));
        let size = *first.get_or_insert(n);
        if n == 0 || n > size || n % 2 == 1 || !is_whole || row.len() + n / 2 > MAX_ROW {
            break;
        }
        row.extend(digits.chunks_exact(2).filter_map(byte));
        let blanks = behind.iter().take_while(|byte| **byte == b' ').count();
        rest = behind.get(blanks..).unwrap_or_default();
        let is_gap = blanks == 2 && size == 2 && row.len() == 8;
        if n < size || !(blanks == 1 || is_gap) {
            break;
        }
    }
    first.filter(|_| !row.is_empty())
}

/// Reads digits and what people put between them, and nothing else.
pub(super) fn bare(line: &[u8], row: &mut Vec<u8>) -> Line {
    row.clear();
    let is_separator = |byte: &u8| matches!(byte, b' ' | b':' | b'-');
    let is_solid = line.iter().all(u8::is_ascii_hexdigit);
    for token in line.split(is_separator) {
        if token.len() % 2 == 1 || !token.iter().all(u8::is_ascii_hexdigit) {
            row.clear();
            return Line::Text;
        }
        row.extend(token.chunks_exact(2).filter_map(byte));
    }
    match row.is_empty() {
        true => Line::Text,
        false => Line::Bare { is_solid },
    }
}

fn byte(pair: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
    Some((digit(0)? << 4 | digit(1)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(line: &str) -> (Line, Vec<u8>) {
        let mut row = Vec::new();
        (parse(line.as_bytes(), &mut row), row)
    }

    fn offset(hex: u64, octal: Option<u64>, is_sure: bool, is_words: bool) -> Line {
        Line::Row(Offset { hex, octal, is_sure, is_words })
    }

    #[test]
    fn every_programs_rows_are_read() {
        let bytes = b"\xc0\xa8\x64\x01\xc0\xa8\x64\x02\x08\x00\x00\xe5\x00\x07\x00\x01".to_vec();
        for (line, wanted) in [
            (
                "\t0x0010:  c0a8 6401 c0a8 6402 0800 00e5 0007 0001  ..d...d.........",
                offset(16, None, true, false),
            ),
            (
                "00000010  c0 a8 64 01 c0 a8 64 02  08 00 00 e5 00 07 00 01  |..d...d.........|",
                offset(16, Some(8), true, false),
            ),
            ("0000010 a8c0 0164 a8c0 0264 0008 e500 0700 0100", offset(16, Some(8), true, true)),
            (
                "00000010: c0a8 6401 c0a8 6402 0800 00e5 0007 0001  ..d...d.........",
                offset(16, None, true, false),
            ),
            (
                "0010  c0 a8 64 01 c0 a8 64 02 08 00 00 e5 00 07 00 01   ..d...d.........",
                offset(16, Some(8), false, false),
            ),
            (
                "I (1234) eth: 0x3ffb0010   c0 a8 64 01 c0 a8 64 02  08 00 00 e5 00 07 00 01  |..d..|",
                offset(0x3ffb_0010, None, true, false),
            ),
            (
                "\x1b[0;32mD (22:14:03.123) eth: c0 a8 64 01 c0 a8 64 02  08 00 00 e5 00 07 00 01 \x1b[0m",
                Line::Bare { is_solid: false },
            ),
            (
                "> 00000010: c0a8 6401 c0a8 6402 0800 00e5 0007 0001  ..d...d.........",
                offset(16, None, true, false),
            ),
            ("c0a86401c0a86402080000e500070001", Line::Bare { is_solid: true }),
            ("c0:a8:64:01:c0:a8:64:02:08:00:00:e5:00:07:00:01", Line::Bare { is_solid: false }),
        ] {
            assert_eq!(row(line), (wanted, bytes.clone()), "{line}");
        }
    }

    #[test]
    fn short_rows_and_characters_that_look_like_digits() {
        let last = "\t0x0050:  3031 32                                  be ef";
        assert_eq!(row(last).1, [0x30, 0x31, 0x32]);
        let last = "00000050  30 31 32 33 34 35 36 37                           |beefbeef|";
        assert_eq!(row(last).1.len(), 8);
        assert_eq!(row("00000000: 6261 6420 6361 6665  bad cafe").1.len(), 8);
        assert_eq!(
            row("0000   62 61 64 20 63 61 66 65                           bad cafe").1.len(),
            8
        );
    }

    #[test]
    fn what_is_no_row_is_text() {
        for line in [
            "22:14:03.123456 -> IP 192.168.100.1 > 192.168.100.2: ICMP echo request, id 7",
            "22:14:03.123456 IP6 fe80::1 > ff02::1: ICMP6, router advertisement, length 24",
            "2026-11-21 22:14:03.123456 IP 10.0.0.1 > 10.0.0.2: ICMP echo request",
            "feed the dead beef",
            "0x: 00",
            "I (1234) eth: up",
            "I (1234) wifi: 00000062",
            "\u{1F600}",
        ] {
            assert_eq!(row(line).0, Line::Text, "{line}");
        }
        assert!(matches!(row("abcde").0, Line::End(Offset { is_sure: false, .. })), "harmless");
        assert_eq!(row("  \t").0, Line::Blank);
        assert_eq!(row("*").0, Line::Repeat);
        assert!(matches!(row("00000062").0, Line::End(Offset { hex: 0x62, .. })));
    }

    proptest! {
        #[test]
        fn any_line_is_survived(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut row = Vec::new();
            parse(&line, &mut row);
        }

        #[test]
        fn any_text_of_digits_is_survived(line in "[0-9a-fx:| *]{0,100}") {
            let mut row = Vec::new();
            let kind = parse(line.as_bytes(), &mut row);
            prop_assert_eq!(row.is_empty(), !matches!(kind, Line::Row(_) | Line::Bare { .. }));
        }
    }
}
