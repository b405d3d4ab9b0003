//! The harness of all tests of protocols: what people read of a frame, its fields, and the promises
//! that every protocol makes, whatever the bytes are.
//!
//! It knows the model alone, [`Walk`] and [`Stack`], and none of the renderers: what those make of a
//! frame is tested where they are. Tests of what is below UDP and TCP give it frames, with a link
//! type where that is not Ethernet; tests of what is above give it [`Over`] and a payload, and see
//! the layer above and places counted from the payload.

use std::fmt::Write;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;

use super::line::Line;
use super::samples::frame;
pub use super::samples::{Over, hex};
use super::{Exchange, Expected, Item, Layer, Note, NoteKind, Protocol, Stack, Value, Walk, tcp};
use crate::record::LinkType;

/// The layer above UDP or TCP in the frames of [`frame`].
const ABOVE: usize = 3;

/// Hands over the layers of a frame of which the capture left out the last `missing` bytes.
fn dissected<R>(
    link: LinkType,
    frame: &[u8],
    missing: usize,
    then: impl FnOnce(&Stack<'_>) -> R,
) -> R {
    let (mut layers, mut notes) = (Vec::new(), Vec::new());
    let length = frame.len() + missing;
    let mut expected = Expected::default();
    Walk::new(frame, length, &mut layers, &mut notes, &mut expected).through(link);
    let relation = tcp::Relation::default();
    then(&Stack { link, frame, length, layers: &layers, notes: &notes, relation })
}

/// The same of an Ethernet frame that is all there.
fn dissected_over<R>(over: Over, payload: &[u8], then: impl FnOnce(&Stack<'_>) -> R) -> R {
    dissected(LinkType::ETHERNET, &frame(over, payload), 0, then)
}

/// What the layers from `n` on say, in the long form or the brief one, and the notes, their places
/// counted from `base`.
fn told(stack: &Stack<'_>, n: usize, base: usize, is_brief: bool) -> String {
    let mut line = Line::new(is_brief);
    if !stack.summarise(n, &mut line) {
        line.text("payload");
    }
    for note in stack.notes {
        line.text(" [").dec((note.offset - base) as u64).text(": ");
        note.explain(&mut line);
        line.text("]");
    }
    String::from_utf8(line.as_bytes().to_vec()).expect("text")
}

/// What is said of a frame, in the long form or the brief one.
pub fn line_as(link: LinkType, frame: &[u8], is_brief: bool) -> String {
    dissected(link, frame, 0, |stack| told(stack, 0, 0, is_brief))
}

/// What is said of several Ethernet frames, a line each.
pub fn lines<F: AsRef<[u8]>>(frames: &[F]) -> String {
    let line = |frame: &F| line_as(LinkType::ETHERNET, frame.as_ref(), false);
    frames.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What the layer above UDP or TCP says of itself.
pub fn said(over: Over, payload: &[u8]) -> String {
    dissected_over(over, payload, |stack| told(stack, ABOVE, stack.layers[2].payload, false))
}

/// The same in the brief form.
pub fn said_briefly(over: Over, payload: &[u8]) -> String {
    dissected_over(over, payload, |stack| told(stack, ABOVE, stack.layers[2].payload, true))
}

/// Appends every field of layer `n`, one a line: name, value, meaning, place and length.
fn tell_fields(stack: &Stack<'_>, n: usize, text: &mut String) {
    stack.visit(n, &mut |item| {
        let meaning = item.meaning.map_or(String::new(), |means| format!(" ({means})"));
        let (at, length) = item.at;
        let _ = writeln!(text, "{} = {}{meaning} @{at}+{length}", item.name, shown(item.value));
    });
}

/// Every field of all layers of `protocol`.
pub fn fields_as(link: LinkType, protocol: &Protocol, frame: &[u8]) -> String {
    dissected(link, frame, 0, |stack| {
        let mut text = String::new();
        for (n, layer) in stack.layers.iter().enumerate() {
            if layer.protocol == protocol {
                tell_fields(stack, n, &mut text);
            }
        }
        text
    })
}

/// The same of an Ethernet frame.
pub fn fields_of(protocol: &Protocol, frame: &[u8]) -> String {
    fields_as(LinkType::ETHERNET, protocol, frame)
}

/// Every field of the layer above UDP or TCP.
pub fn fields(over: Over, payload: &[u8]) -> String {
    dissected_over(over, payload, |stack| {
        let mut text = String::new();
        tell_fields(stack, ABOVE, &mut text);
        text
    })
}

fn shown(value: Value<'_>) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Hex(number) => format!("0x{number:x}"),
        Value::Flag(flag) => flag.to_string(),
        Value::Mac(mac) => super::MacAddr::from(mac).to_string(),
        Value::Ipv4(address) => address.to_string(),
        Value::Ipv6(address) => address.to_string(),
        Value::Text(text) => format!("{:?}", crate::escape::terminal(text).to_string()),
        Value::Domain(name) => name.to_string(),
        Value::Record(data) => data.to_string(),
        Value::Bytes(bytes) => {
            bytes.iter().fold("bytes ".to_owned(), |text, byte| text + &format!("{byte:02x}"))
        }
    }
}

/// The protocol of the layer above UDP or TCP.
pub fn protocol(over: Over, payload: &[u8]) -> Option<&'static Protocol> {
    dissected_over(over, payload, |stack| stack.layers.get(ABOVE).map(|layer| layer.protocol))
}

/// Whether layer `n` of an Ethernet frame asks or answers.
pub fn exchange_of(frame: &[u8], n: usize) -> Option<Exchange> {
    dissected(LinkType::ETHERNET, frame, 0, |stack| {
        (stack.layers.get(n)?.protocol.exchange)(stack, n)
    })
}

/// Whether the layer above UDP or TCP asks or answers.
pub fn exchange(over: Over, payload: &[u8]) -> Option<Exchange> {
    exchange_of(&frame(over, payload), ABOVE)
}

/// Asserts that the answer belongs to the question, and that neither is taken for the other; both are
/// above UDP or TCP.
pub fn assert_answers(question: (Over, &[u8]), answer: (Over, &[u8])) {
    let [question, answer] = [question, answer].map(|(over, payload)| frame(over, payload));
    assert_answers_of(ABOVE, &question, &answer);
}

/// The same of layer `n` of two Ethernet frames.
pub fn assert_answers_of(n: usize, question: &[u8], answer: &[u8]) {
    let asked = exchange_of(question, n).expect("it asks");
    let answered = exchange_of(answer, n).expect("it answers");
    assert_eq!((asked.is_answer, answered.is_answer), (false, true));
    assert_eq!(asked.key, answered.key);
}

/// Asserts what every protocol promises, whatever the bytes are: declared fields of the declared
/// kind, in places inside their layer, as many as the bytes can explain; text that is safe; nobody
/// blamed for what the capture left out.
pub fn check(link: LinkType, frame: &[u8]) {
    for missing in [0, 100] {
        dissected(link, frame, missing, |stack| check_layers(stack, missing > 0));
    }
    for is_brief in [false, true] {
        let line = line_as(link, frame, is_brief);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.len() <= 2000 + 20 * frame.len(), "{} bytes of line", line.len());
    }
}

