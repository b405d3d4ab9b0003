//! `uarttool inject arp`: who has an address, and what becomes of those who claim one.

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::disguise::DisguiseArgs;
use super::out::{Out, milliseconds};
use super::session::Session;
use super::tcp;
use crate::cli::Verdict;
use crate::cli::args::{AddressArgs, CaptureArgs, TunnelArgs, parse_mac};
use crate::endpoint::spec::parse_positive;
use crate::error::Result;
use crate::probe::inject::arp::{self, Claim, Plan};
use crate::proto::MacAddr;

const EXAMPLES: &str = "\
Examples:
  uarttool inject arp request                    who has the device's address?
  uarttool inject arp probe 192.168.100.7        is an address in use? (RFC 5227)
  uarttool inject arp gratuitous                 announce ours
  uarttool inject arp gratuitous 192.168.100.2 --sender-mac 02:00:00:00:00:66
                                                 claim the device's: does it defend itself?
  uarttool inject arp reply 192.168.100.1 --sender-mac 02:00:00:00:00:66
                                                 does it believe that?

Exit status: 0 somebody answered, or for 'gratuitous' and 'reply', which nobody answers, it was sent;
1 nobody did, or more than one has the address; 2 usage; 3 the tunnel is not there or went away.";

/// Send ARP messages and list who answers
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ArpArgs {
    /// What to send
    kind: Kind,
    /// The address that it is about [default: the device's; ours for gratuitous and reply]
    #[arg(value_name = "ADDRESS")]
    address: Option<Ipv4Addr>,
    /// The sender's IPv4 address in a request [default: ours]
    #[arg(long, value_name = "IP")]
    sender_ip: Option<Ipv4Addr>,
    /// The sender's Ethernet address in the message [default: ours]
    #[arg(long, value_name = "MAC", value_parser = parse_mac)]
    sender_mac: Option<MacAddr>,
    /// Send N messages [default: 1; 3 for a probe]
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// From one message to the next: 1s, 0.2, 10ms
    #[arg(short = 'i', long, value_name = "TIME", default_value = "1s", value_parser = parse_positive)]
    interval: Duration,
    /// How long to wait for answers to the last
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Who has ADDRESS?
    Request,
    /// ADDRESS is the sender's (an ARP announcement)
    Gratuitous,
    /// Is ADDRESS in use? Asked without claiming an address
    Probe,
    /// ADDRESS is the sender's, told to the device although it did not ask
    Reply,
}

/// Runs the command.
pub(super) fn run(args: ArpArgs) -> Result<Verdict> {
    let session = Session::new("arp", &args.tunnel, &args.addresses, &args.capture)?;
    let ours = &session.identity;
    let kind = match args.kind {
        Kind::Request => arp::Kind::Request,
        Kind::Gratuitous => arp::Kind::Gratuitous,
        Kind::Probe => arp::Kind::Probe,
        Kind::Reply => arp::Kind::Reply,
    };
    let claims = matches!(args.kind, Kind::Gratuitous | Kind::Reply);
    let plan = Plan {
        kind,
        address: args.address.unwrap_or(if claims { ours.host_ip } else { ours.device_ip }),
        sender_ip: args.sender_ip.unwrap_or(ours.host_ip),
        sender_mac: args.sender_mac.unwrap_or(ours.host_mac),
        count: args.count.unwrap_or(if args.kind == Kind::Probe { 3 } else { 1 }),
        interval: args.interval,
        timeout: args.timeout,
        disguise: args.disguise.disguise()?,
    };
    let mut out = Out::new(&args.capture);
    let verdict = session.run(&mut out, async |probe, stop, out| {
        plan.disguise.wire.check(probe.framing(), probe.is_stream())?;
        let found =
            arp::run(probe, &plan, stop, &mut |claim| out.say(&describe(&claim, &plan))).await?;
        let verdict = conclude(&plan, &found, claims, out);
        if plan.disguise.is_malformed() && !stop.is_stopped() {
            return tcp::say_life(probe, &plan.disguise.wire, plan.timeout, out).await;
        }
        Ok(verdict)
    })?;
    out.finish()?;
    Ok(verdict)
}

fn describe(claim: &Claim, plan: &Plan) -> String {
    let how = if claim.is_reply { "" } else { ", by a message of its own" };
    let mark = if claim.is_first { "" } else { " (DUPLICATE ADDRESS!)" };
    let after = milliseconds(claim.after);
    format!("{} is at {} ({after}{how}){mark}", plan.address, claim.mac)
}

/// Says what that means.
fn conclude(plan: &Plan, found: &[MacAddr], claims: bool, out: &mut Out) -> Verdict {
    let address = plan.address;
    let list = || found.iter().map(MacAddr::to_string).collect::<Vec<_>>().join(" and ");
    match (found, plan.kind) {
        ([], arp::Kind::Probe) => {
            out.say(&format!("{address} is free: nobody answered"));
            Verdict::Failed
        }
        ([], arp::Kind::Request) => {
            out.say(&format!("nobody has {address}: no answer within {:?}", plan.timeout));
            Verdict::Failed
        }
        ([], _) => {
            let mac = plan.sender_mac;
            out.say(&format!("told that {address} is at {mac}; nobody objected"));
            Verdict::Done
        }
        ([_, _, ..], _) => {
            out.say(&format!("{address} is claimed by more than one: {}", list()));
            Verdict::Failed
        }
        ([mac], _) if claims && *mac != plan.sender_mac => {
            out.say(&format!("{address} is defended by {mac}"));
            Verdict::Failed
        }
        _ => Verdict::Done,
    }
}
