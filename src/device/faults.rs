//! Seeded faults: what can be wrong with a device, one switch each, to prove that a test finds it.
//!
//! They sit where the real ones would: in the byte stream, on frames in front of a good stack, or in
//! the device itself. The harmless ones are no faults: devices differ so, and no test may complain.

/// Where a fault sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Between line and frames.
    Stream,
    /// On frames, around a good device.
    Frame,
    /// In the device.
    Device,
    /// Not a fault: a variant that is as good.
    Harmless,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is explained by its row in ALL
pub enum Fault {
    ZeroStops,
    OversizeWaits,
    PartialKept,
    ShortTimeout,
    OneFramePerRead,
    BurstLost,
    Max1500,
    HalfFrameSurvives,
    LosesFrames,
    IcmpTwice,
    RxAlias,
    ArpOpcode,
    ArpSender,
    StaticOverwritten,
    ShortArpKills,
    NoMacFilter,
    IpChecksumUnchecked,
    FirstFragmentWhole,
    FragmentKeyless,
    LoopbackAnswered,
    EchoIdSwapped,
    IcmpChecksumUnchecked,
    NoPortUnreachable,
    ErrorForError,
    UdpChecksumUnchecked,
    RstAck,
    ClosedSilent,
    MssIgnored,
    SynAckOnce,
    DataOnce,
    AnyRstCloses,
    NoDuplicateAck,
    TcpChecksumUnchecked,
    StrayRst,
    ZeroOptionKills,
    NoAckTaken,
    NoBackoff,
    NoTimeWait,
    TailLost,
    NotFoundIsOk,
    HeadHasBody,
    Slow,
    LeaksSockets,
    Padded,
    Ttl64,
    DontFragment,
    Jittered,
    Paced,
    BodyDiscard,
}

/// What is known about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// The fault.
    pub fault: Fault,
    /// Its short id.
    pub id: &'static str,
    /// Its name in `fault=`.
    pub name: &'static str,
    /// Where it sits.
    pub layer: Layer,
    /// What it does.
    pub help: &'static str,
}

const fn info(
    fault: Fault,
    id: &'static str,
    name: &'static str,
    layer: Layer,
    help: &'static str,
) -> Info {
    Info { fault, id, name, layer, help }
}

