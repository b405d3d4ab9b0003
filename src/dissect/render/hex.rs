//! Hex dumps in tcpdump's layout, over the `hexdump` crate's iterator.

use crate::proto::line::Line;

/// Appends `bytes` as lines of sixteen: offset, hex in pairs of bytes, and on demand the
/// characters.
///
/// ```text
///         0x0000:  4500 0054 0001 4000 4001 f153 c0a8 6401  E..T..@.@..S..d.
/// ```
pub fn dump(bytes: &[u8], characters: bool, line: &mut Line) {
    let rows = hexdump::hexdump_iter(bytes).take(bytes.len().div_ceil(16)); // no closing row
    for (n, row) in rows.enumerate() {
        line.text("\t0x").hex((n * 16) as u64, 4).text(": ");
        let digits = row.trim_start_matches('|').split('|').next().unwrap_or_default();
        let mut count = 0usize;
        for digit in digits.split_ascii_whitespace().flat_map(str::chars) {
            if count.is_multiple_of(4) {
                line.text(" ");
            }
            line.text(digit.encode_utf8(&mut [0; 4]));
            count += 1;
        }
        if characters {
            for _ in count + count.div_ceil(4)..42 {
                line.text(" ");
            }
            for byte in bytes.iter().skip(n * 16).take(16) {
                line.text(hexdump::sanitize_byte(*byte).encode_utf8(&mut [0; 4]));
            }
        }
        line.text("\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8], characters: bool) -> String {
        let mut line = Line::new(false);
        dump(bytes, characters, &mut line);
        String::from_utf8(line.as_bytes().to_vec()).expect("dumps are ASCII")
    }

    #[test]
    fn rows_of_sixteen_in_pairs() {
        let bytes: Vec<u8> = (0x2e..0x2e + 19).collect();
        let expected = "\t0x0000:  2e2f 3031 3233 3435 3637 3839 3a3b 3c3d\n\t0x0010:  3e3f 40\n";
        assert_eq!(shown(&bytes, false), expected);
        assert_eq!(shown(&[], true), "");
    }

    #[test]
    fn characters_line_up() {
        let text = shown(b"GET / HTTP/1.0\r\n\r\n\x1b", true);
        let columns: Vec<_> = text.lines().map(|row| row.len()).collect();
        assert_eq!(text.lines().next().and_then(|row| row.find("GET")), Some(52 - 1));
        assert_eq!(text.lines().nth(1).and_then(|row| row.rfind("...")), Some(52 - 1));
        assert_eq!(columns[0], 51 + 16);
    }
}
