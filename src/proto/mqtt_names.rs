//! The names of MQTT's numbers (MQTT 3.1.1 and 5.0).

pub(super) fn type_name(kind: u8) -> Option<&'static str> {
    const NAMES: [&str; 15] = [
        "Connect",
        "ConnAck",
        "Publish",
        "PubAck",
        "PubRec",
        "PubRel",
        "PubComp",
        "Subscribe",
        "SubAck",
        "Unsubscribe",
        "UnsubAck",
        "PingReq",
        "PingResp",
        "Disconnect",
        "Auth",
    ];
    NAMES.get(usize::from(kind).checked_sub(1)?).copied()
}

pub(super) fn level_name(level: u8) -> Option<&'static str> {
    Some(match level {
        3 => "3.1",
        4 => "3.1.1",
        5 => "5.0",
        _ => return None,
    })
}

pub(super) fn qos_name(qos: u8) -> Option<&'static str> {
    ["at most once", "at least once", "exactly once"].get(usize::from(qos)).copied()
}

/// The meaning of CONNACK's code, which has two bytes in 3.1.1 and more in 5.0.
pub(super) fn connack_name(code: u8, remaining: usize) -> Option<&'static str> {
    Some(match code {
        0 => "accepted",
        1..=5 if remaining == 2 => match code {
            1 => "unacceptable protocol version",
            2 => "identifier rejected",
            3 => "server unavailable",
            4 => "bad user name or password",
            _ => "not authorized",
        },
        _ => return reason_name(code),
    })
}

/// The meaning of a code in SUBACK of 3.1.1 (section 3.9.3).
pub(super) fn suback_name(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "granted QoS 0",
        1 => "granted QoS 1",
        2 => "granted QoS 2",
        0x80 => "failure",
        _ => return None,
    })
}

/// The meaning of a reason code (5.0 section 2.4).
pub(super) fn reason_name(code: u8) -> Option<&'static str> {
    Some(match code {
        0x00 => "success",
        0x04 => "disconnect with will message",
        0x10 => "no matching subscribers",
        0x18 => "continue authentication",
        0x19 => "re-authenticate",
        0x80 => "unspecified error",
        0x81 => "malformed packet",
        0x82 => "protocol error",
        0x83 => "implementation specific error",
        0x84 => "unsupported protocol version",
        0x85 => "client identifier not valid",
        0x86 => "bad user name or password",
        0x87 => "not authorized",
        0x88 => "server unavailable",
        0x89 => "server busy",
        0x8a => "banned",
        0x8b => "server shutting down",
        0x8c => "bad authentication method",
        0x8d => "keep alive timeout",
        0x8e => "session taken over",
        0x90 => "topic name invalid",
        0x91 => "packet identifier in use",
        0x92 => "packet identifier not found",
        0x93 => "receive maximum exceeded",
        0x95 => "packet too large",
        0x97 => "quota exceeded",
        0x98 => "administrative action",
        0x99 => "payload format invalid",
        0x9a => "retain not supported",
        0x9b => "QoS not supported",
        0x9c => "use another server",
        0x9d => "server moved",
        _ => return None,
    })
}
