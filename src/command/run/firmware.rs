//! The firmware that was started for the run, if any was.

use std::time::Duration;

use tokio::time::Instant;

use crate::cli::launch::Launched;
use crate::cli::terminal;
use crate::error::Result;

/// Firmware that ends sooner than this has not really started.
const SHORT: Duration = Duration::from_secs(2);
/// After so many short lives in a row it is not started again.
const SHORT_LIVES: u32 = 5;
/// How long to wait before it is started again after a short life.
const PAUSE: Duration = Duration::from_millis(500);

/// A program that runs, or nothing.
pub struct Firmware {
    pub launched: Option<Launched>,
    restarts: bool,
    since: Instant,
    short_lives: u32,
    /// How it ended for good.
    gone: Option<String>,
}

impl Firmware {
    /// `restarts` says whether it is started again when it ends by itself.
    pub fn new(launched: Option<Launched>, restarts: bool) -> Firmware {
        Firmware { launched, restarts, since: Instant::now(), short_lives: 0, gone: None }
    }

    /// Completes when it has ended for good, with a sentence. Cancelled, it can be called again.
    pub async fn gone(&mut self) -> String {
        let Some(launched) = &mut self.launched else { return std::future::pending().await };
        if let Some(sentence) = &self.gone {
            return sentence.clone();
        }
        loop {
            let sentence = launched.exited().await;
            if !self.restarts {
                return self.gone.insert(sentence).clone();
            }
            self.short_lives = match self.since.elapsed() < SHORT {
                true => self.short_lives + 1,
                false => 0,
            };
            if self.short_lives >= SHORT_LIVES {
                let sentence = format!("{sentence} ({SHORT_LIVES} times in a row)");
                return self.gone.insert(sentence).clone();
            }
            terminal::tell(&format!("firmware {sentence}; starting it again"));
            self.since = Instant::now();
            if self.short_lives > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            if let Err(error) = launched.restart().await {
                return self.gone.insert(error.chain()).clone();
            }
            self.since = Instant::now();
        }
    }

    /// What it has said on stdout and stderr, of late.
    pub fn output(&self) -> String {
        self.launched.as_ref().map(Launched::output).unwrap_or_default()
    }

    /// Ends it.
    pub async fn end(self) -> Result<()> {
        match self.launched {
            Some(launched) => launched.end().await,
            None => Ok(()),
        }
    }
}
