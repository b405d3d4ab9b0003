//! What every one of these commands is told of the line, and what each does on it.

use std::time::Duration;

use clap::Args;

use super::disguise::DisguiseArgs;
use crate::cli::Verdict;
use crate::cli::args::{AddressArgs, CaptureArgs, TunnelArgs};
use crate::cli::conversation::{Out, Session, Turn};
use crate::error::Result;
use crate::probe::inject::Disguise;

/// The line, who is at its ends, and how frames go out on it.
#[derive(Args, Debug)]
pub(super) struct LineArgs {
    #[command(flatten)]
    disguise: DisguiseArgs,
    #[command(flatten)]
    tunnel: TunnelArgs,
    #[command(flatten)]
    addresses: AddressArgs,
    #[command(flatten)]
    capture: CaptureArgs,
}

impl LineArgs {
    /// The line that the user means.
    pub fn session(&self, title: &'static str) -> Result<Session<'_>> {
        Session::new(title, &self.tunnel, &self.addresses, &self.capture)
    }

    /// What is done to frames.
    pub fn disguise(&self) -> Disguise {
        self.disguise.disguise()
    }

    /// Whether what is seen is written to a file.
    pub fn has_capture(&self) -> bool {
        self.capture.pcap.is_some()
    }

    /// Where lines go.
    pub fn out(&self) -> Out {
        Out::new(&self.capture)
    }
}

/// Has the conversation. Where it was malformed on purpose, a sentinel comes behind it, and it is the
/// device's life that counts.
pub(super) fn converse(
    session: Session<'_>,
    disguise: &Disguise,
    patience: Duration,
    mut out: Out,
    talk: impl AsyncFnOnce(&mut Turn<'_>) -> Result<Verdict>,
) -> Result<Verdict> {
    disguise.wire.check(session.tunnel.spec.options.framing, session.is_stream())?;
    let verdict = session.run(&mut out, async |turn| {
        disguise.wire.check_on(turn.probe)?;
        let verdict = talk(turn).await?;
        if disguise.is_malformed() && !turn.stop.is_stopped() {
            return turn.say_life(&disguise.wire, patience).await;
        }
        Ok(unless_interrupted(verdict, turn))
    })?;
    out.finish()?;
    Ok(verdict)
}

/// Nothing that came back is no failure when the user did not wait for it.
pub(super) fn unless_interrupted(verdict: Verdict, turn: &Turn<'_>) -> Verdict {
    match verdict {
        Verdict::Failed if turn.interrupted().is_set() => Verdict::Interrupted,
        verdict => verdict,
    }
}
