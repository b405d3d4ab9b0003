//! Who is who: the addresses of the line's ends, those of the capture, and what becomes of them.
//!
//! Where the capture has two ends that are not those of the line (`replay/cast`), and nobody has said anything about
//! addresses, the one is taken for the host and the other for the device, and they are told. So a capture of
//! another line, or an anonymized one, needs no rewriting by hand.

use std::fmt::Display;
use std::io::Read;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use clap::Args;
use pnet::util::MacAddr;

use super::ReplayArgs;
use crate::cli::args::{self, AddressArgs};
use crate::craft::text::link_local;
use crate::endpoint::Spec;
use crate::error::{Error, Result};
use crate::probe::Identity;
use crate::replay::cast::{self, Cast, Pair};
use crate::replay::rewrite::Rules;
use crate::replay::source::{End, Ends};

/// Who is at the tunnel's ends.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Addresses")]
pub(super) struct WhoArgs {
    /// Our IP address; may be given for IPv4 and for IPv6 [default: 192.168.100.1]
    #[arg(long, value_name = "IP")]
    host_ip: Vec<IpAddr>,
    /// Our Ethernet address [default: 02:00:00:00:00:01]
    #[arg(long, value_name = "MAC", value_parser = args::parse_mac)]
    host_mac: Option<MacAddr>,
    /// The device's IP address; may be given for IPv4 and for IPv6 [default: 192.168.100.2]
    #[arg(long, value_name = "IP")]
    device_ip: Vec<IpAddr>,
    /// The device's Ethernet address [default: 02:00:00:00:00:02]
    #[arg(long, value_name = "MAC", value_parser = args::parse_mac)]
    device_mac: Option<MacAddr>,
    /// Send the addresses of the capture, even if the only two ends in it are not those of the line
    #[arg(long)]
    keep_addresses: bool,
}

impl WhoArgs {
    /// Whether an address is given twice.
    pub(super) fn check(&self) -> Result<()> {
        for (option, ips) in [("--host-ip", &self.host_ip), ("--device-ip", &self.device_ip)] {
            if ips.len() > 2 || ips.len() == 2 && ips[0].is_ipv4() == ips[1].is_ipv4() {
                return Err(Error::usage(format!("'{option}' is given twice"))
                    .with_help("give one IPv4 address, one IPv6 address, or one of each"));
            }
        }
        Ok(())
    }

    /// The addresses of the line, as every command has them.
    pub(super) fn line(&self) -> AddressArgs {
        let four = |ips: &[IpAddr]| {
            ips.iter().find_map(|ip| match ip {
                IpAddr::V4(ip) => Some(*ip),
                IpAddr::V6(_) => None,
            })
        };
        AddressArgs {
            host_ip: four(&self.host_ip),
            host_mac: self.host_mac,
            device_ip: four(&self.device_ip),
            device_mac: self.device_mac,
        }
    }

    /// Whether nothing is said about addresses.
    fn is_silent(&self) -> bool {
        let is_none = self.host_ip.is_empty() && self.device_ip.is_empty();
        is_none && self.host_mac.is_none() && self.device_mac.is_none() && !self.keep_addresses
    }
}

/// What is changed.
#[derive(Args, Debug)]
#[command(next_help_heading = "Rewriting, of both directions of the capture")]
pub(super) struct RewriteArgs {
    /// Replace an Ethernet address, also in ARP and neighbour discovery; may be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = macs, value_delimiter = ',')]
    rewrite_mac: Vec<(MacAddr, MacAddr)>,
    /// Replace an IPv4 or IPv6 address, also in ARP and in what ICMP quotes; may be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = ips, value_delimiter = ',')]
    rewrite_ip: Vec<(IpAddr, IpAddr)>,
    /// Replace a port of TCP and UDP; may be repeated
    #[arg(long, value_name = "OLD=NEW", value_parser = ports, value_delimiter = ',')]
    rewrite_port: Vec<(u16, u16)>,
}

/// Who is who.
#[derive(Debug)]
pub(super) struct Who {
    /// At the line, after rewriting.
    pub(super) ends: Ends,
    /// What becomes of the addresses of the capture that nobody has said anything about.
    pub(super) rules: Rules,
    /// What is to be told about that.
    pub(super) told: Vec<String>,
}

