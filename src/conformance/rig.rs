//! What a run knows of its target, and the line to it: everything that outlives a test.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::invariants::Invariants;
use super::model::Verdict;
use super::web::Web;
use crate::bus::Inbox;
use crate::endpoint::{Connector, Link, Pending};
use crate::error::{Category, Result};
use crate::probe::{Identity, Probe};

/// Starts the device anew.
pub trait Restart {
    /// Ends it and starts it again. What connects to it afterwards meets a device that boots.
    fn restart(&mut self) -> Pending<'_, Result<()>>;
}

/// Connects to what is only about to be there, within `wait`; the error is that of the last attempt.
pub async fn connect_within(connector: &dyn Connector, wait: Duration) -> Result<Link> {
    const PAUSE: Duration = Duration::from_millis(10);
    let deadline = Instant::now() + wait;
    loop {
        match connector.connect().await {
            Err(error)
                if error.category() == Category::Environment && Instant::now() < deadline =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

/// What a test may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// The device can be started anew.
    Restart,
    /// Bytes can be sent as they are: the line is a stream.
    RawBytes,
    /// The line can be left and met again.
    Reconnect,
    /// Fragments are put together.
    Reassembly,
    /// They are not.
    NoReassembly,
    /// UDP is sent back from the echo port.
    UdpEcho,
    /// TCP is sent back from the echo port.
    TcpEcho,
    /// A web server listens.
    Http,
    /// Its connections serve several requests.
    KeepAlive,
}

impl Capability {
    /// What a profile may say that a device has.
    pub const DECLARABLE: [Capability; 5] = [
        Capability::Reassembly,
        Capability::UdpEcho,
        Capability::TcpEcho,
        Capability::Http,
        Capability::KeepAlive,
    ];

    /// Its name in profiles.
    pub const fn name(self) -> &'static str {
        match self {
            Capability::Restart => "restart",
            Capability::RawBytes => "raw-bytes",
            Capability::Reconnect => "reconnect",
            Capability::Reassembly => "reassembly",
            Capability::NoReassembly => "no-reassembly",
            Capability::UdpEcho => "udp-echo",
            Capability::TcpEcho => "tcp-echo",
            Capability::Http => "http",
            Capability::KeepAlive => "keep-alive",
        }
    }

    /// Why a test without it is skipped, and what would help.
    pub const fn missing(self) -> &'static str {
        match self {
            Capability::Restart => {
                "needs a device that can be started anew; give '--restart-cmd' or '--launch'"
            }
            Capability::RawBytes => "needs a line that is a stream of bytes",
            Capability::Reconnect => "needs a stream of bytes of our own, to be left and met again",
            Capability::Reassembly => "the device does not put fragments together",
            Capability::NoReassembly => "the device puts fragments together",
            Capability::UdpEcho => "needs a UDP echo service; name its port with '--echo-port'",
            Capability::TcpEcho => "needs a TCP echo service; name its port with '--echo-port'",
            Capability::Http => "needs a web server; name its port with '--http-port'",
            Capability::KeepAlive => "its web server serves one request a connection",
        }
    }
}

/// What the driver does with a header beyond its limit (docs/line.md#bad-lengths).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPolicy {
    /// Skips the two header bytes and reads on.
    HeaderSkip,
    /// Throws away what has come and what comes in the next 100 ms.
    Flush,
    /// Throws away as many bytes as the header said.
    BodyDiscard,
}

impl BodyPolicy {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            BodyPolicy::HeaderSkip => "header-skip",
            BodyPolicy::Flush => "flush",
            BodyPolicy::BodyDiscard => "body-discard",
        }
    }
}

/// What was found out about the device before the first test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What can be done.
    pub has: Vec<Capability>,
    /// What it does with a header beyond its limit, once that is known.
    pub policy: Option<BodyPolicy>,
    /// Whether it gives up a header of one byte.
    pub has_header_timeout: bool,
    /// The largest frame that it answers, in bytes with its Ethernet header.
    pub max_frame: usize,
}

/// What the user says of the target.
#[derive(Clone, Debug)]
pub struct Target {
    /// The addresses of both ends.
    pub identity: Identity,
    /// The largest frame that the line carries by design.
    pub max_frame: usize,
    /// Whether the user said so.
    pub is_max_declared: bool,
    /// The line's rate in baud, if the user said it.
    pub line_rate: Option<u32>,
    /// Which ports are for what.
    pub ports: Ports,
    /// What the device is said to have: where it has it not, that is a failure.
    pub declared: Vec<Capability>,
}

/// The ports that tests speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Where a web server listens (TCP).
    pub http: u16,
    /// Where nobody listens (TCP).
    pub closed_tcp: u16,
    /// Where nobody listens (UDP).
    pub closed_udp: u16,
    /// Where what comes is sent back (UDP and TCP).
    pub echo: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Ports { http: 80, closed_tcp: 81, closed_udp: 40009, echo: 7 }
    }
}

/// The line's speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// The time of one byte, the average of both directions; zero where nothing paces.
    pub byte_time: Duration,
}

