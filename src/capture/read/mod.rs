//! Reading what was recorded: capture files, raw streams and hex dumps of whatever program.
//!
//! A [`Reader`] finds out by itself what a file is, and yields [`Record`]s, one at a time and without
//! copying: a frame is a reference to the piece of the file that was read. It never seeks, so that a
//! pipe does as well, and its memory does not depend on the length of the file. What is wrong with
//! a file is collected as [`Damage`], and reading goes on behind it.
//!
//! A capture of the tunnel's own TCP connection ([`Inner`]) is read as what went through the tunnel: the
//! outer packets are put together to streams, and those are framed as a tap would have done.
//!
//! To add a format, write its file, name it in [`Format`], and say in `detect.rs` how it is known.

mod damage;
mod detect;
mod hex;
mod inner;
mod input;
mod pcap;
mod pcapng;
mod plausible;
mod stream;
mod watch;

use std::collections::VecDeque;
use std::path::Path;

pub use self::damage::Damage;
use self::damage::Log;
use self::hex::Hex;
use self::inner::{Trial, Tunnel};
use self::input::{Input, PATIENCE};
use self::pcap::Pcap;
use self::pcapng::Pcapng;
use self::stream::Stream;
use crate::error::Result;
use crate::framing::{self, Framing};
use crate::record::{LinkType, Record};
use crate::stop::Stop;

/// The port of the tunnel, unless the user says otherwise.
pub const TUNNEL_PORT: u16 = 5556;
/// The tunnel is looked for in so many packets.
const FIRST_PACKETS: usize = 1000;
/// And in so many bytes of them.
const FIRST_BYTES: usize = 1024 * 1024;

/// How a file is to be read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What it is; `None` is found out by content.
    pub format: Option<Format>,
    /// Waits for more at the end of a file, until `stop` is given.
    pub follow: bool,
    /// How raw streams, and those inside TCP, are framed.
    pub framing: &'static Framing,
    /// The longest frame in such a stream, in bytes.
    pub max_frame: usize,
    /// Whether it is a capture of the tunnel's own connection.
    pub inner: Inner,
    /// Ends waiting, for a file that grows as for a pipe.
    pub stop: Option<Stop>,
    /// Is told at once what happens to the file, or is left out of it: whole sentences.
    pub tell: Option<fn(&str)>,
}

impl Default for Reading {
    /// Everything is found out; nothing is waited for.
    fn default() -> Self {
        Reading {
            format: None,
            follow: false,
            framing: framing::ALL[0],
            max_frame: framing::DEFAULT_MAX_FRAME,
            inner: Inner::Auto,
            stop: None,
            tell: None,
        }
    }
}

/// Whether a capture is one of the tunnel's own TCP connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Inner {
    /// It is, when the first packets from or to port [`TUNNEL_PORT`] carry frames.
    #[default]
    Auto,
    /// It is not.
    Never,
    /// It is, and the device has this port.
    Port(u16),
}

/// What a file can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Classic pcap.
    Pcap,
    /// pcapng.
    Pcapng,
    /// The bytes of a line, as `socat -r` and QEMU's `logfile=` write them.
    Stream,
    /// A hex dump of any of the usual kinds.
    Hex,
}

/// Reads one input.
pub struct Reader {
    how: Reading,
    input: Input,
    log: Log,
    parser: Parser,
    tunnel: Option<Tunnel>,
    /// What was read in advance, or came several at a time.
    ready: VecDeque<Seen>,
    /// What the tunnel yields; empty between calls.
    scratch: Vec<Record>,
    remark: Option<String>,
    /// What the file seems to be, when it is read as something else.
    seems: Option<&'static str>,
    is_over: bool,
}

enum Parser {
    Pcap(Pcap),
    Pcapng(Pcapng),
    Stream(Stream),
    Hex(Box<Hex>),
}

/// A record and what somebody has remarked on it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    record: Record,
    remark: Option<String>,
}

impl From<Record> for Seen {
    fn from(record: Record) -> Self {
        Seen { record, remark: None }
    }
}

/// What a format has next.
enum Step {
    Seen(Seen),
    /// Nothing before patience ended; more may come.
    NotYet,
    End,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader({}: {})", self.input.name(), self.describe())
    }
}

impl Reader {
    /// Opens a file; `-` is stdin. When it cannot be opened, or is nothing that is known, that is an
    /// error of [`crate::error::Category::InputFile`].
    pub fn open(path: &Path, how: &Reading) -> Result<Reader> {
        Reader::new(Input::open(path, how.follow, how.stop.clone())?, how)
    }

    fn new(mut input: Input, how: &Reading) -> Result<Reader> {
        input.tell = how.tell;
        let (parser, seems) = parser(&mut input, how)?;
        let mut reader = Reader {
            how: how.clone(),
            input,
            log: Log::default(),
            parser,
            tunnel: None,
            ready: VecDeque::new(),
            scratch: Vec::new(),
            remark: None,
            seems,
            is_over: false,
        };
        reader.begin()?;
        Ok(reader)
    }

