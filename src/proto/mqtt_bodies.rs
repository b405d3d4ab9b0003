//! What the packets of MQTT carry that have most to tell: CONNECT, PUBLISH, SUBSCRIBE and UNSUBSCRIBE.
//!
//! Each is read as far as it is there. Passwords are not read at all.

use super::be16;
use super::mqtt_packet::{Packet, behind_properties, filters_at, kind, string_at};

/// The parts of CONNECT (section 3.1), as far as they are there; places are in the body.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connect<'a> {
    pub(super) name: Option<(&'a [u8], usize)>,
    pub(super) level: Option<(u8, usize)>,
    pub(super) flags: Option<(u8, usize)>,
    pub(super) keep_alive: Option<(u16, usize)>,
    pub(super) client_id: Option<(&'a [u8], usize)>,
    pub(super) will_topic: Option<(&'a [u8], usize)>,
    pub(super) will_message: Option<(&'a [u8], usize)>,
    pub(super) user_name: Option<(&'a [u8], usize)>,
}

impl<'a> Connect<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        let mut connect = Connect::default();
        let _ = connect.read(body); // what is cut is as far as it is there
        connect
    }

    fn read(&mut self, body: &'a [u8]) -> Option<()> {
        let (name, at) = string_at(body, 0)?;
        self.name = Some((name, 2));
        let level = *body.get(at)?;
        self.level = Some((level, at));
        let flags = *body.get(at + 1)?;
        self.flags = Some((flags, at + 1));
        self.keep_alive = Some((be16(body, at + 2)?, at + 2));
        let behind = |at| if level >= 5 { behind_properties(body, at) } else { Some(at) };
        let (client, mut at) = string_at(body, behind(at + 4)?)?;
        self.client_id = Some((client, at - client.len()));
        if flags & 4 != 0 {
            let (topic, end) = string_at(body, behind(at)?)?;
            self.will_topic = Some((topic, end - topic.len()));
            let (message, end) = string_at(body, end)?;
            self.will_message = Some((message, end - message.len()));
            at = end;
        }
        if flags & 0x80 != 0 {
            let (user, end) = string_at(body, at)?;
            self.user_name = Some((user, end - user.len()));
        }
        Some(())
    }
}

/// The parts of PUBLISH (section 3.3); places are in the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publish<'a> {
    pub(super) topic: &'a [u8],
    /// The packet's id, which only QoS 1 and 2 have.
    pub(super) id: Option<u16>,
    /// What follows; in 5.0 that begins with properties.
    pub(super) length: usize,
}

/// The parts of a PUBLISH, if its topic and the length of what follows can be told.
pub(super) fn publish<'a>(packet: &Packet<'a>) -> Option<Publish<'a>> {
    let (topic, end) = string_at(packet.body, 0)?;
    let has_id = packet.flags & 6 != 0;
    let id = if has_id { be16(packet.body, end) } else { None };
    let length = packet.remaining.checked_sub(end + if has_id { 2 } else { 0 })?;
    Some(Publish { topic, id, length })
}

/// The filters of a whole SUBSCRIBE or UNSUBSCRIBE: text, place in the body, and requested QoS.
pub(super) fn filters<'a>(
    packet: &Packet<'a>,
) -> impl Iterator<Item = (&'a [u8], usize, Option<u8>)> + use<'a> {
    let (body, has_options) = (packet.body, packet.kind == kind::SUBSCRIBE);
    let is_whole = body.len() == packet.remaining;
    let mut next = if is_whole { filters_at(packet) } else { None };
    std::iter::from_fn(move || {
        let (filter, end) = string_at(body, next?)?;
        let options = body.get(end).filter(|_| has_options).map(|options| options & 3);
        next = Some(end + usize::from(has_options));
        Some((filter, end - filter.len(), options))
    })
}
