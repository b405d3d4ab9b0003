//! The kernel's table of TCP sockets, `/proc/net/tcp` and `/proc/net/tcp6`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub is_established: bool,
    pub is_listening: bool,
    /// 0 while the connection waits to be accepted.
    pub inode: u64,
}

/// All TCP sockets of this network namespace; what cannot be read is left out.
pub(super) fn tcp() -> Vec<Row> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|text| text.lines().skip(1).filter_map(row).collect::<Vec<_>>())
        .collect()
}

/// Fields: number, local, remote, state, queues, timer, retransmits, uid, timeout, inode.
fn row(line: &str) -> Option<Row> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
    let state = fields.next()?;
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Row { local, remote, is_established: state == "01", is_listening: state == "0A", inode })
}

/// `0100007F:15B4`: each 32-bit word in the machine's byte order, the port in hex. An IPv4
/// address inside IPv6 is turned into plain IPv4, as the sockets of both tables can be peers.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<[u8; 4]> = (0..ip.len() / 8)
        .map(|n| u32::from_str_radix(ip.get(n * 8..n * 8 + 8)?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    let ip = match words.concat()[..] {
        [a, b, c, d] => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        ref bytes => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical(),
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn rows_of_both_tables() {
        let line = "   3: 0100007F:15B4 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000 20 4 30 10 -1";
        let expected = Row {
            local: "127.0.0.1:5556".parse().expect("an address"),
            remote: "127.0.0.1:50000".parse().expect("an address"),
            is_established: true,
            is_listening: false,
            inode: 4711,
        };
        assert_eq!(row(line), Some(expected));
        let mapped = "0000000000000000FFFF00000100007F:15B4";
        assert_eq!(address(mapped), "127.0.0.1:5556".parse().ok());
        let v6 = "00000000000000000000000001000000:15B4";
        assert_eq!(address(v6), "[::1]:5556".parse().ok());
        assert_eq!(row("  sl  local_address rem_address   st"), None);
        assert_eq!(row(""), None);
    }
}
