//! ping's report, as ping prints it.

use std::net::IpAddr;

use crate::cli::conversation::Out;
use crate::endpoint::Spec;
use crate::framing::Carries;
use crate::probe::Identity;
use crate::probe::ping::{Damage, Outcome, Plan, Reply, Statistics};
use crate::proto::{ethernet, icmp, ipv4, ipv6};

/// Prints ping's report.
pub(super) struct Reporter<'a> {
    plan: &'a Plan,
    is_sweep: bool,
    is_quiet: bool,
    out: &'a mut Out,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(plan: &'a Plan, is_sweep: bool, is_quiet: bool, out: &'a mut Out) -> Self {
        Reporter { plan, is_sweep, is_quiet, out }
    }

    fn say(&mut self, text: &str) {
        self.out.say(text);
    }

    /// Whether nobody reads the report any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.out.is_abandoned()
    }

    fn target(&self, identity: &Identity) -> IpAddr {
        self.plan.target.map_or(IpAddr::V4(identity.device_ip), IpAddr::V6)
    }

    pub(super) fn head(&mut self, identity: &Identity, spec: &Spec) {
        let ip = if self.plan.target.is_some() { ipv6::HEADER } else { ipv4::HEADER };
        let headers = ip + icmp::HEADER;
        let (first, last) = (*self.plan.sizes.start(), *self.plan.sizes.end());
        let size = match first == last {
            true => format!("{first}({})", first + headers),
            false => format!("{first} to {last}"),
        };
        let mac = match spec.options.framing.carries {
            Carries::Ethernet => format!(" ({})", identity.device_mac),
            Carries::Ip => String::new(), // there is none
        };
        self.say(&format!(
            "PING {}{mac} through {}: {size} bytes of data",
            self.target(identity),
            crate::escape::lines(&spec.text)
        ));
    }

    pub(super) fn outcome(&mut self, outcome: Outcome) {
        if self.is_quiet {
            return;
        }
        match outcome {
            Outcome::Reply(reply) => self.reply(&reply, ""),
            Outcome::Duplicate(reply) => self.reply(&reply, " (DUP!)"),
            Outcome::Timeout { number, size } => {
                let of =
                    if self.is_sweep { format!(" ({size} bytes of data)") } else { String::new() };
                let waited = self.plan.timeout;
                self.say(&format!("no reply to icmp_seq={number}{of} within {waited:?}"));
            }
            Outcome::Error { number, from, text } => {
                self.say(&format!("from {from}, icmp_seq={number}: {text}"));
            }
            Outcome::Misdirected { number, what } => {
                self.say(&format!("reply to icmp_seq={number} {what}: not counted"));
            }
            Outcome::BadChecksum { number } => {
                self.say(&format!("reply to icmp_seq={number} with a bad checksum, not counted"));
            }
            Outcome::Framing(text) => self.say(&format!("!! {text}")),
            Outcome::Back { how, after } => {
                let seconds = after.as_secs_f64();
                self.say(&format!("line gone ({how}), back after {seconds:.1} s"));
            }
        }
    }

    fn reply(&mut self, reply: &Reply, mark: &str) {
        let ms = reply.time.as_secs_f64() * 1e3;
        self.say(&format!(
            "{} bytes: icmp_seq={} ttl={} time={} ms{mark}",
            reply.length,
            reply.number,
            reply.ttl,
            three_digits(ms)
        ));
        match reply.damage {
            None => {}
            Some(Damage::Byte { at, sent, got }) => self
                .say(&format!("wrong data: byte {at} is 0x{got:02x} and should be 0x{sent:02x}")),
            Some(Damage::Length { sent, got }) => {
                self.say(&format!("wrong data: {got} bytes and should be {sent}"));
            }
        }
    }

    pub(super) fn sum(&mut self, identity: &Identity, s: &Statistics) {
        let loss = 100.0 * s.lost() as f64 / (s.transmitted - s.in_flight).max(1) as f64;
        let mut line = format!("{} packets transmitted, {} received", s.transmitted, s.received);
        for (n, what) in [
            (s.unsent, "that the line would not take"),
            (s.duplicates, "duplicates"),
            (s.damaged, "damaged"),
            (s.errors, "errors"),
            (s.in_flight, "still in flight"),
        ] {
            if n > 0 {
                line.push_str(&format!(", {n} {what}"));
            }
        }
        let loss = format!("{loss:.4}");
        let loss = loss.trim_end_matches('0').trim_end_matches('.');
        let elapsed = s.elapsed.as_millis();
        self.say(&format!("\n--- {} ping statistics ---", self.target(identity)));
        self.say(&format!("{line}, {loss}% packet loss, time {elapsed}ms"));
        if let Some([min, average, max, deviation]) = s.rtt() {
            self.say(&format!(
                "rtt min/avg/max/mdev = {min:.3}/{average:.3}/{max:.3}/{deviation:.3} ms"
            ));
        }
        if self.is_sweep && !s.unanswered.is_empty() {
            self.sizes(s);
        }
    }

    /// Which sizes were not answered, and what that probably means.
    fn sizes(&mut self, s: &Statistics) {
        let text = ranges(s.unanswered.keys().copied());
        self.say(&format!("no reply to data sizes {text}"));
        let (Some(largest), Some(smallest)) =
            (s.largest_answered, s.unanswered.keys().next().copied())
        else {
            return;
        };
        if smallest > largest {
            let ip = if self.plan.target.is_some() { ipv6::HEADER } else { ipv4::HEADER };
            let headers = ethernet::HEADER + ip + icmp::HEADER;
            self.say(&format!(
                "the largest frame that was answered has {} bytes; the smallest that was not has {}",
                largest + headers,
                smallest + headers
            ));
            if largest + headers == 1500 {
                self.say(
                    "a limit of 1500 bytes counts the Ethernet header: the driver drops full-size \
                     packets; raise its limit to 1514, or set its MTU to 1486",
                );
            }
        }
    }
}

/// ping's precision: three significant digits, at most three decimals.
fn three_digits(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.3}").chars().take(5).collect(),
        ms if ms < 100.0 => format!("{ms:.1}"),
        ms => format!("{ms:.0}"),
    }
}

/// `1, 3-7` for ascending numbers.
fn ranges(numbers: impl Iterator<Item = usize>) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for n in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => parts.push((n, n)),
        }
    }
    let part = |(a, b): &(usize, usize)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    parts.iter().map(part).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_ping_shows_them() {
        assert_eq!(
            [0.0712, 9.9994, 17.36, 249.4].map(three_digits),
            ["0.071", "9.999", "17.4", "249"]
        );
        assert_eq!(ranges([1, 3, 4, 5, 9].into_iter()), "1, 3-5, 9");
    }
}
