//! The language as a whole: what is made is read back by the protocols.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::kind::{Kind, Slot, What};
use super::*;
use crate::craft::fuzz::chance;
use crate::dissect::Dissector;
use crate::dissect::render::line::one_line;
use crate::proto::{MacAddr, Value, samples};

fn ends() -> Ends {
    Ends {
        host: End::new(MacAddr(2, 0, 0, 0, 0, 1), Ipv4Addr::new(192, 168, 100, 1)),
        device: End::new(MacAddr(2, 0, 0, 0, 0, 2), Ipv4Addr::new(192, 168, 100, 2)),
    }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    match path {
        "there" => Ok(b"contents".to_vec()),
        _ => Err("no such file".to_owned()),
    }
}

fn frame(text: &str) -> Vec<u8> {
    let recipe = Recipe::parse(text, &read).unwrap_or_else(|mistake| panic!("{mistake}"));
    recipe.frame(&ends(), &mut chance(1, 1))
}

#[test]
fn what_is_not_said_is_right() {
    let data: Vec<u8> = (0..56).collect();
    let digits: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        frame(&format!("ip(df)/icmp(id=7)/0x{digits}")),
        samples::echo_request(),
        "the documented frame"
    );
    assert_eq!(frame("ip(flags.df=1)/icmp(id=7)/pattern(56)"), samples::echo_request());
    let there = "arp(sha=02:00:00:00:00:02,spa=192.168.100.2,tpa=192.168.100.1)";
    assert_eq!(frame(&format!("eth(src=02:00:00:00:00:02)/{there}")), samples::arp_request());
}

#[test]
fn every_layer_reads_back_without_a_complaint() {
    let texts = [
        "0x010203",
        "eth/\"x\"",
        "eth(trailer=0xa5a5)/ip/udp",
        "vlan(vid=5,pcp=3)/icmp",
        "vlan/vlan(id=7)/arp",
        "llc(dsap=0x10,ssap=0x10)/hex(0000 00 00)",
        "llc/ip/udp/\"snap\"",
        "arp(op=reply)",
        "arp",
        "ip/ip/icmp",
        "ip(option.nop,option.ra=0)/igmp",
        "ip(dst=224.0.0.1)/igmp(type=report,group=224.0.0.251)",
        "ip(dst=255.255.255.255)/udp/\"all\"",
        "ip(mf,offset=8)/\"12345678\"",
        "ip/ah(spi=5,icv=0x00112233)/udp",
        "icmp(type=unreachable,code=3)/ip/udp(src_port=9)/\"lost\"",
        "icmp(type=redirect,gateway=192.168.100.66)/ip/udp",
        "icmp(type=timestamp)",
        "icmp(type=17,address_mask=255.255.255.0)",
        "ip6/icmp6/pattern(8)",
        "icmp6(type=neighbor_solicitation)",
        "icmp6(type=136,solicited,target=fe80::1)",
        "icmp6(type=133)",
        "icmp6(type=134,router_lifetime=1800,option.prefix_length=64,option.flags.on_link=1,\
         option.prefix=2001:db8::,option.mtu=1500,option.source_link_layer_address=02:00:00:00:00:01)",
        "icmp6(type=packet_too_big,mtu=1280)/ip6/udp",
        "ip6/hbh(option.router_alert=0)/dstopt/udp/\"x\"",
        "ip6/routing(type=4,address=fe80::9,address=fe80::8)/tcp",
        "ip6/fragment(m,id=9)/pattern(16)",
        "ip6",
        "udp/file(there)",
        "tcp",
        "tcp(flags=SAE,ack=5,option.mss=1460,option.nop,option.wscale=7,option.sack_permitted,\
         option.ts_val=1,option.ts_ecr=2)",
        "tcp(option.sack_left=5,option.sack_right=9,option.254=0xbeef)/\"GET / HTTP/1.0\\r\\n\\r\\n\"",
        "dhcp",
        "dhcp(xid=0x1234,option.message_type=request,option.requested_address=192.168.100.50,\
         option.host_name=\"device\",option.parameter_request=0x0103)",
        "dns(id=5,question.name=example.org)",
        "dns(qr,question.name=a.b,answer.name=a.b,answer.data=192.0.2.1,answer.ttl=9,\
         answer.name=a.b,answer.type=AAAA,answer.data=2001:db8::1,additional.name=c,\
         additional.type=CNAME,additional.data=d.e)",
        "ntp(mode=3,stratum=2)",
        "random(64)",
    ];
    let mut lines = String::new();
    for text in texts {
        let frame = frame(text);
        let is_bytes = !Recipe::parse(text, &read).expect("good").has_layers();
        let mut dissector = Dissector::default();
        let stack = dissector.dissect(&frame);
        assert!(is_bytes || !stack.is_malformed(), "{text}: {:?}", stack.notes);
        if text != "random(64)" {
            lines += &one_line(&frame);
            lines.push('\n');
        }
    }
    insta::assert_snapshot!("every_layer", lines);
}

