//! From text to steps; the error names line and column.

mod values;

use std::time::Duration;

use super::draft::Layer;
use super::fields::Field;
use super::words::{Comparison, Word, bytes, words};
use super::{Action, Matcher, Packet, Pattern, Problem, Script, Setting, Step, Term};
use crate::conformance::model::Severity;
use crate::conformance::trial::ANSWER;
use crate::proto::{icmp, tcp};
use values::{duration, filter_of, flags, message, operation};

/// Lines that a script has at most.
const MOST: usize = 1000;
/// The largest regular expression, compiled.
const REGEX_SIZE: usize = 1 << 20;

const VERBS: &str = "send, expect, silent, never, stream, wait, ping or forget";

/// ICMP messages by name: type and code.
const MESSAGES: &[(&str, u8, Option<u8>)] = &[
    ("echo", icmp::ECHO_REQUEST, Some(0)),
    ("echo-reply", icmp::ECHO_REPLY, Some(0)),
    ("unreachable", icmp::UNREACHABLE, None),
    ("source-quench", 4, Some(0)),
    ("redirect", 5, None),
    ("time-exceeded", 11, None),
    ("parameter-problem", 12, None),
];

type Result<T> = std::result::Result<T, Problem>;

impl Script {
    /// Reads a script.
    pub fn parse(text: &str) -> Result<Script> {
        let mut parser = Parser { names: Vec::new() };
        let mut steps = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let found = words(line).and_then(|words| parser.line(&words));
            let found = found.map_err(|problem| Problem { line: at + 1, ..problem })?;
            let Some((severity, action)) = found else { continue };
            if steps.len() == MOST {
                let message = format!("a script has at most {MOST} lines");
                return Err(Problem { line: at + 1, column: 1, message });
            }
            let text = line.split_whitespace().collect::<Vec<_>>().join(" ");
            steps.push(Step { line: at + 1, text, severity, action });
        }
        match steps.iter().any(|step| step.action.compares()) {
            true => Ok(Script { steps }),
            false => {
                let message =
                    "nothing is expected: 'expect', 'silent', 'never' or 'ping' is missing";
                Err(Problem { line: 1, column: 1, message: message.to_owned() })
            }
        }
    }
}

impl Action {
    fn compares(&self) -> bool {
        matches!(self, Action::Expect { .. } | Action::Silent(_) | Action::Never(_) | Action::Ping)
    }
}

/// What the lines before have said.
struct Parser {
    /// Packets that have a name.
    names: Vec<(String, Layer)>,
}

/// What may stand in a line besides fields.
#[derive(Default)]
struct Clauses {
    via: String,
    name: Option<String>,
    within: Option<Duration>,
}

impl Parser {
    fn line(&mut self, line: &[Word<'_>]) -> Result<Option<(Option<Severity>, Action)>> {
        let Some((mut verb, mut rest)) = line.split_first() else { return Ok(None) };
        let severity = match verb.text {
            "must" => Some(Severity::Must),
            "should" => Some(Severity::Should),
            "may" => Some(Severity::May),
            _ => None,
        };
        if severity.is_some() {
            let behind = rest.split_first();
            (verb, rest) =
                behind.ok_or_else(|| verb.problem("'expect' or the like has to follow"))?;
        }
        let action = match verb.text {
            "send" => self.send(verb, rest)?,
            "expect" => self.expect(verb, rest)?,
            "silent" if rest.is_empty() => Action::Silent(None),
            "silent" => Action::Silent(Some(self.bare_pattern(verb, rest)?)),
            "never" => Action::Never(self.bare_pattern(verb, rest)?),
            "stream" => {
                let mut all = Vec::new();
                for word in rest {
                    all.extend(bytes(*word)?);
                }
                if all.is_empty() {
                    return Err(verb.problem("bytes have to follow: hex digits or \"text\""));
                }
                Action::Stream(all)
            }
            "wait" => Action::Wait(one(verb, rest).and_then(|word| duration(&word))?),
            "ping" | "forget" => match rest.first() {
                None if verb.text == "ping" => Action::Ping,
                None => Action::Forget,
                Some(word) => {
                    let text = format!("nothing may follow '{}'", verb.text);
                    return Err(word.problem(text));
                }
            },
            other => return Err(verb.problem(format!("'{other}' is none of {VERBS}"))),
        };
        if severity.is_some() && !action.compares() {
            return Err(verb.problem(format!("'{}' compares nothing that could weigh", verb.text)));
        }
        Ok(Some((severity, action)))
    }

    fn send(&mut self, verb: &Word<'_>, rest: &[Word<'_>]) -> Result<Action> {
        let (layer, rest) = layer(verb, rest)?;
        let (clauses, rest) = self.clauses(rest)?;
        if clauses.within.is_some() {
            return Err(verb.problem("'within' belongs to 'expect'"));
        }
        let Clauses { via, name, .. } = clauses;
        let mut packet =
            Packet { layer, via, port: None, settings: Vec::new(), quote: None, name: None };
        let rest = self.leading(&mut packet, &rest)?;
        for word in rest {
            let (key, value) = word.split();
            let Some((comparison, value)) = value else {
                return Err(unknown_word(layer, word));
            };
            if comparison != Comparison::Equal {
                return Err(word.problem("what is sent is set with '='"));
            }
            if layer == Layer::Icmp && key.text == "quote" {
                packet.quote = Some(self.name(&value)?);
                continue;
            }
            let field = field(layer, &key)?;
            if field.set.is_none() {
                let text = format!("'{}' can be expected, but not set", field.name);
                return Err(key.problem(text));
            }
            packet.settings.push((field, self.setting(field, value)?));
        }
        packet.name = self.bind(name, layer);
        Ok(Action::Send(packet))
    }

