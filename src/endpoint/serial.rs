//! `serial:PATH`: a real line, through a serial port of this machine.
//!
//! Opening a port must not reset the board behind it. Linux raises DTR and RTS together when a port is
//! opened, before any program is asked, and drops them when it is closed, if `HUPCL` is set; the usual
//! circuit of ESP boards resets on RTS without DTR and is left alone by both together. So we clear
//! `HUPCL`, that nothing changes when we leave and nothing when the next one comes, and touch neither
//! line unless `dtr=` or `rts=` says so ([`lines`]).
//!
//! The port is ours alone while we have it (`port`). It is a line without an end: what ends it is the
//! adapter being pulled out, and with `reconnect=` it is waited for under the same path, which is best one
//! of `/dev/serial/by-id/`. The first bytes tell whether the rate can be right (`watch`).

pub mod lines;
mod port;
mod watch;

use std::time::Duration;

use super::spec::{Form, Options, Spec};
use super::stream::{self, Acknowledge};
use super::{About, Connector, Link, Pending, Receive, Received, Standing};
use crate::error::Result;
use crate::event::Events;
pub use port::{Claim, Port, claim, no_reset};

/// The form `serial:`.
pub(super) static SERIAL: Form = Form {
    name: "serial",
    address: "PATH",
    help: "a serial port; options baud=115200, flow=none|rtscts, dtr=keep|on|off, rts=...",
    options: &["baud", "flow", "dtr", "rts"],
    takes_rest: false,
    settle: |options| {
        options.check_stream()?;
        let settings = Settings::of(options)?;
        options.line_rate.get_or_insert(settings.baud);
        Ok(())
    },
    identities: |path| {
        let whole = std::fs::canonicalize(path).ok();
        let whole = whole.as_deref().and_then(|path| path.to_str());
        whole.map(|path| format!("serial:{path}")).into_iter().collect()
    },
    check: |path| match path {
        "" => Err("no device behind 'serial:', such as /dev/ttyUSB0".to_owned()),
        _ if path.contains('\0') => Err("a path has no NUL in it".to_owned()),
        _ => Ok(()),
    },
    open: |spec, events| Box::new(Serial { spec: spec.clone(), events }),
};

/// What the rate is unless the user says otherwise: the ESP32's own.
const DEFAULT_BAUD: u32 = 115_200;

/// How a port is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The rate in baud.
    pub baud: u32,
    /// Whether RTS and CTS hold the sender back.
    pub has_flow_control: bool,
    /// What DTR is to be; `None` leaves it as opening has it.
    pub dtr: Option<bool>,
    /// The same of RTS.
    pub rts: Option<bool>,
}

impl Settings {
    /// As the options of an endpoint say; an error names the one that is wrong.
    pub fn of(options: &Options) -> Result<Settings, String> {
        let baud = options.own("baud").map_or(Ok(DEFAULT_BAUD), parse_baud)?;
        let has_flow_control = match options.own("flow") {
            None | Some("none") => false,
            Some("rtscts") => true,
            Some(other) => return Err(format!("flow '{other}' is neither none nor rtscts")),
        };
        let line = |name| match options.own(name) {
            None | Some("keep") => Ok(None),
            Some("on") => Ok(Some(true)),
            Some("off") => Ok(Some(false)),
            Some(other) => Err(format!("{name} '{other}' is none of keep, on and off")),
        };
        let (dtr, rts) = (line("dtr")?, line("rts")?);
        if has_flow_control && rts.is_some() {
            return Err("with flow=rtscts the driver moves RTS: leave rts= out".to_owned());
        }
        Ok(Settings { baud, has_flow_control, dtr, rts })
    }
}

fn parse_baud(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(baud @ 300..=20_000_000) => Ok(baud),
        _ => Err(format!("baud '{text}' is not a rate such as 115200 or 921600")),
    }
}

struct Serial {
    spec: Spec,
    events: Events,
}

impl Connector for Serial {
    fn name(&self) -> &str {
        &self.spec.text
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let settings = Settings::of(&self.spec.options)
                .map_err(|what| crate::error::Error::usage(format!("bad endpoint: {what}")))?;
            let path = self.spec.address.clone();
            // Another process is looked for in all of /proc.
            let opened = tokio::task::spawn_blocking(move || port::claim(&path)).await;
            let claim = opened.map_err(|_| {
                crate::error::Error::environment(format!("cannot open {}", self.spec.address))
            })??;
            let port = Port::open(claim, &settings)?;
            Ok(self.link(port, settings))
        })
    }
}

