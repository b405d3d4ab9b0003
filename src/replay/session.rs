//! A recording and a device that is not quite the recorded one: what waits for what, and TCP's numbers.
//!
//! Theory of operation. The recording is gone through in its order. Each frame of the other side is noted as an
//! answer that was recorded ([`Session::recorded`]), and each that comes today as heard ([`Session::heard`]). A
//! frame of ours that stands behind a recorded answer of the same conversation needs it ([`Session::need`]): in a
//! TCP connection as many bytes as it acknowledges, elsewhere as many frames. When they have come, or nobody
//! waits any longer ([`Session::give_up`]), the frame is translated ([`Session::translate`]) and may go.
//!
//! Conversations are known by their recorded ends. Where today's port is another one, an alias leads from today's
//! conversation to the recorded one; what is heard is given back with the recorded port in it.

mod connection;
mod glance;
mod leaving;
mod ports;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};

use bytes::{Bytes, BytesMut};

use self::connection::{Connection, Segment};
pub use self::glance::acknowledges;
pub use self::leaving::Mark;
use self::ports::{Ports, with_ports};
use super::conversation::{Conversation, Kind, Side};
use super::mend;
use crate::dissect::Dissector;
use crate::proto::{Stack, tcp, udp};

/// Conversations that are remembered in each of two generations.
const MEMORY: usize = 16 * 1024;
/// Conversations in a row in which was waited in vain, after which nobody is thought to be there.
const MUTE: u32 = 3;
/// Connections that the other side has opened before the recording came to that.
const EARLY: usize = 64;
/// The ports from which today's are taken (RFC 6335 section 6).
const FIRST_PORT: u16 = 49152;
const PORTS: u16 = 16384;

/// What a frame waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    conversation: Conversation,
    what: Amount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    /// The other side's stream, up to this byte from its start.
    Bytes(u32),
    /// So many frames of the other side.
    Frames(u64),
}

/// What is known of the conversations of a recording.
#[derive(Debug)]
pub struct Session {
    young: HashMap<Conversation, Flow>,
    old: HashMap<Conversation, Flow>,
    /// Today's conversations with other ports than recorded, and the recorded ones.
    aliases: HashMap<Conversation, Conversation>,
    /// Today's connections that the recording has not come to: who, and the first number.
    early: VecDeque<(Conversation, u32)>,
    dissector: Dissector,
    /// The next port for a connection of ours; `None` keeps the recorded ones.
    next_port: Option<u16>,
    /// Only TCP waits.
    is_for_tcp: bool,
    /// How often it was waited in vain since something came.
    in_vain: u32,
    /// Segments of connections of which today's numbers are not known.
    untranslated: u64,
    /// Answers that came when nobody waited for them any more.
    late: u64,
    /// Where the recording is.
    mark: Mark,
    /// Whom we have asked by UDP.
    ports: Ports,
}

#[derive(Clone, Debug, Default)]
struct Flow {
    recorded: u64,
    heard: u64,
    is_given_up: bool,
    connection: Connection,
    /// It began with a datagram of theirs, from another port than was asked, and today's is not known yet.
    is_fresh: bool,
    /// Their port of today, of datagrams.
    their_port: Option<u16>,
    /// Where the connection began, and the headers of our frame that did so.
    begun: Mark,
    headers: Bytes,
}

impl Session {
    /// A session in which our connections have the recorded ports, or with `first_port` such as depend on it.
    pub fn new(first_port: Option<u16>) -> Session {
        Session {
            young: HashMap::new(),
            old: HashMap::new(),
            aliases: HashMap::new(),
            early: VecDeque::new(),
            dissector: Dissector::default(),
            next_port: first_port.map(|port| port % PORTS),
            is_for_tcp: false,
            in_vain: 0,
            untranslated: 0,
            late: 0,
            mark: Mark::default(),
            ports: Ports::default(),
        }
    }

    /// The same, in which nothing but TCP waits.
    #[must_use]
    pub fn for_tcp(self) -> Session {
        Session { is_for_tcp: true, ..self }
    }

    /// What comes next stands there.
    pub fn mark(&mut self, mark: Mark) {
        self.mark = mark;
    }

    /// Where the first of the connections began that are open, and how many are.
    pub fn open(&self) -> Option<(Mark, usize)> {
        let flows = self.young.values().chain(self.old.values());
        let is_open = |flow: &&Flow| {
            flow.connection.is_open() && (flow.connection.is_known() || !flow.is_given_up)
        };
        let begins: Vec<Mark> = flows.filter(is_open).map(|flow| flow.begun).collect();
        begins.iter().min().map(|first| (*first, begins.len()))
    }

