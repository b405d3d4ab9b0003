//! What these commands print: lines that a person reads, on stdout unless a capture goes there.

use std::io::Write;
use std::time::Duration;

use crate::cli::args::CaptureArgs;
use crate::error::{Error, Result};
use crate::stop::Stopper;

/// Where lines go.
pub struct Out {
    out: Box<dyn Write>,
    stopper: Option<Stopper>,
    is_abandoned: bool,
    failure: Option<Error>,
}

impl Out {
    /// For a command with such a capture.
    pub fn new(capture: &CaptureArgs) -> Self {
        let is_taken = capture.pcap.as_ref().is_some_and(|target| target.path.is_none());
        let out: Box<dyn Write> =
            if is_taken { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout()) };
        Out { out, stopper: None, is_abandoned: false, failure: None }
    }

    /// Stops the command when nobody reads any more.
    pub fn stops(&mut self, stopper: &Stopper) {
        self.stopper = Some(stopper.clone());
    }

    /// One line. A reader that has left ends the run quietly, as in any pipe.
    pub fn say(&mut self, text: &str) {
        if self.is_abandoned || self.failure.is_some() {
            return;
        }
        let Err(error) = writeln!(self.out, "{text}").and_then(|()| self.out.flush()) else {
            return;
        };
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => self.is_abandoned = true,
            _ => {
                let error = Error::environment("cannot write the report").caused_by(error);
                self.failure = Some(error);
            }
        }
        if let Some(stopper) = &self.stopper {
            stopper.stop();
        }
    }

    /// Whether nobody reads any more.
    pub fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }

    /// Whether all of it could be written, or nobody wanted it.
    pub fn finish(self) -> Result<()> {
        self.failure.map_or(Ok(()), Err)
    }
}

/// A time as ping says it.
pub fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        0.0..10.0 => format!("{ms:.2} ms"),
        10.0..100.0 => format!("{ms:.1} ms"),
        _ => format!("{ms:.0} ms"),
    }
}
