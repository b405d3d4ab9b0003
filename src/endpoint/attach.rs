//! Through another uarttool: the client's side of sharing (see [`crate::share`]).
//!
//! [`Attach`] wraps the connector of an endpoint: when a uarttool on this machine holds that same
//! endpoint, the link goes through it, otherwise the wrapped connector connects. The holder frames,
//! times and directs what is seen, so that the link yields records.
//!
//! A task of its own reads what the holder says, since answers must get through to a sender whether
//! or not somebody takes the records; these wait in a bounded queue, like at every watcher.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::spec::Spec;
use super::{About, Connector, Link, Pending, Receive, Received, Shared, Standing, Transmit};
use crate::bus::{Bus, Inbox};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::event::{Event, Events};
use crate::framing::Framing;
use crate::share::holders::{self, Holder, Opened};
use crate::share::pipe::Incoming;
use crate::share::places;
use crate::share::wire::{FromHolder, Line, MAJOR, MAX_REQUEST, MINOR, ToHolder};

/// How long a holder may take to let us in.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a holder is looked for while we wait to become one.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// So many answers can be waited for; more than one when waiting for the others was cancelled.
const ANSWERS: usize = 16;
/// Records that are taken at once.
const AT_ONCE: usize = 256;

/// Whether and as whom to attach.
#[derive(Clone, Debug)]
pub struct Attach {
    /// The folder in which holders are found.
    pub folder: PathBuf,
    /// The command that we run.
    pub command: String,
    /// Whether nobody else is to send meanwhile.
    pub alone: bool,
}

impl Attach {
    /// Goes through a holder of `spec` if there is one, and with `connector` otherwise.
    pub(super) fn or(
        self,
        spec: &Spec,
        connector: Box<dyn Connector>,
        events: Events,
    ) -> Box<dyn Connector> {
        Box::new(AttachOr { attach: self, spec: spec.clone(), connector, events })
    }

    /// The holder of one of `identities` whose turn it is, if there is one.
    async fn find(&self, identities: &[String]) -> Result<Option<Holder>> {
        let holders = holders::find(&self.folder).await;
        let Some(holder) = holders.into_iter().find(|holder| holder.holds(identities)) else {
            return Ok(None);
        };
        holder.check_version()?;
        if holder.is_up() {
            return Ok(Some(holder));
        }
        // Of several that all held it and now wait, one has to be the first to connect.
        if places::is_holding() && holder.hello.pid > std::process::id() {
            return Ok(None);
        }
        let endpoint = identities.first().map_or("the line", String::as_str);
        Err(Error::environment(format!("{holder} waits for {endpoint} itself"))
            .with_help("it shares the line as soon as that is there: wait with ',reconnect=1s'"))
    }
}

struct AttachOr {
    attach: Attach,
    spec: Spec,
    connector: Box<dyn Connector>,
    events: Events,
}

impl AttachOr {
    /// The link through a holder; `None` when nobody holds the line.
    async fn attach(&self) -> Result<Option<Link>> {
        if places::sockets(&self.attach.folder).is_empty() {
            return Ok(None);
        }
        let identities = self.spec.identities().await;
        let Some(holder) = self.attach.find(&identities).await? else { return Ok(None) };
        let attached = Attached::to(&holder.path, &self.attach.command).await?;
        let holder = attached.holder.to_string();
        self.events.tell(Event::Attached { holder, endpoint: attached.endpoint() });
        Ok(Some(match self.attach.alone {
            true => attached.alone().await?.into_link(&self.spec.text),
            false => attached.into_link(&self.spec.text),
        }))
    }
}

impl Connector for AttachOr {
    fn name(&self) -> &str {
        self.connector.name()
    }

    /// Where we would listen ourselves, we do so only if nobody else does.
    fn prepare(&self) -> Pending<'_, Result<bool>> {
        Box::pin(async move {
            let identities = self.spec.identities().await;
            match self.attach.find(&identities).await {
                Ok(None) => self.connector.prepare().await,
                _ => Ok(false),
            }
        })
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            if let Some(link) = self.attach().await? {
                return Ok(link);
            }
            let mut connecting = self.connector.connect();
            loop {
                tokio::select! {
                    biased;
                    link = &mut connecting => return match link {
                        // Another uarttool may have been quicker, and shares the line by now.
                        Err(error) => self.attach().await?.ok_or(error),
                        link => link,
                    },
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                }
                // While we wait, one may have come to hold what we are waiting for.
                if let Some(link) = self.attach().await? {
                    return Ok(link);
                }
            }
        })
    }

    fn is_persistent(&self) -> bool {
        self.connector.is_persistent()
    }
}

/// A conversation with a holder that has let us in.
#[derive(Debug)]
pub struct Attached {
    /// Who it is.
    pub holder: Holder,
    receiver: AttachedReceiver,
    sender: AttachedSender,
}

