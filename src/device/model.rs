//! Which device the reference device is: its driver's habits and its line.

use std::time::Duration;

/// What the driver does with a length of 0 or beyond its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Skips the two header bytes and reads on.
    Skip,
    /// Throws away what is there and what comes in the next while.
    Flush,
    /// Throws away as many bytes as the header said.
    Discard,
}

/// What happens to bytes that come while the receive buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overrun {
    /// They wait on the line.
    Hold,
    /// They are lost.
    Drop,
}

/// A device model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Its name in `model=`.
    pub name: &'static str,
    /// What it stands for.
    pub help: &'static str,
    /// The largest frame in bytes, with its Ethernet header.
    pub max_frame: usize,
    /// What it does with bad lengths.
    pub policy: Policy,
    /// How long it is deaf after a flush.
    pub resync: Duration,
    /// How long it waits for the second header byte.
    pub header_timeout: Option<Duration>,
    /// How long it waits for a frame, from its complete header on.
    pub body_timeout: Option<Duration>,
    /// Bytes of its receive buffer.
    pub buffer: usize,
    /// What happens when that is full.
    pub overrun: Overrun,
    /// The line's rate in baud, 10 bits a byte; `None` is as fast as it goes.
    pub line_rate: Option<u32>,
}

const SECOND: Duration = Duration::from_secs(1);
const TENTH: Duration = Duration::from_millis(100);

/// Every model there is; the first is the default.
pub static ALL: &[Model] = &[
    Model {
        name: "reference",
        help: "1514-byte frames, skips bad headers, back-pressure, 921600 baud",
        max_frame: 1514,
        policy: Policy::Skip,
        resync: TENTH,
        header_timeout: Some(SECOND),
        body_timeout: Some(SECOND),
        buffer: 4096,
        overrun: Overrun::Hold,
        line_rate: Some(921_600),
    },
    Model {
        name: "esp32-old",
        help: "older driver: 1500 bytes with the Ethernet header, skips bad headers, 115200 baud",
        max_frame: 1500,
        policy: Policy::Skip,
        resync: TENTH,
        header_timeout: None,
        body_timeout: Some(SECOND),
        buffer: 2048,
        overrun: Overrun::Drop,
        line_rate: Some(115_200),
    },
    Model {
        name: "esp32-new",
        help: "newer driver: 1500 bytes with the Ethernet header, flushes and is deaf for 100 ms, 115200 baud",
        max_frame: 1500,
        policy: Policy::Flush,
        resync: TENTH,
        header_timeout: Some(TENTH),
        body_timeout: Some(SECOND),
        buffer: 2048,
        overrun: Overrun::Drop,
        line_rate: Some(115_200),
    },
];

impl Model {
    /// The model with that name.
    pub fn by_name(name: &str) -> Option<Model> {
        ALL.iter().copied().find(|model| model.name == name)
    }

    /// The time of one byte on the line.
    pub fn byte_time(&self) -> Duration {
        self.line_rate.map_or(Duration::ZERO, |baud| {
            Duration::from_nanos(10_000_000_000 / u64::from(baud.max(1)))
        })
    }
}
