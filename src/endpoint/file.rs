//! `file:PATH`: a recorded raw stream, as QEMU's `logfile=` or `socat -r` write it. It has no
//! times, and nothing can be sent to it.

use tokio::fs::File;

use super::spec::{Form, Options, Spec};
use super::stream::{self, Acknowledge};
use super::{About, Connector, Link, Pending, Standing};
use crate::error::{Category, Error, Result};

/// The form `file:`.
pub(super) static FILE: Form = Form {
    name: "file",
    address: "PATH",
    help: "a recorded raw stream",
    options: &[],
    takes_rest: false,
    settle: Options::check_stream,
    identities: |_| Vec::new(), // everybody can read it
    check: |path| if path.is_empty() { Err("no path behind 'file:'".to_owned()) } else { Ok(()) },
    open: |spec, _| Box::new(RawFile { spec: spec.clone() }),
};

struct RawFile {
    spec: Spec,
}

impl Connector for RawFile {
    fn name(&self) -> &str {
        &self.spec.text
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let file = File::open(&self.spec.address).await.map_err(|error| {
                let text = format!("cannot open {}", self.spec.address);
                Error::new(Category::InputFile, text).caused_by(error)
            })?;
            let about = About {
                is_stream: true,
                endpoint: self.spec.text.clone(),
                peer: None,
                standing: Standing::Served,
                is_live: false,
                has_left: false,
                shared: None,
            };
            let framing = self.spec.options.framing;
            let mut link =
                stream::link(file, tokio::io::sink(), Acknowledge::Never, framing, about);
            link.tx = Box::new(stream::ReadOnly("a recorded file cannot be sent to"));
            Ok(link)
        })
    }
}
