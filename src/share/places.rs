//! Where holders are found: a private folder, a socket each.
//!
//! The folder is `$XDG_RUNTIME_DIR/uarttool`, or, where there is no such folder of ours,
//! `uarttool-UID` in the temporary directory. It belongs to us and nobody else may look into it;
//! otherwise it is refused, since whoever owns it could pose as a holder. A socket is named
//! `PID-N.sock`. It gets this name only when it listens already, so that a socket on which nobody
//! listens is one whose holder is dead.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};

/// The longest path a socket can have, in bytes.
const LONGEST: usize = 107;
/// A socket that was never given its name is removed after so long.
const UNFINISHED: Duration = Duration::from_secs(60);

/// The folder, which is made if it is not there.
pub fn folder() -> Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    folder_in(runtime.as_deref(), &std::env::temp_dir())
}

/// The folder below `runtime` if that is ours, otherwise below `temporary`.
pub fn folder_in(runtime: Option<&Path>, temporary: &Path) -> Result<PathBuf> {
    let own = rustix::process::geteuid().as_raw();
    let is_ours = |path: &&Path| {
        path.is_absolute() && fs::metadata(path).is_ok_and(|m| m.is_dir() && m.uid() == own)
    };
    let folder = match runtime.filter(is_ours) {
        Some(runtime) => runtime.join("uarttool"),
        None => temporary.join(format!("uarttool-{own}")),
    };
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            let text = format!("cannot make {}", folder.display());
            return Err(Error::environment(text).caused_by(error));
        }
        _ => {}
    }
    check(&folder, own)?;
    Ok(folder)
}

/// Refuses a folder that somebody else could put sockets into.
fn check(folder: &Path, own: u32) -> Result<()> {
    let shown = folder.display();
    let metadata = fs::symlink_metadata(folder)
        .map_err(|error| Error::environment(format!("cannot look at {shown}")).caused_by(error))?;
    let wrong = if !metadata.is_dir() {
        "is not a folder".to_owned()
    } else if metadata.uid() != own {
        format!("belongs to user {}, not to us (user {own})", metadata.uid())
    } else if metadata.mode() & 0o077 != 0 {
        format!("is open to others (mode {:o})", metadata.mode() & 0o777)
    } else {
        return Ok(());
    };
    Err(Error::environment(format!("{shown} {wrong}: not used for sharing the line"))
        .with_help(format!("remove it, or make it private: chmod 700 {shown}")))
}

/// How many sockets this process has.
static PLACES: AtomicU32 = AtomicU32::new(0);

/// Whether this process shares a line itself.
pub fn is_holding() -> bool {
    PLACES.load(Ordering::Relaxed) > 0
}

/// The name of our own socket; the socket goes away with it.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
}

impl Place {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        PLACES.fetch_sub(1, Ordering::Relaxed);
        let _ = fs::remove_file(&self.path); // whoever finds it removes it
    }
}

/// Listens in `folder` on a socket that only we can connect to.
pub fn listen(folder: &Path) -> Result<(UnixListener, Place)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("{}-{n}.sock", std::process::id()));
    let unfinished = folder.join(format!(".{}-{n}", std::process::id()));
    if path.as_os_str().len() > LONGEST {
        return Err(Error::environment(format!("{} is too long for a socket", path.display()))
            .with_help("set XDG_RUNTIME_DIR to a folder of yours with a shorter name"));
    }
    let listener = (|| {
        let _ = fs::remove_file(&unfinished); // of a process that had our number
        let listener = UnixListener::bind(&unfinished)?;
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        fs::rename(&unfinished, &path)?;
        Ok(listener)
    })();
    let listener = listener.map_err(|error: io::Error| {
        Error::environment(format!("cannot listen on {}", path.display())).caused_by(error)
    })?;
    PLACES.fetch_add(1, Ordering::Relaxed);
    Ok((listener, Place { path }))
}

/// The sockets in `folder` and the processes that made them.
pub fn sockets(folder: &Path) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') {
            remove_unfinished(&path);
        } else if let Some(pid) = name.strip_suffix(".sock").and_then(|n| n.split('-').next())
            && let Ok(pid) = pid.parse()
        {
            found.push((pid, path));
        }
    }
    found.sort();
    found
}