impl Serial {
    fn link(&self, port: Port, settings: Settings) -> Link {
        let flow = if settings.has_flow_control { ", RTS/CTS" } else { "" };
        let about = About {
            is_stream: true,
            endpoint: self.spec.text.clone(),
            peer: Some(format!("{} baud{flow}", settings.baud)),
            standing: Standing::Served,
            is_live: true,
            has_left: false,
            shared: None,
        };
        let options = &self.spec.options;
        let (reader, writer) = tokio::io::split(port);
        let link = stream::link(reader, writer, Acknowledge::Never, options.framing, about);
        let watch = (!options.is_text).then(|| watch::Watch::new(options, settings.baud));
        let (path, events) = (self.spec.address.clone(), self.events.clone());
        Link { rx: Box::new(Line { inner: link.rx, watch, path, events }), ..link }
    }
}

/// Looks at what comes until it is clear whether the rate is right.
struct Line {
    inner: Box<dyn Receive>,
    watch: Option<watch::Watch>,
    path: String,
    events: Events,
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(warning) = self.watch.as_mut().and_then(watch::Watch::finish) {
            self.events.warn(format!("{}: {warning}", self.path));
        }
    }
}

/// How long a driver may take to take its device away.
const GOING: Duration = Duration::from_millis(200);

impl Receive for Line {
    fn receive(&mut self) -> Pending<'_, Result<Received>> {
        Box::pin(async move {
            match self.inner.receive().await? {
                Received::End(_) => {
                    tokio::time::sleep(GOING).await;
                    let is_there = std::path::Path::new(&self.path).exists();
                    Ok(Received::End(match is_there {
                        true => "its other end hung up".to_owned(),
                        false => "unplugged".to_owned(),
                    }))
                }
                Received::Bytes(bytes) => {
                    if let Some(seen) = self.watch.as_mut().and_then(|watch| watch.push(&bytes)) {
                        self.watch = None;
                        if let Some(warning) = seen {
                            self.events.warn(format!("{}: {warning}", self.path));
                        }
                    }
                    Ok(Received::Bytes(bytes))
                }
                records @ Received::Records(_) => Ok(records),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(options: &str) -> Result<Settings, String> {
        let spec = Spec::parse(&format!("serial:/dev/ttyUSB0{options}"));
        Settings::of(&spec.map_err(|error| error.chain())?.options)
    }

    #[test]
    fn nothing_is_touched_unless_the_user_says_so() {
        let plain = Settings { baud: 115_200, has_flow_control: false, dtr: None, rts: None };
        assert_eq!(settings(""), Ok(plain));
        let all = Settings { baud: 921_600, dtr: Some(false), rts: Some(true), ..plain };
        assert_eq!(settings(",baud=921600,dtr=off,rts=on,flow=none"), Ok(all));
        assert_eq!(settings(",dtr=keep,rts=keep"), Ok(plain));
    }

    #[test]
    fn a_bad_option_is_named() {
        for (options, part) in [
            (",baud=fast", "baud 'fast'"),
            (",baud=0", "baud '0'"),
            (",flow=xon", "flow 'xon'"),
            (",dtr=1", "dtr '1'"),
            (",rts=maybe", "rts 'maybe'"),
            (",flow=rtscts,rts=on", "leave rts= out"),
            (",speed=9600", "there is no option 'speed'; there are"),
            (",framing=dgram", "framing=dgram is for unix:"),
        ] {
            let error = settings(options).expect_err(options);
            assert!(error.contains(part), "{options}: {error}");
        }
    }

    #[test]
    fn the_lines_rate_is_the_ports_unless_told_otherwise() {
        let rate = |text: &str| Spec::parse(text).expect(text).options.line_rate;
        assert_eq!(rate("serial:/dev/ttyUSB0,baud=921600"), Some(921_600));
        assert_eq!(rate("serial:/dev/ttyUSB0"), Some(115_200));
        assert_eq!(rate("serial:/dev/ttyUSB0,baud=921600,line-rate=57600"), Some(57_600));
    }
}
