//! Where a program is told to put its sockets: a private folder, two paths in it, a free port.

use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The longest path a socket can have, in bytes, on the system that allows least (macOS).
const LONGEST: usize = 103;
/// What the folders' names begin with: those of programs, and those of what is kept about a run.
pub const PREFIX: &str = "uarttool-launch-";
/// See `PREFIX`.
pub const RUN_PREFIX: &str = "uarttool-run-";

/// Paths and port of one program. The folder goes away with it.
#[derive(Debug)]
pub struct Places {
    folder: PathBuf,
    /// For the tunnel's socket: at most 103 bytes, none of which means anything to a shell, to QEMU's
    /// options or in an endpoint.
    pub tunnel: String,
    /// The same for the console's socket.
    pub console: String,
    /// A TCP port on 127.0.0.1 that nobody had a moment ago.
    pub port: u16,
}

impl Places {
    /// Makes the folder.
    pub fn new() -> Result<Places> {
        Places::within(private_folder(PREFIX)?)
    }

    fn within(folder: PathBuf) -> Result<Places> {
        let path = |name| folder.join(name).display().to_string();
        let (tunnel, console) = (path("tunnel.sock"), path("console.sock"));
        let port = free_port().map_err(|error| {
            remove(&folder);
            Error::environment("cannot find a free TCP port on 127.0.0.1").caused_by(error)
        })?;
        Ok(Places { folder, tunnel, console, port })
    }

    /// The folder of both sockets.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder anew under the same name, empty.
    pub fn renew(&self) -> Result<()> {
        remove(&self.folder);
        DirBuilder::new().mode(0o700).create(&self.folder).map_err(|error| {
            let text = format!("cannot make {} again", self.folder.display());
            Error::environment(text).caused_by(error)
        })
    }

    /// `text` with `{tunnel}`, `{console}` and `{port}` replaced; `${port}` is the shell's and stays.
    pub fn fill(&self, text: &str) -> String {
        let port = self.port.to_string();
        let values = [("{tunnel}", &self.tunnel), ("{console}", &self.console), ("{port}", &port)];
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            let found = values.iter().find(|(name, _)| rest.starts_with(name));
            let (name, value) = match found {
                Some((name, value)) if !filled.ends_with('$') => (*name, value.as_str()),
                _ => ("{", "{"),
            };
            filled.push_str(value);
            rest = &rest[name.len()..];
        }
        filled + rest
    }

    /// The same values for the program's environment.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("UARTTOOL_TUNNEL", self.tunnel.clone()),
            ("UARTTOOL_CONSOLE", self.console.clone()),
            ("UARTTOOL_PORT", self.port.to_string()),
        ]
    }
}

/// Makes a private folder whose name begins with `prefix`: in the temporary folder, or the user's runtime
/// folder, or `/tmp`, whichever has a short and plain name and lets us.
pub fn private_folder(prefix: &str) -> Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let bases = [Some(std::env::temp_dir()), runtime, Some(PathBuf::from("/tmp"))];
    folder_in(&bases.into_iter().flatten().collect::<Vec<_>>(), prefix)
}

fn folder_in(bases: &[PathBuf], prefix: &str) -> Result<PathBuf> {
    let mut failure = None;
    for base in bases.iter().filter(|base| is_plain(base)) {
        match make_folder(base, prefix) {
            Ok(folder) => return Ok(folder),
            Err(error) => failure = Some(error),
        }
    }
    let names: Vec<_> = bases.iter().map(|base| base.display().to_string()).collect();
    let text = format!("cannot make a folder for sockets in {}", names.join(" or "));
    let error = Error::environment(text).with_help(
        "set TMPDIR to a folder of yours whose path is short and has no special characters",
    );
    Err(match failure {
        Some(failure) => error.caused_by(failure),
        None => error,
    })
}

impl Drop for Places {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

/// Whether `text` has the placeholder `{name}`, as [`Places::fill`] sees it.
pub fn has(text: &str, name: &str) -> bool {
    let placeholder = format!("{{{name}}}");
    text.match_indices(&placeholder).any(|(at, _)| !text[..at].ends_with('$'))
}

/// Removes a folder that [`private_folder`] made, with all that is in it; leaves anything else alone.
pub fn remove(folder: &Path) {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let random = name.strip_prefix(PREFIX).or_else(|| name.strip_prefix(RUN_PREFIX));
    let is_named_so = random.is_some_and(|random| random.len() == 16);
    let own = rustix::process::geteuid().as_raw();
    let is_ours = fs::symlink_metadata(folder)
        .is_ok_and(|m| m.is_dir() && m.uid() == own && m.mode() & 0o077 == 0);
    if is_named_so && is_ours {
        let _ = fs::remove_dir_all(folder); // the guard or we, one is first
    }
}

/// Whether paths in `base` are short enough, and mean the same to a shell, to QEMU (where a comma
/// separates) and in an endpoint.
fn is_plain(base: &Path) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    let length = base.as_os_str().len() + "/".len() + PREFIX.len() + 16 + "/console.sock".len();
    base.is_absolute()
        && length <= LONGEST
        && base.to_str().is_some_and(|b| b.chars().all(is_plain))
}

