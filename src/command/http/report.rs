//! A line for each request, and the sums at the end.

use std::io::Write;
use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};

use super::exchange::{Digest256, Outcome};
use super::request::Request;
use crate::cli::terminal;
use crate::error::Error;
use crate::escape;

/// The version of the JSON lines.
const VERSION: u64 = 1;
/// Hex digits of a digest that tell bodies apart.
const DIGITS: usize = 16;

/// How to report.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    pub(super) is_json: bool,
    pub(super) is_quiet: bool,
    pub(super) is_verbose: bool,
    /// There are several requests, and sums at the end.
    pub(super) has_sums: bool,
}

/// Reports requests.
pub(super) struct Reporter {
    manner: Manner,
    out: Box<dyn Write>,
    sums: Sums,
    /// The last body, and whose it was.
    last: Option<(Digest256, u64)>,
    /// Nobody reads the report any more.
    pub(super) is_abandoned: bool,
    /// Why it cannot be written.
    pub(super) failure: Option<Error>,
}

/// What all requests together were.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    /// Requests that have ended.
    pub(super) requests: u64,
    /// Those with a whole response that is no error.
    pub(super) ok: u64,
    first_bytes: Vec<Duration>,
    totals: Vec<Duration>,
    stalls: u64,
    longest_stall: Duration,
    /// Requests that were under way when it all ended.
    broken_off: u64,
    bodies: std::collections::HashSet<Digest256>,
}

impl Sums {
    fn add(&mut self, outcome: &Outcome) {
        self.requests += 1;
        self.ok += u64::from(outcome.is_ok());
        if outcome.failure.is_none() {
            self.first_bytes.extend(outcome.first_byte);
            self.totals.push(outcome.total);
        }
        if let Some(stall) = &outcome.judgement.stall {
            self.stalls += 1;
            self.longest_stall = self.longest_stall.max(stall.length);
        }
        self.bodies.extend(outcome.digest);
    }

    /// The sentences at the end.
    fn say(mut self) -> String {
        let failed = self.requests - self.ok;
        let requests = terminal::count(self.requests, "request");
        let mut text = format!("{requests}, {} ok, {failed} failed", self.ok);
        if self.broken_off > 0 {
            text += &format!(", {} broken off", self.broken_off);
        }
        if self.stalls > 0 {
            let longest = self.longest_stall.as_secs_f64();
            text += &format!(", {} stalled (longest {longest:.2} s)", self.stalls);
        }
        let whole = self.totals.len();
        let of = match whole as u64 == self.requests {
            true => String::new(),
            false => format!(" (of {} that came whole)", terminal::count(whole as u64, "response")),
        };
        for (what, times) in [("first byte", &mut self.first_bytes), ("total", &mut self.totals)] {
            times.sort_unstable();
            if let Some(shares) = shares(times) {
                let shown = shares.map(digits).join("/");
                text += &format!("\n{what} min/p50/p90/p99/max = {shown} ms{of}");
            }
        }
        text + &format!("\nbody hashes: {}", self.bodies.len())
    }
}

/// Minimum, median, 90th and 99th percentile (nearest rank), maximum of ascending times.
fn shares(times: &[Duration]) -> Option<[Duration; 5]> {
    let rank = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100).max(1);
        times.get(rank - 1).copied()
    };
    Some([*times.first()?, rank(50)?, rank(90)?, rank(99)?, *times.last()?])
}

/// Milliseconds with three significant digits where that makes sense.
fn digits(time: Duration) -> String {
    match time.as_secs_f64() * 1e3 {
        ms if ms < 10.0 => format!("{ms:.2}"),
        ms if ms < 100.0 => format!("{ms:.1}"),
        ms => format!("{ms:.0}"),
    }
}

