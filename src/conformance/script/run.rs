//! The steps of a script, on a running test.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::draft::{Blank, Draft, Layer};
use super::fields::{Field, Value};
use super::words::Comparison;
use super::{
    Action, Address, Known, Matcher, Number, Packet, Pattern, Script, Setting, Step, Term,
};
use crate::clock::Timestamp;
use crate::conformance::model::{Flow, Halt, Mismatch, Severity};
use crate::conformance::rig::Capability;
use crate::conformance::seen::Seen;
use crate::conformance::stimulus::ArpFrame;
use crate::conformance::trial::{Trial, is_reaction};
use crate::dissect::Dissector;
use crate::dissect::filter;
use crate::proto::MacAddr;
use crate::record::{Direction, LinkType};

/// Bytes of the headers in front of a segment's data.
const SEGMENT_HEADERS: u64 = 54;

/// Two ends that speak with each other.
#[derive(Clone, Copy, Debug, Default)]
struct Conversation {
    ours: u16,
    /// Known once something was sent.
    theirs: Option<u16>,
    /// The identifier and sequence number of the last echo request.
    echo: Option<[u8; 4]>,
}

/// A frame that came, and whether a step has taken it.
struct Came {
    frame: Seen,
    is_taken: bool,
}

struct Run<'a> {
    trial: &'a mut Trial,
    names: HashMap<&'a str, Seen>,
    conversations: HashMap<&'a str, Conversation>,
    came: Vec<Came>,
    /// How many frames had come when something was sent last.
    last_sent: usize,
}

/// Why a step could not do its part.
enum Stop {
    /// It refers to a packet that has not come.
    Unnamed,
    Halt(Halt),
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Stop {
        Stop::Halt(halt)
    }
}

impl Script {
    /// Runs every step; a required one that is not met ends it.
    pub async fn run(&self, trial: &mut Trial) -> Flow {
        let needs_bytes = |step: &Step| match &step.action {
            Action::Stream(_) => true,
            Action::Send(packet) => packet.settings.iter().any(|(f, _)| f.name == "any.prefix"),
            _ => false,
        };
        if self.steps.iter().any(needs_bytes) && !trial.rig.can(Capability::RawBytes) {
            return Err(Halt::Skip(Capability::RawBytes.missing().to_owned()));
        }
        let mut run = Run {
            trial,
            names: HashMap::new(),
            conversations: HashMap::new(),
            came: Vec::new(),
            last_sent: 0,
        };
        let mut flow = Ok(());
        for step in &self.steps {
            match run.step(step).await {
                Ok(()) => {}
                // The step that should have brought it has failed already, at its own weight.
                Err(Stop::Unnamed) => break,
                Err(Stop::Halt(halt)) => {
                    flow = Err(halt);
                    break;
                }
            }
        }
        run.close(&self.steps, flow).await
    }
}

impl<'a> Run<'a> {
    async fn step(&mut self, step: &'a Step) -> Result<(), Stop> {
        match &step.action {
            Action::Send(packet) => self.send(packet).await,
            Action::Expect { pattern, within } => self.expect(step, pattern, *within).await,
            Action::Silent(pattern) => self.silent(step, pattern.as_ref()).await,
            Action::Never(_) => Ok(()), // looked at in the end
            Action::Stream(bytes) => {
                self.last_sent = self.came.len();
                Ok(self.trial.raw(bytes).await?)
            }
            Action::Wait(time) => {
                let time = time.mul_f64(self.trial.rig.time_scale);
                self.trial.listen(time).await?;
                self.take();
                Ok(())
            }
            Action::Ping => {
                self.trial.survives().await?;
                self.take();
                Ok(())
            }
            Action::Forget => {
                self.take();
                self.came.iter_mut().for_each(|came| came.is_taken = true);
                Ok(())
            }
        }
    }

    /// Everything that has come is ours to look at.
    fn take(&mut self) {
        let came = self.trial.take_seen();
        self.came.extend(came.into_iter().map(|frame| Came { frame, is_taken: false }));
    }

