//! The wait for the device, then COMMAND, to its end: its own, or one that a signal, the firmware or the line
//! brings about.

use std::cell::RefCell;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::args::RunArgs;
use super::evidence::Witness;
use super::firmware::Firmware;
use super::places;
use super::story::Story;
use super::waiting;
use crate::cli::launch::{Status, UserCommand};
use crate::cli::network::Network;
use crate::cli::signals::{SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use crate::cli::{Verdict, terminal};
use crate::error::{Error, Result};
use crate::gateway::Opened;
use crate::tap::End;

/// How long COMMAND has after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// The number of SIGKILL.
const SIGKILL: i32 = 9;
/// Three Ctrl-C within this time mean that COMMAND is to be killed.
const INSISTENCE: Duration = Duration::from_secs(2);

/// Who waits for the device and for COMMAND.
pub struct Attendant<'a> {
    pub args: &'a RunArgs,
    pub signals: &'a mut mpsc::Receiver<i32>,
    pub network: &'a Network,
    pub firmware: &'a mut Firmware,
    /// How the line ended, if it does.
    pub line: oneshot::Receiver<Result<End>>,
    pub witness: &'a Witness,
}

impl Attendant<'_> {
    /// Waits until the device answers, starts COMMAND, and waits for its end.
    pub async fn attend(
        mut self,
        opened: &[Opened],
        variables: &[(String, std::ffi::OsString)],
        story: &mut Story,
    ) -> Result<Verdict> {
        let began = Instant::now();
        let args = self.args;
        let (wait, is_quiet) = (args.launch.wait, args.quiet);
        let awaited = RefCell::default();
        let manner = (wait, is_quiet);
        let answered = waiting::until_it_answers(&self.network.gateway, opened, manner, &awaited);
        tokio::select! {
            biased;
            () = end_wanted(self.signals) => {
                story.interrupted(&awaited.borrow());
                return Ok(Verdict::Interrupted);
            }
            ended = &mut self.line => return Err(lost(ended)),
            answered = answered => answered.map_err(|error| self.explained(error))?,
            sentence = self.firmware.gone() => {
                return Err(Error::environment(sentence)
                    .with_help("run it by itself to see all that it says"));
            }
        }
        if !is_quiet {
            let seconds = began.elapsed().as_secs_f64();
            terminal::tell(&format!("answers  after {seconds:.1} s"));
        }
        match UserCommand::start(&args.command, &places::inherited(), variables).await? {
            Ok(command) => self.watch(command, story).await,
            Err((code, why)) => {
                terminal::tell(&format!("uarttool: {why}"));
                Ok(Verdict::Program(code))
            }
        }
    }

    /// Waits for the end of COMMAND; brings it about when the firmware or the line ends for good.
    async fn watch(mut self, mut command: UserCommand, story: &mut Story) -> Result<Verdict> {
        let mut kill_at: Option<Instant> = None;
        let mut cut = None;
        let (mut is_told, mut pressed) = (false, Vec::new());
        let status = loop {
            let due = kill_at.unwrap_or_else(|| Instant::now() + GRACE);
            tokio::select! {
                biased;
                status = command.exited() => break status,
                Some(number) = self.signals.recv() => {
                    match number {
                        SIGUSR1 | SIGUSR2 => command.pass(number).await, // not about its end
                        // It has it already, and may well go on; who insists is obeyed.
                        SIGINT | SIGQUIT if command.hears_the_terminal() => {
                            pressed.retain(|when: &Instant| when.elapsed() < INSISTENCE);
                            pressed.push(Instant::now());
                            if pressed.len() >= 3 {
                                command.pass(SIGKILL).await;
                            }
                        }
                        _ if std::mem::replace(&mut is_told, true) => command.pass(SIGKILL).await,
                        SIGINT | SIGQUIT => command.pass(number).await,
                        number => {
                            command.pass(number).await;
                            kill_at = Some(Instant::now() + GRACE);
                        }
                    }
                }
                sentence = self.firmware.gone(), if cut.is_none() => {
                    story.firmware_ended(sentence);
                    terminal::tell("the firmware has ended: ending the command");
                    cut = Some(Ok(Verdict::Failed));
                    command.pass(SIGTERM).await;
                    kill_at = Some(Instant::now() + GRACE);
                }
                ended = &mut self.line, if cut.is_none() => {
                    cut = Some(Err(lost(ended)));
                    command.pass(SIGTERM).await;
                    kill_at = Some(Instant::now() + GRACE);
                }
                () = tokio::time::sleep_until(due), if kill_at.is_some() => {
                    command.pass(SIGKILL).await;
                    kill_at = None;
                }
            }
        };
        if status.is_none() {
            terminal::tell("warning: the command's guard ('uarttool launch-guard') was killed");
        }
        let status = status.unwrap_or(Status::Signal(SIGKILL)); // together with its guard
        story.command(status, cut.is_some());
        cut.unwrap_or(Ok(Verdict::Program(status.exit_code())))
    }

    /// An error of waiting, with what is known about the line and the console.
    fn explained(&self, error: Error) -> Error {
        let seen = self.witness.seen();
        let line = match (seen.was_up, seen.frames, seen.errors) {
            (false, ..) => format!("there was no connection to {}", self.network.tunnel.spec.text),
            (true, 0, 0) => "nothing was heard on the line".to_owned(),
            (true, frames, errors) => format!(
                "on the line {} and {} were heard from it",
                terminal::count(frames, "frame"),
                terminal::count(errors, "framing error")
            ),
        };
        let output = self.firmware.output();
        let last = seen.console.last_lines().next_back().map(str::to_owned).or_else(|| {
            let last = output.lines().rfind(|line| !line.trim().is_empty())?;
            Some(crate::escape::terminal(last.as_bytes()).to_string())
        });
        let console = match last {
            Some(last) => format!("the console's last line is: {last}"),
            None => "the console has said nothing, or is not listened to".to_owned(),
        };
        error.with_help(format!("{line}\n{console}\ngive it more time with '--wait 2m'"))
    }
}

/// Completes when a signal asks for the end; others are for COMMAND, which does not run yet.
async fn end_wanted(signals: &mut mpsc::Receiver<i32>) {
    loop {
        match signals.recv().await {
            Some(SIGUSR1 | SIGUSR2) => {}
            Some(_) => return,
            None => std::future::pending().await,
        }
    }
}

/// The line ended although nobody wanted it to.
fn lost(ended: Result<Result<End>, oneshot::error::RecvError>) -> Error {
    match ended {
        Ok(Err(error)) => error,
        Ok(Ok(End::Lost(how))) => Error::environment(format!("the line is gone: {how}")),
        Ok(Ok(End::Stopped | End::Finished)) | Err(_) => Error::environment("the line is gone"),
    }
}