    /// Goes on with what has taken the place of a followed file.
    fn begin_anew(&mut self) -> Result<()> {
        self.tunnel = None;
        self.input.begin_anew()?;
        let begun = parser(&mut self.input, &self.how);
        if begun.is_err() && self.input.is_stopped() {
            self.is_over = true;
            return Ok(());
        }
        (self.parser, self.seems) = begun?;
        self.begin()
    }

    /// Finds out whether it is a capture of the tunnel, and about pcapng's interfaces.
    fn begin(&mut self) -> Result<()> {
        let Reading { framing, max_frame, .. } = self.how;
        let is_capture = matches!(self.parser, Parser::Pcap(_) | Parser::Pcapng(_));
        let inner = self.how.inner;
        match inner {
            Inner::Port(port) => {
                self.tunnel = Some(Tunnel::new(port, framing, max_frame));
            }
            Inner::Auto if is_capture && self.first_packets_show_a_tunnel()? => {
                let mut tunnel = Tunnel::new(TUNNEL_PORT, framing, max_frame);
                for seen in std::mem::take(&mut self.ready) {
                    tunnel.take(&seen.record, &mut self.scratch);
                }
                self.ready.extend(self.scratch.drain(..).map(Seen::from));
                self.tunnel = Some(tunnel);
            }
            Inner::Auto | Inner::Never => {}
        }
        if let (Parser::Pcapng(pcapng), true) = (&mut self.parser, self.ready.is_empty()) {
            self.input.patience = Some(PATIENCE);
            let done = pcapng.begin(&mut self.input, &mut self.log);
            self.input.patience = None;
            done?;
        }
        Ok(())
    }

    /// Reads the first packets in advance, as long as they are there, and judges them.
    fn first_packets_show_a_tunnel(&mut self) -> Result<bool> {
        let mut trial = Trial::new(TUNNEL_PORT, self.how.framing, self.how.max_frame);
        let mut bytes = 0;
        let mut shows = false;
        self.input.patience = Some(PATIENCE);
        while self.ready.len() < FIRST_PACKETS && bytes < FIRST_BYTES && !shows {
            match self.parser.next(&mut self.input, &mut self.log)? {
                Step::Seen(seen) => {
                    bytes += inner::packet(&seen.record).map_or(0, |(_, bytes)| bytes.len());
                    shows = trial.take(&seen.record);
                    self.ready.push_back(seen);
                }
                Step::NotYet if self.ready.is_empty() => {} // nothing is withheld by waiting
                Step::NotYet | Step::End => break,
            }
        }
        self.input.patience = None;
        let is_ours = matches!(&self.parser, Parser::Pcapng(pcapng) if pcapng.is_ours);
        Ok(!is_ours && (shows || trial.finish()))
    }

    /// The next record; `None` at the end. Damage is not an error: see [`Reader::damage`]. An error of
    /// [`crate::error::Category::InputFile`] is one of the system's, and the end.
    #[inline]
    pub fn read(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(seen) = self.ready.pop_front() {
                self.remark = seen.remark;
                return Ok(Some(seen.record));
            }
            if self.is_over {
                self.remark = None;
                return Ok(None);
            }
            if self.input.is_succeeded() {
                self.begin_anew().inspect_err(|_| self.is_over = true)?;
                continue;
            }
            let step = self.parser.next(&mut self.input, &mut self.log);
            match (step, &mut self.tunnel) {
                (Ok(Step::Seen(seen)), None) => {
                    self.remark = seen.remark;
                    return Ok(Some(seen.record));
                }
                (Ok(Step::Seen(seen)), Some(tunnel)) => {
                    tunnel.take(&seen.record, &mut self.scratch);
                }
                (Ok(Step::NotYet), _) => {}
                (Ok(Step::End), tunnel) => {
                    self.is_over = !self.input.is_succeeded();
                    if let Some(tunnel) = tunnel {
                        tunnel.finish(self.input.has_ended(), &mut self.scratch);
                    }
                    self.has_been_read()?;
                }
                (Err(error), _) => {
                    self.is_over = true;
                    return Err(error);
                }
            }
            self.ready.extend(self.scratch.drain(..).map(Seen::from));
        }
    }

    /// At the end of what was read as a stream or a dump: that it was none is an error, and that it seems to be
    /// something else is said.
    fn has_been_read(&self) -> Result<()> {
        let (name, format) = (self.name(), self.format().name());
        let what = match &self.parser {
            _ if !self.input.has_ended() => return Ok(()),
            Parser::Stream(stream) if stream.frames() == 0 && self.how.format.is_some() => {
                format!("no frame begins in '{name}', read as a raw stream")
            }
            Parser::Hex(hex) if hex.dumps() == 0 => {
                format!("'{name}' has no hex dump of a frame in it")
            }
            Parser::Pcap(_) | Parser::Pcapng(_) | Parser::Stream(_) | Parser::Hex(_) => {
                if let Some(seems) = self.seems {
                    self.input.tell(&format!("was read as a {format}, but seems to be {seems}"));
                }
                return Ok(());
            }
        };
        Err(detect::error(what, self.seems))
    }

    /// What was found to be wrong since this was asked last: each thing once.
    pub fn damage(&mut self) -> Vec<Damage> {
        self.log.take()
    }

    /// What is written beside the record that [`Reader::read`] has returned last, where the format holds
    /// remarks; several are lines. What [`crate::capture::CaptureFile`] says by itself is not among it, so that
    /// it can be given to [`crate::capture::CaptureFile::record`] as it is.
    pub fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// What the file is: "pcapng, 2 interfaces", "pcap, nanoseconds, Ethernet", "hex dump", "raw stream",
    /// "pcap of TCP port 5556".
    pub fn describe(&self) -> String {
        let parser = &self.parser;
        match &self.tunnel {
            Some(tunnel) => format!("{} of TCP port {}", parser.name(), tunnel.port()),
            None => match parser {
                Parser::Pcap(pcap) => pcap.describe(),
                Parser::Pcapng(pcapng) => pcapng.describe(),
                Parser::Stream(_) | Parser::Hex(_) => parser.name().to_owned(),
            },
        }
    }

    /// What the file is.
    pub fn format(&self) -> Format {
        self.parser.format()
    }

    /// How many packets of a capture of the tunnel were not the tunnel's.
    pub fn passed_over(&self) -> u64 {
        self.tunnel.as_ref().map_or(0, Tunnel::passed_over)
    }

    /// Whether it was read as a capture of the tunnel, and no frame came out of it so far.
    pub fn is_tunnel_without_frames(&self) -> bool {
        self.tunnel.as_ref().is_some_and(|tunnel| tunnel.frames() == 0)
    }

    /// How messages name the input: its path, or "stdin".
    pub fn name(&self) -> &str {
        self.input.name()
    }
}