/// Every fault there is.
#[rustfmt::skip]
pub static ALL: &[Info] = &[
    info(Fault::ZeroStops, "F1", "zero-stops", Layer::Stream,
        "a length of 0 stops the receiver for good"),
    info(Fault::OversizeWaits, "F2", "oversize-waits", Layer::Stream,
        "waits for as many bytes as a header beyond the limit says, without a timeout"),
    info(Fault::PartialKept, "F3", "partial-kept", Layer::Stream,
        "a partial frame is never discarded"),
    info(Fault::ShortTimeout, "F4", "short-timeout", Layer::Stream,
        "partial frames are discarded after 100 ms instead of a second"),
    info(Fault::OneFramePerRead, "F5", "one-frame-per-read", Layer::Stream,
        "one frame of each read is handled, the rest is lost"),
    info(Fault::BurstLost, "F6", "burst-lost", Layer::Stream,
        "bytes beyond 2048 in a burst are lost"),
    info(Fault::Max1500, "F7", "max-1500", Layer::Stream,
        "the limit is 1500 bytes instead of 1514"),
    info(Fault::HalfFrameSurvives, "F9", "half-frame-survives", Layer::Stream,
        "half a frame survives a reconnect, whatever time passes"),
    info(Fault::LosesFrames, "F10", "loses-frames", Layer::Frame,
        "1 in 50 frames to the host is lost"),
    info(Fault::IcmpTwice, "F11", "icmp-twice", Layer::Frame,
        "every ICMP frame is sent twice"),
    info(Fault::RxAlias, "F15", "rx-alias", Layer::Device,
        "one receive buffer, handed on by reference: queued data is overwritten by the next frame"),
    info(Fault::ArpOpcode, "A1", "arp-opcode", Layer::Frame,
        "ARP replies have opcode 1"),
    info(Fault::ArpSender, "A2", "arp-sender", Layer::Frame,
        "ARP replies carry a wrong sender address"),
    info(Fault::StaticOverwritten, "A4", "static-overwritten", Layer::Device,
        "any ARP packet overwrites the static entry"),
    info(Fault::ShortArpKills, "A5", "short-arp-kills", Layer::Device,
        "dies on an ARP packet of 20 bytes"),
    info(Fault::NoMacFilter, "A6", "no-mac-filter", Layer::Device,
        "frames to another station's address are taken"),
    info(Fault::IpChecksumUnchecked, "I1", "ip-checksum-unchecked", Layer::Frame,
        "the IPv4 header checksum is not verified"),
    info(Fault::FirstFragmentWhole, "I4", "first-fragment-whole", Layer::Frame,
        "a first fragment is handled as a whole datagram"),
    info(Fault::FragmentKeyless, "I5", "fragment-keyless", Layer::Frame,
        "fragments are put together without regard to their protocol"),
    info(Fault::LoopbackAnswered, "I6", "loopback-answered", Layer::Device,
        "packets from 127.0.0.0/8 are answered"),
    info(Fault::EchoIdSwapped, "I7", "echo-id-swapped", Layer::Frame,
        "echo replies carry the identifier with its bytes swapped"),
    info(Fault::IcmpChecksumUnchecked, "I9", "icmp-checksum-unchecked", Layer::Frame,
        "the ICMP checksum is not verified"),
    info(Fault::NoPortUnreachable, "I10", "no-port-unreachable", Layer::Frame,
        "no port unreachable is sent"),
    info(Fault::ErrorForError, "I12", "error-for-error", Layer::Device,
        "an ICMP error is answered by an ICMP error"),
    info(Fault::UdpChecksumUnchecked, "I14", "udp-checksum-unchecked", Layer::Frame,
        "the UDP checksum is not verified"),
    info(Fault::RstAck, "T1", "rst-ack", Layer::Frame,
        "the RST of a closed port acknowledges SEQ instead of SEQ+1"),
    info(Fault::ClosedSilent, "T2", "closed-silent", Layer::Frame,
        "closed ports are silent"),
    info(Fault::MssIgnored, "T4", "mss-ignored", Layer::Frame,
        "the peer's MSS is ignored"),
    info(Fault::SynAckOnce, "T5", "syn-ack-once", Layer::Frame,
        "a SYN+ACK is never sent again"),
    info(Fault::DataOnce, "T6", "data-once", Layer::Frame,
        "data is never sent again"),
    info(Fault::AnyRstCloses, "T8", "any-rst-closes", Layer::Frame,
        "any RST closes a connection"),
    info(Fault::NoDuplicateAck, "T9", "no-duplicate-ack", Layer::Frame,
        "no ACK is sent twice"),
    info(Fault::TcpChecksumUnchecked, "T11", "tcp-checksum-unchecked", Layer::Frame,
        "the TCP checksum is not verified"),
    info(Fault::StrayRst, "T12", "stray-rst", Layer::Device,
        "a stray FIN or empty segment to a listener gets an RST"),
    info(Fault::ZeroOptionKills, "T14", "zero-option-kills", Layer::Device,
        "a TCP option of length 0 kills the device"),
    info(Fault::NoAckTaken, "T15", "no-ack-taken", Layer::Frame,
        "data without the ACK flag is taken"),
    info(Fault::NoBackoff, "T17", "no-backoff", Layer::Device,
        "the retransmission timeout does not back off"),
    info(Fault::NoTimeWait, "T18", "no-time-wait", Layer::Device,
        "TIME-WAIT is skipped"),
    info(Fault::TailLost, "H2", "tail-lost", Layer::Device,
        "the last bytes before the end of a response are lost"),
    info(Fault::NotFoundIsOk, "H4", "not-found-is-ok", Layer::Device,
        "404 is answered as 200"),
    info(Fault::HeadHasBody, "H5", "head-has-body", Layer::Device,
        "HEAD is answered with a body"),
    info(Fault::Slow, "H6", "slow", Layer::Device,
        "everything is sent 40 ms late"),
    info(Fault::LeaksSockets, "H8", "leaks-sockets", Layer::Device,
        "one socket is lost for each aborted request"),
    info(Fault::Padded, "B1", "padded", Layer::Harmless,
        "frames are padded to 60 bytes"),
    info(Fault::Ttl64, "B2", "ttl-64", Layer::Harmless,
        "TTL 64 instead of 255"),
    info(Fault::DontFragment, "B3", "dont-fragment", Layer::Harmless,
        "DF is set on everything"),
    info(Fault::Jittered, "B5", "jittered", Layer::Harmless,
        "each frame is delayed by 0 to 30 ms"),
    info(Fault::Paced, "B7", "paced", Layer::Harmless,
        "both directions are paced to 115200 baud"),
    info(Fault::BodyDiscard, "B8", "body-discard", Layer::Harmless,
        "the body of a frame that is too long is discarded"),
];

/// A set of faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(u64);

impl Faults {
    /// No fault.
    pub const fn none() -> Self {
        Faults(0)
    }

    /// Just this one.
    pub const fn only(fault: Fault) -> Self {
        Faults(1 << fault as u32)
    }

    /// Adds one.
    pub fn add(&mut self, fault: Fault) {
        self.0 |= 1 << fault as u32;
    }

    /// Whether it is in the set.
    pub const fn has(self, fault: Fault) -> bool {
        self.0 & 1 << fault as u32 != 0
    }
}

/// The fault with that name or id.
pub fn by_name(name: &str) -> Result<Fault, String> {
    let found = ALL.iter().find(|info| info.name == name || info.id.eq_ignore_ascii_case(name));
    found.map(|info| info.fault).ok_or_else(|| {
        format!("there is no fault '{name}'; 'uarttool sim --list-faults' lists them")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_one_row_and_43_are_faults() {
        for (n, info) in ALL.iter().enumerate() {
            assert_eq!(info.fault as usize, n, "{}", info.name);
            assert_eq!(by_name(info.name), Ok(info.fault));
            assert_eq!(by_name(info.id), Ok(info.fault));
            assert!(Faults::only(info.fault).has(info.fault));
        }
        let harmless = ALL.iter().filter(|info| info.layer == Layer::Harmless).count();
        assert_eq!((ALL.len() - harmless, harmless), (43, 6));
        assert!(by_name("nonsense").is_err());
    }
}
