//! Blocks and options: where they begin and end, in either byte order.

use super::super::input::{Have, Input};
use super::super::pcap::MAX_CAPTURED;
use crate::error::Result;

/// Section header; the same in both byte orders.
pub(in super::super) const SECTION: u32 = 0x0a0d_0d0a;
/// Interface description.
pub(super) const INTERFACE: u32 = 1;
/// Packet, obsolete.
pub(super) const OBSOLETE: u32 = 2;
/// Simple packet.
pub(super) const SIMPLE: u32 = 3;
/// Name resolution.
const NAMES: u32 = 4;
/// Interface statistics.
const STATISTICS: u32 = 5;
/// Enhanced packet.
pub(super) const ENHANCED: u32 = 6;
/// systemd journal export.
pub(super) const JOURNAL: u32 = 9;
/// What a section header says about the byte order, read in its own.
const ORDER: u32 = 0x1a2b_3c4d;

/// `opt_comment`.
pub(super) const COMMENT: u16 = 1;
/// `epb_flags`, and `pack_flags` of the obsolete packet.
pub(super) const PACKET_FLAGS: u16 = 2;
/// `if_tsresol`.
pub(super) const IF_TSRESOL: u16 = 9;
/// `if_tsoffset`.
pub(super) const IF_TSOFFSET: u16 = 14;

/// No block is longer, in bytes; Wireshark has the same limit.
const MAX_BLOCK: usize = 16 * 1024 * 1024;
/// Options of a packet take no more, in bytes.
const MAX_OPTIONS: usize = 1024 * 1024;
/// A block of no body.
const FRAME: usize = 12;

/// The byte order of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// The number at `at`; 0 where there is none.
    #[inline]
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let number = bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied();
        match (number, self) {
            (None, _) => 0,
            (Some(number), Order::Little) => u32::from_le_bytes(number),
            (Some(number), Order::Big) => u32::from_be_bytes(number),
        }
    }

    /// The same, of 16 bits.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let number = bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied();
        match (number, self) {
            (None, _) => 0,
            (Some(number), Order::Little) => u16::from_le_bytes(number),
            (Some(number), Order::Big) => u16::from_be_bytes(number),
        }
    }

    /// The same, of 64 bits.
    pub(super) fn u64(self, bytes: &[u8], at: usize) -> u64 {
        let (first, second) = (self.u32(bytes, at), self.u32(bytes, at.saturating_add(4)));
        let (high, low) = match self {
            Order::Little => (second, first),
            Order::Big => (first, second),
        };
        (u64::from(high) << 32) | u64::from(low)
    }

    /// Codes and values of options; ends where they make no sense.
    pub(super) fn options(self, bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
        let mut rest = bytes;
        std::iter::from_fn(move || {
            let head = rest.get(..4)?;
            let (code, length) = (self.u16(head, 0), usize::from(self.u16(head, 2)));
            let value = rest.get(4..4 + length).filter(|_| code != 0)?;
            rest = rest.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
            Some((code, value))
        })
    }
}

/// A whole block at the front of the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub kind: u32,
    /// All of its bytes.
    pub length: usize,
    /// The order of the section that it is in, or that it begins.
    pub order: Order,
}

impl Block {
    /// Whether it may bring a record.
    pub(super) fn has_record(&self) -> bool {
        matches!(self.kind, ENHANCED | SIMPLE | OBSOLETE | JOURNAL)
    }

    /// What is between the lengths.
    pub(super) fn body<'a>(&self, whole: &'a [u8]) -> &'a [u8] {
        whole.get(8..whole.len().saturating_sub(4)).unwrap_or_default()
    }
}

/// What is at the front of the window.
pub(super) enum Scan {
    Block(Block),
    /// The file ends before it does.
    End,
    NotYet,
    /// No block; why.
    Broken(String),
}

/// Looks at the block at the front of the window.
#[inline]
pub(super) fn scan(input: &mut Input, order: Option<Order>) -> Result<Scan> {
    match input.want(FRAME)? {
        Have::Enough => {}
        Have::NotYet => return Ok(Scan::NotYet),
        Have::End => return Ok(Scan::End),
    }
    let (block, seen) = match head(input.window(), order) {
        Ok(block) => (block, input.window().len()),
        Err(problem) => return Ok(Scan::Broken(problem)),
    };
    if seen < block.length {
        // A packet tells soon how long its block may be.
        let enough = block.length.min(28);
        match input.want(enough)? {
            Have::Enough => {}
            Have::NotYet => return Ok(Scan::NotYet),
            Have::End => return Ok(Scan::End),
        }
        if let Some(problem) = too_long(input.window(), &block) {
            return Ok(Scan::Broken(problem));
        }
        match input.want(block.length)? {
            Have::Enough => {}
            Have::NotYet => return Ok(Scan::NotYet),
            Have::End => {
                // It may be the length that is wrong, and good blocks may be in what it covers.
                return Ok(match find(input, Some(block.order), Keep::All)?.is_some() {
                    true => Scan::Broken(format!(
                        "a block of {} bytes that reaches beyond the end of the file",
                        block.length
                    )),
                    false => Scan::End,
                });
            }
        }
    }
    let again = block.order.u32(input.window(), block.length - 4);
    if again as usize != block.length {
        let length = block.length;
        return Ok(Scan::Broken(format!("a block of {length} bytes whose end says {again}")));
    }
    Ok(Scan::Block(block))
}

