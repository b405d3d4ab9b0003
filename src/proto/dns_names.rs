//! What the numbers in DNS headers and entries are called; types of records are with what they hold.

/// What a message is for (RFC 1035 section 4.1.1; notify: RFC 1996, update: RFC 2136, stateful: RFC 8490).
pub(super) fn opcode_name(opcode: u64) -> Option<&'static str> {
    Some(match opcode {
        0 => "query",
        1 => "inverse query",
        2 => "status",
        4 => "notify",
        5 => "update",
        6 => "stateful",
        _ => return None,
    })
}

/// How it went (RFC 1035 section 4.1.1, RFC 2136 section 2.2).
pub(super) fn rcode_name(rcode: u64) -> Option<&'static str> {
    Some(match rcode {
        0 => "NoError",
        1 => "FormErr",
        2 => "ServFail",
        3 => "NXDomain",
        4 => "NotImp",
        5 => "Refused",
        6 => "YXDomain",
        7 => "YXRRSet",
        8 => "NXRRSet",
        9 => "NotAuth",
        10 => "NotZone",
        _ => return None,
    })
}

/// The class of a question or a record (RFC 1035 section 3.2.4, RFC 2136 section 2.4).
pub(super) fn class_name(class: u16) -> Option<&'static str> {
    Some(match class {
        1 => "IN",
        3 => "CH",
        4 => "HS",
        254 => "NONE",
        255 => "ANY",
        _ => return None,
    })
}
