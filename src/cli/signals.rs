//! SIGINT, SIGTERM and SIGHUP become the word to stop; a second one ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Category, Error, Result};
use crate::stop::Stopper;

/// Whether a signal has asked us to stop.
#[derive(Clone, Debug, Default)]
pub struct Interrupted(Arc<AtomicBool>);

impl Interrupted {
    /// Whether it has.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Listens for signals from now on. Must run inside the event loop.
pub fn watch(stopper: Stopper) -> Result<Interrupted> {
    let interrupted = Interrupted::default();
    let flag = interrupted.0.clone();
    let mut signals = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        signals.push(
            signal(kind).map_err(|error| {
                Error::environment("cannot listen for signals").caused_by(error)
            })?,
        );
    }
    tokio::spawn(async move {
        loop {
            let [int, term, hup] = &mut signals[..] else { return };
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
                _ = hup.recv() => {}
            }
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(Category::Interrupted.exit_code().into());
            }
            stopper.stop();
        }
    });
    Ok(interrupted)
}
