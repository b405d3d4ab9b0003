//! Suite files: a user's own tests, beside or instead of the built-in ones.
//!
//! ```toml
//! suite = 1
//!
//! [target]                      # as in uarttool.toml
//! device = "tcp:127.0.0.1:5556"
//!
//! [[test]]
//! id = "rst-in-window"
//! about = "A reset that is not exact is not believed."
//! ref = "RFC 5961 section 3.2"
//! severity = "must"
//! packets = '''
//!   send    tcp S  http seq=1000
//!   expect  tcp SA ack=1001            as sa
//! '''
//! ```
//!
//! Everything in it is checked when it is read, with file and line. What it makes is the same [`Test`] as
//! those of the catalogue, and lives as long as the program.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

use super::document::{line_of, problem};
use super::model::{About, Body, Owner, Severity, Test, Tier};
use super::script::Script;
use crate::error::{Error, Result};

/// A file larger than this is no suite.
const LARGEST: u64 = 4 << 20;

/// A suite file.
#[derive(Debug)]
pub struct Suite<T> {
    /// Its `[target]` table.
    pub target: T,
    /// Its tests, in order.
    pub tests: Vec<&'static Test>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<T> {
    suite: u32,
    #[serde(default)]
    target: T,
    #[serde(default)]
    test: Vec<Spanned<Row>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    about: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    severity: Option<String>,
    owner: Option<String>,
    packets: Spanned<String>,
}

impl<T: Default + DeserializeOwned> Suite<T> {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Suite<T>> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| {
            Error::usage(format!("cannot read the suite {shown}")).caused_by(error)
        };
        if std::fs::metadata(path).map_err(unreadable)?.len() > LARGEST {
            return Err(Error::usage(format!("{shown} is larger than any suite")));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Suite::parse(path, &text).map_err(|what| Error::usage(format!("bad suite {shown}: {what}")))
    }

    fn parse(path: &Path, text: &str) -> std::result::Result<Suite<T>, String> {
        let document: Document<T> = toml::from_str(text).map_err(|error| problem(text, &error))?;
        if document.suite != 1 {
            let version = document.suite;
            return Err(format!("it is of version {version}; this program knows 1"));
        }
        if document.test.is_empty() {
            return Err("it has no [[test]]".to_owned());
        }
        let mut tests: Vec<&'static Test> = Vec::new();
        for row in document.test {
            let line = line_of(text, row.span().start);
            let test = test(path, text, line, row.into_inner())?;
            if tests.iter().any(|other| other.about.name == test.about.name) {
                return Err(format!("line {line}: there are two tests '{}'", test.about.name));
            }
            tests.push(Box::leak(Box::new(test)));
        }
        Ok(Suite { target: document.target, tests })
    }
}

/// Text that is there until the program ends, as the catalogue's is.
fn kept(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn test(path: &Path, text: &str, line: usize, row: Row) -> std::result::Result<Test, String> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let id = row.id;
    if id.is_empty() || !id.chars().all(is_plain) || id.starts_with('.') || id.ends_with('.') {
        return Err(format!(
            "line {line}: id '{id}': small letters, digits, '-', '_' and '.' make one"
        ));
    }
    let severity = row.severity.as_deref().unwrap_or("must");
    let severity = one_of(line, "severity", severity, &Severity::ALL, Severity::name)?;
    let owner = row.owner.as_deref().unwrap_or("application");
    let owner = one_of(line, "owner", owner, &Owner::ALL, Owner::name)?;
    if let Err(problem) = Script::parse(row.packets.get_ref()) {
        let (first, indent) = content_of(text, row.packets.span().start);
        let column = problem.column + if problem.line == 1 { indent } else { 0 };
        let line = first + problem.line - 1;
        return Err(format!("line {line}, column {column}: {}", problem.message));
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = if id.contains('.') { id } else { format!("{stem}.{id}") };
    let requirement = row.about.unwrap_or_else(|| "What its script says.".to_owned());
    let reference = row.reference.unwrap_or_else(|| format!("{file}, line {line}"));
    let about = About {
        id: kept(format!("{file}:{line}")),
        name: kept(name),
        severity,
        tier: Tier::Core,
        owner,
        reference: kept(reference),
        requirement: kept(requirement),
    };
    Ok(Test::script(about, kept(row.packets.into_inner())))
}

fn one_of<T: Copy>(
    line: usize,
    key: &str,
    value: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> std::result::Result<T, String> {
    let found = all.iter().copied().find(|one| name(*one) == value);
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|one| name(*one)).collect();
        format!("line {line}: there is no {key} '{value}'; there are {}", names.join(", "))
    })
}

