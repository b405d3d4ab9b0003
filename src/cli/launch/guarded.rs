//! The guard as seen from us: its process, what it reports, its end.

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::PipeReader;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::descriptors;
use super::family::{self, GRACE, LAST};
use super::places::Places;
use super::report::{Order, Report, Status};
use crate::error::{Category, Error, Result};

/// When a guard that does not end is given up.
const PATIENCE: Duration = Duration::from_secs(GRACE.as_secs() + LAST.as_secs() + 3);

/// How long a guard whose stdin is closed on its side may take to be gone.
const MOMENT: Duration = Duration::from_secs(1);

/// A guard, with its keeper, and the program behind it. Dropped, it waits until both have ended.
#[derive(Debug)]
pub struct Guarded {
    /// The keeper.
    child: Child,
    /// The other end of the guard's stdin. While it is open the program runs.
    control: Option<UnixStream>,
    heard: Vec<u8>,
    /// What every process that comes from it has in its environment, unless it took it away.
    mark: String,
}

/// The name of the variable with the mark.
const MARK: &str = "UARTTOOL_GUARD";

impl Guarded {
    /// Starts `guard`, an uarttool, and through it `program`; what that says comes out of the reader.
    pub async fn start(
        guard: &Path,
        program: &[OsString],
        places: &Places,
    ) -> Result<(Guarded, PipeReader)> {
        let (reader, writer) = std::io::pipe().map_err(|error| cannot(guard, error))?;
        let mut command = Command::new(guard);
        command.arg0("uarttool").args(["launch-guard", "--remove"]).arg(places.folder());
        command.arg("--").args(program).envs(places.environment());
        command.stdout(writer.try_clone().map_err(|error| cannot(guard, error))?).stderr(writer);
        match Guarded::spawn(command, guard, None).await? {
            Ok(guarded) => Ok((guarded, reader)),
            Err((_, why)) => Err(Error::environment(why)),
        }
    }

    /// Starts `guard` and through it a user's command, which has our stdin, stdout and stderr, and is in
    /// the process group `group`, or in one of its own; of the variables the first are taken away from its
    /// environment, the others added to it. Or what a shell would exit with, and why.
    pub async fn start_command(
        guard: &Path,
        program: &[OsString],
        (without, with): (&[OsString], &[(String, OsString)]),
        group: Option<Pid>,
    ) -> Result<Result<Guarded, (u8, String)>> {
        let mut command = Command::new(guard);
        command.arg0("uarttool").args(["launch-guard", "--command"]);
        if let Some(group) = group {
            command.arg("--group").arg(group.as_raw_nonzero().to_string());
        }
        command.arg("--").args(program);
        for name in without {
            command.env_remove(name);
        }
        command.envs(with.iter().map(|(name, value)| (name, value)));
        command.process_group(0); // what comes from the terminal is not for the guard
        Guarded::spawn(command, guard, Some(std::io::stdin().as_fd())).await
    }

    /// Starts the guard, and waits until it has started its program, which gets `stdin`.
    async fn spawn(
        mut command: Command,
        guard: &Path,
        stdin: Option<std::os::fd::BorrowedFd<'_>>,
    ) -> Result<Result<Guarded, (u8, String)>> {
        let cannot = |error| cannot(guard, error);
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(cannot)?;
        if let Some(stdin) = stdin {
            descriptors::send(&ours, stdin).map_err(cannot)?;
        }
        ours.set_nonblocking(true).map_err(cannot)?;
        let control = UnixStream::from_std(ours).map_err(cannot)?;
        let mark = format!("{:016x}", RandomState::new().build_hasher().finish());
        command.stdin(OwnedFd::from(theirs)).env(MARK, &mark);
        family::adopt(); // what killed guards leave comes to us
        let child = command.spawn().map_err(cannot)?;
        drop(command); // it holds the guard's ends
        let mut guarded = Guarded { child, control: Some(control), heard: Vec::new(), mark };
        while guarded.reports().is_empty() && guarded.listen().await {}
        match guarded.reports().into_iter().next() {
            Some(Report::Failed(code, why)) => Ok(Err((code, why))),
            Some(_) => Ok(Ok(guarded)),
            None => {
                let text = format!("{} did not start the program", guard.display());
                Err(Error::new(Category::Internal, text))
            }
        }
    }

    /// Has the guard of a user's command pass on a signal.
    pub async fn pass(&mut self, signal: i32) {
        if let Some(control) = &mut self.control {
            let order = format!("{}\n", Order(signal));
            let _ = control.write_all(order.as_bytes()).await; // the guard may have ended
        }
    }

    /// Hears more of the guard; false when it has ended.
    async fn listen(&mut self) -> bool {
        let Some(control) = &mut self.control else { return false };
        control.read_buf(&mut self.heard).await.is_ok_and(|n| n > 0)
    }

    fn reports(&self) -> Vec<Report> {
        let whole = self.heard.split_inclusive(|byte| *byte == b'\n');
        let whole = whole.filter_map(|line| line.strip_suffix(b"\n"));
        whole.filter_map(|line| Report::parse(std::str::from_utf8(line).ok()?)).collect()
    }

    /// Completes when the program and all that came from it have ended by themselves.
    pub async fn exited(&mut self) {
        while self.listen().await {}
        self.conclude(MOMENT);
    }

    /// Ends the program and all that came from it.
    pub async fn end(&mut self) {
        if let Some(control) = &mut self.control {
            let _ = control.shutdown().await; // the guard may have ended
        }
        let listening = async { while self.listen().await {} };
        let _ = tokio::time::timeout(PATIENCE, listening).await; // then it is killed
        self.conclude(MOMENT);
    }

    /// How the program ended; `None` if the guard did not live to tell.
    pub fn status(&self) -> Option<Status> {
        self.reports().into_iter().find_map(|report| match report {
            Report::Ended(status) => Some(status),
            _ => None,
        })
    }

    /// The processes that could not be ended.
    pub fn left(&self) -> Vec<i32> {
        let reports = self.reports().into_iter();
        reports.flat_map(|r| if let Report::Left(pids) = r { pids } else { Vec::new() }).collect()
    }

    /// Takes the exit status of the guard's keeper, after `patience` at the latest, and ends what a guard
    /// and a keeper that were killed left behind.
    fn conclude(&mut self, patience: Duration) {
        if self.control.take().is_none() {
            return;
        }
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(_)) => break,
                Ok(None) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                _ => {
                    let _ = self.child.kill(); // it may have ended
                    let _ = self.child.wait();
                    break;
                }
            }
        }
        if self.status().is_none() {
            self.end_orphans();
        }
    }

    /// Kills what guards that were killed have left: those of our children that have the mark, again and
    /// again, since their own children come to us with their end.
    fn end_orphans(&self) {
        let deadline = Instant::now() + LAST;
        loop {
            let is_ours = |pid: &Pid| family::has_variable(*pid, MARK, &self.mark);
            let orphans: Vec<Pid> = family::children().into_iter().filter(is_ours).collect();
            if orphans.is_empty() || Instant::now() >= deadline {
                return;
            }
            for pid in orphans {
                let _ = kill_process(pid, Signal::KILL); // it may be gone
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn cannot(guard: &Path, error: std::io::Error) -> Error {
    Error::environment(format!("cannot start {}", guard.display())).caused_by(error)
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(control) = &self.control {
            let _ = rustix::net::shutdown(control, rustix::net::Shutdown::Write); // it may have ended
        }
        self.conclude(PATIENCE);
    }
}
