//! What the types and codes of ICMPv6 are called (IANA's registry of ICMPv6 parameters).

/// The name of a type.
pub fn type_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "destination unreachable",
        2 => "packet too big",
        3 => "time exceeded",
        4 => "parameter problem",
        100 | 101 | 200 | 201 => "private experimentation",
        128 => "echo request",
        129 => "echo reply",
        130 => "multicast listener query",
        131 => "multicast listener report",
        132 => "multicast listener done",
        133 => "router solicitation",
        134 => "router advertisement",
        135 => "neighbor solicitation",
        136 => "neighbor advertisement",
        137 => "redirect",
        138 => "router renumbering",
        139 => "node information query",
        140 => "node information response",
        141 => "inverse neighbor solicitation",
        142 => "inverse neighbor advertisement",
        143 => "multicast listener report v2",
        144 => "home agent discovery request",
        145 => "home agent discovery reply",
        146 => "mobile prefix solicitation",
        147 => "mobile prefix advertisement",
        148 => "certification path solicitation",
        149 => "certification path advertisement",
        150 => "experimental mobility",
        151 => "multicast router advertisement",
        152 => "multicast router solicitation",
        153 => "multicast router termination",
        154 => "FMIPv6",
        155 => "RPL control",
        156 => "ILNPv6 locator update",
        157 => "duplicate address request",
        158 => "duplicate address confirmation",
        159 => "MPL control",
        160 => "extended echo request",
        161 => "extended echo reply",
        _ => return None,
    })
}

/// The same for a field's meaning.
pub(super) fn type_meaning(kind: u64) -> Option<&'static str> {
    type_name(u8::try_from(kind).ok()?)
}

/// The name of a code, which depends on the type.
pub fn code_name(kind: u8, code: u64) -> Option<&'static str> {
    let names: &[&'static str] = match kind {
        1 => &[
            "no route to destination",
            "administratively prohibited",
            "beyond scope of source address",
            "address unreachable",
            "port unreachable",
            "source address failed ingress/egress policy",
            "reject route to destination",
            "error in source routing header",
            "headers too long",
        ],
        3 => &["hop limit exceeded in transit", "fragment reassembly time exceeded"],
        4 => &[
            "erroneous header field",
            "unrecognized next header",
            "unrecognized IPv6 option",
            "incomplete header chain in first fragment",
            "error in SR upper-layer header",
            "unrecognized next header at intermediate node",
            "extension header too big",
            "extension header chain too long",
            "too many extension headers",
            "too many options in extension header",
            "option too big",
        ],
        138 if code == 255 => return Some("sequence number reset"),
        138 => &["command", "result"],
        139 => &["IPv6 address", "name or none", "IPv4 address"],
        140 => &["success", "refused", "unknown query"],
        157 | 158 => &["success", "duplicate address"],
        161 => &[
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

/// The same for a field's meaning, given the header that it stands in.
pub(super) fn code_meaning(header: &[u8], code: u64) -> Option<&'static str> {
    code_name(*header.first()?, code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_named_by_their_type() {
        assert_eq!(code_name(1, 4), Some("port unreachable"));
        assert_eq!((code_name(1, 9), code_name(2, 0)), (None, None));
        assert_eq!(code_name(3, 1), Some("fragment reassembly time exceeded"));
        assert_eq!(code_name(4, 10), Some("option too big"));
        assert_eq!(code_name(138, 255), Some("sequence number reset"));
        assert_eq!((type_name(143), type_name(0)), (Some("multicast listener report v2"), None));
    }
}
