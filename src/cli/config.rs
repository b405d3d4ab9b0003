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

use super::preset::Preset;
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
    /// The preset that names the tunnel, if one does.
    pub by_preset: Option<&'static str>,
}

/// The `[target]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Target {
    /// Whose defaults hold for what is not said: a preset's name.
    pub preset: Option<String>,
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
        Ok(Config { path: Some(path), target, by_preset: None })
    }

    /// With a preset's defaults: that of the flag, which comes before what the file says, or the one
    /// that the file names.
    pub fn preset(mut self, flag: Option<&'static Preset>) -> Result<Config> {
        let own = std::mem::take(&mut self.target);
        let written = own.preset.as_deref().and_then(|name| Preset::parse(name).ok());
        let has_device = own.device.is_some();
        self.target = match (flag, written) {
            (Some(preset), _) => preset.target().or(own),
            (None, Some(preset)) => own.or(preset.target()),
            (None, None) => own,
        };
        let is_used =
            |preset: &&Preset| preset.device().is_some() && (flag.is_some() || !has_device);
        self.by_preset = flag.or(written).filter(is_used).map(|preset| preset.name);
        if let Some(preset) = flag.or(written) {
            self.target.check().map_err(|what| {
                Error::usage(format!("cannot use the preset {}: {what}", preset.name))
            })?;
        }
        Ok(self)
    }

    /// Who names the tunnel, for people.
    pub fn namer(&self) -> String {
        match (self.by_preset, &self.path) {
            (Some(preset), _) => format!("the preset {preset}"),
            (None, Some(path)) => path.display().to_string(),
            (None, None) => NAME.to_owned(),
        }
    }
}

/// A relative path in an endpoint is one from the file's folder.
fn relative_to(device: &str, folder: &Path) -> String {
    for form in ["unix:", "unix-listen:", "file:", "serial:"] {
        if let Some(path) = device.strip_prefix(form).filter(|path| !path.starts_with('/')) {
            return format!("{form}{}", folder.join(path).display());
        }
    }
    device.to_owned()
}

/// Whether an endpoint is a program, or one stands behind it.
fn starts_program(device: &str) -> bool {
    device.starts_with("exec:") || device.contains("=exec:")
}

/// Parses and checks; the error names the line and the part that is wrong.
fn parse(text: &str) -> Result<Target, String> {
    let document: Document = toml::from_str(text).map_err(|error| problem(text, &error))?;
    let target = document.target;
    if target.device.as_ref().is_some_and(|device| starts_program(device)) {
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
        if let Some(name) = &self.preset {
            Preset::parse(name)?;
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
            preset: self.preset.or(other.preset),
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
            ("[target]\ndevice = \"sim,stack=exec:rm\"\n", "may not start programs"),
            ("[target]\npreset = \"esp8266\"\n", "there is no preset 'esp8266'"),
            ("[target]\nmax-frame = 7\n", "max-frame '7'"),
            ("[target]\nhost-mac = \"zz\"\n", "'zz' is not an Ethernet address"),
            ("target = 3\n", "line 1"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_preset_of_the_command_line_comes_before_the_file_and_one_in_it_behind() {
        let preset = |name| Preset::parse(name).expect("there is one");
        let ip = |text: &str| Some(text.parse::<Ipv4Addr>().expect("an address"));
        let written = parse("[target]\npreset = \"esp32\"\nhost-ip = \"192.168.100.9\"\n");
        let config = Config { target: written.expect("good"), ..Config::default() };
        let own = config.clone().preset(None).expect("good");
        assert_eq!(
            (own.target.host_ip, own.target.device_ip),
            (ip("192.168.100.9"), ip("192.168.100.2"))
        );
        let flagged = config.preset(Some(preset("esp32"))).expect("good");
        assert_eq!(flagged.target.host_ip, ip("192.168.100.1"));
        assert_eq!((flagged.target.framing.as_deref(), flagged.by_preset), (Some("len16be"), None));
        let none = Config::default().preset(None).expect("good");
        assert_eq!(none, Config::default());
    }

    #[test]
    fn a_preset_with_an_endpoint_is_named() {
        let preset =
            Preset { framing: "len16be", ..Preset::parse("zephyr").expect("there").clone() };
        let preset: &'static Preset = Box::leak(Box::new(preset));
        let config = Config { path: Some("/p/uarttool.toml".into()), ..Config::default() };
        let config = config.preset(Some(preset)).expect("good");
        assert_eq!(config.namer(), "the preset zephyr");
        assert_eq!(config.target.device.as_deref(), Some("unix-listen:/tmp/slip.sock"));
    }
}