#[test]
fn every_field_can_lie() {
    let ip = frame(
        "ip(version=6,ihl=15,total_length=19,reserved,offset=65512,checksum=0x1234,\
                    proto=200,options=0x010101)/\"x\"",
    );
    assert_eq!(ip[14..18], [0x6f, 0, 0, 19]);
    assert_eq!(ip[20..26], [0x9f, 0xfd, 64, 200, 0x12, 0x34]);
    assert_eq!(ip[34..], [1, 1, 1, 0, b'x']);
    let tcp = frame(
        "tcp(sport=1,dport=2,seq=0,data_offset=3,reserved=5,flags=0xc2,window=0,\
                     checksum=0xabcd,urgent=65535,options=0x020405)/\"x\"",
    );
    assert_eq!(tcp[46..], [0x35, 0xc2, 0, 0, 0xab, 0xcd, 255, 255, 2, 4, 5, 0, b'x']);
    let udp = frame("udp(sport=1,dport=2,length=200,checksum=0)/\"abc\"");
    assert_eq!(udp[34..], [0, 1, 0, 2, 0, 200, 0, 0, b'a', b'b', b'c']);
}

#[test]
fn a_trailer_is_in_nobody_s_length() {
    let plain = frame("udp/\"ab\"");
    let trailed = frame("udp(trailer=pattern(3))/\"ab\"");
    assert_eq!(trailed[38..44], plain[38..44], "length, checksum and data of UDP are the same");
    assert_eq!(trailed[plain.len()..], [0, 1, 2]);
    assert_eq!(trailed[16..18], [0, 33], "but it is inside of IP");
    let outside = frame("ip(trailer=0x000102)/udp/\"ab\"");
    assert_eq!(outside[..plain.len()], plain);
}

#[test]
fn wrong_checksums_are_wrong() {
    for (text, layer) in [
        ("ip(checksum=wrong)/udp", "ipv4"),
        ("udp(checksum=wrong)", "udp"),
        ("tcp(checksum=wrong)/\"abc\"", "tcp"),
        ("icmp(checksum=wrong)", "icmp"),
        ("icmp6(checksum=wrong)", "icmpv6"),
        ("igmp(checksum=wrong)", "igmp"),
    ] {
        let frame = frame(text);
        let mut dissector = Dissector::default();
        let notes = dissector.dissect(&frame).notes.to_vec();
        assert!(matches!(&notes[..], [note] if note.protocol == layer), "{text}: {notes:?}");
        let inner = text.replace("(checksum=wrong)", "");
        let mut recipe = Recipe::parse(&inner, &read).expect("good");
        recipe.spoil_checksum(Some(layer)).expect("it has one");
        assert_eq!(recipe.frame(&ends(), &mut chance(1, 1)), frame);
    }
    let mut arp = Recipe::parse("arp", &read).expect("good");
    assert!(arp.spoil_checksum(None).is_err());
    let mut quoted = Recipe::parse("icmp(type=3)/ip/udp", &read).expect("good");
    quoted.spoil_checksum(None).expect("ICMP has one");
    let frame = quoted.frame(&ends(), &mut chance(1, 1));
    assert!(one_line(&frame).contains("bad icmp cksum"), "{}", one_line(&frame));
}

