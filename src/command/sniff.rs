//! `uarttool sniff`: look at the line.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::bus::Bus;
use crate::capture::Source;
use crate::capture::read::Reading;
use crate::cli::args::TunnelArgs;
use crate::cli::read::{self, Job};
use crate::cli::ready::Ready;
use crate::cli::recording::RecordingArgs;
use crate::cli::show::{self, ShowArgs};
use crate::cli::sink::{self, Plan, Report};
use crate::cli::target::{self, Tunnel};
use crate::cli::{self, Verdict, signals, terminal};
use crate::clock::Clock;
use crate::endpoint::sharing::Sharing;
use crate::endpoint::spec::parse_positive;
use crate::endpoint::{Connector, Link, Pending, Spec};
use crate::error::{Error, Result};
use crate::framing::{self, Framing};
use crate::stop::{self, Stop, Stopper};
use crate::tap::{End, Tap, console, direct, proxy};

const EXAMPLES: &str = "\
Examples:
  uarttool sniff -d tcp:127.0.0.1:5556
  uarttool sniff -d unix:build/esp32-uart1.sock,reconnect=1s -w out.pcapng
  uarttool sniff -c 100 -x 'icmp and host 192.168.100.2'
  uarttool sniff from device and not arp
  uarttool sniff -w out.pcapng -C 100 -W 10     the last gigabyte, in ten files
  uarttool sniff -w - | wireshark -k -i -
  uarttool sniff --proxy tcp-listen:127.0.0.1:5557 -qq -w out.pcapng
  uarttool sniff --console tcp:127.0.0.1:5555 -w out.pcapng

QEMU serves one client. Without '--proxy' uarttool is that client and sees what the device sends;
with it, start uarttool first and point the real client at the proxy's port: both directions are
seen. While another uarttool has the tunnel, sniff goes through that one and sees both, too.

Exit status: 0 done, also after Ctrl-C; 1 frames were dropped, with --fail-on-drop; 2 usage; 3 the
tunnel is not there or went away.";

/// Look at the line: one line a frame, and captures for Wireshark
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SniffArgs {
    /// Only these frames: tcpdump's language ('icmp', 'host 192.168.100.2', 'tcp port 80', 'greater 1000'),
    /// 'from device', 'to device', 'malformed', 'http', 'dns', fields ('ip.ttl < 5', 'tcp.flags.syn')
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
    /// Stand between the device and its client: listen here, tcp-listen:[HOST]:PORT or
    /// unix-listen:PATH, and pass everything on
    #[arg(long, value_name = "LISTEN")]
    proxy: Option<String>,
    /// How to tap the line: direct (as the device's client), attach (through the uarttool that holds
    /// it), proxy (with --proxy); auto takes what there is
    #[arg(long, value_name = "HOW", default_value_t = Way::Auto, hide_possible_values = true)]
    tap: Way,
    /// Stop after N frames
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Stop after this time: 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", value_parser = parse_positive)]
    duration: Option<Duration>,
    /// Read a recorded file instead of a line, as 'uarttool decode' does
    #[arg(short = 'r', long, value_name = "FILE", conflicts_with_all = ["proxy", "console", "duration"])]
    read: Option<PathBuf>,
    /// End with 1 if frames were dropped because the output was too slow
    #[arg(long)]
    fail_on_drop: bool,
    /// The device's console (QEMU's first -serial), beside the line: its log lines in the output and
    /// in .pcapng; panics, aborts, watchdogs and reboots are counted
    #[arg(long, value_name = "ENDPOINT")]
    console: Option<String>,
    /// Write 'ready' to this file descriptor when the tap is in place
    #[arg(long, value_name = "N")]
    ready_fd: Option<u32>,
    #[command(flatten)]
    pub(super) tunnel: TunnelArgs,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    recording: RecordingArgs,
}

