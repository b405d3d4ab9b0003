//! Starting the firmware's emulator, or any program, and ending it whatever happens.
//!
//! ```text
//! us ──socket──> uarttool launch-guard (twice) ──> sh -c CMD ──> qemu ...
//! ```
//!
//! [`LaunchArgs`] are the flags; [`LaunchArgs::plan`] checks them and gives a [`Launch`], which starts
//! nothing yet; [`Launch::start`] gives a [`Launched`]. The program finds where to put its sockets in
//! its command line or its environment (`places`). Between us and it stands a guard (`guard`), which
//! ends it and all that came from it (`family`) when we are gone, however that came, and a keeper
//! (`keeper`), which does so when the guard is gone.
//!
//! A [`UserCommand`] is started in the same way, but has our stdin, stdout and stderr, and the terminal.
//!
//! Out of reach is what another process starts for the program (a container's processes: its client
//! gets SIGTERM and has to pass it on), and what belongs to another user (reported as left).

mod descriptors;
mod family;
pub mod guard;
mod guarded;
pub mod keeper;
mod launched;
pub mod named;
mod output;
mod places;
mod report;
pub mod starter;
mod user_command;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

pub use launched::Launched;
pub use places::{RUN_PREFIX, private_folder, remove};
pub use report::Status;
pub use user_command::UserCommand;

use crate::endpoint::spec::parse_positive;
use crate::error::{Error, Result};

/// How much of a script is searched for the names of what it uses, in bytes.
const SEARCHED: u64 = 1024 * 1024;

/// The program that is the device.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Starting the firmware")]
pub struct LaunchArgs {
    /// Start CMD with sh, and end it and all that comes from it with this command. {tunnel} and
    /// {console} in it become paths of fresh unix sockets, {port} a free TCP port on 127.0.0.1; so do
    /// they in '-d' and '--console'
    #[arg(long, value_name = "CMD", conflicts_with = "launch_file")]
    pub launch: Option<String>,
    /// Start SCRIPT. It finds the same in its environment, UARTTOOL_TUNNEL, UARTTOOL_CONSOLE and
    /// UARTTOOL_PORT; its text is left as it is
    #[arg(long, value_name = "SCRIPT")]
    pub launch_file: Option<PathBuf>,
    /// How long it may take until the device answers
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_positive)]
    pub wait: Duration,
}

impl LaunchArgs {
    /// What is to be started, if anything; nothing is yet.
    ///
    /// `has_device` says whether the user named the tunnel. It is an error of usage when nobody says
    /// where the tunnel is, or there is no such script.
    pub fn plan(&self, has_device: bool) -> Result<Option<Launch>> {
        let what = match (&self.launch, &self.launch_file) {
            (Some(text), _) => What::Command(text.clone()),
            (None, Some(path)) => What::file(path)?,
            (None, None) => return Ok(None),
        };
        let is_told = what.names("tunnel") || what.names("port");
        if matches!(what, What::Command(_)) && !is_told && !has_device {
            return Err(Error::usage("'--launch' does not say where the tunnel is").with_help(
                "write {tunnel} where the path of its socket belongs, as in '-serial \
                 unix:{tunnel},server=on,wait=off', or {port} for a TCP port, or name the tunnel with \
                 '-d ENDPOINT'",
            ));
        }
        Ok(Some(Launch { what, guard: own_program()?, log: None }))
    }
}

/// A program that can be started.
#[derive(Clone, Debug)]
pub struct Launch {
    what: What,
    guard: PathBuf,
    log: Option<PathBuf>,
}

/// What the user gave.
#[derive(Clone, Debug)]
enum What {
    Command(String),
    File { path: PathBuf, is_executable: bool, text: String },
}

impl Launch {
    /// Copies all that the program says to the file `path`, which is made anew at the start.
    #[must_use]
    pub fn log_to(mut self, path: impl Into<PathBuf>) -> Launch {
        self.log = Some(path.into());
        self
    }

    /// Has another uarttool than this very program be the guard.
    #[must_use]
    pub fn guarded_by(mut self, program: impl Into<PathBuf>) -> Launch {
        self.guard = program.into();
        self
    }

    /// Starts it, inside a tokio runtime with its I/O and time enabled.
    ///
    /// It is an error of the environment when there is no place for the sockets, the log cannot be
    /// written or the program not be started. What the shell says of a command is heard later, from
    /// [`Launched::exited`].
    pub async fn start(self) -> Result<Launched> {
        Launched::start(self).await
    }
}

impl What {
    fn file(path: &Path) -> Result<What> {
        let cannot = |error| {
            Error::usage(format!("cannot launch '{}'", path.display()))
                .caused_by(error)
                .with_help("'--launch-file' wants a script; a command line goes behind '--launch'")
        };
        let metadata = std::fs::metadata(path).map_err(cannot)?;
        if metadata.is_dir() {
            return Err(cannot(std::io::ErrorKind::IsADirectory.into()));
        }
        let is_executable = metadata.permissions().mode() & 0o111 != 0;
        let mut text = Vec::new();
        let read = File::open(path).and_then(|file| file.take(SEARCHED).read_to_end(&mut text));
        if !is_executable {
            read.map_err(cannot)?; // an executable file need not be readable
        }
        let path = std::path::absolute(path).map_err(cannot)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(What::File { path, is_executable, text })
    }
}

/// This very program, also when its file was replaced or removed meanwhile.
fn own_program() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe()
        .map_err(|error| Error::environment("cannot tell our own program").caused_by(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        launch: LaunchArgs,
    }

    fn plan(args: &[&str], has_device: bool) -> Result<Option<Launch>> {
        let line = Line::try_parse_from([&["uarttool"], args].concat()).expect("good flags");
        line.launch.plan(has_device)
    }

    #[test]
    fn without_the_flags_nothing_is_started() {
        assert!(plan(&[], false).expect("nothing is wrong").is_none());
        assert!(Line::try_parse_from(["x", "--launch", "a", "--launch-file", "b"]).is_err());
        let line = Line::try_parse_from(["x"]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(line.launch.wait, Duration::from_secs(30));
    }

    #[test]
    fn a_command_says_where_the_tunnel_is_or_the_user_does() {
        for text in ["q {tunnel}", "q {port}", "q unix:$UARTTOOL_TUNNEL", "q ${UARTTOOL_PORT}"] {
            assert!(plan(&["--launch", text], false).is_ok(), "{text}");
        }
        for text in ["q", "q {console}", "q ${tunnel}", ""] {
            let error = plan(&["--launch", text], false).expect_err("no tunnel");
            assert_eq!(error.category().exit_code(), 2, "{text}");
            assert_eq!(error.chain(), "'--launch' does not say where the tunnel is");
            assert!(error.help().is_some_and(|help| help.contains("unix:{tunnel},server=on")));
            assert!(plan(&["--launch", text], true).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_missing_script_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("start.sh");
        let missing = missing.to_str().expect("a plain path");
        for (path, why) in [(missing, "no such file or directory"), ("/", "is a directory")] {
            let error = plan(&["--launch-file", path], false).expect_err("no script");
            assert_eq!(error.category().exit_code(), 2);
            assert_eq!(error.chain(), format!("cannot launch '{path}': {why}"));
        }
    }
}
