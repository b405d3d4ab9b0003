//! What the tests of protocols above UDP and TCP share: frames around a payload, what people read of
//! them, and what must hold whatever the bytes are.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::Dissector;
use crate::checksum::{self, Sum};
use crate::proto::line::Line;
use crate::proto::{Exchange, Item, NoteKind, Protocol, Stack, Value};

/// What carries a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Over {
    /// UDP from the first port to the second.
    Udp(u16, u16),
    /// TCP from the first port to the second.
    Tcp(u16, u16),
}

const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 1);
const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);

/// A frame with `payload`, from the device if the source port is the lower one.
pub(crate) fn frame(over: Over, payload: &[u8]) -> Vec<u8> {
    let (number, (from, to)) = match over {
        Over::Udp(from, to) => (17, (from, to)),
        Over::Tcp(from, to) => (6, (from, to)),
    };
    let (source, destination) = if from < to { (DEVICE, HOST) } else { (HOST, DEVICE) };
    let mut segment = [from.to_be_bytes(), to.to_be_bytes()].concat();
    let sum_at = match over {
        Over::Udp(..) => {
            segment.extend(((8 + payload.len()) as u16).to_be_bytes());
            segment.extend([0, 0]);
            6
        }
        Over::Tcp(..) => {
            segment.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0x10, 0, 0, 0, 0, 0]);
            16
        }
    };
    segment.extend(payload);
    let sum = Sum::pseudo(source, destination, number, segment.len()).plus(&segment).finish();
    segment[sum_at..sum_at + 2].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let total = (20 + segment.len()) as u16;
    frame.extend([0x45, 0]);
    frame.extend(total.to_be_bytes());
    frame.extend([0, 1, 0x40, 0, 64, number, 0, 0]);
    frame.extend(source.octets());
    frame.extend(destination.octets());
    let sum = checksum::internet(&frame[14..]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend(segment);
    frame
}

/// What the layer above UDP or TCP says of itself, and the notes.
pub(crate) fn said(over: Over, payload: &[u8]) -> String {
    said_as(false, over, payload)
}

/// The same in the brief manner.
pub(crate) fn said_briefly(over: Over, payload: &[u8]) -> String {
    said_as(true, over, payload)
}

fn said_as(brief: bool, over: Over, payload: &[u8]) -> String {
    let frame = frame(over, payload);
    let mut dissector = Dissector::default();
    let stack = dissector.dissect(&frame);
    let mut line = Line::new(brief);
    if !stack.summarise(3, &mut line) {
        line.text("payload");
    }
    let mut text = String::from_utf8_lossy(line.as_bytes()).into_owned();
    for note in stack.notes {
        let at = note.offset - stack.layers[2].payload;
        match note.kind {
            NoteKind::Wrong(what) => write!(text, " [{at}: {what}]"),
            kind => write!(text, " [{at}: {kind:?}]"),
        }
        .expect("a String takes everything");
    }
    text
}

/// Every field of the layer above UDP or TCP, one a line.
pub(crate) fn fields(over: Over, payload: &[u8]) -> String {
    let frame = frame(over, payload);
    let mut dissector = Dissector::default();
    let stack = dissector.dissect(&frame);
    let mut text = String::new();
    stack.visit(3, &mut |item| {
        let _ = write!(text, "{} = {}", item.name, shown(item.value));
        if let Some(meaning) = item.meaning {
            let _ = write!(text, " ({meaning})");
        }
        let _ = writeln!(text, " @{}+{}", item.at.0, item.at.1);
    });
    text
}

fn shown(value: Value<'_>) -> String {
    match value {
        Value::Number(n) => n.to_string(),
        Value::Hex(n) => format!("0x{n:x}"),
        Value::Flag(flag) => flag.to_string(),
        Value::Mac(mac) => crate::proto::MacAddr::from(mac).to_string(),
        Value::Ipv4(address) => address.to_string(),
        Value::Ipv6(address) => address.to_string(),
        Value::Text(text) => format!("{:?}", crate::escape::terminal(text).to_string()),
        Value::Domain(name) => format!("{name}"),
        Value::Record(data) => format!("{data}"),
        Value::Bytes(bytes) => {
            bytes.iter().fold("bytes ".to_owned(), |text, byte| text + &format!("{byte:02x}"))
        }
    }
}