    fn conversation(&mut self, via: &'a str) -> &mut Conversation {
        let numbers = &mut self.trial.rig.numbers;
        self.conversations
            .entry(via)
            .or_insert_with(|| Conversation { ours: numbers.port(), ..Conversation::default() })
    }

    async fn send(&mut self, packet: &'a Packet) -> Result<(), Stop> {
        self.take();
        let draft = self.draft(packet)?;
        let frame = draft.frame();
        if let Some(name) = &packet.name {
            let seen = Seen { time: Timestamp::default(), bytes: frame.clone().into() };
            self.names.insert(name, seen);
        }
        self.last_sent = self.came.len();
        match draft.prefix {
            None => self.trial.send(&frame).await?,
            Some(prefix) => {
                let bytes = [&prefix.to_be_bytes()[..], &frame].concat();
                self.trial.raw(&bytes).await?;
            }
        }
        Ok(())
    }

    /// The packet with everything that it leaves to us.
    fn draft(&mut self, packet: &'a Packet) -> Result<Draft, Stop> {
        let trial = &mut *self.trial;
        let id = trial.identity();
        let blank = Blank {
            echo: trial.echo(0),
            datagram: trial.datagram(trial.rig.target.ports.closed_udp, &[]),
            segment: trial.segment_from(0, trial.rig.target.ports.http),
            arp: ArpFrame::request(id.host_mac, id.host_ip, id.device_ip),
        };
        let mut draft = blank.draft(packet.layer);
        let port = packet.port.as_ref().map(|port| self.port(packet.layer, port)).transpose()?;
        let default = match packet.layer {
            Layer::Udp => self.trial.rig.target.ports.closed_udp,
            _ => self.trial.rig.target.ports.http,
        };
        let conversation = self.conversation(&packet.via);
        let theirs = port.or(conversation.theirs).unwrap_or(default);
        let ours = conversation.ours;
        (draft.udp.source, draft.udp.destination) = (ours, theirs);
        (draft.tcp.source, draft.tcp.destination) = (ours, theirs);
        for (field, setting) in &packet.settings {
            let value = self.value(field, setting)?;
            if let Some(set) = field.set {
                set(&mut draft, value);
            }
        }
        if let Some(name) = &packet.quote {
            let quoted = self.names.get(name.as_str()).ok_or(Stop::Unnamed)?;
            draft.data = quotation(quoted);
        }
        self.remember(packet, &draft);
        Ok(draft)
    }

    /// What later lines of the conversation refer to without saying it.
    fn remember(&mut self, packet: &'a Packet, draft: &Draft) {
        let conversation = self.conversation(&packet.via);
        match packet.layer {
            Layer::Tcp => conversation.theirs = Some(draft.tcp.destination),
            Layer::Udp => conversation.theirs = Some(draft.udp.destination),
            Layer::Icmp => conversation.echo = Some(draft.icmp.rest),
            Layer::Eth | Layer::Arp | Layer::Ip => {}
        }
    }

    fn port(&self, layer: Layer, port: &Number) -> Result<u16, Stop> {
        let ports = self.trial.rig.target.ports;
        match port.as_slice() {
            [(false, Term::Known(Known::Closed))] if layer == Layer::Udp => Ok(ports.closed_udp),
            _ => Ok(self.number(port, 16)? as u16),
        }
    }

