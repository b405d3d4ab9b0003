//! The link to a TAP interface: frames of the kernel as a byte stream, and back.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;
use tun_rs::{AsyncDevice, DeviceBuilder, Layer};

use super::super::spec::Spec;
use super::super::whole::{Losses, Outlet, PATIENCE, Writer};
use super::super::{About, Link, Pending, Receive, Received, Standing};
use super::cannot_open;
use crate::error::{Error, Result};
use crate::event::Events;
use crate::framing::{ALL, Framing};

/// The shortest frame that the kernel takes: an Ethernet header.
const SHORTEST: usize = 14;
/// Room for the longest frame that a framing can announce, and one byte to see that it is longer.
const LONGEST: usize = 65536;
/// Bytes after which what was read is handed on, although there may be more.
const BATCH: usize = 16 * 1024;

const DOWN: &str = "the interface is down";

/// Attaches to the interface, which is made if there is none.
pub fn open(spec: &Spec, events: &Events) -> Result<Link> {
    let name = &spec.address;
    if spec.options.framing != ALL[0] {
        let text =
            format!("an interface carries frames whole, not in {}", spec.options.framing.name);
        return Err(Error::usage(text).with_help(
            "leave 'framing=' and '--framing' away; where '--preset' or uarttool.toml says it, \
             ',framing=len16be' behind the endpoint comes before that",
        ));
    }
    let device = DeviceBuilder::new().name(name).layer(Layer::L2).inherit_enable_state();
    let device = Arc::new(device.build_async().map_err(|error| cannot_open(name, error))?);
    bring_up(&device, name, events);
    let rx = Reader {
        device: device.clone(),
        framing: spec.options.framing,
        buffer: vec![0; LONGEST],
        name: name.clone(),
    };
    let mouth = Mouth { device, name: name.clone() };
    let tx = Writer::new(mouth, format!("tap:{name}"), spec.options.max_frame, events);
    let about = About {
        is_stream: false,
        endpoint: spec.text.clone(),
        peer: None,
        standing: Standing::Served,
        is_live: true,
        has_left: false,
        shared: None,
    };
    Ok(Link { rx: Box::new(rx), tx: Box::new(tx), about })
}

/// A new interface is down. Where we may not change that, somebody else has to, and is told.
fn bring_up(device: &AsyncDevice, name: &str, events: &Events) {
    if !is_up(name) && device.enabled(true).is_err() {
        events.warn(format!("{name} is down, and we may not change that{}", way_up(name)));
    }
}

fn is_up(name: &str) -> bool {
    let interfaces = pnet::datalink::interfaces();
    interfaces.iter().any(|interface| interface.name == name && interface.is_up())
}

fn way_up(name: &str) -> String {
    format!(": 'sudo ip link set {name} up'")
}

struct Reader {
    device: Arc<AsyncDevice>,
    framing: &'static Framing,
    buffer: Vec<u8>,
    name: String,
}

impl Reader {
    /// Reads what is there, as far as it fits into a batch.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            match self.device.try_recv(&mut self.buffer) {
                Ok(0) if batch.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(0) => break,
                // What no header can announce cannot be on this line.
                Ok(n) => drop(self.framing.encode(&self.buffer[..n], &mut batch)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if batch.is_empty() => return Err(error),
                Err(_) => break, // it comes again
            }
        }
        Ok(batch)
    }
}

impl Receive for Reader {
    fn receive(&mut self) -> Pending<'_, Result<Received>> {
        Box::pin(async move {
            loop {
                let batch = match self.device.readable().await {
                    Ok(()) => self.read(),
                    Err(error) => Err(error),
                };
                match batch {
                    Ok(batch) if batch.is_empty() => {} // it was not ready after all
                    Ok(batch) => return Ok(Received::Bytes(batch.into())),
                    Err(_) => {
                        return Ok(Received::End(format!("the interface {} is gone", self.name)));
                    }
                }
            }
        })
    }
}

/// Where frames leave.
struct Mouth {
    device: Arc<AsyncDevice>,
    name: String,
}

impl Outlet for Mouth {
    async fn write(&self, frame: &[u8], losses: &mut Losses) -> Result<()> {
        if frame.len() < SHORTEST {
            losses.dropped("a frame is shorter than an Ethernet header, 14 bytes", "");
            return Ok(());
        }
        let sent = match self.device.try_send(frame) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !is_up(&self.name) {
                    losses.dropped(DOWN, &way_up(&self.name)); // it would block until it is up
                    return Ok(());
                }
                let sending = tokio::time::timeout(PATIENCE, self.device.send(frame));
                sending.await.unwrap_or_else(|_| Err(Errno::NOBUFS.into()))
            }
            sent => sent,
        };
        let Err(error) = sent else { return Ok(()) };
        match Errno::from_io_error(&error) {
            Some(Errno::IO) => losses.dropped(DOWN, &way_up(&self.name)),
            Some(Errno::INVAL) => losses.dropped("the kernel refuses a frame", ""),
            Some(Errno::NOBUFS | Errno::NOMEM) => losses.dropped("the kernel takes no more", ""),
            _ => {
                let text = format!("cannot send to tap:{}", self.name);
                return Err(Error::environment(text).caused_by(error));
            }
        }
        Ok(())
    }
}
