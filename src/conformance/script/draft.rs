//! A packet in the making: every layer there is, right in what the script does not say.

use crate::conformance::stimulus::{ArpFrame, Datagram, Echo, Segment};
use crate::craft::layers::{Arp, Checksum, Ethernet, Icmp, Ipv4, Tcp, Udp};

/// Which message a packet is about: what names without a layer belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// A frame of any type.
    Eth,
    /// ARP.
    Arp,
    /// An IPv4 packet of any protocol.
    Ip,
    /// ICMP.
    Icmp,
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

impl Layer {
    /// Every layer.
    pub const ALL: [Layer; 6] =
        [Layer::Eth, Layer::Arp, Layer::Ip, Layer::Icmp, Layer::Udp, Layer::Tcp];

    /// Its name in scripts.
    pub const fn name(self) -> &'static str {
        match self {
            Layer::Eth => "eth",
            Layer::Arp => "arp",
            Layer::Ip => "ip",
            Layer::Icmp => "icmp",
            Layer::Udp => "udp",
            Layer::Tcp => "tcp",
        }
    }

    /// Whether an IPv4 header stands in front of it.
    pub const fn has_ip(self) -> bool {
        !matches!(self, Layer::Eth | Layer::Arp)
    }
}

/// All layers of a packet; [`Layer`] says which of them go.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub layer: Layer,
    pub eth: Ethernet,
    pub arp: Arp,
    pub ip: Ipv4,
    pub icmp: Icmp,
    pub udp: Udp,
    pub tcp: Tcp,
    /// What the message carries.
    pub data: Vec<u8>,
    /// The message, instead of what the fields make of it.
    pub raw: Option<Vec<u8>>,
    /// Bytes behind the packet.
    pub pad: Vec<u8>,
    /// How much of the frame is left.
    pub cut: Option<usize>,
    /// The length in front of the frame, where it lies.
    pub prefix: Option<u16>,
}

impl Draft {
    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        let (source, destination) = (self.ip.source, self.ip.destination);
        let message = match (&self.raw, self.layer) {
            (Some(raw), _) => raw.clone(),
            (None, Layer::Eth | Layer::Ip) => self.data.clone(),
            (None, Layer::Arp) => self.arp.message(),
            (None, Layer::Icmp) => Icmp { data: self.data.clone(), ..self.icmp.clone() }.message(),
            (None, Layer::Udp) => self.udp.datagram(source, destination, &self.data),
            (None, Layer::Tcp) => self.tcp.segment(source, destination, &self.data),
        };
        let packet = if self.layer.has_ip() { self.ip.packet(&message) } else { message };
        let mut frame = self.eth.frame(&packet);
        frame.extend_from_slice(&self.pad);
        frame.truncate(self.cut.unwrap_or(usize::MAX));
        frame
    }

    /// Sets a checksum of the message.
    pub fn set_checksum(&mut self, checksum: Checksum) {
        match self.layer {
            Layer::Eth | Layer::Arp => {}
            Layer::Ip => self.ip.checksum = checksum,
            Layer::Icmp => self.icmp.checksum = checksum,
            Layer::Udp => self.udp.checksum = checksum,
            Layer::Tcp => self.tcp.checksum = checksum,
        }
    }

    /// Appends a TCP option.
    pub fn add_option(&mut self, kind: u8, value: &[u8]) {
        self.tcp.options.extend([kind, value.len() as u8 + 2]);
        self.tcp.options.extend_from_slice(value);
    }
}

/// What a draft begins as: the addresses and fresh numbers of a running test.
pub(super) struct Blank {
    pub echo: Echo,
    pub datagram: Datagram,
    pub segment: Segment,
    pub arp: ArpFrame,
}

impl Blank {
    /// The draft of a message.
    pub fn draft(self, layer: Layer) -> Draft {
        let Blank { echo, datagram, segment, arp } = self;
        let (eth, ip) = match layer {
            Layer::Eth | Layer::Ip | Layer::Icmp => (echo.eth, echo.ip),
            Layer::Arp => (arp.eth, echo.ip),
            Layer::Udp => (datagram.eth, datagram.ip),
            Layer::Tcp => (segment.eth, segment.ip),
        };
        Draft {
            layer,
            eth,
            arp: arp.arp,
            ip,
            icmp: echo.icmp,
            udp: datagram.udp,
            tcp: segment.tcp,
            data: Vec::new(),
            raw: None,
            pad: Vec::new(),
            cut: None,
            prefix: None,
        }
    }
}