    /// A sum, wrapped to so many bits.
    fn number(&self, number: &Number, bits: u32) -> Result<u64, Stop> {
        let mut sum = 0u64;
        for (is_taken_away, term) in number {
            let ports = self.trial.rig.target.ports;
            let value = match term {
                Term::Value(value) => *value,
                Term::Known(Known::Http) => ports.http.into(),
                Term::Known(Known::Closed) => ports.closed_tcp.into(),
                Term::Known(Known::Echo) => ports.echo.into(),
                Term::Known(Known::MaxFrame) => self.trial.max_frame() as u64,
                Term::Known(Known::Full) => {
                    (self.trial.max_frame() as u64).saturating_sub(SEGMENT_HEADERS)
                }
                Term::Field(name, field) => {
                    let seen = self.names.get(name.as_str()).ok_or(Stop::Unnamed)?;
                    match field.get.and_then(|get| get(seen)) {
                        Some(Value::Number(value)) => value,
                        _ => return Err(Stop::Unnamed),
                    }
                }
            };
            sum = match is_taken_away {
                true => sum.wrapping_sub(value),
                false => sum.wrapping_add(value),
            };
        }
        Ok(sum & ((1 << bits) - 1))
    }

    fn ip(&self, address: Address<Ipv4Addr>) -> Ipv4Addr {
        match address {
            Address::Exact(ip) => ip,
            Address::Host => self.trial.identity().host_ip,
            Address::Device => self.trial.identity().device_ip,
            Address::Net(last) => self.trial.address(last),
        }
    }

    fn mac(&self, address: Address<MacAddr>) -> MacAddr {
        match address {
            Address::Exact(mac) => mac,
            Address::Host => self.trial.identity().host_mac,
            Address::Device => self.trial.identity().device_mac,
            Address::Net(last) => MacAddr(2, 0, 0, 0, 1, last),
        }
    }

    fn value(&self, field: &Field, setting: &Setting) -> Result<Value, Stop> {
        Ok(match setting {
            Setting::Number(number) => Value::Number(self.number(number, field.bits())?),
            Setting::Ip(address) => Value::Ip(self.ip(*address)),
            Setting::Mac(address) => Value::Mac(self.mac(*address)),
            Setting::Bytes(bytes) => Value::Bytes(bytes.clone()),
            Setting::Checksum(checksum) => Value::Checksum(*checksum),
        })
    }

    async fn expect(
        &mut self,
        step: &'a Step,
        pattern: &'a Pattern,
        within: Duration,
    ) -> Result<(), Stop> {
        self.check_names(pattern)?;
        let mut found = self.find(pattern);
        if found.is_none() {
            self.take();
            found = self.find(pattern);
        }
        let deadline = tokio::time::Instant::now() + self.trial.within(within);
        while found.is_none() && tokio::time::Instant::now() < deadline {
            let left = deadline - tokio::time::Instant::now();
            self.trial.listen_for_one(left).await?;
            self.take();
            found = self.find(pattern);
        }
        let severity = step.severity.unwrap_or(self.trial.severity());
        let is_met = match found {
            Some(_) => self.trial.check(severity, true, expectation(step), "it came"),
            None => self.missed(step, pattern, severity).await?,
        };
        if let Some(came) = found.and_then(|at| self.came.get_mut(at)) {
            came.is_taken = true;
            if let Some(name) = &pattern.name {
                self.names.insert(name, came.frame.clone());
            }
        }
        match is_met || severity > Severity::Threshold {
            true => Ok(()),
            false => Err(Stop::Halt(Halt::Failed)),
        }
    }

    /// What was expected has not come: a failure, if the device is there to be judged.
    async fn missed(
        &mut self,
        step: &Step,
        pattern: &Pattern,
        severity: Severity,
    ) -> Result<bool, Stop> {
        self.trial.survives().await?;
        self.take();
        let expected = expectation(step);
        let near = self.nearest(pattern);
        Ok(match near {
            Some((at, fields)) if !fields.is_empty() => {
                let frame = self.came[at].frame.clone();
                self.trial.check_frame(severity, &frame, expected, fields)
            }
            Some((at, _)) => {
                let said = crate::conformance::trial::said(&self.came[at].frame);
                self.trial.check(severity, false, expected, format!("it came too late: {said}"))
            }
            None => self.trial.check(severity, false, expected, "nothing of the kind came"),
        })
    }

