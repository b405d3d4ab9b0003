//! What the types and codes of ICMP are called (IANA's registry of ICMP parameters).

/// The name of a type.
pub fn type_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "echo reply",
        3 => "destination unreachable",
        4 => "source quench",
        5 => "redirect",
        6 => "alternate host address",
        8 => "echo request",
        9 => "router advertisement",
        10 => "router solicitation",
        11 => "time exceeded",
        12 => "parameter problem",
        13 => "timestamp request",
        14 => "timestamp reply",
        15 => "information request",
        16 => "information reply",
        17 => "address mask request",
        18 => "address mask reply",
        30 => "traceroute",
        31 => "datagram conversion error",
        32 => "mobile host redirect",
        33 => "where-are-you",
        34 => "i-am-here",
        35 => "mobile registration request",
        36 => "mobile registration reply",
        37 => "domain name request",
        38 => "domain name reply",
        39 => "SKIP",
        40 => "Photuris",
        41 => "experimental mobility",
        42 => "extended echo request",
        43 => "extended echo reply",
        253 | 254 => "experiment",
        _ => return None,
    })
}

/// The same for a field's meaning.
pub(super) fn type_meaning(kind: u64) -> Option<&'static str> {
    type_name(u8::try_from(kind).ok()?)
}

/// The name of a code, which depends on the type; code 0 of a type that has no other has none.
pub fn code_name(kind: u8, code: u64) -> Option<&'static str> {
    let names: &[&'static str] = match kind {
        3 => &UNREACHABLE,
        5 => &[
            "for the network",
            "for the host",
            "for type of service and network",
            "for type of service and host",
        ],
        9 => {
            return match code {
                0 => Some("normal router"),
                16 => Some("does not route common traffic"),
                _ => None,
            };
        }
        11 => &["time to live exceeded in transit", "fragment reassembly time exceeded"],
        12 => &["pointer indicates the error", "missing a required option", "bad length"],
        40 => &[
            "bad SPI",
            "authentication failed",
            "decompression failed",
            "decryption failed",
            "need authentication",
            "need authorization",
        ],
        43 => &[
            "no error",
            "malformed query",
            "no such interface",
            "no such table entry",
            "multiple interfaces satisfy query",
        ],
        _ => return None,
    };
    names.get(usize::try_from(code).ok()?).copied()
}

const UNREACHABLE: [&str; 16] = [
    "net unreachable",
    "host unreachable",
    "protocol unreachable",
    "port unreachable",
    "fragmentation needed and DF set",
    "source route failed",
    "destination network unknown",
    "destination host unknown",
    "source host isolated",
    "network administratively prohibited",
    "host administratively prohibited",
    "network unreachable for type of service",
    "host unreachable for type of service",
    "communication administratively prohibited",
    "host precedence violation",
    "precedence cutoff in effect",
];

/// The same for a field's meaning, given the header that it stands in.
pub(super) fn code_meaning(header: &[u8], code: u64) -> Option<&'static str> {
    code_name(*header.first()?, code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_named_by_their_type() {
        assert_eq!(code_name(3, 3), Some("port unreachable"));
        assert_eq!(code_name(3, 16), None);
        assert_eq!(code_name(5, 1), Some("for the host"));
        assert_eq!(code_name(9, 16), Some("does not route common traffic"));
        assert_eq!(code_name(11, 1), Some("fragment reassembly time exceeded"));
        assert_eq!((code_name(8, 0), code_name(3, u64::MAX)), (None, None));
        assert_eq!((type_name(30), type_name(7)), (Some("traceroute"), None));
    }
}