    /// The frames that reset the connections which are open, each once.
    pub fn resets(&mut self) -> Vec<Bytes> {
        let flows = self.young.values_mut().chain(self.old.values_mut());
        flows
            .filter_map(|flow| {
                let reset = leaving::reset(&flow.headers, flow.connection.leaving()?);
                flow.connection.reset();
                reset
            })
            .collect()
    }

    /// How many answers came when nobody waited for them any more.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// How many segments of ours acknowledged numbers of which it is not known what they are today.
    pub fn untranslated(&self) -> u64 {
        self.untranslated
    }

    /// The recording begins again: nothing of what was there belongs to what comes.
    pub fn begin_again(&mut self) {
        let Session { next_port, is_for_tcp, in_vain, untranslated, late, .. } = *self;
        *self =
            Session { next_port, is_for_tcp, in_vain, untranslated, late, ..Session::new(None) };
    }

    /// A frame of the other side, as it was recorded.
    pub fn recorded(&mut self, frame: &[u8]) {
        if self.is_for_tcp && !glance::may_be_tcp(frame) {
            return;
        }
        let mut dissector = std::mem::take(&mut self.dissector);
        let stack = dissector.dissect(frame);
        let conversation = Conversation::of(&stack, Side::Theirs);
        let segment = Segment::of(&stack);
        let mark = self.mark;
        let is_asked = self.ports.is_asked(&conversation);
        let flow = self.flow(conversation);
        flow.recorded += 1;
        flow.is_fresh |= is_asked && flow.recorded == 1 && flow.heard == 0;
        let is_fresh = flow.is_fresh;
        if let Some(segment) = segment {
            let is_opened = flow.connection.recorded(&segment);
            if is_opened && !segment.has(tcp::ACK) {
                flow.begun = mark;
                self.claim(conversation);
            }
        }
        if is_fresh {
            self.find_fresh(conversation);
        }
        self.dissector = dissector;
    }

    /// A connection that the other side opens in the recording: it may have done so today.
    fn claim(&mut self, recorded: Conversation) {
        let is_it = |(today, _): &(Conversation, u32)| {
            today.ours == recorded.ours && today.theirs.0 == recorded.theirs.0
        };
        let Some(n) = self.early.iter().position(is_it) else { return };
        if let Some((today, first)) = self.early.remove(n) {
            let heard = self.flow(today).connection.clone();
            self.bind(today, recorded, first);
            self.flow(recorded).connection.take_over(&heard);
        }
    }

    /// Today's connection is the recorded one.
    fn bind(&mut self, today: Conversation, recorded: Conversation, first: u32) {
        let flow = self.flow(recorded);
        flow.connection.open_today(first);
        flow.connection.their_port = Some(today.theirs.1);
        if today != recorded {
            self.alias(today, recorded);
        }
    }

    fn alias(&mut self, today: Conversation, recorded: Conversation) {
        if self.aliases.len() >= MEMORY {
            self.aliases.clear();
        }
        self.aliases.insert(today, recorded);
    }

    /// A frame of the other side, of today; given back as it would have been recorded.
    pub fn heard(&mut self, frame: &Bytes) -> Bytes {
        self.in_vain = 0;
        let mut dissector = std::mem::take(&mut self.dissector);
        let stack = dissector.dissect(frame);
        let today = Conversation::of(&stack, Side::Theirs);
        let segment = Segment::of(&stack);
        if let Some(segment) = segment.filter(|segment| segment.opens()) {
            self.opened(today, segment.seq);
        }
        if self.ports.is_asked(&today) {
            self.answered(today);
        }
        let conversation = self.aliases.get(&today).copied().unwrap_or(today);
        let flow = self.flow(conversation);
        let is_late = std::mem::take(&mut flow.is_given_up);
        if is_late {
            flow.heard = flow.heard.max(flow.recorded.saturating_sub(1));
        }
        flow.heard += 1;
        if let Some(segment) = &segment {
            flow.connection.heard(segment);
        }
        self.late += u64::from(is_late);
        let ports = [(today.ours.1, conversation.ours.1), (today.theirs.1, conversation.theirs.1)];
        let same = match today == conversation {
            true => frame.clone(),
            false => with_ports(&stack, frame, ports),
        };
        self.dissector = dissector;
        same
    }

    /// The other side opens a connection today.
    fn opened(&mut self, today: Conversation, first: u32) {
        if self.aliases.contains_key(&today) {
            return;
        }
        let flows = self.young.iter().chain(&self.old);
        let mut waiting = flows.filter(|(recorded, flow)| {
            recorded.ours == today.ours
                && recorded.theirs.0 == today.theirs.0
                && flow.connection.waits_for_them()
        });
        match waiting.next().map(|(recorded, _)| *recorded) {
            Some(recorded) => self.bind(today, recorded, first),
            None => {
                self.early.retain(|(early, _)| *early != today);
                self.early.push_back((today, first));
                if self.early.len() > EARLY {
                    self.early.pop_front();
                }
            }
        }
    }

