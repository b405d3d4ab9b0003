//! A line as words: what stands between blanks, with its column; quotes keep blanks together.

use super::Problem;

/// A word of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// As it stands there.
    pub text: &'a str,
    /// Where it begins, from 1, in characters.
    pub column: usize,
}

impl<'a> Word<'a> {
    /// What is wrong with it.
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem { line: 0, column: self.column, message: message.into() }
    }

    /// The part from byte `at` on, with its own column.
    pub fn from(&self, at: usize) -> Word<'a> {
        let (before, text) = self.text.split_at(at);
        Word { text, column: self.column + before.chars().count() }
    }

    /// Name, comparison and value of `name=value`; a word without a comparison is only a name.
    pub fn split(&self) -> (Word<'a>, Option<(Comparison, Word<'a>)>) {
        let is_sign = |c: char| "=!<>~&".contains(c);
        let Some(at) = self.text.find(|c| is_sign(c) || c == '"') else { return (*self, None) };
        let signs = ["!=", "<=", ">=", "=", "<", ">", "~", "&"];
        let Some(sign) = signs.into_iter().find(|sign| self.text[at..].starts_with(sign)) else {
            return (*self, None);
        };
        let comparison = match sign {
            "=" => Comparison::Equal,
            "!=" => Comparison::Unequal,
            "<" => Comparison::Less,
            "<=" => Comparison::AtMost,
            ">" => Comparison::More,
            ">=" => Comparison::AtLeast,
            "~" => Comparison::Like,
            _ => Comparison::Any,
        };
        let name = Word { text: &self.text[..at], ..*self };
        (name, Some((comparison, self.from(at + sign.len()))))
    }
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `~`, a regular expression.
    Like,
    /// `&`, any of these bits.
    Any,
}

/// The words of a line, up to a comment.
pub(super) fn words(line: &str) -> Result<Vec<Word<'_>>, Problem> {
    let mut words = Vec::new();
    let mut start: Option<(usize, usize)> = None;
    let (mut quoted, mut escaped) = (None, false);
    for (column, (at, c)) in line.char_indices().enumerate() {
        let column = column + 1;
        if quoted.is_some() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => quoted = None,
                _ => {}
            }
            continue;
        }
        match c {
            '#' if start.is_none() => return Ok(words),
            c if c.is_whitespace() => {
                if let Some((from, column)) = start.take() {
                    words.push(Word { text: &line[from..at], column });
                }
            }
            c => {
                start.get_or_insert((at, column));
                quoted = (c == '"').then_some(column);
            }
        }
    }
    if let Some(column) = quoted {
        return Err(Problem { line: 0, column, message: "this quote is never closed".to_owned() });
    }
    if let Some((from, column)) = start {
        words.push(Word { text: &line[from..], column });
    }
    Ok(words)
}

/// The bytes that a value stands for: `"text"`, hex digits, either with `*N` behind it, and several of
/// those joined by `+`.
pub(super) fn bytes(value: Word<'_>) -> Result<Vec<u8>, Problem> {
    /// More than any frame holds.
    const MOST: usize = 1 << 17;
    let mut all = Vec::new();
    let mut rest = value;
    loop {
        let (part, behind) = one(rest)?;
        let (count, behind) = match behind.text.strip_prefix('*') {
            None => (1, behind),
            Some(text) => {
                let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
                let count = text[..digits].parse::<usize>();
                let count = count.map_err(|_| behind.problem("a number has to follow '*'"))?;
                (count, behind.from(1 + digits))
            }
        };
        if part.len().saturating_mul(count).saturating_add(all.len()) > MOST {
            return Err(value.problem(format!("more than {MOST} bytes")));
        }
        all.extend(part.repeat(count));
        match behind.text.chars().next() {
            None => return Ok(all),
            Some('+') => rest = behind.from(1),
            Some(_) => return Err(behind.problem("'+' or '*' may follow here, nothing else")),
        }
    }
}

