//! The questions and records of a DNS message, one after the other (RFC 1035 section 4.1).
//!
//! The header announces how many there are, but it may lie: reading ends where the bytes end, or at
//! the first name that cannot be read, and says why. Each record costs at least eleven bytes, and each
//! name a bounded number of steps, so that the work is bounded by the length of the message.

use super::dns_data::RecordData;
use super::{Domain, be16, be32};

/// The bytes of a header.
pub const HEADER: usize = 12;
/// The type of OPT, which is no record of the zone (RFC 6891 section 6.1.1).
pub const OPT: u16 = 41;

/// Which part of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What is asked.
    Question,
    /// What answers it; in an update, what must be there.
    Answer,
    /// Who is responsible; in an update, what is changed.
    Authority,
    /// What else might be useful.
    Additional,
}

/// Sections in the order in which they come.
const SECTIONS: [Section; 4] =
    [Section::Question, Section::Answer, Section::Authority, Section::Additional];

/// A question, or a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where it belongs.
    pub section: Section,
    /// Whose it is.
    pub name: Domain<'a>,
    /// Its type.
    pub kind: u16,
    /// Its class.
    pub class: u16,
    /// How many seconds it may be kept; 0 for a question.
    pub ttl: u32,
    /// What it holds; nothing for a question.
    pub data: RecordData<'a>,
    /// Where the type is in the message, behind the name.
    pub fixed: usize,
}

/// Why a message cannot be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More bytes are announced: so many from the message's start.
    Needs(usize),
    /// What is at this place is against the protocol.
    Wrong(usize, &'static str),
}

/// Reads the questions and records of a message.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    message: &'a [u8],
    at: usize,
    section: usize,
    left: [u16; 4],
    fault: Option<Fault>,
}

impl<'a> Entries<'a> {
    /// Those of `message`, which begins with the header.
    pub fn new(message: &'a [u8]) -> Self {
        let left = [4, 6, 8, 10].map(|at| be16(message, at).unwrap_or_default());
        Entries { message, at: HEADER, section: 0, left, fault: None }
    }

    /// Where reading has come to: behind the last entry, once all are read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Why reading ended early, if it did.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    fn read(&self, section: Section) -> Result<(Entry<'a>, usize), Fault> {
        let message = self.message;
        let fixed = end_of_name(message, self.at)?;
        let short = |needed| Fault::Needs(fixed + needed);
        let kind = be16(message, fixed).ok_or(short(4))?;
        let class = be16(message, fixed + 2).ok_or(short(4))?;
        let name = Domain { message, at: self.at };
        if section == Section::Question {
            let data = RecordData { message, kind, at: fixed + 4, length: 0 };
            return Ok((Entry { section, name, kind, class, ttl: 0, data, fixed }, fixed + 4));
        }
        let ttl = be32(message, fixed + 4).ok_or(short(10))?;
        let length = usize::from(be16(message, fixed + 8).ok_or(short(10))?);
        let end = fixed + 10 + length;
        if end > message.len() {
            return Err(Fault::Needs(end));
        }
        let data = RecordData { message, kind, at: fixed + 10, length };
        Ok((Entry { section, name, kind, class, ttl, data, fixed }, end))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        if self.fault.is_some() {
            return None;
        }
        while *self.left.get(self.section)? == 0 {
            self.section += 1;
        }
        self.left[self.section] -= 1;
        match self.read(SECTIONS[self.section]) {
            Ok((entry, end)) => {
                self.at = end;
                Some(entry)
            }
            Err(fault) => {
                self.fault = Some(fault);
                None
            }
        }
    }
}

/// No name needs to be followed further.
const MAX_POINTERS: usize = 64;

/// Where the bytes of the name at `start` end, once all of the name was found to be readable: what it
/// points to must be in front of the part that points (RFC 1035 section 4.1.4), which also ends every loop.
pub(crate) fn end_of_name(message: &[u8], start: usize) -> Result<usize, Fault> {
    let (mut at, mut part, mut total, mut end) = (start, start, 1, None);
    for _ in 0..=MAX_POINTERS {
        loop {
            let length = *message.get(at).ok_or(Fault::Needs(at + 1))?;
            match length {
                0 => return Ok(end.unwrap_or(at + 1)),
                1..=63 => {
                    at += 1 + usize::from(length);
                    total += 1 + usize::from(length);
                }
                192.. => break,
                _ => return Err(Fault::Wrong(at, "label of an unknown kind")),
            }
            if total > 255 {
                return Err(Fault::Wrong(start, "name longer than 255 bytes"));
            }
        }
        let to = usize::from(be16(message, at).ok_or(Fault::Needs(at + 2))? & 0x3fff);
        if to >= part {
            return Err(Fault::Wrong(at, "name does not point back"));
        }
        end = end.or(Some(at + 2));
        (at, part) = (to, to);
    }
    Err(Fault::Wrong(start, "name points on and on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(counts: [u8; 4], rest: &[u8]) -> Vec<u8> {
        let mut message = vec![0; 4];
        message.extend(counts.into_iter().flat_map(|count| [0, count]));
        message.extend(rest);
        message
    }

    fn read(message: &[u8]) -> (Vec<(Section, String, usize)>, Option<Fault>) {
        let mut entries = Entries::new(message);
        let seen = entries
            .by_ref()
            .map(|entry| (entry.section, entry.name.to_string(), entry.data.length))
            .collect();
        (seen, entries.fault())
    }

    #[test]
    fn sections_come_in_order_and_empty_ones_are_passed_over() {
        let bytes = message(
            [1, 0, 1, 1],
            &[
                1, b'a', 0, 0, 1, 0, 1, // question
                0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4, // authority
                1, b'b', 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 0, // additional
            ],
        );
        let expected = vec![
            (Section::Question, "a".to_owned(), 0),
            (Section::Authority, "a".to_owned(), 4),
            (Section::Additional, "b.a".to_owned(), 0),
        ];
        assert_eq!(read(&bytes), (expected, None));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let loops = message([1, 0, 0, 0], &[1, b'a', 0xc0, 12, 0, 1, 0, 1]);
        assert_eq!(read(&loops), (vec![], Some(Fault::Wrong(14, "name does not point back"))));
        let kind = message([1, 0, 0, 0], &[0x41, 0, 0, 1, 0, 1]);
        assert_eq!(read(&kind), (vec![], Some(Fault::Wrong(12, "label of an unknown kind"))));
        let cut = message([1, 0, 0, 0], &[5, b'a']);
        assert_eq!(read(&cut), (vec![], Some(Fault::Needs(19))));
        let announced = [vec![0; 4], vec![255; 8]].concat();
        assert_eq!(read(&announced), (vec![], Some(Fault::Needs(13))));
        let long = message([1, 0, 0, 0], &[[63; 64].as_slice(); 4].concat());
        assert_eq!(read(&long), (vec![], Some(Fault::Wrong(12, "name longer than 255 bytes"))));
    }
}
