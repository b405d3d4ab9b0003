//! Links inside this process: the two ends of a pipe, and the form of the built-in device, which
//! stands above this floor and is opened there.

use super::spec::{Form, Options, Spec};
use super::stream::{self, Acknowledge};
use super::{About, Connector, Link, Pending, Standing};
use crate::error::{Category, Error, Result};
use crate::framing::Framing;

/// Bytes that one end can be ahead of the other.
const PIPE: usize = 4096;

/// The form `sim`.
pub static SIM: Form = Form {
    name: "sim",
    address: "",
    help: "the built-in reference device; options model=, fault=, seed=, line-rate=, stack=",
    options: &["model", "fault", "seed", "line-rate", "stack"],
    takes_rest: false,
    settle: Options::check_stream,
    identities: |_| Vec::new(), // each is another device
    check: |address| match address {
        "" => Ok(()),
        _ => Err(format!("'sim' takes no address such as '{address}', only options behind commas")),
    },
    open: |spec, _| Box::new(Elsewhere(spec.clone())),
};

/// A connector for what has to be opened on another floor.
struct Elsewhere(Spec);

impl Connector for Elsewhere {
    fn name(&self) -> &str {
        &self.0.text
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let text = format!("{} was opened without its device", self.0.text);
            Err(Error::new(Category::Internal, text))
        })
    }
}

/// Two links, each the other's other end.
pub fn pair(name: &str, peer: &str, framing: &'static Framing) -> (Link, Link) {
    let (near, far) = tokio::io::duplex(PIPE);
    let link = |stream, peer: &str| {
        let about = About {
            is_stream: true,
            endpoint: name.to_owned(),
            peer: Some(peer.to_owned()),
            standing: Standing::Served,
            is_live: true,
            has_left: false,
            shared: None,
        };
        let (reader, writer) = tokio::io::split(stream);
        stream::link(reader, writer, Acknowledge::Never, framing, about)
    };
    (link(near, peer), link(far, "the host"))
}

/// A link whose other end is gone: what stands in while there is none.
pub fn nowhere(name: &str) -> Link {
    pair(name, "nobody", crate::framing::ALL[0]).0
}