/// One text or one run of hex digits, and what follows it.
fn one(value: Word<'_>) -> Result<(Vec<u8>, Word<'_>), Problem> {
    if let Some(text) = value.text.strip_prefix('"') {
        return quoted(value, text);
    }
    let end = value.text.find(['+', '*']).unwrap_or(value.text.len());
    let digits: Vec<u8> = value.text[..end].bytes().filter(|c| !b":-_".contains(c)).collect();
    let (pairs, odd) = digits.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| {
        let digit = |c: u8| (c as char).to_digit(16);
        Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8)
    };
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    let bytes = bytes.filter(|bytes| odd.is_empty() && !bytes.is_empty());
    let bytes = bytes.ok_or_else(|| {
        value.problem(format!("'{}' is neither \"text\" nor pairs of hex digits", value.text))
    })?;
    Ok((bytes, value.from(end)))
}

fn quoted<'a>(value: Word<'a>, text: &'a str) -> Result<(Vec<u8>, Word<'a>), Problem> {
    let mut bytes = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((bytes, value.from(1 + at + 1))),
            '\\' => {
                let unknown = |c| {
                    let text = format!("'\\{c}' is none of \\r \\n \\t \\0 \\\\ \\\" \\xHH");
                    value.from(1 + at).problem(text)
                };
                bytes.push(match chars.next().map(|(_, c)| c).unwrap_or(' ') {
                    'r' => b'\r',
                    'n' => b'\n',
                    't' => b'\t',
                    '0' => 0,
                    '\\' => b'\\',
                    '"' => b'"',
                    'x' => {
                        let digits: String = chars.by_ref().take(2).map(|(_, c)| c).collect();
                        u8::from_str_radix(&digits, 16).map_err(|_| unknown('x'))?
                    }
                    c => return Err(unknown(c)),
                });
            }
            c => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Err(value.problem("this quote is never closed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> Result<Vec<u8>, String> {
        bytes(Word { text, column: 1 }).map_err(|problem| problem.to_string())
    }

    #[test]
    fn words_have_columns_and_comments_end_a_line() {
        let found = words("  send tcp  data=\"a b # c\" # no more").expect("good");
        let found: Vec<_> = found.iter().map(|word| (word.column, word.text)).collect();
        assert_eq!(found, [(3, "send"), (8, "tcp"), (13, "data=\"a b # c\"")]);
        assert_eq!(
            words("a \"b").expect_err("open").to_string(),
            "column 3: this quote is never closed"
        );
    }

    #[test]
    fn a_word_is_a_name_a_comparison_and_a_value() {
        let word = Word { text: "len>=5", column: 10 };
        let (name, rest) = word.split();
        let (comparison, value) = rest.expect("a comparison");
        assert_eq!((name.text, comparison, value.text), ("len", Comparison::AtLeast, "5"));
        assert_eq!(value.column, 15);
        assert_eq!(Word { text: "SA", column: 1 }.split().1, None);
        assert_eq!(Word { text: "\"a=b\"", column: 1 }.split().1, None);
    }

    #[test]
    fn bytes_are_texts_and_hex_repeated_and_joined() {
        assert_eq!(value(r#""a\r\n\x41\\\"""#), Ok(b"a\r\nA\\\"".to_vec()));
        assert_eq!(value("00:ff-7e"), Ok(vec![0, 255, 0x7e]));
        assert_eq!(value(r#""ab"*2+00*3+"c""#), Ok(b"abab\0\0\0c".to_vec()));
        assert_eq!(
            value("0"),
            Err("column 1: '0' is neither \"text\" nor pairs of hex digits".into())
        );
        assert_eq!(value(r#""a"*"#), Err("column 4: a number has to follow '*'".into()));
        assert_eq!(
            value(r#""a\q""#),
            Err("column 3: '\\q' is none of \\r \\n \\t \\0 \\\\ \\\" \\xHH".into())
        );
        assert_eq!(value(r#""a"*99999999999"#), Err("column 1: more than 131072 bytes".into()));
    }

    proptest! {
        #[test]
        fn nothing_panics(line in ".{0,40}", more in r#"["\\x+*a0= ]{0,20}"#) {
            for line in [&line, &more] {
                for word in words(line).unwrap_or_default() {
                    let _ = (word.split(), bytes(word));
                    if let Some((_, value)) = word.split().1 {
                        let _ = bytes(value);
                    }
                }
            }
        }
    }
}
