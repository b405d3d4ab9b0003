//! The holder's side of sharing.
//!
//! A [`Server`] has two halves. The one on the thread of the line is `Server` itself: it is asked
//! for the next thing to send, with [`Server::next`], which also settles who may send at all. The
//! other is a thread of its own, with a task for each attached process (`session.rs`), so that
//! however many watch, and however slowly, the line does not notice.

use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use super::places::{self, Place};
use super::session;
use super::wire::{FromHolder, Hello, Line, MAJOR, MINOR, Terms};
use crate::bus::{Bus, Door, Inbox};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::stop::{self, Stop, Stopper};

/// Processes that are served at once; more are refused.
pub const MAX_SESSIONS: usize = 64;
/// How long the end of the holder may wait until everybody attached was told.
pub(super) const FAREWELL: Duration = Duration::from_millis(300);

/// An attached process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// Its number here.
    pub number: u64,
    /// How messages name it.
    pub name: String,
}

/// What the sessions ask of the thread of the line.
#[derive(Debug)]
pub(super) enum Request {
    /// Somebody wants to see everything.
    Watch(oneshot::Sender<Inbox>),
    /// Send this.
    Send(Client, What, Reply),
    /// May I have the line alone?
    TakeAlone(Client, Reply),
    /// It is everybody's again.
    GiveBack(Client, Reply),
    /// That client is gone.
    Left(u64),
}

/// The way back to whoever asked.
pub(super) type Reply = oneshot::Sender<FromHolder>;

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Whole frames, each in one piece with its header.
    Frames(Vec<Bytes>),
    /// Bytes as they are.
    Raw(Bytes),
}

/// Something that an attached process wants to be sent. Dropped, it is refused.
#[derive(Debug)]
pub struct Outgoing {
    /// What.
    pub what: What,
    reply: Reply,
}

impl Outgoing {
    /// It is on the line since `time`.
    pub fn sent(self, time: Timestamp) {
        let _ = self.reply.send(FromHolder::Sent(time)); // the sender may have left meanwhile
    }

    /// It is not; why.
    pub fn refuse(self, why: impl Into<String>) {
        let _ = self.reply.send(FromHolder::Refused(why.into()));
    }
}

/// Who may send: everybody, or one alone.
#[derive(Debug, Default)]
struct Turn {
    alone: Option<Client>,
    /// Why nobody can have the line alone.
    busy: Option<String>,
}

impl Turn {
    /// Why `client` may not send; `None` when it may.
    fn objection(&self, client: &Client) -> Option<String> {
        let other = self.alone.as_ref().filter(|alone| alone.number != client.number)?;
        Some(format!("{} has the line alone; try again when it has given it back", other.name))
    }

    fn take(&mut self, client: Client) -> FromHolder {
        if let Some(why) = self.objection(&client).or_else(|| self.busy.clone()) {
            return FromHolder::Refused(why);
        }
        self.alone = Some(client);
        FromHolder::Granted
    }

    fn give_back(&mut self, number: u64) {
        self.alone.take_if(|alone| alone.number == number);
    }
}

/// What both halves know.
#[derive(Debug)]
pub(super) struct Shared {
    hello: Mutex<Hello>,
    /// Counts the times that the line was lost; sessions end when it grows. The text says how.
    pub epoch: watch::Sender<(u64, String)>,
    heard: AtomicBool,
    pub sessions: AtomicUsize,
    /// Whether somebody has the line alone.
    taken: watch::Sender<bool>,
    /// Lets watchers in without the thread of the line, which may be held up by it.
    pub door: OnceLock<Door>,
}

impl Shared {
    pub fn hello(&self) -> Hello {
        let mut hello = self.lock().clone();
        if let Some(terms) = &mut hello.terms
            && terms.line == Line::Unverified
            && self.heard.load(Ordering::Relaxed)
        {
            terms.line = Line::Served;
        }
        hello
    }

    fn lock(&self) -> MutexGuard<'_, Hello> {
        self.hello.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_line(&self, line: Line) {
        if let Some(terms) = &mut self.lock().terms {
            terms.line = line;
        }
    }
}

/// Tells that something was heard from the device: it serves us.
#[derive(Clone, Debug)]
pub struct Ear(Arc<Shared>);

impl Ear {
    /// A frame has come.
    pub fn heard(&self) {
        self.0.heard.store(true, Ordering::Relaxed);
    }
}

/// Shares a line with other processes as long as it lives.
#[derive(Debug)]
pub struct Server {
    requests: mpsc::Receiver<Request>,
    turn: Turn,
    shared: Arc<Shared>,
    place: Option<Place>,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

/// What a holder says about itself.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The command that it runs.
    pub command: String,
    /// The endpoints that it holds, in canonical form.
    pub identities: Vec<String>,
    /// What holds for the line.
    pub terms: Terms,
}

