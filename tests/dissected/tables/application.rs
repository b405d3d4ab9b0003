//! What is carried by UDP and TCP.

use super::How::{After, Levelled, Number, Reworded, Unordered};
use super::{Row, hex, left, row, same, text};

pub static COAP: &[Row] = &[
    same("version", "coap.version"),
    same("type", "coap.type"),
    same("token_length", "coap.token_len"),
    same("code", "coap.code"),
    same("message_id", "coap.mid"),
    hex("token", "coap.token"),
    text("uri_host", "coap.opt.uri_host"),
    left("uri_path", "joins the parts, which are compared as option.text"),
    left("uri_query", "joins the parts, which are compared as option.text"),
    left("option.number", "tshark shows differences between numbers only"),
    row(
        "option.text",
        "coap.opt.uri_host coap.opt.location_path coap.opt.uri_path coap.opt.uri_query \
         coap.opt.location_query coap.opt.proxy_uri coap.opt.proxy_scheme",
        Unordered,
    ),
    row(
        "option.value",
        "coap.opt.observe coap.opt.uri_port coap.opt.max_age coap.opt.hop_limit coap.opt.size1 \
         coap.opt.ctype coap.opt.accept",
        Reworded(numbered),
    )
    .whole("tshark shows the largest number for what is too long"),
    row("option.data", "coap.opt.if_match coap.opt.etag coap.opt.unknown", Unordered)
        .whole("tshark leaves out what is too long"),
];

/// tshark names formats instead of numbering them: there are as many more numbers on our side.
fn numbered(ours: &mut Vec<String>, theirs: &mut Vec<String>) {
    let all = theirs.len();
    theirs.retain(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
    if ours.len() == all {
        ours.retain(|value| theirs.contains(value));
    }
    ours.sort();
    theirs.sort();
}

pub static DHCP: &[Row] = &[
    same("op", "dhcp.type"),
    // tshark shows that of a client identifier, too.
    row("htype", "dhcp.hw.type", Levelled(|ours, theirs| theirs.truncate(ours.len()))),
    same("hlen", "dhcp.hw.len"),
    same("hops", "dhcp.hops"),
    same("xid", "dhcp.id"),
    same("secs", "dhcp.secs"),
    same("flags.broadcast", "dhcp.flags.bc"),
    text("ciaddr", "dhcp.ip.client"),
    text("yiaddr", "dhcp.ip.your"),
    text("siaddr", "dhcp.ip.server"),
    text("giaddr", "dhcp.ip.relay"),
    row(
        "chaddr",
        "dhcp.hw.mac_addr",
        Levelled(|ours, theirs| {
            theirs.truncate(ours.len());
            theirs.iter_mut().for_each(|mac| *mac = mac.replace(':', ""));
        }),
    )
    .whole("an identifier's may be the only one"),
    text("sname", "dhcp.server"),
    text("file", "dhcp.file"),
    row(
        "cookie",
        "dhcp.cookie",
        After(|address| {
            let address: std::net::Ipv4Addr = address.parse().expect("an address");
            address.to_bits().to_string()
        }),
    ),
    // tshark counts padding as options, and reads names that hold options where it learns of that.
    row(
        "option.code",
        "dhcp.option.type",
        Levelled(|ours, theirs| {
            theirs.retain(|code| code != "0");
            ours.sort();
            theirs.sort();
        }),
    )
    .whole("sorted, a missing one would shift the others"),
    text("option.subnet_mask", "dhcp.option.subnet_mask"),
    text("option.router", "dhcp.option.router").whole("what is overloaded, damage may hide"),
    text("option.domain_name_server", "dhcp.option.domain_name_server"),
    text("option.host_name", "dhcp.option.hostname"),
    text("option.domain_name", "dhcp.option.domain_name"),
    text("option.broadcast_address", "dhcp.option.broadcast_address"),
    text("option.ntp_server", "dhcp.option.ntp_server"),
    text("option.requested_address", "dhcp.option.requested_ip_address")
        .whole("what is overloaded, damage may hide"),
    same("option.lease_time", "dhcp.option.ip_address_lease_time"),
    same("option.overload", "dhcp.option.option_overload"),
    same("option.message_type", "dhcp.option.dhcp"),
    text("option.server_identifier", "dhcp.option.dhcp_server_id"),
    same("option.parameter_request", "dhcp.option.request_list_item"),
    text("option.message", "dhcp.option.message"),
    same("option.maximum_message_size", "dhcp.option.dhcp_max_message_size"),
    same("option.renewal_time", "dhcp.option.renewal_time_value"),
    same("option.rebinding_time", "dhcp.option.rebinding_time_value"),
    text("option.vendor_class", "dhcp.option.vendor_class_id"),
    left("option.client_identifier", "tshark has a field for each kind of identifier"),
    left("option.data", "tshark has a field for each option that has no field with us"),
];

pub static HTTP: &[Row] = &[
    text("method", "http.request.method"),
    text("target", "http.request.uri").whole("where it ends in a broken line is anybody's guess"),
    text("version", "http.request.version http.response.version"),
    same("status", "http.response.code"),
    text("reason", "http.response.phrase"),
    row(
        "header",
        "http.request.line http.response.line",
        After(|line| line.trim_end_matches("\\r\\n").trim_end_matches(['\r', '\n']).to_owned()),
    )
    .whole("tshark ends lines at a CR, too"),
    text("host", "http.host"),
    text("user_agent", "http.user_agent"),
    text("server", "http.server"),
    text("content_type", "http.content_type"),
    row("content_length", "http.content_length_header", Number),
    text("transfer_encoding", "http.transfer_encoding"),
    // tshark leaves out the last chunk if there is no other.
    row(
        "chunk_size",
        "http.chunk_size",
        Levelled(|ours, theirs| {
            ours.retain(|size| size != "0");
            theirs.retain(|size| size != "0");
        }),
    ),
];

pub static MQTT: &[Row] = &[
    same("type", "mqtt.msgtype"),
    same("remaining_length", "mqtt.len"),
    same("dup", "mqtt.dupflag"),
    same("qos", "mqtt.qos"),
    same("retain", "mqtt.retain"),
    text("protocol_name", "mqtt.protoname"),
    same("protocol_level", "mqtt.ver"),
    same("connect_flags", "mqtt.conflags"),
    same("keep_alive", "mqtt.kalive"),
    text("client_id", "mqtt.clientid"),
    text("will_topic", "mqtt.willtopic"),
    hex("will_message", "mqtt.willmsg"),
    text("user_name", "mqtt.username"),
    same("session_present", "mqtt.conack.flags.sp"),
    row(
        "return_code",
        "mqtt.conack.val mqtt.suback.qos mqtt.suback.reason_code mqtt.puback.reason_code mqtt.connack.reason_code \
         mqtt.disconnect.reason_code mqtt.auth.reason_code",
        Unordered,
    ),
    same("packet_id", "mqtt.msgid"),
    text("topic topic_filter", "mqtt.topic"),
    same("requested_qos", "mqtt.sub.qos").whole("tshark counts reserved bits"),
    row("payload_length", "mqtt.msg", After(|hex| (hex.len() / 2).to_string())),
];

/// A byte with a sign.
fn signed(text: &str) -> String {
    text.parse::<u8>().map_or_else(|_| text.to_owned(), |byte| (byte as i8).to_string())
}

/// Units of 1/65536 seconds.
fn seconds(text: &str) -> String {
    let units: u64 = text.parse().unwrap_or_default();
    format!("{}.{:06}", units >> 16, ((units & 0xffff) * 1_000_000) >> 16)
}

/// An address or a word as the four bytes that it is; no word is four zeros.
fn identify(ours: &mut Vec<String>, theirs: &mut Vec<String>) {
    theirs.retain(|id| id != "00000000");
    for id in ours {
        let bytes = match id.parse::<std::net::Ipv4Addr>() {
            Ok(address) => address.octets().to_vec(),
            Err(_) => [id.as_bytes(), &[0; 4]].concat()[..4].to_vec(),
        };
        *id = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    }
}

/// `Jul 26, 2020 13:41:36.706624072 UTC` as `2020-07-26T13:41:36.706624072Z`.
fn moment(text: &str) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    if text == "NULL" {
        return "0".to_owned();
    }
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [month, day, year, time, "UTC"] = parts[..] else { return text.to_owned() };
    let month = MONTHS.iter().position(|name| *name == month).map_or(0, |n| n + 1);
    let day: u8 = day.trim_end_matches(',').parse().unwrap_or_default();
    format!("{year}-{month:02}-{day:02}T{time}Z")
}

