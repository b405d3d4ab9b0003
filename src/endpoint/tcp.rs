//! `tcp:HOST:PORT` and `tcp-listen:HOST:PORT`.
//!
//! Latency decides what is set here. We write a frame in one piece with TCP_NODELAY. The other
//! direction needs more: QEMU writes single bytes, bridges write header and body, and without
//! TCP_NODELAY on their side Nagle's algorithm holds the second piece back until the first is
//! acknowledged, which the kernel delays by 40 ms. So TCP_QUICKACK is armed after each read (the
//! kernel disarms it again by itself), as soon as the peer turns out to write in pieces; a peer that
//! is not on this machine may be cut into segments as well, so that it counts as one that does.
//! `quickack=off` leaves the kernel its habit.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::OnceCell;

use super::queue::Gauge;
use super::spec::{Form, Options, Spec};
use super::stream::{self, Acknowledge};
use super::{About, Connector, Link, Pending, Standing, held, hint};
use crate::error::{Error, Result};
use crate::event::{Event, Events};

/// The form `tcp:`.
pub(super) static TCP: Form = Form {
    name: "tcp",
    address: "HOST:PORT",
    help: "QEMU's '-serial tcp:HOST:PORT,server=on'",
    options: &[],
    takes_rest: false,
    settle: Options::check_stream,
    identities: |address| identities("tcp", address),
    check: |address| match split(address)? {
        ("", _) => Err(format!("no host in '{address}'")),
        _ => Ok(()),
    },
    open: |spec, events| Box::new(Tcp { spec: spec.clone(), events }),
};

/// The form `tcp-listen:`.
pub(super) static TCP_LISTEN: Form = Form {
    name: "tcp-listen",
    address: "[HOST]:PORT",
    help: "waiting for a connection; the host is 127.0.0.1 unless given",
    options: &[],
    takes_rest: false,
    settle: Options::check_stream,
    identities: |address| identities("tcp-listen", address),
    check: |address| split(address).map(|_| ()),
    open: |spec, events| Box::new(Listen { spec: spec.clone(), events, listener: OnceCell::new() }),
};

/// Host and port of `HOST:PORT`; brackets around an IPv6 host are taken off.
fn split(address: &str) -> Result<(&str, u16), String> {
    let Some((host, port)) = address.rsplit_once(':') else {
        return Err(format!("'{address}' has no port"));
    };
    let number = port.parse().ok().filter(|_| !port.starts_with('+'));
    let number = number.ok_or_else(|| format!("'{port}' is not a port (0 to 65535)"))?;
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(host) => Ok((host, number)),
        None if host.contains(['[', ']']) => {
            Err(format!("the brackets in '{address}' do not match"))
        }
        None => Ok((host, number)),
    }
}

/// Every address that `address` resolves to, behind `form`; without a host it is this one, and port
/// 0 is a different one each time.
fn identities(form: &str, address: &str) -> Vec<String> {
    use std::net::{Ipv4Addr, Ipv6Addr, ToSocketAddrs};
    let Ok((host, port @ 1..)) = split(address) else { return Vec::new() };
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let mut addresses: Vec<_> = (host, port).to_socket_addrs().into_iter().flatten().collect();
    for address in &mut addresses {
        match address {
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => v4.set_ip(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(v6) if v6.ip().is_unspecified() => v6.set_ip(Ipv6Addr::LOCALHOST),
            _ => {}
        }
    }
    addresses.sort();
    addresses.dedup();
    addresses.iter().map(|address| format!("{form}:{address}")).collect()
}

fn parts(spec: &Spec) -> (String, u16) {
    split(&spec.address).map_or_else(|_| (String::new(), 0), |(host, port)| (host.to_owned(), port))
}

struct Tcp {
    spec: Spec,
    events: Events,
}

/// How long a server may take to answer a SYN: on this machine, and elsewhere.
const HERE: Duration = Duration::from_millis(1500);
const ELSEWHERE: Duration = Duration::from_secs(10);

impl Connector for Tcp {
    fn name(&self) -> &str {
        &self.spec.text
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let stream = self.connect_in_time().await?;
            let addresses = stream.local_addr().and_then(|a| stream.peer_addr().map(|b| (a, b)));
            let (local, peer) = addresses.map_err(|error| self.cannot_connect(error))?;
            if local == peer {
                // The kernel has picked the very port as ours: nobody listens, and we hear ourselves.
                return Err(self.cannot_connect(ErrorKind::ConnectionRefused.into()));
            }
            let waiting = held::Waiting {
                endpoint: &self.spec.text,
                again: self.spec.options.reconnect,
                events: &self.events,
            };
            let (standing, peer) = held::tcp(&waiting, local, peer).await?;
            link(&self.spec, stream, standing, peer)
        })
    }
}