#[test]
fn a_checksum_that_cannot_be_spoiled_is_told_why() {
    for (text, layer, why) in [
        ("udp(checksum=0)", None, "the checksum of udp is given, and goes out as it is"),
        ("ip(checksum=0x1234)/udp", Some("ip"), "the checksum of ipv4 is given"),
        ("0x0200", None, "a frame that is given as bytes goes out as it is"),
        ("ip6/udp", Some("ip"), "the frame has no checksum of 'ip'"),
        ("ip6/udp", Some("ip6"), "ipv6 has no checksum"),
        ("arp", None, "no layer with a checksum"),
    ] {
        let mut recipe = Recipe::parse(text, &read).expect("good");
        let said = recipe.spoil_checksum(layer).expect_err(text);
        assert!(said.contains(why), "{text}: {said}");
    }
    let mut six = Recipe::parse("icmp6", &read).expect("good");
    six.spoil_checksum(Some("icmp")).expect("that of ICMPv6");
    // Of this datagram the right checksum is 0x5a5a, and the wrong one is still one.
    let mut none = Recipe::parse("udp/0xbfe1", &read).expect("good");
    assert_eq!(none.frame(&ends(), &mut chance(1, 1))[40..42], [0x5a, 0x5a]);
    none.spoil_checksum(None).expect("it has one");
    assert_ne!(none.frame(&ends(), &mut chance(1, 1))[40..42], [0, 0]);
}

#[test]
fn what_does_not_fit_into_an_automatic_field_is_refused_unless_it_is_given() {
    let options = format!("options=0x{}", "01".repeat(44));
    for (text, why) in [
        (format!("ip({options})/icmp"), "ipv4 is too long: its 'ihl' would be 16 and holds"),
        (format!("tcp({options})"), "tcp is too long: its 'data_offset' would be 16"),
        ("ip/zeros(65535)".to_owned(), "ipv4 is too long: its 'total_length' would be 65555"),
        ("ip(total_length=9)/udp/zeros(65535)".to_owned(), "udp is too long: its 'length'"),
        ("ip6/zeros(65535)/0x00".to_owned(), "ipv6 is too long: its 'payload_length'"),
        ("llc/ip/zeros(1473)".to_owned(), "ethernet is too long: its 'type' would be 1501"),
        (format!("ip6/hbh(options=0x{})", "00".repeat(2047)), "'hdr_ext_len' would be 256"),
        ("eth(type=9)/zeros(65535)".to_owned(), "it has 65549 bytes, and a frame at most 65535"),
    ] {
        let recipe = Recipe::parse(&text, &read).unwrap_or_else(|mistake| panic!("{mistake}"));
        let said = recipe.checked_frame(&ends(), &mut chance(1, 1)).expect_err(why);
        assert!(said.contains(why), "{said}");
    }
    let tcp = format!("tcp(data_offset=15,{options})");
    for text in [format!("ip(ihl=0,{options})/icmp"), tcp, "llc/zeros(1497)".to_owned()] {
        let recipe = Recipe::parse(&text, &read).unwrap_or_else(|mistake| panic!("{mistake}"));
        let frame = recipe.checked_frame(&ends(), &mut chance(1, 1)).expect("as it is given");
        assert_eq!(frame, recipe.frame(&ends(), &mut chance(1, 1)));
    }
}

#[test]
fn mistakes_say_what_was_meant() {
    for (text, place, message) in [
        ("ip/udp(dst_prot=7)", 7, "udp has no field 'dst_prot'; did you mean 'dst_port'?"),
        ("eth/ipp", 4, "there is no layer 'ipp'"),
        ("ip(ttl=256)", 7, "'ttl' has 8 bits: at most 255"),
        ("ip(src=1.2.3)", 7, "'src' is an IPv4 address, not '1.2.3'"),
        ("ip(ttl)", 3, "'ttl' needs a value"),
        ("ip(offset=7)", 10, "in steps of 8, not '7'"),
        ("arp(op=requets)", 7, "did you mean 'request'?"),
        ("tcp(flags=X)", 10, "'flags' is letters out of FSRPAUEC"),
        ("tcp(option.mss)", 4, "'option.mss' needs a value"),
        ("tcp(option.nop=1)", 15, "'option.nop' has no value"),
        ("udp/file(gone)", 4, "cannot read 'gone': no such file"),
        ("dns(answer.ttl=1)", 4, "'answer.name' comes first"),
        ("eth(trailer)", 4, "'trailer' needs bytes"),
        ("ip(ttl=1,ttl=2)", 9, "'ttl' of ipv4 is given twice: leave one out"),
        ("udp(port=auto,dst_port=7)", 14, "'dst_port' of udp is given twice"),
        ("ip(checksum=wrong,checksum=1)", 18, "'header_checksum' of ipv4 is given twice"),
        ("eth(trailer=0x00,trailer=0x01)", 17, "'trailer' of ethernet is given twice"),
        ("tcp(options=0x01,options=0x01)", 17, "'options' of tcp is given twice"),
        ("ip(ttl=+1)", 7, "'ttl' is a number up to 255, not '+1'"),
    ] {
        let mistake = Recipe::parse(text, &read).err().unwrap_or_else(|| panic!("{text}: good?"));
        assert_eq!(mistake.position, place, "{text}: {mistake}");
        assert!(mistake.to_string().contains(message), "{text}: {mistake}");
    }
}

