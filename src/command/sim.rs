//! `uarttool sim`: the reference device on its own.

use clap::Args;
use tokio::sync::mpsc;

use crate::cli::connect::{Machine, SimOptions, parse_model, parse_stack};
use crate::cli::ready::Ready;
use crate::cli::{self, Verdict, signals, terminal};
use crate::device::faults::{self, Fault, Layer};
use crate::device::model::{self, Model};
use crate::device::{Front, Settings};
use crate::endpoint::spec::{parse_line_rate, parse_positive};
use crate::endpoint::{Connector, Link, Received, Spec, spec};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::stop::{self, Stop};

const EXAMPLES: &str = "\
Examples:
  uarttool sim                                   listens where QEMU would, tcp:127.0.0.1:5556
  uarttool sim --model esp32-new --listen unix-listen:/tmp/uart1.sock
  uarttool sim --listen pty,link=/tmp/line       for a program that wants a serial port
  uarttool sim --fault rx-alias --fault loses-frames
  uarttool sim --stack tap:uart0                 its driver in front of Linux's own stack
  uarttool ping -d sim,model=esp32-new -c 3      the same device inside another command

Exit status: 0 done, also after Ctrl-C; 2 usage; 3 it cannot listen, or the host that it connected to,
or its stack, is gone.";

/// The reference device: a tunnel with an IP stack and services behind it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SimArgs {
    /// Where the host is met: tcp-listen:[HOST]:PORT, unix-listen:PATH, pty or serial:PATH; tcp: and
    /// unix: to connect to one that listens; tap:NAME to be Linux's neighbour; stdio to be the program
    /// of somebody's exec:
    #[arg(long, value_name = "ENDPOINT", default_value = "tcp-listen:127.0.0.1:5556")]
    listen: String,
    /// What device to be: reference, esp32-old, esp32-new
    #[arg(long, value_name = "NAME", value_parser = parse_model)]
    model: Option<Model>,
    /// What is wrong with it, by name or id; may be repeated
    #[arg(long, value_name = "NAME", value_parser = faults::by_name)]
    fault: Vec<Fault>,
    /// List the faults
    #[arg(long)]
    list_faults: bool,
    /// The line's rate in baud; 0 is as fast as it goes
    #[arg(long, value_name = "BAUD", value_parser = parse_line_rate)]
    line_rate: Option<u32>,
    /// The largest frame in bytes, with its Ethernet header
    #[arg(long, value_name = "BYTES", value_parser = spec::parse_max_frame)]
    max_frame: Option<usize>,
    /// Hand frames to the stack behind this endpoint, such as tap:NAME, instead of to our own; faults
    /// are those in the byte stream then
    #[arg(long, value_name = "ENDPOINT", value_parser = parse_stack)]
    stack: Option<Spec>,
    /// Decides what chance decides
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where to listen for who wants to read the device's console
    #[arg(long, value_name = "ENDPOINT")]
    console: Option<String>,
    /// Stop after this time
    #[arg(long, value_name = "TIME", value_parser = parse_positive)]
    duration: Option<std::time::Duration>,
    /// Write 'ready' to this file descriptor when it listens
    #[arg(long, value_name = "N")]
    ready_fd: Option<u32>,
}

/// Runs the command.
pub fn run(args: SimArgs) -> Result<Verdict> {
    if args.list_faults {
        return Ok(list_faults());
    }
    let spec = parse_place(&args.listen)?;
    let console =
        args.console.as_deref().map(|text| parse_listener("--console", text)).transpose()?;
    let options = SimOptions {
        model: args.model,
        faults: args.fault.clone(),
        seed: args.seed,
        line_rate: args.line_rate,
        max_frame: args.max_frame,
        stack: args.stack.clone(),
    };
    if let Some(stack) = &options.stack {
        Front::check(&options.settings(), &stack.text)?;
    }
    let ready = Ready::open(args.ready_fd)?;
    cli::block_on(serve(spec, console, options, args.duration, ready))
}

/// Where hosts come from, or are found.
fn parse_place(text: &str) -> Result<Spec> {
    let spec = Spec::parse(text)?;
    match spec.form.name {
        "file" | "sim" => Err(Error::usage(format!("no host can be met at '{text}'")).with_help(
            "give tcp-listen:127.0.0.1:5556, unix-listen:PATH, tcp:HOST:PORT, unix:PATH, pty, \
             serial:PATH or tap:NAME",
        )),
        _ => Ok(spec),
    }
}

fn parse_listener(flag: &str, text: &str) -> Result<Spec> {
    let spec = Spec::parse(text)?;
    if matches!(spec.form.name, "tcp-listen" | "unix-listen") {
        return Ok(spec);
    }
    Err(Error::usage(format!("'{flag} {text}' does not listen"))
        .with_help("give tcp-listen:127.0.0.1:PORT or unix-listen:PATH"))
}