impl Who {
    /// What the arguments say, and what is found in the capture.
    pub(super) fn new(args: &ReplayArgs, spec: &Spec, identity: &Identity) -> Who {
        let six = |ips: &[IpAddr]| {
            ips.iter().find_map(|ip| match ip {
                IpAddr::V6(ip) => Some(*ip),
                IpAddr::V4(_) => None,
            })
        };
        let end = |ip, mac, ips: &[IpAddr]| End { ip6: [six(ips), None], ..End::new(ip, mac) };
        let given = &args.addresses;
        let ends = Ends {
            host: end(identity.host_ip, identity.host_mac, &given.host_ip),
            device: end(identity.device_ip, identity.device_mac, &given.device_ip),
        };
        let mut who = Who { ends, rules: Rules::default(), told: Vec::new() };
        if args.is_file() {
            let filter = args.filter();
            // What is wrong with the file is said where it is read.
            let wanted = (filter.as_ref(), args.connection);
            let cast = cast::of(&args.file, &args.reading(spec), wanted).unwrap_or_default();
            who.told.extend(beside(&cast.beside));
            // A capture with directions was made on such a line: its addresses are right, unless they are hidden.
            let is_foreign = !cast.knows_directions || args.is_anonymized();
            let is_open = given.is_silent() && args.rewrite.rules().is_empty();
            who.meet(&cast, is_open && is_foreign);
        }
        who
    }

    /// Takes the ends of the capture for those of the line; if it `may` be, they get the addresses of those.
    fn meet(&mut self, cast: &Cast, may: bool) {
        let Who { ends, .. } = *self;
        let is_known = |pair: &Pair| {
            [pair.host, pair.device].iter().any(|end| ends.host.is(*end) || ends.device.is(*end))
        };
        if let Some(pair) = cast.four.filter(|pair| may && !is_known(pair)) {
            let Pair { host, device } = pair;
            self.rules.ips.push((host.ip, ends.host.ip.into()));
            self.rules.ips.push((device.ip, ends.device.ip.into()));
            self.told.push(format!(
                "the capture has two ends: {} is taken for the host and sent as {}, {} for the device and sent as \
                 {}; '--keep-addresses' leaves them as they are",
                host.ip, ends.host.ip, device.ip, ends.device.ip
            ));
            self.macs(&pair);
        } else if let Some(pair) =
            cast.four.is_none().then_some(cast.six.or(cast.local)).flatten().filter(|_| may)
        {
            self.macs(&pair);
            if !self.rules.macs.is_empty() {
                self.told.push(format!(
                    "the capture has two ends: {} is taken for the host and {} for the device, and they get the \
                     Ethernet addresses of those; '--keep-addresses' leaves them as they are, '--rewrite-ip' \
                     replaces theirs",
                    pair.host.ip, pair.device.ip
                ));
            }
        }
        if let Some(Pair { host, device }) = cast.local.filter(|_| !self.rules.macs.is_empty()) {
            self.rules.ips.push((host.ip, link_local(ends.host.mac).into()));
            self.rules.ips.push((device.ip, link_local(ends.device.mac).into()));
        }
        for (n, pair) in [cast.six, cast.local].into_iter().enumerate() {
            let Some(Pair { host, device }) = pair else { continue };
            // What is given is known better, and who is one end is not the other.
            let is_other = |end: &End, other: IpAddr| end.ip6.contains(&six(other));
            if !is_other(&ends.device, host.ip) && !is_other(&ends.host, device.ip) {
                self.ends.host.ip6[n] = self.ends.host.ip6[n].or(six(host.ip));
                self.ends.device.ip6[n] = self.ends.device.ip6[n].or(six(device.ip));
            }
        }
    }

    /// Both get the Ethernet addresses of the line, if they have others.
    fn macs(&mut self, pair: &Pair) {
        let Pair { host, device } = pair;
        let Some((host, device)) = host.mac.zip(device.mac) else { return };
        let ends = &self.ends;
        if host != device && (host, device) != (ends.host.mac, ends.device.mac) {
            self.rules.macs = vec![(host, ends.host.mac), (device, ends.device.mac)];
        }
    }
}

/// Whether a capture calls its interface anonymized, as `decode --anonymize` does.
pub(super) fn says_anonymized(path: &Path) -> bool {
    /// The name of an interface (draft-ietf-opsawg-pcapng section 4.2), and before it that it is ten bytes long.
    const NAMES: [&[u8]; 2] = [b"\x02\0\x0a\0anonymized", b"\0\x02\0\x0aanonymized"];
    let mut begin = Vec::new();
    let is_file = std::fs::metadata(path).is_ok_and(|file| file.is_file());
    let file = std::fs::File::open(path).ok().filter(|_| is_file);
    let read = file.and_then(|file| file.take(4096).read_to_end(&mut begin).ok());
    read.is_some() && begin.windows(NAMES[0].len()).any(|part| NAMES.contains(&part))
}

/// What is to be told of connections that were there at the same time.
fn beside(connections: &[u32]) -> Option<String> {
    let (last, others) = connections.split_last()?;
    let others = others.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    Some(format!(
        "connections {others} and {last} of the capture were there at the same time and are sent as one; \
         '--connection {last}' sends that one alone"
    ))
}

fn six(ip: IpAddr) -> Option<Ipv6Addr> {
    match ip {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) => None,
    }
}

