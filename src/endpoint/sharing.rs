//! The holder's side of sharing, on a link: what taps and the probe have in common.

use std::cell::RefCell;
use std::path::PathBuf;

use bytes::Bytes;
use tokio::sync::watch;

use super::{About, Spec, Standing, Transmit};
use crate::bus::Bus;
use crate::clock::{Clock, Timestamp};
use crate::error::{Category, Result};
use crate::event::Events;
use crate::framing::Decoder;
use crate::record::{Body, Direction, Origin, Record, Span};
use crate::share::server::{Announcement, Ear, Outgoing, Server, What};
use crate::share::wire::{Host, Line, Terms};

/// Shares whatever line its owner holds, from the first time that it is there; or does not, when
/// the line cannot be shared.
#[derive(Debug)]
pub struct Sharing {
    folder: Option<PathBuf>,
    announcement: Announcement,
    /// A path that may lead elsewhere when it is plugged in again, and under how many names it is held.
    plug: Option<(String, usize)>,
    server: Option<Server>,
    busy: Option<String>,
    events: Events,
    clock: Clock,
}

impl Sharing {
    /// Shares the line at `spec`, in the name of `command`, from `folder`; not without a folder.
    pub async fn new(
        folder: Option<PathBuf>,
        command: &str,
        spec: &Spec,
        clock: &Clock,
        events: &Events,
    ) -> Sharing {
        let terms = Terms {
            endpoint: spec.text.clone(),
            since: Timestamp::default(),
            line: Line::Waiting,
            framing: spec.options.framing.name.to_owned(),
            max_frame: spec.options.max_frame as u32,
            host: None,
        };
        let identities = spec.identities().await;
        let command = command.to_owned();
        let is_plug = spec.form.name == super::serial::SERIAL.name;
        let plug = is_plug.then(|| (spec.address.clone(), identities.len()));
        Sharing {
            folder,
            plug,
            announcement: Announcement { command, identities, terms },
            server: None,
            busy: None,
            events: events.clone(),
            clock: clock.clone(),
        }
    }

    /// Shares nothing.
    pub fn none() -> Sharing {
        let terms = Terms {
            endpoint: String::new(),
            since: Timestamp::default(),
            line: Line::Waiting,
            framing: String::new(),
            max_frame: 0,
            host: None,
        };
        Sharing {
            folder: None,
            announcement: Announcement { command: String::new(), identities: Vec::new(), terms },
            plug: None,
            server: None,
            busy: None,
            events: Events::ignore(),
            clock: Clock::system(),
        }
    }

    /// Has the line be found by another name, too, as if that were one of its endpoint's identities.
    pub fn add_name(&mut self, identity: String) {
        self.announcement.identities.push(identity);
    }

    /// We are a host with these addresses ourselves.
    pub fn set_host(&mut self, host: Host) {
        self.announcement.terms.host = Some(host);
    }

    /// Why nobody can have the line alone for now, if that is so.
    pub fn set_busy(&mut self, why: Option<String>) {
        self.busy.clone_from(&why);
        if let Some(server) = &mut self.server {
            server.set_busy(why);
        }
    }

    /// The line is there. One that is itself shared by another, or is a file, is not shared.
    pub fn up(&mut self, about: &About) {
        if about.shared.is_some() || !about.is_live {
            self.server = None;
            return;
        }
        self.look_where_it_leads();
        if let (None, Some(folder)) = (&self.server, &self.folder) {
            let mut announcement = self.announcement.clone();
            announcement.terms.since = self.clock.now();
            match Server::open(folder, announcement) {
                Ok(mut server) => {
                    server.set_busy(self.busy.clone());
                    self.server = Some(server);
                }
                Err(error) => {
                    self.events.warn(format!("the line is not shared: {}", error.chain()));
                    self.folder = None;
                }
            }
        }
        if let Some(server) = &mut self.server {
            server.up(about.standing == Standing::Served);
        }
    }

    /// What was plugged in again may be another device under the same path.
    fn look_where_it_leads(&mut self) {
        let Some((path, held)) = &mut self.plug else { return };
        let names = (super::serial::SERIAL.identities)(path);
        if names.is_empty() {
            return;
        }
        let now = names.len();
        self.announcement.identities.splice(..*held, names);
        *held = now;
        if let Some(server) = &mut self.server {
            server.rename(self.announcement.identities.clone());
        }
    }

    /// The line is gone; how it showed.
    pub fn down(&mut self, how: &str) {
        if let Some(server) = &mut self.server {
            server.down(how);
        }
    }

    /// For telling that the device was heard; `None` when nobody wants to know.
    pub fn ear(&self) -> Option<Ear> {
        self.server.as_ref().map(Server::ear)
    }

    /// Whether somebody has the line alone: its holder is to send nothing of its own.
    pub fn is_taken(&self) -> bool {
        self.server.as_ref().is_some_and(Server::is_taken)
    }

    /// For waiting until nobody has the line alone.
    pub fn taken(&self) -> Option<watch::Receiver<bool>> {
        self.server.as_ref().map(Server::taken)
    }

    /// The next thing that somebody wants to be sent; see [`Server::next`].
    pub async fn next(&mut self, bus: &RefCell<Bus>) -> Outgoing {
        match &mut self.server {
            Some(server) => server.next(bus).await,
            None => std::future::pending().await,
        }
    }
}

/// Puts what others send on the line and makes the records of it.
pub struct Deliverer {
    origin: Origin,
    clock: Clock,
    /// For raw bytes: what they amount to.
    decoder: Box<dyn Decoder>,
}

impl Deliverer {
    /// Records are of `origin`; `decoder` shows what raw bytes amount to.
    pub fn new(connection: u32, options: &super::Options, clock: &Clock) -> Deliverer {
        let origin = Origin { tap: 0, connection, direction: Direction::ToDevice };
        let decoder = (options.framing.decoder)(origin, options.max_frame);
        Deliverer { origin, clock: clock.clone(), decoder }
    }

    /// Sends `outgoing` through `tx` and appends its records; an error means that the line is
    /// gone. What cannot be sent at all is refused, which is the sender's affair.
    pub async fn deliver(
        &mut self,
        outgoing: Outgoing,
        tx: &mut dyn Transmit,
        records: &mut Vec<Record>,
    ) -> Result<()> {
        let now = self.clock.now();
        let sent = match &outgoing.what {
            What::Frames(frames) => tx.send(frames).await,
            What::Raw(bytes) => tx.send_raw(bytes).await,
        };
        if let Err(error) = sent {
            outgoing.refuse(error.chain());
            return if error.category() == Category::Environment { Err(error) } else { Ok(()) };
        }
        match &outgoing.what {
            What::Frames(frames) => records.extend(frames.iter().map(|f| self.frame(f, now))),
            What::Raw(bytes) => self.decoder.push(now, bytes, records),
        }
        outgoing.sent(now);
        Ok(())
    }

    fn frame(&self, frame: &Bytes, now: Timestamp) -> Record {
        let body = Body::Frame(frame.clone());
        Record { time: Some(Span::at(now)), origin: self.origin, offset: None, body }
    }

    /// Nothing has been sent for a while: raw bytes that wait for more are decided.
    pub fn idle(&mut self, records: &mut Vec<Record>) {
        self.decoder.idle(self.clock.now(), records);
    }

    /// The connection is over: everything that is left comes out.
    pub fn finish(&mut self, records: &mut Vec<Record>) {
        self.decoder.finish(self.clock.now(), records);
    }
}