fn hex(digest: &Digest256) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Reporter {
    /// A reporter that writes to `out`.
    pub(super) fn new(manner: Manner, out: Box<dyn Write>) -> Reporter {
        let (sums, last) = (Sums::default(), None);
        Reporter { manner, out, sums, last, is_abandoned: false, failure: None }
    }

    /// The sums so far.
    pub(super) fn sums(&self) -> &Sums {
        &self.sums
    }

    /// One line. A reader that has left ends the run quietly, as in any pipe.
    fn say(&mut self, text: &str) {
        if self.has_failed() {
            return;
        }
        let text = escape::lines(text);
        let written = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                self.is_abandoned = true;
            }
            Err(error) => {
                let error = Error::environment("cannot write the report").caused_by(error);
                self.failure = Some(error);
            }
        }
    }

    /// Whether nothing can be reported any more.
    pub(super) fn has_failed(&self) -> bool {
        self.is_abandoned || self.failure.is_some()
    }

    /// A request was under way when we were told to stop: it is told, and counts neither way.
    pub(super) fn broken_off(&mut self, request: &Request, outcome: &Outcome) {
        self.sums.broken_off += 1;
        let number = self.sums.requests + 1;
        if self.manner.is_json {
            self.say(&object(number, request, outcome, None).to_string());
        } else if !self.manner.is_quiet || !self.manner.has_sums {
            self.line(number, outcome, None);
        }
    }

    /// A request has ended.
    pub(super) fn outcome(&mut self, request: &Request, outcome: &Outcome) {
        self.sums.add(outcome);
        let number = self.sums.requests;
        let changed = match (outcome.digest, self.last) {
            (Some(digest), Some((last, whose))) if digest != last => Some(whose),
            _ => None,
        };
        if let Some(digest) = outcome.digest {
            self.last = Some((digest, number));
        }
        if self.manner.is_json {
            self.say(&object(number, request, outcome, changed).to_string());
            return;
        }
        let is_short = self.manner.is_quiet && (self.manner.has_sums || outcome.is_ok());
        if is_short {
            return;
        }
        self.line(number, outcome, changed);
    }

    /// What is said of one request, with the stall, and what else is wanted.
    fn line(&mut self, number: u64, outcome: &Outcome, changed: Option<u64>) {
        let mut text = sentence(number, outcome, changed, self.manner.is_verbose);
        if let Some(stall) = &outcome.judgement.stall {
            text += &format!("\n#{number} {stall}");
        }
        if self.manner.is_verbose {
            for line in String::from_utf8_lossy(&outcome.head).lines() {
                text += &if line.is_empty() { String::new() } else { format!("\n< {line}") };
            }
            let is_odd = outcome.judgement.stall.is_some() || outcome.failure.is_some();
            for packet in outcome.judgement.packets.iter().filter(|_| is_odd) {
                text += &format!("\n  {packet}");
            }
        }
        self.say(&text);
    }

    /// The sums.
    pub(super) fn finish(&mut self, request: &Request) {
        if !self.manner.has_sums || self.manner.is_json {
            return;
        }
        let sums = self.sums.clone().say();
        self.say(&format!("\n--- {} {} ---\n{sums}", request.method, request.url));
    }
}

/// What is said of one request.
fn sentence(number: u64, outcome: &Outcome, changed: Option<u64>, is_verbose: bool) -> String {
    let mut text = format!("#{number}");
    if let Some(status) = outcome.status {
        text += &format!(" {} {}", status.as_u16(), outcome.reason);
        text.truncate(text.trim_end().len());
    }
    if let Some(why) = &outcome.failure {
        let so_far = match outcome.status {
            Some(_) => format!(" {} bytes, then", outcome.bytes),
            None => String::new(),
        };
        return format!("{text}{so_far} failed after {} ms: {why}", digits(outcome.total));
    }
    text += &format!(" {} bytes", outcome.bytes);
    if let Some(first) = outcome.first_byte {
        text += &format!(", first byte {} ms", digits(first));
    }
    text += &format!(", total {} ms", digits(outcome.total));
    if let Some(digest) = &outcome.digest {
        let whole = hex(digest);
        let shown = if is_verbose { &whole } else { &whole[..DIGITS] };
        text += &format!(", sha256 {shown}{}", if is_verbose { "" } else { ".." });
    }
    if let Some(whose) = changed {
        text += &format!(", changed since #{whose}");
    }
    if let Some(url) = &outcome.redirected {
        text += &format!(", from {url}");
    }
    if let Some(to) = &outcome.leads {
        text += &format!(", leads to {to}, which is not followed");
    }
    text
}

/// The same for programs.
fn object(number: u64, request: &Request, outcome: &Outcome, changed: Option<u64>) -> Value {
    let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let stall = outcome.judgement.stall.as_ref();
    json!({
        "v": VERSION,
        "type": "request",
        "number": number,
        "time": outcome.began.rfc3339(),
        "method": request.method.as_str(),
        "url": request.url.as_str(),
        "from": outcome.redirected.as_ref().map(Url::as_str),
        "ok": outcome.is_ok(),
        "status": outcome.status.map(|status| status.as_u16()),
        "bytes": outcome.bytes,
        "first_byte_ms": outcome.first_byte.map(ms),
        "total_ms": ms(outcome.total),
        "sha256": outcome.digest.as_ref().map(hex),
        "changed_since": changed,
        "location": outcome.leads,
        "stalled_ms": stall.map(|stall| ms(stall.length)),
        "stall_reason": stall.map(|stall| stall.reason.to_string()),
        "error": outcome.failure,
    })
}

#[cfg(test)]
mod tests;
