//! `uarttool http`: requests through the tunnel, without root.
//!
//! The HTTP client speaks through a socket in a private folder, which the rootless network leads to the
//! device. The line is watched meanwhile, so that a request that stands still can be explained.

mod body;
mod client;
mod credentials;
mod ear;
mod exchange;
mod folder;
mod redirect;
mod report;
mod request;
mod run;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::args::{AddressArgs, CaptureArgs, TunnelArgs};
use crate::cli::network::Network;
use crate::cli::{self, Verdict, target, terminal};
use crate::endpoint::spec::parse_positive;
use crate::error::{Error, Result};
use crate::event::{Event, Events};
use body::Body;
use report::Manner;
use request::{Request, Typed};
use watch::Patience;

const EXAMPLES: &str = "\
Examples:
  uarttool http /status                        the body on stdout, as curl does
  uarttool http -c 100 -i 50ms /               a line for each request, sums at the end
  uarttool http POST /upload --data @image.bin
  uarttool http http://esp32.local:8080/api -H 'Content-Type: application/json' --data '{}'
  uarttool http -c 10 --stall 500ms -v -w http.pcapng /
  uarttool http -I /                           the head alone

The connection always leads to the device: a URL's host is only named in the Host header, and its
port is the device's. A redirect is followed, at most 10 times, where it names the same port and
either the same host or the device's address; where any other leads is said, and it counts as the
response. Names of header lines are sent like X-Camelcase, however they are typed: HTTP makes no
difference. The length of a body is always sent. What is shown of a response's head is what came.

A request that stands still for longer than --stall is explained by its packets: who owed what to
whom. The percentiles are of responses that came whole.

With --json one object a request: v, type (\"request\"), number, time, method, url, from (the URL
that answered, after redirects), ok, status, bytes, first_byte_ms, total_ms, sha256, changed_since
(the request whose body was another), location (of a redirect that is not followed), stalled_ms,
stall_reason, error. What does not apply is null.

Exit status: 0 every response was good (2xx or 3xx); 1 one was not (4xx, 5xx), or did not come
whole, also because whoever reads the body had left; 2 usage; 3 the tunnel is not there or went
away; 130 interrupted before there was a result.";

/// Make HTTP requests to the device through the tunnel
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, override_usage = "uarttool http [OPTIONS] [METHOD] <URL|PATH>")]
pub struct HttpArgs {
    /// What to ask for, perhaps with the method in front: /status, :8080/x, http://HOST[:PORT]/PATH
    #[arg(value_name = "[METHOD] URL|PATH", num_args = 1..=2, required = true)]
    what: Vec<String>,
    /// The method [default: GET; POST with --data]
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<String>,
    /// Send this body: TEXT, @FILE or @- for stdin, unchanged
    #[arg(long, value_name = "TEXT|@FILE")]
    data: Option<String>,
    /// Send this header line; 'Name:' without a value sends none of that name
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Ask for the head alone, and show it
    #[arg(short = 'I', long, conflicts_with = "data")]
    head: bool,
    /// Make N requests, and show lines instead of the body
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// From one request to the next, if the first has ended: 1, 0.2, 10ms; without -c until
    /// interrupted [default: 1s]
    #[arg(short = 'i', long, value_name = "TIME", value_parser = parse_positive)]
    interval: Option<Duration>,
    /// Give up when nothing has moved for so long
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_positive)]
    timeout: Duration,
    /// Give up after so long in all
    #[arg(short = 'm', long, value_name = "TIME", value_parser = parse_positive)]
    max_time: Option<Duration>,
    /// Explain requests that stand still for so long
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_positive)]
    stall: Duration,
    /// Use one connection for all requests
    #[arg(long)]
    keep_alive: bool,
    /// Write the body to FILE, which is left alone until a response begins; '-' is stdout, whatever the body is
    #[arg(short = 'o', long, value_name = "FILE", conflicts_with_all = ["count", "interval"])]
    output: Option<PathBuf>,
    /// One JSON object for each request instead of a line
    #[arg(long)]
    json: bool,
    /// Only the sums at the end, or only the body
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Header lines, whole hashes, and the last packets of what went wrong
    #[arg(short = 'v', long, conflicts_with = "quiet")]
    verbose: bool,
    #[command(flatten)]
    tunnel: TunnelArgs,
    #[command(flatten)]
    addresses: AddressArgs,
    #[command(flatten)]
    capture: CaptureArgs,
}

