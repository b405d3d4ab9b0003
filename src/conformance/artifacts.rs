//! The evidence of failed tests: a capture each, in which the frame that shows it carries a comment.

use std::path::{Path, PathBuf};

use super::model::{About, Failure, Outcome};
use crate::capture::{Counts, Source, Target};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::record::{Body, Record};

/// The folder for captures.
#[derive(Clone, Debug)]
pub struct Artifacts {
    folder: PathBuf,
    source: Source,
    clock: Clock,
}

impl Artifacts {
    /// Makes the folder; captures say that they were taken from `source`.
    pub fn new(folder: &Path, source: Source, clock: Clock) -> Result<Self> {
        make_folder(folder)?;
        Ok(Artifacts { folder: folder.to_owned(), source, clock })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps the frames of a failed test; the file.
    pub fn keep(
        &self,
        about: &About,
        outcome: &Outcome,
        records: &[Record],
        rerun: &str,
    ) -> Result<PathBuf> {
        let path = self.folder.join(format!("{}.pcapng", about.name));
        let bad = |why: String| Error::environment(format!("{}: {why}", path.display()));
        let target = Target::parse(&path.to_string_lossy()).map_err(bad)?;
        self.write(&target, about, outcome, records, rerun)?;
        Ok(path)
    }

    fn write(
        &self,
        target: &Target,
        about: &About,
        outcome: &Outcome,
        records: &[Record],
        rerun: &str,
    ) -> Result<()> {
        let mut file = target.create(&self.source)?;
        let mut told = vec![false; outcome.failures.len()];
        let violating = outcome.failures.iter().filter_map(|f| f.frame.clone()).next();
        let is_there =
            violating.as_ref().is_some_and(|frame| records.iter().any(|r| shows(r, frame)));
        let made_up = violating.as_ref().filter(|_| !is_there).map(|(time, bytes)| Record {
            time: Some(crate::record::Span::at(*time)),
            origin: crate::record::Origin::new(crate::record::Direction::FromDevice),
            offset: None,
            body: Body::Frame(bytes.clone()),
        });
        let all: Vec<&Record> = records.iter().chain(&made_up).collect();
        let last = all.len().saturating_sub(1);
        for (at, record) in all.iter().enumerate() {
            let mut comment = String::new();
            for (failure, told) in outcome.failures.iter().zip(&mut told) {
                let is_it = match &failure.frame {
                    Some(frame) => shows(record, frame),
                    None => at == last, // what did not come is told at the end
                };
                if is_it && !std::mem::replace(told, true) {
                    comment.push_str(&explain(about, failure, rerun));
                }
            }
            file.record(record, Some(comment.as_str()).filter(|comment| !comment.is_empty()))?;
        }
        file.finish(self.clock.now(), Counts::default())
    }
}

/// Makes the folder for what is kept.
pub fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| {
        Error::environment(format!("cannot create the folder {}", folder.display()))
            .caused_by(error)
    })
}

/// Whether the record is that frame.
fn shows(record: &Record, (time, bytes): &(crate::clock::Timestamp, bytes::Bytes)) -> bool {
    record.time.is_some_and(|span| span.last == *time)
        && matches!(&record.body, Body::Frame(frame) if frame == bytes)
}

/// What a reader of the capture should know about it.
pub fn explain(about: &About, failure: &Failure, rerun: &str) -> String {
    let mut text = format!(
        "{} {}: {}\nexpected: {}\nactual: {}\n",
        about.id, about.name, about.requirement, failure.expected, failure.actual
    );
    for field in &failure.fields {
        text.push_str(&format!(
            "  {}: expected {}, received {}\n",
            field.field, field.expected, field.received
        ));
    }
    text.push_str(&format!("reference: {}\nagain: {rerun}\n", about.reference));
    text
}
