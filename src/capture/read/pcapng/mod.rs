//! pcapng (draft-ietf-opsawg-pcapng): blocks, each between its length and its length again.
//!
//! Sections may have different byte orders, interfaces different link types and clocks. A record of
//! our own has an option that says the rest of it ([`crate::capture::own`]); packets of other programs are
//! read as the block has them. Blocks that are of no use here are passed over.
//!
//! Both lengths of a block must agree. Where they do not, a search goes through the bytes behind the start
//! of that block, for the next one of a known type whose lengths do.

mod block;
mod interface;

use bytes::Bytes;

use self::block::{Block, Order, Scan};
use self::interface::{Interface, Resolution};
use super::damage::Log;
use super::input::Input;
use super::{Seen, Step};
use crate::capture::journal;
use crate::capture::own::{self, Plain};
use crate::error::Result;
use crate::record::{Direction, LinkType, Record};

pub(super) use self::block::SECTION;

/// A section has so many interfaces at most; more are not remembered.
const MAX_INTERFACES: usize = 65_536;
/// What a packet says of itself in options; what is longer is not looked at.
const MAX_REMARK: usize = 1024 * 1024;

/// A file of this format.
#[derive(Debug, Default)]
pub(super) struct Pcapng {
    /// Of the section at hand, once one has begun.
    section: Option<Order>,
    interfaces: Vec<Interface>,
    /// Interfaces of all sections.
    seen_interfaces: usize,
    /// It was told that interfaces are not described as they should be.
    has_told_missing: bool,
    /// A packet had our option.
    pub(super) is_ours: bool,
}

/// The options of a packet block that matter here.
#[derive(Default)]
struct PacketOptions<'a> {
    direction: Option<Direction>,
    remark: Option<String>,
    own: Option<&'a [u8]>,
}

impl Pcapng {
    /// As in "pcapng, 2 interfaces": those that were described so far.
    pub(super) fn describe(&self) -> String {
        match self.seen_interfaces {
            0 => "pcapng".to_owned(),
            1 => {
                let link = self.interfaces.first().map(|interface| interface.link);
                format!("pcapng, {}", link.map_or("1 interface".to_owned(), super::link_name))
            }
            n => format!("pcapng, {n} interfaces"),
        }
    }

    /// Reads on until the first record is next, so that [`Pcapng::describe`] knows the interfaces.
    pub(super) fn begin(&mut self, input: &mut Input, log: &mut Log) -> Result<()> {
        loop {
            match self.scan(input)? {
                Scan::Block(block) if !block.has_record() => {
                    let body = input.take(block.length);
                    self.take_in(&block, &body, input.offset(), log);
                }
                _ => return Ok(()),
            }
        }
    }

    #[inline]
    pub(super) fn next(&mut self, input: &mut Input, log: &mut Log) -> Result<Step> {
        loop {
            match self.scan(input)? {
                Scan::Block(block) => {
                    let offset = input.offset();
                    let whole = input.take(block.length);
                    if let Some(seen) = self.take_in(&block, &whole, offset, log) {
                        return Ok(Step::Seen(seen));
                    }
                }
                Scan::End => return Ok(self.end(input, log)),
                Scan::NotYet => return Ok(Step::NotYet),
                Scan::Broken(problem) => self.search(input, log, problem)?,
            }
        }
    }

    /// The byte order of the section at hand.
    #[inline]
    fn order(&self) -> Order {
        self.section.unwrap_or(Order::Little)
    }

    fn scan(&self, input: &mut Input) -> Result<Scan> {
        block::scan(input, self.section)
    }

    /// Takes a block in; the packet, if it is one.
    #[inline]
    fn take_in(&mut self, block: &Block, whole: &Bytes, at: u64, log: &mut Log) -> Option<Seen> {
        self.section = Some(block.order);
        match block.kind {
            block::ENHANCED => self.enhanced(block, whole, at, log),
            block::SIMPLE => self.simple(whole, at, log),
            block::OBSOLETE => self.obsolete(whole, at, log),
            block::JOURNAL => {
                let (record, remark) = journal::decode(block.body(whole))?;
                self.is_ours = true;
                Some(Seen { record, remark })
            }
            block::INTERFACE => {
                self.interface(block.body(whole));
                None
            }
            block::SECTION => {
                self.interfaces.clear();
                self.has_told_missing = false;
                None
            }
            _ => None,
        }
    }

