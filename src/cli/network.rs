//! The rootless host network on a tunnel, as bridge, run and http use it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::args::AddressArgs;
use super::config::Config;
use super::connect;
use super::target::{self, Tunnel};
use crate::bus::{Bus, Inbox};
use crate::clock::Clock;
use crate::endpoint::Connector;
use crate::endpoint::queue;
use crate::endpoint::sharing::Sharing;
use crate::endpoint::spec::parse_positive;
use crate::error::{Error, Result};
use crate::event::Events;
use crate::gateway::control::Objection;
use crate::gateway::forward::{Forward, List, Listen, Protocol};
use crate::gateway::{FIRST_PORT, Forwards, Gateway, Opened, Settings};
use crate::share::wire::Host;
use crate::stop::Stop;
use crate::tap::{End, Tap, console, host};

/// Bytes of a connection that may be on their way where nothing is known of the line.
const WINDOW: usize = 32 * 1024;
/// The least: four segments.
const LEAST_WINDOW: usize = 5840;
/// The longest frame that we send unless told otherwise: drivers that count the Ethernet header among
/// their 1500 bytes drop what is longer without a word.
const SAFE_FRAME: usize = 1500;
/// The least: an Ethernet header and the packet that every link has to carry (RFC 791 section 3.2).
const LEAST_FRAME: usize = crate::proto::ethernet::HEADER + 68;
/// How often to look for a tunnel that is gone.
const AGAIN: Duration = Duration::from_secs(1);

/// The help of `--forward`.
const FORWARD: &str = "Lead a port of this machine to one of the device: \
[tcp:|udp:][ADDRESS:]PORT:[GUEST:]PORT, as in 8080:80; port 0 is one that is free; unix:PATH:PORT is a \
socket; FIRST-LAST is a range; commas make a list; QEMU's and passt's spellings are understood. On \
127.0.0.1 unless ADDRESS says otherwise";

/// What leads to the device.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// What is to be led to the device.
    #[arg(long, value_name = "FORWARD", value_parser = parse_forward, help = FORWARD)]
    forward: Vec<List>,
    /// How long a connection waits for a device that is not up yet
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_positive)]
    pub hold: Option<Duration>,
}

impl NetworkArgs {
    /// Every forward, one by one.
    pub fn forwards(&self) -> impl Iterator<Item = &Forward> {
        self.forward.iter().flat_map(|List(forwards)| forwards)
    }
}

fn parse_forward(text: &str) -> Result<List, String> {
    text.parse()
}

/// Where a forward is found, for people.
pub fn shown(opened: &Opened) -> String {
    let forward = &opened.forward;
    match (&forward.listen, forward.protocol, forward.port, forward.span) {
        (Listen::Ip(address), Protocol::Tcp, 80, 1) => format!("http://{address}/"),
        _ => forward.to_string(),
    }
}

/// A gateway and the line that it is on.
pub struct Network {
    /// The line.
    pub tunnel: Tunnel,
    /// Us.
    pub gateway: Gateway,
    /// The ways in.
    pub forwards: Forwards,
    tap: Tap,
    bus: RefCell<Bus>,
    settings: Settings,
    command: &'static str,
    name: Option<String>,
}

impl Network {
    /// A network on `tunnel` that nobody has plugged in yet, for `command`.
    pub fn new(
        tunnel: Tunnel,
        addresses: &AddressArgs,
        config: &Config,
        hold: Duration,
        events: &Events,
        command: &'static str,
    ) -> Result<Network> {
        let identity = target::identity_on(&tunnel.spec, addresses, config)?;
        let clock = Clock::system();
        let mut tunnel = tunnel;
        let options = &mut tunnel.spec.options;
        options.reconnect.get_or_insert(AGAIN);
        options.queue = Some(queue::BOUND);
        if options.max_frame < LEAST_FRAME {
            let text = format!("no network fits into frames of {} bytes", options.max_frame);
            let help = format!("give '--max-frame' {LEAST_FRAME} or more");
            return Err(Error::usage(text).with_help(help));
        }
        let settings = Settings {
            host_ip: identity.host_ip,
            host_mac: identity.host_mac,
            device_ip: identity.device_ip,
            is_device_ip_fixed: addresses.device_ip.or(config.target.device_ip).is_some(),
            device_mac: addresses.device_mac.or(config.target.device_mac()),
            carries: options.framing.carries,
            mtu: options.max_frame.min(SAFE_FRAME) - crate::proto::ethernet::HEADER,
            window: WINDOW.max(LEAST_WINDOW),
            hold,
            first_port: FIRST_PORT,
        };
        let gateway = Gateway::new(settings, clock.clone(), events.clone());
        let forwards = Forwards::new(&gateway);
        let tap = Tap { clock, events: events.clone(), options: options.clone() };
        let bus = RefCell::default();
        Ok(Network { tunnel, gateway, forwards, tap, bus, settings, command, name: None })
    }