fn check_layers(stack: &Stack<'_>, is_cut: bool) {
    for (n, layer) in stack.layers.iter().enumerate() {
        assert!(layer.start <= layer.payload && layer.payload <= layer.end);
        assert!(layer.end <= stack.frame.len());
        check_fields(stack, n, layer);
        let _ = (layer.protocol.exchange)(stack, n);
    }
    let is_blamed = |note: &Note| matches!(note.kind, NoteKind::Truncated { .. });
    assert!(!is_cut || !stack.notes.iter().any(is_blamed), "cut by the capture");
}

fn check_fields(stack: &Stack<'_>, n: usize, layer: &Layer) {
    let (mut single, mut count) = (Vec::new(), 0);
    stack.visit(n, &mut |item: Item<'_>| {
        let name = (layer.protocol.name, item.name);
        let field = layer.protocol.field(item.name).unwrap_or_else(|| panic!("{name:?}"));
        assert_eq!(field.kind, item.value.kind(), "{name:?}");
        if !field.is_many {
            assert!(!single.contains(&item.name), "{name:?} again");
            single.push(item.name);
        }
        assert!(item.at.0 + item.at.1 <= layer.end - layer.start, "{name:?} at {:?}", item.at);
        std::hint::black_box(shown(item.value));
        count += 1;
    });
    let most = layer.protocol.fields.len() + 4 * (layer.end - layer.start);
    assert!(count <= most, "{count} fields of {}", layer.protocol.name);
}

/// The same of a payload, which has to be said in few words, and soon.
pub fn examine(over: Over, payload: &[u8]) {
    let started = Instant::now();
    check(LinkType::ETHERNET, &frame(over, payload));
    dissected_over(over, payload, |stack| {
        assert!(stack.notes.len() < 10, "{} notes", stack.notes.len());
        let said = told(stack, 0, 0, false).len();
        assert!(said < 2000, "{said} bytes of line");
    });
    assert!(started.elapsed() < Duration::from_secs(2), "bounded, even on a busy machine");
}

/// Examines arbitrary bytes, and damaged and cut forms of `samples`.
pub fn examine_hostile(over: Over, samples: &[&[u8]]) {
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    proptest!(config(), |(bytes in bytes)| examine(over, &bytes));
    proptest!(config(), |(bytes in damaged(samples))| examine(over, &bytes));
    for sample in samples {
        for end in 0..=sample.len() {
            examine(over, &sample[..end]);
        }
    }
}

/// Asserts that damaged and cut forms of `frames` break no promise.
pub fn check_damaged<F: AsRef<[u8]>>(link: LinkType, frames: &[F]) {
    proptest!(config(), |(frame in damaged(frames))| check(link, &frame));
}

/// Failures are mended and get tests of their own; their seeds are not kept.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Asserts that a message as large as a datagram can be is read in time.
pub fn examine_large(over: Over, message: &[u8]) {
    let message = &message[..message.len().min(65_000)];
    examine(over, message);
    let best = (0..3)
        .map(|_| {
            let started = Instant::now();
            dissected_over(over, message, |stack| {
                check_layers(stack, false);
                std::hint::black_box(told(stack, 0, 0, false));
            });
            started.elapsed()
        })
        .min();
    assert!(best < Some(Duration::from_millis(50)), "{best:?}");
}

/// One of `frames` with some bytes replaced and its end cut off.
pub fn damaged<F: AsRef<[u8]>>(frames: &[F]) -> impl Strategy<Value = Vec<u8>> + use<F> {
    let frames: Vec<Vec<u8>> = frames.iter().map(|frame| frame.as_ref().to_vec()).collect();
    let damage = prop::collection::vec(any::<(Index, u8)>(), 0..6);
    (prop::sample::select(frames), damage, any::<Index>()).prop_map(|(mut frame, damage, cut)| {
        for (at, byte) in damage {
            let at = at.index(frame.len().max(1));
            frame.get_mut(at).into_iter().for_each(|place| *place = byte);
        }
        frame.truncate(cut.index(frame.len() * 2 + 1)); // most are left whole
        frame
    })
}
