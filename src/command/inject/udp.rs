//! `uarttool inject udp`: datagrams to ports, and what the ports say.

use clap::Args;

use super::line::LineArgs;
use super::ports::{self, PortArgs, Tally};
use crate::cli::conversation::milliseconds;
use crate::cli::{Verdict, terminal};
use crate::error::Result;
use crate::escape;
use crate::probe::inject::udp::{Datagrams, Reply};
use crate::probe::inject::walk::{Answer, What};
use crate::proto::dump::{Layout, dump};
use crate::proto::line::Line;
use crate::proto::udp;

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
    #[command(flatten)]
    ports: PortArgs,
    #[command(flatten)]
    line: LineArgs,
}

/// Runs the command.
pub(super) fn run(args: &UdpArgs) -> Result<Verdict> {
    let session = args.line.session("inject udp")?;
    let data = args.ports.data(&session, args.ports.seed(), udp::HEADER)?;
    let datagrams = Datagrams { data };
    let counts = Counts { sent: &datagrams.data, answered: 0, silent: 0 };
    ports::ask(session, &args.ports, &args.line, &datagrams, counts)
}

/// What became of the datagrams.
struct Counts<'a> {
    sent: &'a [u8],
    answered: u64,
    silent: u64,
}

impl Tally<Reply> for Counts<'_> {
    fn add(&mut self, answer: &Answer<Reply>) -> bool {
        let is_silent = answer.what == What::Nothing;
        self.silent += u64::from(is_silent);
        self.answered += u64::from(!is_silent);
        is_silent
    }

    fn describe(&self, said: &Reply) -> String {
        let bytes = terminal::count(said.data.len() as u64, "byte");
        let is_same = said.data == self.sent && !said.data.is_empty();
        let same = if is_same { ", the same" } else { "" };
        let mut text = format!("answers: {bytes}{same} in {}", milliseconds(said.after));
        if !said.data.is_empty() {
            text += &shown(&said.data);
        }
        text
    }

    fn sum(&self, _: u64) -> String {
        let Counts { answered, silent, .. } = self;
        let sent = terminal::count(answered + silent, "datagram");
        format!("{sent}: {answered} answered, {silent} without an answer")
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