    /// Every packet that a pattern speaks of has come.
    fn check_names(&self, pattern: &Pattern) -> Result<(), Stop> {
        let numbers = pattern.tests.iter().flat_map(|(_, matcher)| match matcher {
            Matcher::Number(_, number) => vec![number],
            Matcher::Range(low, high) => vec![low, high],
            _ => Vec::new(),
        });
        for number in numbers {
            self.number(number, 32)?;
        }
        match &pattern.quote {
            Some(name) if !self.names.contains_key(name.as_str()) => Err(Stop::Unnamed),
            _ => Ok(()),
        }
    }

    fn find(&self, pattern: &Pattern) -> Option<usize> {
        let is_it = |came: &Came| !came.is_taken && self.matches(pattern, &came.frame);
        self.came.iter().position(is_it)
    }

    fn matches(&self, pattern: &Pattern, frame: &Seen) -> bool {
        self.is_in(pattern, frame) && self.differences(pattern, frame).is_empty()
    }

    /// The frame that differs in the fewest fields, the last of several, and how.
    fn nearest(&self, pattern: &Pattern) -> Option<(usize, Vec<Mismatch>)> {
        let frames = self.came.iter().enumerate().rev();
        let ours = frames.filter(|(_, came)| !came.is_taken && self.is_in(pattern, &came.frame));
        let differing = ours.map(|(at, came)| (at, self.differences(pattern, &came.frame)));
        differing.min_by_key(|(_, fields)| fields.len())
    }

    /// Whether a frame is a message of the pattern's kind in its conversation.
    fn is_in(&self, pattern: &Pattern, frame: &Seen) -> bool {
        let conversation = self.conversations.get(pattern.via.as_str());
        let is_between = |source: u16, destination: u16| match conversation {
            Some(Conversation { ours, theirs, .. }) => {
                destination == *ours && theirs.is_none_or(|theirs| theirs == source)
            }
            None => true,
        };
        match pattern.layer {
            Layer::Eth => true,
            Layer::Arp => frame.arp().is_some(),
            Layer::Ip => frame.ip().is_some(),
            Layer::Icmp => {
                let Some(message) = frame.icmp() else { return false };
                let is_reply = message.kind == crate::proto::icmp::ECHO_REPLY;
                let names_id = pattern.tests.iter().any(|(field, _)| field.name == "icmp.id");
                let own = conversation.and_then(|conversation| conversation.echo);
                !is_reply || names_id || own.is_none_or(|own| own == message.rest)
            }
            Layer::Udp => frame.udp().is_some_and(|udp| is_between(udp.source, udp.destination)),
            Layer::Tcp => frame.tcp().is_some_and(|tcp| {
                let names_port = pattern.tests.iter().any(|(field, _)| field.name == "tcp.sport");
                match names_port {
                    true => conversation.is_none_or(|known| known.ours == tcp.destination),
                    false => is_between(tcp.source, tcp.destination),
                }
            }),
        }
    }

    /// In what a frame is not what the pattern wants.
    fn differences(&self, pattern: &Pattern, frame: &Seen) -> Vec<Mismatch> {
        let mut fields = Vec::new();
        if let (Some((set, clear)), Some(tcp)) = (pattern.flags, frame.tcp())
            && (tcp.flags & set != set || tcp.flags & clear != 0)
        {
            let (expected, received) = (letters(set), letters(tcp.flags));
            fields.push(Mismatch { field: "tcp.flags", expected, received });
        }
        for (field, matcher) in &pattern.tests {
            let value = field.get.and_then(|get| get(frame));
            if let Some(expected) = self.unmet(field, matcher, value.as_ref()) {
                let received = value.as_ref().map_or("none".to_owned(), shown);
                fields.push(Mismatch { field: field.name, expected, received });
            }
        }
        if let Some(quoted) = pattern.quote.as_ref().and_then(|name| self.names.get(name.as_str()))
        {
            let wanted = quotation(quoted);
            let data = frame.icmp().map(|icmp| icmp.data.to_vec()).unwrap_or_default();
            if !data.starts_with(&wanted) {
                let expected = format!("{} bytes of the packet, unchanged", wanted.len());
                let received = hex(&data);
                fields.push(Mismatch { field: "icmp.quote", expected, received });
            }
        }
        if let Some(filter) = &pattern.filter
            && !passes(filter, frame)
        {
            let (expected, received) = (filter.to_string(), "something else".to_owned());
            fields.push(Mismatch { field: "where", expected, received });
        }
        fields
    }

