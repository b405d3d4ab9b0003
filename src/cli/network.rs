//! The rootless host network on a tunnel, as bridge, run and http use it.

use std::cell::RefCell;
use std::convert::Infallible;
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
use crate::error::Result;
use crate::event::Events;
use crate::gateway::forward::Forward;
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
/// How often to look for a tunnel that is gone.
const AGAIN: Duration = Duration::from_secs(1);

/// The help of `--forward`.
const FORWARD: &str = "Lead a port of this machine to one of the device: \
[tcp:|udp:][ADDRESS:]PORT:[GUEST:]PORT, as in 8080:80; port 0 is one that is free; unix:PATH:PORT is a \
socket; FIRST-LAST is a range; QEMU's and passt's spellings are understood. On 127.0.0.1 unless ADDRESS \
says otherwise";

/// What leads to the device.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// What is to be led to the device.
    #[arg(long, value_name = "FORWARD", value_parser = parse_forward, help = FORWARD)]
    pub forward: Vec<Forward>,
    /// How long a connection waits for a device that is not up yet
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_positive)]
    pub hold: Option<Duration>,
}

fn parse_forward(text: &str) -> Result<Forward, String> {
    text.parse()
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
        let identity = target::identity(addresses, config)?;
        let clock = Clock::system();
        let mut tunnel = tunnel;
        let options = &mut tunnel.spec.options;
        options.reconnect.get_or_insert(AGAIN);
        options.queue = Some(queue::BOUND);
        let settings = Settings {
            host_ip: identity.host_ip,
            host_mac: identity.host_mac,
            device_ip: identity.device_ip,
            is_device_ip_fixed: addresses.device_ip.or(config.target.device_ip).is_some(),
            device_mac: addresses.device_mac.or(config.target.device_mac()),
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

    /// Opens `forwards`; what they became.
    pub async fn open(&self, forwards: &[Forward]) -> Result<Vec<Opened>> {
        let mut opened = Vec::new();
        for forward in forwards {
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
