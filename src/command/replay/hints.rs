//! What may be the matter when nothing comes back.

use std::fmt::Write;

use crate::proto::{be16, ipv4_at};
use crate::record::LinkType;
use crate::replay::link;
use crate::replay::source::Ends;

/// Why nothing may have come back, when this was the first frame.
pub(super) fn silence(frame: &[u8], ends: &Ends) -> String {
    let mut text = String::new();
    if let Some(0x8100 | 0x88a8) = be16(frame, 12) {
        let vlan = be16(frame, 14).unwrap_or_default() & 0xfff;
        let _ = writeln!(
            text,
            "nothing came back: the first frame has the tag of VLAN {vlan}, and a device that knows none of those \
             hears no such frame"
        );
    }
    let Ok((link::IPV4, at)) = link::locate(LinkType::ETHERNET, frame) else { return text };
    let Some(address) = ipv4_at(frame, at + 16) else { return text };
    let is_group = address.is_multicast() || address.is_broadcast() || frame[0] & 1 == 1;
    if address != ends.device.ip && !is_group {
        let _ = writeln!(
            text,
            "nothing came back: the first frame went to {address}, and the device is {}; \
             '--rewrite-ip {address}={}' and '--rewrite-mac' send it there",
            ends.device.ip, ends.device.ip
        );
    }
    text
}
