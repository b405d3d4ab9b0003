//! One line a record, in tcpdump's manner.

use crate::dissect::Dissector;
use crate::proto::line::{Line, Tint};
use crate::proto::{Note, NoteKind, Stack};
use crate::record::LinkType;

/// Says the whole frame, and in brackets what is wrong with it.
pub fn summary(stack: &Stack<'_>, line: &mut Line) {
    if !stack.summarise(0, line) {
        match stack.unknown_link() {
            Some(link) => say_link(link, line),
            None => line.text("runt"), // what it is too short for is noted
        };
        line.text(", length ").dec(stack.length as u64);
    }
    for note in stack.notes {
        say(note, line);
    }
}

/// One frame in one line, without a time.
pub fn one_line(frame: &[u8]) -> String {
    let mut line = Line::new(false);
    summary(&Dissector::default().dissect(frame), &mut line);
    String::from_utf8_lossy(line.as_bytes()).into_owned()
}

/// Says a link type that nothing here dissects.
pub(super) fn say_link(link: LinkType, line: &mut Line) -> &mut Line {
    line.text("link type ").display(link)
}

fn say(note: &Note, line: &mut Line) {
    if let NoteKind::Padding(_) = note.kind {
        return;
    }
    if let NoteKind::CutByCapture { .. } = note.kind {
        line.text(" [|").text(note.protocol).text("]");
        return;
    }
    let tint = if note.is_malformed() { Tint::Wrong } else { Tint::Remark };
    line.text(" ").tint(tint).text("[");
    note.explain(line);
    line.text("]").plain();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    fn said(frame: &[u8]) -> String {
        one_line(frame)
    }

    #[test]
    fn good_frames_read_as_in_tcpdump() {
        let lines =
            [samples::echo_request(), samples::syn(), samples::datagram(), samples::arp_request()]
                .map(|frame| said(&frame));
        insta::assert_snapshot!(lines.join("\n"), @r"
        IP 192.168.100.1 > 192.168.100.2: ICMP echo request, id 7, seq 1, length 64
        IP 192.168.100.1.40000 > 192.168.100.2.80: Flags [S], seq 1000, win 4096, options [mss 1460], length 0
        IP 192.168.100.2.7 > 192.168.100.1.40000: UDP, length 5
        ARP, Request who-has 192.168.100.1 tell 192.168.100.2, length 28
        ");
    }

    #[test]
    fn link_types_that_nothing_dissects_are_named() {
        let said = |link, frame: &[u8]| {
            let mut line = Line::new(false);
            let mut dissector = Dissector::default();
            summary(&dissector.dissect_as(LinkType(link), frame, frame.len()), &mut line);
            String::from_utf8_lossy(line.as_bytes()).into_owned()
        };
        assert_eq!(said(127, &[0; 42]), "link type 127 (IEEE802_11_RADIO), length 42");
        assert_eq!(said(127, &[]), "link type 127 (IEEE802_11_RADIO), length 0");
        assert_eq!(said(9999, &[0; 3]), "link type 9999, length 3");
        assert_eq!(said(0, &[]), "runt, length 0 [truncated: null needs 4 bytes, had 0]");
    }

    #[test]
    fn odd_and_broken_frames_say_what_is_wrong() {
        let mut lines = vec![said(&[]), said(&[1, 2, 3])];
        let mut unknown = samples::echo_request();
        unknown[12..14].copy_from_slice(&[0x88, 0xb5]);
        lines.push(said(&unknown));
        let mut bad = samples::echo_request();
        bad[36] = 1;
        lines.push(said(&bad));
        lines.push(said(&samples::syn()[..40]));
        let mut fragment = samples::echo_request();
        fragment[20..26].copy_from_slice(&[0x20, 2, 64, 1, 0x11, 0x52]);
        lines.push(said(&fragment));
        let mut trailing = samples::echo_request();
        trailing.extend([0xa5; 16]);
        lines.push(said(&trailing));
        let mut error = samples::datagram();
        error[23] = 1;
        error[24..26].copy_from_slice(&[0x72, 0x84]);
        error[34..42].copy_from_slice(&[3, 3, 0, 0, 0, 0, 0, 0]);
        lines.push(said(&error));
        let mut tagged = samples::echo_request();
        tagged[14] = 0x43;
        lines.push(said(&tagged));
        insta::assert_snapshot!(lines.join("\n"));
    }
}
