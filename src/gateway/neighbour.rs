//! The device as our neighbour: ARP (RFC 826), and what it shows of itself.
//!
//! What the device says about itself counts: with each ARP message and each packet from its address it tells
//! its Ethernet address. An announcement (RFC 5227 section 3) of another address of our network makes that
//! the device's; so does a word to us, as long as nobody else has answered. When the line is lost that is forgotten, since another
//! device may come: then both are asked for, the usual address and the one that it had.

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
    /// The one that it has as long as nothing else is known.
    usual: Ipv4Addr,
    /// The one that it had before the line was lost.
    former: Option<Ipv4Addr>,
    is_ip_fixed: bool,
    /// Our own.
    host_ip: Ipv4Addr,
    mac: Option<MacAddr>,
    /// The address that the user gave, which needs no question.
    given: Option<MacAddr>,
    asked: Option<Instant>,
    /// When the line came up.
    since: Option<Instant>,
}

/// How an address was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// By a packet.
    Packet,
    /// By an ARP message to us.
    Word,
    /// By an ARP message to everybody about itself.
    Announcement,
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
    /// It has this Ethernet address and not the one that the user gave.
    OtherMac(MacAddr),
    /// It has an address that is not one of our network.
    Outside(Ipv4Addr),
}

/// Whether a host can have this address at all (RFC 1122 section 3.2.1.3, RFC 1112 section 4).
pub(super) fn is_host(ip: Ipv4Addr) -> bool {
    let first = ip.octets()[0];
    first != 0 && first != 127 && first < 224
}

/// Whether one station can have this Ethernet address.
pub(super) fn is_station(mac: MacAddr) -> bool {
    !mac.is_multicast() && !mac.is_broadcast() && !mac.is_zero()
}

/// Whether `ip` is the address of a host of the network of `ours`, which has 256 addresses.
fn is_in_network(ip: Ipv4Addr, ours: Ipv4Addr) -> bool {
    let ([a, b, c, last], [x, y, z, _]) = (ip.octets(), ours.octets());
    (a, b, c) == (x, y, z) && !matches!(last, 0 | 255)
}

impl Neighbour {
    pub(super) fn new(settings: &Settings) -> Neighbour {
        let known = Known {
            is_up: false,
            ip: settings.device_ip,
            usual: settings.device_ip,
            former: None,
            host_ip: settings.host_ip,
            is_ip_fixed: settings.is_device_ip_fixed,
            mac: None,
            given: settings.mac_of_all().or(settings.device_mac),
            asked: None,
            since: None,
        };
        Neighbour { known: watch::Sender::new(known) }
    }