/// How to tap a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Way {
    Auto,
    Direct,
    Attach,
    Proxy,
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Way::Auto => "auto",
            Way::Direct => "direct",
            Way::Attach => "attach",
            Way::Proxy => "proxy",
        })
    }
}

impl Way {
    /// Refuses what other arguments speak against.
    fn check(self, args: &SniffArgs) -> Result<()> {
        let wrong = match (self, &args.proxy) {
            (Way::Proxy, None) => "'--tap proxy' needs to know where to listen",
            (Way::Direct | Way::Attach, Some(_)) => "'--proxy' is another tap than '--tap' says",
            (Way::Attach, None) if args.tunnel.no_attach => "'--no-attach' forbids '--tap attach'",
            _ => return Ok(()),
        };
        Err(Error::usage(wrong).with_help("for a proxy: '--proxy tcp-listen:127.0.0.1:5557' alone"))
    }
}

/// Runs the command.
pub fn run(args: SniffArgs) -> Result<Verdict> {
    if let Some(path) = &args.read {
        return recorded(&args, path.clone());
    }
    args.tap.check(&args)?;
    let config = target::config()?.preset(args.tunnel.preset)?;
    let mut tunnel = target::tunnel(&args.tunnel, &config)?;
    tunnel.attach &= args.tap != Way::Direct;
    let mut listen = args.proxy.as_deref().map(parse_listener).transpose()?;
    if let Some(listen) = &mut listen {
        // Both sides of the proxy are the same line.
        listen.options.framing = tunnel.spec.options.framing;
        listen.options.max_frame = tunnel.spec.options.max_frame;
    }
    let console = args.console.as_deref().map(|text| tunnel.console(text)).transpose()?;
    let ready = Ready::open(args.ready_fd)?;
    if let Some(why) = &tunnel.why {
        terminal::tell(&format!("using {}: {why}", tunnel.spec.text));
    }
    let lines = Lines { tunnel, listen, console };
    let clock = Clock::system();
    let plan = plan(&args, &lines, clock.clone())?;
    cli::block_on(sniff(args, lines, plan, clock, ready))
}

/// The same of a recorded file.
fn recorded(args: &SniffArgs, path: PathBuf) -> Result<Verdict> {
    let is_typed = args.tunnel.device.is_some() && !args.tunnel.is_inherited;
    if is_typed {
        return Err(
            Error::usage("'-r' reads a file and '-d' a line").with_help("leave one of them away")
        );
    }
    let mut ready = Ready::open(args.ready_fd)?;
    let framing = args.tunnel.framing.unwrap_or(framing::ALL[0]);
    let max_frame = args.tunnel.max_frame.unwrap_or(framing::DEFAULT_MAX_FRAME);
    let source = Source {
        name: path.display().to_string(),
        description: "uarttool sniff -r".to_owned(),
        framing,
        console: None,
    };
    let plan = args.plan(source, framing, false, Clock::system())?;
    super::decode::refuse_the_same_file(&path, plan.capture.as_ref())?;
    let (stopper, stop) = stop::pair();
    signals::watch(stopper)?;
    ready.tell();
    let reading = Reading {
        framing,
        max_frame,
        stop: Some(stop.clone()),
        tell: Some(terminal::tell),
        ..Reading::default()
    };
    let job = Job { path, reading, from: None, to: None, anonymizer: None };
    super::decode::conclude(read::run(job, plan, &stop)?)
}