/// The line in which the text of a TOML string at `start` begins, and the characters in front of it there.
fn content_of(text: &str, start: usize) -> (usize, usize) {
    let raw = text.get(start..).unwrap_or_default();
    let quotes = if raw.starts_with("'''") || raw.starts_with("\"\"\"") { 3 } else { 1 };
    let behind = raw.get(quotes..).unwrap_or_default();
    let skipped = match quotes == 3 && behind.trim_start_matches('\r').starts_with('\n') {
        true => behind.len() - behind.trim_start_matches('\r').len() + 1,
        false => 0,
    };
    let at = start + quotes + skipped;
    let before = text.get(..at).unwrap_or_default();
    let in_line = before.rsplit('\n').next().unwrap_or_default();
    (line_of(text, at), in_line.chars().count())
}

/// A built-in test as a suite file of its own, or what it is where it is no script.
pub fn shown(test: &Test) -> String {
    let About { id, name, severity, tier, owner, reference, requirement } = test.about;
    let facts = format!("{id}, {} tier", tier.name());
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    match test.body {
        Body::Script(script) => format!(
            "suite = 1\n\n[[test]] # {facts}\nid = {}\nabout = {}\nref = {}\nseverity = {}\nowner = {}\n\
             packets = '''\n{}\n'''\n",
            quoted(name),
            quoted(requirement),
            quoted(reference),
            quoted(severity.name()),
            quoted(owner.name()),
            script.trim_matches('\n'),
        ),
        Body::Function(_) => format!(
            "# {name} ({facts}, {}, about {})\n# {reference}\n#\n# {requirement}\n#\n\
             # It takes more than a script can say, and is part of the program.\n",
            severity.name(),
            owner.title(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::catalogue;

    type Read = Suite<toml::Table>;

    fn parse(text: &str) -> std::result::Result<Read, String> {
        Read::parse(Path::new("some/mine.toml"), text)
    }

    #[test]
    fn a_suite_has_tests_with_everything_that_they_say() {
        let suite = parse(
            "suite = 1\n[target]\nx = 1\n[[test]]\nid = \"a\"\npackets = \"ping\"\n[[test]]\nid = \"b.c\"\n\
             about = \"It is.\"\nref = \"RFC 1\"\nseverity = \"may\"\nowner = \"driver\"\npackets = '''\nping\n'''\n",
        )
        .expect("good");
        assert_eq!(suite.target.len(), 1);
        let [a, b] = suite.tests[..] else { panic!("two") };
        assert_eq!((a.about.id, a.about.name), ("mine.toml:4", "mine.a"));
        assert_eq!((a.about.severity, a.about.reference), (Severity::Must, "mine.toml, line 4"));
        assert_eq!((b.about.name, b.about.reference, b.about.group()), ("b.c", "RFC 1", "b"));
        assert_eq!((b.about.severity, b.about.owner), (Severity::May, Owner::Driver));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let row = |more: &str| format!("suite = 1\n[[test]]\nid = \"a\"\n{more}");
        for (text, expected) in [
            ("".to_owned(), "missing field `suite`"),
            ("suite = 2".to_owned(), "it is of version 2; this program knows 1"),
            ("suite = 1".to_owned(), "it has no [[test]]"),
            (row("packet = \"ping\""), "line 4: unknown field `packet`, expected one of"),
            (row("packet = \"ping\""), "did you mean `packets`?"),
            (
                row("severity = \"shall\"\npackets = \"ping\""),
                "line 2: there is no severity 'shall'; there are must, threshold",
            ),
            (row("packets = '''\nping\n  sned tcp\n'''"), "line 6, column 3: 'sned' is none of"),
            (row("packets = '''ping\nsned'''"), "line 5, column 1: 'sned' is none of"),
            (row("packets = \"sned\""), "line 4, column 12: 'sned' is none of"),
            (
                row("packets = \"ping\"\n[[test]]\nid = \"a\"\npackets = \"ping\""),
                "line 5: there are two tests 'mine.a'",
            ),
            (
                "suite = 1\n[[test]]\nid = \"A b\"\npackets = \"ping\"".to_owned(),
                "line 2: id 'A b': small letters",
            ),
        ] {
            let error = parse(&text).expect_err(&text);
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn what_is_shown_of_a_script_is_a_suite_with_the_same_test() {
        let mut scripts = 0;
        for test in catalogue::all() {
            let text = shown(test);
            let Body::Script(script) = test.body else {
                assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
                continue;
            };
            let suite = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            let [same] = suite.tests[..] else { panic!("one test: {text}") };
            let About { name, severity, owner, reference, requirement, .. } = test.about;
            let about = About {
                id: same.about.id,
                tier: Tier::Core,
                name,
                severity,
                owner,
                reference,
                requirement,
            };
            assert_eq!(same.about, about);
            let Body::Script(again) = same.body else { panic!("a script") };
            assert_eq!(again.trim(), script.trim());
            scripts += 1;
        }
        assert!(scripts > 0);
    }
}
