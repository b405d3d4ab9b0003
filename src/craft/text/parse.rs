//! The text of a frame -> its parts, with where each of them stands.
//!
//! ```text
//! frame = part { "/" part }
//! part  = layer | data
//! layer = name [ "(" [ field { "," field } ] ")" ]
//! field = name [ "=" value ]
//! value = data | word
//! data  = "text" | 0x0102 | hex(01 02) | file(PATH) | pattern(N) | zeros(N) | random(N)
//! ```
//!
//! Blanks may stand between all of these. What a word means is for the field to say; here nothing is
//! known of any protocol.

use winnow::combinator::{alt, opt, preceded};
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location};
use winnow::token::{any, literal, take_till, take_while};

use crate::mistake::{Mistake, near};

pub(super) type Result<T> = std::result::Result<T, Mistake>;
type Input<'a> = LocatingSlice<&'a str>;

/// The longest run of bytes that is made here.
pub(super) const MAX_DATA: usize = 65_535;
/// The words that make bytes.
const MAKERS: [&str; 5] = ["hex", "file", "pattern", "zeros", "random"];

/// Bytes, or what they are made of when the frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// These.
    Bytes(Vec<u8>),
    /// What the file of that name holds.
    File(String),
    /// So many that chance chooses.
    Random(usize),
}

/// A part of the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub at: usize,
    pub what: What<'a>,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What<'a> {
    Layer(&'a str, Vec<Field<'a>>),
    Data(Data),
}

/// A field that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub at: usize,
    pub name: &'a str,
    pub value: Option<Value<'a>>,
}

/// What a field is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value<'a> {
    pub at: usize,
    pub what: Given<'a>,
}

/// A word, or bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given<'a> {
    Word(&'a str),
    Data(Data),
}

/// The parts of a frame.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>> {
    let input = &mut LocatingSlice::new(text);
    let mut parts = vec![part(input)?];
    while sign(input, '/') {
        parts.push(part(input)?);
    }
    match rest(input).chars().next() {
        None => Ok(parts),
        Some(c) => Err(wrong(input, format!("'/' and the next layer are expected, not '{c}'"))),
    }
}

fn wrong(input: &Input<'_>, message: impl Into<String>) -> Mistake {
    Mistake::new(input.current_token_start(), message)
}

fn rest<'a>(input: &Input<'a>) -> &'a str {
    input.as_ref()
}

type Quiet = winnow::error::EmptyError;

fn blank(input: &mut Input<'_>) {
    let _: std::result::Result<&str, Quiet> =
        take_while(0.., char::is_whitespace).parse_next(input);
}

/// Whether the sign is next; it is taken.
fn sign(input: &mut Input<'_>, sign: char) -> bool {
    blank(input);
    let found: std::result::Result<_, Quiet> = opt(sign).parse_next(input);
    found.is_ok_and(|found| found.is_some())
}

fn word<'a>(input: &mut Input<'a>) -> Option<&'a str> {
    blank(input);
    let inside = |c: char| !c.is_whitespace() && !"()/,=\"'".contains(c);
    let word: std::result::Result<&str, Quiet> = take_while(1.., inside).parse_next(input);
    word.ok()
}

fn part<'a>(input: &mut Input<'a>) -> Result<Part<'a>> {
    blank(input);
    let at = input.current_token_start();
    if let Some(data) = data(input)? {
        return Ok(Part { at, what: What::Data(data) });
    }
    let Some(name) = word(input) else {
        return Err(wrong(input, "a layer is expected here, such as 'ip' or 'udp', or data"));
    };
    let fields = if sign(input, '(') { fields(input)? } else { Vec::new() };
    Ok(Part { at, what: What::Layer(name, fields) })
}

fn fields<'a>(input: &mut Input<'a>) -> Result<Vec<Field<'a>>> {
    let mut fields = Vec::new();
    loop {
        if sign(input, ')') {
            return Ok(fields);
        }
        let at = input.current_token_start();
        let Some(name) = word(input) else {
            return Err(wrong(input, "a field or ')' is expected here"));
        };
        let value = if sign(input, '=') { Some(value(input)?) } else { None };
        fields.push(Field { at, name, value });
        if !sign(input, ',') && !rest(input).starts_with(')') {
            return Err(wrong(input, "',' or ')' is expected here"));
        }
    }
}