    /// What stands in front of the fields: flags and port, or the name of a message.
    fn leading<'a, 'w>(&self, packet: &mut Packet, rest: &'a [Word<'w>]) -> Result<&'a [Word<'w>]> {
        let layer = packet.layer;
        let mut rest = rest;
        if let Some((word, behind)) = bare(rest) {
            let own = |name: &str| Field::find(layer, name);
            let mut set = |name: &str, value: u64| {
                let setting = Setting::Number(vec![(false, Term::Value(value))]);
                packet.settings.extend(own(name).map(|field| (field, setting)));
            };
            match layer {
                Layer::Tcp => set("flags", u64::from(flags(&word)?)),
                Layer::Icmp => {
                    let (kind, code) = message(&word)?;
                    set("type", kind.into());
                    set("code", code.unwrap_or_default().into());
                }
                Layer::Arp => set("op", operation(&word)?.into()),
                Layer::Udp => {
                    packet.port = Some(self.number(word)?);
                    return Ok(behind);
                }
                Layer::Eth | Layer::Ip => return Err(unknown_word(layer, &word)),
            }
            rest = behind;
        }
        if layer == Layer::Tcp
            && let Some((word, behind)) = bare(rest)
        {
            packet.port = Some(self.number(word)?);
            rest = behind;
        }
        Ok(rest)
    }

    fn expect(&mut self, verb: &Word<'_>, rest: &[Word<'_>]) -> Result<Action> {
        let (layer, rest) = layer(verb, rest)?;
        let (clauses, rest) = self.clauses(rest)?;
        let mut pattern = self.pattern(layer, clauses.via, &rest)?;
        pattern.name = self.bind(clauses.name, layer);
        Ok(Action::Expect { pattern, within: clauses.within.unwrap_or(ANSWER) })
    }

    /// A pattern where nothing is waited for.
    fn bare_pattern(&mut self, verb: &Word<'_>, rest: &[Word<'_>]) -> Result<Pattern> {
        let (layer, rest) = layer(verb, rest)?;
        let (clauses, rest) = self.clauses(rest)?;
        if clauses.within.is_some() || clauses.name.is_some() {
            let text = format!("'{}' has neither 'within' nor 'as': nothing comes", verb.text);
            return Err(verb.problem(text));
        }
        self.pattern(layer, clauses.via, &rest)
    }

    fn pattern(&self, layer: Layer, via: String, rest: &[Word<'_>]) -> Result<Pattern> {
        let (flags, quote, filter, name) = (None, None, None, None);
        let mut pattern = Pattern { layer, via, flags, tests: Vec::new(), quote, filter, name };
        let mut rest = rest;
        if let Some((word, behind)) = bare(rest) {
            let number =
                |value: u64| Matcher::Number(Comparison::Equal, vec![(false, Term::Value(value))]);
            let mut test = |name: &str, value: u64| {
                let field = Field::find(layer, name);
                pattern.tests.extend(field.map(|field| (field, number(value))));
            };
            match layer {
                Layer::Tcp => {
                    let wanted = self::flags(&word)?;
                    pattern.flags = Some((wanted, !wanted & (tcp::SYN | tcp::FIN | tcp::RST)));
                }
                Layer::Icmp => {
                    let (kind, code) = message(&word)?;
                    test("type", kind.into());
                    if let Some(code) = code {
                        test("code", code.into());
                    }
                }
                Layer::Arp => test("op", operation(&word)?.into()),
                Layer::Udp | Layer::Eth | Layer::Ip => return Err(unknown_word(layer, &word)),
            }
            rest = behind;
        }
        for word in rest {
            let (key, value) = word.split();
            let Some((comparison, value)) = value else {
                return Err(unknown_word(layer, word));
            };
            match key.text {
                "quote" if layer == Layer::Icmp && comparison == Comparison::Equal => {
                    pattern.quote = Some(self.name(&value)?);
                }
                "where" if comparison == Comparison::Equal => {
                    pattern.filter = Some(filter_of(&value)?);
                }
                _ => {
                    let field = field(layer, &key)?;
                    if field.get.is_none() {
                        let text = format!("'{}' can be set, but not expected", field.name);
                        return Err(key.problem(text));
                    }
                    pattern.tests.push((field, self.matcher(field, comparison, value)?));
                }
            }
        }
        Ok(pattern)
    }

    /// Takes `within T`, `as NAME` and `via NAME` out of a line.
    fn clauses<'w>(&self, rest: &[Word<'w>]) -> Result<(Clauses, Vec<Word<'w>>)> {
        let (mut clauses, mut others) = (Clauses::default(), Vec::new());
        let mut rest = rest.iter();
        while let Some(word) = rest.next() {
            if !matches!(word.text, "within" | "as" | "via") {
                others.push(*word);
                continue;
            }
            let what = if word.text == "within" { "a time such as 500ms" } else { "a name" };
            let value = rest.next().ok_or_else(|| word.problem(format!("{what} has to follow")))?;
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            let starts_well = value.text.starts_with(|c: char| c.is_ascii_lowercase());
            if word.text != "within" && (!value.text.chars().all(is_plain) || !starts_well) {
                return Err(value.problem("a name begins with a small letter and is one word"));
            }
            match word.text {
                "within" => clauses.within = Some(duration(value)?),
                "via" => value.text.clone_into(&mut clauses.via),
                _ if self.names.iter().any(|(name, _)| name == value.text) => {
                    return Err(value.problem(format!("'{}' is taken already", value.text)));
                }
                _ => clauses.name = Some(value.text.to_owned()),
            }
        }
        Ok((clauses, others))
    }

    fn bind(&mut self, name: Option<String>, layer: Layer) -> Option<String> {
        self.names.extend(name.clone().map(|name| (name, layer)));
        name
    }

    /// A name that a line before has given.
    fn name(&self, word: &Word<'_>) -> Result<String> {
        self.layer_of(word, word.text).map(|_| word.text.to_owned())
    }

    fn layer_of(&self, word: &Word<'_>, name: &str) -> Result<Layer> {
        let found = self.names.iter().find(|(known, _)| known == name);
        found.map(|(_, layer)| *layer).ok_or_else(|| {
            word.problem(format!("no line before this one names a packet '{name}' ('as {name}')"))
        })
    }
}

