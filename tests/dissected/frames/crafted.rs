//! Frames in the language of `inject raw`: what it makes, tshark has to read as it was asked for.

use std::net::Ipv4Addr;

use uarttool::craft::fuzz::chance;
use uarttool::craft::text::{End, Ends, Recipe};
use uarttool::proto::MacAddr;

use super::Maker;

/// What is in front of a packet.
const LINKS: [&str; 4] = [
    "eth/",
    "eth(src={mac},dst={mac})/",
    "eth/vlan(pcp={3},dei={1},vid={11})/",
    "eth/vlan(vid={11})/vlan(pcp={3},vid={11})/",
];

/// What carries a message.
const NETWORKS: [&str; 9] = [
    "ip/",
    "ip(tos={8},id={16},df={1},ttl={8},src={v4},dst={v4})/",
    "ip(id={16},ttl={8},option.nop,option.nop,option.ra={16})/",
    "ip(ttl={8})/ip(src={v4},ttl={8})/",
    "ip6/",
    "ip6(traffic_class={8},flow_label={20},hop_limit={8},src={v6},dst={v6})/",
    "ip6/hbh(option.router_alert={16})/",
    "ip6(hop_limit={8})/dstopt(option.tunnel_encapsulation_limit={8})/",
    "ip6/fragment(id={32})/",
];

/// Messages that either version of IP carries.
const MESSAGES: [&str; 9] = [
    "udp(src_port={high},dst_port={high})/pattern({5})",
    "udp(src_port={high},dst_port={high},checksum={16})/random({5})",
    "tcp(src_port={high},dst_port={high},seq={32},ack={32},flags=S,window={16},option.mss={16},\
     option.nop,option.wscale={3},option.sack_permitted,option.nop,option.nop)",
    "tcp(src_port={high},dst_port={high},seq={32},ack={32},flags=PA,window={16},urgent={16},\
     option.nop,option.nop,option.ts_val={32},option.ts_ecr={32})/pattern({5})",
    "tcp(src_port={high},dst_port={high},seq={32},ack={32},flags=A,window={16},option.nop,\
     option.nop,option.sack_left={32},option.sack_right={32})",
    "tcp(src_port={high},dst_port={high},seq={32},flags=R,checksum=wrong)",
    "dns(id={16},rd={1},question.name=example.org,question.type=AAAA)",
    "dns(id={16},qr,aa={1},rcode={1},question.name=a.b,answer.name=a.b,answer.ttl={31},\
     answer.data={v4},additional.name=c.d,additional.type=CNAME,additional.data=e.f)",
    "ntp(leap={1},version=4,mode=3)",
];

/// Messages of their own.
const OTHERS: [&str; 14] = [
    "arp(op={1},sha={mac},spa={v4},tha={mac},tpa={v4})",
    "icmp(id={16},seq={16})/pattern({5})",
    "icmp(type=0,id={16},seq={16},checksum=wrong)/pattern({5})",
    "icmp(type=unreachable,code={3})/ip(ttl={8})/udp(src_port={high},dst_port={high})/\"12345678\"",
    "icmp(type=redirect,code={1},gateway={v4})/ip/udp(src_port={high},dst_port={high})",
    "icmp6(id={16},seq={16})/pattern({5})",
    "icmp6(type=135,target={v6})",
    "icmp6(type=136,router={1},solicited={1},override={1},target={v6})",
    "icmp6(type=134,cur_hop_limit={8},managed={1},other={1},router_lifetime={16},\
     reachable_time={31},retrans_timer={31},option.prefix_length=64,option.flags.on_link={1},\
     option.valid_lifetime={31},option.prefix={v6},option.mtu={16})",
    "icmp6(type=packet_too_big,mtu={16})/ip6/udp(src_port={high},dst_port={high})/\"12345678\"",
    "igmp(type=report,max_resp_code=0,group={v4})",
    "dhcp(xid={32},broadcast={1},ciaddr={v4},chaddr={mac},option.message_type=request,\
     option.requested_address={v4},option.host_name=\"device\",option.parameter_request=0x0103)",
    "eth/llc(dsap=0x10,ssap=0x20)/pattern(20)",
    "eth/llc/ip/udp(src_port={high},dst_port={high})/pattern({5})",
];

/// One of them, with numbers by chance.
pub fn crafted(maker: &mut Maker) -> Vec<u8> {
    let mut of = |list: &[&'static str]| list[maker.below(list.len() as u64) as usize];
    let template = match of(&["message", "message", "other"]) {
        "other" => of(&OTHERS).to_owned(),
        _ => [of(&LINKS), of(&NETWORKS), of(&MESSAGES)].concat(),
    };
    let text = filled(&template, maker);
    let nothing = |_: &str| Err(String::new());
    let recipe = Recipe::parse(&text, &nothing).unwrap_or_else(|mistake| panic!("{mistake}"));
    let ends = Ends {
        host: End::new(MacAddr(2, 0, 0, 0, 0, 1), Ipv4Addr::new(192, 168, 100, 1)),
        device: End::new(MacAddr(2, 0, 0, 0, 0, 2), Ipv4Addr::new(192, 168, 100, 2)),
    };
    recipe.frame(&ends, &mut chance(1, maker.below(1 << 32)))
}

/// The text with values in place of what stands in braces.
fn filled(template: &str, maker: &mut Maker) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let (what, after) = behind.split_once('}').expect("braces come in pairs");
        text += before;
        text += &match what {
            "mac" => format!("02:{:02x}:00:00:00:{:02x}", maker.below(256), maker.below(256)),
            "v4" => format!("10.{}.{}.{}", maker.below(256), maker.below(256), maker.below(256)),
            "v6" => format!("2001:db8::{:x}:{:x}", maker.below(65536), maker.below(65536)),
            "high" => (50_000 + maker.below(10_000)).to_string(), // ports that mean nothing to tshark
            bits => maker.below(1 << bits.parse::<u32>().expect("a number")).to_string(),
        };
        rest = after;
    }
    text + rest
}
