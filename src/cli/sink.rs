//! Outputs for a live line: a thread of their own behind a bounded queue, so that a slow terminal or
//! disk never delays the line. Output is written whenever the queue is empty, so that a line appears
//! as soon as its frame does, and in large pieces when there is much.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::outputs::{Ending, Outputs};
pub use super::outputs::{Plan, Totals};
use crate::bus::{Inbox, Meter};
use crate::error::{Error, Result};
use crate::stop::Stopper;

/// After it has written, the sink lets so much time pass before it looks again. Waking it for each
/// frame would cost the line more than passing the frame on: so much a person never notices.
const PAUSE_LINES: Duration = Duration::from_millis(1);
/// The same when only a file is written.
const PAUSE_FILE: Duration = Duration::from_millis(10);

/// How a sink ended.
#[derive(Debug)]
pub struct Report {
    /// What went through.
    pub totals: Totals,
    /// What went wrong, if something did.
    pub error: Option<Error>,
    /// Nobody reads our output any more.
    pub is_abandoned: bool,
    /// As many frames were seen, or files written, as were wanted.
    pub is_complete: bool,
    /// The files of the capture, the oldest first.
    pub captures: Vec<PathBuf>,
}

impl Report {
    pub(super) fn new(outputs: Outputs, result: Result<(), Ending>) -> Report {
        let (error, is_abandoned) = match result {
            Ok(()) => (None, false),
            Err(Ending::Abandoned) => (None, true),
            Err(Ending::Failed(error)) => (Some(error), false),
        };
        let is_complete = outputs.is_complete();
        let captures = outputs.captures();
        Report { totals: outputs.totals, error, is_abandoned, is_complete, captures }
    }
}

/// Starts a sink on `inbox`; it ends with the tap, and tells `stopper` when it is done earlier.
pub fn start(plan: Plan, inbox: Inbox, stopper: Stopper) -> oneshot::Receiver<Report> {
    let (sender, report) = oneshot::channel();
    thread::spawn(move || {
        let meter = inbox.meter();
        let mut sink = Sink { outputs: Outputs::new(plan), inbox, meter };
        let result = sink.run(&stopper);
        let _ = sender.send(Report::new(sink.outputs, result)); // nobody waits if the command has failed
    });
    report
}

struct Sink {
    outputs: Outputs,
    inbox: Inbox,
    meter: Arc<Meter>,
}

impl Sink {
    /// Takes records until the tap ends or enough were seen; the rest is taken and forgotten, so
    /// that it does not count as dropped.
    fn run(&mut self, stopper: &Stopper) -> Result<(), Ending> {
        let result = self.take_records();
        stopper.stop();
        if result.is_ok() {
            while self.inbox.wait().is_some() {}
        }
        let finished = self.outputs.finish(self.meter.dropped());
        result.and(finished)
    }

    fn take_records(&mut self) -> Result<(), Ending> {
        loop {
            let first = match self.outputs.turns_in() {
                None => self.inbox.wait(),
                Some(patience) => match self.inbox.wait_for(patience) {
                    Ok(record) => record,
                    Err(_) => {
                        self.outputs.turn()?;
                        if self.outputs.is_complete() {
                            return Ok(());
                        }
                        continue;
                    }
                },
            };
            let Some(record) = first else { return Ok(()) };
            let mut next = Some(record);
            while let Some(record) = next {
                self.outputs.take(&record, None)?;
                if self.outputs.is_complete() {
                    return Ok(());
                }
                next = self.inbox.poll();
            }
            self.outputs.flush()?;
            thread::sleep(if self.outputs.is_read_along() { PAUSE_LINES } else { PAUSE_FILE });
        }
    }
}