    /// Section 4.2: link type, reserved, snap length, options.
    fn interface(&mut self, body: &[u8]) {
        let mut interface = Interface {
            link: LinkType(self.order().u16(body, 0)),
            snaplen: self.order().u32(body, 4),
            resolution: Resolution::DEFAULT,
            offset: 0,
        };
        for (code, value) in self.order().options(body.get(8..).unwrap_or_default()) {
            match (code, value) {
                (block::IF_TSRESOL, [resolution, ..]) => {
                    interface.resolution = Resolution::from_option(*resolution);
                }
                (block::IF_TSOFFSET, value) if value.len() == 8 => {
                    interface.offset = self.order().u64(value, 0) as i64;
                }
                _ => {}
            }
        }
        self.seen_interfaces += 1;
        if self.interfaces.len() < MAX_INTERFACES {
            self.interfaces.push(interface);
        }
    }

    /// Section 4.3: interface, time in two halves, captured and original length, bytes, options.
    fn enhanced(&mut self, block: &Block, whole: &Bytes, at: u64, log: &mut Log) -> Option<Seen> {
        let body = block.body(whole);
        let interface = self.order().u32(body, 0);
        self.timed((body, whole), interface, false, at, log)
    }

    /// What the enhanced block and its predecessor share; only their interface numbers differ, and the
    /// meaning of some options.
    #[inline]
    fn timed(
        &mut self,
        (body, whole): (&[u8], &Bytes),
        interface: u32,
        is_obsolete: bool,
        at: u64,
        log: &mut Log,
    ) -> Option<Seen> {
        let order = self.order();
        let (interface, is_known) = self.interface_of(interface, at, log);
        let time = (u64::from(order.u32(body, 4)) << 32) | u64::from(order.u32(body, 8));
        let captured = order.u32(body, 12) as usize;
        let bytes = bytes_of(whole, 20, captured, at, log)?;
        let options = body.get(20 + captured.next_multiple_of(4)..);
        let options = self.packet_options(options, is_obsolete);
        let plain = Plain {
            time: is_known.then(|| interface.time(time)),
            direction: options.direction.unwrap_or(Direction::Unknown),
            link: interface.link,
            bytes,
            length: order.u32(body, 16),
        };
        Some(self.seen(plain, options))
    }

    /// Section 4.4: original length, bytes; the first interface, and no time.
    fn simple(&mut self, whole: &Bytes, at: u64, log: &mut Log) -> Option<Seen> {
        let body = whole.get(8..whole.len().saturating_sub(4)).unwrap_or_default();
        let (interface, _) = self.interface_of(0, at, log);
        let length = self.order().u32(body, 0);
        let limit = if interface.snaplen == 0 { u32::MAX } else { interface.snaplen };
        let room = body.len().saturating_sub(4);
        let captured = (length.min(limit) as usize).min(room);
        let bytes = bytes_of(whole, 4, captured, at, log)?;
        let link = interface.link;
        let plain = Plain { time: None, direction: Direction::Unknown, link, bytes, length };
        Some(self.seen(plain, PacketOptions::default()))
    }

    /// Appendix A: as the enhanced one, but the interface has 16 bits and 16 bits of drops follow.
    fn obsolete(&mut self, whole: &Bytes, at: u64, log: &mut Log) -> Option<Seen> {
        let body = whole.get(8..whole.len().saturating_sub(4)).unwrap_or_default();
        let interface = self.order().u16(body, 0);
        self.timed((body, whole), interface.into(), true, at, log)
    }

    /// The interface of a packet. When its description is lost, which is told once, it is taken for Ethernet
    /// and its time is not known.
    fn interface_of(&mut self, number: u32, at: u64, log: &mut Log) -> (Interface, bool) {
        const LOST: Interface = Interface {
            link: LinkType::ETHERNET,
            snaplen: 0,
            resolution: Resolution::DEFAULT,
            offset: 0,
        };
        let found = usize::try_from(number).ok().and_then(|n| self.interfaces.get(n)).copied();
        if found.is_none() && !std::mem::replace(&mut self.has_told_missing, true) {
            let text = format!(
                "a packet of interface {number}, of which there is no description; \
                 it is taken for Ethernet and has no time"
            );
            log.add(at, 0, text);
        }
        (found.unwrap_or(LOST), found.is_some())
    }

