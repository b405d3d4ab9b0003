//! The thread that serves: a task for each attached process.
//!
//! One inbox on the bus of the line feeds a second bus here, on which every session has an inbox
//! of its own. A session that does not take what it is given fills only its own.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::pipe::Incoming;
use super::server::{Client, FAREWELL, MAX_SESSIONS, Request, Shared, What};
use super::wire::{self, FromHolder, MAJOR, MAX_REQUEST, ToHolder};
use crate::bus::{Bus, Inbox};
use crate::record::{Body, Direction, Record};
use crate::stop::Stop;

/// Who connects says what it wants within this time.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// After the line was lost, what is still on its way is passed on for so long.
const GRACE: Duration = Duration::from_millis(30);
/// So many records at most go into one message.
const AT_ONCE: usize = 256;
/// How long to wait when no connection can be accepted, for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// What the sessions share.
struct Hub {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    /// The second bus.
    bus: Mutex<Bus>,
    /// Whether records flow from the first bus to the second.
    flows: tokio::sync::Mutex<bool>,
}

/// Serves whoever connects until told to stop, and then says farewell.
pub(super) async fn serve(
    listener: std::os::unix::net::UnixListener,
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    mut stop: Stop,
) {
    let Ok(listener) = UnixListener::from_std(listener) else { return };
    let flows = tokio::sync::Mutex::new(false);
    let hub = Arc::new(Hub { shared, requests, bus: Mutex::default(), flows });
    for number in 1.. {
        let accepted = tokio::select! {
            biased;
            () = stop.wait() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(visit(hub.clone(), stream, number))),
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
    drop(listener);
    let deadline = Instant::now() + FAREWELL;
    while hub.shared.sessions.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// One connection, counted.
async fn visit(hub: Arc<Hub>, stream: UnixStream, number: u64) {
    /// Counts down however the task ends.
    struct Counted(Arc<Shared>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.sessions.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let before = hub.shared.sessions.fetch_add(1, Ordering::Relaxed);
    let counted = Counted(hub.shared.clone());
    let own = rustix::process::geteuid().as_raw();
    let is_welcome = |uid: u32| uid == own || uid == 0;
    if stream.peer_cred().is_ok_and(|peer| is_welcome(peer.uid())) {
        session(&hub, stream, number, before >= MAX_SESSIONS).await;
    }
    drop(counted);
}

async fn session(hub: &Arc<Hub>, stream: UnixStream, number: u64, is_full: bool) {
    let mut end = hub.shared.epoch.subscribe();
    end.mark_unchanged();
    let (reader, mut writer) = stream.into_split();
    let introduction = async {
        say(&mut writer, &FromHolder::Hello(hub.shared.hello())).await?;
        let mut incoming = Incoming::new(reader, MAX_REQUEST);
        let name = match ToHolder::decode(incoming.next().await?).ok()? {
            ToHolder::Attach { major: MAJOR, pid, command, .. } if !is_full => {
                let command = crate::escape::terminal(command.as_bytes());
                format!("uarttool {command} (pid {pid})")
            }
            other => {
                say(&mut writer, &FromHolder::Refused(objection(&other))).await;
                return None;
            }
        };
        let inbox = hub.watch().await?;
        say(&mut writer, &FromHolder::Welcome).await?;
        Some((incoming, Client { number, name }, inbox))
    };
    let Ok(Some((incoming, client, inbox))) = timeout(INTRODUCTION, introduction).await else {
        return;
    };
    let (replies, answers) = mpsc::channel(1);
    tokio::select! {
        () = listen(hub, incoming, &client, replies) => {}
        () = speak(writer, inbox, answers, &mut end) => {}
    }
    let _ = hub.requests.send(Request::Left(number)).await; // the holder may be gone
}

/// Why somebody who connects is not served.
fn objection(first: &ToHolder) -> String {
    match first {
        ToHolder::Attach { major: MAJOR, .. } => {
            format!("{MAX_SESSIONS} processes are attached already, which is the most")
        }
        ToHolder::Attach { major, .. } => format!(
            "the line is shared by version {MAJOR} of the protocol, and you speak version {major}: \
             use the same uarttool for both"
        ),
        _ => "the first message has to be the one that attaches".to_owned(),
    }
}

async fn say(writer: &mut OwnedWriteHalf, message: &FromHolder) -> Option<()> {
    let mut out = Vec::new();
    message.encode(&mut out);
    writer.write_all(&out).await.ok()
}

/// Does what the client asks, one thing after the other, until it leaves.
async fn listen(
    hub: &Hub,
    mut incoming: Incoming<OwnedReadHalf>,
    client: &Client,
    replies: mpsc::Sender<FromHolder>,
) {
    while let Some(message) = incoming.next().await {
        let (reply, answer) = oneshot::channel();
        let client = client.clone();
        let request = match ToHolder::decode(message) {
            Ok(ToHolder::Frames(frames)) => Request::Send(client, What::Frames(frames), reply),
            Ok(ToHolder::Raw(bytes)) => Request::Send(client, What::Raw(bytes), reply),
            Ok(ToHolder::TakeAlone) => Request::TakeAlone(client, reply),
            Ok(ToHolder::GiveBack) => Request::GiveBack(client, reply),
            Ok(ToHolder::Attach { .. }) | Err(_) => return,
        };
        if hub.requests.send(request).await.is_err() {
            return;
        }
        let gone = || FromHolder::Refused("the line is gone".to_owned());
        let answer = answer.await.unwrap_or_else(|_| gone());
        if replies.send(answer).await.is_err() {
            return;
        }
    }
}

/// Tells the client what is seen, and the answers, until the line is lost or the client is.
async fn speak(
    mut writer: OwnedWriteHalf,
    mut inbox: Inbox,
    mut answers: mpsc::Receiver<FromHolder>,
    end: &mut watch::Receiver<(u64, String)>,
) {
    let mut out = Vec::new();
    let mut records = VecDeque::new();
    loop {
        out.clear();
        tokio::select! {
            biased;
            Some(answer) = answers.recv() => answer.encode(&mut out),
            record = inbox.next() => {
                let Some(record) = record else { return };
                collect(record, &mut inbox, &mut records, &mut out);
            }
            _ = end.changed() => break,
        }
        if writer.write_all(&out).await.is_err() {
            return;
        }
    }
    let deadline = Instant::now() + GRACE;
    while let Ok(Some(record)) = timeout_at(deadline, inbox.next()).await {
        out.clear();
        collect(record, &mut inbox, &mut records, &mut out);
        if writer.write_all(&out).await.is_err() {
            return;
        }
    }
    out.clear();
    if let Some(gap) = inbox.untold() {
        FromHolder::Records(vec![gap]).encode(&mut out);
    }
    let how = end.borrow().1.clone();
    FromHolder::End(how).encode(&mut out);
    let _ = writer.write_all(&out).await; // the client may be gone as well
}

/// `first` and what is there behind it, as messages.
fn collect(first: Record, inbox: &mut Inbox, records: &mut VecDeque<Record>, out: &mut Vec<u8>) {
    records.push_back(first);
    let mut bytes = 0;
    while records.len() < AT_ONCE && bytes < wire::BATCH {
        let Some(record) = inbox.poll() else {
            records.extend(inbox.untold()); // on a quiet line nothing else would tell it
            break;
        };
        if let Body::Frame(frame) = &record.body {
            bytes += frame.len();
        }
        records.push_back(record);
    }
    while !records.is_empty() {
        wire::encode_batch(records, out);
    }
}

impl Hub {
    /// An inbox that gets everything from now on.
    async fn watch(self: &Arc<Hub>) -> Option<Inbox> {
        let mut flows = self.flows.lock().await;
        if !*flows {
            let source = match self.shared.door.get() {
                Some(door) => door.watch(),
                None => {
                    let (reply, source) = oneshot::channel();
                    self.requests.send(Request::Watch(reply)).await.ok()?;
                    source.await.ok()?
                }
            };
            tokio::spawn(flow(self.clone(), source));
            *flows = true;
        }
        Some(self.bus().watch())
    }

    fn bus(&self) -> std::sync::MutexGuard<'_, Bus> {
        self.bus.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes records from the first bus to the second as long as anybody watches.
async fn flow(hub: Arc<Hub>, mut source: Inbox) {
    let mut records = Vec::new();
    while let Some(record) = source.next().await {
        records.push(record);
        while records.len() < AT_ONCE
            && let Some(record) = source.poll()
        {
            records.push(record);
        }
        // Those attached tell of the link in words of their own, when they attach and at the end.
        records.retain(|r| {
            !matches!(r.body, Body::Link(_)) || r.origin.direction == Direction::ToDevice
        });
        hub.bus().publish(&mut records);
        if hub.bus().is_unwatched() {
            let mut flows = hub.flows.lock().await;
            if hub.bus().is_unwatched() {
                *flows = false;
                return;
            }
        }
    }
    *hub.flows.lock().await = false;
}
