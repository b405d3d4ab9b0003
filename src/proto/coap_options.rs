//! The options of a CoAP message (RFC 7252 section 3.1).
//!
//! They are written as differences: number and length each have four bits, and up to two more bytes.
//! The reader says of each where it stands, and in the end how they ended.

use super::be16;
use super::coap::HEADER;

/// An option of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opt<'a> {
    pub(crate) number: u32,
    /// Where it begins in the message.
    pub(crate) at: usize,
    /// Where its value begins.
    pub(crate) start: usize,
    pub(crate) value: &'a [u8],
}

/// How the options of a message end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With the message.
    Options,
    /// With the marker in front of a payload.
    Payload,
    /// In the middle of one, which needs so many bytes of message.
    Cut(usize),
    /// With a length or difference of 15, which is reserved.
    Reserved,
}

/// Reads the options of a message.
#[derive(Clone, Debug)]
pub(crate) struct Options<'a> {
    message: &'a [u8],
    number: u32,
    /// Where the next one begins; behind the last, where the payload begins.
    pub(crate) at: usize,
    pub(crate) end: End,
}

impl<'a> Options<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        let token = message.first().map_or(0, |first| usize::from(first & 15));
        Options { message, number: 0, at: HEADER + token, end: End::Options }
    }

    /// A number of four bits, and what extends it at `at`; and where that ends.
    fn extended(&self, nibble: u8, at: usize) -> Result<(u32, usize), End> {
        match nibble {
            13 => {
                let more = self.message.get(at).ok_or(End::Cut(at + 1))?;
                Ok((13 + u32::from(*more), at + 1))
            }
            14 => {
                let more = be16(self.message, at).ok_or(End::Cut(at + 2))?;
                Ok((269 + u32::from(more), at + 2))
            }
            15 => Err(End::Reserved),
            _ => Ok((nibble.into(), at)),
        }
    }

    fn read(&mut self, first: u8) -> Result<Opt<'a>, End> {
        let at = self.at;
        let (difference, next) = self.extended(first >> 4, at + 1)?;
        let (length, start) = self.extended(first & 15, next)?;
        let end = start + length as usize;
        let value = self.message.get(start..end).ok_or(End::Cut(end))?;
        self.number = self.number.checked_add(difference).ok_or(End::Reserved)?;
        self.at = end;
        Ok(Opt { number: self.number, at, start, value })
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Opt<'a>;

    fn next(&mut self) -> Option<Opt<'a>> {
        if self.end != End::Options {
            return None;
        }
        let first = *self.message.get(self.at)?;
        if first == 0xff {
            (self.end, self.at) = (End::Payload, self.at + 1);
            return None;
        }
        match self.read(first) {
            Ok(option) => Some(option),
            Err(end) => {
                self.end = end;
                None
            }
        }
    }
}