impl Server {
    /// Listens in `folder`; the line counts as absent until [`Server::up`].
    pub fn open(folder: &Path, announcement: Announcement) -> Result<Server> {
        places::tidy(folder);
        let (listener, place) = places::listen(folder)?;
        let (stopper, stop) = stop::pair();
        let (sender, requests) = mpsc::channel(MAX_SESSIONS);
        let Announcement { command, identities, terms } = announcement;
        let hello = Hello {
            major: MAJOR,
            minor: MINOR,
            pid: std::process::id(),
            command,
            identities,
            terms: Some(Terms { line: Line::Waiting, ..terms }),
        };
        let shared = Arc::new(Shared {
            hello: Mutex::new(hello),
            epoch: watch::channel((0, String::new())).0,
            heard: AtomicBool::new(false),
            sessions: AtomicUsize::new(0),
            taken: watch::channel(false).0,
            door: OnceLock::new(),
        });
        let thread = std::thread::Builder::new().name("share".to_owned()).spawn({
            let shared = shared.clone();
            move || run(listener, shared, sender, stop)
        });
        let thread = thread.map_err(|error| {
            Error::environment("cannot start a thread to share the line").caused_by(error)
        })?;
        let turn = Turn::default();
        Ok(Server { requests, turn, shared, place: Some(place), stopper, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn path(&self) -> Option<&Path> {
        self.place.as_ref().map(Place::path)
    }

    /// The endpoints that are held are these by now.
    pub fn rename(&mut self, identities: Vec<String>) {
        self.shared.lock().identities = identities;
    }

    /// The line is there; `is_verified` when it is known to serve us.
    pub fn up(&mut self, is_verified: bool) {
        while let Ok(request) = self.requests.try_recv() {
            // Asked of the line that was lost; unanswered, it is refused.
            if let Request::GiveBack(Client { number, .. }, _) | Request::Left(number) = request {
                self.turn.give_back(number);
            }
        }
        self.note_turn();
        self.shared.heard.store(false, Ordering::Relaxed);
        self.shared.set_line(if is_verified { Line::Served } else { Line::Unverified });
    }

    /// The line is gone: everybody attached is told how and let go.
    pub fn down(&mut self, how: &str) {
        self.shared.set_line(Line::Waiting);
        self.turn.alone = None;
        self.note_turn();
        self.shared.epoch.send_modify(|(epoch, text)| {
            *epoch += 1;
            how.clone_into(text);
        });
    }

    /// For telling that the device was heard.
    pub fn ear(&self) -> Ear {
        Ear(self.shared.clone())
    }

    /// Whether somebody has the line alone: the holder is to send nothing of its own.
    pub fn is_taken(&self) -> bool {
        self.turn.alone.is_some()
    }

    /// For waiting until nobody has it alone.
    pub fn taken(&self) -> watch::Receiver<bool> {
        self.shared.taken.subscribe()
    }

    fn note_turn(&self) {
        let is_taken = self.is_taken();
        self.shared.taken.send_if_modified(|taken| std::mem::replace(taken, is_taken) != is_taken);
    }

    /// Why nobody can have the line alone for now, if that is so.
    pub fn set_busy(&mut self, why: Option<String>) {
        self.turn.busy = why;
    }

    /// The next thing to send; meanwhile lets watchers in and settles who may send. Never ends.
    /// Cancelling it loses nothing.
    pub async fn next(&mut self, bus: &RefCell<Bus>) -> Outgoing {
        self.shared.door.get_or_init(|| bus.borrow().door());
        loop {
            let Some(request) = self.requests.recv().await else {
                std::future::pending::<()>().await;
                continue;
            };
            let outgoing = self.settle(request, bus);
            self.note_turn();
            if let Some(outgoing) = outgoing {
                return outgoing;
            }
        }
    }

    fn settle(&mut self, request: Request, bus: &RefCell<Bus>) -> Option<Outgoing> {
        match request {
            Request::Watch(reply) => drop(reply.send(bus.borrow_mut().watch())),
            Request::Send(client, what, reply) => {
                let is_gone = reply.is_closed();
                let outgoing = Outgoing { what, reply };
                match self.turn.objection(&client) {
                    None if is_gone => {}
                    None => return Some(outgoing),
                    Some(why) => outgoing.refuse(why),
                }
            }
            Request::TakeAlone(client, reply) => drop(reply.send(self.turn.take(client))),
            Request::GiveBack(client, reply) => {
                self.turn.give_back(client.number);
                drop(reply.send(FromHolder::Granted));
            }
            Request::Left(number) => self.turn.give_back(number),
        }
        None
    }
}

impl Drop for Server {
    /// Nobody finds us any more; those attached get what is on its way, and are told.
    fn drop(&mut self) {
        self.place = None;
        let hello = self.shared.hello();
        self.down(&format!("uarttool {} (pid {}) ended", hello.command, hello.pid));
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it ends within FAREWELL; its panic is not ours
        }
    }
}

/// The thread that serves.
fn run(
    listener: std::os::unix::net::UnixListener,
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    stop: Stop,
) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return; // out of file descriptors: the line goes on unshared
    };
    runtime.block_on(session::serve(listener, shared, requests, stop));
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests;
