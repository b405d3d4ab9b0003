//! What a forward says: where we listen, and where it leads on the line.
//!
//! Our own spelling is `[tcp:|udp:][ADDRESS:]PORT:[GUEST:]PORT`; `unix:PATH:PORT` listens on a socket in the
//! file system. Those of other tools are understood as well: QEMU's `hostfwd=tcp:[ADDRESS]:PORT-[GUEST]:PORT`,
//! its old `-redir tcp:PORT:[GUEST]:PORT`, passt's `[ADDRESS/]PORT[:PORT]` and its lists with commas. `FIRST-LAST`
//! is a range of ports, on both sides of the same length; one port alone stands for both sides.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// A forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// What it carries.
    pub protocol: Protocol,
    /// Where connections are taken.
    pub listen: Listen,
    /// The device's address, unless it is the one that is known.
    pub guest: Option<Ipv4Addr>,
    /// The device's port; of a range the first.
    pub port: u16,
    /// How many ports, one after the other, on both sides.
    pub span: u16,
}

/// What a forward carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Where a forward takes connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At an address and port; port 0 is one that is free.
    Ip(SocketAddr),
    /// At a socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |f: &mut fmt::Formatter<'_>, first: u16| match self.span {
            0 | 1 => write!(f, "{first}"),
            n => write!(f, "{first}-{}", first.saturating_add(n - 1)),
        };
        match &self.listen {
            Listen::Unix(path) => write!(f, "unix:{}:", path.display())?,
            Listen::Ip(address) => {
                match address.ip() {
                    IpAddr::V4(ip) => write!(f, "{}:{ip}:", self.protocol)?,
                    IpAddr::V6(ip) => write!(f, "{}:[{ip}]:", self.protocol)?,
                }
                range(f, address.port())?;
                f.write_str(":")?;
            }
        }
        if let Some(guest) = self.guest {
            write!(f, "{guest}:")?;
        }
        range(f, self.port)
    }
}

/// A port, or the first of a range and how many.
fn ports(text: &str) -> Result<(u16, u16), String> {
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let port = text.parse::<u16>().ok().filter(|_| is_number);
        port.ok_or_else(|| format!("'{text}' is not a port (0 to 65535)"))
    };
    let Some((first, last)) = text.split_once('-') else { return Ok((number(text)?, 1)) };
    let (first, last) = (number(first)?, number(last)?);
    match last.checked_sub(first).and_then(|n| n.checked_add(1)) {
        Some(span) if first > 0 => Ok((first, span)),
        _ => Err(format!("'{text}' is no range of ports")),
    }
}

fn is_ports(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) && ports(text).is_ok()
}

/// An address of this machine; none is the loopback.
fn address(text: &str) -> Result<IpAddr, String> {
    match text {
        "" => Ok(Ipv4Addr::LOCALHOST.into()),
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        "*" => Ok(Ipv4Addr::UNSPECIFIED.into()),
        _ => {
            let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
            let parsed = inner.unwrap_or(text).parse();
            parsed.map_err(|_| format!("'{text}' is no address of this machine such as 127.0.0.1"))
        }
    }
}

fn guest(text: &str) -> Result<Option<Ipv4Addr>, String> {
    match text {
        "" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| format!("'{text}' is no IPv4 address of a device")),
    }
}

/// The parts between colons; an IPv6 address is in brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0u32, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Where to listen and where it leads, by the parts of any spelling but that of unix sockets.
struct Parts<'a> {
    address: &'a str,
    listen: &'a str,
    guest: &'a str,
    port: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Parts<'a>, String> {
        // passt's: "ADDRESS/PORT:PORT".
        if let Some((address, ports)) = text.rsplit_once('/') {
            let (listen, port) = ports.split_once(':').unwrap_or((ports, ports));
            return Ok(Parts { address, listen, guest: "", port });
        }
        let parts = split(text);
        let (address, listen, guest, port) = match parts[..] {
            // QEMU's hostfwd: "ADDRESS:PORT-GUEST:PORT".
            [address, middle, port] if !is_ports(middle) && middle.contains('-') => {
                let (listen, guest) = middle.split_once('-').unwrap_or((middle, ""));
                (address, listen, guest, port)
            }
            [port] => ("", port, "", port),
            [listen, port] => ("", listen, "", port),
            [listen, guest, port] if is_ports(listen) => ("", listen, guest, port),
            [address, listen, port] => (address, listen, "", port),
            [address, listen, guest, port] => (address, listen, guest, port),
            _ => return Err("it has too many parts".to_owned()),
        };
        Ok(Parts { address, listen, guest, port })
    }
}

