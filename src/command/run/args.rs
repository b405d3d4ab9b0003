//! What `uarttool run` can be told.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::args::{AddressArgs, TunnelArgs};
use crate::cli::launch::LaunchArgs;
use crate::cli::network::NetworkArgs;
use crate::cli::recording::RecordingArgs;

const EXAMPLES: &str = "\
Examples:
  uarttool run -d sim --forward 0:80 -- sh -c 'curl -sf $UARTTOOL_URL'
  uarttool run --forward 0:80 --launch './qemu.sh unix:{tunnel} unix:{console}' -- pytest tests
  uarttool run --forward 0:80 --forward udp:0:5683 --launch-file start.sh -- ./test.sh
  uarttool run --forward 8080:80 --wait 1m -- npm test        the firmware runs already
  uarttool run --forward 0:80 --launch ... --keep always --artifacts out -- ./test.sh

COMMAND finds in its environment:
  UARTTOOL_URL            http://127.0.0.1:PORT, of the forward to port 80, or of the first over TCP
  UARTTOOL_PORT_80        the port on this machine that leads to the device's port 80, and so on
  UARTTOOL_UDP_PORT_5683  the same for UDP
  UARTTOOL_PCAP           the capture, which is written while it runs; with -C and -G a link to the
                          file that is being written
  UARTTOOL_DEVICE         the line, for other commands: 'uarttool ping' in it needs no '-d'
and none of these of a run around this one. SIGINT, SIGTERM, SIGHUP and SIGQUIT are passed on to it, a
second one kills it; SIGUSR1 and SIGUSR2 are only passed on.

The tunnel is where '-d' says, or else where --launch was told to put it, whatever UARTTOOL_DEVICE and
uarttool.toml say.

Exit status: that of COMMAND, 128+N when signal N ended it; 127 there is no such program, 126 it cannot
be run; 1 the firmware ended before it; 2 usage; 3 the firmware does not start or the device does not
answer, or the tunnel is not there; 130 interrupted before COMMAND began.";

/// Start the firmware, wait until it answers, run a test against it, end all of it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    #[command(flatten)]
    pub(super) launch: LaunchArgs,
    /// When the program ends by itself, start it again, instead of ending COMMAND
    #[arg(long, help_heading = "Starting the firmware")]
    pub(super) restart_on_exit: bool,
    /// The device's console: its last lines are shown when something fails
    #[arg(long, value_name = "ENDPOINT", help_heading = "Starting the firmware")]
    pub(super) console: Option<String>,
    /// When to keep capture and console log: if COMMAND fails, always, or never
    #[arg(long, value_name = "WHEN", default_value = "failure", help_heading = "Evidence")]
    pub(super) keep: Keep,
    /// Put them into this folder, a private one in the temporary folder otherwise. What is in it
    /// already is left alone: where capture.pcapng is taken it is capture-2.pcapng
    #[arg(long, value_name = "DIR", help_heading = "Evidence")]
    pub(super) artifacts: Option<PathBuf>,
    /// Say only what is wrong
    #[arg(short, long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(in crate::command) tunnel: TunnelArgs,
    #[command(flatten)]
    pub(super) addresses: AddressArgs,
    #[command(flatten)]
    pub(super) recording: RecordingArgs,
    /// The command and its arguments, as they are: no shell reads them
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

/// When evidence is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Keep {
    /// Whatever comes of it.
    Always,
    /// If something fails.
    Failure,
    /// Not at all.
    Never,
}
