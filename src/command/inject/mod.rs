//! `uarttool inject`: send frames and see what comes back.

mod arp;
mod data;
mod disguise;
mod frames;
mod icmp;
mod line;
mod ports;
mod raw;
mod tcp;
mod udp;

use clap::{Args, Subcommand};

use crate::cli::Verdict;
use crate::error::Result;

const EXAMPLES: &str = "\
Examples:
  uarttool inject icmp -c 4                       echo requests; 'uarttool ping' is the same
  uarttool inject tcp --port 80                   is the port open?
  uarttool inject udp --port 7 --data hello       what does it answer?
  uarttool inject arp request                     who has the device's address?
  uarttool inject raw 'ip(ttl=1)/icmp/\"hello\"'    any frame at all

Exit status: 0 something came back where it should; 1 nothing did, or the device does not answer
any more; 2 usage; 3 the tunnel is not there or went away; 4 a capture is unreadable.";

/// Send frames and see what comes back
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct InjectArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    Icmp(Box<icmp::IcmpArgs>),
    Tcp(Box<tcp::TcpArgs>),
    Udp(Box<udp::UdpArgs>),
    Arp(Box<arp::ArpArgs>),
    Raw(Box<raw::RawArgs>),
}

/// Runs the command.
pub fn run(args: InjectArgs) -> Result<Verdict> {
    match args.what {
        What::Icmp(args) => icmp::run(&args),
        What::Tcp(args) => tcp::run(&args),
        What::Udp(args) => udp::run(&args),
        What::Arp(args) => arp::run(&args),
        What::Raw(args) => raw::run(&args),
    }
}