fn pair<T>(text: &str, what: &str, parse: impl Fn(&str) -> Option<T>) -> Result<(T, T), String> {
    let parts = text.split_once('=');
    let pair = parts.and_then(|(old, new)| parse(old).zip(parse(new)));
    pair.ok_or_else(|| format!("'{text}' is not a pair of {what}"))
}

fn macs(text: &str) -> Result<(MacAddr, MacAddr), String> {
    let what = "Ethernet addresses such as 00:11:22:33:44:55=02:00:00:00:00:02";
    pair(text, what, |mac| args::parse_mac(mac).ok())
}

fn ips(text: &str) -> Result<(IpAddr, IpAddr), String> {
    let what = "IP addresses of one version such as 10.0.0.5=192.168.100.2";
    let (old, new) = pair(text, what, |ip| ip.parse::<IpAddr>().ok())?;
    match old.is_ipv4() == new.is_ipv4() {
        true => Ok((old, new)),
        false => Err(format!("'{text}' is not a pair of {what}")),
    }
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    pair(text, "ports such as 80=8080", |port| port.parse().ok())
}

impl RewriteArgs {
    /// The rules.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            macs: self.rewrite_mac.clone(),
            ips: self.rewrite_ip.clone(),
            ports: self.rewrite_port.clone(),
        }
    }

    /// Whether two rules contradict each other.
    pub(super) fn check(&self) -> Result<()> {
        let RewriteArgs { rewrite_mac, rewrite_ip, rewrite_port } = self;
        let twice =
            twice(rewrite_mac).or_else(|| twice(rewrite_ip)).or_else(|| twice(rewrite_port));
        match twice {
            None => Ok(()),
            Some(old) => Err(Error::usage(format!("'{old}' is to become two things"))
                .with_help("each address and port may stand once in front of '='")),
        }
    }
}

/// What stands in front in two different pairs.
fn twice<T: PartialEq + Display>(pairs: &[(T, T)]) -> Option<String> {
    let mut rest = pairs;
    while let Some(((old, new), others)) = rest.split_first() {
        if others.iter().any(|(other, becomes)| other == old && becomes != new) {
            return Some(old.to_string());
        }
        rest = others;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::cast::Party;

    #[test]
    fn pairs() {
        assert_eq!(ports("80=8080"), Ok((80, 8080)));
        assert!(ips("10.0.0.5=::1").is_err_and(|text| text.contains("of one version")));
        assert!(macs("02:00:00:00:00:02").is_err_and(|text| text.contains("not a pair")));
    }

    fn party(ip: &str, mac: u8) -> Party {
        Party { ip: ip.parse().expect("an address"), mac: Some(MacAddr(9, 0, 0, 0, 0, mac)) }
    }

    fn who(cast: Cast, may: bool) -> Who {
        let mut who = Who { ends: Ends::default(), rules: Rules::default(), told: Vec::new() };
        who.meet(&cast, may);
        who
    }

    #[test]
    fn two_strangers_become_host_and_device_and_whoever_is_known_stays() {
        let pair = |host, device| Some(Pair { host: party(host, 1), device: party(device, 2) });
        let strangers = Cast { four: pair("10.0.0.1", "10.0.0.2"), ..Cast::default() };
        let rules = who(strangers.clone(), true).rules;
        let becomes = |n| std::net::Ipv4Addr::new(192, 168, 100, n).into();
        assert_eq!(rules.ips[0], ([10, 0, 0, 1].into(), becomes(1)));
        assert_eq!(rules.ips[1], ([10, 0, 0, 2].into(), becomes(2)));
        assert_eq!(rules.macs[1], (MacAddr(9, 0, 0, 0, 0, 2), MacAddr(2, 0, 0, 0, 0, 2)));
        assert!(who(strangers, false).rules.is_empty());
        let known = Cast { four: pair("10.0.0.1", "192.168.100.2"), ..Cast::default() };
        let known = who(known, true);
        assert!(known.rules.is_empty() && known.told.is_empty());
    }

    #[test]
    fn ipv6_ends_are_remembered_and_link_local_ones_become_those_of_the_line() {
        let pair = |host, device| Some(Pair { host: party(host, 1), device: party(device, 2) });
        let (six, local) = (pair("fd00::1", "fd00::2"), pair("fe80::1", "fe80::2"));
        let found = who(Cast { six, local, ..Cast::default() }, true);
        assert_eq!(found.ends.device.ip6, ["fd00::2".parse().ok(), "fe80::2".parse().ok()]);
        let becomes: IpAddr = "fe80::ff:fe00:2".parse().expect("an address");
        assert_eq!(found.rules.ips[1], ("fe80::2".parse().expect("an address"), becomes));
        assert_eq!(found.rules.macs.len(), 2);
    }
}
