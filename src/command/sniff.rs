//! `uarttool sniff`: look at the line.

use std::cell::RefCell;
use std::time::Duration;

use clap::{ArgAction, Args};

use crate::bus::Bus;
use crate::capture::Source;
use crate::cli::args::{CaptureArgs, TunnelArgs};
use crate::cli::printer::{Dump, Style};
use crate::cli::ready::Ready;
use crate::cli::sink::{self, Plan, Report};
use crate::cli::target::{self, Tunnel};
use crate::cli::{self, Verdict, signals, terminal};
use crate::clock::Clock;
use crate::endpoint::Spec;
use crate::endpoint::sharing::Sharing;
use crate::endpoint::spec::parse_positive;
use crate::error::{Error, Result};
use crate::stop::{self, Stop, Stopper};
use crate::tap::{End, Tap, console, direct, proxy};

const EXAMPLES: &str = "\
Examples:
  uarttool sniff -d tcp:127.0.0.1:5556
  uarttool sniff -d unix:build/esp32-uart1.sock,reconnect=1s -w out.pcapng
  uarttool sniff -c 100 -x
  uarttool sniff -w - | wireshark -k -i -
  uarttool sniff --proxy tcp-listen:127.0.0.1:5557 -qq -w out.pcapng
  uarttool sniff --console tcp:127.0.0.1:5555 -w out.pcapng

QEMU serves one client. Without '--proxy' uarttool is that client and sees what the device sends;
with it, start uarttool first and point the real client at the proxy's port: both directions are
seen. While another uarttool has the tunnel, sniff goes through that one and sees both, too.

Exit status: 0 done, also after Ctrl-C; 2 usage; 3 the tunnel is not there or went away.";

/// Look at the line: one line a frame, and captures for Wireshark
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SniffArgs {
    /// Stand between the device and its client: listen here, tcp-listen:[HOST]:PORT or
    /// unix-listen:PATH, and pass everything on
    #[arg(long, value_name = "LISTEN")]
    proxy: Option<String>,
    /// Stop after N frames
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Stop after this time: 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", value_parser = parse_positive)]
    duration: Option<Duration>,
    /// Show the bytes in hex; twice: with the Ethernet header
    #[arg(short = 'x', action = ArgAction::Count)]
    hex: u8,
    /// Show the bytes in hex and as characters; twice: with the Ethernet header
    #[arg(short = 'X', action = ArgAction::Count)]
    hex_and_characters: u8,
    /// Shorter lines; twice: no lines, only the summary
    #[arg(short = 'q', action = ArgAction::Count)]
    quiet: u8,
    /// The device's console (QEMU's first -serial), beside the line: its log lines in the output and
    /// in .pcapng; panics, aborts, watchdogs and reboots are counted
    #[arg(long, value_name = "ENDPOINT")]
    console: Option<String>,
    /// Write 'ready' to this file descriptor when the tap is in place
    #[arg(long, value_name = "N")]
    ready_fd: Option<u32>,
    /// Addresses are never resolved to names: accepted, as in tcpdump
    #[arg(short = 'n', action = ArgAction::Count, hide = true)]
    numeric: u8,
    /// Lines are never held back: accepted, as in tcpdump
    #[arg(short = 'l', action = ArgAction::Count, hide = true)]
    line_buffered: u8,
    #[command(flatten)]
    tunnel: TunnelArgs,
    #[command(flatten)]
    capture: CaptureArgs,
}

/// Runs the command.
pub fn run(args: SniffArgs) -> Result<Verdict> {
    let config = target::config()?;
    let tunnel = target::tunnel(&args.tunnel, &config)?;
    let listen = args.proxy.as_deref().map(parse_listener).transpose()?;
    let console = args.console.as_deref().map(|text| tunnel.console(text)).transpose()?;
    let ready = Ready::open(args.ready_fd)?;
    args.capture.check()?;
    if let Some(why) = &tunnel.why {
        terminal::tell(&format!("using {}: {why}", tunnel.spec.text));
    }
    let lines = Lines { tunnel, listen, console };
    cli::block_on(sniff(args, lines, ready))
}

/// Everything that is listened to.
struct Lines {
    tunnel: Tunnel,
    /// Where the tunnel's client is waited for.
    listen: Option<Spec>,
    console: Option<Spec>,
}

fn parse_listener(text: &str) -> Result<Spec> {
    let spec = Spec::parse(text)?;
    if matches!(spec.form.name, "tcp-listen" | "unix-listen") {
        let misplaced = ["framing=", "max-frame=", "reconnect="];
        return match misplaced.iter().find(|option| text.contains(&format!(",{option}"))) {
            None => Ok(spec),
            Some(option) => Err(Error::usage(format!("'{option}' has no meaning for '--proxy'"))
                .with_help("the line's options belong to the tunnel: '-d ENDPOINT,...'")),
        };
    }
    Err(Error::usage(format!("'--proxy {text}' does not listen"))
        .with_help("give tcp-listen:127.0.0.1:5557 or unix-listen:PATH"))
}

