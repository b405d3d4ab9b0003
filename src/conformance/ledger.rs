//! What a device is known to do otherwise: failures that are expected, each with its reason.
//!
//! ```toml
//! ledger = 1
//! about = "the test firmware"
//! with = ["lwip"]                 # and what those list: a name, or a path beside this file
//! has = ["reassembly", "http"]    # what the device has: where that is not found, the tests for it fail
//!
//! [[deviation]]
//! test = "ethernet.dst-other-unicast"
//! reason = "ethernet_input() takes any unicast address; hardware is expected to filter"
//! expected = ["no answer to"]     # only where this is what a failing comparison expected
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::document::{line_of, problem};
use super::model::{Failure, Outcome};
use super::rig::Capability;
use super::{catalogue, invariants};
use crate::error::{Error, Result};

/// The ledgers that come with the program, by name.
pub const BUILT_IN: [(&str, &str); 5] = [
    ("sim", include_str!("ledgers/sim.toml")),
    ("lwip", include_str!("ledgers/lwip.toml")),
    ("esp-idf", include_str!("ledgers/esp-idf.toml")),
    ("linux", include_str!("ledgers/linux.toml")),
    ("smoltcp", include_str!("ledgers/smoltcp.toml")),
];

/// A name as a ledger has it: a path begins at the ledger's own folder.
fn beside(ledger: &str, name: &str) -> String {
    let folder = Path::new(ledger).parent().filter(|_| is_path(name));
    folder.map_or(name.to_owned(), |folder| folder.join(name).display().to_string())
}

/// What a device may be said to have, by its name.
fn capability(name: &str) -> Result<Capability, String> {
    let mut known = Capability::DECLARABLE.into_iter();
    known.find(|capability| capability.name() == name).ok_or_else(|| {
        let names = Capability::DECLARABLE.map(Capability::name).join(", ");
        format!("no device has '{name}'; it may have {names}")
    })
}

fn is_path(name: &str) -> bool {
    name.contains(['/', '.'])
}

/// How deep ledgers may be built on each other.
const DEEPEST: u32 = 8;

/// Known deviations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Its name.
    pub name: String,
    /// The device that it is about.
    pub about: String,
    /// What the device has.
    pub declared: Vec<Capability>,
    deviations: BTreeMap<&'static str, Deviation>,
}

/// A deviation that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Deviation {
    reason: String,
    /// Parts of what the failing comparisons expect; none means all of them.
    expected: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    ledger: u32,
    about: String,
    #[serde(default)]
    with: Vec<String>,
    #[serde(default)]
    has: Vec<toml::Spanned<String>>,
    #[serde(default)]
    deviation: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    test: String,
    reason: String,
    #[serde(default)]
    expected: Vec<String>,
}

impl Ledger {
    /// The ledger of that name, or in that file.
    pub fn open(name: &str) -> Result<Ledger> {
        Ledger::open_at(name, 0)
    }