fn one<'w>(verb: &Word<'_>, rest: &[Word<'w>]) -> Result<Word<'w>> {
    match rest {
        [word] => Ok(*word),
        [] => Err(verb.problem(format!("something has to follow '{}'", verb.text))),
        [_, more, ..] => Err(more.problem("nothing may follow here")),
    }
}

/// The first word, if it is no `name=value`.
fn bare<'a, 'w>(rest: &'a [Word<'w>]) -> Option<(Word<'w>, &'a [Word<'w>])> {
    let (first, behind) = rest.split_first()?;
    first.split().1.is_none().then_some((*first, behind))
}

fn layer<'a, 'w>(verb: &Word<'_>, rest: &'a [Word<'w>]) -> Result<(Layer, &'a [Word<'w>])> {
    let names = Layer::ALL.map(Layer::name).join(", ");
    let Some((word, rest)) = rest.split_first() else {
        return Err(verb.problem(format!("a message has to follow: {names}")));
    };
    let found = Layer::ALL.into_iter().find(|layer| layer.name() == word.text);
    found
        .map(|layer| (layer, rest))
        .ok_or_else(|| word.problem(format!("'{}' is no message; there are {names}", word.text)))
}

fn field(layer: Layer, key: &Word<'_>) -> Result<&'static Field> {
    Field::find(layer, key.text).ok_or_else(|| {
        let near = Field::near(layer, key.text);
        let near = near.map_or(String::new(), |near| format!("; did you mean '{near}'?"));
        key.problem(format!("{} has no field '{}'{near}", layer.name(), key.text))
    })
}

fn unknown_word(layer: Layer, word: &Word<'_>) -> Problem {
    let what = match layer {
        Layer::Tcp => "flags such as SA and a port, then fields such as seq=1",
        Layer::Udp => "a port when it is sent, then fields such as len=1",
        Layer::Icmp => "a message such as echo, then fields such as id=1",
        Layer::Arp => "request or reply, then fields such as tpa=device",
        Layer::Eth | Layer::Ip => "fields such as ip.ttl=1",
    };
    word.problem(format!("'{}' does not belong here: {} takes {what}", word.text, layer.name()))
}
