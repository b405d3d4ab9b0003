//! `exec:COMMAND`: a program's stdin and stdout are the line.
//!
//! The command is the rest of the text, commas included, so that options have to come otherwise
//! (`--framing`, `--max-frame`). The shell runs it, in a process group of its own: Ctrl-C is ours to
//! act on, and what the command has started is ended with it. Should we be killed, the program finds
//! its stdin closed. What it says on stderr is shown line by line under its name, all of it before
//! its end is told: the last words say why.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;

use super::spec::{Form, Options, Spec};
use super::stream::{self, Acknowledge};
use super::{About, Connector, Link, Pending, Receive, Received, Standing, Transmit};
use crate::error::{Category, Error, Result};
use crate::event::Events;

/// The form `exec:`.
pub(super) static EXEC: Form = Form {
    name: "exec",
    address: "COMMAND",
    help: "a program's stdin and stdout; takes the rest of the text",
    options: &[],
    takes_rest: true,
    settle: Options::check_stream,
    identities: |_| Vec::new(), // each is another process
    check: |command| match command.trim() {
        "" => Err("no command behind 'exec:'".to_owned()),
        _ if command.contains('\0') => Err("a command has no NUL in it".to_owned()),
        _ => Ok(()),
    },
    open: |spec, events| Box::new(Exec { spec: spec.clone(), events }),
};

/// How long a program may take to end that was asked to, or whose stdout is closed.
const PATIENCE: Duration = Duration::from_millis(300);
/// The longest line that is shown of its stderr, in bytes.
const LINE: u64 = 1000;

struct Exec {
    spec: Spec,
    events: Events,
}

impl Exec {
    /// The first word of the command, for people.
    fn program(&self) -> String {
        let words = self.spec.address.split_whitespace();
        let word = words.into_iter().find(|word| *word != "exec").unwrap_or_default();
        let name = word.rsplit('/').next().unwrap_or_default();
        crate::escape::terminal(name.as_bytes()).to_string()
    }

    fn start(&self) -> Result<Link> {
        let cannot = |what: &str| Error::environment(format!("cannot start '{what}'"));
        let mut command = Command::new("sh");
        command.arg("-c").arg(&self.spec.address).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = command.spawn();
        let mut child = started.map_err(|error| cannot(&self.spec.address).caused_by(error))?;
        let program = self.program();
        let pid = child.id().unwrap_or_default();
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(cannot(&self.spec.address));
        };
        let (saying, said) = watch::channel(());
        let (name, events) = (program.clone(), self.events.clone());
        tokio::spawn(async move {
            show(stderr, name, events).await;
            drop(saying);
        });
        let about = About {
            is_stream: true,
            endpoint: self.spec.text.clone(),
            peer: Some(format!("{program} (pid {pid})")),
            standing: Standing::Served,
            is_live: true,
            has_left: false,
            shared: None,
        };
        let framing = self.spec.options.framing;
        let link = stream::link(stdout, stdin, Acknowledge::Never, framing, about);
        let group = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let running = Running { child: Arc::new(Mutex::new(child)), group };
        let input = Input {
            inner: link.tx,
            child: running.child.clone(),
            program: program.clone(),
            said: said.clone(),
        };
        let output = Output { inner: link.rx, running, program, said };
        Ok(Link { rx: Box::new(output), tx: Box::new(input), about: link.about })
    }
}

impl Connector for Exec {
    fn name(&self) -> &str {
        &self.spec.text
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move { self.start() })
    }
}

/// Shows what the program says.
async fn show(stderr: ChildStderr, program: String, events: Events) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut lines).take(LINE).read_until(b'\n', &mut line).await {
        events.note(format!("{program}: {}", crate::escape::terminal(line.trim_ascii_end())));
        line.clear();
    }
}

/// Waits until everything is shown that a program has said which has ended. What it has started may live on
/// and keep its stderr open.
async fn last_words(said: &mut watch::Receiver<()>) {
    let _ = tokio::time::timeout(PATIENCE, said.changed()).await; // it changes by its end alone
}

/// A program that ends with us.
struct Running {
    child: Arc<Mutex<Child>>,
    group: Option<Pid>,
}

impl Running {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, signal); // it may have ended
        }
    }
}

impl Drop for Running {
    /// Asks, waits a moment, and ends what is left of the group.
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while status(&self.child).is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.signal(Signal::KILL);
    }
}

struct Output {
    inner: Box<dyn Receive>,
    running: Running,
    program: String,
    said: watch::Receiver<()>,
}

impl Receive for Output {
    fn receive(&mut self) -> Pending<'_, Result<Received>> {
        Box::pin(async move {
            match self.inner.receive().await? {
                Received::End(_) => {
                    let ended = ended(&self.running.child).await;
                    if ended.is_some() {
                        last_words(&mut self.said).await;
                    }
                    let how = ended.map_or("has closed its stdout".to_owned(), told);
                    Ok(Received::End(format!("{} {how}", self.program)))
                }
                other => Ok(other),
            }
        })
    }
}

/// The program's stdin.
struct Input {
    inner: Box<dyn Transmit>,
    child: Arc<Mutex<Child>>,
    program: String,
    said: watch::Receiver<()>,
}

