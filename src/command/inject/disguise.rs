//! What makes a frame unusual, on the command line.

use std::time::Duration;

use clap::Args;

use crate::endpoint::spec::parse_duration;
use crate::probe::inject::Disguise;
use crate::probe::inject::wire::Wire;

/// How frames are made wrong, or sent strangely.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Wrong on purpose")]
pub(super) struct DisguiseArgs {
    /// Make a checksum wrong: that of the innermost layer, or of ip, tcp, udp, icmp
    #[arg(long, value_name = "LAYER", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    bad_checksum: Option<String>,
    /// Let the line's own header claim N bytes, whatever the frame has
    #[arg(long, value_name = "N")]
    length_prefix: Option<u64>,
    /// Send the bytes as they are, without the line's own header
    #[arg(long, conflicts_with = "length_prefix")]
    unframed: bool,
    /// Send only the first N bytes of the frame
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    truncate: Option<u64>,
    /// Send the line's header and the frame in writes of N bytes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    split: Option<u64>,
    /// Wait so long between these writes: 2ms, 1.3s
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "split", default_value = "0")]
    split_delay: Duration,
    /// Tag the frame with this VLAN
    #[arg(long, value_name = "VID", value_parser = clap::value_parser!(u16).range(0..4096))]
    vlan: Option<u16>,
}

impl DisguiseArgs {
    /// The same, for the probe.
    pub fn disguise(&self) -> Disguise {
        Disguise {
            bad_checksum: self.bad_checksum.clone(),
            vlan: self.vlan,
            wire: Wire {
                length_prefix: self.length_prefix,
                truncate: self.truncate.map(|n| n as usize),
                split: self.split.map(|n| n as usize),
                is_unframed: self.unframed,
                split_delay: self.split_delay,
            },
        }
    }
}
