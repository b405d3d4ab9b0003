//! The names of CoAP's numbers (RFC 7252 section 12 and IANA's registries).

use super::coap::{URI_HOST, URI_PATH, URI_QUERY};

pub(super) fn type_name(kind: u64) -> Option<&'static str> {
    ["confirmable", "non-confirmable", "acknowledgement", "reset"].get(kind as usize).copied()
}

pub(super) fn code_meaning(code: u64) -> Option<&'static str> {
    code_name(u8::try_from(code).ok()?)
}

/// A code as it is written, and its meaning (RFC 7252 section 12.1, RFC 7959, RFC 8132).
pub(super) fn code_name(code: u8) -> Option<&'static str> {
    Some(match (code >> 5, code & 31) {
        (0, 0) => "0.00 empty",
        (0, 1) => "0.01 GET",
        (0, 2) => "0.02 POST",
        (0, 3) => "0.03 PUT",
        (0, 4) => "0.04 DELETE",
        (0, 5) => "0.05 FETCH",
        (0, 6) => "0.06 PATCH",
        (0, 7) => "0.07 iPATCH",
        (2, 1) => "2.01 Created",
        (2, 2) => "2.02 Deleted",
        (2, 3) => "2.03 Valid",
        (2, 4) => "2.04 Changed",
        (2, 5) => "2.05 Content",
        (2, 31) => "2.31 Continue",
        (4, 0) => "4.00 Bad Request",
        (4, 1) => "4.01 Unauthorized",
        (4, 2) => "4.02 Bad Option",
        (4, 3) => "4.03 Forbidden",
        (4, 4) => "4.04 Not Found",
        (4, 5) => "4.05 Method Not Allowed",
        (4, 6) => "4.06 Not Acceptable",
        (4, 8) => "4.08 Request Entity Incomplete",
        (4, 9) => "4.09 Conflict",
        (4, 12) => "4.12 Precondition Failed",
        (4, 13) => "4.13 Request Entity Too Large",
        (4, 15) => "4.15 Unsupported Content-Format",
        (4, 22) => "4.22 Unprocessable Entity",
        (4, 29) => "4.29 Too Many Requests",
        (5, 0) => "5.00 Internal Server Error",
        (5, 1) => "5.01 Not Implemented",
        (5, 2) => "5.02 Bad Gateway",
        (5, 3) => "5.03 Service Unavailable",
        (5, 4) => "5.04 Gateway Timeout",
        (5, 5) => "5.05 Proxying Not Supported",
        _ => return None,
    })
}

/// The name of an option (IANA's registry of CoAP option numbers).
pub(super) fn option_name(number: u32) -> Option<&'static str> {
    Some(match number {
        1 => "If-Match",
        URI_HOST => "Uri-Host",
        4 => "ETag",
        5 => "If-None-Match",
        6 => "Observe",
        7 => "Uri-Port",
        8 => "Location-Path",
        9 => "OSCORE",
        URI_PATH => "Uri-Path",
        12 => "Content-Format",
        14 => "Max-Age",
        URI_QUERY => "Uri-Query",
        16 => "Hop-Limit",
        17 => "Accept",
        20 => "Location-Query",
        23 => "Block2",
        27 => "Block1",
        28 => "Size2",
        35 => "Proxy-Uri",
        39 => "Proxy-Scheme",
        60 => "Size1",
        252 => "Echo",
        258 => "No-Response",
        292 => "Request-Tag",
        _ => return None,
    })
}

/// The name of a content format (IANA's registry).
pub(super) fn format_name(number: u64) -> Option<&'static str> {
    Some(match number {
        0 => "text/plain",
        40 => "application/link-format",
        41 => "application/xml",
        42 => "application/octet-stream",
        47 => "application/exi",
        50 => "application/json",
        60 => "application/cbor",
        110 => "application/senml+json",
        112 => "application/senml+cbor",
        11542 => "application/vnd.oma.lwm2m+tlv",
        _ => return None,
    })
}
