//! The device as our neighbour: ARP (RFC 826), and what it shows of itself.
//!
//! What the device says about itself counts: with each ARP message and each packet from its address it tells
//! its Ethernet address. When the line is lost it is forgotten, since another device may come.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Settings;
use crate::craft;
use crate::proto::{MacAddr, arp};

/// How often to ask who does not answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// What is known of the device.
pub(super) struct Neighbour {
    known: watch::Sender<Known>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    is_up: bool,
    ip: Ipv4Addr,
    is_ip_fixed: bool,
    mac: Option<MacAddr>,
    /// The address that the user gave, which needs no question.
    given: Option<MacAddr>,
    asked: Option<Instant>,
    /// When the line came up.
    since: Option<Instant>,
}

/// What is new about the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing.
    Nothing,
    /// Its Ethernet address is known now, or another.
    Mac(MacAddr),
    /// It has this address; it is used from now on.
    Ip(Ipv4Addr),
    /// It has this address and not the one that the user gave.
    OtherIp(Ipv4Addr),
}

impl Neighbour {
    pub(super) fn new(settings: &Settings) -> Neighbour {
        let known = Known {
            is_up: false,
            ip: settings.device_ip,
            is_ip_fixed: settings.is_device_ip_fixed,
            mac: None,
            given: settings.device_mac,
            asked: None,
            since: None,
        };
        Neighbour { known: watch::Sender::new(known) }
    }

    pub(super) fn up(&self) {
        self.known.send_modify(|known| {
            known.is_up = true;
            known.mac = known.given;
            known.asked = None;
            known.since = Some(Instant::now());
        });
    }

    pub(super) fn down(&self) {
        self.known.send_modify(|known| {
            known.is_up = false;
            known.mac = None;
        });
    }

    /// How long the line has been there.
    pub(super) fn age(&self) -> Duration {
        self.known.borrow().since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn device_ip(&self) -> Ipv4Addr {
        self.known.borrow().ip
    }

    pub(super) fn mac(&self) -> Option<MacAddr> {
        self.known.borrow().mac
    }

    /// The device has shown an address of its own.
    pub(super) fn learn(&self, ip: Ipv4Addr, mac: MacAddr, announces: bool) -> News {
        let known = *self.known.borrow();
        if ip != known.ip {
            return match (announces, known.is_ip_fixed) {
                (false, _) => News::Nothing,
                (true, true) => News::OtherIp(ip),
                (true, false) => {
                    self.known.send_modify(|known| (known.ip, known.mac) = (ip, Some(mac)));
                    News::Ip(ip)
                }
            };
        }
        if known.mac == Some(mac) || known.given.is_some() {
            return News::Nothing;
        }
        self.known.send_modify(|known| known.mac = Some(mac));
        News::Mac(mac)
    }

    /// Waits until the device's Ethernet address is known; `ask` is called now and then meanwhile.
    pub(super) async fn resolve(&self, ask: impl Fn()) -> MacAddr {
        let mut changes = self.known.subscribe();
        loop {
            let known = *changes.borrow_and_update();
            if let (true, Some(mac)) = (known.is_up, known.mac) {
                return mac;
            }
            let now = Instant::now();
            let is_due = known.asked.is_none_or(|asked| now >= asked + ASK_AGAIN);
            if known.is_up && is_due {
                self.known.send_if_modified(|known| {
                    known.asked = Some(now);
                    false
                });
                ask();
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    std::future::pending::<()>().await;
                },
                () = tokio::time::sleep(ASK_AGAIN), if known.is_up => {}
            }
        }
    }
}

/// The question for the device's Ethernet address.
pub(super) fn question(ip: Ipv4Addr, mac: MacAddr, device: Ipv4Addr) -> Vec<u8> {
    let (sha, tha) = (mac.octets(), [0; 6]);
    let message = arp::Message { op: arp::REQUEST, sha, spa: ip, tha, tpa: device };
    craft::arp(&message, MacAddr::broadcast())
}

/// The reply to a question for our address.
pub(super) fn reply(question: &arp::Message, mac: MacAddr) -> Vec<u8> {
    let message = arp::Message {
        op: arp::REPLY,
        sha: mac.octets(),
        spa: question.tpa,
        tha: question.sha,
        tpa: question.spa,
    };
    craft::arp(&message, MacAddr::from(question.sha))
}