    /// Has other processes find the line under another endpoint, too; for one that is known to us alone,
    /// such as the built-in device.
    pub fn add_name(&mut self, identity: String) {
        self.name = Some(identity);
    }

    /// Listens to the device's console for ever: what it says stands among what is on the line. One that
    /// cannot be had is told of, and that is all.
    pub async fn listen(&self, console: &dyn Connector, events: Events) -> Infallible {
        let tap = Tap { events, ..self.tap.clone() };
        if let Err(error) = console::run(&tap, console, &self.bus).await {
            self.tap.events.warn(error.chain());
        }
        std::future::pending().await
    }

    /// The clock of its records.
    pub fn clock(&self) -> Clock {
        self.tap.clock.clone()
    }

    /// Sees everything on the line from now on.
    pub fn watch(&self) -> Inbox {
        self.bus.borrow_mut().watch()
    }

    /// What says whether a forward cannot be: one that listens where the device is would make us our own
    /// device.
    pub async fn objection(&self) -> Objection {
        let identities = self.tunnel.spec.identities().await;
        let text = self.tunnel.spec.text.clone();
        Box::new(move |forward| {
            let is_in_the_way = identities.iter().any(|device| takes(forward, device));
            is_in_the_way
                .then(|| format!("the forward {forward} would listen where the device is, {text}"))
        })
    }

    /// Opens `forwards`; what they became.
    pub async fn open(&self, forwards: impl IntoIterator<Item = &Forward>) -> Result<Vec<Opened>> {
        let mut opened = Vec::new();
        let objection = self.objection().await;
        for forward in forwards {
            if let Some(what) = objection(forward) {
                return Err(Error::usage(what).with_help("take another port, or 0 for a free one"));
            }
            opened.push(self.forwards.open(forward).await?);
        }
        Ok(opened)
    }

    /// Speaks on the line until told to stop, or until it is gone for good.
    pub async fn run(&self, stop: Stop, ready: impl FnOnce()) -> Result<End> {
        let (tap, spec) = (&self.tap, &self.tunnel.spec);
        let folder = self.tunnel.folder.clone();
        let mut sharing = Sharing::new(folder, self.command, spec, &tap.clock, &tap.events).await;
        let (ip, mac) = (self.settings.host_ip.octets(), self.settings.host_mac.octets());
        sharing.set_host(Host { ip, mac });
        if let Some(name) = &self.name {
            sharing.add_name(name.clone());
        }
        let attach = self.tunnel.attach(self.command);
        let device = connect::open(spec, &tap.events, attach)?;
        let end =
            host::run(tap, &*device, &self.gateway, &self.bus, &mut sharing, stop, ready).await;
        self.forwards.close_all();
        end
    }
}

/// Whether `forward` listens at the endpoint `device`, as [`Spec::identities`] writes it: we would be our own
/// device.
///
/// [`Spec::identities`]: crate::endpoint::Spec::identities
fn takes(forward: &Forward, device: &str) -> bool {
    match &forward.listen {
        Listen::Unix(path) => {
            let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            device.strip_prefix("unix:").is_some_and(|at| whole == std::path::Path::new(at))
        }
        Listen::Ip(address) if forward.protocol == Protocol::Tcp => {
            let at = device.strip_prefix("tcp:").and_then(|at| at.parse::<SocketAddr>().ok());
            at.is_some_and(|at| {
                let ports = address.port()..=address.port().saturating_add(forward.span.max(1) - 1);
                let is_there = address.ip() == at.ip() || address.ip().is_unspecified();
                let is_here = at.ip().is_loopback() || address.ip() == at.ip();
                is_there && is_here && ports.contains(&at.port())
            })
        }
        Listen::Ip(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_that_would_take_the_devices_own_place_is_seen() {
        for (forward, device, wanted) in [
            ("5556:80", "tcp:127.0.0.1:5556", true),
            ("*:5556:80", "tcp:127.0.0.1:5556", true),
            ("5550-5560", "tcp:127.0.0.1:5556", true),
            ("[::1]:5556:80", "tcp:[::1]:5556", true),
            ("unix:/a/b:80", "unix:/a/b", true),
            ("5557:80", "tcp:127.0.0.1:5556", false),
            ("udp:5556:80", "tcp:127.0.0.1:5556", false),
            ("5556:80", "tcp:192.0.2.1:5556", false),
            ("5556:80", "tcp-listen:127.0.0.1:5556", false),
            ("unix:/a/c:80", "unix:/a/b", false),
        ] {
            let parsed: Forward = forward.parse().expect(forward);
            assert_eq!(takes(&parsed, device), wanted, "{forward} {device}");
        }
    }
}