impl Attached {
    /// Attaches to the holder whose socket is at `path`, as `command`.
    pub async fn to(path: &Path, command: &str) -> Result<Attached> {
        let Some(opened) = holders::open(path).await else {
            return Err(Error::environment(format!("nobody shares a line at {}", path.display())));
        };
        opened.holder.check_version()?;
        let Opened { holder, mut incoming, writer } = opened;
        let name = holder.to_string();
        let (sender, answers) = mpsc::channel(ANSWERS);
        let mut sender_half = AttachedSender::new(name, writer, answers);
        let hello = ToHolder::Attach {
            major: MAJOR,
            minor: MINOR,
            pid: std::process::id(),
            command: command.to_owned(),
        };
        sender_half.say(&hello).await?;
        let welcome = tokio::time::timeout(PATIENCE, incoming.next()).await.ok().flatten();
        let why = match welcome.map(FromHolder::decode) {
            Some(Ok(Some(FromHolder::Welcome))) => None,
            Some(Ok(Some(FromHolder::Refused(why)))) => Some(why),
            _ => Some("it does not answer".to_owned()),
        };
        if let Some(why) = why {
            let why = crate::escape::terminal(why.as_bytes()).to_string();
            return Err(Error::environment(format!("cannot attach to {holder}: {why}")));
        }
        let mut bus = Bus::default();
        let inbox = bus.watch();
        let (end_sender, end) = mpsc::channel(1);
        let task = tokio::spawn(listen(incoming, bus, sender, end_sender, holder.to_string()));
        let receiver = AttachedReceiver { inbox, end, task };
        Ok(Attached { holder, receiver, sender: sender_half })
    }

    /// What the holder holds, as its user wrote it.
    pub fn endpoint(&self) -> String {
        let terms = self.holder.hello.terms.as_ref();
        let text = terms.map_or("", |terms| terms.endpoint.as_str());
        crate::escape::terminal(text.as_bytes()).to_string()
    }

    /// Asks for the line alone.
    pub async fn alone(mut self) -> Result<Exclusive> {
        self.sender.ask(&ToHolder::TakeAlone).await?;
        Ok(Exclusive { attached: self })
    }

    /// As a link to the endpoint that its user knows as `endpoint`.
    pub fn into_link(self, endpoint: &str) -> Link {
        let terms = self.holder.hello.terms.as_ref();
        let standing = match terms.map(|terms| terms.line) {
            Some(Line::Served) => Standing::Served,
            _ => Standing::Unverified,
        };
        let about = About {
            is_stream: true,
            endpoint: endpoint.to_owned(),
            peer: Some(self.holder.to_string()),
            standing,
            is_live: true,
            has_left: false,
            shared: Some(Shared {
                host: terms.and_then(|terms| terms.host),
                framing: terms.and_then(|terms| Framing::by_name(&terms.framing)),
            }),
        };
        Link { rx: Box::new(self.receiver), tx: Box::new(self.sender), about }
    }
}

/// A line that nobody else sends on. Dropped, with its process or without, it is everybody's again.
#[derive(Debug)]
pub struct Exclusive {
    attached: Attached,
}

impl Exclusive {
    /// The two halves; the line stays ours alone until the sending half is gone.
    pub fn into_link(self, endpoint: &str) -> Link {
        self.attached.into_link(endpoint)
    }

    /// Gives the line back and stays attached.
    pub async fn give_back(mut self) -> Result<Attached> {
        self.attached.sender.ask(&ToHolder::GiveBack).await?;
        Ok(self.attached)
    }
}

/// Hands on what the holder says, until it ends.
async fn listen(
    mut incoming: Incoming<OwnedReadHalf>,
    mut bus: Bus,
    answers: mpsc::Sender<FromHolder>,
    end: mpsc::Sender<String>,
    holder: String,
) {
    let how = loop {
        let Some(message) = incoming.next().await else {
            break format!("{holder} is gone");
        };
        match FromHolder::decode(message) {
            Ok(Some(FromHolder::Records(mut records))) => bus.publish(&mut records),
            Ok(Some(FromHolder::End(how))) => {
                break crate::escape::terminal(how.as_bytes()).to_string();
            }
            Ok(Some(FromHolder::Hello(_) | FromHolder::Welcome) | None) => {}
            // One answer at a time is waited for; more than that are nonsense.
            Ok(Some(answer)) => drop(answers.try_send(answer)),
            Err(_) => break format!("{holder} sent a message that makes no sense"),
        }
    };
    let _ = end.try_send(how); // whoever receives is told
}

#[derive(Debug)]
struct AttachedReceiver {
    inbox: Inbox,
    end: mpsc::Receiver<String>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for AttachedReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receive for AttachedReceiver {
    fn receive(&mut self) -> Pending<'_, Result<Received>> {
        Box::pin(async move {
            let Some(record) = self.inbox.next().await else {
                if let Some(gap) = self.inbox.untold() {
                    return Ok(Received::Records(vec![gap]));
                }
                let how = self.end.recv().await;
                return Ok(Received::End(how.unwrap_or_else(|| "the holder is gone".to_owned())));
            };
            let mut records = vec![record];
            while records.len() < AT_ONCE
                && let Some(record) = self.inbox.poll()
            {
                records.push(record);
            }
            Ok(Received::Records(records))
        })
    }
}