/// The block that begins at the start of `bytes`, at least [`FRAME`] of them, or why none does.
#[inline]
fn head(bytes: &[u8], order: impl Into<Option<Order>>) -> Result<Block, String> {
    let mut order = order.into();
    if Order::Little.u32(bytes, 0) == SECTION {
        order = match (Order::Little.u32(bytes, 8), Order::Big.u32(bytes, 8)) {
            (ORDER, _) => Some(Order::Little),
            (_, ORDER) => Some(Order::Big),
            (other, _) => return Err(format!("a section whose byte order is 0x{other:08x}")),
        };
    }
    let Some(order) = order else { return Err("no section begins here".to_owned()) };
    let kind = order.u32(bytes, 0);
    let length = order.u32(bytes, 4) as usize;
    if !(FRAME..=MAX_BLOCK).contains(&length) || !length.is_multiple_of(4) {
        return Err(format!("a block of {length} bytes"));
    }
    let least = match kind {
        SECTION => 28,
        INTERFACE => 20,
        OBSOLETE | ENHANCED => 32,
        SIMPLE => 16,
        _ => FRAME,
    };
    if length < least {
        return Err(format!("a block of type {kind} of {length} bytes"));
    }
    Ok(Block { kind, length, order })
}

/// Why a packet block of this length cannot be; `bytes` are its first.
fn too_long(bytes: &[u8], block: &Block) -> Option<String> {
    let length = block.length;
    let most = match block.kind {
        ENHANCED | OBSOLETE => {
            let captured = block.order.u32(bytes, 20);
            if captured > MAX_CAPTURED {
                return Some(format!("a packet of {captured} bytes"));
            }
            32 + (captured as usize).next_multiple_of(4) + MAX_OPTIONS
        }
        SIMPLE => 16 + MAX_CAPTURED as usize,
        _ => MAX_BLOCK,
    };
    (length > most).then(|| format!("a packet in a block of {length} bytes"))
}

/// Moves the window to the next block that can be believed; the order of its section, if there is one.
pub(super) fn search(input: &mut Input, order: Option<Order>) -> Result<Option<Order>> {
    let found = find(input, order, Keep::Little)?;
    input.skip(found.map_or(usize::MAX, |(at, _)| at));
    Ok(found.map(|(_, order)| order))
}

/// How much of what was searched is wanted afterwards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// The window stays where it is.
    All,
    /// What has no block in it may be forgotten.
    Little,
}

/// How many bytes into the window the next block begins that can be believed, and in which order: of a
/// known type, with the same length at both ends, and another block or nothing behind it. Blocks
/// begin at any byte here, since bytes may be missing.
fn find(input: &mut Input, order: Option<Order>, keep: Keep) -> Result<Option<(usize, Order)>> {
    const LITTLE: usize = 1024 * 1024;
    let orders = match order {
        Some(order) => [Some(order), None],
        None => [Some(Order::Little), Some(Order::Big)],
    };
    let mut at = 4;
    while input.want(at + FRAME)? == Have::Enough {
        for order in orders.into_iter().flatten() {
            if let Some(order) = block_at(input, order, at)? {
                return Ok(Some((at, order)));
            }
        }
        at += 1;
        if at > LITTLE && keep == Keep::Little {
            input.skip(at);
            at = 0;
        }
    }
    Ok(None)
}

/// The order of the block that begins `at` bytes into the window, if one does.
fn block_at(input: &mut Input, order: Order, at: usize) -> Result<Option<Order>> {
    let bytes = input.window().get(at..).unwrap_or_default();
    let known = [SECTION, INTERFACE, OBSOLETE, SIMPLE, NAMES, STATISTICS, ENHANCED, JOURNAL];
    let is_known = known.contains(&order.u32(bytes, 0));
    let Some(block) = is_known.then(|| head(bytes, order).ok()).flatten() else { return Ok(None) };
    if input.want(at + block.length.min(28))? != Have::Enough
        || too_long(input.window().get(at..).unwrap_or_default(), &block).is_some()
        || input.want(at + block.length)? != Have::Enough
    {
        return Ok(None);
    }
    let behind = at + block.length;
    if block.order.u32(input.window(), behind - 4) as usize != block.length {
        return Ok(None);
    }
    let is_followed = match input.want(behind + FRAME)? {
        Have::Enough => {
            let next = input.window().get(behind..).unwrap_or_default();
            head(next, block.order).is_ok()
        }
        Have::End | Have::NotYet => true,
    };
    Ok(is_followed.then_some(block.order))
}
