//! `uarttool inject arp`: who has an address, and what becomes of those who claim one.

use std::net::Ipv4Addr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::line::{self, LineArgs};
use crate::cli::Verdict;
use crate::cli::args::parse_mac;
use crate::cli::conversation::{Out, milliseconds};
use crate::endpoint::spec::parse_positive;
use crate::error::{Error, Result};
use crate::probe::Identity;
use crate::probe::inject::arp::{self, Claim, Claimants, How, Plan};
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

Exit status of 'request': 0 somebody answered, 1 nobody did; of 'probe': 0 the address is taken, 1 it is
free; of 'gratuitous' and 'reply': 0 nobody objected, 1 somebody did. 1 also when more than one has the
address, or the device does not answer any more after something malformed. 2 usage; 3 the tunnel is not
there or went away.";

/// Send ARP messages and list who answers
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ArpArgs {
    /// What to send
    kind: Kind,
    /// The address that it is about [default: the device's; ours for gratuitous and reply]
    #[arg(value_name = "ADDRESS")]
    address: Option<Ipv4Addr>,
    /// The sender's IPv4 address, for 'request' alone [default: ours]
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
    line: LineArgs,
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

impl Kind {
    fn of_probe(self) -> arp::Kind {
        match self {
            Kind::Request => arp::Kind::Request,
            Kind::Gratuitous => arp::Kind::Gratuitous,
            Kind::Probe => arp::Kind::Probe,
            Kind::Reply => arp::Kind::Reply,
        }
    }

    /// Why no other sender can be named.
    fn fixed_sender(self) -> Option<&'static str> {
        match self {
            Kind::Request => None,
            Kind::Probe => Some("a probe names no sender, so that it claims nothing"),
            Kind::Gratuitous => Some("an announcement names ADDRESS as its sender"),
            Kind::Reply => Some("a reply names ADDRESS as its sender"),
        }
    }
}

/// Runs the command.
pub(super) fn run(args: &ArpArgs) -> Result<Verdict> {
    if let (Some(_), Some(why)) = (args.sender_ip, args.kind.fixed_sender()) {
        return Err(Error::usage(format!("'--sender-ip' is for 'request' alone: {why}")));
    }
    let session = args.line.session("inject arp")?;
    let plan = args.plan(&session.identity);
    let out = args.line.out();
    line::converse(session, &plan.disguise, plan.timeout, out, async |turn| {
        let out = &mut *turn.out;
        let mut tell = |claim: Claim| out.say(&describe(&claim, &plan));
        let found = arp::run(turn.probe, &plan, turn.stop, &mut tell).await?;
        Ok(conclude(&plan, &found, turn.out))
    })
}

impl ArpArgs {
    fn plan(&self, ours: &Identity) -> Plan {
        let claims = matches!(self.kind, Kind::Gratuitous | Kind::Reply);
        Plan {
            kind: self.kind.of_probe(),
            address: self.address.unwrap_or(if claims { ours.host_ip } else { ours.device_ip }),
            sender_ip: self.sender_ip.unwrap_or(ours.host_ip),
            sender_mac: self.sender_mac.unwrap_or(ours.host_mac),
            count: self.count.unwrap_or(if self.kind == Kind::Probe { 3 } else { 1 }),
            interval: self.interval,
            timeout: self.timeout,
            disguise: self.line.disguise(),
        }
    }
}

fn describe(claim: &Claim, plan: &Plan) -> String {
    let how = match claim.how {
        How::Reply => "",
        How::OtherReply => ", in a reply to somebody else",
        How::Announcement => ", announced by itself",
        How::Question => ", in a question of its own",
    };
    let mark = if claim.is_second { " (DUPLICATE ADDRESS!)" } else { "" };
    let Plan { address, .. } = plan;
    let mac = claim.mac;
    match claim.is_answer {
        true => format!("{address} is at {mac} ({}{how}){mark}", milliseconds(claim.after)),
        false => format!("also heard: {address} is at {mac}{how}{mark}"),
    }
}

/// Says what that means.
fn conclude(plan: &Plan, found: &Claimants, out: &mut Out) -> Verdict {
    let Plan { address, timeout, sender_mac, .. } = plan;
    let (text, verdict) = match (&found.all[..], &found.answered[..], plan.kind) {
        ([_, _, ..], _, _) => {
            let list: Vec<String> = found.all.iter().map(MacAddr::to_string).collect();
            let text = format!("{address} is claimed by more than one: {}", list.join(" and "));
            (text, Verdict::Failed)
        }
        (_, [], arp::Kind::Probe) => {
            (format!("{address} is free: nobody answered"), Verdict::Failed)
        }
        ([], [], arp::Kind::Request) => {
            (format!("nobody has {address}: no answer within {timeout:?}"), Verdict::Failed)
        }
        (_, [], arp::Kind::Request) => {
            (format!("nobody answers for {address} within {timeout:?}"), Verdict::Failed)
        }
        (_, [], _) => {
            (format!("told that {address} is at {sender_mac}; nobody objected"), Verdict::Done)
        }
        (_, [mac, ..], _) if plan.is_claim() && mac != sender_mac => {
            (format!("{address} is defended by {mac}"), Verdict::Failed)
        }
        (_, [_, ..], arp::Kind::Probe) => (format!("{address} is taken"), Verdict::Done),
        _ => return Verdict::Done,
    };
    out.say(&text);
    verdict
}
