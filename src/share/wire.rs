//! The messages between a holder and those attached to it.
//!
//! Each message is its length (u32, of what follows), a kind (u8) and fields, all big endian;
//! texts and bytes stand behind their length. The holder speaks first: a [`Hello`], whose first
//! part, up to the endpoints it holds, never changes, so that any two versions can tell each other
//! apart. Who only wanted to know leaves; who wants more says [`ToHolder::Attach`]. Another major
//! version is refused; a newer minor one may append fields, which are passed over, and add kinds.
//!
//! Nothing here trusts its input: lengths are checked against what is there before anything is
//! taken, and no message is longer than [`MAX_MESSAGE`].

use bytes::{Buf, Bytes, BytesMut};

use crate::clock::Timestamp;
use crate::record::{Body, Record};
use records::{put_record, take_record};

mod records;

/// Versions with different numbers here do not understand each other.
pub const MAJOR: u16 = 1;
/// Grows when something is added.
pub const MINOR: u16 = 1;
/// The longest message, in bytes without its length; what a holder sends stays below it.
pub const MAX_MESSAGE: usize = 1024 * 1024;
/// The longest message that a holder accepts.
pub const MAX_REQUEST: usize = 256 * 1024;
/// Records are collected into messages of about this size.
pub const BATCH: usize = 64 * 1024;

const MAGIC: &[u8; 8] = b"uarttool";

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A length beyond the limit.
    #[error("a message of {0} bytes is too long")]
    TooLong(usize),
    /// It ends before its last field, or a field has a value that it cannot have.
    #[error("a message that makes no sense")]
    Nonsense,
}

/// Who a holder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Its protocol version.
    pub major: u16,
    /// Its minor version.
    pub minor: u16,
    /// Its process.
    pub pid: u32,
    /// The command that it runs: `sniff`, `ping`.
    pub command: String,
    /// The endpoints that it holds, in canonical form.
    pub identities: Vec<String>,
    /// The rest, where the major version is ours.
    pub terms: Option<Terms>,
}

/// What holds for the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The endpoint as the holder's user wrote it.
    pub endpoint: String,
    /// When the holder began to share it.
    pub since: Timestamp,
    /// Whether the line is there.
    pub line: Line,
    /// The framing's name.
    pub framing: String,
    /// The largest frame, in bytes.
    pub max_frame: u32,
    /// The addresses under which the holder speaks, if it is a host itself.
    pub host: Option<Host>,
}

/// The state of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The holder waits for it.
    Waiting,
    /// It is there, but whether the other end serves us is not known.
    Unverified,
    /// It is there.
    Served,
}

/// The addresses of a host on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its IPv4 address.
    pub ip: [u8; 4],
    /// Its Ethernet address.
    pub mac: [u8; 6],
}

/// What a holder says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromHolder {
    /// The first message.
    Hello(Hello),
    /// Attached: from now on everything is seen.
    Welcome,
    /// What was seen.
    Records(Vec<Record>),
    /// What was to be sent is on the line, since then.
    Sent(Timestamp),
    /// The line is yours alone, or everybody's again.
    Granted,
    /// Not attached, not sent or not granted; why.
    Refused(String),
    /// The line or the holder is gone; how it showed. The last message.
    End(String),
}

/// What is said to a holder. Each of them is answered before the next may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToHolder {
    /// The first message; answered with `Welcome` or `Refused`.
    Attach {
        /// Protocol version.
        major: u16,
        /// Minor version.
        minor: u16,
        /// The process.
        pid: u32,
        /// The command that it runs.
        command: String,
    },
    /// Send frames, each in one piece with its header.
    Frames(Vec<Bytes>),
    /// Send bytes as they are.
    Raw(Bytes),
    /// May I have the line alone?
    TakeAlone,
    /// It is everybody's again.
    GiveBack,
}