    fn open_at(name: &str, depth: u32) -> Result<Ledger> {
        if depth > DEEPEST {
            return Err(Error::usage(format!("profile {name} is part of itself")));
        }
        if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Ledger::parse(name, text, depth);
        }
        if !is_path(name) {
            let names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            let text = format!("there is no profile '{name}'; there are {}", names.join(", "));
            return Err(Error::usage(text).with_help("or give the path of a file: ./mine.toml"));
        }
        let text = std::fs::read_to_string(name).map_err(|error| {
            Error::usage(format!("cannot read the profile {name}")).caused_by(error)
        })?;
        Ledger::parse(name, &text, depth)
    }

    /// Parses a ledger; the error names the line and what is wrong there.
    fn parse(name: &str, text: &str, depth: u32) -> Result<Ledger> {
        let bad = |what: String| Error::usage(format!("bad profile {name}: {what}"));
        let line_of = |at: usize| line_of(text, at);
        let document: Document =
            toml::from_str(text).map_err(|error| bad(problem(text, &error)))?;
        if document.ledger != 1 {
            return Err(bad(format!("it is of version {}; this program knows 1", document.ledger)));
        }
        let mut declared = Vec::new();
        for name in &document.has {
            let found = capability(name.get_ref());
            let what = |what| bad(format!("line {}: {what}", line_of(name.span().start)));
            declared.push(found.map_err(what)?);
        }
        let mut deviations = BTreeMap::new();
        for row in document.deviation {
            let line = text.find(&format!("\"{}\"", row.test)).map_or(0, line_of);
            let tests = catalogue::all().map(|test| &test.about).chain(&invariants::RULES);
            let mut tests = tests
                .filter(|about| about.name == row.test || about.id.eq_ignore_ascii_case(&row.test));
            let Some(about) = tests.next() else {
                let near = super::select::nearest(&row.test);
                return Err(bad(format!("line {line}: there is no test '{}'{near}", row.test)));
            };
            if row.reason.trim().is_empty() {
                return Err(bad(format!("line {line}: '{}' has no reason", row.test)));
            }
            let Row { reason, expected, .. } = row;
            if deviations.insert(about.name, Deviation { reason, expected }).is_some() {
                return Err(bad(format!("'{}' is listed twice", about.name)));
            }
        }
        let own = Ledger { name: name.to_owned(), about: document.about, declared, deviations };
        let mut all = Ledger::default();
        for name in &document.with {
            all = all.and(Ledger::open_at(&beside(&own.name, name), depth + 1)?);
        }
        let all = all.and(own.clone());
        Ok(Ledger { name: own.name, about: own.about, ..all })
    }

    /// Both; where they list the same test, `other` says why.
    #[must_use]
    pub fn and(mut self, other: Ledger) -> Ledger {
        let joined = |a: String, b: String| if a.is_empty() { b } else { format!("{a}, {b}") };
        self.name = joined(self.name, other.name);
        self.about = joined(self.about, other.about);
        self.deviations.extend(other.deviations);
        let is_new = |capability: &Capability| !self.declared.contains(capability);
        let new: Vec<_> = other.declared.into_iter().filter(is_new).collect();
        self.declared.extend(new);
        self
    }

    /// Why `test` is expected to fail, if it is.
    pub fn reason(&self, test: &str) -> Option<&str> {
        self.deviations.get(test).map(|deviation| deviation.reason.as_str())
    }

    /// Whether a failure of `test` is the expected one: all comparisons that failed are listed, and the
    /// device is still there.
    pub fn covers(&self, test: &str, outcome: &Outcome) -> bool {
        let Some(Deviation { expected, .. }) = self.deviations.get(test) else { return false };
        let is_listed = |failure: &Failure| {
            expected.is_empty() || expected.iter().any(|part| failure.expected.contains(part))
        };
        !outcome.is_fatal && outcome.failures.iter().all(is_listed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_ledgers_are_good() {
        for (name, text) in BUILT_IN {
            Ledger::parse(name, text, 0).unwrap_or_else(|error| panic!("{}", error.chain()));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let row = |test: &str, reason: &str| {
            format!(
                "ledger = 1\nabout = \"x\"\n[[deviation]]\ntest = \"{test}\"\nreason = \"{reason}\"\n"
            )
        };
        for (text, part) in [
            (
                row("link.len-zer", "x"),
                "line 4: there is no test 'link.len-zer'; did you mean 'link.len-zero'?",
            ),
            (row("link.len-zero", " "), "line 4: 'link.len-zero' has no reason"),
            (
                "ledger = 1\nabout = \"x\"\nhas = [\"http\",\n\"reasembly\"]\n".to_owned(),
                "line 4: no device has 'reasembly'; it may have reassembly, udp-echo, tcp-echo, http",
            ),
            ("ledger = 2\nabout = \"x\"\n".to_owned(), "version 2"),
            ("ledger = 1\nabuot = \"x\"\n".to_owned(), "line 2: unknown field `abuot`"),
        ] {
            let error = Ledger::parse("mine.toml", &text, 0).expect_err(&text).chain();
            assert!(error.contains(part), "{error}");
        }
        let error = Ledger::open("lwpi").expect_err("no such name").chain();
        assert!(error.contains("there are sim, lwip, esp-idf, linux, smoltcp"), "{error}");
    }

    #[test]
    fn ledgers_are_built_on_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, with: &str, test: &str| {
            let row = format!("[[deviation]]\ntest = \"{test}\"\nreason = \"{name}\"\n");
            let has = if name == "base.toml" { "\"http\"" } else { "\"tcp-echo\", \"http\"" };
            let head = format!("ledger = 1\nabout = \"{name}\"\nwith = [{with}]\nhas = [{has}]\n");
            let text = head + &row;
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        write("base.toml", "\"lwip\"", "link.len-zero");
        let top = write("top.toml", "\"./base.toml\"", "ipv4.src-loopback");
        let ledger = Ledger::open(&top).unwrap_or_else(|error| panic!("{}", error.chain()));
        assert_eq!(ledger.name, top);
        assert_eq!(ledger.reason("link.len-zero"), Some("base.toml"));
        assert_eq!(ledger.reason("ipv4.src-loopback"), Some("top.toml"), "not lwIP's reason");
        assert_eq!(ledger.declared, [Capability::Http, Capability::TcpEcho], "each once");
        assert!(ledger.reason("arp.sender-group-mac").is_some(), "lwIP's");
        let ring = write("ring.toml", "\"./ring.toml\"", "link.len-zero");
        let error = Ledger::open(&ring).expect_err("no end").chain();
        assert!(error.contains("is part of itself"), "{error}");
    }
}
