//! What may differ between a recorded answer and today's.
//!
//! A table of fields, by the names that filters and `decode --tree` use; `http.NAME` is a header. Users add to it
//! and take from it.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::proto;

/// What is different on every run, and means nothing. Checksums are not compared as numbers: that one is wrong
/// shows as a difference of its own.
pub const TABLE: &[&str] = &[
    "ipv4.identification",
    "ipv4.header_checksum",
    "ipv6.flow_label",
    "tcp.seq",
    "tcp.ack",
    "tcp.window",
    "tcp.checksum",
    "tcp.relative_seq",
    "tcp.relative_ack",
    "tcp.mark",
    "tcp.option.ts_val",
    "tcp.option.ts_ecr",
    "udp.checksum",
    "icmp.checksum",
    "icmp.receive_timestamp",
    "icmp.transmit_timestamp",
    "icmpv6.checksum",
    "igmp.checksum",
    "dhcp.xid",
    "dhcp.secs",
    "ntp.root_delay",
    "ntp.root_dispersion",
    "ntp.reference_timestamp",
    "ntp.receive_timestamp",
    "ntp.transmit_timestamp",
    "coap.message_id",
    "http.date",
    "http.age",
    "http.expires",
];

/// Short names of protocols, as in filters.
const SHORT: &[(&str, &str)] = &[("ip", "ipv4"), ("ip6", "ipv6"), ("eth", "ethernet")];

/// The fields that are not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    names: HashSet<String>,
    /// The recording is anonymized.
    is_anonymized: bool,
}

impl Ignored {
    /// The table, with `more` in it and `less` not.
    pub fn new(more: &[String], less: &[String]) -> Result<Ignored> {
        let mut names: HashSet<String> = TABLE.iter().map(|name| (*name).to_owned()).collect();
        for name in more {
            names.insert(full(name)?);
        }
        for name in less {
            let name = full(name)?;
            if !names.remove(&name) {
                return Err(Error::usage(format!("'{name}' is compared in any case"))
                    .with_help("'--compare' is for fields that are ignored otherwise"));
            }
        }
        Ok(Ignored { names, is_anonymized: false })
    }

    /// The same, for a recording that is anonymized or is not: what that hides is not compared either.
    #[must_use]
    pub fn of_anonymized(self, is_anonymized: bool) -> Ignored {
        Ignored { is_anonymized, ..self }
    }

    /// Whether what an anonymized recording hides is not compared.
    pub(super) fn is_anonymized(&self) -> bool {
        self.is_anonymized
    }

    /// Whether a field is not compared.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether a header of HTTP is not compared.
    pub(super) fn has_header(&self, name: &[u8]) -> bool {
        let Ok(name) = std::str::from_utf8(name) else { return false };
        self.has(&format!("http.{}", name.trim().to_ascii_lowercase()))
    }
}

/// The full name of a field that there is.
fn full(name: &str) -> Result<String> {
    let name = name.trim().to_ascii_lowercase();
    let unknown = || {
        Error::usage(format!("there is no field '{name}' to compare")).with_help(
            "fields are named as in 'uarttool decode --tree': ipv4.ttl, tcp.option.mss; http.server is a header",
        )
    };
    let (protocol, field) = name.split_once('.').ok_or_else(unknown)?;
    let short = SHORT.iter().find(|(short, _)| *short == protocol);
    let protocol = short.map_or(protocol, |(_, long)| long);
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_known = match protocol {
        "http" => !field.is_empty() && field.chars().all(is_token),
        _ => proto::ALL.iter().any(|known| known.name == protocol && known.field(field).is_some()),
    };
    if is_known { Ok(format!("{protocol}.{field}")) } else { Err(unknown()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_fields_that_there_are() {
        for name in TABLE {
            assert_eq!(full(name).expect(name), *name);
        }
    }

    #[test]
    fn users_add_and_take() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let ignored = Ignored::new(&list(&["ip.ttl", "http.Server"]), &list(&["tcp.window"]));
        let ignored = ignored.expect("they are there");
        assert!(ignored.has("ipv4.ttl") && ignored.has_header(b"SERVER") && ignored.has("tcp.seq"));
        assert!(!ignored.has("tcp.window") && !ignored.has_header(b"content-type"));
        for bad in ["ttl", "ipv4.tll", "nothing.ttl", "http.", "ipv4."] {
            let error = Ignored::new(&list(&[bad]), &[]).expect_err(bad);
            assert!(error.to_string().contains(bad), "{error}");
        }
        assert!(Ignored::new(&[], &list(&["ipv4.ttl"])).is_err());
    }
}
