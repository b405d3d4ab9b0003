//! What is carried by UDP and TCP.

use super::How::{After, Number, Unordered};
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
        "coap.opt.observe coap.opt.uri_port coap.opt.max_age coap.opt.hop_limit coap.opt.size1",
        Unordered,
    ),
    row("option.data", "coap.opt.if_match coap.opt.etag coap.opt.unknown", Unordered),
];

pub static DHCP: &[Row] = &[
    same("op", "dhcp.type"),
    same("htype", "dhcp.hw.type"),
    same("hlen", "dhcp.hw.len"),
    same("hops", "dhcp.hops"),
    same("xid", "dhcp.id"),
    same("secs", "dhcp.secs"),
    same("flags.broadcast", "dhcp.flags.bc"),
    text("ciaddr", "dhcp.ip.client"),
    text("yiaddr", "dhcp.ip.your"),
    text("siaddr", "dhcp.ip.server"),
    text("giaddr", "dhcp.ip.relay"),
    hex("chaddr", "dhcp.hw.mac_addr"),
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
    row("option.code", "dhcp.option.type", After(|code| code.to_owned())),
    text("option.subnet_mask", "dhcp.option.subnet_mask"),
    text("option.router", "dhcp.option.router"),
    text("option.domain_name_server", "dhcp.option.domain_name_server"),
    text("option.host_name", "dhcp.option.hostname"),
    text("option.domain_name", "dhcp.option.domain_name"),
    text("option.broadcast_address", "dhcp.option.broadcast_address"),
    text("option.ntp_server", "dhcp.option.ntp_server"),
    text("option.requested_address", "dhcp.option.requested_ip_address"),
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
    text("target", "http.request.uri"),
    text("version", "http.request.version http.response.version"),
    same("status", "http.response.code"),
    text("reason", "http.response.phrase"),
    row(
        "header",
        "http.request.line http.response.line",
        After(|line| line.trim_end_matches("\\r\\n").trim_end_matches(['\r', '\n']).to_owned()),
    ),
    text("host", "http.host"),
    text("user_agent", "http.user_agent"),
    text("server", "http.server"),
    text("content_type", "http.content_type"),
    row("content_length", "http.content_length_header", Number),
    text("transfer_encoding", "http.transfer_encoding"),
    same("chunk_size", "http.chunk_size"),
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
        "mqtt.conack.val mqtt.suback.qos mqtt.puback.reason_code mqtt.connack.reason_code \
         mqtt.disconnect.reason_code mqtt.auth.reason_code",
        Unordered,
    ),
    same("packet_id", "mqtt.msgid"),
    text("topic topic_filter", "mqtt.topic"),
    same("requested_qos", "mqtt.sub.qos"),
    row("payload_length", "mqtt.msg", After(|hex| (hex.len() / 2).to_string())),
];

pub static NTP: &[Row] = &[
    same("leap", "ntp.flags.li"),
    same("version", "ntp.flags.vn"),
    same("mode", "ntp.flags.mode"),
    same("stratum", "ntp.stratum"),
    text("poll", "ntp.ppoll"),
    text("precision", "ntp.precision"),
    text("root_delay", "ntp.rootdelay"),
    text("root_dispersion", "ntp.rootdispersion"),
    text("reference_id", "ntp.refid"),
    text("reference_timestamp", "ntp.reftime"),
    text("origin_timestamp", "ntp.org"),
    text("receive_timestamp", "ntp.rec"),
    text("transmit_timestamp", "ntp.xmt"),
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
    text("filename", "tftp.source_file tftp.destination_file"),
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