impl Input {
    /// A program that has ended takes no more: how it ended says more than that.
    async fn explain(&mut self, sent: Result<()>) -> Result<()> {
        let error = match sent {
            Err(error) if error.category() == Category::Environment => error,
            sent => return sent,
        };
        let ended = ended(&self.child).await;
        if ended.is_some() {
            last_words(&mut self.said).await;
        }
        let how = ended.map_or("has closed its stdin".to_owned(), told);
        Err(error.context(format!("{} {how}", self.program)))
    }
}

impl Transmit for Input {
    fn send<'a>(&'a mut self, frames: &'a [Bytes]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            let sent = self.inner.send(frames).await;
            self.explain(sent).await
        })
    }

    fn send_raw<'a>(&'a mut self, bytes: &'a [u8]) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            let sent = self.inner.send_raw(bytes).await;
            self.explain(sent).await
        })
    }

    fn close(&mut self) -> Pending<'_, Result<()>> {
        self.inner.close()
    }
}

/// The status of a program that has ended.
fn status(child: &Mutex<Child>) -> Option<ExitStatus> {
    child.lock().unwrap_or_else(PoisonError::into_inner).try_wait().ok().flatten()
}

/// The same, of one that is about to end.
async fn ended(child: &Mutex<Child>) -> Option<ExitStatus> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let status = status(child);
        if status.is_some() || tokio::time::Instant::now() >= deadline {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How a program ended.
fn told(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(127), _) => "was not found (status 127)".to_owned(),
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn start(command: &str) -> (Link, Arc<Mutex<Vec<String>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = told.clone();
        let events =
            Events::new(move |event| sink.lock().expect("no panic").push(event.to_string()));
        let spec = Spec::parse(&format!("exec:{command}")).expect("good");
        ((EXEC.open)(&spec, events).connect().await.expect("it starts"), told)
    }

    async fn next(link: &mut Link) -> Received {
        let received = tokio::time::timeout(Duration::from_secs(10), link.rx.receive()).await;
        received.expect("soon").expect("no failure")
    }

    #[tokio::test]
    async fn the_program_is_the_line_and_its_end_is_told() {
        let (mut link, told) = start("echo a, b >&2; head -c 3 | tr a-z A-Z; exit 7").await;
        link.tx.send_raw(b"abc").await.expect("it reads");
        assert_eq!(next(&mut link).await, Received::Bytes("ABC".into()));
        assert_eq!(next(&mut link).await, Received::End("echo ended with status 7".to_owned()));
        assert_eq!(told.lock().expect("no panic")[..], ["echo: a, b"], "commas and all");
    }

    #[tokio::test]
    async fn how_it_ended_is_said() {
        for (command, wanted) in [
            ("/no/such/thing x", "thing was not found (status 127)"),
            ("kill -9 $$", "kill was ended by signal 9"),
            ("exec >&-; sleep 5", "> has closed its stdout"),
        ] {
            let (mut link, _) = start(command).await;
            let Received::End(how) = next(&mut link).await else { panic!("{command}: no end") };
            assert!(how.contains(wanted.trim_start_matches('>')), "{command}: {how}");
        }
    }

    #[tokio::test]
    async fn its_last_words_are_shown_before_its_end_is_told() {
        // Somebody else writes on: the end of stdout and of the program come first.
        let late = "exec >&-; (sleep 0.1; seq 500 >&2; echo last >&2) & exit 3";
        let (mut link, words) = start(late).await;
        assert!(matches!(next(&mut link).await, Received::End(_)));
        let said = words.lock().expect("no panic").clone();
        assert_eq!((said.len(), said.last().map(String::as_str)), (501, Some(">&-;: last")));
        let (mut link, words) = start("echo why >&2; exit 5").await;
        while link.tx.send_raw(&[0; 4096]).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(words.lock().expect("no panic")[..], ["echo: why"]);
    }

    #[tokio::test]
    async fn so_it_is_of_one_that_takes_no_more() {
        let (mut link, _) = start("exit 5").await;
        let failure = loop {
            match link.tx.send_raw(&[0; 4096]).await {
                Ok(()) => tokio::task::yield_now().await,
                Err(error) => break error,
            }
        };
        let wanted = "exit ended with status 5: cannot send to exec:exit 5: broken pipe";
        assert_eq!((failure.chain().as_str(), failure.category()), (wanted, Category::Environment));
    }

    #[tokio::test]
    async fn what_it_has_started_ends_with_the_link() {
        let (mut link, _) = start("trap '' TERM; sleep 60 & echo $!; wait; cat").await;
        let Received::Bytes(text) = next(&mut link).await else { panic!("a pid") };
        let pid: i32 = String::from_utf8_lossy(&text).trim().parse().expect("a pid");
        let is_there = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z")
        };
        assert!(is_there());
        drop(link);
        let deadline = Instant::now() + Duration::from_secs(5);
        while is_there() {
            assert!(Instant::now() < deadline, "{pid} is still there");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn the_command_is_the_rest_of_the_text() {
        let spec = Spec::parse("exec:a b,c=d, 'e'").expect("good");
        assert_eq!(spec.address, "a b,c=d, 'e'");
        assert!(Spec::parse("exec: ").expect_err("empty").chain().contains("no command"));
    }
}
