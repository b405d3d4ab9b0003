//! `uarttool.toml`: defaults for a project, found by walking up from the current folder.
//!
//! ```toml
//! [target]
//! device = "tcp:127.0.0.1:5556"
//! max-frame = 1500
//! device-ip = "192.168.100.2"
//! ```
//!
//! Flags and the environment come before it. A file that was found rather than named may not
//! start programs.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::conformance::document::problem;
use crate::endpoint::spec::{self, Spec};
use crate::error::{Error, Result};
use crate::proto::MacAddr;

/// The file's name.
pub const NAME: &str = "uarttool.toml";

/// A configuration file and where it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The file, if there is one.
    pub path: Option<PathBuf>,
    /// Its `[target]` table.
    pub target: Target,
}

/// The `[target]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Target {
    /// The tunnel's endpoint.
    pub device: Option<String>,
    /// The framing's name.
    pub framing: Option<String>,
    /// The largest frame in bytes.
    pub max_frame: Option<usize>,
    /// The line's rate in baud.
    pub line_rate: Option<u32>,
    /// Our IPv4 address.
    pub host_ip: Option<Ipv4Addr>,
    /// Our Ethernet address.
    pub host_mac: Option<String>,
    /// The device's IPv4 address.
    pub device_ip: Option<Ipv4Addr>,
    /// The device's Ethernet address.
    pub device_mac: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    target: Target,
}

impl Config {
    /// The configuration that applies in `folder`: that of the nearest folder above that has one.
    pub fn find(folder: &Path) -> Result<Config> {
        let Some(path) = folder.ancestors().map(|dir| dir.join(NAME)).find(|path| path.is_file())
        else {
            return Ok(Config::default());
        };
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Error::usage(format!("cannot read {}", path.display())).caused_by(error)
        })?;
        let mut target = parse(&text).map_err(|what| {
            Error::usage(format!("bad configuration in {}: {what}", path.display()))
        })?;
        if let Some(folder) = path.parent() {
            target.place_in(folder);
        }
        Ok(Config { path: Some(path), target })
    }
}

/// A relative path in an endpoint is one from the file's folder.
fn relative_to(device: &str, folder: &Path) -> String {
    for form in ["unix:", "unix-listen:", "file:"] {
        if let Some(path) = device.strip_prefix(form).filter(|path| !path.starts_with('/')) {
            return format!("{form}{}", folder.join(path).display());
        }
    }
    device.to_owned()
}

/// Parses and checks; the error names the line and the part that is wrong.
fn parse(text: &str) -> Result<Target, String> {
    let document: Document = toml::from_str(text).map_err(|error| problem(text, &error))?;
    let target = document.target;
    if target.device.as_ref().is_some_and(|device| device.starts_with("exec:")) {
        return Err(
            "a configuration that was found may not start programs: give 'exec:' with '-d'"
                .to_owned(),
        );
    }
    target.check()?;
    Ok(target)
}

impl Target {
    /// Whether every value makes sense; otherwise which does not.
    pub fn check(&self) -> Result<(), String> {
        if let Some(device) = &self.device
            && device != "auto"
            && !device.starts_with("auto,")
        {
            Spec::parse(device).map_err(|error| error.chain())?;
        }
        if let Some(name) = &self.framing {
            spec::parse_framing(name)?;
        }
        if let Some(bytes) = self.max_frame {
            spec::parse_max_frame(&bytes.to_string())?;
        }
        for mac in [&self.host_mac, &self.device_mac].into_iter().flatten() {
            super::args::parse_mac(mac)?;
        }
        Ok(())
    }

    /// What is not said here, as `other` says it.
    #[must_use]
    pub fn or(self, other: Target) -> Target {
        Target {
            device: self.device.or(other.device),
            framing: self.framing.or(other.framing),
            max_frame: self.max_frame.or(other.max_frame),
            line_rate: self.line_rate.or(other.line_rate),
            host_ip: self.host_ip.or(other.host_ip),
            host_mac: self.host_mac.or(other.host_mac),
            device_ip: self.device_ip.or(other.device_ip),
            device_mac: self.device_mac.or(other.device_mac),
        }
    }

    /// Makes a relative path in the endpoint one from `folder`.
    pub fn place_in(&mut self, folder: &Path) {
        if let Some(device) = &mut self.device {
            *device = relative_to(device, folder);
        }
    }

    /// The framing, which was checked when the file was read.
    pub fn framing(&self) -> Option<&'static crate::framing::Framing> {
        self.framing.as_deref().and_then(|name| spec::parse_framing(name).ok())
    }

    /// Our Ethernet address, checked as well.
    pub fn host_mac(&self) -> Option<MacAddr> {
        self.host_mac.as_deref().and_then(|mac| mac.parse().ok())
    }

    /// The device's Ethernet address, checked as well.
    pub fn device_mac(&self) -> Option<MacAddr> {
        self.device_mac.as_deref().and_then(|mac| mac.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_above_is_found() {
        let root = tempfile::tempdir().expect("a folder");
        let deep = root.path().join("a/b");
        std::fs::create_dir_all(&deep).expect("folders");
        let text = "[target]\ndevice = \"unix:x.sock\"\nmax-frame = 1500\ndevice-mac = \"02:00:00:00:00:09\"\n";
        std::fs::write(root.path().join(NAME), text).expect("a file");
        let config = Config::find(&deep).expect("a good file");
        assert_eq!(config.path, Some(root.path().join(NAME)));
        let socket = format!("unix:{}", root.path().join("x.sock").display());
        assert_eq!(config.target.device, Some(socket), "from the file's folder");
        assert_eq!(config.target.max_frame, Some(1500));
        assert_eq!(config.target.device_mac(), Some(MacAddr(2, 0, 0, 0, 0, 9)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, part) in [
            ("[target]\ndevise = \"x\"\n", "line 2: unknown field `devise`"),
            ("[target]\ndevice = \"x\"\n", "bad endpoint 'x'"),
            ("[target]\ndevice = \"exec:rm\"\n", "may not start programs"),
            ("[target]\nmax-frame = 7\n", "max-frame '7'"),
            ("[target]\nhost-mac = \"zz\"\n", "'zz' is not an Ethernet address"),
            ("target = 3\n", "line 1"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
