//! Which tunnel, which options, which addresses: flag, environment, `uarttool.toml`, default.

use std::path::{Path, PathBuf};

use super::args::{AddressArgs, TunnelArgs};
use super::config::Config;
use super::{block_on, terminal};
use crate::endpoint::{Attach, Spec, listening, stdio};
use crate::error::{Error, Result};
use crate::framing::Carries;
use crate::probe::Identity;
use crate::share::{holders, places};

/// The tunnel that a command works on.
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// The endpoint, with flags applied.
    pub spec: Spec,
    /// Why this one, when the user did not name it.
    pub why: Option<String>,
    /// The folder of sockets through which processes share a line, if there is one.
    pub folder: Option<PathBuf>,
    /// Whether to go through another process that holds the line.
    pub attach: bool,
}

impl Tunnel {
    /// The console at `text`; it is another endpoint than the tunnel.
    pub fn console(&self, text: &str) -> Result<Spec> {
        let mut console = Spec::parse(text)?;
        console.options.is_text = true;
        if is_same_place(&console, &self.spec) {
            let text = format!("'--console {text}' names the tunnel itself");
            return Err(Error::usage(text).with_help(
                "the console is UART0, QEMU's first '-serial', often tcp:127.0.0.1:5555; the tunnel \
                 is the second",
            ));
        }
        Ok(console)
    }

    /// How to attach, for `command`; `None` when that is not wanted or cannot be.
    pub fn attach(&self, command: &str) -> Option<Attach> {
        let folder = self.folder.clone().filter(|_| self.attach)?;
        Some(Attach { folder, command: command.to_owned(), alone: false })
    }
}

/// Whether two endpoints are one, however they are written.
fn is_same_place(one: &Spec, other: &Spec) -> bool {
    if (one.form.name, &one.address) == (other.form.name, &other.address) {
        return true;
    }
    let names = |spec: &Spec| (spec.form.identities)(&spec.address);
    one.form.name == other.form.name && names(one).iter().any(|name| names(other).contains(name))
}

/// The port of QEMU's UART1 in the ESP32 tunnel.
const PORT: u16 = 5556;
/// Where newer checkouts of the firmware put its socket.
const SOCKETS: [&str; 2] = ["temp/esp32-uart1.sock", "build/esp32-uart1.sock"];

/// The configuration that applies in the current folder.
pub fn config() -> Result<Config> {
    let folder = std::env::current_dir()
        .map_err(|error| Error::environment("cannot tell the current folder").caused_by(error))?;
    Config::find(&folder)
}

/// Merges what the user gave with the configuration. `args.device` holds the environment's value
/// when the flag was not given.
pub fn tunnel(args: &TunnelArgs, config: &Config) -> Result<Tunnel> {
    let folder = folder();
    let given = args.device.as_ref().filter(|text| !text.is_empty());
    let (text, why) = match (given, &config.target.device) {
        (Some(text), _) if auto_options(text).is_none() => (text.clone(), None),
        (None, Some(text)) if auto_options(text).is_none() => {
            (text.clone(), Some(format!("named by {}", config.namer())))
        }
        (given, configured) => {
            let (found, why) = match held(folder.as_deref().filter(|_| !args.no_attach))? {
                Some(found) => found,
                None => find(),
            };
            let options = given.or(configured.as_ref()).and_then(|text| auto_options(text));
            (found + options.unwrap_or_default(), why)
        }
    };
    let mut spec = Spec::parse(&text)?;
    let has = |option: &str| text.contains(&format!(",{option}="));
    if let Some(framing) =
        args.framing.or_else(|| config.target.framing().filter(|_| !has("framing")))
    {
        spec.options.framing = framing;
    }
    if let Some(bytes) =
        args.max_frame.or_else(|| config.target.max_frame.filter(|_| !has("max-frame")))
    {
        spec.options.max_frame = bytes;
    }
    spec.options.check().map_err(Error::usage)?;
    spec.settle()?;
    if spec.form.name == stdio::STDIO.name {
        return Err(Error::usage("'stdio' is for 'uarttool sim --listen stdio'")
            .with_help("the other end then is a program: -d 'exec:uarttool sim --listen stdio'"));
    }
    Ok(Tunnel { spec, why, folder, attach: !args.no_attach })
}

/// The options behind `auto`, with their comma; `None` for an endpoint that is named.
fn auto_options(text: &str) -> Option<&str> {
    text.strip_prefix("auto").filter(|rest| rest.is_empty() || rest.starts_with(','))
}

/// Where processes that share a line find each other. Without such a place they just do not.
fn folder() -> Option<PathBuf> {
    match places::folder() {
        Ok(folder) => Some(folder),
        Err(error) => {
            terminal::tell(&format!("warning: {}", error.chain()));
            None
        }
    }
}

/// The tunnel that a running uarttool holds, with its options, if there is one.
fn held(folder: Option<&Path>) -> Result<Option<(String, Option<String>)>> {
    let Some(folder) = folder.filter(|folder| !places::sockets(folder).is_empty()) else {
        return Ok(None);
    };
    let holders = block_on(async { Ok(holders::find(folder).await) })?;
    for holder in holders {
        let Some(identity) = holder.hello.identities.first() else { continue };
        holder.check_version()?;
        let Some(terms) = holder.hello.terms.as_ref().filter(|_| holder.is_up()) else { continue };
        let options = format!(",framing={},max-frame={}", terms.framing, terms.max_frame);
        let text = format!("{identity}{options}");
        if Spec::parse(&text).is_ok() {
            return Ok(Some((text, Some(format!("{holder} holds it")))));
        }
    }
    Ok(None)
}

