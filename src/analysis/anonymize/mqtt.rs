//! MQTT: types, flags, lengths, ids, codes and times of each packet; names, topics and secrets are
//! filled, messages and the properties of 5.0 are gone. Of a segment that packets do not fill nothing is kept.

use super::sheet::Sheet;
use crate::proto::mqtt_packet::{Packet, Packets, behind_properties, filters_at, kind, string_at};

pub(super) fn rewrite(sheet: &mut Sheet<'_>) {
    let header = sheet.header;
    let old = &sheet.old[..header];
    if !is_filled(old) {
        return;
    }
    for packet in Packets::new(old) {
        sheet.keep(packet.at..packet.start);
        let body = packet.start..packet.start + packet.body.len();
        body_of(&packet, &mut sheet.part(body));
    }
}

/// Whether packets, each sound to its last byte, fill a segment. One that continues a message may begin like a
/// packet, but does not end like one.
fn is_filled(bytes: &[u8]) -> bool {
    let mut end = 0;
    for packet in Packets::new(bytes) {
        if packet.body.len() != packet.remaining || !is_sound(&packet) {
            return false;
        }
        end = packet.start + packet.remaining;
    }
    end == bytes.len()
}

/// Whether everything in a whole packet is as the standard says.
fn is_sound(packet: &Packet<'_>) -> bool {
    let body = packet.body;
    let is_behind = |at| body.len() == at || behind_properties(body, at) == Some(body.len());
    match packet.kind {
        kind::CONNECT => connect_end(body) == Some(body.len()),
        kind::CONNACK => is_behind(2),
        kind::PUBLISH => string_at(body, 0).is_some_and(|(topic, _)| is_text(topic)),
        kind::SUBSCRIBE | kind::UNSUBSCRIBE => filters_at(packet).is_some(),
        kind::PUBACK..=kind::PUBCOMP => body.len() == 2 || is_behind(3),
        kind::SUBACK | kind::UNSUBACK => codes_at(body).is_some(),
        kind::PINGREQ | kind::PINGRESP => body.is_empty(),
        kind::DISCONNECT | kind::AUTH => body.is_empty() || is_behind(1),
        _ => false,
    }
}

fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

/// Where the parts of a CONNECT end that its flags announce.
fn connect_end(body: &[u8]) -> Option<usize> {
    let (_, at) = string_at(body, 0)?;
    let (level, flags) = (*body.get(at)?, *body.get(at + 1)?);
    let behind = |at| if level < 5 { Some(at) } else { behind_properties(body, at) };
    let (_, mut at) = string_at(body, behind(at + 4)?)?;
    if flags & 4 != 0 {
        let (_, topic) = string_at(body, behind(at)?)?;
        (_, at) = string_at(body, topic)?;
    }
    for bit in [0x80, 0x40] {
        if flags & bit != 0 {
            (_, at) = string_at(body, at)?;
        }
    }
    Some(at)
}

/// Where the codes begin with which a server answers filters: behind the id, in 5.0 behind properties.
fn codes_at(body: &[u8]) -> Option<usize> {
    let are_codes = |at: &usize| {
        body.get(*at..).is_some_and(|codes| !codes.is_empty() && codes.iter().all(is_code))
    };
    // No properties are a zero byte, which could be a code as well.
    [Some(2), behind_properties(body, 2)].into_iter().flatten().find(are_codes)
}

/// MQTT 3.1.1 section 3.9.3; 5.0 sections 3.9.3 and 3.11.3.
fn is_code(byte: &u8) -> bool {
    matches!(byte, 0..=2 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8f | 0x91 | 0x97 | 0x9e | 0xa1 | 0xa2)
}

fn body_of(packet: &Packet<'_>, sheet: &mut Sheet<'_>) {
    match packet.kind {
        kind::CONNECT => {
            let _ = connect(sheet); // all of it is there
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
            if let Some(codes) = codes_at(packet.body) {
                if codes > 2 {
                    properties_length(sheet, 2);
                }
                let end = sheet.old.len();
                sheet.keep(codes..end);
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
