//! Which tests: by group, id and name, by tier, by a filter expression.
//!
//! A filter is words joined by `and`, `or`, `not` and parentheses. A word is a group, an id, a name,
//! or `group:`, `tier:`, `severity:`, `owner:`, `ref:`, `name:` and a value; `*` stands for anything
//! in names and references.

use super::model::{About, Owner, Severity, Test, Tier};
use super::{catalogue, invariants};

/// A filter expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// What a word says.
    Word(Key, String),
    /// Not this.
    Not(Box<Filter>),
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// Either.
    Or(Box<Filter>, Box<Filter>),
}

/// What a word is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The name or id, a pattern.
    Name,
    /// The group.
    Group,
    /// The tier.
    Tier,
    /// The severity.
    Severity,
    /// The owner.
    Owner,
    /// The reference: a part of it.
    Reference,
}

impl Filter {
    /// Parses an expression; the error says what is wrong with which word.
    pub fn parse(text: &str) -> Result<Filter, String> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut parser = Parser { words: &words, at: 0 };
        let filter = parser.either()?;
        match parser.words.get(parser.at) {
            None => Ok(filter),
            Some(word) => Err(format!("'{word}' is not expected there; join words with and, or")),
        }
    }

    /// Whether a test is meant.
    pub fn takes(&self, about: &About) -> bool {
        match self {
            Filter::Not(filter) => !filter.takes(about),
            Filter::And(a, b) => a.takes(about) && b.takes(about),
            Filter::Or(a, b) => a.takes(about) || b.takes(about),
            Filter::Word(key, value) => match key {
                Key::Name => {
                    matches(value, about.name)
                        || matches(&value.to_ascii_uppercase(), about.id)
                        || value == about.group()
                        || value == "all"
                }
                Key::Group => value == about.group(),
                Key::Tier => value == about.tier.name(),
                Key::Severity => value == about.severity.name(),
                Key::Owner => value == about.owner.name(),
                Key::Reference => {
                    matches(&format!("*{}*", value.to_lowercase()), &about.reference.to_lowercase())
                }
            },
        }
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
    at: usize,
}

impl Parser<'_> {
    fn next_is(&mut self, word: &str) -> bool {
        let is = self.words.get(self.at).is_some_and(|next| *next == word);
        self.at += usize::from(is);
        is
    }

    fn either(&mut self) -> Result<Filter, String> {
        let mut filter = self.both()?;
        while self.next_is("or") {
            filter = Filter::Or(Box::new(filter), Box::new(self.both()?));
        }
        Ok(filter)
    }

    fn both(&mut self) -> Result<Filter, String> {
        let mut filter = self.one()?;
        while self.next_is("and") {
            filter = Filter::And(Box::new(filter), Box::new(self.one()?));
        }
        Ok(filter)
    }

    fn one(&mut self) -> Result<Filter, String> {
        if self.next_is("not") {
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        if self.next_is("(") {
            let filter = self.either()?;
            return match self.next_is(")") {
                true => Ok(filter),
                false => Err("a parenthesis is not closed".to_owned()),
            };
        }
        let Some(word) = self.words.get(self.at) else {
            return Err("the expression ends where a word is expected".to_owned());
        };
        self.at += 1;
        parse_word(word)
    }
}

fn parse_word(word: &str) -> Result<Filter, String> {
    let Some((key, value)) = word.split_once(':') else {
        return named(word);
    };
    let value = value.to_owned();
    let one_of = |names: &[&str]| match names.contains(&value.as_str()) {
        true => Ok(()),
        false => Err(format!("there is no {key} '{value}'; there are {}", names.join(", "))),
    };
    let key = match key {
        "name" => return named(&value),
        "group" => one_of(&catalogue::GROUPS.map(|group| group.name)).map(|()| Key::Group)?,
        "tier" => one_of(&Tier::ALL.map(Tier::name)).map(|()| Key::Tier)?,
        "severity" => one_of(&Severity::ALL.map(Severity::name)).map(|()| Key::Severity)?,
        "owner" => one_of(&Owner::ALL.map(Owner::name)).map(|()| Key::Owner)?,
        "ref" => Key::Reference,
        _ => {
            return Err(format!(
                "there is no key '{key}:'; there are group, tier, severity, owner, ref, name"
            ));
        }
    };
    Ok(Filter::Word(key, value))
}

/// A group, an id, a name or a pattern of one.
fn named(word: &str) -> Result<Filter, String> {
    let filter = Filter::Word(Key::Name, word.to_lowercase());
    if catalogue::all().any(|test| filter.takes(&test.about)) {
        return Ok(filter);
    }
    let is_rule = |rule: &About| rule.name == word || rule.id.eq_ignore_ascii_case(word);
    if invariants::RULES.iter().any(is_rule) || word == "invariant" {
        return Err(format!(
            "'{word}' is no test to choose: the rules for every frame always hold"
        ));
    }
    let near = nearest(word);
    let groups: Vec<_> = catalogue::GROUPS.iter().map(|group| group.name).collect();
    let help = match near.is_empty() {
        true => format!("; the groups are {}, and '--list' shows the tests", groups.join(", ")),
        false => near,
    };
    Err(format!("there is no test, id or group '{word}'{help}"))
}