    pub(super) fn up(&self) {
        self.known.send_modify(|known| {
            known.is_up = true;
            if known.ip != known.usual {
                known.former = Some(known.ip);
            }
            known.ip = known.usual;
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

    /// The addresses at which the device may be.
    pub(super) fn candidates(&self) -> Vec<Ipv4Addr> {
        let known = self.known.borrow();
        let former = known.former.filter(|former| known.mac.is_none() && *former != known.ip);
        [known.ip].into_iter().chain(former).collect()
    }

    /// The device has shown an address of its own.
    pub(super) fn learn(&self, ip: Ipv4Addr, mac: MacAddr, shown: Shown) -> News {
        if !is_host(ip) || !is_station(mac) {
            return News::Nothing;
        }
        let known = *self.known.borrow();
        if ip != known.ip {
            return self.learn_ip(&known, ip, mac, shown);
        }
        match known.given {
            Some(given) if given == mac => News::Nothing,
            Some(_) => News::OtherMac(mac),
            None if known.mac == Some(mac) => News::Nothing,
            None => {
                self.known.send_modify(|known| known.mac = Some(mac));
                News::Mac(mac)
            }
        }
    }

    fn learn_ip(&self, known: &Known, ip: Ipv4Addr, mac: MacAddr, shown: Shown) -> News {
        let is_alone = known.mac.is_none_or(|its| its == mac);
        let is_it = match shown {
            Shown::Packet => false,
            Shown::Word => is_alone,
            Shown::Announcement => is_alone || known.given.is_none(),
        };
        if !is_it {
            return News::Nothing;
        }
        if known.is_ip_fixed {
            return News::OtherIp(ip);
        }
        if !is_in_network(ip, known.host_ip) {
            return News::Outside(ip);
        }
        self.known.send_modify(|known| (known.ip, known.mac) = (ip, Some(mac)));
        News::Ip(ip)
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

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 2);
    const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 100, 7);
    const A: MacAddr = MacAddr(2, 0, 0, 0, 0, 2);
    const B: MacAddr = MacAddr(2, 0, 0, 0, 0, 7);

    fn neighbour(change: impl Fn(&mut Settings)) -> Neighbour {
        let mut settings = Settings {
            first_port: crate::gateway::FIRST_PORT,
            host_ip: Ipv4Addr::new(192, 168, 100, 1),
            host_mac: MacAddr(2, 0, 0, 0, 0, 1),
            device_ip: USUAL,
            is_device_ip_fixed: false,
            device_mac: None,
            carries: crate::framing::Carries::Ethernet,
            mtu: 1486,
            window: 5840,
            hold: Duration::from_secs(1),
        };
        change(&mut settings);
        let neighbour = Neighbour::new(&settings);
        neighbour.up();
        neighbour
    }

    #[test]
    fn an_announcement_moves_the_device_and_a_word_only_while_nobody_else_is_there() {
        let free = neighbour(|_| {});
        assert_eq!(free.learn(OTHER, B, Shown::Packet), News::Nothing);
        assert_eq!(free.learn(OTHER, B, Shown::Word), News::Ip(OTHER));
        let held = neighbour(|_| {});
        assert_eq!(held.learn(USUAL, A, Shown::Packet), News::Mac(A));
        assert_eq!(held.learn(OTHER, B, Shown::Word), News::Nothing);
        assert_eq!((held.device_ip(), held.mac()), (USUAL, Some(A)));
        assert_eq!(held.learn(OTHER, A, Shown::Word), News::Ip(OTHER));
        assert_eq!(held.learn(USUAL, B, Shown::Announcement), News::Ip(USUAL));
        assert_eq!((held.device_ip(), held.mac()), (USUAL, Some(B)));
    }

    #[test]
    fn nobody_has_the_address_of_a_group_of_everybody_or_of_another_network() {
        let neighbour = neighbour(|_| {});
        for (ip, mac) in [
            ([255, 255, 255, 255], A),
            ([224, 0, 0, 1], A),
            ([127, 0, 0, 1], A),
            ([0, 0, 0, 0], A),
            ([192, 168, 100, 2], MacAddr::broadcast()),
            ([192, 168, 100, 2], MacAddr(0, 0, 0, 0, 0, 0)),
            ([192, 168, 100, 2], MacAddr(1, 0, 0x5e, 0, 0, 1)),
        ] {
            for shown in [Shown::Packet, Shown::Word, Shown::Announcement] {
                assert_eq!(neighbour.learn(ip.into(), mac, shown), News::Nothing, "{ip:?} {mac}");
            }
        }
        for ip in [[10, 0, 0, 2], [192, 168, 100, 255], [192, 168, 100, 0]] {
            let news = neighbour.learn(ip.into(), A, Shown::Announcement);
            assert_eq!(news, News::Outside(ip.into()));
        }
        assert_eq!((neighbour.device_ip(), neighbour.mac()), (USUAL, None));
    }

    #[test]
    fn what_the_user_gave_stays_and_a_difference_is_news() {
        let ip = neighbour(|settings| settings.is_device_ip_fixed = true);
        assert_eq!(ip.learn(OTHER, B, Shown::Announcement), News::OtherIp(OTHER));
        let mac = neighbour(|settings| settings.device_mac = Some(A));
        assert_eq!(mac.learn(USUAL, B, Shown::Announcement), News::OtherMac(B));
        assert_eq!(mac.learn(OTHER, B, Shown::Announcement), News::Nothing);
        assert_eq!((mac.device_ip(), mac.mac()), (USUAL, Some(A)));
        assert_eq!(mac.learn(OTHER, A, Shown::Announcement), News::Ip(OTHER));
    }

    #[test]
    fn a_line_that_comes_back_has_the_device_at_either_of_its_addresses() {
        let neighbour = neighbour(|_| {});
        assert_eq!(neighbour.learn(OTHER, B, Shown::Announcement), News::Ip(OTHER));
        for _ in 0..2 {
            neighbour.down();
            neighbour.up();
            assert_eq!((neighbour.device_ip(), neighbour.mac()), (USUAL, None));
            assert_eq!(neighbour.candidates(), [USUAL, OTHER]);
        }
        assert_eq!(neighbour.learn(OTHER, B, Shown::Word), News::Ip(OTHER));
        neighbour.down();
        neighbour.up();
        assert_eq!(neighbour.learn(USUAL, A, Shown::Word), News::Mac(A));
        assert_eq!(neighbour.candidates(), [USUAL]);
    }
}