async fn sniff(args: SniffArgs, lines: Lines, mut ready: Ready) -> Result<Verdict> {
    let (stopper, stop) = stop::pair();
    signals::watch(stopper.clone())?;
    if let Some(duration) = args.duration {
        stop_after(duration, stopper.clone());
    }
    let clock = Clock::system();
    let plan = plan(&args, &lines, clock.clone());
    let events = match plan.lines {
        Some(_) => terminal::events_beside_lines(),
        None => terminal::events(),
    };
    let bus = RefCell::new(Bus::default());
    let inbox = bus.borrow_mut().watch();
    let report = sink::start(plan, inbox, stopper);
    let options = lines.tunnel.spec.options.clone();
    let tap = Tap { clock, events, options };
    let end = run_taps(&tap, &lines, &bus, stop, || ready.tell()).await;
    drop(bus); // the sink ends when it has taken everything
    let report = report.await.map_err(|_| internal())?;
    conclude(end, report, &lines.tunnel.spec)
}

fn plan(args: &SniffArgs, lines: &Lines, clock: Clock) -> Plan {
    let to_stdout = args.capture.pcap.as_ref().is_some_and(|target| target.path.is_none());
    let dump = Dump {
        hex: args.hex > 0 || args.hex_and_characters > 0,
        link: args.hex > 1 || args.hex_and_characters > 1,
        characters: args.hex_and_characters > 0,
    };
    let how = match lines.listen {
        Some(_) => "proxy, both directions",
        None => "direct, from the device",
    };
    Plan {
        lines: (args.quiet < 2 && !to_stdout).then_some(Style { brief: args.quiet == 1, dump }),
        capture: args.capture.pcap.clone(),
        source: Source {
            name: lines.tunnel.spec.text.clone(),
            description: format!("uarttool tap: {how}"),
            console: lines.console.as_ref().map(|console| console.text.clone()),
        },
        count: args.count,
        clock,
    }
}

/// Taps the line until it ends, and the console beside it.
async fn run_taps(
    tap: &Tap,
    lines: &Lines,
    bus: &RefCell<Bus>,
    stop: Stop,
    ready: impl FnOnce(),
) -> Result<End> {
    let line = run_tap(tap, lines, bus, stop, ready);
    let Some(console) = &lines.console else { return line.await };
    let console = cli::connect::open(console, &tap.events, None)?;
    tokio::select! {
        biased;
        end = line => end,
        end = console::run(tap, &*console, bus) => end.map(|()| End::Finished),
    }
}

async fn run_tap(
    tap: &Tap,
    lines: &Lines,
    bus: &RefCell<Bus>,
    stop: Stop,
    ready: impl FnOnce(),
) -> Result<End> {
    let (tunnel, events) = (&lines.tunnel, &tap.events);
    let (spec, folder) = (&tunnel.spec, tunnel.folder.clone());
    match &lines.listen {
        None => {
            let mut sharing = Sharing::new(folder, "sniff", spec, &tap.clock, events).await;
            let device = cli::connect::open(spec, events, tunnel.attach("sniff"))?;
            direct::run(tap, &*device, bus, &mut sharing, stop, ready).await
        }
        Some(listen) => {
            let mut sharing = Sharing::new(folder, "sniff --proxy", spec, &tap.clock, events).await;
            let device = cli::connect::open(spec, events, None)?; // attached, there are no bytes
            let listener = listen.open(events, None);
            proxy::run(tap, &*device, &*listener, bus, &mut sharing, stop, ready).await
        }
    }
}

fn stop_after(duration: Duration, stopper: Stopper) {
    tokio::spawn(async move {
        tokio::time::sleep(duration).await;
        stopper.stop();
    });
}

/// Says the sum, then what went wrong.
fn conclude(end: Result<End>, report: Report, spec: &Spec) -> Result<Verdict> {
    if report.is_abandoned {
        return Ok(Verdict::Done);
    }
    let totals = &report.totals;
    let is_whole = end.is_ok() && report.error.is_none();
    if is_whole || totals.frames() + totals.errors > 0 {
        terminal::tell(&totals.summary());
    }
    if let Some(console) = totals.console_summary() {
        terminal::tell(&console);
    }
    if totals.left_out > 0 && totals.errors > 0 {
        let errors = terminal::count(totals.errors, "framing error");
        terminal::tell(&format!(
            "{errors} not in the capture: classic pcap holds only frames; use .pcapng"
        ));
    }
    if let Some(error) = report.error {
        return Err(error);
    }
    if report.is_complete {
        return Ok(Verdict::Done);
    }
    match end? {
        End::Stopped | End::Finished => Ok(Verdict::Done),
        End::Lost(how) => Err(Error::environment(format!("{} went away: {how}", spec.text))
            .with_help("to go on when it comes back, add ',reconnect=1s' to the endpoint")),
    }
}

fn internal() -> Error {
    Error::new(crate::error::Category::Internal, "the output thread ended without a report")
}