fn value<'a>(input: &mut Input<'a>) -> Result<Value<'a>> {
    blank(input);
    let at = input.current_token_start();
    // A number may be written in hex; whether it is one, or bytes, the field decides.
    let is_number = rest(input).starts_with("0x");
    if !is_number && let Some(data) = data(input)? {
        return Ok(Value { at, what: Given::Data(data) });
    }
    let word = word(input).ok_or_else(|| wrong(input, "a value is expected behind '='"))?;
    Ok(Value { at, what: Given::Word(word) })
}

/// Bytes, if that is what comes next.
fn data(input: &mut Input<'_>) -> Result<Option<Data>> {
    if rest(input).starts_with(['"', '\'']) {
        return quoted(input).map(|bytes| Some(Data::Bytes(bytes)));
    }
    if rest(input).starts_with("0x") {
        let at = input.current_token_start();
        let digits = word(input).unwrap_or_default();
        return hex(digits.get(2..).unwrap_or_default(), at + 2).map(|b| Some(Data::Bytes(b)));
    }
    let Some(name) = MAKERS.into_iter().find(|name| {
        let behind = rest(input).strip_prefix(name);
        behind.is_some_and(|behind| behind.trim_start().starts_with('('))
    }) else {
        return Ok(None);
    };
    let taken: std::result::Result<_, Quiet> = literal(name).parse_next(input);
    let opened = sign(input, '(');
    debug_assert!(taken.is_ok() && opened);
    made(input, name).map(Some)
}

/// What stands in the brackets of a word that makes bytes.
fn made(input: &mut Input<'_>, name: &str) -> Result<Data> {
    blank(input);
    let at = input.current_token_start();
    let argument = match rest(input).starts_with(['"', '\'']) {
        true => String::from_utf8_lossy(&quoted(input)?).into_owned(),
        false => {
            let text: std::result::Result<&str, Quiet> = take_till(0.., ')').parse_next(input);
            text.unwrap_or_default().trim().to_owned()
        }
    };
    if !sign(input, ')') {
        return Err(wrong(input, format!("')' is missing behind '{name}('")));
    }
    let count = || match argument.parse().ok().filter(|n| *n <= MAX_DATA) {
        Some(n) => Ok(n),
        None => Err(Mistake::new(at, format!("a number of bytes up to {MAX_DATA} is expected"))),
    };
    match name {
        "hex" => hex(&argument, at).map(Data::Bytes),
        "pattern" => count().map(|n| Data::Bytes((0..n).map(|n| n as u8).collect())),
        "zeros" => count().map(|n| Data::Bytes(vec![0; n])),
        "random" => count().map(Data::Random),
        _ if argument.is_empty() => Err(Mistake::new(at, "the name of a file is expected")),
        _ => Ok(Data::File(argument)),
    }
}

/// Pairs of hex digits; blanks, colons and hyphens may stand between them.
pub(super) fn hex(text: &str, at: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut high = None;
    for (n, c) in text.char_indices() {
        let digit = match c.to_digit(16) {
            Some(digit) => digit as u8,
            None if high.is_none() && (c.is_whitespace() || ":-_".contains(c)) => continue,
            None => return Err(Mistake::new(at + n, format!("'{c}' is no hex digit"))),
        };
        match high.take() {
            Some(high) => bytes.push(high << 4 | digit),
            None => high = Some(digit),
        }
    }
    match high {
        Some(_) => Err(Mistake::new(at + text.len(), "hex digits come in pairs; one is missing")),
        None => Ok(bytes),
    }
}

