//! What is said of filters: of good ones what was understood, of others what is wrong with them and where.

use super::{Filter, filter};

#[test]
fn hostile_texts_are_refused_in_time() {
    let deep = ["(".repeat(30_000) + "ip" + &")".repeat(30_000), "not ".repeat(16_000) + "ip"];
    let wide = [
        "len ".to_owned() + &"+ 1".repeat(20_000) + " = 3",
        "ip[".repeat(20_000) + "0" + &"]".repeat(20_000) + " = 3",
        "port 1".to_owned() + &" or 1".repeat(13_000),
        "1 % ".repeat(100) + "1 = 1",
        "x".repeat(70_000),
    ];
    for text in deep.iter().chain(&wide) {
        let error = Filter::parse(text).expect_err("it is refused").to_string();
        assert!(error.len() < 400, "{error}");
    }
    assert!(Filter::parse(&("ip".to_owned() + &" or ip".repeat(9_000))).is_ok());
    assert!(Filter::parse(&("((((".repeat(20) + "ip" + &"))))".repeat(20))).is_ok());
}

#[test]
fn what_was_understood_is_shown_without_omissions() {
    let shown = [
        "tcp dst port ftp or 21 and not https",
        "host 10.1 and not (192.168.0.1 or fe80::1)",
        "net 10 or 172.16/12 or 2001:db8::/32",
        "ether host 020000000001 or vlan 5 and ip proto \\tcp or 17",
        "tcp[tcpflags] & (tcp-syn|tcp-ack) != 0 || -len + 3 % 2 * 4 < ip[2:2]",
        "from-device and ip.src == 10.0.0.0/8 and tcp.flags.syn or greater 100",
        "(ip or arp) and portrange 20-ssh and multicast or ip6 multicast",
    ]
    .map(|text| filter(text).to_string());
    insta::assert_snapshot!(shown.join("\n"), @r"
    tcp dst port 21 or tcp dst port 21 and not tcp dst port 443
    net 10.1.0.0 mask 255.255.0.0 and not (host 192.168.0.1 or host fe80::1)
    net 10.0.0.0 mask 255.0.0.0 or net 172.16.0.0 mask 255.240.0.0 or net 2001:db8::/32
    ether host 02:00:00:00:00:01 or vlan 5 and ip proto 6 or ip proto 17
    tcp[13] & (2 | 16) != 0 or (-len) + (3 % (2 * 4)) < ip[2 : 2]
    from device and ip.src == 10.0.0.0/8 and tcp.flags.syn or len >= 100
    (ip or arp) and portrange 20-22 and multicast or ip6 multicast
    ");
}

#[test]
fn errors_say_what_is_wrong_where_and_what_was_meant() {
    let texts = [
        "ports 80",
        "tcp prot 80",
        "tcp.flag.syn",
        "ip.tll < 5",
        "tpc.flags.syn",
        "icpm",
        "host example.com",
        "host 192.168.1.300",
        "host 10.0.0.0/8",
        "net 10.1.0.0/8",
        "net 10.0.0.0/33",
        "(icmp or arp",
        "icmp or arp)",
        "icmp and",
        "icmp arp",
        "icmp adn arp",
        "",
        "port 70000",
        "port htpp",
        "port 80-90",
        "udp port http",
        "icmp port 80",
        "portrange 1-99999",
        "80",
        "icmp or 80",
        "host 02:00:00:00:00:01",
        "ether host 10.0.0.1",
        "ip6 host 10.0.0.1",
        "ether",
        "from house",
        "tcp[13 & 2 != 0",
        "tcp[13:3] = 0",
        "tcp[13] & tcp-sin != 0",
        "ip[2-1] = 0",
        "ah[0] = 1",
        "len / 0 = 1",
        "len",
        "vlan 5000",
        "ip.ttl == fast",
        "ip.src < 10.0.0.1",
        "ip.ttl contains 5",
        "tcp.flags.syn == 2",
        "inbound and tcp",
        "ip proto tpc",
        "host 09",
        "\"icmp",
        "icmp ; arp",
    ];
    let errors = texts.iter().filter_map(|text| Filter::parse(text).err());
    let shown: Vec<String> = errors.map(|error| error.to_string()).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    unknown word 'ports'; did you mean 'port'?
      ports 80
      ^
    unknown word 'prot'; did you mean 'port'?
      tcp prot 80
          ^
    'tcp' has no field 'flag.syn'; did you mean 'tcp.flags.syn'?
      tcp.flag.syn
      ^
    'ip' has no field 'tll'; did you mean 'ip.ttl'?
      ip.tll < 5
      ^
    unknown protocol 'tpc'; did you mean 'tcp.flags.syn'?
      tpc.flags.syn
      ^
    unknown word 'icpm'; did you mean 'icmp'?
      icpm
      ^
    'example.com' is no address, and names are not resolved
      host example.com
           ^
    '192.168.1.300' is no IPv4 address
      host 192.168.1.300
           ^
    'host' takes a single address; say 'net'
      host 10.0.0.0/8
                   ^
    bits behind the network's are set; did you mean 10.0.0.0?
      net 10.1.0.0/8
          ^
    a prefix has at most 32 bits, not 33
      net 10.0.0.0/33
                   ^
    this parenthesis is not closed
      (icmp or arp
      ^
    this parenthesis closes none that is open
      icmp or arp)
                 ^
    the filter ends where a statement about the frame should follow
      icmp and
              ^
    'arp' does not belong here; statements are connected by 'and' or 'or'
      icmp arp
           ^
    'adn' does not belong here; did you mean 'and'?
      icmp adn arp
           ^
    port 70000 is out of range (0 to 65535)
      port 70000
           ^
    unknown service 'htpp'; did you mean 'http'?
      port htpp
           ^
    '80-90' is a range; say 'portrange 80-90'
      port 80-90
           ^
    'http' is over TCP, not UDP
      udp port http
               ^
    'icmp' has no ports; 'tcp', 'udp' and 'sctp' have
      icmp port 80
                ^
    port 99999 is out of range (0 to 65535)
      portrange 1-99999
                ^
    '80' stands by itself; say what it is: 'host', 'net', 'port', ...
      80
      ^
    '80' stands by itself; say what it is: 'host', 'net', 'port', ...
      icmp or 80
              ^
    '02:00:00:00:00:01' is an Ethernet address; say 'ether host 02:00:00:00:00:01'
      host 02:00:00:00:00:01
           ^
    '10.0.0.1' is no Ethernet address
      ether host 10.0.0.1
                 ^
    '10.0.0.1' is no IPv6 address
      ip6 host 10.0.0.1
               ^
    the filter ends where 'host', 'src', 'dst', 'proto', 'broadcast' or 'multicast' behind 'ether' should follow
      ether
           ^
    'house' where 'device' behind 'from' should be
      from house
           ^
    '!=' where ':', an operator or ']' should be
      tcp[13 & 2 != 0
                 ^
    1, 2 or 4 bytes can be looked at
      tcp[13:3] = 0
             ^
    unknown number 'tcp-sin'; did you mean 'tcp-fin'?
      tcp[13] & tcp-sin != 0
                ^
    '2-1' is no number: it is one word; put spaces around '-'
      ip[2-1] = 0
         ^
    the bytes of 'ah' cannot be looked at
      ah[0] = 1
      ^
    this divides by 0
      len / 0 = 1
            ^
    the filter ends where a comparison ('=', '!=', '<', '<=', '>' or '>=') should follow
      len
         ^
    VLAN 5000 is out of range (0 to 4095)
      vlan 5000
           ^
    'fast' where a number ('ip.ttl' is one) should be
      ip.ttl == fast
                ^
    'ip.src' has no order; '==' and '!=' compare it
      ip.src < 10.0.0.1
             ^
    'ip.ttl' is no text that could contain another
      ip.ttl contains 5
             ^
    '2' where 0 or 1 ('tcp.flags.syn' is a flag) should be
      tcp.flags.syn == 2
                       ^
    'inbound' is not supported: say 'from device' or 'to device'
      inbound and tcp
      ^
    'tpc' is not an IP protocol known here; did you mean 'tcp'?
      ip proto tpc
               ^
    '09' begins with 0 but is not octal
      host 09
           ^
    this quotation mark (") is not closed
      "icmp
      ^
    ';' where 'and' or 'or' should be
      icmp ; arp
           ^
    "#);
}