fn list_faults() -> Verdict {
    use std::io::Write;
    let mut text = String::from("models\n");
    for model in model::ALL {
        text.push_str(&format!("  {:<24} {}\n", model.name, model.help));
    }
    for (layer, title) in [
        (Layer::Stream, "faults in the byte stream"),
        (Layer::Frame, "faults on frames"),
        (Layer::Device, "faults of the device"),
        (Layer::Harmless, "harmless variants"),
    ] {
        text.push_str(&format!("{title}\n"));
        for info in faults::ALL.iter().filter(|info| info.layer == layer) {
            text.push_str(&format!("  {:<4} {:<24} {}\n", info.id, info.name, info.help));
        }
    }
    let _ = std::io::stdout().write_all(text.as_bytes()); // a reader that left wants no more
    Verdict::Done
}

async fn serve(
    spec: Spec,
    console: Option<Spec>,
    options: SimOptions,
    duration: Option<std::time::Duration>,
    mut ready: Ready,
) -> Result<Verdict> {
    let (stopper, mut stop) = stop::pair();
    signals::watch(stopper.clone())?;
    if let Some(duration) = duration {
        let stopper = stopper.clone();
        tokio::spawn(async move {
            tokio::time::sleep(duration).await;
            stopper.stop();
        });
    }
    let events = terminal::events();
    // We are the device: what we send is what comes from it.
    let mut spec = spec;
    spec.options.impair.is_device_side = true;
    let listener = spec.open(&events, None);
    let listens = listener.prepare().await?;
    let settings = options.settings();
    introduce(&settings, options.stack.as_ref());
    // A device that goes to its host boots when that is there: what it says at boot is heard.
    let mut first = None;
    if !listens {
        first = tokio::select! {
            biased;
            () = stop.wait() => return Ok(Verdict::Done),
            link = listener.connect() => Some(link?),
        };
    }
    let mut device = tokio::select! {
        biased;
        () = stop.wait() => return Ok(Verdict::Done),
        device = Machine::start(&settings, options.stack.as_ref(), &events) => device?,
    };
    if let Some(console) = console {
        attach_console(&mut device, console.open(&events, None)).await?;
    }
    ready.tell();
    loop {
        let mut link = match first.take() {
            Some(link) => link,
            None => tokio::select! {
                biased;
                () = stop.wait() => return Ok(Verdict::Done),
                link = listener.connect() => link?,
                how = device.run(None) => {
                    how?; // without a host it ends with its stack
                    continue;
                }
            },
        };
        let peer = link.about.peer.clone();
        events.tell(Event::Connected { endpoint: spec.text.clone(), peer });
        let Some(how) = meet(&mut device, &mut link, &mut stop).await? else {
            return Ok(Verdict::Done);
        };
        if !listens && !listener.is_persistent() {
            return Err(Error::environment(format!("{} went away: {how}", spec.text))
                .with_help("to wait for the next host, add ',reconnect=1s' to the endpoint"));
        }
        events.tell(Event::Lost { endpoint: spec.text.clone(), how });
    }
}

fn introduce(settings: &Settings, stack: Option<&Spec>) {
    let model = settings.model.name;
    terminal::tell(&match stack {
        None => format!("reference device, model {model}, at 192.168.100.2"),
        Some(stack) => format!("reference device, model {model}, with the stack at {}", stack.text),
    });
}

/// Console lines that wait for a reader at most.
const CONSOLE_LINES: usize = 256;

async fn attach_console(device: &mut Machine, listener: Box<dyn Connector>) -> Result<()> {
    listener.prepare().await?;
    let (lines, coming) = mpsc::channel(CONSOLE_LINES);
    device.attach_console(lines);
    tokio::spawn(serve_console(listener, coming));
    Ok(())
}

/// Shows the console to one reader after the other.
async fn serve_console(listener: Box<dyn Connector>, mut lines: mpsc::Receiver<String>) {
    while let Ok(mut link) = listener.connect().await {
        loop {
            tokio::select! {
                biased;
                received = link.rx.receive() => match received {
                    Ok(Received::Bytes(_) | Received::Records(_)) => {} // nobody types on this console
                    Ok(Received::End(_)) | Err(_) => break,
                },
                line = lines.recv() => {
                    let Some(line) = line else { return };
                    if link.tx.send_raw(format!("{line}\r\n").as_bytes()).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
}

/// One host, until it leaves; `None` when told to stop.
async fn meet(device: &mut Machine, link: &mut Link, stop: &mut Stop) -> Result<Option<String>> {
    tokio::select! {
        biased;
        how = device.run(Some(link)) => how.map(Some),
        () = stop.wait() => Ok(None),
    }
}
