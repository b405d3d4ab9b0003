//! Every layer and field of a frame, a line each, under names that filters understand.

use super::line::say_link;
use super::value;
use crate::proto::Stack;
use crate::proto::dump::{Layout, dump};
use crate::proto::line::{Line, Tint};

/// Bytes of payload that are shown in hex at most.
const MOST_PAYLOAD: usize = 256;

/// Appends the layers of a frame, each with its fields below it, or the link type if nothing is known
/// of it, then what is wrong, then what is left undissected.
pub fn tree(stack: &Stack<'_>, line: &mut Line) {
    if let Some(link) = stack.unknown_link() {
        line.text("  ").tint(Tint::Heading);
        say_link(link, line).plain().text("\n");
    }
    let mut is_quoted = false;
    for (n, layer) in stack.layers.iter().enumerate() {
        if layer.is_quoted && !std::mem::replace(&mut is_quoted, true) {
            line.text("  quoted packet:\n");
        }
        let margin = if layer.is_quoted { "    " } else { "  " };
        line.text(margin).tint(Tint::Heading).text(layer.protocol.title).plain();
        line.text(" (").text(layer.protocol.name).text("), ");
        line.dec((layer.payload - layer.start) as u64).text(" bytes at ");
        line.dec(layer.start as u64).text("\n");
        stack.visit(n, &mut |item| {
            line.text(margin).text("  ").text(item.name).text(": ");
            value::say(&item, line);
            line.text("\n");
        });
    }
    for note in stack.notes {
        line.text("  ").tint(if note.is_malformed() { Tint::Wrong } else { Tint::Faint });
        line.text("! ");
        note.explain(line);
        line.text(" (byte ").dec(note.offset as u64).text(")").plain().text("\n");
    }
    say_payload(stack, line);
}

/// What follows the last layer, or all of it if there is none.
fn say_payload(stack: &Stack<'_>, line: &mut Line) {
    let payload = match stack.layers.len() {
        0 => stack.frame,
        n => stack.payload(n - 1),
    };
    if !payload.is_empty() {
        line.text("  ").tint(Tint::Heading).text("payload").plain().text(", ");
        line.dec(payload.len() as u64).text(" bytes\n");
        let shown = payload.get(..MOST_PAYLOAD).unwrap_or(payload);
        dump(shown, Layout::HexAndCharacters, line);
        if shown.len() < payload.len() {
            line.text("\t... ").dec((payload.len() - shown.len()) as u64).text(" more\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::Dissector;
    use crate::proto::samples;

    fn shown(frame: &[u8]) -> String {
        let mut line = Line::new(false);
        tree(&Dissector::default().dissect(frame), &mut line);
        String::from_utf8_lossy(line.as_bytes()).into_owned()
    }

    #[test]
    fn every_layer_and_field_has_a_line() {
        insta::assert_snapshot!(shown(&samples::syn()));
    }

    #[test]
    fn an_unknown_link_type_is_named_in_front_of_the_bytes() {
        let mut line = Line::new(false);
        let link = crate::record::LinkType(105);
        tree(&Dissector::default().dissect_as(link, b"\x08\x01ab", 4), &mut line);
        let text = String::from_utf8_lossy(line.as_bytes()).into_owned();
        insta::assert_snapshot!(text, @r"
         link type 105 (IEEE802_11)
         payload, 4 bytes
        0x0000:  0801 6162                                ..ab
        ");
    }

    #[test]
    fn what_is_wrong_and_what_is_left_come_last() {
        let mut frame = samples::datagram();
        frame[40] ^= 1;
        let text = shown(&frame);
        let at = text.find("  ! bad udp cksum").expect("the note");
        insta::assert_snapshot!(&text[at..], @r"
         ! bad udp cksum d765, should be d665 (byte 40)
         payload, 5 bytes
        0x0000:  6865 6c6c 6f                             hello
        ");
        assert_eq!(
            shown(&[1, 2, 3]).lines().next(),
            Some("  ! truncated: ethernet needs 14 bytes, had 3 (byte 0)")
        );
    }
}