/// Cuts the first whole message off `buffer`; `None` when more bytes are needed.
pub fn split(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, Malformed> {
    let Some(head) = buffer.get(..4) else { return Ok(None) };
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if length > limit {
        return Err(Malformed::TooLong(length));
    }
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    buffer.advance(4);
    Ok(Some(buffer.split_to(length).freeze()))
}

/// Appends a message whose content `write` appends.
fn message(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    out.push(kind);
    write(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

impl FromHolder {
    /// Appends the message with its length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            FromHolder::Hello(hello) => message(out, 1, |out| hello.put(out)),
            FromHolder::Welcome => message(out, 2, |_| {}),
            FromHolder::Records(records) => message(out, 3, |out| {
                records.iter().for_each(|record| put_record(record, out));
            }),
            FromHolder::Sent(time) => message(out, 4, |out| out.extend(time.0.to_be_bytes())),
            FromHolder::Granted => message(out, 5, |_| {}),
            FromHolder::Refused(why) => message(out, 6, |out| put_text(why, out)),
            FromHolder::End(how) => message(out, 7, |out| put_text(how, out)),
        }
    }

    /// Reads a message that [`split`] has cut off; `None` is a kind of a newer minor version.
    pub fn decode(bytes: Bytes) -> Result<Option<FromHolder>, Malformed> {
        let mut fields = Fields(bytes);
        Ok(Some(match fields.u8()? {
            1 => FromHolder::Hello(Hello::take(&mut fields)?),
            2 => FromHolder::Welcome,
            3 => {
                let mut records = Vec::new();
                while !fields.0.is_empty() {
                    records.push(take_record(&mut fields)?);
                }
                FromHolder::Records(records)
            }
            4 => FromHolder::Sent(Timestamp(fields.u64()?)),
            5 => FromHolder::Granted,
            6 => FromHolder::Refused(fields.text()?),
            7 => FromHolder::End(fields.text()?),
            _ => return Ok(None),
        }))
    }
}

/// Appends as many of `records` as make one message, taking them from the front. One that is too
/// long for any message becomes a gap.
pub fn encode_batch(records: &mut std::collections::VecDeque<Record>, out: &mut Vec<u8>) {
    message(out, 3, |out| {
        let start = out.len();
        while out.len() - start < BATCH
            && let Some(record) = records.pop_front()
        {
            let before = out.len();
            put_record(&record, out);
            let length = out.len() - before;
            if length > MAX_MESSAGE - 2 * BATCH {
                out.truncate(before);
                let body = Body::Gap { records: 1, bytes: length as u64 };
                put_record(&Record { body, ..record }, out);
            }
        }
    });
}

impl ToHolder {
    /// Appends the message with its length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ToHolder::Attach { major, minor, pid, command } => message(out, 1, |out| {
                out.extend(MAGIC);
                out.extend(major.to_be_bytes());
                out.extend(minor.to_be_bytes());
                out.extend(pid.to_be_bytes());
                put_text(command, out);
            }),
            ToHolder::Frames(frames) => message(out, 2, |out| {
                frames.iter().for_each(|frame| put_bytes(frame, out));
            }),
            ToHolder::Raw(bytes) => message(out, 3, |out| out.extend(bytes)),
            ToHolder::TakeAlone => message(out, 4, |_| {}),
            ToHolder::GiveBack => message(out, 5, |_| {}),
        }
    }

    /// Reads a message that [`split`] has cut off.
    pub fn decode(bytes: Bytes) -> Result<ToHolder, Malformed> {
        let mut fields = Fields(bytes);
        Ok(match fields.u8()? {
            1 => {
                fields.magic()?;
                ToHolder::Attach {
                    major: fields.u16()?,
                    minor: fields.u16()?,
                    pid: fields.u32()?,
                    command: fields.text().unwrap_or_default(), // of another major version
                }
            }
            2 => {
                let mut frames = Vec::new();
                while !fields.0.is_empty() {
                    frames.push(fields.bytes()?);
                }
                ToHolder::Frames(frames)
            }
            3 => ToHolder::Raw(fields.0),
            4 => ToHolder::TakeAlone,
            5 => ToHolder::GiveBack,
            _ => return Err(Malformed::Nonsense),
        })
    }
}

impl Hello {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(MAGIC);
        out.extend(self.major.to_be_bytes());
        out.extend(self.minor.to_be_bytes());
        out.extend(self.pid.to_be_bytes());
        put_text(&self.command, out);
        out.push(self.identities.len().min(255) as u8);
        self.identities.iter().take(255).for_each(|identity| put_text(identity, out));
        let Some(terms) = &self.terms else { return };
        put_text(&terms.endpoint, out);
        out.extend(terms.since.0.to_be_bytes());
        out.push(match terms.line {
            Line::Waiting => 0,
            Line::Unverified => 1,
            Line::Served => 2,
        });
        put_text(&terms.framing, out);
        out.extend(terms.max_frame.to_be_bytes());
        out.push(terms.host.is_some().into());
        if let Some(host) = terms.host {
            out.extend(host.ip);
            out.extend(host.mac);
        }
    }

    fn take(fields: &mut Fields) -> Result<Hello, Malformed> {
        fields.magic()?;
        let (major, minor, pid) = (fields.u16()?, fields.u16()?, fields.u32()?);
        let command = fields.text()?;
        let count = fields.u8()?;
        let identities = (0..count).map(|_| fields.text()).collect::<Result<_, _>>()?;
        let terms = if major == MAJOR { Some(Terms::take(fields)?) } else { None };
        Ok(Hello { major, minor, pid, command, identities, terms })
    }
}

impl Terms {
    fn take(fields: &mut Fields) -> Result<Terms, Malformed> {
        Ok(Terms {
            endpoint: fields.text()?,
            since: Timestamp(fields.u64()?),
            line: match fields.u8()? {
                0 => Line::Waiting,
                1 => Line::Unverified,
                2 => Line::Served,
                _ => return Err(Malformed::Nonsense),
            },
            framing: fields.text()?,
            max_frame: fields.u32()?,
            host: match fields.u8()? {
                0 => None,
                _ => Some(Host { ip: fields.array()?, mac: fields.array()? }),
            },
        })
    }
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend(bytes);
}

/// A text; one that is longer than its length can say is cut.
fn put_text(text: &str, out: &mut Vec<u8>) {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.extend((end as u16).to_be_bytes());
    out.extend(&text.as_bytes()[..end]);
}

/// The rest of a message.
struct Fields(Bytes);

impl Fields {
    fn take(&mut self, n: usize) -> Result<Bytes, Malformed> {
        if n > self.0.len() { Err(Malformed::Nonsense) } else { Ok(self.0.split_to(n)) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.take(N)?;
        <[u8; N]>::try_from(&bytes[..]).map_err(|_| Malformed::Nonsense)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    fn bytes(&mut self) -> Result<Bytes, Malformed> {
        let n = self.u32()? as usize;
        self.take(n)
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let n = self.u16()?;
        let bytes = self.take(n.into())?;
        String::from_utf8(bytes.into()).map_err(|_| Malformed::Nonsense)
    }

    fn magic(&mut self) -> Result<(), Malformed> {
        if &self.array()? == MAGIC { Ok(()) } else { Err(Malformed::Nonsense) }
    }
}

#[cfg(test)]
mod tests;