/// Whether the layer above UDP or TCP asks or answers.
pub(crate) fn exchange(over: Over, payload: &[u8]) -> Option<Exchange> {
    let frame = frame(over, payload);
    let mut dissector = Dissector::default();
    let stack = dissector.dissect(&frame);
    let layer = stack.layers.get(3)?;
    (layer.protocol.exchange)(&stack, 3)
}

/// Asserts that the answer belongs to the question, and that neither is taken for the other.
pub(crate) fn assert_answers(question: (Over, &[u8]), answer: (Over, &[u8])) {
    let asked = exchange(question.0, question.1).expect("it asks");
    let answered = exchange(answer.0, answer.1).expect("it answers");
    assert_eq!((asked.is_answer, answered.is_answer), (false, true));
    assert_eq!(asked.key, answered.key);
}

/// Asserts what must hold of any frame: items are declared and of their kind, only those repeat that may,
/// none is outside its layer, and what is said can be shown on a terminal.
pub(crate) fn examine(over: Over, payload: &[u8]) {
    let frame = frame(over, payload);
    let mut dissector = Dissector::default();
    let started = Instant::now();
    let stack = dissector.dissect(&frame);
    for n in 3..stack.layers.len() {
        examine_layer(&stack, n);
        let _ = (stack.layers[n].protocol.exchange)(&stack, n);
    }
    let mut line = Line::new(false);
    stack.summarise(0, &mut line);
    assert!(started.elapsed() < Duration::from_secs(2), "bounded, even on a busy machine");
    let text = std::str::from_utf8(line.as_bytes()).expect("text");
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(line.as_bytes().len() < 2000, "{} bytes", line.as_bytes().len());
    assert!(stack.notes.len() < 10, "{} notes", stack.notes.len());
}

fn examine_layer(stack: &Stack<'_>, n: usize) {
    let layer = &stack.layers[n];
    let length = layer.end - layer.start;
    let mut seen = Vec::new();
    stack.visit(n, &mut |item: Item<'_>| {
        let field = layer.protocol.field(item.name).expect("a declared name");
        assert_eq!(item.value.kind(), field.kind, "{}", item.name);
        if !field.is_many {
            assert!(!seen.contains(&item.name), "{} repeats", item.name);
            seen.push(item.name);
        }
        let (at, touched) = item.at;
        assert!(at + touched <= length, "{} at {at}+{touched} of {length}", item.name);
        std::hint::black_box(shown(item.value));
    });
}

/// Examines arbitrary bytes, and damaged and cut forms of `samples`.
pub(crate) fn examine_hostile(over: Over, samples: &[&[u8]]) {
    let samples: Vec<Vec<u8>> = samples.iter().map(|sample| sample.to_vec()).collect();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    proptest!(config.clone(), |(bytes in bytes)| examine(over, &bytes));
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let which = prop::sample::select(samples.clone());
    let (cut, is_cut) = (any::<prop::sample::Index>(), any::<bool>());
    proptest!(config, |(sample in which, damage in damage, cut in cut, is_cut in is_cut)| {
        let mut bytes = sample;
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        examine(over, &bytes);
    });
    for sample in samples {
        for end in 0..=sample.len() {
            examine(over, &sample[..end]);
        }
    }
}

/// Asserts that a message as large as a datagram can be is read in time.
pub(crate) fn examine_large(over: Over, message: &[u8]) {
    let message = &message[..message.len().min(65_000)];
    let best = (0..3)
        .map(|_| {
            let started = Instant::now();
            examine(over, message);
            started.elapsed()
        })
        .min();
    assert!(best < Some(Duration::from_millis(50)), "{best:?}");
}

/// The protocol of the layer above UDP or TCP.
pub(crate) fn protocol(over: Over, payload: &[u8]) -> Option<&'static Protocol> {
    let frame = frame(over, payload);
    let mut dissector = Dissector::default();
    dissector.dissect(&frame).layers.get(3).map(|layer| layer.protocol)
}

/// The bytes that hex text stands for.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let number = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(|pair| number(pair).expect("hex")).collect()
}
