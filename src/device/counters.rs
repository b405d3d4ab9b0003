//! Everything the device counts, for `/status` and for tests.

use serde::Serialize;

/// Counters of line, driver and stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames received.
    pub rx_frames: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Headers with a length of 0 or beyond the limit.
    pub bad_length: u64,
    /// Frames shorter than an Ethernet header.
    pub short_frames: u64,
    /// Headers given up after their first byte.
    pub header_timeouts: u64,
    /// Frames given up in the middle.
    pub body_timeouts: u64,
    /// Bytes lost because the receive buffer was full.
    pub overruns: u64,
    /// Bytes thrown away by a flush.
    pub flushed: u64,
    /// Bytes thrown away as the body of a bad header.
    pub discarded: u64,
    /// Frames for somebody else, or that no station may send.
    pub filtered: u64,
    /// ARP requests answered.
    pub arp_replies: u64,
    /// ARP requests sent.
    pub arp_requests: u64,
    /// IPv4 packets handed to the stack.
    pub ip_received: u64,
    /// IPv4 packets from the stack.
    pub ip_sent: u64,
    /// Packets dropped because their next hop did not answer.
    pub unresolved: u64,
    /// IPv4 packets whose header or transport checksum was wrong.
    pub bad_checksums: u64,
    /// Echo requests received.
    pub echo_requests: u64,
    /// Echo replies sent.
    pub echo_replies: u64,
    /// ICMP errors sent.
    pub icmp_errors: u64,
    /// UDP datagrams received.
    pub udp_received: u64,
    /// UDP datagrams sent.
    pub udp_sent: u64,
    /// TCP segments received.
    pub tcp_received: u64,
    /// TCP segments sent.
    pub tcp_sent: u64,
    /// TCP segments sent again.
    pub tcp_retransmitted: u64,
    /// TCP resets received.
    pub tcp_resets_received: u64,
    /// TCP resets sent.
    pub tcp_resets_sent: u64,
    /// Challenge ACKs sent (RFC 5961).
    pub tcp_challenge_acks: u64,
    /// TCP connections given up because the peer was silent.
    pub tcp_expired: u64,
    /// TCP connections accepted.
    pub connections: u64,
    /// TCP connections open now, those in TIME-WAIT included.
    pub connections_open: u64,
    /// HTTP requests answered.
    pub http_requests: u64,
    /// Times the device has started.
    pub boots: u64,
}
