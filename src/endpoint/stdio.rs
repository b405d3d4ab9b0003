//! `stdio`: our own stdin and stdout are the line, for being the program of somebody's `exec:`.

use std::os::fd::BorrowedFd;

use super::descriptor::Descriptor;
use super::spec::{Form, Options, Spec};
use super::stream::{self, Acknowledge};
use super::{About, Connector, Link, Pending, Standing};
use crate::error::{Error, Result};

/// The form `stdio`.
pub static STDIO: Form = Form {
    name: "stdio",
    address: "",
    help: "our own stdin and stdout, for 'sim' as the program of an 'exec:'",
    options: &[],
    takes_rest: false,
    settle: Options::check_stream,
    identities: |_| Vec::new(),
    check: |address| match address {
        "" => Ok(()),
        _ => Err(format!("'stdio' takes no address such as '{address}'")),
    },
    open: |spec, _| Box::new(Stdio(spec.clone())),
};

struct Stdio(Spec);

impl Connector for Stdio {
    fn name(&self) -> &str {
        &self.0.text
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let about = About {
                is_stream: true,
                endpoint: self.0.text.clone(),
                peer: None,
                standing: Standing::Served,
                is_live: true,
                has_left: false,
                shared: None,
            };
            let reader = own(rustix::stdio::stdin(), "stdin")?;
            let writer = own(rustix::stdio::stdout(), "stdout")?;
            Ok(stream::link(reader, writer, Acknowledge::Never, self.0.options.framing, about))
        })
    }
}

fn own(fd: BorrowedFd<'_>, name: &str) -> Result<Descriptor> {
    fd.try_clone_to_owned().and_then(Descriptor::new).map_err(|error| {
        Error::environment(format!("our {name} cannot be a line"))
            .caused_by(error)
            .with_help("it has to be a pipe, as the programs of 'exec:' have it")
    })
}
