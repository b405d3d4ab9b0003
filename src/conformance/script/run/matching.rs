//! Whether a frame is what a step describes, and what differs where it is not.

use super::super::draft::Layer;
use super::super::fields::{Field, Value};
use super::super::words::Comparison;
use super::super::{Matcher, Number, Pattern};
use super::{Came, Conversation, Run, Stop, quotation};
use crate::conformance::model::Mismatch;
use crate::conformance::seen::Seen;
use crate::dissect::Dissector;
use crate::dissect::filter;
use crate::record::{Direction, LinkType};

impl Run<'_> {
    /// Every packet that a pattern speaks of has come.
    pub(super) fn check_names(&self, pattern: &Pattern) -> Result<(), Stop> {
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

    pub(super) fn find(&self, pattern: &Pattern) -> Option<usize> {
        let is_it = |came: &Came| !came.is_taken && self.matches(pattern, &came.frame);
        self.came.iter().position(is_it)
    }

    pub(super) fn matches(&self, pattern: &Pattern, frame: &Seen) -> bool {
        self.is_in(pattern, frame) && self.differences(pattern, frame).is_empty()
    }

    /// The frame that differs in the fewest fields, the last of several, and how.
    pub(super) fn nearest(&self, pattern: &Pattern) -> Option<(usize, Vec<Mismatch>)> {
        let frames = self.came.iter().enumerate().rev();
        let ours = frames.filter(|(_, came)| !came.is_taken && self.is_in(pattern, &came.frame));
        let differing = ours.map(|(at, came)| (at, self.differences(pattern, &came.frame)));
        differing.min_by_key(|(_, fields)| fields.len())
    }

    /// Whether a frame is a message of the pattern's kind in its conversation.
    pub(super) fn is_in(&self, pattern: &Pattern, frame: &Seen) -> bool {
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
    pub(super) fn differences(&self, pattern: &Pattern, frame: &Seen) -> Vec<Mismatch> {
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
    pub(super) fn unmet(
        &self,
        field: &Field,
        matcher: &Matcher,
        value: Option<&Value>,
    ) -> Option<String> {
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
}

pub(super) fn passes(filter: &filter::Filter, frame: &Seen) -> bool {
    let seen = filter::Seen {
        frame: &frame.bytes,
        length: frame.bytes.len(),
        direction: Direction::FromDevice,
        link: LinkType::ETHERNET,
    };
    let mut dissector = Dissector::default();
    filter.matches(&seen, || dissector.dissect(&frame.bytes))
}

pub(super) fn compares(comparison: Comparison, value: u64, wanted: u64) -> bool {
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

pub(super) fn shown(value: &Value) -> String {
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
pub(super) fn hex(bytes: &[u8]) -> String {
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
pub(super) fn letters(flags: u8) -> String {
    let named = "FSRPAUEW".chars().enumerate();
    let text: String = named.filter(|(n, _)| flags & 1 << n != 0).map(|(_, c)| c).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}