/// Numbers that are never used twice.
#[derive(Debug)]
pub struct Numbers {
    sequence: u16,
    identifier: u16,
    port: u16,
    neighbour: u8,
    ip_id: u16,
}

impl Numbers {
    /// The ports that are ours.
    pub const PORTS: std::ops::RangeInclusive<u16> = 40_000..=59_999;

    /// Numbers that begin where `seed` says.
    pub fn new(seed: u64) -> Self {
        Numbers {
            sequence: 0,
            identifier: 0x4000 | (seed as u16 & 0x3ff0),
            port: 40_000 + (seed % 10_000) as u16,
            neighbour: 20 + (seed % 200) as u8,
            ip_id: seed as u16 | 1,
        }
    }

    /// Goes on with another neighbour: a device may remember those of the last run.
    pub fn forget_neighbours(&mut self, chance: u64) {
        self.neighbour = 20 + (chance % 200) as u8;
    }

    /// An identifier and a sequence number for an echo request.
    pub fn echo(&mut self) -> (u16, u16) {
        self.sequence = self.sequence.wrapping_add(1);
        if self.sequence == 0 {
            self.identifier = self.identifier.wrapping_add(1);
        }
        (self.identifier, self.sequence)
    }

    /// A port of ours.
    pub fn port(&mut self) -> u16 {
        let ports = Numbers::PORTS;
        self.port = if self.port >= *ports.end() { *ports.start() } else { self.port + 1 };
        self.port
    }

    /// An identification for an IPv4 packet.
    pub fn ip_id(&mut self) -> u16 {
        self.ip_id = self.ip_id.wrapping_add(1);
        self.ip_id
    }

    /// The last byte of a neighbour's addresses: 20 to 219.
    pub fn neighbour(&mut self) -> u8 {
        // Some are somebody else in tests, or nobody.
        loop {
            self.neighbour = if self.neighbour >= 219 { 20 } else { self.neighbour + 1 };
            if !matches!(self.neighbour, 66 | 77 | 99) {
                return self.neighbour;
            }
        }
    }
}

/// Everything that outlives a test.
pub struct Rig {
    /// We on the line.
    pub probe: Probe,
    /// How to get there again.
    pub connector: Box<dyn Connector>,
    /// How to start the device anew.
    pub restart: Option<Box<dyn Restart>>,
    /// What the user says of the target.
    pub target: Target,
    /// How fast the line is.
    pub pace: Pace,
    /// What was found out.
    pub capabilities: Capabilities,
    /// The test of what the device died of before the first test, and what came of bringing it back.
    pub died_of: Option<(&'static str, String)>,
    /// What is checked on every frame.
    pub invariants: Invariants,
    /// Numbers that are never used twice.
    pub numbers: Numbers,
    /// What decides chance.
    pub seed: u64,
    /// What became of the tests so far, by name.
    pub verdicts: HashMap<&'static str, Verdict>,
    /// The tests during which the device has started anew without being asked.
    pub reboots: Vec<&'static str>,
    /// Identifications under which fragments were sent: what a device says when it gives them up comes
    /// late.
    pub fragmented: HashSet<u16>,
    /// How long the line of a device that was started anew may take to be there.
    pub boot_time: Duration,
    /// What every deadline is multiplied by.
    pub time_scale: f64,
    /// Whether tests that have a long form run it.
    pub is_thorough: bool,
    /// Everything seen on the line, for the evidence.
    pub log: Inbox,
    /// Who makes well-formed requests to the device.
    pub web: Option<Box<dyn Web>>,
}

impl Rig {
    /// A rig around a probe that is on the line.
    pub fn new(
        mut probe: Probe,
        connector: Box<dyn Connector>,
        restart: Option<Box<dyn Restart>>,
        target: Target,
        time_scale: f64,
        seed: u64,
    ) -> Self {
        probe.fix_identity();
        let mut has = Vec::new();
        if restart.is_some() {
            has.push(Capability::Restart);
        }
        if probe.is_stream() {
            has.push(Capability::RawBytes);
        }
        if probe.is_stream() && !probe.is_shared() {
            has.push(Capability::Reconnect);
        }
        let max_frame = target.max_frame;
        let log = probe.watch();
        Rig {
            log,
            connector,
            restart,
            pace: Pace { byte_time: target.line_rate.map_or(Duration::ZERO, byte_time) },
            capabilities: Capabilities { has, policy: None, has_header_timeout: true, max_frame },
            invariants: Invariants::new(target.identity, target.max_frame),
            numbers: Numbers::new(seed),
            fragmented: HashSet::new(),
            died_of: None,
            seed,
            verdicts: HashMap::new(),
            reboots: Vec::new(),
            boot_time: Duration::from_secs(30),
            time_scale,
            is_thorough: false,
            target,
            probe,
            web: None,
        }
    }

    /// Whether the capability is there.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.has.contains(&capability)
    }
}

/// The time of a byte at a rate in baud: 10 bits.
pub fn byte_time(baud: u32) -> Duration {
    Duration::from_nanos(10_000_000_000 / u64::from(baud.max(1)))
}
