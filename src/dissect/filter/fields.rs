//! Where filters meet fields: which names there are, what a field holds, what it says in a frame.
//!
//! Everything that filters know about the inside of [`crate::proto`]'s layers is here. A layer
//! that an error message quotes is not the frame's own, and no filter looks at it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;

use super::error::near;
use super::expr::Relation;
use super::own::Literal;
use super::words::{FIELD_ALIASES, PROTOCOL_ALIASES};
use crate::proto::{self, Field, Layer, Protocol, Stack, Value};

/// A field of a protocol.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// The protocol.
    pub protocol: &'static Protocol,
    /// One of its fields.
    pub field: &'static Field,
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.protocol == other.protocol && self.field.name == other.field.name
    }
}

/// What kind of value a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Number,
    Flag,
    Mac,
    Ipv4,
    Ipv6,
    Text,
}

impl Shape {
    fn of(value: Value<'_>) -> Shape {
        match value {
            Value::Number(_) | Value::Hex(_) => Shape::Number,
            Value::Flag(_) => Shape::Flag,
            Value::Mac(_) => Shape::Mac,
            Value::Ipv4(_) => Shape::Ipv4,
            Value::Ipv6(_) => Shape::Ipv6,
            Value::Bytes(_) => Shape::Text,
        }
    }
}

impl Target {
    /// What the field holds, as a header of zeros tells; `None` if that is not enough of a header.
    pub fn shape(&self) -> Option<Shape> {
        (self.field.get)(&[0; 256]).map(Shape::of)
    }
}

/// Whether a layer belongs to the frame itself, and not to a packet that it quotes.
fn is_own(_layer: &Layer) -> bool {
    true
}

/// Whether the frame has a layer of `protocol`.
pub(super) fn has_layer(stack: &Stack<'_>, protocol: &Protocol) -> bool {
    stack.layers.iter().any(|layer| layer.protocol == protocol && is_own(layer))
}

/// Calls `visit` with every value that the frame has for a field, until it breaks.
pub(super) fn for_each<'a>(
    stack: &Stack<'a>,
    target: &Target,
    visit: &mut dyn FnMut(Value<'a>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for (n, layer) in stack.layers.iter().enumerate() {
        if layer.protocol == target.protocol
            && is_own(layer)
            && let Some(value) = (target.field.get)(stack.header(n))
        {
            visit(value)?;
        }
    }
    ControlFlow::Continue(())
}

/// Whether a value is there to speak of: a flag has to be set.
pub(super) fn is_set(value: Value<'_>) -> bool {
    value != Value::Flag(false)
}

/// Whether `value` relates to `literal` like that; values of another kind do not.
pub(super) fn compares(value: Value<'_>, relation: Relation, literal: &Literal) -> bool {
    match (value, literal) {
        (Value::Number(a) | Value::Hex(a), Literal::Number(b)) => relation.holds(a.cmp(b)),
        (Value::Flag(a), Literal::Number(b)) => relation.holds(u64::from(a).cmp(b)),
        (Value::Mac(a), Literal::Mac(b)) => relation.holds(a.cmp(b)),
        (Value::Ipv4(a), Literal::Net4(b, bits)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(*bits)).unwrap_or(0);
            relation.holds((u32::from(a) & mask).cmp(&u32::from(*b)))
        }
        (Value::Ipv6(a), Literal::Net6(b, bits)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(*bits)).unwrap_or(0);
            relation.holds((u128::from(a) & mask).cmp(&u128::from(*b)))
        }
        (Value::Bytes(a), Literal::Text(b)) => relation.holds(a.cmp(b.as_bytes())),
        (
            Value::Number(_)
            | Value::Hex(_)
            | Value::Flag(_)
            | Value::Mac(_)
            | Value::Ipv4(Ipv4Addr { .. })
            | Value::Ipv6(Ipv6Addr { .. })
            | Value::Bytes(_),
            _,
        ) => false,
    }
}

