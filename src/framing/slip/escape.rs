//! The bytes of SLIP (RFC 1055): what ends a frame, and how those values are written inside one.

use std::borrow::Cow;

/// Ends a frame; one in front of a frame ends whatever noise came before.
pub(in super::super) const END: u8 = 0xc0;
/// Stands in front of what stands for END or itself.
pub(super) const ESC: u8 = 0xdb;
/// Behind ESC: an END in the data.
const ESC_END: u8 = 0xdc;
/// Behind ESC: an ESC in the data.
const ESC_ESC: u8 = 0xdd;

/// Appends `data` as it goes on the line, between two ENDs; the first is left out behind another.
pub(in super::super) fn append(data: &[u8], out: &mut Vec<u8>) {
    if out.last() != Some(&END) {
        out.push(END);
    }
    out.reserve(data.len() + 1);
    let mut rest = data;
    while let Some(at) = rest.iter().position(|byte| matches!(*byte, END | ESC)) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[ESC, if rest[at] == END { ESC_END } else { ESC_ESC }]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(END);
}

/// The data that `body` stands for, which holds no END. The error is a byte that stood behind an ESC
/// and is not to stand there; END for an ESC at the very end.
pub(super) fn unescape(body: &[u8]) -> Result<Cow<'_, [u8]>, u8> {
    let Some(first) = body.iter().position(|byte| *byte == ESC) else {
        return Ok(Cow::Borrowed(body));
    };
    let mut data = Vec::with_capacity(body.len());
    let (plain, mut rest) = body.split_at(first);
    data.extend_from_slice(plain);
    while let [_, tail @ ..] = rest {
        data.push(match tail.first() {
            Some(&ESC_END) => END,
            Some(&ESC_ESC) => ESC,
            other => return Err(*other.unwrap_or(&END)),
        });
        let tail = &tail[1..];
        let next = tail.iter().position(|byte| *byte == ESC).unwrap_or(tail.len());
        data.extend_from_slice(&tail[..next]);
        rest = &tail[next..];
    }
    Ok(Cow::Owned(data))
}

/// How many bytes of data `body` stands for, wrong escapes and all.
pub(super) fn length(body: &[u8]) -> usize {
    let mut length = 0;
    let mut is_escaped = false;
    for byte in body {
        is_escaped = !is_escaped && *byte == ESC;
        length += usize::from(!is_escaped);
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_two_values_are_escaped_and_nothing_else_is() {
        let mut out = Vec::new();
        append(&[1, END, 2, ESC, 3], &mut out);
        assert_eq!(out, [END, 1, ESC, ESC_END, 2, ESC, ESC_ESC, 3, END]);
        append(&[4], &mut out);
        assert_eq!(out[9..], [4, END], "one END stands between two frames");
    }

    #[test]
    fn wrong_escapes_are_told() {
        assert_eq!(unescape(&[1, ESC, 0x41, 2]), Err(0x41));
        assert_eq!(unescape(&[1, ESC]), Err(END));
        assert_eq!(unescape(&[ESC, ESC]), Err(ESC));
        assert_eq!(unescape(&[1, 2]), Ok(Cow::Borrowed(&[1, 2][..])));
        assert_eq!(length(&[1, ESC, ESC_END, 2]), 3);
    }

    proptest! {
        #[test]
        fn what_was_escaped_comes_back(
            data in prop::collection::vec(
                prop_oneof![2 => Just(END), 2 => Just(ESC), 1 => 0xdau8..0xdf, 3 => any::<u8>()],
                0..200,
            ),
        ) {
            let mut out = Vec::new();
            append(&data, &mut out);
            let body = &out[1..out.len() - 1];
            prop_assert!(!body.contains(&END));
            prop_assert_eq!(length(body), data.len());
            prop_assert_eq!(unescape(body), Ok(Cow::Borrowed(&data[..])));
        }
    }
}