impl Parser {
    #[inline]
    fn next(&mut self, input: &mut Input, log: &mut Log) -> Result<Step> {
        match self {
            Parser::Pcap(pcap) => pcap.next(input, log),
            Parser::Pcapng(pcapng) => pcapng.next(input, log),
            Parser::Stream(stream) => stream.next(input),
            Parser::Hex(hex) => hex.next(input, log),
        }
    }

    fn format(&self) -> Format {
        match self {
            Parser::Pcap(_) => Format::Pcap,
            Parser::Pcapng(_) => Format::Pcapng,
            Parser::Stream(_) => Format::Stream,
            Parser::Hex(_) => Format::Hex,
        }
    }

    fn name(&self) -> &'static str {
        self.format().name()
    }
}

/// What reads the input, and what it seems to be if it is read as something else.
fn parser(input: &mut Input, how: &Reading) -> Result<(Parser, Option<&'static str>)> {
    loop {
        let begun = detect::format(input, how)
            .and_then(|(format, seems)| Ok((format.parser(input, how)?, seems)));
        match begun {
            Err(_) if input.begin_anew()? => {} // it was replaced before it could be told what it is
            begun => return begun,
        }
    }
}

impl Format {
    fn parser(self, input: &mut Input, how: &Reading) -> Result<Parser> {
        match self {
            Format::Pcap => match Pcap::begin(input)? {
                Some(pcap) => Ok(Parser::Pcap(pcap)),
                None => Err(detect::is_not(input, "a whole pcap header")),
            },
            Format::Pcapng => {
                let magic = pcapng::SECTION.to_be_bytes();
                match input.want(4)? == input::Have::Enough {
                    true if input.window().starts_with(&magic) => {}
                    true if !detect::has_section(input)? => {
                        return Err(detect::is_not(input, "a pcapng section"));
                    }
                    true => {} // the parser finds it, and tells what was passed over
                    false => return Err(detect::is_not(input, "a pcapng section")),
                }
                Ok(Parser::Pcapng(Pcapng::default()))
            }
            Format::Stream => Ok(Parser::Stream(Stream::new(how.framing, how.max_frame))),
            Format::Hex => Ok(Parser::Hex(Box::new(Hex::new(how.framing, how.max_frame)))),
        }
    }

    /// How people call it.
    fn name(self) -> &'static str {
        match self {
            Format::Pcap => "pcap",
            Format::Pcapng => "pcapng",
            Format::Stream => "raw stream",
            Format::Hex => "hex dump",
        }
    }
}

/// How people call a link type.
fn link_name(link: LinkType) -> String {
    match link {
        LinkType::ETHERNET => "Ethernet".to_owned(),
        LinkType::NULL | LinkType::LOOP => "loopback".to_owned(),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => "IP".to_owned(),
        LinkType::LINUX_SLL | LinkType::LINUX_SLL2 => "Linux cooked capture".to_owned(),
        other => format!("link type {other}"),
    }
}

#[cfg(test)]
mod tests;