impl SniffArgs {
    fn plan(
        &self,
        source: Source,
        framing: &'static Framing,
        is_live: bool,
        clock: Clock,
    ) -> Result<Plan> {
        Ok(Plan {
            show: self.show.style(framing)?.filter(|_| !self.recording.is_stdout()),
            filter: show::filter(&self.filter)?,
            capture: self.recording.plan()?,
            is_live,
            is_unbuffered: self.recording.is_unbuffered,
            source,
            count: self.count,
            clock,
        })
    }
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
    if matches!(spec.form.name, "tcp-listen" | "unix-listen" | "pty") {
        if !spec.options.impair.is_nothing() {
            return Err(Error::usage(format!("'--proxy {text}' cannot be impaired"))
                .with_help("impair the line itself: '-d ENDPOINT,drop=1%'"));
        }
        let misplaced = ["framing=", "max-frame=", "reconnect="];
        return match misplaced.iter().find(|option| text.contains(&format!(",{option}"))) {
            None => Ok(spec),
            Some(option) => Err(Error::usage(format!("'{option}' has no meaning for '--proxy'"))
                .with_help("the line's options belong to the tunnel: '-d ENDPOINT,...'")),
        };
    }
    Err(Error::usage(format!("'--proxy {text}' does not listen"))
        .with_help("give tcp-listen:127.0.0.1:5557, unix-listen:PATH or pty"))
}

async fn sniff(
    args: SniffArgs,
    lines: Lines,
    plan: Plan,
    clock: Clock,
    mut ready: Ready,
) -> Result<Verdict> {
    let (stopper, stop) = stop::pair();
    signals::watch(stopper.clone())?;
    if let Some(duration) = args.duration {
        stop_after(duration, stopper.clone());
    }
    let events = match plan.show {
        Some(_) => terminal::events_beside_lines(),
        None => terminal::events(),
    };
    let bus = RefCell::new(Bus::default());
    let inbox = bus.borrow_mut().watch();
    let report = sink::start(plan, inbox, stopper);
    let options = lines.tunnel.spec.options.clone();
    let tap = Tap { clock, events, options };
    let must_attach = args.tap == Way::Attach;
    let end = run_taps(&tap, &lines, must_attach, &bus, stop, || ready.tell()).await;
    drop(bus); // the sink ends when it has taken everything
    let report = report.await.map_err(|_| internal())?;
    let dropped = report.totals.dropped;
    match conclude(end, report, &lines.tunnel.spec)? {
        Verdict::Done if args.fail_on_drop && dropped > 0 => Ok(Verdict::Failed),
        verdict => Ok(verdict),
    }
}

fn plan(args: &SniffArgs, lines: &Lines, clock: Clock) -> Result<Plan> {
    let how = match lines.listen {
        Some(_) => "proxy, both directions",
        None => "direct, from the device",
    };
    let source = Source {
        name: lines.tunnel.spec.text.clone(),
        description: format!("uarttool tap: {how}"),
        framing: lines.tunnel.spec.options.framing,
        console: lines.console.as_ref().map(|console| console.text.clone()),
    };
    args.plan(source, lines.tunnel.spec.options.framing, true, clock)
}

/// Taps the line until it ends, and the console beside it.
async fn run_taps(
    tap: &Tap,
    lines: &Lines,
    must_attach: bool,
    bus: &RefCell<Bus>,
    stop: Stop,
    ready: impl FnOnce(),
) -> Result<End> {
    let line = run_tap(tap, lines, must_attach, bus, stop, ready);
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
    must_attach: bool,
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
            let device = if must_attach { Box::new(OnlyAttached(device)) } else { device };
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

/// A connector that goes through another uarttool or not at all.
struct OnlyAttached(Box<dyn Connector>);

impl Connector for OnlyAttached {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn prepare(&self) -> Pending<'_, Result<bool>> {
        self.0.prepare()
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let link = self.0.connect().await?;
            match link.about.shared {
                Some(_) => Ok(link),
                None => {
                    let text = format!("no uarttool holds {}", self.0.name());
                    Err(Error::environment(text).with_help(
                        "leave '--tap attach' away to hold it, or start the holder first",
                    ))
                }
            }
        })
    }

    fn is_persistent(&self) -> bool {
        self.0.is_persistent()
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
    if let Some(left_out) = totals.left_out_summary() {
        terminal::tell(&left_out);
    }
    if let Some(error) = report.error {
        totals.kept_summary().as_deref().map(terminal::tell);
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
