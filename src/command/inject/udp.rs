//! `uarttool inject udp`: datagrams to ports, and what the ports say.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;

use super::disguise::DisguiseArgs;
use super::out::{Out, milliseconds};
use super::ports::Ports;
use super::session::Session;
use super::{data, ports, tcp};
use crate::cli::Verdict;
use crate::cli::args::{AddressArgs, CaptureArgs, TunnelArgs};
use crate::cli::terminal;
use crate::endpoint::spec::parse_positive;
use crate::error::Result;
use crate::escape;
use crate::probe::inject;
use crate::probe::inject::udp::{Answer, Plan, What};
use crate::proto::dump::{Layout, dump};
use crate::proto::line::Line;

const EXAMPLES: &str = "\
Examples:
  uarttool inject udp --port 7 --data hello
  uarttool inject udp --port 40009               a closed port answers by ICMP
  uarttool inject udp --port 53 --data 'file(query.bin)'
  uarttool inject udp --port 7 --data 'pattern(1472)' -c 100 -i 1ms

Exit status: 0 something came back, or after something malformed the device lives; 1 it does not, or
nothing came; 2 usage; 3 the tunnel is not there or went away.";

/// Send UDP datagrams to ports and show the replies, or the errors by ICMP
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct UdpArgs {
    /// The address to send to, IPv4 or IPv6 [default: the device's]
    #[arg(value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// The ports: 7, 53,123, 1-1024
    #[arg(short = 'p', long, visible_alias = "ports", value_name = "PORTS", value_parser = ports::parse)]
    port: Ports,
    /// Data: text, or 0x.., hex(..), file(PATH), pattern(N), random(N)
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// Where chance starts, for random(N) [default: another each time]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Source port [default: another one for each datagram]
    #[arg(long, value_name = "PORT")]
    sport: Option<u16>,
    /// Ask every port N times
    #[arg(short = 'c', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// From one datagram to the next: 1s, 0.2, 10ms
    #[arg(short = 'i', long, value_name = "TIME", default_value = "10ms", value_parser = parse_positive)]
    interval: Duration,
    /// How long to wait for an answer
    #[arg(short = 'W', long, value_name = "TIME", default_value = "1s", value_parser = parse_positive)]
    timeout: Duration,
    #[command(flatten)]
    disguise: DisguiseArgs,
    #[command(flatten)]
    tunnel: TunnelArgs,
    #[command(flatten)]
    addresses: AddressArgs,
    #[command(flatten)]
    capture: CaptureArgs,
}

/// Runs the command.
pub(super) fn run(args: UdpArgs) -> Result<Verdict> {
    let session = Session::new("udp", &args.tunnel, &args.addresses, &args.capture)?;
    let ends = inject::ends(&session.identity, args.address);
    let seed = args.seed.unwrap_or_else(data::new_seed);
    let bytes =
        args.data.as_deref().map_or(Ok(Vec::new()), |text| data::parse(text, &ends, seed))?;
    let headers = if args.address.is_some_and(|ip| ip.is_ipv6()) { 62 } else { 42 };
    session.check_length(headers + bytes.len())?;
    let plan = Plan {
        target: args.address,
        ports: args.port.0.clone(),
        source_port: args.sport,
        data: bytes,
        count: args.count,
        interval: args.interval,
        timeout: args.timeout,
        disguise: args.disguise.disguise()?,
    };
    let mut out = Out::new(&args.capture);
    let verdict = session.run(&mut out, async |probe, stop, out| {
        plan.disguise.wire.check(probe.framing(), probe.is_stream())?;
        let mut silent = 0;
        let all = plan.ports.len() as u64 * plan.count;
        let came = inject::udp::run(probe, &plan, stop, &mut |answer| {
            let is_silent = answer.what == What::Nothing;
            silent += u64::from(is_silent);
            if !is_silent || all <= 16 {
                out.say(&describe(&answer, &plan));
            }
        })
        .await?;
        if all > 1 {
            let sent = terminal::count(came + silent, "datagram");
            out.say(&format!("{sent}: {came} answered, {silent} without an answer"));
        }
        if plan.disguise.is_malformed() && !stop.is_stopped() {
            return tcp::say_life(probe, &plan.disguise.wire, plan.timeout, out).await;
        }
        Ok(if came > 0 { Verdict::Done } else { Verdict::Failed })
    })?;
    out.finish()?;
    Ok(verdict)
}

fn describe(answer: &Answer, plan: &Plan) -> String {
    let port = format!("{}/udp", answer.port);
    match &answer.what {
        What::Reply(data, _, after) => {
            let bytes = terminal::count(data.len() as u64, "byte");
            let same = if *data == plan.data && !data.is_empty() { ", the same" } else { "" };
            let mut text = format!("{port} answers: {bytes}{same} in {}", milliseconds(*after));
            if !data.is_empty() {
                text += &shown(data);
            }
            text
        }
        What::Error(from, text, after) => {
            let text = escape::lines(text);
            format!("{port} refused: {text}, from {from} in {}", milliseconds(*after))
        }
        What::Nothing => format!("{port} no answer within {:?}", plan.timeout),
    }
}

/// Short text in quotation marks; anything else as a dump.
fn shown(data: &[u8]) -> String {
    let is_text = data.len() <= 80 && data.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if is_text {
        return format!(": \"{}\"", escape::terminal(data));
    }
    let mut line = Line::new(false);
    dump(data.get(..256).unwrap_or(data), Layout::HexAndCharacters, &mut line);
    format!("\n{}", String::from_utf8_lossy(line.as_bytes()).trim_end_matches('\n'))
}
