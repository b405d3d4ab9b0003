//! `tap:NAME`: an Ethernet interface of Linux whose other end is in our hands. Behind it is the
//! kernel's own stack, or whatever is bridged to the interface.
//!
//! A TAP moves frames and nothing else; it is dressed as a byte stream of the endpoint's framing,
//! so that everything above works unchanged.

#[cfg(target_os = "linux")]
mod link;

use super::spec::{Form, Options, Spec};
use super::{Connector, Link, Pending};
use crate::error::{Error, Result};
use crate::event::Events;

/// The form `tap:`.
pub(super) static TAP: Form = Form {
    name: "tap",
    address: "NAME",
    help: "a TAP interface of Linux: as root, or one that your user owns",
    options: &[],
    takes_rest: false,
    settle: Options::check_stream,
    identities: |name| vec![format!("tap:{name}")],
    check,
    open: |spec, events| Box::new(Tap { spec: spec.clone(), events }),
};

/// The longest name of an interface, in bytes (`IFNAMSIZ` without the NUL).
const LONGEST_NAME: usize = 15;

/// What the kernel takes for a name, and `%`, in whose place it would put a number.
fn check(name: &str) -> Result<(), String> {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "/:%".contains(c);
    match name {
        "" => Err("no interface behind 'tap:'".to_owned()),
        _ if name.len() > LONGEST_NAME => Err(format!(
            "the name '{name}' is {} bytes long; an interface's name has at most {LONGEST_NAME}",
            name.len()
        )),
        "." | ".." => Err(format!("'{name}' cannot be the name of an interface")),
        _ if name.contains(is_odd) => Err(format!("'{name}' cannot be the name of an interface")),
        _ => Ok(()),
    }
}

struct Tap {
    spec: Spec,
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    events: Events,
}

impl Connector for Tap {
    fn name(&self) -> &str {
        &self.spec.text
    }

    #[cfg(target_os = "linux")]
    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move { link::open(&self.spec, &self.events) })
    }

    #[cfg(not(target_os = "linux"))]
    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            Err(Error::environment(format!("cannot open {}", self.spec.text))
                .with_help("TAP interfaces are Linux's; elsewhere use tcp: or unix:"))
        })
    }
}

/// The error for an interface that the system did not let us have.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn cannot_open(name: &str, error: std::io::Error) -> Error {
    use rustix::io::Errno;
    let help = match Errno::from_io_error(&error) {
        Some(Errno::PERM | Errno::ACCESS) => format!(
            "this needs CAP_NET_ADMIN, or an interface that is yours: \
             'sudo ip tuntap add dev {name} mode tap user $USER && sudo ip link set {name} up'"
        ),
        Some(Errno::BUSY) => {
            "another program holds the interface: end that one, or use another name".to_owned()
        }
        Some(Errno::INVAL) => format!(
            "there is an interface {name}, and it is no TAP interface with a single queue; use \
             another name"
        ),
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => {
            "the kernel has no TUN/TAP driver here: 'sudo modprobe tun', or start the container \
             with '--device /dev/net/tun'"
                .to_owned()
        }
        _ => return Error::environment(format!("cannot open tap:{name}")).caused_by(error),
    };
    Error::environment(format!("cannot open tap:{name}")).caused_by(error).with_help(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Category;

    #[test]
    fn names_that_the_kernel_would_not_take_are_refused() {
        for good in ["uart0", "a", "tap-15-bytes-xx", "br0.7"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "tap-16-bytes-xxx", ".", "..", "a/b", "a b", "a:0", "tap%d", "a\u{7}"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_reason_why_it_cannot_be_opened_comes_with_the_way_out() {
        use rustix::io::Errno;
        for (errno, way_out) in [
            (Errno::PERM, "sudo ip tuntap add dev uart0 mode tap user $USER"),
            (Errno::ACCESS, "CAP_NET_ADMIN"),
            (Errno::BUSY, "another program holds"),
            (Errno::INVAL, "no TAP interface"),
            (Errno::NOENT, "modprobe tun"),
        ] {
            let error = cannot_open("uart0", errno.into());
            assert_eq!(error.category(), Category::Environment);
            assert!(error.chain().starts_with("cannot open tap:uart0: "), "{}", error.chain());
            assert!(error.help().is_some_and(|help| help.contains(way_out)), "{errno}");
        }
    }
}
