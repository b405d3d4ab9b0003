//! Packet scripts: what is sent and what has to come, a line an event.
//!
//! ```text
//! send    tcp S  http seq=1000 win=4096 mss=1460
//! expect  tcp SA ack=1001 mss=536..1460      within 1s  as sa
//! send    tcp A  seq=1001 ack=sa.end
//! silent  tcp
//! ```
//!
//! Theory of operation. A line is a verb, a message and its fields (`parse`, `words`). Everything that can be
//! checked without a device is checked when a script is read, with line and column: `fields` says which
//! fields there are, what they hold, and how they are set and read. `run` executes the steps on a [`Trial`]:
//! what is not said is automatic and right, ports and identifiers are of the test's own, and silence is
//! proved by a sentinel. What is written about the language for people is in `docs/scripts.md`.
//!
//! [`Trial`]: super::trial::Trial

mod draft;
mod fields;
mod parse;
mod run;
mod words;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::model::Severity;
use crate::dissect::filter::Filter;
use crate::proto::MacAddr;
use draft::Layer;
use fields::Field;
use words::Comparison;

/// What is wrong with a script, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; 0 where there is only one.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { line, column, message } = self;
        match line {
            0 => write!(f, "column {column}: {message}"),
            line => write!(f, "line {line}, column {column}: {message}"),
        }
    }
}

/// A script that makes sense.
#[derive(Clone, Debug)]
pub struct Script {
    steps: Vec<Step>,
}

/// A line that does something.
#[derive(Clone, Debug)]
struct Step {
    /// The line, from 1.
    line: usize,
    /// The line as it was written, without what is around it.
    text: String,
    /// Its own weight, if it says one.
    severity: Option<Severity>,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
    /// Builds a packet and sends it.
    Send(Packet),
    /// Waits for a packet.
    Expect { pattern: Pattern, within: Duration },
    /// A sentinel is answered, and since the last packet went nothing like that has come.
    Silent(Option<Pattern>),
    /// Nothing like that comes in the whole script.
    Never(Pattern),
    /// Puts bytes on the line as they are.
    Stream(Vec<u8>),
    /// Listens.
    Wait(Duration),
    /// The device answers a ping.
    Ping,
    /// What has come until now is of no interest to the steps behind.
    Forget,
}

/// A packet to send.
#[derive(Clone, Debug)]
struct Packet {
    layer: Layer,
    /// The conversation that it belongs to.
    via: String,
    /// The port in it that it names.
    port: Option<Number>,
    settings: Vec<(&'static Field, Setting)>,
    /// Of ICMP: the packet that it quotes.
    quote: Option<String>,
    /// Its name for later lines.
    name: Option<String>,
}

/// A packet that is expected.
#[derive(Clone, Debug)]
struct Pattern {
    layer: Layer,
    via: String,
    /// Which flags have to be set, and which of them have to be clear.
    flags: Option<(u8, u8)>,
    tests: Vec<(&'static Field, Matcher)>,
    /// Of ICMP errors: the packet that they quote.
    quote: Option<String>,
    /// A filter that has to match as well.
    filter: Option<Filter>,
    /// Its name for later lines.
    name: Option<String>,
}

/// A sum of numbers, some of them known only when it is run.
type Number = Vec<(bool, Term)>;

/// A part of a sum; the flag beside it says that it is taken away.
#[derive(Clone, Debug, PartialEq)]
enum Term {
    Value(u64),
    /// A field of a packet with that name.
    Field(String, &'static Field),
    Known(Known),
}

/// Numbers of the target and of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// The web server's port.
    Http,
    /// A TCP or UDP port where nobody listens.
    Closed,
    /// The echo service's port.
    Echo,
    /// The largest frame.
    MaxFrame,
    /// The data of a full segment: what is left of the largest frame behind its headers.
    Full,
}

/// An address of either end, or as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Address<T> {
    Exact(T),
    Host,
    Device,
    /// The last byte of an address on the host's network.
    Net(u8),
}

/// What a field is set to.
#[derive(Clone, Debug, PartialEq)]
enum Setting {
    Number(Number),
    Ip(Address<Ipv4Addr>),
    Mac(Address<MacAddr>),
    Bytes(Vec<u8>),
    Checksum(crate::craft::layers::Checksum),
}

/// What a field has to be.
#[derive(Clone, Debug)]
enum Matcher {
    Number(Comparison, Number),
    Range(Number, Number),
    Ip(Comparison, Address<Ipv4Addr>),
    Mac(Comparison, Address<MacAddr>),
    Bytes(Comparison, Vec<u8>),
    Regex(regex::bytes::Regex),
    IsRight(bool),
    /// It must not be there.
    Absent,
}