/// Forwards that one text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List(pub Vec<Forward>);

impl FromStr for List {
    type Err = String;

    /// Items between commas; the first one's protocol and address are those of the others, too, unless
    /// they have their own.
    fn from_str(text: &str) -> Result<List, String> {
        if text.starts_with("unix:") {
            return Ok(List(vec![text.parse()?])); // a path may have commas
        }
        let first = text.split(',').next().unwrap_or_default();
        let (protocol, address, _) = prefixes(first);
        let forwards = text.split(',').map(|item| match prefixes(item) {
            _ if item.starts_with("hostfwd=") => item.parse(),
            (own, at, rest) => {
                let protocol = if own.is_empty() { protocol } else { own };
                let address = if at.is_empty() { address } else { at };
                format!("{protocol}{address}{rest}").parse()
            }
        });
        forwards.collect::<Result<_, _>>().map(List)
    }
}

/// What stands in front of the ports, as far as it can be shared: protocol, passt's address; and the rest.
fn prefixes(item: &str) -> (&str, &str, &str) {
    let protocol = ["tcp:", "udp:"].into_iter().find(|name| item.starts_with(name)).unwrap_or("");
    let item = &item[protocol.len()..];
    let address = item.rfind('/').map_or(0, |at| at + 1);
    (protocol, &item[..address], &item[address..])
}

impl FromStr for Forward {
    type Err = String;

    fn from_str(text: &str) -> Result<Forward, String> {
        parse(text).map_err(|what| {
            format!(
                "bad forward '{text}': {what}; the form is [tcp:|udp:][ADDRESS:]PORT:[GUEST:]PORT, \
                 as in 8080:80"
            )
        })
    }
}

