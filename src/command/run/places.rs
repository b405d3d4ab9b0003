//! Where COMMAND finds the device: variables of its environment, and what people are told.

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::gateway::Opened;
use crate::gateway::forward::{Listen, Protocol};

/// The variables for COMMAND; `device` is an endpoint by which other processes reach the line.
pub fn environment(opened: &[Opened], pcap: &Path, device: String) -> Vec<(String, OsString)> {
    let mut variables: Vec<(String, OsString)> = Vec::new();
    let mut add = |name: String, value: OsString| {
        if variables.iter().all(|(known, _)| *known != name) {
            variables.push((name, value)); // of several forwards to one port the first counts
        }
    };
    for Opened { forward, .. } in opened {
        let Some(address) = address(&forward.listen) else { continue };
        let kind = match forward.protocol {
            Protocol::Tcp => "PORT",
            Protocol::Udp => "UDP_PORT",
        };
        for n in 0..forward.span.max(1) {
            let (ours, its) = (address.port().saturating_add(n), forward.port.saturating_add(n));
            add(format!("UARTTOOL_{kind}_{its}"), ours.to_string().into());
        }
    }
    if let Some(url) = url(opened) {
        add("UARTTOOL_URL".to_owned(), url.into());
    }
    add("UARTTOOL_PCAP".to_owned(), pcap.into());
    add("UARTTOOL_DEVICE".to_owned(), device.into());
    variables
}

/// The variables of our own environment that an outer run made: they lead to its device.
pub fn inherited() -> Vec<OsString> {
    std::env::vars_os().map(|(name, _)| name).filter(|name| is_ours(name)).collect()
}

fn is_ours(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    matches!(&*name, "UARTTOOL_URL" | "UARTTOOL_PCAP" | "UARTTOOL_DEVICE")
        || name.starts_with("UARTTOOL_PORT_")
        || name.starts_with("UARTTOOL_UDP_PORT_")
}

/// `http://127.0.0.1:PORT` of the forward to port 80, or of the first.
fn url(opened: &[Opened]) -> Option<String> {
    let tcp = opened.iter().filter(|opened| opened.forward.protocol == Protocol::Tcp);
    let with_port = tcp.filter_map(|Opened { forward, .. }| {
        let address = address(&forward.listen)?;
        let range = forward.port..=forward.port.saturating_add(forward.span.max(1) - 1);
        let at_80 = 80_u16.checked_sub(forward.port).filter(|_| range.contains(&80));
        let port = address.port().saturating_add(at_80.unwrap_or(0));
        Some((at_80.is_none(), SocketAddr::new(address.ip(), port)))
    });
    let best = with_port.min_by_key(|(is_other, _)| *is_other);
    best.map(|(_, address)| format!("http://{address}"))
}

/// Where a forward is found from this machine.
fn address(listen: &Listen) -> Option<SocketAddr> {
    let Listen::Ip(address) = listen else { return None };
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Some(SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(forwards: &[&str]) -> Vec<String> {
        let open = |text: &&str| Opened {
            number: 1,
            forward: text.parse().expect("a forward"),
            connections: 0,
        };
        let opened: Vec<_> = forwards.iter().map(open).collect();
        let all = environment(&opened, Path::new("/c.pcapng"), "unix:/l".to_owned());
        let shown = |(name, value): (String, OsString)| {
            format!("{}={}", name.trim_start_matches("UARTTOOL_"), value.to_string_lossy())
        };
        all.into_iter().map(shown).collect()
    }

    #[test]
    fn the_variables_of_a_run_are_known_from_others() {
        let opened =
            Opened { number: 1, forward: "7:7".parse().expect("a forward"), connections: 0 };
        for (name, _) in environment(&[opened], Path::new("/c"), String::new()) {
            assert!(is_ours(OsStr::new(&name)), "{name}");
        }
        assert!(is_ours(OsStr::new("UARTTOOL_UDP_PORT_7")));
        for name in ["UARTTOOL", "UARTTOOL_CACHE", "UARTTOOL_TUNNEL", "UARTTOOL_PORT", "PATH"] {
            assert!(!is_ours(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn each_forward_has_its_variable_and_port_80_the_url() {
        let rest = ["PCAP=/c.pcapng", "DEVICE=unix:/l"];
        for (forwards, wanted) in [
            (&[][..], &[][..]),
            (&["8080:80"], &["PORT_80=8080", "URL=http://127.0.0.1:8080"]),
            (
                &["7:7", "udp:9:10", "*:8080:80", "8081:80"],
                &["PORT_7=7", "UDP_PORT_10=9", "PORT_80=8080", "URL=http://127.0.0.1:8080"],
            ),
            (&["[::]:5:6"], &["PORT_6=5", "URL=http://[::1]:5"]),
            (&["7-8:79-80"], &["PORT_79=7", "PORT_80=8", "URL=http://127.0.0.1:8"]),
            (&["unix:/run/a:80", "udp:1:2"], &["UDP_PORT_2=1"]),
        ] {
            assert_eq!(variables(forwards), [wanted, &rest].concat(), "{forwards:?}");
        }
    }
}