    /// What was wanted, if `value` is not that.
    fn unmet(&self, field: &Field, matcher: &Matcher, value: Option<&Value>) -> Option<String> {
        let bits = field.bits();
        let number = |number: &Number| self.number(number, bits).unwrap_or_default();
        let equality = |comparison: &Comparison, is_equal: bool, wanted: String| {
            let is_wanted = *comparison == Comparison::Equal;
            (is_equal != is_wanted).then(|| format!("{}{wanted}", sign(*comparison)))
        };
        match (matcher, value) {
            (Matcher::Absent, None) => None,
            (Matcher::Absent, Some(_)) => Some("none".to_owned()),
            (Matcher::Number(comparison, wanted), value) => {
                let wanted = number(wanted);
                let is_met = match value {
                    Some(Value::Number(value)) => compares(*comparison, *value, wanted),
                    _ => false,
                };
                (!is_met).then(|| format!("{}{wanted}", sign(*comparison)))
            }
            (Matcher::Range(low, high), value) => {
                let (low, high) = (number(low), number(high));
                let is_met = matches!(value, Some(Value::Number(n)) if (low..=high).contains(n));
                (!is_met).then(|| format!("{low}..{high}"))
            }
            (Matcher::Ip(comparison, wanted), value) => {
                let wanted = self.ip(*wanted);
                let is_equal = value == Some(&Value::Ip(wanted));
                equality(comparison, is_equal, wanted.to_string())
            }
            (Matcher::Mac(comparison, wanted), value) => {
                let wanted = self.mac(*wanted);
                let is_equal = value == Some(&Value::Mac(wanted));
                equality(comparison, is_equal, wanted.to_string())
            }
            (Matcher::Bytes(comparison, wanted), value) => {
                let is_equal = matches!(value, Some(Value::Bytes(bytes)) if bytes == wanted);
                equality(comparison, is_equal, hex(wanted))
            }
            (Matcher::Regex(regex), value) => {
                let is_met = matches!(value, Some(Value::Bytes(bytes)) if regex.is_match(bytes));
                (!is_met).then(|| format!("~\"{}\"", regex.as_str()))
            }
            (Matcher::IsRight(wanted), value) => {
                let is_met = value == Some(&Value::IsRight(*wanted));
                (!is_met).then(|| shown(&Value::IsRight(*wanted)))
            }
        }
    }

    async fn silent(&mut self, step: &'a Step, pattern: Option<&'a Pattern>) -> Result<(), Stop> {
        if let Some(pattern) = pattern {
            self.check_names(pattern)?;
        }
        self.take();
        let since = self.last_sent;
        let after = self.trial.settle().await?;
        self.came.extend(after.into_iter().map(|frame| Came { frame, is_taken: false }));
        let unwanted = |came: &&Came| match pattern {
            _ if came.is_taken => false,
            None => is_reaction(&came.frame),
            Some(pattern) => self.matches(pattern, &came.frame),
        };
        let since_then = self.came.get(since..).unwrap_or_default();
        let found: Vec<_> =
            since_then.iter().find(unwanted).map(|came| came.frame.clone()).into_iter().collect();
        let severity = step.severity.unwrap_or(self.trial.severity());
        let is_met = self.trial.none_at(severity, &found, expectation(step), |_| true);
        match is_met || severity > Severity::Threshold {
            true => Ok(()),
            false => Err(Stop::Halt(Halt::Failed)),
        }
    }