#[derive(Debug)]
struct AttachedSender {
    name: String,
    writer: OwnedWriteHalf,
    /// What of the last message was not written yet.
    unsaid: BytesMut,
    answers: mpsc::Receiver<FromHolder>,
    unanswered: usize,
    sent_at: Option<Timestamp>,
}

impl AttachedSender {
    fn new(name: String, writer: OwnedWriteHalf, answers: mpsc::Receiver<FromHolder>) -> Self {
        let unsaid = BytesMut::new();
        AttachedSender { name, writer, unsaid, answers, unanswered: 0, sent_at: None }
    }

    /// Says `message`. When cancelled, the next one says the rest of it first.
    async fn say(&mut self, message: &ToHolder) -> Result<()> {
        let mut out = Vec::new();
        message.encode(&mut out);
        self.unsaid.extend_from_slice(&out);
        let said = self.writer.write_all_buf(&mut self.unsaid).await;
        said.map_err(|error| {
            Error::environment(format!("cannot send through {}", self.name)).caused_by(error)
        })
    }

    /// Waits until no more than `left` answers are to come; the last one.
    async fn wait_for_answers(&mut self, left: usize) -> Option<FromHolder> {
        let mut answer = None;
        while self.unanswered > left {
            answer = self.answers.recv().await;
            self.unanswered = if answer.is_some() { self.unanswered - 1 } else { 0 };
        }
        answer
    }

    /// Says `message` and waits for the answer to it, behind those to what was cancelled.
    async fn ask(&mut self, message: &ToHolder) -> Result<()> {
        self.wait_for_answers(ANSWERS - 1).await;
        self.unanswered += 1;
        self.say(message).await?;
        let answer = self.wait_for_answers(0).await;
        let why = match answer {
            Some(FromHolder::Sent(time)) => {
                self.sent_at = Some(time);
                return Ok(());
            }
            Some(FromHolder::Refused(why)) => crate::escape::terminal(why.as_bytes()).to_string(),
            Some(_) => return Ok(()),
            None => "the line is gone".to_owned(),
        };
        Err(Error::environment(match message {
            ToHolder::TakeAlone => format!("cannot have the line of {} alone: {why}", self.name),
            _ => format!("cannot send through {}: {why}", self.name),
        }))
    }
}

impl Transmit for AttachedSender {
    fn send<'a>(&'a mut self, frames: &'a [Bytes]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            let mut batch = Vec::new();
            let mut size = 0;
            for frame in frames {
                let length = frame.len() + 4;
                if length > MAX_REQUEST / 2 {
                    return Err(Error::usage(format!(
                        "cannot send a frame of {} bytes: no line carries it",
                        frame.len()
                    )));
                }
                if size + length > MAX_REQUEST / 2 {
                    self.ask(&ToHolder::Frames(std::mem::take(&mut batch))).await?;
                    size = 0;
                }
                size += length;
                batch.push(frame.clone());
            }
            self.ask(&ToHolder::Frames(batch)).await
        })
    }

    fn send_raw<'a>(&'a mut self, bytes: &'a [u8]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            for piece in bytes.chunks(MAX_REQUEST / 2) {
                self.ask(&ToHolder::Raw(Bytes::copy_from_slice(piece))).await?;
            }
            Ok(())
        })
    }

    fn sent_at(&self) -> Option<Timestamp> {
        self.sent_at
    }

    fn close(&mut self) -> Pending<'_, Result<()>> {
        Box::pin(async move {
            let closed = self.writer.shutdown().await;
            closed.map_err(|error| {
                Error::environment(format!("cannot leave {}", self.name)).caused_by(error)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sharing::Sharing;
    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn who_is_attached_is_as_sure_of_being_served_as_the_holder_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let spec = Spec::parse("tcp:127.0.0.1:1").expect("good");
        let (clock, events) = (Clock::system(), Events::ignore());
        let own = Some(folder.path().to_owned());
        let mut sharing = Sharing::new(own, "sniff", &spec, &clock, &events).await;
        let standing = Standing::Unverified;
        let endpoint = spec.text.clone();
        let held = About {
            endpoint,
            peer: None,
            standing,
            is_stream: true,
            is_live: true,
            has_left: false,
            shared: None,
        };
        let bus = std::cell::RefCell::new(Bus::default());
        for (is_heard, wanted) in [(false, Standing::Unverified), (true, Standing::Served)] {
            sharing.up(&held);
            if is_heard {
                sharing.ear().expect("it is shared").heard();
            }
            let (_, path) = places::sockets(folder.path()).remove(0);
            let attached = tokio::select! {
                attached = Attached::to(&path, "test") => attached.expect("it is welcome"),
                _ = sharing.next(&bus) => panic!("nobody sends"),
            };
            assert_eq!(attached.into_link("x").about.standing, wanted);
        }
    }
}