/// Text in quotation marks.
fn quoted(input: &mut Input<'_>) -> Result<Vec<u8>> {
    let start = input.current_token_start();
    let mark: std::result::Result<char, Quiet> = any.parse_next(input);
    let mark = mark.unwrap_or('"');
    let mut bytes = Vec::new();
    loop {
        let at = input.current_token_start();
        let next: std::result::Result<char, Quiet> = any.parse_next(input);
        match next {
            Err(_) => return Err(Mistake::new(start, "the quotation mark is never closed")),
            Ok(c) if c == mark => return Ok(bytes),
            Ok('\\') => bytes.push(escaped(input, at)?),
            Ok(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// What stands behind a backslash.
fn escaped(input: &mut Input<'_>, at: usize) -> Result<u8> {
    let pair = preceded('x', take_while(2..=2, |c: char| c.is_ascii_hexdigit()))
        .map(|digits| u8::from_str_radix(digits, 16).unwrap_or_default());
    let sign = any.verify_map(|c: char| match c {
        'n' => Some(b'\n'),
        'r' => Some(b'\r'),
        't' => Some(b'\t'),
        '0' => Some(0),
        '\\' | '"' | '\'' => Some(c as u8),
        _ => None,
    });
    let byte: std::result::Result<u8, Quiet> = alt((pair, sign)).parse_next(input);
    byte.map_err(|_| {
        Mistake::new(at, "behind '\\' stands n, r, t, 0, \\, a quotation mark, or xHH")
    })
}

/// What is said of a layer that nobody knows.
pub(super) fn unknown_layer<'a>(
    name: &str,
    at: usize,
    known: impl Iterator<Item = &'a str>,
) -> Mistake {
    let hint = match near(name, known.chain(MAKERS)) {
        Some(meant) => format!("; did you mean '{meant}'?"),
        None => "; '--list' shows the layers and their fields".to_owned(),
    };
    Mistake::new(at, format!("there is no layer '{name}'{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data_of(text: &str) -> Data {
        match parts(text).expect("good").remove(0).what {
            What::Data(data) => data,
            What::Layer(name, _) => panic!("{name} is a layer"),
        }
    }

    #[test]
    fn layers_fields_and_data() {
        let parts = parts(" eth / ip( ttl = 1,df,src=::1, )/\"a/b\"/0x00ff").expect("good");
        let [eth, ip, text, hex] = &parts[..] else { panic!("four parts, not {parts:?}") };
        assert_eq!((eth.at, &eth.what), (1, &What::Layer("eth", Vec::new())));
        let What::Layer("ip", fields) = &ip.what else { panic!("ip, not {ip:?}") };
        let named = |n: usize| (fields[n].name, fields[n].value.clone().map(|value| value.what));
        assert_eq!(named(0), ("ttl", Some(Given::Word("1"))));
        assert_eq!(named(1), ("df", None));
        assert_eq!(named(2), ("src", Some(Given::Word("::1"))));
        assert_eq!(text.what, What::Data(Data::Bytes(b"a/b".to_vec())));
        assert_eq!(hex.what, What::Data(Data::Bytes(vec![0, 255])));
    }

    #[test]
    fn every_kind_of_data() {
        assert_eq!(data_of(r#""\x41\n\"ü""#), Data::Bytes("A\n\"ü".as_bytes().to_vec()));
        assert_eq!(data_of("hex(01 02:03-ff)"), Data::Bytes(vec![1, 2, 3, 255]));
        assert_eq!(data_of("pattern(3)"), Data::Bytes(vec![0, 1, 2]));
        assert_eq!(data_of("random( 7 )"), Data::Random(7));
        assert_eq!(data_of("file(/a/b.bin)"), Data::File("/a/b.bin".to_owned()));
        assert_eq!(data_of("file(\"a).bin\")"), Data::File("a).bin".to_owned()));
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        for (text, at) in [
            ("", 0),
            ("ip/", 3),
            ("ip(ttl=)", 7),
            ("ip(ttl=1", 8),
            ("ip(ttl 1)", 7),
            ("ip udp", 3),
            ("0x0g", 3),
            ("hex(012)", 7),
            ("\"abc", 0),
            (r#""a\q""#, 2),
            ("pattern(x)", 8),
            ("random(65536)", 7),
            ("hex(00", 6),
            ("file()", 5),
        ] {
            let mistake = parts(text).expect_err(text);
            assert_eq!(mistake.position, at, "{text}: {mistake}");
        }
    }
}