fn parse(text: &str) -> Result<Forward, String> {
    let text = text.strip_prefix("hostfwd=").unwrap_or(text);
    if let Some(rest) = text.strip_prefix("unix:") {
        let (path, port) = rest.rsplit_once(':').ok_or("a socket needs a port behind it")?;
        let (port, span) = ports(port)?;
        return match (path, port, span) {
            ("", _, _) => Err("there is no path".to_owned()),
            (_, 0, _) => Err("the device has no port 0".to_owned()),
            (_, _, 1) => {
                let (protocol, listen) = (Protocol::Tcp, Listen::Unix(path.into()));
                Ok(Forward { protocol, listen, guest: None, port, span: 1 })
            }
            _ => Err("a socket leads to one port".to_owned()),
        };
    }
    let (protocol, text) = match (text.strip_prefix("tcp:"), text.strip_prefix("udp:")) {
        (Some(rest), _) => (Protocol::Tcp, rest),
        (_, Some(rest)) => (Protocol::Udp, rest),
        // QEMU's protocol may be left out, and its colon stays.
        _ => match text.strip_prefix(':') {
            Some(rest) if rest.contains('-') && !rest.contains('/') => (Protocol::Tcp, rest),
            _ => (Protocol::Tcp, text),
        },
    };
    let parts = Parts::of(text)?;
    let (listen, listen_span) = ports(parts.listen)?;
    let (port, span) = ports(parts.port)?;
    if port == 0 {
        return Err("the device has no port 0".to_owned());
    }
    if span != listen_span {
        return Err(format!("{listen_span} ports cannot lead to {span}"));
    }
    let listen = Listen::Ip(SocketAddr::new(address(parts.address)?, listen));
    Ok(Forward { protocol, listen, guest: guest(parts.guest)?, port, span })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Forward>().map_or_else(|error| error, |forward| forward.to_string())
    }

    #[test]
    fn every_spelling_means_what_it_means_where_it_comes_from() {
        for (text, wanted) in [
            ("8080:80", "tcp:127.0.0.1:8080:80"),
            ("0:80", "tcp:127.0.0.1:0:80"),
            ("8080", "tcp:127.0.0.1:8080:8080"),
            ("udp:5683:5683", "udp:127.0.0.1:5683:5683"),
            ("tcp:0.0.0.0:8080:80", "tcp:0.0.0.0:8080:80"),
            ("*:8080:80", "tcp:0.0.0.0:8080:80"),
            ("localhost:8080:80", "tcp:127.0.0.1:8080:80"),
            ("[::1]:8080:80", "tcp:[::1]:8080:80"),
            ("8080:192.168.100.7:80", "tcp:127.0.0.1:8080:192.168.100.7:80"),
            ("[::]:8080:192.168.100.7:80", "tcp:[::]:8080:192.168.100.7:80"),
            ("5000-5009:6000-6009", "tcp:127.0.0.1:5000-5009:6000-6009"),
            ("unix:/run/web.sock:80", "unix:/run/web.sock:80"),
            ("unix:a:b:80", "unix:a:b:80"),
            // QEMU
            ("hostfwd=tcp::5555-:5556", "tcp:127.0.0.1:5555:5556"),
            ("tcp::5555-:5556", "tcp:127.0.0.1:5555:5556"),
            ("udp:0.0.0.0:53-10.0.2.15:5353", "udp:0.0.0.0:53:10.0.2.15:5353"),
            ("hostfwd=::18601-:80", "tcp:127.0.0.1:18601:80"),
            ("hostfwd=:127.0.0.1:18601-10.0.2.15:80", "tcp:127.0.0.1:18601:10.0.2.15:80"),
            (":5000-5009:6000-6009", "tcp:127.0.0.1:5000-5009:6000-6009"),
            ("tcp:5555::5556", "tcp:127.0.0.1:5555:5556"),
            ("tcp:5555:10.0.2.15:5556", "tcp:127.0.0.1:5555:10.0.2.15:5556"),
            // passt
            ("127.0.0.1/8080:80", "tcp:127.0.0.1:8080:80"),
            ("::1/8080", "tcp:[::1]:8080:8080"),
            ("::1/18603:80", "tcp:[::1]:18603:80"),
            ("udp:::/5-6:7-8", "udp:[::]:5-6:7-8"),
            ("[::1]/8080", "tcp:[::1]:8080:8080"),
            ("8080-8081:80-81", "tcp:127.0.0.1:8080-8081:80-81"),
        ] {
            assert!(shown(text).starts_with(wanted), "{text}: {}", shown(text));
        }
    }

    #[test]
    fn a_list_shares_what_its_first_item_begins_with() {
        let shown = |text: &str| match text.parse::<List>() {
            Ok(List(all)) => all.iter().map(Forward::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => error,
        };
        for (text, wanted) in [
            ("18606,18607", "tcp:127.0.0.1:18606:18606 tcp:127.0.0.1:18607:18607"),
            ("18604:80,18605:80", "tcp:127.0.0.1:18604:80 tcp:127.0.0.1:18605:80"),
            ("udp:::1/5,6:7", "udp:[::1]:5:5 udp:[::1]:6:7"),
            ("udp:5,tcp:6,0.0.0.0/7", "udp:127.0.0.1:5:5 tcp:127.0.0.1:6:6 udp:0.0.0.0:7:7"),
            ("hostfwd=tcp::1-:2,hostfwd=udp::3-:4", "tcp:127.0.0.1:1:2 udp:127.0.0.1:3:4"),
            ("8080:80", "tcp:127.0.0.1:8080:80"),
            ("unix:/a,b:80", "unix:/a,b:80"),
        ] {
            assert_eq!(shown(text), wanted, "{text}");
        }
        for text in ["1,", ",", "", "1,http", "1,,2"] {
            assert!(shown(text).contains("is not a port"), "{text}: {}", shown(text));
        }
    }

    #[test]
    fn mistakes_name_the_part_that_is_wrong() {
        for (text, wanted) in [
            ("", "'' is not a port"),
            ("http:80", "'http' is not a port"),
            ("8080:http", "'http' is not a port"),
            ("70000:80", "'70000' is not a port"),
            ("+80:80", "'+80' is not a port"),
            ("8080:0", "the device has no port 0"),
            ("1-3:80", "3 ports cannot lead to 1"),
            ("9-3:9-3", "'9-3' is no range"),
            ("0-3:80-83", "'0-3' is no range"),
            ("example.org:8080:80", "'example.org' is no address of this machine"),
            ("8080:fe80:80", "'fe80' is no IPv4 address of a device"),
            ("1:2:3:4:5", "too many parts"),
            ("unix:/a", "a socket needs a port behind it"),
            ("unix::80", "there is no path"),
            ("unix:/a:80-81", "a socket leads to one port"),
        ] {
            assert!(shown(text).contains(wanted), "{text}: {}", shown(text));
            assert!(shown(text).contains("as in 8080:80"), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_given_again() {
        for text in ["8080:80", "udp:[::1]:1-9:2-10", "unix:/a b:80", "*:1:10.0.0.2:2"] {
            let forward: Forward = text.parse().expect(text);
            assert_eq!(forward.to_string().parse(), Ok(forward), "{text}");
        }
    }
}
