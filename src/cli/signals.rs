//! SIGINT, SIGTERM and SIGHUP become the word to stop; a second one ends the process at once. SIGHUP
//! stays ignored where it was when we started, as under nohup.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

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

/// Listens for signals from now on, on a thread of its own: whatever the others are stuck in, a second
/// signal ends the process.
pub fn watch(stopper: Stopper) -> Result<Interrupted> {
    let interrupted = Interrupted::default();
    let flag = interrupted.0.clone();
    let cannot = |error| Error::environment("cannot listen for signals").caused_by(error);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(cannot)?;
    let guard = runtime.enter();
    let int = signal(SignalKind::interrupt()).map_err(cannot)?;
    let term = signal(SignalKind::terminate()).map_err(cannot)?;
    let hup = match is_ignored(SIGHUP) {
        true => None,
        false => Some(signal(SignalKind::hangup()).map_err(cannot)?),
    };
    drop(guard);
    std::thread::spawn(move || runtime.block_on(obey(int, term, hup, &flag, &stopper)));
    Ok(interrupted)
}

async fn obey(
    mut int: Signal,
    mut term: Signal,
    mut hup: Option<Signal>,
    flag: &AtomicBool,
    stopper: &Stopper,
) {
    loop {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            Some(_) = async { hup.as_mut()?.recv().await } => {}
        }
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(Category::Interrupted.exit_code().into());
        }
        stopper.stop();
    }
}

const SIGHUP: u32 = 1;

/// Whether a signal is ignored; where the system does not tell, it is not.
fn is_ignored(signal: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 << (signal - 1) != 0)
}
