//! Whether the device lives after something malformed, and how that is said.

use std::time::Duration;

use super::{Turn, milliseconds};
use crate::cli::Verdict;
use crate::error::Result;
use crate::probe::inject::sentinel::{self, Life};
use crate::probe::inject::wire::Wire;

impl Turn<'_> {
    /// Asks whether the device lives, and says so.
    pub async fn say_life(&mut self, wire: &Wire, patience: Duration) -> Result<Verdict> {
        let life = sentinel::ask(self.probe, wire, patience, &mut |_| {}).await?;
        self.out.say(&life_text(life));
        Ok(match life {
            Life::Answers(..) => Verdict::Done,
            Life::Silent => Verdict::Failed,
        })
    }
}

/// What a sentinel found.
pub fn life_text(life: Life) -> String {
    match life {
        Life::Answers(question, after) => {
            let (question, after) = (question.name(), milliseconds(after));
            format!("the device still answers ({question}, {after})")
        }
        Life::Silent => "the device does not answer any more".to_owned(),
    }
}
