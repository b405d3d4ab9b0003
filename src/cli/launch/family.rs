//! A program and every process that comes from it, and their end.
//!
//! The guard is a child sub-reaper: a process whose parent ends becomes the guard's child, however it
//! has left its process group or session. So the family is gone when, and only when, the guard has no
//! child left; ending the children again and again reaches all of them. A child's process id is not
//! given to another process before the guard has reaped it, so that nobody else is ever signalled.
//! Where there are no sub-reapers (not Linux) the family is the process group.
//!
//! A program that is to use the terminal is in the group of who started us, which is the terminal's
//! foreground group or will be; there the family's members are signalled one by one.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, getpgid, kill_process, kill_process_group, test_kill_process_group,
    wait,
};
use tokio::time::Instant;

use super::report::Status;
use super::starter;

/// How long a program has after SIGTERM.
pub const GRACE: Duration = Duration::from_secs(2);
/// How long SIGKILL is repeated before what is left is given up: other users' processes.
pub const LAST: Duration = Duration::from_secs(3);
/// How often what is left is looked at when nothing is heard of it.
const AGAIN: Duration = Duration::from_millis(50);

/// The program and its family. What still runs when it is dropped gets SIGKILL.
pub struct Family {
    /// The program's process id.
    pub leader: Pid,
    /// Its process group.
    group: Pid,
    /// How the program ended, if it has.
    pub status: Option<Status>,
    /// Whether there is any process left.
    pub is_alive: bool,
}

impl Family {
    /// Starts a program in the process group `group`, or in one of its own, with `stdin`, or nothing.
    ///
    /// It fails as starting a process does, and has to be called on this process's first thread.
    pub fn start(
        program: &[std::ffi::OsString],
        stdin: Option<OwnedFd>,
        group: Option<Pid>,
    ) -> io::Result<Family> {
        let number = group.map_or(0, |group| group.as_raw_nonzero().get());
        let stdin = match stdin {
            Some(stdin) => stdin,
            None => std::fs::File::open("/dev/null")?.into(),
        };
        let child = starter::start(program, stdin, number)?;
        let leader = Pid::from_raw(child.id() as i32).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Family { leader, group: group.unwrap_or(leader), status: None, is_alive: true })
    }

    /// Takes the statuses of those that ended.
    pub fn reap(&mut self) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.leader => {
                    let exit = status.exit_status().map(Status::Exit);
                    self.status = exit.or(status.terminating_signal().map(Status::Signal));
                }
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => {
                    self.is_alive = !ADOPTS && test_kill_process_group(self.leader).is_ok();
                    return;
                }
            }
        }
    }

    /// Ends all of it: SIGTERM, [`GRACE`] unless there is `haste`, SIGKILL until nothing is left. `sigchld`
    /// says when a child may have ended. The processes that are left all the same are returned.
    pub async fn end(
        &mut self,
        sigchld: &mut tokio::signal::unix::Signal,
        haste: impl Future<Output = ()>,
    ) -> Vec<Pid> {
        let mut told = Vec::new();
        let mut kill_at = Instant::now() + GRACE;
        let mut is_hasty = false;
        let mut haste = std::pin::pin!(haste);
        self.reap();
        self.signal(Signal::TERM);
        while self.is_alive {
            let now = Instant::now();
            let children = children();
            if now >= kill_at + LAST {
                return children;
            }
            if now >= kill_at {
                self.signal(Signal::KILL);
                children.iter().for_each(|pid| signal(*pid, Signal::KILL));
            } else {
                for pid in children {
                    if getpgid(Some(pid)) != Ok(self.group) && !told.contains(&pid) {
                        signal(pid, Signal::TERM);
                        told.push(pid);
                    }
                }
            }
            tokio::select! {
                biased;
                () = &mut haste, if !is_hasty => (is_hasty, kill_at) = (true, now),
                _ = sigchld.recv() => {}
                () = tokio::time::sleep(AGAIN) => {}
            }
            self.reap();
        }
        Vec::new()
    }

    /// Signals the program alone, if it has not ended.
    pub fn signal_leader(&self, number: Signal) {
        if self.status.is_none() {
            signal(self.leader, number);
        }
    }

    /// Signals those of the family that are in the program's process group, as long as the group's number
    /// is certain to be ours.
    pub fn signal(&self, number: Signal) {
        let is_ours = |pid: &Pid| getpgid(Some(*pid)) == Ok(self.group);
        if self.group != self.leader {
            descendants().into_iter().filter(is_ours).for_each(|pid| signal(pid, number));
            return;
        }
        if self.status.is_none() || !ADOPTS || children().iter().any(is_ours) {
            let _ = kill_process_group(self.group, number); // it may be gone by itself
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        if self.is_alive {
            self.signal(Signal::KILL);
        }
    }
}

fn signal(pid: Pid, signal: Signal) {
    let _ = kill_process(pid, signal); // it may be gone by itself, or another user's
}

/// Whether orphans become ours.
pub const ADOPTS: bool = cfg!(target_os = "linux");

/// Has orphans become ours from now on.
#[cfg(target_os = "linux")]
pub fn adopt() {
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid())); // Linux 3.4 has it
}

/// Our children, ended ones that were not reaped included.
#[cfg(target_os = "linux")]
pub fn children() -> Vec<Pid> {
    let own = std::process::id();
    parents().into_iter().filter(|(_, parent)| *parent == own).map(|(pid, _)| pid).collect()
}

/// Our children, theirs, and so on.
#[cfg(target_os = "linux")]
fn descendants() -> Vec<Pid> {
    let mut others = parents();
    let mut found = Vec::new();
    let mut known = vec![std::process::id()];
    while let Some(parent) = known.pop() {
        let is_child = |(_, its): &mut (Pid, u32)| *its == parent;
        for (pid, _) in others.extract_if(.., is_child) {
            known.push(pid.as_raw_nonzero().get().unsigned_abs());
            found.push(pid);
        }
    }
    found
}

/// Every process that we can see, and its parent.
#[cfg(target_os = "linux")]
fn parents() -> Vec<(Pid, u32)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let with_parent = |pid: i32| {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        Some((Pid::from_raw(pid)?, parent_in(&stat)?))
    };
    pids.filter_map(with_parent).collect()
}

/// Whether a process was started with this variable. Of one that has ended nothing is known.
#[cfg(target_os = "linux")]
pub fn has_variable(pid: Pid, name: &str, value: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()));
    let wanted = format!("{name}={value}");
    environment.is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes()))
}

#[cfg(not(target_os = "linux"))]
pub fn has_variable(_: Pid, _: &str, _: &str) -> bool {
    false
}

/// The parent's process id in `/proc/PID/stat`: the second word behind the name in parentheses.
#[cfg(target_os = "linux")]
fn parent_in(stat: &[u8]) -> Option<u32> {
    let behind = stat.iter().rposition(|byte| *byte == b')')?;
    std::str::from_utf8(&stat[behind + 1..]).ok()?.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
pub fn adopt() {}

#[cfg(not(target_os = "linux"))]
pub fn children() -> Vec<Pid> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
fn descendants() -> Vec<Pid> {
    Vec::new()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_found_behind_any_name() {
        for stat in ["12 (sh) S 7 12 12", "12 (a) S 9 (b) R 7 12", "12 (\n) ) S 7"] {
            assert_eq!(parent_in(stat.as_bytes()), Some(7), "{stat}");
        }
        for stat in ["", "12 (sh)", "12 (sh) S", "12 (sh) S x", "12 sh S 7"] {
            assert_eq!(parent_in(stat.as_bytes()), None, "{stat}");
        }
    }
}