/// Whether `value` is a text that contains `part`.
pub(super) fn contains(value: Value<'_>, part: &str) -> bool {
    match value {
        Value::Bytes(bytes) => {
            part.is_empty() || bytes.windows(part.len()).any(|window| window == part.as_bytes())
        }
        Value::Number(_)
        | Value::Hex(_)
        | Value::Flag(_)
        | Value::Mac(_)
        | Value::Ipv4(_)
        | Value::Ipv6(_) => false,
    }
}

/// The protocol of a word in front of a dot.
fn protocol(prefix: &str) -> Option<&'static Protocol> {
    let alias = PROTOCOL_ALIASES.iter().find(|(alias, _)| *alias == prefix);
    let name = alias.map_or(prefix, |(_, name)| name);
    proto::ALL.iter().copied().find(|protocol| protocol.name == name)
}

/// Whether a word names a field, or tries to.
pub(super) fn is_path(word: &str) -> bool {
    let alias = FIELD_ALIASES.iter().any(|(alias, _)| *alias == word);
    alias || word.split_once('.').is_some_and(|(prefix, _)| protocol(prefix).is_some())
}

/// What is wrong with a word that might be a field of a protocol that is not there.
pub(super) fn unknown_protocol(word: &str) -> Option<String> {
    let (prefix, rest) = word.split_once('.')?;
    let names = proto::ALL.iter().map(|protocol| protocol.name);
    let aliases = PROTOCOL_ALIASES.iter().map(|(alias, _)| *alias);
    let meant = near(prefix, names.chain(aliases))?;
    Some(format!("unknown protocol '{prefix}'; did you mean '{meant}.{rest}'?"))
}

/// The fields that a path stands for, or what is wrong with it.
pub(super) fn resolve(path: &str) -> Result<Vec<Target>, String> {
    let alias = FIELD_ALIASES.iter().find(|(alias, _)| *alias == path);
    let paths = alias.map_or(std::slice::from_ref(&path), |(_, paths)| paths);
    let targets: Vec<Target> = paths.iter().filter_map(|path| target(path)).collect();
    if targets.is_empty() { Err(unknown_field(path)) } else { Ok(targets) }
}

fn target(path: &str) -> Option<Target> {
    let (prefix, name) = path.split_once('.')?;
    let protocol = protocol(prefix)?;
    let same = |field: &&Field| {
        let dots = field.name.bytes().map(|b| if b == b'_' { b'.' } else { b });
        field.name == name || dots.eq(name.bytes())
    };
    Some(Target { protocol, field: protocol.fields.iter().find(same)? })
}

fn unknown_field(path: &str) -> String {
    let (prefix, name) = path.split_once('.').unwrap_or((path, ""));
    let fields = protocol(prefix).map_or(&[][..], |protocol| protocol.fields);
    let ours = fields.iter().map(|field| format!("{prefix}.{}", field.name));
    let known = |alias: &&str| alias.starts_with(&format!("{prefix}.")) && resolve(alias).is_ok();
    let aliases = FIELD_ALIASES.iter().map(|(alias, _)| *alias).filter(known).map(str::to_owned);
    let candidates: Vec<String> = ours.chain(aliases).collect();
    match near(path, candidates.iter().map(String::as_str)) {
        Some(meant) => format!("'{prefix}' has no field '{name}'; did you mean '{meant}'?"),
        None => {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            format!("'{prefix}' has no field '{name}'; it has {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_of_a_protocol_that_is_there_leads_to_fields() {
        for (alias, paths) in FIELD_ALIASES {
            for path in *paths {
                let prefix = path.split('.').next().unwrap_or_default();
                let there = protocol(prefix).is_some();
                assert_eq!(target(path).is_some(), there, "{alias} -> {path}");
            }
        }
    }

    #[test]
    fn words_joined_by_dots_or_underlines_are_the_same_field() {
        let (dots, lines) = (target("ip.total.length"), target("ipv4.total_length"));
        assert!(dots.is_some());
        assert_eq!(dots, lines);
        assert_eq!(dots.and_then(|target| target.shape()), Some(Shape::Number));
    }
}