/// Where the tunnel probably is, and why we think so.
fn find() -> (String, Option<String>) {
    let tcp = format!("tcp:127.0.0.1:{PORT}");
    if listening(PORT) == Some(true) {
        return (tcp, Some("something listens there".to_owned()));
    }
    if let Some(path) = SOCKETS.iter().find(|path| Path::new(path).exists()) {
        return (format!("unix:{path}"), Some("the socket is there".to_owned()));
    }
    (tcp, Some("the default; name another with '-d'".to_owned()))
}

/// The addresses of both ends.
pub fn identity(args: &AddressArgs, config: &Config) -> Result<Identity> {
    let identity = merged(args, config);
    let Identity { host_ip, host_mac, device_ip, device_mac } = identity;
    let bad = |what: String| Err(Error::usage(what).with_help("look at '--host-ip' and its like"));
    for ip in [host_ip, device_ip] {
        if ip.is_multicast() || ip.is_broadcast() || ip.is_unspecified() {
            return bad(format!("{ip} is not the address of a host"));
        }
    }
    for mac in [host_mac, device_mac] {
        if mac.is_multicast() {
            return bad(format!("{mac} is the Ethernet address of a group, not of a host"));
        }
    }
    if host_ip == device_ip || host_mac == device_mac {
        return bad(format!(
            "host and device have the same address: {host_ip} at {host_mac}, {device_ip} at {device_mac}"
        ));
    }
    Ok(identity)
}

/// The same on the line at `spec`: one of IP packets has no Ethernet addresses to choose.
pub fn identity_on(spec: &Spec, args: &AddressArgs, config: &Config) -> Result<Identity> {
    let identity = identity(args, config)?;
    if spec.options.framing.carries == Carries::Ethernet {
        return Ok(identity);
    }
    let given = [("--host-mac", args.host_mac), ("--device-mac", args.device_mac)];
    if let Some((flag, _)) = given.iter().find(|(_, given)| given.is_some()) {
        let framing = spec.options.framing.name;
        let text = format!(
            "'{flag}' says nothing on a line of {framing}: packets there have no Ethernet addresses"
        );
        return Err(Error::usage(text).with_help("leave it away, or give 'framing=slip-eth'"));
    }
    Ok(identity.on(Carries::Ip))
}

fn merged(args: &AddressArgs, config: &Config) -> Identity {
    let default = Identity::default();
    let target = &config.target;
    Identity {
        host_ip: args.host_ip.or(target.host_ip).unwrap_or(default.host_ip),
        host_mac: args.host_mac.or(target.host_mac()).unwrap_or(default.host_mac),
        device_ip: args.device_ip.or(target.device_ip).unwrap_or(default.device_ip),
        device_mac: args.device_mac.or(target.device_mac()).unwrap_or(default.device_mac),
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Target;
    use super::*;

    fn config(device: &str, max_frame: Option<usize>) -> Config {
        let target = Target { device: Some(device.to_owned()), max_frame, ..Target::default() };
        Config { path: Some("p/uarttool.toml".into()), target, by_preset: None }
    }

    #[test]
    fn a_flag_comes_before_the_configuration_and_that_before_the_default() {
        let given = TunnelArgs { device: Some("unix:flag".to_owned()), ..TunnelArgs::default() };
        let none = TunnelArgs::default();
        let configured = config("unix:configured", None);
        let chosen = |args, config: &Config| tunnel(args, config).expect("good").spec.text;
        assert_eq!(chosen(&given, &configured), "unix:flag");
        assert_eq!(chosen(&none, &configured), "unix:configured");
        let by_default = tunnel(&none, &Config::default()).expect("good");
        assert!(by_default.why.is_some());
        let auto = TunnelArgs { device: Some("auto,max-frame=900".to_owned()), ..none };
        let found = tunnel(&auto, &configured).expect("good");
        assert!(found.why.is_some() && found.spec.options.max_frame == 900);
    }

    #[test]
    fn a_console_is_another_endpoint_however_it_is_written() {
        let tunnel = |text: &str| {
            let args = TunnelArgs { device: Some(text.to_owned()), ..TunnelArgs::default() };
            tunnel(&args, &Config::default()).expect("good")
        };
        for (device, console) in [
            ("tcp:127.0.0.1:5556", "tcp:localhost:5556,reconnect=1s"),
            ("tcp:127.0.0.1:5556,max-frame=900", "tcp:127.0.0.1:5556"),
            ("unix:/tmp/../tmp/a", "unix:/tmp/a"),
            ("serial:/dev/null", "serial:/dev/../dev/null,baud=9600"),
        ] {
            let error = tunnel(device).console(console).expect_err(console);
            assert!(error.chain().contains("names the tunnel itself"), "{}", error.chain());
        }
        assert!(tunnel("tcp:127.0.0.1:5556").console("tcp:127.0.0.1:5555").is_ok());
        assert!(tunnel("exec:a").console("exec:b").is_ok());
    }

    #[test]
    fn so_do_its_options() {
        let max = |args: &TunnelArgs, config: &Config| {
            tunnel(args, config).expect("good").spec.options.max_frame
        };
        let none = TunnelArgs::default();
        let flag = TunnelArgs { max_frame: Some(600), ..TunnelArgs::default() };
        assert_eq!(max(&none, &config("unix:x", Some(1500))), 1500);
        assert_eq!(max(&none, &config("unix:x,max-frame=900", Some(1500))), 900);
        assert_eq!(max(&flag, &config("unix:x,max-frame=900", Some(1500))), 600);
        assert_eq!(max(&none, &config("unix:x", None)), 1514);
    }
}