    /// What must never have come, has not.
    async fn close(mut self, steps: &'a [Step], flow: Flow) -> Flow {
        let never = |step: &'a Step| match &step.action {
            Action::Never(pattern) => Some((step, pattern)),
            _ => None,
        };
        if !steps.iter().any(|step| never(step).is_some()) {
            return flow;
        }
        if flow.is_ok() {
            let after = self.trial.settle().await?;
            self.came.extend(after.into_iter().map(|frame| Came { frame, is_taken: false }));
        }
        for (step, pattern) in steps.iter().filter_map(never) {
            if self.check_names(pattern).is_err() {
                continue; // it speaks of a packet that has not come, which has failed already
            }
            let came = self.came.iter().find(|came| self.matches(pattern, &came.frame));
            let found: Vec<_> = came.map(|came| came.frame.clone()).into_iter().collect();
            let severity = step.severity.unwrap_or(self.trial.severity());
            self.trial.none_at(severity, &found, expectation(step), |_| true);
        }
        flow
    }
}

impl Field {
    /// The bits of a number there.
    fn bits(&self) -> u32 {
        match self.kind {
            super::fields::Kind::Number(bits) => bits,
            _ => 32,
        }
    }
}

/// A step, for reports.
fn expectation(step: &Step) -> String {
    format!("line {}: {}", step.line, step.text)
}

/// The IPv4 header and the 8 bytes behind it that errors quote (RFC 792).
fn quotation(seen: &Seen) -> Vec<u8> {
    let Some(ip) = seen.ip() else { return Vec::new() };
    let eight = ip.payload.get(..8.min(ip.payload.len())).unwrap_or_default();
    [ip.header, eight].concat()
}

fn passes(filter: &filter::Filter, frame: &Seen) -> bool {
    let seen = filter::Seen {
        frame: &frame.bytes,
        length: frame.bytes.len(),
        direction: Direction::FromDevice,
        link: LinkType::ETHERNET,
    };
    let mut dissector = Dissector::default();
    filter.matches(&seen, || dissector.dissect(&frame.bytes))
}

fn compares(comparison: Comparison, value: u64, wanted: u64) -> bool {
    match comparison {
        Comparison::Equal => value == wanted,
        Comparison::Unequal => value != wanted,
        Comparison::Less => value < wanted,
        Comparison::AtMost => value <= wanted,
        Comparison::More => value > wanted,
        Comparison::AtLeast => value >= wanted,
        Comparison::Any => value & wanted != 0,
        Comparison::Like => false, // refused when the script was read
    }
}

const fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "",
        Comparison::Unequal => "!=",
        Comparison::Less => "<",
        Comparison::AtMost => "<=",
        Comparison::More => ">",
        Comparison::AtLeast => ">=",
        Comparison::Like => "~",
        Comparison::Any => "&",
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Ip(ip) => ip.to_string(),
        Value::Mac(mac) => mac.to_string(),
        Value::Bytes(bytes) => hex(bytes),
        Value::Checksum(_) => String::new(),
        Value::IsRight(is_right) => if *is_right { "ok" } else { "bad" }.to_owned(),
    }
}

/// The first bytes as text, or in hex digits.
fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 40;
    let first = bytes.get(..SHOWN.min(bytes.len())).unwrap_or_default();
    let more = if bytes.len() > SHOWN { "..." } else { "" };
    match first.iter().all(|byte| byte.is_ascii_graphic() || b" \r\n\t".contains(byte)) {
        true => format!("{:?}{more}", String::from_utf8_lossy(first)),
        false => {
            let digits: String = first.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{digits}{more}")
        }
    }
}

/// Flags as scripts write them.
fn letters(flags: u8) -> String {
    let named = "FSRPAUEW".chars().enumerate();
    let text: String = named.filter(|(n, _)| flags & 1 << n != 0).map(|(_, c)| c).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}
