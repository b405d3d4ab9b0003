//! Where packets go: the Ethernet addresses of all that forwards lead to.
//!
//! The device is `neighbour`'s. A forward can lead to another guest on the line as well, and that one is
//! asked by ARP in the same way (RFC 826). What is not known yet is asked for at most every [`ASK_AGAIN`], and
//! only about guests that somebody wanted to reach anything is remembered.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Gateway, Settings, neighbour};
use crate::error::{Error, Result};
use crate::framing::{Carries, ip};
use crate::proto::MacAddr;

/// How often to ask who does not answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Guests other than the device, and what was asked.
#[derive(Default)]
pub(super) struct Guests {
    known: Mutex<Known>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct Known {
    is_up: bool,
    macs: HashMap<Ipv4Addr, Option<MacAddr>>,
    /// When it was asked for the Ethernet address of somebody.
    asked: HashMap<Ipv4Addr, Instant>,
}

impl Guests {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line is there.
    pub(super) fn up(&self) {
        self.known().is_up = true;
        self.changes.send_replace(());
    }

    /// The line is gone, and whoever was on it.
    pub(super) fn down(&self) {
        *self.known() = Known::default();
    }

    /// `ip` has said its Ethernet address.
    pub(super) fn learn(&self, ip: Ipv4Addr, mac: MacAddr) {
        let is_unicast = mac.octets()[0] & 1 == 0 && mac != MacAddr::default();
        let mut known = self.known();
        let Some(entry) = known.macs.get_mut(&ip).filter(|_| is_unicast) else { return };
        let before = entry.replace(mac);
        drop(known);
        if before != Some(mac) {
            self.changes.send_replace(());
        }
    }

    /// The Ethernet address of `ip`, which is remembered from now on.
    fn mac(&self, ip: Ipv4Addr) -> Option<MacAddr> {
        *self.known().macs.entry(ip).or_default()
    }

    /// Whether it is time to ask for `ip`.
    fn asks(&self, ip: Ipv4Addr) -> bool {
        let (mut known, now) = (self.known(), Instant::now());
        let is_due = known.asked.get(&ip).is_none_or(|asked| now >= *asked + ASK_AGAIN);
        if is_due && known.is_up {
            known.asked.insert(ip, now);
        }
        is_due && known.is_up
    }
}

impl Settings {
    /// The Ethernet address of everybody on the line, where nobody has one to tell.
    pub(super) fn mac_of_all(&self) -> Option<MacAddr> {
        (self.carries == Carries::Ip).then(|| ip::DEVICE.into())
    }
}

impl Gateway {
    /// Waits until the guest at `ip`, or the device, can be spoken to; its Ethernet address.
    pub(super) async fn resolve(&self, ip: Option<Ipv4Addr>) -> MacAddr {
        let Some(ip) = ip.filter(|ip| *ip != self.device_ip()) else {
            return self.0.neighbour.resolve(|| self.ask_all()).await;
        };
        let mut changes = self.0.guests.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(mac) = self.mac_of(ip) {
                return mac;
            }
            // Whoever changes it lives as long as we do.
            let _ = tokio::time::timeout(ASK_AGAIN, changes.changed()).await;
        }
    }

    /// The Ethernet address of `ip`; where it is not known, it is asked for.
    pub(super) fn mac_of(&self, ip: Ipv4Addr) -> Option<MacAddr> {
        if let Some(known) = self.0.settings.mac_of_all() {
            return Some(known);
        }
        let is_device = ip == self.device_ip();
        let mac = if is_device { self.device_mac() } else { self.0.guests.mac(ip) };
        if mac.is_none() && self.0.guests.asks(ip) {
            match is_device {
                true => self.ask_all(),
                false => self.ask_for(ip),
            }
        }
        mac
    }

    /// Whether a forward can lead to `guest`.
    pub(super) fn check_guest(&self, guest: Ipv4Addr) -> Result<()> {
        let first = guest.octets()[0];
        let what = match guest {
            _ if guest == self.host().0 => "is our own address on the line",
            _ if guest.is_broadcast() || guest.is_multicast() => "is not the address of one device",
            _ if first == 0 || first >= 240 => "is not an address",
            _ if guest.is_loopback() => "is an address of this machine",
            _ => return Ok(()),
        };
        let help = "give the address of a device on the line, or none for the usual one";
        Err(Error::usage(format!("cannot lead to {guest}: it {what}")).with_help(help))
    }

    fn ask_for(&self, whom: Ipv4Addr) {
        let (ip, mac) = self.host();
        self.answer(neighbour::question(ip, mac, whom));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::event::Events;
    use crate::proto::arp;
    use crate::tap::host::Station;

    #[tokio::test(start_paused = true)]
    async fn on_a_line_of_ip_everybody_is_known_and_nobody_asked() {
        let guest = Ipv4Addr::new(192, 168, 100, 7);
        for carries in [Carries::Ethernet, Carries::Ip] {
            let settings = Settings {
                first_port: crate::gateway::FIRST_PORT,
                host_ip: Ipv4Addr::new(192, 168, 100, 1),
                host_mac: ip::HOST.into(),
                device_ip: Ipv4Addr::new(192, 168, 100, 2),
                is_device_ip_fixed: false,
                device_mac: None,
                carries,
                mtu: 1486,
                window: 32_768,
                hold: Duration::from_secs(1),
            };
            let gateway = Gateway::new(settings, Clock::system(), Events::ignore());
            gateway.ask();
            gateway.up(None);
            let soon = Duration::from_secs(2);
            let device = tokio::time::timeout(soon, gateway.resolve(None)).await;
            let other = tokio::time::timeout(soon, gateway.resolve(Some(guest))).await;
            let mut frames = Vec::new();
            let sent = tokio::time::timeout(soon, gateway.next(&mut frames)).await;
            match carries {
                Carries::Ip => {
                    assert_eq!((device, other), (Ok(ip::DEVICE.into()), Ok(ip::DEVICE.into())));
                    assert!(sent.is_err(), "{frames:?}");
                }
                Carries::Ethernet => {
                    assert!(device.is_err() && other.is_err() && sent.is_ok());
                    assert!(frames.iter().all(|frame| arp::Message::in_frame(frame).is_some()));
                }
            }
        }
    }
}
