//! MQTT: types, flags, lengths, ids, codes and times of each packet; names, topics and secrets are
//! filled, messages and the properties of 5.0 are gone.

use super::sheet::Sheet;
use crate::proto::mqtt_packet::{Packet, Packets, behind_properties, filters_at, kind};

pub(super) fn rewrite(sheet: &mut Sheet<'_>) {
    let header = sheet.header;
    let old = &sheet.old[..header];
    for packet in Packets::new(old) {
        sheet.keep(packet.at..packet.start);
        let body = packet.start..packet.start + packet.body.len();
        body_of(&packet, &mut sheet.part(body));
    }
}

fn body_of(packet: &Packet<'_>, sheet: &mut Sheet<'_>) {
    match packet.kind {
        kind::CONNECT => {
            let _ = connect(sheet); // what is cut is as far as it is there
        }
        kind::CONNACK => {
            sheet.keep(0..2);
            properties_length(sheet, 2);
        }
        kind::PUBLISH => {
            if let (Some(end), true) = (string(sheet, 0), packet.flags & 6 != 0) {
                sheet.keep(end..end + 2);
            }
        }
        kind::SUBSCRIBE | kind::UNSUBSCRIBE => subscribe(packet, sheet),
        kind::PUBACK..=kind::PUBCOMP => {
            sheet.keep(0..3);
            properties_length(sheet, 3);
        }
        kind::SUBACK | kind::UNSUBACK => {
            sheet.keep(0..2);
            // Codes, and in 5.0 properties in front of them: text has none of these bytes but by chance.
            let end = sheet.old.len();
            for at in 2..end {
                let code = sheet.byte(at);
                if matches!(
                    code,
                    Some(0..=2 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8f | 0x91 | 0x97 | 0x9e)
                ) {
                    sheet.keep(at..at + 1);
                }
            }
        }
        kind::DISCONNECT | kind::AUTH => {
            sheet.keep(0..1);
            properties_length(sheet, 1);
        }
        _ => {}
    }
}

/// The text or binary data at `at` behind its length; where it ends, if all of it is there.
fn string(sheet: &mut Sheet<'_>, at: usize) -> Option<usize> {
    let end = at + 2 + usize::from(sheet.word(at)?);
    sheet.keep(at..at + 2);
    sheet.text(at + 2..end);
    (end <= sheet.old.len()).then_some(end)
}

/// The length of properties, if such a number is at `at`.
fn properties_length(sheet: &mut Sheet<'_>, at: usize) {
    let bytes = sheet.old.iter().skip(at).take(4);
    let more = bytes.take_while(|byte| **byte & 0x80 != 0).count();
    if more < 4 {
        sheet.keep(at..at + more + 1);
    }
}

/// MQTT 3.1.1 section 3.1; 5.0 has properties in front of the client's id and of the will.
fn connect(sheet: &mut Sheet<'_>) -> Option<()> {
    let old = sheet.old;
    let at = string(sheet, 0).unwrap_or(old.len());
    sheet.keep(0..at); // the protocol's own name
    let (level, flags) = (sheet.byte(at)?, sheet.byte(at + 1));
    sheet.keep(at..at + 4);
    let flags = flags?;
    let behind = |sheet: &mut Sheet<'_>, at| {
        if level < 5 {
            return Some(at);
        }
        properties_length(sheet, at);
        behind_properties(old, at)
    };
    let at = behind(sheet, at + 4)?;
    let mut at = string(sheet, at)?;
    if flags & 4 != 0 {
        let topic = behind(sheet, at)?;
        at = string(sheet, topic)?;
        let end = string(sheet, at)?;
        sheet.new[at + 2..end].fill(0); // the message may be binary
        at = end;
    }
    for bit in [0x80, 0x40] {
        if flags & bit != 0 {
            at = string(sheet, at)?;
        }
    }
    Some(())
}

/// The filters of a packet that is all there, with their options.
fn subscribe(packet: &Packet<'_>, sheet: &mut Sheet<'_>) {
    sheet.keep(0..2);
    let is_whole = packet.body.len() == packet.remaining;
    let Some(mut at) = filters_at(packet).filter(|_| is_whole) else { return };
    if at > 2 {
        properties_length(sheet, 2);
    }
    while let Some(end) = string(sheet, at) {
        at = end;
        if packet.kind == kind::SUBSCRIBE {
            sheet.keep(at..at + 1);
            at += 1;
        }
    }
}