    fn packet_options<'a>(&self, bytes: Option<&'a [u8]>, is_obsolete: bool) -> PacketOptions<'a> {
        let order = self.order();
        let mut options = PacketOptions::default();
        for (code, value) in order.options(bytes.unwrap_or_default()) {
            match code {
                block::PACKET_FLAGS if value.len() == 4 => {
                    options.direction = direction(order.u32(value, 0));
                }
                block::COMMENT => {
                    let text = String::from_utf8_lossy(value);
                    match &mut options.remark {
                        None => options.remark = Some(text.into_owned()),
                        Some(all) if all.len() < MAX_REMARK => {
                            all.push('\n');
                            all.push_str(&text);
                        }
                        Some(_) => {}
                    }
                }
                own::CODE if !is_obsolete && order.u32(value, 0) == own::ENTERPRISE => {
                    options.own = value.get(4..);
                }
                _ => {}
            }
        }
        options
    }

    /// The record, and the remark without what we say ourselves about such a record.
    #[inline]
    fn seen(&mut self, plain: Plain, options: PacketOptions<'_>) -> Seen {
        let decoded = match options.own {
            None => Err(plain),
            Some(value) => own::decode(value, plain),
        };
        match decoded {
            Ok(record) => {
                self.is_ours = true;
                let remark = options.remark.and_then(|remark| without_sentence(remark, &record));
                Seen { record, remark }
            }
            Err(plain) => {
                let time = plain.time.filter(|time| time.0 != 0);
                let record = Plain { time, ..plain }.record();
                Seen { record, remark: options.remark }
            }
        }
    }

    /// Goes on at the next block whose lengths agree, and tells what was passed over.
    fn search(&mut self, input: &mut Input, log: &mut Log, problem: String) -> Result<()> {
        let patience = input.patience.take(); // what was begun is finished
        let broke = input.offset();
        let found = block::search(input, self.section);
        input.patience = patience;
        self.section = found?.or(self.section);
        log.add(broke, input.offset().saturating_sub(broke), problem);
        Ok(())
    }

    /// The file ends, maybe inside a block: what there is of a packet.
    fn end(&mut self, input: &mut Input, log: &mut Log) -> Step {
        let rest = input.window().len();
        if rest == 0 || input.follows() {
            return Step::End;
        }
        let offset = input.offset();
        let bytes = input.take(rest);
        let order = self.order();
        let captured = order.u32(&bytes, 20) as usize;
        let is_packet = order.u32(&bytes, 0) == block::ENHANCED && rest > 28 && captured > 0;
        let number = usize::try_from(order.u32(&bytes, 8)).unwrap_or(usize::MAX);
        let interface = self.interfaces.get(number).copied().filter(|_| is_packet);
        let Some(interface) = interface else {
            let text = format!("the file ends in the middle of a block: {rest} bytes are there");
            log.add(offset, rest as u64, text);
            return Step::End;
        };
        let kept = bytes.slice(28..rest.min(28usize.saturating_add(captured)));
        let is = kept.len();
        let text =
            format!("the file ends in the middle of a packet: {is} of {captured} bytes are there");
        log.add(offset, 0, text);
        let time = (u64::from(order.u32(&bytes, 12)) << 32) | u64::from(order.u32(&bytes, 16));
        let plain = Plain {
            time: Some(interface.time(time)).filter(|time| time.0 != 0),
            direction: Direction::Unknown,
            link: interface.link,
            bytes: kept,
            length: order.u32(&bytes, 24).max(order.u32(&bytes, 20)),
        };
        Step::Seen(Seen::from(plain.record()))
    }
}

/// `epb_flags` (section 4.3.1): bits 0 and 1 are the direction.
fn direction(flags: u32) -> Option<Direction> {
    match flags & 3 {
        1 => Some(Direction::FromDevice),
        2 => Some(Direction::ToDevice),
        _ => None,
    }
}

/// So many bytes of a packet, behind `from` bytes of its block's body.
fn bytes_of(whole: &Bytes, from: usize, n: usize, at: u64, log: &mut Log) -> Option<Bytes> {
    let start = 8 + from;
    let end = start.checked_add(n).filter(|end| end.saturating_add(4) <= whole.len());
    if end.is_none() {
        let text = format!("a packet of {n} bytes in a block of {}", whole.len());
        log.add(at, whole.len() as u64, text);
    }
    end.map(|end| whole.slice(start..end))
}

/// What somebody has remarked on `record` besides our own sentence.
fn without_sentence(remark: String, record: &Record) -> Option<String> {
    let Some(sentence) = own::sentence(record) else { return Some(remark) };
    match remark.strip_prefix(sentence.as_str()) {
        Some("") => None,
        Some(rest) => Some(rest.strip_prefix('\n').unwrap_or(rest).to_owned()),
        None => Some(remark),
    }
}
