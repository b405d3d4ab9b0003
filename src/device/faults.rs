//! Seeded faults: what can be wrong with a device, one switch each, to prove that a test finds it.
//!
//! They sit where the real ones would: in the byte stream, on frames in front of a good stack, or in
//! the device itself. The harmless ones are no faults: devices differ so, and no test may complain.

mod table;

pub use table::ALL;

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
    UndersizedKills,
    DeafAfterReconnect,
    StallTears,
    BadLengthsStop,
    BootNoise,
    TagStripped,
    LengthFromFrame,
    ShortDropped,
    ForeignSource,
    BroadcastTaken,
    AnswersSender,
    PaddedArpIgnored,
    ArpForAnybody,
    ArpUnverified,
    ArpAnyOpcode,
    LearnsFromIp,
    ArpFlood,
    ProbeIgnored,
    TableOverflows,
    AsksForHost,
    VersionIgnored,
    HeaderLengthIgnored,
    OptionsDropped,
    SourceRouteFollowed,
    BadOptionKills,
    TtlCounted,
    AnyDestination,
    LoopbackDestination,
    GroupSource,
    ZeroSource,
    DfDropped,
    NoGateway,
    ConstantId,
    TosLost,
    LowTtl,
    LargeChecksumWrong,
    ByteChanged,
    ShortIcmpKills,
    AnyTypeAnswered,
    ErrorsForGroups,
    ErrorsForFragments,
    MaskAnswered,
    QuoteRewritten,
    RedirectBelieved,
    LargeSumWrong,
    LengthBeyondFrame,
    RepliesElsewhere,
    RepliesToAll,
    /// `resend-changed`.
    ResendChanged,
    /// `arp-mirrored`.
    ArpMirrored,
    /// `ip-mirrored`.
    IpMirrored,
    // Fragments and UDP: X60 to X79.
    NoReassembly,
    ReassembledTwice,
    FragmentsInOrder,
    FourFragments,
    OneDatagramAtATime,
    DuplicatesCount,
    OverlapKills,
    FragmentRounded,
    OffsetOverflowKills,
    EmptyFragmentKills,
    FragmentsKept,
    ReassemblyFills,
    FragmentOffsetWrong,
    ShortUdpKills,
    PortZeroKills,
    ZeroSumDropped,
    EmptyDatagramDropped,
    UdpLengthIgnored,
    UdpGroupSource,
    // TCP, opening: X80 to X99.
    /// `syn-ack-short`.
    SynAckShort,
    /// `mss-huge`.
    MssHuge,
    /// `option-unoffered`.
    OptionUnoffered,
    /// `reset-answered`.
    ResetAnswered,
    /// `unknown-option-stops`.
    UnknownOptionStops,
    /// `offset-ignored`.
    OffsetIgnored,
    /// `reserved-refused`.
    ReservedRefused,
    /// `syn-data-doubled`.
    SynDataDoubled,
    /// `half-open-stays`.
    HalfOpenStays,
    /// `group-syn-taken`.
    GroupSynTaken,
    /// `land-kills`.
    LandKills,
    /// `isn-steps`.
    IsnSteps,
    /// `mss-everywhere`.
    MssEverywhere,
    // TCP, segments: X100 to X119.
    /// `small-ack-withheld`.
    SmallAckWithheld,
    /// `early-taken`.
    EarlyTaken,
    /// `overlap-whole`.
    OverlapWhole,
    /// `future-ack-closes`.
    FutureAckCloses,
    /// `reset-ignored`.
    ResetIgnored,
    /// `nonsense-closes`.
    NonsenseCloses,
    /// `byte-dropped`.
    ByteDropped,
    /// `keepalive-ignored`.
    KeepaliveIgnored,
    /// `urgent-kills`.
    UrgentKills,
    /// `old-ack-closes`.
    OldAckCloses,
    /// `duplicate-taken`.
    DuplicateTaken,
    // TCP, closing: X120 to X139.
    IcmpAborts,
    LargeDefaultMss,
    WindowIgnored,
    NeverProbes,
    FinUnacknowledged,
    HalfCloseAborts,
    SequenceUnwrapped,
    HalfOpenForever,
    FullForGood,
    ClosesByReset,
    // HTTP: X140 to X159.
    Http10Kept,
    HostNotWanted,
    PipelineLost,
    LongTargetResets,
    BodyLengthsIgnored,
    BlankBeforeColon,
    LeavesRoot,
    OneClient,
    StallForgets,
    AnyMethod,
    AnyHttpVersion,
    TlsKills,
    KeptAndDeaf,
    LongHeadSilent,
    OneAtATime,
    // Performance: X160 to X179.
    /// `hiccups`.
    Hiccups,
    /// `web-trickles`.
    WebTrickles,
    /// `sends-again`.
    SendsAgain,
    /// `acks-late`.
    AcksLate,
    /// `pings-hush-web`.
    PingsHushWeb,
    /// `web-starves-pings`.
    WebStarvesPings,
    /// `web-tires`.
    WebTires,
    /// `refuses-now-and-then`.
    RefusesNowAndThen,
    // Robustness: X180 to X199.
    /// `long-ipv6-kills`.
    LongIpv6Kills,
    /// `short-header-kills`.
    ShortHeaderKills,
    /// `xmas-kills`.
    XmasKills,
    /// `high-byte-kills`.
    HighByteKills,
    /// `storm-kills`.
    StormKills,
    /// `reboots`.
    Reboots,
    /// `tires`.
    Tires,
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

/// A set of faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults([u128; 2]);

impl Faults {
    /// No fault.
    pub const fn none() -> Self {
        Faults([0; 2])
    }

    /// Just this one.
    pub const fn only(fault: Fault) -> Self {
        let mut faults = Faults::none();
        faults.add(fault);
        faults
    }

    /// Adds one.
    pub const fn add(&mut self, fault: Fault) {
        self.0[fault as usize / 128] |= 1 << (fault as usize % 128);
    }

    /// Whether it is in the set.
    pub const fn has(self, fault: Fault) -> bool {
        self.0[fault as usize / 128] & 1 << (fault as usize % 128) != 0
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
    fn every_fault_has_one_row_and_ids_are_in_order() {
        for (n, info) in ALL.iter().enumerate() {
            assert_eq!(info.fault as usize, n, "{}", info.name);
            assert_eq!(by_name(info.name), Ok(info.fault));
            assert_eq!(by_name(info.id), Ok(info.fault));
            assert!(Faults::only(info.fault).has(info.fault));
        }
        let harmless = ALL.iter().filter(|info| info.layer == Layer::Harmless).count();
        let own = ALL.iter().filter(|info| info.id.starts_with('X')).count();
        assert_eq!((ALL.len() - harmless - own, harmless, own), (43, 6, 134));
        assert!(by_name("nonsense").is_err());
    }
}
