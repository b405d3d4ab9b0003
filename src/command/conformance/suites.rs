//! Suite files on the command line.

use std::path::PathBuf;

use super::args::ConformanceArgs;
use super::output;
use crate::cli::config::{Config, Target};
use crate::cli::{Verdict, terminal};
use crate::conformance::model::Test;
use crate::conformance::select::{Filter, Selection};
use crate::conformance::suite::{self, Suite};
use crate::conformance::{catalogue, model::Tier};
use crate::error::{Error, Result};

/// The suite files of a run.
#[derive(Default)]
pub struct Suites {
    /// Their tests.
    pub tests: Vec<&'static Test>,
    target: Option<(PathBuf, Target)>,
}

impl Suites {
    /// Reads the files that `args` name.
    pub fn open(args: &ConformanceArgs) -> Result<Suites> {
        let mut suites = Suites::default();
        for path in args.files() {
            let Suite { tests, mut target } = Suite::<Target>::open(path)?;
            let shown = path.display();
            target.check().map_err(|what| Error::usage(format!("bad suite {shown}: {what}")))?;
            for test in &tests {
                let name = test.about.name;
                let is_taken = suites.tests.iter().any(|other| other.about.name == name);
                if is_taken {
                    let text = format!("two suites have a test '{name}'");
                    return Err(Error::usage(text).with_help("give one of them another id"));
                }
                if args.names.len() > 1 && catalogue::by_name(name).is_some() {
                    let text =
                        format!("'{name}' of {shown} is the name of a built-in test as well");
                    return Err(Error::usage(text)
                        .with_help("give it another id, or run the file by itself"));
                }
            }
            suites.tests.extend(tests);
            if target == Target::default() {
                continue;
            }
            if let Some(folder) = path.parent() {
                target.place_in(folder);
            }
            if let Some((other, _)) = &suites.target {
                let text = format!("{} and {shown} both have a [target]", other.display());
                return Err(Error::usage(text).with_help("run one after the other"));
            }
            suites.target = Some((path.to_owned(), target));
        }
        Ok(suites)
    }

    /// A configuration, and what a suite says of the target over it.
    pub fn over(self, config: Config) -> Config {
        match self.target {
            None => config,
            Some((path, target)) => {
                Config { path: Some(path), target: target.or(config.target), by_preset: None }
            }
        }
    }
}

/// `conformance show`: tests as suite files.
pub fn show(names: &[String]) -> Result<Verdict> {
    let names = names.iter().map(|name| Filter::parse(name).map_err(Error::usage));
    let names = names.collect::<Result<_>>()?;
    let tests = Selection { names, tier: Some(Tier::Long), ..Selection::default() }.tests();
    let shown: Vec<_> = tests.iter().map(|test| suite::shown(test)).collect();
    let mut text = shown.join("\n");
    // One file has one head.
    let head = "suite = 1\n\n";
    if let Some(at) = text.find(head) {
        let (first, rest) = text.split_at(at + head.len());
        text = format!("{first}{}", rest.replace(head, ""));
    }
    output::written_out(std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()))?;
    Ok(Verdict::Done)
}

/// `conformance check`: nothing but reading.
pub fn check(files: &[PathBuf]) -> Result<Verdict> {
    for path in files {
        let suite = Suite::<Target>::open(path)?;
        let shown = path.display();
        suite.target.check().map_err(|what| Error::usage(format!("bad suite {shown}: {what}")))?;
        let tests = suite.tests.len();
        let s = if tests == 1 { "" } else { "s" };
        terminal::tell(&format!("{shown}: {tests} test{s}, all good"));
    }
    Ok(Verdict::Done)
}
