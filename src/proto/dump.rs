//! Hex dumps in tcpdump's layout, over the `hexdump` crate's rules for characters.
//!
//! ```text
//!         0x0000:  4500 0054 0001 4000 4001 f153 c0a8 6401  E..T..@.@..S..d.
//! ```

use super::line::Line;

/// What a dump shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Offsets and hex.
    Hex,
    /// And the characters beside them.
    HexAndCharacters,
    /// Only the text, as it would be read.
    Characters,
}

/// Appends `bytes` as lines.
pub fn dump(bytes: &[u8], layout: Layout, line: &mut Line) {
    if layout == Layout::Characters {
        return characters(bytes, line);
    }
    for (n, row) in bytes.chunks(16).enumerate() {
        let offset = (n * 16) as u64;
        let digits = (offset.max(1).ilog2() / 4 + 1).max(4);
        line.text("\t0x").hex(offset, digits).text(": ");
        for pair in row.chunks(2) {
            line.text(" ");
            pair.iter().for_each(|byte| {
                line.hex(*byte, 2);
            });
        }
        if layout == Layout::HexAndCharacters {
            let written = row.len() * 2 + row.len().div_ceil(2);
            line.spaces(42 - written);
            row.iter().for_each(|byte| {
                line.character(hexdump::sanitize_byte(*byte));
            });
        }
        line.text("\n");
    }
}

/// The bytes as text: line ends and tabs as they are, everything else that is not printable as a dot.
fn characters(bytes: &[u8], line: &mut Line) {
    for byte in bytes {
        match byte {
            b'\n' | b'\t' => line.character(char::from(*byte)),
            b'\r' => line,
            _ => line.character(hexdump::sanitize_byte(*byte)),
        };
    }
    if bytes.last() != Some(&b'\n') {
        line.text("\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8], layout: Layout) -> String {
        let mut line = Line::new(false);
        dump(bytes, layout, &mut line);
        String::from_utf8(line.as_bytes().to_vec()).expect("dumps are ASCII")
    }

    #[test]
    fn rows_of_sixteen_in_pairs() {
        let bytes: Vec<u8> = (0x2e..0x2e + 19).collect();
        let expected = "\t0x0000:  2e2f 3031 3233 3435 3637 3839 3a3b 3c3d\n\t0x0010:  3e3f 40\n";
        assert_eq!(shown(&bytes, Layout::Hex), expected);
        assert_eq!(shown(&[], Layout::HexAndCharacters), "");
        let long = shown(&[7; 0x10010], Layout::Hex);
        let starts: Vec<&str> = long.lines().rev().take(2).map(|row| &row[..10]).collect();
        assert_eq!(starts, ["\t0x10000:  ", "\t0xfff0:  0"].map(|text| &text[..10]), "no wrapping");
    }

    #[test]
    fn text_alone_keeps_its_lines() {
        let text = shown(b"GET / HTTP/1.0\r\nA: \x1b[31m\xff\r\n\r\nbody", Layout::Characters);
        assert_eq!(text, "GET / HTTP/1.0\nA: .[31m.\n\nbody\n");
        assert_eq!(shown(&[], Layout::Characters), "\n");
    }

    #[test]
    fn digits_are_those_of_the_hexdump_crate() {
        for n in 0..70u8 {
            let bytes: Vec<u8> = (0..n).map(|byte| byte.wrapping_mul(37)).collect();
            let rows = hexdump::hexdump_iter(&bytes).take(bytes.len().div_ceil(16));
            let digits = |row: &str| -> String {
                let between = row.trim_start_matches('|').split('|').next().unwrap_or_default();
                between.chars().filter(|c| !c.is_whitespace()).collect()
            };
            let theirs: Vec<String> = rows.map(|row| digits(&row)).collect();
            let shown = shown(&bytes, Layout::Hex);
            let ours = shown.lines().map(|row| digits(row.split(": ").nth(1).unwrap_or_default()));
            assert_eq!(ours.collect::<Vec<_>>(), theirs);
        }
    }

    #[test]
    fn characters_line_up() {
        let text = shown(b"GET / HTTP/1.0\r\n\r\n\x1b", Layout::HexAndCharacters);
        let columns: Vec<_> = text.lines().map(|row| row.len()).collect();
        assert_eq!(text.lines().next().and_then(|row| row.find("GET")), Some(52 - 1));
        assert_eq!(text.lines().nth(1).and_then(|row| row.rfind("...")), Some(52 - 1));
        assert_eq!(columns[0], 51 + 16);
    }
}
