//! What segments and datagrams have in common: ports to ask, and a report of what they said.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;

use super::data;
use super::line::{self, LineArgs};
use crate::cli::Verdict;
use crate::cli::conversation::{Session, milliseconds};
use crate::endpoint::spec::parse_positive;
use crate::error::Result;
use crate::escape;
use crate::probe::inject;
use crate::probe::inject::walk::{self, Answer, Asks, Plan, What};
use crate::proto::{ethernet, ipv4, ipv6};

/// How many lines about ports that say nothing interesting are shown.
const MOST_DULL: usize = 16;

/// Where questions go, and when.
#[derive(Args, Debug)]
pub(super) struct PortArgs {
    /// The address to send to, IPv4 or IPv6 [default: the device's]
    #[arg(value_name = "ADDRESS")]
    pub address: Option<IpAddr>,
    /// The ports: 80, 22,80, 1-1024
    #[arg(short = 'p', long, visible_alias = "ports", value_name = "PORTS", value_parser = parse)]
    port: Ports,
    /// Data: text, or 0x.., hex(..), file(PATH), pattern(N), random(N)
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// Where chance starts, for random(N) [default: another each time]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Source port [default: another one each time]
    #[arg(long, value_name = "PORT")]
    sport: Option<u16>,
    /// Ask every port N times
    #[arg(short = 'c', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// From one question to the next: 1s, 0.2, 10ms
    #[arg(short = 'i', long, value_name = "TIME", default_value = "10ms", value_parser = parse_positive)]
    interval: Duration,
    /// How long to wait for an answer
    #[arg(short = 'W', long, value_name = "TIME", default_value = "1s", value_parser = parse_positive)]
    timeout: Duration,
}

impl PortArgs {
    /// Where chance starts.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(data::new_seed)
    }

    /// The data of each question, which has a header of so many bytes inside of IP.
    pub fn data(&self, session: &Session<'_>, seed: u64, header: usize) -> Result<Vec<u8>> {
        let ends = inject::ends(&session.identity, self.address);
        let data = self.data.as_deref();
        let bytes = data.map_or(Ok(Vec::new()), |text| data::parse(text, &ends, seed))?;
        let is_ipv6 = self.address.is_some_and(|address| address.is_ipv6());
        let ip = if is_ipv6 { ipv6::HEADER } else { ipv4::HEADER };
        session.check_length(ethernet::HEADER + ip + header + bytes.len())?;
        Ok(bytes)
    }

    fn plan(&self, line: &LineArgs) -> Plan {
        Plan {
            target: self.address,
            ports: self.port.0.clone(),
            source_port: self.sport,
            count: self.count,
            interval: self.interval,
            timeout: self.timeout,
            disguise: line.disguise(),
        }
    }

    /// How many questions there are.
    fn questions(&self) -> u64 {
        (self.port.0.len() as u64).saturating_mul(self.count)
    }
}

/// What is made of the answers.
pub(super) trait Tally<T> {
    /// Counts an answer; whether there is nothing interesting about it.
    fn add(&mut self, answer: &Answer<T>) -> bool;

    /// What a port says for itself.
    fn describe(&self, said: &T) -> String;

    /// The sum of it all, of ports that were asked so often.
    fn sum(&self, times: u64) -> String;
}

/// Asks the ports, and tells what they say.
pub(super) fn ask<A: Asks>(
    session: Session<'_>,
    args: &PortArgs,
    line: &LineArgs,
    asks: &A,
    mut tally: impl Tally<A::Said>,
) -> Result<Verdict> {
    let plan = args.plan(line);
    let all = args.questions();
    line::converse(session, &plan.disguise, plan.timeout, line.out(), async |turn| {
        let out = &mut *turn.out;
        let came = walk::run(turn.probe, asks, &plan, turn.stop, &mut |answer| {
            let is_dull = tally.add(&answer);
            if !is_dull || all <= MOST_DULL as u64 {
                let port = format!("{}/{}", answer.port, A::NAME);
                out.say(&format!("{port} {}", describe(&answer, &tally, plan.timeout)));
            }
        })
        .await?;
        if all > 1 {
            out.say(&tally.sum(plan.count));
        }
        Ok(if came > 0 { Verdict::Done } else { Verdict::Failed })
    })
}

fn describe<T>(answer: &Answer<T>, tally: &impl Tally<T>, timeout: Duration) -> String {
    match &answer.what {
        What::Said(said) => tally.describe(said),
        What::Error(from, text, after) => {
            let text = escape::lines(text);
            format!("refused: {text}, from {from} in {}", milliseconds(*after))
        }
        What::Nothing => format!("no answer within {timeout:?}"),
    }
}

/// Ports as the user lists them, each once, in the order given.
fn parse(text: &str) -> Result<Ports, String> {
    let bad = || format!("'{text}' is not a list of ports such as 80, 22,80 or 1-1024");
    let mut ports = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once("..").or(part.split_once('-')).unwrap_or((part, part));
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u16>().map_err(|_| bad()),
            false => Err(bad()),
        };
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(bad());
        }
        ports.extend(first..=last);
    }
    let mut seen = std::collections::HashSet::new();
    ports.retain(|port| seen.insert(*port));
    Ok(Ports(ports))
}

/// A list of ports.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ports(Vec<u16>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges() {
        assert_eq!(parse("80,22-24,80").map(|ports| ports.0), Ok(vec![80, 22, 23, 24]));
        assert_eq!(parse("0-65535").map(|ports| ports.0.len()), Ok(65536));
        for bad in ["", "x", "9-1", "65536", "+1", "1,"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
