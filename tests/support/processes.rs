//! Machines that run below a process of ours.

use std::process::Command;

use rustix::process::Signal;

/// Process ids of QEMUs that descend from `ancestor`.
pub fn qemus_below(ancestor: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-e", "-o", "pid=,ppid=,comm="]).output();
    let table = super::text(&output.expect("procps is there")).0;
    let rows: Vec<(u32, u32, &str)> = table
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?))
        })
        .collect();
    let is_below = |mut pid: u32| loop {
        let Some((_, parent, _)) = rows.iter().find(|row| row.0 == pid) else { return false };
        match *parent == ancestor {
            true => return true,
            false => pid = *parent,
        }
    };
    let qemu = rows.iter().filter(|row| row.2.starts_with("qemu-system"));
    qemu.map(|row| row.0).filter(|pid| is_below(*pid)).collect()
}

/// Kills one of them.
pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).expect("a process id");
    rustix::process::kill_process(pid, Signal::KILL).expect("it is ours");
}

/// Whether it is there, and no zombie.
pub fn is_there(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