/// Options that the protocols tell by their code alone, or in another form.
const OUR_NAMES: [&str; 15] = [
    "option.eol",
    "option.nop",
    "option.rr",
    "option.timestamp",
    "option.lsrr",
    "option.ssrr",
    "option.ra",
    "option.pad1",
    "option.padn",
    "option.sack_permitted",
    "option.source_link_layer_address",
    "option.target_link_layer_address",
    "option.pad",
    "option.end",
    "pid",
];

#[test]
fn every_field_is_named_and_placed_as_the_protocol_has_it() {
    for kind in kinds::ALL {
        for slot in kind.slots {
            let field = kind.protocol.field(slot.name);
            let field = field.unwrap_or_else(|| panic!("{}.{}", kind.name(), slot.name));
            if field.get.is_some() {
                let (start, length) = field.at;
                let (first, last) = (slot.bit / 8, (slot.bit + slot.width - 1) / 8);
                let is_inside = first >= start && last < start + length;
                assert!(is_inside, "{}.{} is at {:?}", kind.name(), slot.name, field.at);
            }
        }
        for choice in kind.options {
            let is_known = kind.protocol.field(choice.name).is_some();
            assert!(is_known || OUR_NAMES.contains(&choice.name), "{}", choice.name);
        }
    }
    for name in kinds::names() {
        let fields = describe(Some(name)).expect("it is known");
        assert!(fields.len() > 2, "{name}");
    }
}

/// Fields that decide how the rest is read, or that share their bits with others.
fn is_structure(kind: &Kind, slot: &Slot) -> bool {
    let structure = match kind.name() {
        "ethernet" | "vlan" => &["type"][..],
        "llc" => &["dsap", "ssap", "control", "oui", "pid"],
        "arp" => &["hrd", "pro", "hln", "pln"],
        "ipv4" => &["version", "ihl", "total_length", "flags.mf", "fragment_offset", "protocol"],
        "ipv6" => &["version", "payload_length", "next_header", "traffic_class"],
        "ipv6_fragment" => &["next_header", "fragment_offset", "flags.m"],
        "ipv6_routing" => return true,
        "ipv6_hop_by_hop" | "ipv6_destination" => return true,
        "ah" => &["next_header", "payload_len"],
        "icmp" | "icmpv6" => {
            return !["code", "identifier", "sequence_number"].contains(&slot.name);
        }
        "igmp" => &["type", "number_of_group_records"],
        "udp" => &["length", "dst_port", "src_port"],
        "tcp" => &["data_offset", "dst_port", "src_port", "flags"],
        "dhcp" => &["op", "htype", "hlen", "sname", "file", "cookie"],
        "dns" => &["qdcount", "ancount", "nscount", "arcount", "qr", "opcode"],
        "ntp" => &["version", "mode", "stratum"],
        _ => &[],
    };
    structure.contains(&slot.name) || slot.what == What::Checksum
}

const STACKS: [&str; 20] = [
    "ethernet/vlan/arp",
    "ethernet/arp",
    "ethernet/ipv4/icmp",
    "ethernet/ipv4/igmp",
    "ethernet/ipv4/udp",
    "ethernet/ipv4/tcp",
    "ethernet/vlan/vlan/ipv4/tcp",
    "ethernet/llc/ipv4/udp",
    "ethernet/ipv4/ipv4/udp",
    "ethernet/ipv4/ipv6/tcp",
    "ethernet/ipv4/ah/udp",
    "ethernet/ipv6/icmpv6",
    "ethernet/ipv6/udp",
    "ethernet/ipv6/tcp",
    "ethernet/ipv6/ipv6_hop_by_hop/ipv6_destination/udp",
    "ethernet/ipv6/ipv6_fragment/tcp",
    "ethernet/ipv4/udp/dhcp",
    "ethernet/ipv6/udp/dns",
    "ethernet/vlan/ipv6/udp/dns",
    "ethernet/ipv4/udp/ntp",
];