fn make_folder(base: &Path, prefix: &str) -> io::Result<PathBuf> {
    loop {
        let random = RandomState::new().build_hasher().finish();
        let folder = base.join(format!("{prefix}{random:016x}"));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// The system gives each process that asks another port, so that two in parallel hardly collide.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn places(base: &Path) -> Places {
        let folder = folder_in(&[base.to_owned()], PREFIX).expect("a folder in a plain place");
        Places::within(folder).expect("there is a port")
    }

    #[test]
    fn placeholders_become_values_and_other_braces_stay() {
        let base = tempfile::tempdir().expect("a folder");
        let places = places(base.path());
        let (tunnel, console, port) = (&places.tunnel, &places.console, places.port);
        for (text, wanted) in [
            (
                "qemu -serial unix:{console},server=on",
                format!("qemu -serial unix:{console},server=on"),
            ),
            ("{tunnel} '{tunnel}'", format!("{tunnel} '{tunnel}'")),
            ("a:{port} b:{port}{port}", format!("a:{port} b:{port}{port}")),
            (
                "${port} ${tunnel} {other} {{port}",
                format!("${{port}} ${{tunnel}} {{other}} {{{port}"),
            ),
            ("{", "{".to_owned()),
            ("cp {a,b} é{port}", format!("cp {{a,b}} é{port}")),
            ("", String::new()),
        ] {
            assert_eq!(places.fill(text), wanted, "{text}");
        }
        assert!(has("x {port}", "port") && !has("x ${port} {ports}", "port"));
    }

    #[test]
    fn the_folder_is_private_short_and_removed_with_its_contents() {
        let base = tempfile::tempdir().expect("a folder");
        let places = places(base.path());
        let folder = places.folder().to_owned();
        assert_eq!(fs::metadata(&folder).expect("it is there").mode() & 0o777, 0o700);
        assert!(places.console.len() <= LONGEST && places.tunnel.len() <= LONGEST);
        fs::write(&places.tunnel, "stale").expect("it is ours");
        places.renew().expect("it is ours");
        assert!(folder.is_dir() && !Path::new(&places.tunnel).exists());
        fs::write(&places.tunnel, "stale").expect("it is ours");
        drop(places);
        assert_eq!(fs::read_dir(base.path()).expect("it is there").count(), 0);
    }

    #[test]
    fn a_folder_whose_name_needs_quotes_or_is_too_long_is_passed_over() {
        let base = tempfile::tempdir().expect("a folder");
        let long = base.path().join("x".repeat(60));
        let mut bases = vec![base.path().join("a b"), base.path().join("a,b"), long];
        bases.iter().for_each(|base| fs::create_dir(base).expect("a folder"));
        let error = folder_in(&bases, PREFIX).expect_err("none of them");
        assert!(error.chain().starts_with("cannot make a folder for sockets in /"));
        bases.push(base.path().join("missing"));
        let error = folder_in(&bases, PREFIX).expect_err("none of them");
        assert!(error.chain().ends_with(": no such file or directory"), "{}", error.chain());
        bases.push(base.path().to_owned());
        let folder = folder_in(&bases, PREFIX).expect("the last one");
        assert_eq!(folder.parent(), Some(base.path()));
    }

    #[test]
    fn only_a_private_folder_of_that_name_is_removed() {
        let base = tempfile::tempdir().expect("a folder");
        let other = base.path().join("precious");
        fs::create_dir(&other).expect("a folder");
        let open = base.path().join(format!("{PREFIX}{:016x}", 1));
        fs::create_dir(&open).expect("a folder");
        fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("ours");
        let link = base.path().join(format!("{PREFIX}{:016x}", 2));
        symlink(&other, &link).expect("a link");
        [&other, &open, &link].iter().for_each(|folder| remove(folder));
        assert!(other.is_dir() && open.is_dir() && link.is_symlink());
    }

    #[test]
    fn two_have_nothing_in_common() {
        let base = tempfile::tempdir().expect("a folder");
        let (one, two) = (places(base.path()), places(base.path()));
        assert_ne!(one.folder(), two.folder());
        assert_ne!(one.port, two.port);
    }
}
