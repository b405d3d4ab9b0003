//! Asking a gateway that runs, and changing its forwards: one JSON object a line, over a unix socket that
//! only its owner can open.
//!
//! | request | answer |
//! | --- | --- |
//! | `{"do":"list"}` | `{"forwards":[{"number":1,"forward":"tcp:127.0.0.1:8080:80","connections":3}]}` |
//! | `{"do":"open","forward":"8081:81"}` | the forward, as in the list |
//! | `{"do":"close","number":1}` | `{}` |
//! | `{"do":"stats"}` | device, counters |
//!
//! What cannot be done is answered with `{"error":"..."}`, and perhaps `"help"`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::AbortHandle;

use super::forward::Forward;
use super::{Forwards, Gateway, Opened, forwards};
use crate::error::Result;

/// The longest request in bytes.
const LONGEST: u64 = 4096;

/// How long somebody may ask while others have to wait for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pauses when nobody can be let in.
const AGAIN: Duration = Duration::from_millis(100);

/// What can be asked.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
enum Request {
    List,
    Stats,
    Open { forward: String },
    Close { number: u64 },
}

/// Says why a forward is not to be opened, if that is so.
pub type Objection = Box<dyn Fn(&Forward) -> Option<String> + Send + Sync>;

/// Who is asked about, and what is changed.
#[derive(Clone)]
struct Subject {
    gateway: Gateway,
    forwards: Forwards,
    objection: Arc<Objection>,
}

/// A control socket; it goes away with this.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    task: AbortHandle,
}

impl Control {
    /// Listens at `path` for who wants to ask about `gateway`, or to change its `forwards`.
    pub fn serve(
        path: &Path,
        gateway: &Gateway,
        forwards: &Forwards,
        objection: Objection,
    ) -> Result<Control> {
        let listener = forwards::unix_listener(path)?;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, mode)
            .map_err(|error| forwards::cannot_listen_at(path, error))?;
        let (gateway, forwards) = (gateway.clone(), forwards.clone());
        let subject = Subject { gateway, forwards, objection: Arc::new(objection) };
        let task = tokio::spawn(accept(listener, subject));
        Ok(Control { path: path.to_owned(), task: task.abort_handle() })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path); // somebody may have done so
    }
}

async fn accept(listener: UnixListener, subject: Subject) {
    // When connections have taken all descriptors, this one is left for whoever asks why.
    let mut spare = descriptor();
    loop {
        match (listener.accept().await, spare.take()) {
            (Ok((stream, _)), kept) => {
                spare = kept;
                let subject = subject.clone();
                tokio::spawn(async move { converse(stream, &subject).await });
            }
            (Err(_), Some(file)) => {
                drop(file);
                if let Ok((stream, _)) = listener.accept().await {
                    let conversation = converse(stream, &subject);
                    let _ = tokio::time::timeout(PATIENCE, conversation).await; // the next waits
                }
                spare = descriptor();
            }
            (Err(error), None) => {
                subject.gateway.cannot_accept(&error);
                tokio::time::sleep(AGAIN).await;
                spare = descriptor();
            }
        }
    }
}

/// A descriptor that is good for nothing but being closed.
fn descriptor() -> Option<std::fs::File> {
    std::fs::File::open("/dev/null").ok()
}

/// Answers one line after the other; ends with whoever asks, or with a line that is too long.
async fn converse(stream: UnixStream, subject: &Subject) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(LONGEST).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(1..)) {
            return;
        }
        let answer = match serde_json::from_slice(&line) {
            Ok(request) => answer(request, subject).await,
            Err(error) => json!({ "error": format!("that is no request: {error}") }),
        };
        let is_told = writer.write_all(format!("{answer}\n").as_bytes()).await.is_ok();
        if !is_told || !line.ends_with(b"\n") {
            return;
        }
    }
}

async fn answer(request: Request, subject: &Subject) -> Value {
    match request {
        Request::List => {
            let all: Vec<Value> = subject.forwards.list().iter().map(said).collect();
            json!({ "forwards": all })
        }
        Request::Stats => stats(&subject.gateway),
        Request::Open { forward } => open(&forward, subject).await,
        Request::Close { number } => match subject.forwards.close(number) {
            true => json!({}),
            false => json!({ "error": format!("there is no forward {number}") }),
        },
    }
}

async fn open(forward: &str, subject: &Subject) -> Value {
    let forward: Forward = match forward.parse() {
        Ok(forward) => forward,
        Err(error) => return json!({ "error": error }),
    };
    if let Some(what) = (subject.objection)(&forward) {
        return json!({ "error": what });
    }
    match subject.forwards.open(&forward).await {
        Ok(opened) => said(&opened),
        Err(error) => json!({ "error": error.chain(), "help": error.help() }),
    }
}

fn said(opened: &Opened) -> Value {
    json!({
        "number": opened.number,
        "forward": opened.forward.to_string(),
        "connections": opened.connections,
    })
}

fn stats(gateway: &Gateway) -> Value {
    let counters = gateway.counters();
    let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    json!({
        "device_ip": gateway.device_ip().to_string(),
        "device_mac": gateway.device_mac().map(|mac| mac.to_string()),
        "open": gateway.open_flows(),
        "connections": of(&counters.connections),
        "failed": of(&counters.failed),
        "bytes_to_device": of(&counters.to_device),
        "bytes_from_device": of(&counters.from_device),
        "datagrams": of(&counters.datagrams),
        "frames_ignored": of(&counters.ignored),
        "frames_dropped": of(&counters.dropped),
    })
}