fn remove_unfinished(path: &Path) {
    let age = fs::symlink_metadata(path).and_then(|m| m.modified()).map(|t| t.elapsed());
    if age.is_ok_and(|age| age.is_ok_and(|age| age > UNFINISHED)) {
        let _ = fs::remove_file(path); // somebody else was quicker
    }
}

/// Removes the sockets in `folder` that processes left behind which were killed.
pub fn tidy(folder: &Path) {
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // A process of another container may have the number of none here: then its socket answers.
        let is_left = owner(name).is_some_and(is_gone)
            && UnixStream::connect(&path)
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
        if is_left {
            remove_stale(&path);
        }
    }
}

/// The process that made a socket of this name: `PID-N.sock`, or `NAME-PID.ctl` of a control socket.
fn owner(name: &str) -> Option<i32> {
    let pid = match name.strip_suffix(".sock") {
        Some(name) => name.split('-').next()?,
        None => name.strip_suffix(".ctl")?.rsplit('-').next()?,
    };
    pid.parse().ok().filter(|pid| *pid > 0)
}

fn is_gone(pid: i32) -> bool {
    rustix::process::Pid::from_raw(pid)
        .is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

/// Removes a socket on which nobody listens any more.
pub fn remove_stale(path: &Path) {
    let _ = fs::remove_file(path); // somebody else was quicker
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").mode() & 0o777
    }

    #[test]
    fn the_folder_and_the_socket_are_ours_alone_and_the_socket_goes_away() {
        let runtime = tempfile::tempdir().expect("a folder");
        let folder = folder_in(Some(runtime.path()), Path::new("/nonexistent")).expect("ours");
        assert_eq!(folder, runtime.path().join("uarttool"));
        assert_eq!(mode(&folder), 0o700);
        let (_listener, place) = listen(&folder).expect("room for a socket");
        assert_eq!(mode(place.path()), 0o600);
        let found = sockets(&folder);
        assert_eq!(found, [(std::process::id(), place.path().to_owned())]);
        drop(place);
        assert_eq!(sockets(&folder), []);
    }

    #[test]
    fn what_killed_processes_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        child.wait().expect("it ends");
        let (gone, ours) = (child.id(), std::process::id());
        let at = |name: String| folder.path().join(name);
        let left = [at(format!("{gone}-0.sock")), at(format!("bridge-{gone}.ctl"))];
        let kept = [at(format!("{ours}-0.sock")), at("other.ctl".to_owned())];
        for path in left.iter().chain(&kept) {
            drop(UnixListener::bind(path).expect("a socket"));
        }
        let elsewhere = at(format!("{gone}-1.sock")); // somebody listens
        let _listener = UnixListener::bind(&elsewhere).expect("a socket");
        tidy(folder.path());
        assert!(left.iter().all(|path| !path.exists()));
        assert!(kept.iter().chain([&elsewhere]).all(|path| path.exists()));
    }

    #[test]
    fn without_a_runtime_folder_of_ours_there_is_a_private_one_in_the_temporary_folder() {
        let temporary = tempfile::tempdir().expect("a folder");
        let own = rustix::process::geteuid().as_raw();
        let expected = temporary.path().join(format!("uarttool-{own}"));
        for runtime in [None, Some(Path::new("/nonexistent")), Some(Path::new("relative"))] {
            let folder = folder_in(runtime, temporary.path()).expect("ours");
            assert_eq!((folder.as_path(), mode(&folder)), (expected.as_path(), 0o700));
        }
    }

    #[test]
    fn a_folder_that_others_can_enter_or_that_is_a_link_is_refused() {
        let runtime = tempfile::tempdir().expect("a folder");
        let folder = runtime.path().join("uarttool");
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("ours");
        let error = folder_in(Some(runtime.path()), Path::new("/")).expect_err("too open");
        assert!(error.chain().contains("is open to others (mode 755)"), "{}", error.chain());
        fs::remove_dir(&folder).expect("empty");
        symlink(std::env::temp_dir(), &folder).expect("a link");
        let error = folder_in(Some(runtime.path()), Path::new("/")).expect_err("a link");
        assert!(error.chain().contains("is not a folder"), "{}", error.chain());
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let own = rustix::process::geteuid().as_raw();
        let error = check(folder.path(), own + 1).expect_err("not theirs");
        assert!(error.chain().contains("belongs to user"), "{}", error.chain());
    }
}
