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
    info(Fault::UndersizedKills, "X1", "undersized-kills", Layer::Stream,
        "dies on a frame of less than 14 bytes"),
    info(Fault::DeafAfterReconnect, "X2", "deaf-after-reconnect", Layer::Stream,
        "takes nothing more when the host has left once"),
    info(Fault::StallTears, "X3", "stall-tears", Layer::Stream,
        "tears frames when its transmit buffer fills"),
    info(Fault::BadLengthsStop, "X4", "bad-lengths-stop", Layer::Stream,
        "stops for good at the eighth bad length"),
    info(Fault::BootNoise, "X5", "boot-noise", Layer::Stream,
        "writes the boot loader's text onto the line"),
    info(Fault::TagStripped, "X6", "tag-stripped", Layer::Frame,
        "a VLAN tag is taken off, and the frame answered untagged"),
    info(Fault::LengthFromFrame, "X7", "length-from-frame", Layer::Frame,
        "the IPv4 total length is not looked at, the frame's counts"),
    info(Fault::ShortDropped, "X8", "short-dropped", Layer::Frame,
        "frames of less than 46 bytes are dropped"),
    info(Fault::ForeignSource, "X9", "foreign-source", Layer::Frame,
        "ICMP goes out with another source address"),
    info(Fault::BroadcastTaken, "X10", "broadcast-taken", Layer::Frame,
        "packets for one host are taken from frames to all"),
    info(Fault::AnswersSender, "X11", "answers-sender", Layer::Frame,
        "replies to the host go where the request came from"),
    info(Fault::PaddedArpIgnored, "X12", "padded-arp-ignored", Layer::Frame,
        "ARP messages with padding are passed over"),
    info(Fault::ArpForAnybody, "X13", "arp-for-anybody", Layer::Device,
        "answers ARP for every address"),
    info(Fault::ArpUnverified, "X14", "arp-unverified", Layer::Frame,
        "types and lengths in ARP messages are not looked at"),
    info(Fault::ArpAnyOpcode, "X15", "arp-any-opcode", Layer::Frame,
        "any ARP opcode is a question"),
    info(Fault::LearnsFromIp, "X16", "learns-from-ip", Layer::Device,
        "learns Ethernet addresses from IPv4 packets instead of asking"),
    info(Fault::ArpFlood, "X17", "arp-flood", Layer::Device,
        "asks by ARP for every packet that waits"),
    info(Fault::ProbeIgnored, "X18", "probe-ignored", Layer::Frame,
        "ARP probes are not answered"),
    info(Fault::TableOverflows, "X19", "table-overflows", Layer::Device,
        "fifty neighbours push the static entry out"),
    info(Fault::AsksForHost, "X20", "asks-for-host", Layer::Device,
        "asks by ARP where the host is"),
    info(Fault::VersionIgnored, "X21", "version-ignored", Layer::Frame,
        "the version in an IPv4 header is not looked at"),
    info(Fault::HeaderLengthIgnored, "X22", "header-length-ignored", Layer::Frame,
        "every IPv4 header is taken for one of 20 bytes"),
    info(Fault::OptionsDropped, "X23", "options-dropped", Layer::Frame,
        "packets with IPv4 options are dropped"),
    info(Fault::SourceRouteFollowed, "X24", "source-route-followed", Layer::Frame,
        "source-routed packets are sent on"),
    info(Fault::BadOptionKills, "X25", "bad-option-kills", Layer::Frame,
        "dies on an IPv4 option whose length cannot be"),
    info(Fault::TtlCounted, "X26", "ttl-counted", Layer::Frame,
        "packets with a TTL of 0 or 1 are dropped"),
    info(Fault::AnyDestination, "X27", "any-destination", Layer::Frame,
        "packets for other addresses are taken"),
    info(Fault::LoopbackDestination, "X28", "loopback-destination", Layer::Frame,
        "packets for 127.0.0.0/8 are taken"),
    info(Fault::GroupSource, "X29", "group-source", Layer::Frame,
        "packets from groups are answered"),
    info(Fault::ZeroSource, "X30", "zero-source", Layer::Frame,
        "packets from 0.0.0.0 are answered"),
    info(Fault::DfDropped, "X31", "df-dropped", Layer::Frame,
        "packets with DF are dropped"),
    info(Fault::NoGateway, "X32", "no-gateway", Layer::Device,
        "asks by ARP for addresses beyond the network"),
    info(Fault::ConstantId, "X33", "constant-id", Layer::Frame,
        "every packet has the same identification"),
    info(Fault::TosLost, "X34", "tos-lost", Layer::Frame,
        "echo replies lose the type of service"),
    info(Fault::LowTtl, "X35", "low-ttl", Layer::Frame,
        "packets leave with a TTL of 16"),
    info(Fault::LargeChecksumWrong, "X36", "large-checksum-wrong", Layer::Frame,
        "the IPv4 checksum of packets over 1000 bytes is wrong"),
    info(Fault::ByteChanged, "X37", "byte-changed", Layer::Frame,
        "the byte 7e leaves as 7d, under a right checksum"),
    info(Fault::ShortIcmpKills, "X38", "short-icmp-kills", Layer::Frame,
        "dies on an ICMP message of less than 8 bytes"),
    info(Fault::AnyTypeAnswered, "X39", "any-type-answered", Layer::Frame,
        "every ICMP message is an echo request"),
    info(Fault::ErrorsForGroups, "X40", "errors-for-groups", Layer::Frame,
        "sends ICMP errors for what went to many"),
    info(Fault::ErrorsForFragments, "X41", "errors-for-fragments", Layer::Frame,
        "sends ICMP errors for later fragments"),
    info(Fault::MaskAnswered, "X42", "mask-answered", Layer::Frame,
        "gives its address mask away"),
    info(Fault::QuoteRewritten, "X43", "quote-rewritten", Layer::Device,
        "quotes a header in ICMP errors that is not the one received"),
    info(Fault::RedirectBelieved, "X44", "redirect-believed", Layer::Frame,
        "believes every redirect"),
    info(Fault::LargeSumWrong, "X45", "large-sum-wrong", Layer::Frame,
        "the ICMP checksum of packets over 1000 bytes is wrong"),
    info(Fault::LengthBeyondFrame, "X46", "length-beyond-frame", Layer::Frame,
        "packets over 1000 bytes claim to be longer than their frame"),
    info(Fault::RepliesElsewhere, "X47", "replies-elsewhere", Layer::Frame,
        "one echo reply in eight goes to 10.0.0.9"),
    info(Fault::RepliesToAll, "X48", "replies-to-all", Layer::Frame,
        "one echo reply in eight goes out in a frame to all"),
    info(Fault::ResendChanged, "X49", "resend-changed", Layer::Frame,
        "TCP data that is sent again is not what it was"),
    info(Fault::ArpMirrored, "X50", "arp-mirrored", Layer::Frame,
        "answers ARP whatever its types and lengths say, and leaves them as they came"),
    info(Fault::IpMirrored, "X51", "ip-mirrored", Layer::Frame,
        "answers pings whatever the lengths in their IP header say, and leaves those as they came"),
    // Fragments and UDP.
    info(Fault::NoReassembly, "X60", "no-reassembly", Layer::Device,
        "fragments are dropped"),
    info(Fault::ReassembledTwice, "X61", "reassembled-twice", Layer::Device,
        "a datagram that was put together is handed on twice"),
    info(Fault::FragmentsInOrder, "X62", "fragments-in-order", Layer::Device,
        "fragments that come out of order are dropped"),
    info(Fault::FourFragments, "X63", "four-fragments", Layer::Device,
        "the fifth fragment of a datagram is dropped"),
    info(Fault::OneDatagramAtATime, "X64", "one-datagram-at-a-time", Layer::Device,
        "only one datagram is put together at a time"),
    info(Fault::DuplicatesCount, "X65", "duplicates-count", Layer::Device,
        "a fragment that comes twice counts twice"),
    info(Fault::OverlapKills, "X66", "overlap-kills", Layer::Device,
        "dies on fragments that overlap"),
    info(Fault::FragmentRounded, "X67", "fragment-rounded", Layer::Device,
        "the length of a fragment is rounded up to a multiple of 8"),
    info(Fault::OffsetOverflowKills, "X68", "offset-overflow-kills", Layer::Device,
        "dies on a fragment that ends beyond 65535 bytes"),
    info(Fault::EmptyFragmentKills, "X69", "empty-fragment-kills", Layer::Device,
        "dies on a fragment without bytes"),
    info(Fault::FragmentsKept, "X70", "fragments-kept", Layer::Device,
        "incomplete datagrams are never given up"),
    info(Fault::ReassemblyFills, "X71", "reassembly-fills", Layer::Device,
        "incomplete datagrams keep every other out"),
    info(Fault::FragmentOffsetWrong, "X72", "fragment-offset-wrong", Layer::Frame,
        "later fragments leave with an offset that is 8 bytes too small"),
    info(Fault::ShortUdpKills, "X73", "short-udp-kills", Layer::Frame,
        "dies on a UDP header that is cut short"),
    info(Fault::PortZeroKills, "X74", "port-zero-kills", Layer::Frame,
        "dies on UDP port 0"),
    info(Fault::ZeroSumDropped, "X75", "zero-sum-dropped", Layer::Frame,
        "UDP datagrams without a checksum are dropped"),
    info(Fault::EmptyDatagramDropped, "X76", "empty-datagram-dropped", Layer::Frame,
        "UDP datagrams without data are dropped"),
    info(Fault::UdpLengthIgnored, "X77", "udp-length-ignored", Layer::Frame,
        "the length in a UDP header is not looked at, the packet's counts"),
    info(Fault::UdpGroupSource, "X78", "udp-group-source", Layer::Frame,
        "UDP datagrams from groups are taken as the host's"),
    // TCP, opening.
    info(Fault::SynAckShort, "X80", "syn-ack-short", Layer::Frame,
        "the answer to a SYN acknowledges SEQ instead of SEQ+1"),
    info(Fault::MssHuge, "X81", "mss-huge", Layer::Frame,
        "names an MSS of 9000"),
    info(Fault::OptionUnoffered, "X82", "option-unoffered", Layer::Frame,
        "answers a SYN with a window scale, whatever it offers"),
    info(Fault::ResetAnswered, "X83", "reset-answered", Layer::Frame,
        "a closed port answers a reset by a reset"),
    info(Fault::UnknownOptionStops, "X84", "unknown-option-stops", Layer::Frame,
        "TCP options behind an unknown one are not read"),
    info(Fault::OffsetIgnored, "X85", "offset-ignored", Layer::Frame,
        "a TCP header length that cannot be is taken for 20"),
    info(Fault::ReservedRefused, "X86", "reserved-refused", Layer::Frame,
        "segments with reserved bits are dropped"),
    info(Fault::SynDataDoubled, "X87", "syn-data-doubled", Layer::Frame,
        "data on a SYN is kept, and taken again when it comes again"),
    info(Fault::HalfOpenStays, "X88", "half-open-stays", Layer::Frame,
        "a reset does not end a half-open connection"),
    info(Fault::GroupSynTaken, "X89", "group-syn-taken", Layer::Frame,
        "segments for groups are taken"),
    info(Fault::LandKills, "X90", "land-kills", Layer::Frame,
        "dies of a segment from its own address"),
    info(Fault::IsnSteps, "X91", "isn-steps", Layer::Frame,
        "initial sequence numbers grow by 64000"),
    info(Fault::MssEverywhere, "X92", "mss-everywhere", Layer::Frame,
        "names its MSS in every segment without data"),
    // TCP, segments.
    info(Fault::SmallAckWithheld, "X100", "small-ack-withheld", Layer::Frame,
        "less than 8 bytes are not acknowledged"),
    info(Fault::EarlyTaken, "X101", "early-taken", Layer::Frame,
        "data that comes too early is taken for what is missing"),
    info(Fault::OverlapWhole, "X102", "overlap-whole", Layer::Frame,
        "a segment that begins with old data is taken whole"),
    info(Fault::FutureAckCloses, "X103", "future-ack-closes", Layer::Frame,
        "an ACK of what was never sent closes a connection"),
    info(Fault::ResetIgnored, "X104", "reset-ignored", Layer::Frame,
        "resets do not close a connection"),
    info(Fault::NonsenseCloses, "X105", "nonsense-closes", Layer::Frame,
        "SYN and FIN at once close a connection"),
    info(Fault::ByteDropped, "X106", "byte-dropped", Layer::Frame,
        "segments with a single byte are dropped"),
    info(Fault::KeepaliveIgnored, "X107", "keepalive-ignored", Layer::Frame,
        "keep-alive probes are not answered"),
    info(Fault::UrgentKills, "X108", "urgent-kills", Layer::Frame,
        "dies of an urgent pointer beyond the data"),
    info(Fault::OldAckCloses, "X109", "old-ack-closes", Layer::Frame,
        "an old ACK closes a connection"),
    info(Fault::DuplicateTaken, "X110", "duplicate-taken", Layer::Frame,
        "data that comes again is taken again"),
    // TCP, closing.
    info(Fault::IcmpAborts, "X120", "icmp-aborts", Layer::Frame,
        "any ICMP error for a connection ends it"),
    info(Fault::LargeDefaultMss, "X121", "large-default-mss", Layer::Frame,
        "a peer that names no MSS is taken to have one of 1460"),
    info(Fault::WindowIgnored, "X122", "window-ignored", Layer::Frame,
        "small windows of the peer are not looked at"),
    info(Fault::NeverProbes, "X123", "never-probes", Layer::Frame,
        "a window of 0 is never probed"),
    info(Fault::FinUnacknowledged, "X124", "fin-unacknowledged", Layer::Frame,
        "a FIN is not acknowledged"),
    info(Fault::HalfCloseAborts, "X125", "half-close-aborts", Layer::Device,
        "a request is forgotten when its peer has nothing more to say"),
    info(Fault::SequenceUnwrapped, "X126", "sequence-unwrapped", Layer::Frame,
        "sequence numbers below the first are old"),
    info(Fault::HalfOpenForever, "X127", "half-open-forever", Layer::Device,
        "half-open connections are never given up"),
    info(Fault::FullForGood, "X128", "full-for-good", Layer::Device,
        "a port whose connections were all taken once takes no more"),
    info(Fault::ClosesByReset, "X129", "closes-by-reset", Layer::Device,
        "the web server resets its connections instead of closing them"),
    // HTTP.
    info(Fault::Http10Kept, "X140", "http10-kept", Layer::Device,
        "a connection of HTTP/1.0 is not closed behind its response"),
    info(Fault::HostNotWanted, "X141", "host-not-wanted", Layer::Device,
        "requests without a Host field, or with two, are served"),
    info(Fault::PipelineLost, "X142", "pipeline-lost", Layer::Device,
        "requests behind the first one in a segment are lost"),
    info(Fault::LongTargetResets, "X143", "long-target-resets", Layer::Device,
        "a request line of more than 1024 bytes ends the connection"),
    info(Fault::BodyLengthsIgnored, "X144", "body-lengths-ignored", Layer::Device,
        "what says how long a request's body is counts for nothing"),
    info(Fault::BlankBeforeColon, "X145", "blank-before-colon", Layer::Device,
        "blanks between the name of a header field and its colon are passed over"),
    info(Fault::LeavesRoot, "X146", "leaves-root", Layer::Device,
        "paths with '..' lead out of the web server's root"),
    info(Fault::OneClient, "X147", "one-client", Layer::Device,
        "the web server has one connection at a time, and refuses others"),
    info(Fault::StallForgets, "X148", "stall-forgets", Layer::Device,
        "a response that waits for its reader for 5 s loses a part"),
    info(Fault::AnyMethod, "X149", "any-method", Layer::Device,
        "every method that is not known is a GET"),
    info(Fault::AnyHttpVersion, "X150", "any-http-version", Layer::Device,
        "every version of HTTP is taken for 1.1"),
    info(Fault::TlsKills, "X151", "tls-kills", Layer::Device,
        "dies when a client of its web server speaks TLS"),
    info(Fault::KeptAndDeaf, "X152", "kept-and-deaf", Layer::Device,
        "the second request on a connection is not answered, and the connection stays open"),
    info(Fault::LongHeadSilent, "X153", "long-head-silent", Layer::Device,
        "a request's head of more than 2048 bytes is not answered"),
    info(Fault::OneAtATime, "X154", "one-at-a-time", Layer::Device,
        "while one connection is open, the web server reads no other"),
    // Performance.
    info(Fault::Hiccups, "X160", "hiccups", Layer::Device,
        "one echo reply of 20 comes 400 ms late"),
    info(Fault::WebTrickles, "X161", "web-trickles", Layer::Device,
        "the web server sends four segments a second"),
    info(Fault::SendsAgain, "X162", "sends-again", Layer::Device,
        "one segment of the web server in 20 goes twice"),
    info(Fault::AcksLate, "X163", "acks-late", Layer::Device,
        "acknowledgments without data go 300 ms late"),
    info(Fault::PingsHushWeb, "X164", "pings-hush-web", Layer::Device,
        "the web server sends nothing for 45 ms behind an echo reply"),
    info(Fault::WebStarvesPings, "X165", "web-starves-pings", Layer::Device,
        "while the web server sends, echo replies come 300 ms late"),
    info(Fault::WebTires, "X166", "web-tires", Layer::Device,
        "after half a minute the web server slows down"),
    info(Fault::RefusesNowAndThen, "X167", "refuses-now-and-then", Layer::Device,
        "the web server refuses one connection of 25"),
    // Robustness.
    info(Fault::LongIpv6Kills, "X180", "long-ipv6-kills", Layer::Device,
        "dies on an IPv6 packet that claims more than its frame holds"),
    info(Fault::ShortHeaderKills, "X181", "short-header-kills", Layer::Device,
        "dies on an IPv4 header that claims to be shorter than 20 bytes"),
    info(Fault::XmasKills, "X182", "xmas-kills", Layer::Device,
        "dies of a segment with SYN, FIN and RST"),
    info(Fault::HighByteKills, "X183", "high-byte-kills", Layer::Device,
        "dies on a request with a byte that is no ASCII"),
    info(Fault::StormKills, "X184", "storm-kills", Layer::Device,
        "dies of 150 frames that come close to each other"),
    info(Fault::Reboots, "X185", "reboots", Layer::Device,
        "starts anew at the first frame of 617 bytes, and is away for two seconds"),
    info(Fault::Tires, "X186", "tires", Layer::Device,
        "dies of the first frame after five minutes"),
];

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
