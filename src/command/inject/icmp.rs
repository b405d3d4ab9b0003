//! `uarttool inject icmp`: what `ping` does, with requests that may be wrong.

use clap::Args;

use super::disguise::DisguiseArgs;
use crate::cli::Verdict;
use crate::command::ping::{self, PingArgs};
use crate::error::Result;

const EXAMPLES: &str = "\
Examples:
  uarttool inject icmp -c 4
  uarttool inject icmp -c 20 -i 0.2 -s 1000
  uarttool inject icmp -c 3 --bad-checksum       nothing may come back
  uarttool inject icmp -c 1 --truncate 40        a request that is cut short
  uarttool inject icmp -c 1 --split 1 --split-delay 2ms
                                                 byte by byte

Exit status: 0 every request answered, or after malformed ones the device lives; 1 not so; 2 usage;
3 the tunnel is not there or went away; 130 interrupted before there was a result.";

/// ICMP echo requests; 'ping' is the short name
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct IcmpArgs {
    #[command(flatten)]
    ping: PingArgs,
    #[command(flatten)]
    disguise: DisguiseArgs,
}

/// Runs the command.
pub(super) fn run(args: &IcmpArgs) -> Result<Verdict> {
    ping::run_in(&args.ping, args.disguise.disguise())
}
