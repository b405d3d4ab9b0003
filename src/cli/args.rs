//! Arguments that several commands have.

use clap::Args;
use std::net::Ipv4Addr;

use super::preset::Preset;
use crate::capture;
use crate::endpoint::spec;
use crate::framing::Framing;
use crate::proto::MacAddr;

/// Where the tunnel is and who is at its ends.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Tunnel")]
pub struct TunnelArgs {
    /// The tunnel: tcp:HOST:PORT, unix:PATH, tcp-listen:..., unix-listen:..., serial:PATH, pty, tap:NAME,
    /// exec:COMMAND, file:PATH, or sim, the built-in device, or auto, which looks for it; with options behind
    /// commas: framing=, max-frame=, reconnect=, line-rate=, quickack=; of serial: baud=, flow=none|rtscts,
    /// dtr=keep|on|off, rts=...; impairments such as drop=1% (docs/impairments.md) [default: auto]
    #[arg(
        short = 'd',
        long,
        value_name = "ENDPOINT",
        env = "UARTTOOL_DEVICE",
        hide_env_values = true
    )]
    pub device: Option<String>,
    /// Whether the environment says so, rather than the flag.
    #[arg(skip)]
    pub is_inherited: bool,
    /// How frames are put on the line: len16be, len32be, len16le, slip-eth, slip-ip, or slip, which finds
    /// out which of the two it is; dgram or seqpacket where messages of a unix socket are frames
    /// [default: len16be]
    #[arg(long, value_name = "NAME", value_parser = spec::parse_framing)]
    pub framing: Option<&'static Framing>,
    /// The largest frame in bytes, with its Ethernet header
    #[arg(long, value_name = "BYTES", value_parser = spec::parse_max_frame)]
    pub max_frame: Option<usize>,
    /// Endpoint, framing and addresses as another world has them: esp32, zephyr or slirp
    #[arg(long, value_name = "NAME", value_parser = Preset::parse)]
    pub preset: Option<&'static Preset>,
    /// Never go through another uarttool that holds the tunnel already
    #[arg(long)]
    pub no_attach: bool,
}

/// Who is at the tunnel's ends.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Addresses")]
pub struct AddressArgs {
    /// Our IPv4 address [default: 192.168.100.1]
    #[arg(long, value_name = "IP")]
    pub host_ip: Option<Ipv4Addr>,
    /// Our Ethernet address [default: 02:00:00:00:00:01]
    #[arg(long, value_name = "MAC", value_parser = parse_mac)]
    pub host_mac: Option<MacAddr>,
    /// The device's IPv4 address [default: 192.168.100.2]
    #[arg(long, value_name = "IP")]
    pub device_ip: Option<Ipv4Addr>,
    /// The device's Ethernet address [default: 02:00:00:00:00:02]
    #[arg(long, value_name = "MAC", value_parser = parse_mac)]
    pub device_mac: Option<MacAddr>,
}

/// Where a capture goes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Capture")]
pub struct CaptureArgs {
    /// Write what is seen to FILE: .pcapng (directions, framing errors, counters), .pcap (frames),
    /// .raw (the bytes of the line) or .txt (hex); '-' is stdout
    #[arg(short = 'w', long, value_name = "FILE", value_parser = capture::Target::parse)]
    pub pcap: Option<capture::Target>,
}

impl CaptureArgs {
    /// Whether the capture can be created, before anything else is begun.
    pub fn check(&self) -> crate::error::Result<()> {
        self.pcap.as_ref().map_or(Ok(()), capture::Target::check)
    }
}

/// An Ethernet address.
pub fn parse_mac(text: &str) -> Result<MacAddr, String> {
    text.parse()
        .map_err(|_| format!("'{text}' is not an Ethernet address such as 02:00:00:00:00:02"))
}
