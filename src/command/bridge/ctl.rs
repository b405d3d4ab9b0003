//! `uarttool bridge ctl`: asking a bridge that runs.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::{Verdict, terminal};
use crate::error::{Error, Result};
use crate::gateway::forward::{Forward, List, Listen};
use crate::share::places;

/// How long a bridge may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What control sockets are called, in front of the bridge's process id.
const NAME: &str = "bridge-";

/// Ask a bridge that runs, or change its forwards
#[derive(Args, Debug)]
pub struct CtlArgs {
    /// The bridge's control socket, if there are several bridges
    #[arg(long, value_name = "PATH", global = true)]
    control: Option<PathBuf>,
    /// Show what the bridge says, as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// The forwards that are open
    List,
    /// What went through, and who the device is
    Stats,
    /// Open a forward, or close one
    Forward {
        /// What to open, as 'bridge --forward' takes it
        #[arg(value_name = "FORWARD", required_unless_present = "remove")]
        forward: Option<List>,
        /// Close the forward of this number instead
        #[arg(long, value_name = "N", conflicts_with = "forward")]
        remove: Option<u64>,
    },
}

/// Where a bridge of ours listens that was not told.
pub fn default_path() -> Result<PathBuf> {
    let folder = places::folder()?;
    places::tidy(&folder);
    Ok(folder.join(format!("{NAME}{}.ctl", std::process::id())))
}

/// The only control socket that somebody listens at.
fn find() -> Result<PathBuf> {
    let folder = places::folder()?;
    places::tidy(&folder);
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let is_control = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(NAME) && name.ends_with(".ctl") && UnixStream::connect(path).is_ok()
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_control).collect();
    found.sort();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Error::environment("no bridge runs here")
            .with_help("start one: uarttool bridge --forward 8080:80")),
        n => {
            let all: Vec<String> = found.iter().map(|path| path.display().to_string()).collect();
            Err(Error::usage(format!("{n} bridges run here"))
                .with_help(format!("say which, with '--control':\n{}", all.join("\n"))))
        }
    }
}

/// Runs the command; `control` is the socket that was named in front of `ctl`.
pub fn run(args: &CtlArgs, control: Option<&Path>) -> Result<Verdict> {
    let named = args.control.as_deref().or(control).map(Path::to_owned);
    let path = named.map_or_else(find, Ok)?;
    for request in requests(&args.what)? {
        let answer = ask(&path, &request)?;
        if let Some(error) = answer["error"].as_str() {
            let failed = Error::environment(error.to_owned());
            return Err(match answer["help"].as_str() {
                Some(help) => failed.with_help(help),
                None => failed,
            });
        }
        let text = match &args.what {
            _ if args.json => format!("{answer}\n"),
            What::List => list(&answer),
            What::Stats => stats(&answer),
            What::Forward { remove: Some(_), .. } => String::new(),
            What::Forward { .. } => format!("{}\n", answer["forward"].as_str().unwrap_or_default()),
        };
        match std::io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                return Err(Error::environment("cannot write to stdout").caused_by(error));
            }
            _ => {}
        }
    }
    Ok(Verdict::Done)
}

/// What to ask, one after the other.
fn requests(what: &What) -> Result<Vec<Value>> {
    Ok(match what {
        What::List => vec![json!({ "do": "list" })],
        What::Stats => vec![json!({ "do": "stats" })],
        What::Forward { remove: Some(number), .. } => {
            vec![json!({ "do": "close", "number": number })]
        }
        What::Forward { forward: None, .. } => Vec::new(),
        What::Forward { forward: Some(List(forwards)), .. } => {
            let open = |forward: &Forward| {
                Ok(json!({ "do": "open", "forward": from_here(forward)?.to_string() }))
            };
            forwards.iter().map(open).collect::<Result<_>>()?
        }
    })
}

/// `forward` for a process that runs in another folder.
fn from_here(forward: &Forward) -> Result<Forward> {
    let mut forward = forward.clone();
    if let Listen::Unix(path) = &mut forward.listen {
        *path = std::path::absolute(&*path).map_err(|error| {
            Error::environment("cannot tell the current folder").caused_by(error)
        })?;
    }
    Ok(forward)
}

fn ask(path: &Path, request: &Value) -> Result<Value> {
    let cannot = |error| {
        Error::environment(format!("cannot ask the bridge at {}", path.display())).caused_by(error)
    };
    let mut stream = UnixStream::connect(path).map_err(cannot)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(cannot)?;
    stream.write_all(format!("{request}\n").as_bytes()).map_err(cannot)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(cannot)?;
    serde_json::from_str(&line).map_err(|error| cannot(error.into()))
}

fn list(answer: &Value) -> String {
    let mut text = String::new();
    for forward in answer["forwards"].as_array().into_iter().flatten() {
        text += &format!(
            "{:>4}  {}  {}\n",
            forward["number"].as_u64().unwrap_or_default(),
            forward["forward"].as_str().unwrap_or_default(),
            terminal::count(forward["connections"].as_u64().unwrap_or_default(), "connection"),
        );
    }
    text
}

fn stats(answer: &Value) -> String {
    let mut text = String::new();
    for (name, value) in answer.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text += &format!("{:<18} {value}\n", name.replace('_', " "));
    }
    text
}