impl HttpArgs {
    /// Whether requests are measured, rather than one made for its body.
    fn measures(&self) -> bool {
        self.count.is_some() || self.interval.is_some()
    }

    /// How many requests; `None` is until interrupted.
    fn times(&self) -> Option<u64> {
        if self.measures() { self.count } else { Some(1) }
    }

    fn patience(&self) -> Patience {
        Patience { standing: self.timeout, whole: self.max_time }
    }

    fn manner(&self) -> Manner {
        Manner {
            is_json: self.json,
            is_quiet: self.quiet,
            is_verbose: self.verbose,
            has_sums: self.measures(),
        }
    }

    fn request(&self, device: std::net::Ipv4Addr) -> Result<Request> {
        let (method, target) = match (&self.what[..], &self.method) {
            ([_, _], Some(_)) => {
                return Err(Error::usage("the method is given twice")
                    .with_help("take away '-X', or the word in front of the URL"));
            }
            ([method, target], None) => (Some(method), target),
            ([target, ..], method) => (method.as_ref(), target),
            ([], _) => return Err(Error::usage("there is no URL")),
        };
        Request::new(
            Typed {
                method: method.map(String::as_str),
                target,
                headers: &self.header,
                data: self.data.as_deref(),
                is_head: self.head,
            },
            device,
        )
    }

    fn is_stdout(&self) -> bool {
        self.output.as_ref().is_some_and(|path| path.as_os_str() == "-")
    }

    fn has_capture_on_stdout(&self) -> bool {
        self.capture.pcap.as_ref().is_some_and(|target| target.path.is_none())
    }

    /// Where bodies go, and whether that is stdout.
    fn body(&self) -> Result<(Body, bool)> {
        let with_head = |body: Body| if self.head { body.with_head() } else { body };
        if self.has_capture_on_stdout() && self.is_stdout() {
            return Err(Error::usage("'-o -' and '-w -' cannot both be stdout")
                .with_help("write one of them to a file"));
        }
        match &self.output {
            Some(path) if !self.is_stdout() => Ok((with_head(Body::file(path)?), false)),
            Some(_) => Ok((with_head(Body::stdout(false)), true)),
            None if self.measures() || self.json || self.has_capture_on_stdout() => {
                Ok((Body::discard(), false))
            }
            None => Ok((with_head(Body::stdout(true)), true)),
        }
    }

    /// Where news goes: for a single request only what matters, as with curl.
    fn events(&self) -> Events {
        let events = terminal::events_beside_lines();
        if self.verbose || (self.measures() && !self.quiet) {
            return events;
        }
        Events::new(move |event| match event {
            Event::Connected { .. } | Event::Note(_) | Event::Progress { .. } => {}
            _ => events.tell(event),
        })
    }
}

/// Runs the command.
pub fn run(args: HttpArgs) -> Result<Verdict> {
    let config = target::config()?.preset(args.tunnel.preset)?;
    let tunnel = target::tunnel(&args.tunnel, &config)?;
    let identity = target::identity(&args.addresses, &config)?;
    let request = args.request(identity.device_ip)?;
    args.capture.check()?;
    let (body, is_stdout_taken) = args.body()?;
    if let Some(why) = &tunnel.why {
        terminal::tell(&format!("using {}: {why}", tunnel.spec.text));
    }
    // Who gives up first says why: that is to be us, not the network.
    let (again, hold) = (tunnel.spec.options.reconnect, args.timeout.saturating_mul(2));
    let mut network = Network::new(tunnel, &args.addresses, &config, hold, &args.events(), "http")?;
    // A line that is not there is an answer here, unless the user wants to wait for it.
    network.tunnel.spec.options.reconnect = again;
    network.forwards = network.forwards.quiet();
    let out: Box<dyn std::io::Write> = match is_stdout_taken || args.has_capture_on_stdout() {
        true => Box::new(std::io::stderr()),
        false => Box::new(std::io::stdout()),
    };
    cli::block_on(run::run(args, network, request, body, out))
}