impl Tcp {
    /// A server whose queue is full does not even answer: it has more than one client too many.
    async fn connect_in_time(&self) -> Result<TcpStream> {
        let (host, port) = parts(&self.spec);
        let cannot = |error| self.cannot_connect(error);
        let addresses: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(cannot)?.collect();
        let is_here = addresses.iter().all(|address| address.ip().is_loopback());
        let patience = if is_here { HERE } else { ELSEWHERE };
        match tokio::time::timeout(patience, TcpStream::connect(&addresses[..])).await {
            Ok(connected) => connected.map_err(cannot),
            Err(_) => {
                let held = addresses.iter().find_map(|a| held::tcp_full(&self.spec.text, *a));
                Err(held.unwrap_or_else(|| match is_here {
                    true => held::full_queue(&self.spec.text),
                    false => cannot(ErrorKind::TimedOut.into()),
                }))
            }
        }
    }

    fn cannot_connect(&self, error: std::io::Error) -> Error {
        let refused = error.kind() == ErrorKind::ConnectionRefused;
        let wrapped = Error::environment(format!("cannot connect to tcp:{}", self.spec.address))
            .caused_by(error);
        if !refused {
            return wrapped;
        }
        wrapped.with_help(format!("nothing listens there: {}", hint::start(&self.spec)))
    }
}

struct Listen {
    spec: Spec,
    events: Events,
    listener: OnceCell<TcpListener>,
}

impl Listen {
    async fn bind(&self) -> Result<TcpListener> {
        let (host, port) = parts(&self.spec);
        let host = if host.is_empty() { "127.0.0.1" } else { &host };
        let cannot = |error: std::io::Error| {
            Error::environment(format!("cannot listen on {}", self.spec.address)).caused_by(error)
        };
        let addresses: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(cannot)?.collect();
        let listener = TcpListener::bind(&addresses[..]).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        self.events.tell(Event::Listening(format!("tcp:{address}")));
        Ok(listener)
    }
}

impl Connector for Listen {
    fn name(&self) -> &str {
        &self.spec.text
    }

    fn prepare(&self) -> Pending<'_, Result<bool>> {
        Box::pin(async move { self.listener.get_or_try_init(|| self.bind()).await.map(|_| true) })
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let listener = self.listener.get_or_try_init(|| self.bind()).await?;
            let (stream, peer) = listener.accept().await.map_err(|error| {
                Error::environment(format!("cannot accept on {}", self.spec.address))
                    .caused_by(error)
            })?;
            link(&self.spec, stream, Standing::Served, Some(peer.to_string()))
        })
    }
}

fn link(spec: &Spec, stream: TcpStream, standing: Standing, peer: Option<String>) -> Result<Link> {
    stream.set_nodelay(true).map_err(|error| {
        Error::environment(format!("cannot set TCP_NODELAY on {}", spec.text)).caused_by(error)
    })?;
    let about = About {
        is_stream: true,
        endpoint: spec.text.clone(),
        peer,
        standing,
        is_live: true,
        has_left: super::has_left(&stream),
        shared: None,
    };
    let gauge = spec.options.queue.and_then(|bound| {
        let (local, peer) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
        Some((Gauge::tcp(local, peer)?, bound))
    });
    let is_here = stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
    let (reader, writer) = stream.into_split();
    let acknowledge = match (spec.options.quickack, is_here) {
        (false, _) => Acknowledge::Never,
        (true, true) => Acknowledge::Pieces(acknowledge_at_once),
        (true, false) => Acknowledge::Always(acknowledge_at_once),
    };
    let framing = spec.options.framing;
    Ok(match gauge {
        Some(queue) => stream::bounded_link((reader, writer), acknowledge, framing, about, queue),
        None => stream::link(reader, writer, acknowledge, framing, about),
    })
}

/// Arms TCP_QUICKACK. A failure only costs latency.
#[cfg(target_os = "linux")]
fn acknowledge_at_once(reader: &OwnedReadHalf) {
    let _ = rustix::net::sockopt::set_tcp_quickack(reader.as_ref(), true);
}

#[cfg(not(target_os = "linux"))]
fn acknowledge_at_once(_: &OwnedReadHalf) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let v4 = ["tcp:127.0.0.1:5556".to_owned()];
        assert!(identities("tcp", "localhost:5556").contains(&v4[0]));
        for address in ["127.0.0.1:5556", "0.0.0.0:5556", ":5556"] {
            assert_eq!(identities("tcp", address), v4, "{address}");
        }
        assert_eq!(identities("tcp", "[::]:5556"), ["tcp:[::1]:5556"]);
        assert_eq!(identities("tcp", "[::1]:5556"), ["tcp:[::1]:5556"]);
        assert_ne!(identities("tcp", "127.0.0.1:5556"), identities("tcp", "127.0.0.1:5557"));
        assert!(identities("tcp-listen", ":0").is_empty());
    }
}
