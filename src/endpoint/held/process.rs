//! Which process has a socket, or a file.

use std::fs;
use std::path::Path;

/// `name (pid N)` of a process that has the socket with that inode; processes of other users are
/// only visible to root.
pub(super) fn holding(inode: u64) -> Option<String> {
    having(inode).and_then(name_of)
}

/// A process that has the socket with that inode.
pub(super) fn having(inode: u64) -> Option<i32> {
    let wanted = format!("socket:[{inode}]");
    all().find(|pid| has_open(*pid, Path::new(&wanted)))
}

/// The processes that have the file open whose path is `whole`, without links in it.
pub(in super::super) fn opening(whole: &Path) -> Vec<i32> {
    all().filter(|pid| has_open(*pid, whole)).collect()
}

/// Whether a process has something open that `/proc` calls `name`.
pub(in super::super) fn has_open(pid: i32, name: &Path) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|target| target == name))
}

/// Every process.
fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
}

/// `name (pid N)`. A process chooses its own name, so that it is escaped.
pub(in super::super) fn name_of(pid: i32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let program = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let program = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let comm = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let shown = if program.is_empty() { comm.trim_ascii_end() } else { program };
    Some(format!("{} (pid {pid})", crate::escape::terminal(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn our_own_socket_is_found_and_a_missing_one_is_not() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback is there");
        let inode = rustix::fs::fstat(socket.as_fd()).expect("it is open").st_ino;
        let name = holding(inode).expect("we hold it");
        assert!(name.ends_with(&format!("(pid {})", std::process::id())), "{name}");
        assert_eq!(holding(u64::MAX), None);
    }
}