    fn flow(&mut self, conversation: Conversation) -> &mut Flow {
        if !self.young.contains_key(&conversation) && self.young.len() >= MEMORY {
            self.old = std::mem::take(&mut self.young);
        }
        let old = &mut self.old;
        self.young
            .entry(conversation)
            .or_insert_with(|| old.remove(&conversation).unwrap_or_default())
    }

    /// What a frame of ours waits for, if for anything.
    pub fn need(&mut self, frame: &[u8]) -> Option<Need> {
        if self.in_vain >= MUTE || self.is_for_tcp && !glance::may_be_tcp(frame) {
            return None;
        }
        let stack = self.dissector.dissect(frame);
        let conversation = Conversation::of(&stack, Side::Ours);
        let segment = Segment::of(&stack);
        self.ports.ask(&conversation);
        let flow = self.flow(conversation);
        let what = match (conversation.kind, segment) {
            (Kind::Tcp, Some(segment)) => Amount::Bytes(flow.connection.needs(&segment)?),
            (Kind::Udp | Kind::Control, _) => Amount::Frames(flow.recorded),
            _ => return None, // whether somebody asks by ARP depends on what he remembers
        };
        let need = Need { conversation, what };
        (!self.is_met(&need)).then_some(need)
    }

    /// Whether what was needed has come, or is not waited for any more.
    pub fn is_met(&mut self, need: &Need) -> bool {
        let flow = self.flow(need.conversation);
        flow.is_given_up
            || match need.what {
                Amount::Bytes(bytes) => flow.connection.has_come(bytes),
                Amount::Frames(frames) => flow.heard >= frames,
            }
    }

    /// It is not waited for any more, nor is anything else in the same conversation until something comes there.
    pub fn give_up(&mut self, need: &Need) {
        self.flow(need.conversation).is_given_up = true;
        self.in_vain = self.in_vain.saturating_add(1);
    }

    /// Whether answers were recorded that have not come.
    pub fn is_waiting(&self) -> bool {
        let mut flows = self.young.iter().chain(&self.old);
        self.in_vain < MUTE
            && flows.any(|(conversation, flow)| {
                !flow.is_given_up
                    && match conversation.kind {
                        Kind::Tcp => flow.connection.is_waiting(),
                        Kind::Udp | Kind::Control => flow.heard < flow.recorded,
                        Kind::Arp | Kind::Ip(_) | Kind::Other => false,
                    }
            })
    }

    /// A frame of ours as it has to be today.
    pub fn translate(&mut self, frame: &Bytes) -> Bytes {
        if !glance::may_be_tcp(frame) && !self.ports.has_moved() {
            return frame.clone();
        }
        let mut dissector = std::mem::take(&mut self.dissector);
        let stack = dissector.dissect(frame);
        let translated = match stack.find(&udp::UDP) {
            Some(_) => self.datagram(&stack, frame),
            None => self.segment(&stack, frame),
        };
        self.dissector = dissector;
        translated.unwrap_or_else(|| frame.clone())
    }

    fn segment(&mut self, stack: &Stack<'_>, frame: &Bytes) -> Option<Bytes> {
        let n = stack.find(&tcp::TCP)?;
        let segment = Segment::of(stack)?;
        let recorded = Conversation::of(stack, Side::Ours);
        let Session { next_port, mark, .. } = *self;
        let flow = self.flow(recorded);
        let is_new = segment.opens() && flow.connection.open_ours(&segment);
        if is_new {
            flow.begun = mark;
        }
        if let Some(port) = next_port.filter(|_| is_new) {
            let port = FIRST_PORT + port;
            flow.connection.our_port = Some(port);
            self.next_port = next_port.map(|port| (port + 1) % PORTS);
            let today = Conversation { ours: (recorded.ours.0, port), ..recorded };
            self.aliases.retain(|_, known| *known != recorded);
            self.alias(today, recorded);
        }
        let at = stack.layers.get(n)?.start;
        let mut new = BytesMut::from(&frame[..]);
        let flow = self.flow(recorded);
        let is_lost = segment.has(tcp::ACK) && !flow.connection.is_known();
        if flow.connection.translate(&segment, at, stack.header(n), &mut new) {
            mend::mend(stack, &mut new);
        }
        flow.connection.sent(&segment);
        if segment.has(tcp::SYN) {
            flow.headers = leaving::headers(&new);
        }
        self.untranslated += u64::from(is_lost);
        Some(new.freeze())
    }
}