/// `; did you mean ...?`, if something is near.
pub fn nearest(word: &str) -> String {
    let groups = catalogue::GROUPS.iter().map(|group| group.name);
    let names = catalogue::all().map(|test| test.about.name).chain(groups);
    let slug = |name: &'static str| name.split_once('.').map_or(name, |(_, slug)| slug);
    let best = names
        .map(|name| (distance(word, name).min(distance(word, slug(name)) + 1), name))
        .min()
        .filter(|(far, _)| *far <= (word.len() / 2).min(3));
    best.map_or(String::new(), |(_, name)| format!("; did you mean '{name}'?"))
}

/// How many letters have to be changed, added or left out.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Whether `text` is as `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len())
                .filter(|at| tail.is_char_boundary(*at))
                .any(|at| matches(rest, &tail[at..]))
        }),
    }
}

/// What the user wants to run.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Groups, ids or names; none is all.
    pub names: Vec<Filter>,
    /// Filter expressions, all of which have to hold.
    pub filters: Vec<Filter>,
    /// The last tier that runs; a test that is named runs whatever its tier.
    pub tier: Option<Tier>,
    /// Run share number `.0` of `.1`.
    pub shard: Option<(usize, usize)>,
}

impl Selection {
    /// The tests that are meant, in the catalogue's order.
    pub fn tests(&self) -> Vec<&'static Test> {
        let last = self.tier.unwrap_or(Tier::Core);
        let tests = catalogue::all().filter(|test| {
            let about = &test.about;
            let is_named = self.names.iter().any(|name| name.takes(about));
            let by_itself = self.names.iter().any(|name| match name {
                Filter::Word(Key::Name, word) => {
                    name.takes(about) && word != about.group() && !word.contains('*')
                }
                _ => false,
            });
            let in_tier = about.tier <= last || by_itself || self.asks_for_tier(about.tier);
            (self.names.is_empty() || is_named)
                && in_tier
                && self.filters.iter().all(|filter| filter.takes(about))
        });
        let tests: Vec<_> = tests.collect();
        match self.shard {
            None => tests,
            Some((number, of)) => tests.into_iter().skip(number - 1).step_by(of).collect(),
        }
    }

    /// Whether a filter names the tier itself.
    fn asks_for_tier(&self, tier: Tier) -> bool {
        fn names(filter: &Filter, tier: Tier) -> bool {
            match filter {
                Filter::Word(Key::Tier, value) => value == tier.name(),
                Filter::Word(..) | Filter::Not(_) => false,
                Filter::And(a, b) | Filter::Or(a, b) => names(a, tier) || names(b, tier),
            }
        }
        self.filters.iter().any(|filter| names(filter, tier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(filter: &str) -> Vec<&'static str> {
        let filters = vec![Filter::parse(filter).expect(filter)];
        let selection = Selection { filters, tier: Some(Tier::Long), ..Selection::default() };
        selection.tests().iter().map(|test| test.about.name).collect()
    }

    #[test]
    fn words_and_how_they_are_joined() {
        assert_eq!(names("LNK-01"), ["link.len-zero"]);
        assert_eq!(names("lnk-01 or link.reconnect"), ["link.len-zero", "link.reconnect"]);
        assert!(
            names("group:arp and severity:must and not tier:extended").contains(&"arp.truncated")
        );
        assert!(!names("arp and not (severity:must or severity:may)").contains(&"arp.truncated"));
        assert_eq!(names("*.max-frame"), ["link.max-frame"]);
        assert!(names("ref:RFC_5227").is_empty());
        assert!(names("ref:5227").contains(&"arp.probe-zero-spa"));
        assert!(names("owner:driver").iter().all(|name| !name.starts_with("ipv4")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("lnik", "there is no test, id or group 'lnik'; did you mean 'link'?"),
            (
                "bluetooth",
                "there is no test, id or group 'bluetooth'; the groups are link, ethernet, arp",
            ),
            ("INV-01", "'INV-01' is no test to choose"),
            ("tier:slow", "there is no tier 'slow'; there are smoke, core, extended, long"),
            ("colour:red", "there is no key 'colour:'"),
            ("(arp", "not closed"),
            ("arp and", "ends where a word is expected"),
            ("arp link", "'link' is not expected there"),
        ] {
            let error = Filter::parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn tiers_are_cumulative_and_a_name_overrides_them() {
        let count = |tier| Selection { tier, ..Selection::default() }.tests().len();
        let (smoke, core) = (count(Some(Tier::Smoke)), count(None));
        assert!(smoke < core && core < count(Some(Tier::Extended)));
        let named = vec![Filter::parse("link.boot-noise").expect("it is there")];
        let selection = Selection { names: named, ..Selection::default() };
        assert_eq!(selection.tests().len(), 1);
    }

    #[test]
    fn shards_make_the_whole() {
        let all = Selection::default().tests().len();
        let part = |n| Selection { shard: Some((n, 3)), ..Selection::default() }.tests().len();
        assert_eq!(part(1) + part(2) + part(3), all);
    }
}
