//! Text -> tokens, with where each of them stands.
//!
//! Every text has tokens: what fits nowhere becomes a [`Kind::Stray`], and the parser, which knows
//! what it expected there, complains. A word is what tcpdump takes for one: `80-90` and `ip.ttl`
//! are words, and so is `2-1`. Whatever has two colons is an address.

use std::ops::Range;

use winnow::combinator::{alt, delimited, preceded, repeat, terminated};
use winnow::prelude::*;
use winnow::stream::{AsChar, LocatingSlice};
use winnow::token::{any, take, take_till, take_while};

type Input<'a> = LocatingSlice<&'a str>;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A word or a number.
    Word(&'a str),
    /// A word behind a backslash: a name, even if it is a keyword too.
    Name(&'a str),
    /// Ethernet or IPv6 addresses, and other pairs of digits between colons.
    Colons(&'a str),
    /// Text in quotation marks, without them.
    Quoted(&'a str),
    /// A sign.
    Sign(&'a str),
    /// What fits nowhere.
    Stray(char),
}

/// A token and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// What.
    pub kind: Kind<'a>,
    /// Its bytes in the text.
    pub span: Range<usize>,
}

/// All tokens of a text.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut input = LocatingSlice::new(text);
    let blank = take_while::<_, Input<'_>, winnow::error::EmptyError>(0.., char::is_whitespace);
    let one = alt((colons, word, name, quoted, sign, stray)).with_span();
    let one = one.map(|(kind, span)| Token { kind, span });
    let all: Result<Vec<Token<'_>>, _> =
        preceded(blank, repeat(0.., terminated(one, blank_again))).parse_next(&mut input);
    all.unwrap_or_default()
}

type Parsed<'a> = winnow::Result<Kind<'a>, winnow::error::EmptyError>;

fn blank_again<'a>(input: &mut Input<'a>) -> Result<&'a str, winnow::error::EmptyError> {
    take_while(0.., char::is_whitespace).parse_next(input)
}

fn colons<'a>(input: &mut Input<'a>) -> Parsed<'a> {
    let run = take_while(2.., (AsChar::is_hex_digit, ':', '.'));
    run.verify(|run: &str| run.matches(':').count() > 1).map(Kind::Colons).parse_next(input)
}

/// Letters, digits, dots, hyphens and underlines, the last two not at the end.
fn word<'a>(input: &mut Input<'a>) -> Parsed<'a> {
    let text: &str = input;
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let run = text.find(|c| !inside(c)).unwrap_or(text.len());
    let run = text.get(..run).unwrap_or_default().trim_end_matches(['-', '_']);
    take(run.len())
        .verify(|run: &str| run.starts_with(|c: char| c.is_ascii_alphanumeric()))
        .map(Kind::Word)
        .parse_next(input)
}

fn name<'a>(input: &mut Input<'a>) -> Parsed<'a> {
    preceded('\\', take_till(1.., [' ', '!', '(', ')', '\t', '\n']))
        .map(Kind::Name)
        .parse_next(input)
}

fn quoted<'a>(input: &mut Input<'a>) -> Parsed<'a> {
    let double = delimited('"', take_till(0.., '"'), '"');
    let single = delimited('\'', take_till(0.., '\''), '\'');
    alt((double, single)).map(Kind::Quoted).parse_next(input)
}

fn sign<'a>(input: &mut Input<'a>) -> Parsed<'a> {
    let two = alt(("&&", "||", "<=", ">=", "==", "!=", "<<", ">>"));
    let one = take(1usize).verify(|c: &str| "+-*/%:[]!<>()&|^=".contains(c));
    alt((two, one)).map(Kind::Sign).parse_next(input)
}

fn stray<'a>(input: &mut Input<'a>) -> Parsed<'a> {
    any.map(Kind::Stray).parse_next(input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<Kind<'_>> {
        tokens(text).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn words_addresses_and_signs() {
        use Kind::{Colons, Name, Quoted, Sign, Stray, Word};
        assert_eq!(
            kinds(" tcp[0:2]&0xf>=3 "),
            ["tcp", "[", "0", ":", "2", "]", "&", "0xf", ">=", "3"].map(|text| {
                if text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
                    Word(text)
                } else {
                    Sign(text)
                }
            })
        );
        assert_eq!(kinds("::1 fe80::1/64")[..2], [Colons("::1"), Colons("fe80::1")]);
        assert_eq!(kinds("02:00:00:00:00:01"), [Colons("02:00:00:00:00:01")]);
        assert_eq!(
            kinds("80-90 2-1 ip.ttl<5-")[..4],
            [Word("80-90"), Word("2-1"), Word("ip.ttl"), Sign("<")]
        );
        assert_eq!(
            kinds("\\tcp 'a b' \"\" ü"),
            [Name("tcp"), Quoted("a b"), Quoted(""), Stray('ü')]
        );
        assert_eq!(kinds("\"open"), [Stray('"'), Word("open")]);
    }

    proptest! {
        #[test]
        fn every_text_has_tokens_that_cover_it(text in "\\PC{0,60}") {
            let mut at = 0;
            for token in tokens(&text) {
                prop_assert!(text[at..token.span.start].trim().is_empty());
                prop_assert!(token.span.end > token.span.start);
                at = token.span.end;
            }
            prop_assert!(text[at..].trim().is_empty());
        }
    }
}