fn said(slot: &Slot, number: u128) -> String {
    let octets = number.to_be_bytes();
    match slot.what {
        What::Mac => MacAddr::from(<[u8; 6]>::try_from(&octets[10..]).expect("six")).to_string(),
        What::Ipv4 => Ipv4Addr::from(number as u32).to_string(),
        What::Ipv6 => std::net::Ipv6Addr::from(number).to_string(),
        _ if number.is_multiple_of(2) => number.to_string(),
        _ => format!("0x{number:x}"),
    }
}

fn number(value: Value<'_>) -> Option<u128> {
    Some(match value {
        Value::Number(number) | Value::Hex(number) => number.into(),
        Value::Flag(flag) => flag.into(),
        Value::Mac(mac) => mac.iter().fold(0, |n, byte| n << 8 | u128::from(*byte)),
        Value::Ipv4(ip) => u32::from(ip).into(),
        Value::Ipv6(ip) => ip.into(),
        _ => return None,
    })
}

/// For each layer, fields by their number with values.
type Fields = Vec<Vec<(usize, u128)>>;

/// A stack, and for each of its layers fields by their number with values.
fn stacks() -> impl Strategy<Value = (usize, Fields, Vec<u8>)> {
    let fields = prop::collection::vec((0usize..32, any::<u128>()), 0..5);
    (0..STACKS.len(), prop::collection::vec(fields, 6), prop::collection::vec(any::<u8>(), 0..40))
}

proptest! {
    #[test]
    fn what_is_asked_for_is_what_is_read_back((stack, values, data) in stacks()) {
        let mut asked = Vec::new();
        let mut text = Vec::new();
        for (n, name) in STACKS[stack].split('/').enumerate() {
            let kind = kinds::by_name(name).expect("known");
            let mut fields = Vec::new();
            for (which, value) in &values[n] {
                let slot = &kind.slots[which % kind.slots.len()];
                let value = value & slot.max();
                let is_new = asked.iter().all(|(m, known, _): &(usize, &Slot, u128)| {
                    *m != n || known.name != slot.name
                });
                if is_new && !is_structure(kind, slot) {
                    fields.push(format!("{}={}", slot.name, said(slot, value)));
                    asked.push((n, slot, value));
                }
            }
            text.push(format!("{name}({})", fields.join(",")));
        }
        let is_open = ["udp", "tcp", "icmp"].iter().any(|last| STACKS[stack].ends_with(last));
        if is_open && !data.is_empty() {
            let digits: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            text.push(format!("0x{digits}"));
        }
        let text = text.join("/");
        let frame = frame(&text);
        let mut dissector = Dissector::default();
        let read = dissector.dissect(&frame);
        let has_checksum_note = read.notes.iter().any(|note| {
            matches!(note.kind, crate::proto::NoteKind::Checksum { .. } | crate::proto::NoteKind::Truncated { .. })
        });
        prop_assert!(!has_checksum_note, "{text}: {:?}", read.notes);
        for (n, slot, value) in asked {
            let layer = read.layers.get(n).map(|layer| layer.protocol);
            prop_assert!(layer.is_some(), "{text}: {} layers", read.layers.len());
            let mut found = None;
            read.visit(n, &mut |item| {
                if item.name == slot.name {
                    found = number(item.value);
                }
            });
            prop_assert_eq!(found, Some(value), "{}: {}", text, slot.name);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z0-9()/=,.\"x: ]{0,60}") {
        if let Ok(recipe) = Recipe::parse(&text, &read) {
            let _ = recipe.frame(&ends(), &mut chance(1, 1));
        }
    }

    #[test]
    fn no_mutation_makes_it_panic(stack in 0..STACKS.len(), seed: u64) {
        let recipe = Recipe::parse(STACKS[stack], &read).expect("good");
        for number in 0..20 {
            let (frame, _) = crate::craft::fuzz::variant(&recipe, &ends(), seed, number);
            prop_assert!(!frame.is_empty());
        }
    }
}