pub static NTP: &[Row] = &[
    same("leap", "ntp.flags.li"),
    same("version", "ntp.flags.vn"),
    same("mode", "ntp.flags.mode"),
    same("stratum", "ntp.stratum"),
    row("poll", "ntp.ppoll", After(signed)),
    row("precision", "ntp.precision", After(signed)),
    row("root_delay", "ntp.rootdelay", After(seconds)),
    row("root_dispersion", "ntp.rootdispersion", After(seconds)),
    row("reference_id", "ntp.refid", Reworded(identify))
        .whole("bytes that are no text are escaped"),
    row("reference_timestamp", "ntp.reftime", After(moment)),
    row("origin_timestamp", "ntp.org", After(moment)),
    row("receive_timestamp", "ntp.rec", After(moment)),
    row("transmit_timestamp", "ntp.xmt", After(moment)),
    row(
        "key_id",
        "ntp.keyid",
        After(|key| {
            u64::from_str_radix(&key.replace(':', ""), 16).map_or(0, |key| key).to_string()
        }),
    ),
    hex("digest", "ntp.mac"),
];

pub static TFTP: &[Row] = &[
    same("opcode", "tftp.opcode"),
    // tshark repeats it in what follows.
    row(
        "filename",
        "tftp.source_file tftp.destination_file",
        Reworded(|ours, theirs| {
            theirs.truncate(ours.len());
        }),
    ),
    text("mode", "tftp.type"),
    text("option.name", "tftp.option.name"),
    text("option.value", "tftp.option.value"),
    same("block", "tftp.block"),
    same("error_code", "tftp.error.code"),
    text("error_message", "tftp.error.message"),
];

pub static TLS: &[Row] = &[
    row("record.type", "tls.record.content_type tls.record.opaque_type", Unordered),
    same("record.version", "tls.record.version"),
    same("record.length", "tls.record.length"),
    same("handshake.type", "tls.handshake.type"),
    same("handshake.length", "tls.handshake.length"),
    same("handshake.version", "tls.handshake.version"),
    hex("handshake.random", "tls.handshake.random"),
    hex("handshake.session_id", "tls.handshake.session_id"),
    row("offered_cipher_suite cipher_suite", "tls.handshake.ciphersuite", Number),
    same("extension.type", "tls.handshake.extension.type"),
    text("server_name", "tls.handshake.extensions_server_name"),
    text("alpn", "tls.handshake.extensions_alpn_str"),
    same("supported_version", "tls.handshake.extensions.supported_version"),
    same("alert.level", "tls.alert_message.level"),
    same("alert.description", "tls.alert_message.desc"),
];
