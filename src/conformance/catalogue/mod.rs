//! The built-in tests, a file a group.
//!
//! To add a test, write its function and its row in the group's file; its id follows the last one
//! that the group ever had.

mod arp;
mod ethernet;
mod fragments;
mod http;
mod icmp;
mod ipv4;
mod link;
mod performance;
mod robustness;
mod tcp;
mod udp;

use super::model::{About, Group, Owner, Severity, Test, Tier};

/// Every group, in the order in which a device is built up.
pub static GROUPS: [&Group; 11] = [
    &link::LINK,
    &ethernet::ETHERNET,
    &arp::ARP,
    &ipv4::IPV4,
    &fragments::FRAGMENTS,
    &icmp::ICMP,
    &udp::UDP,
    &tcp::TCP,
    &http::HTTP,
    &performance::PERFORMANCE,
    &robustness::ROBUSTNESS,
];

/// Every test.
pub fn all() -> impl Iterator<Item = &'static Test> {
    GROUPS.iter().flat_map(|group| group.tests())
}

/// The test of that name or id.
pub fn by_name(name: &str) -> Option<&'static Test> {
    all().find(|test| test.about.name == name || test.about.id.eq_ignore_ascii_case(name))
}

/// A row of a group's table.
const fn row(
    (id, name): (&'static str, &'static str),
    (severity, tier, owner): (Severity, Tier, Owner),
    reference: &'static str,
    requirement: &'static str,
) -> About {
    About { id, name, severity, tier, owner, reference, requirement }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::model::Body;
    use crate::conformance::script::Script;
    use std::collections::HashSet;

    #[test]
    fn every_row_of_the_catalogue_is_there_and_no_id_is_used_twice() {
        let count = |group: &Group| group.tests().count();
        assert_eq!(GROUPS.map(count), [20, 8, 16, 19, 13, 17, 10, 55, 19, 14, 10]);
        let ids: HashSet<_> = all().map(|test| test.about.id).collect();
        let names: HashSet<_> = all().map(|test| test.about.name).collect();
        let all = all().count();
        assert_eq!((ids.len(), names.len()), (all, all));
        for group in GROUPS {
            for test in group.tests() {
                assert_eq!(test.about.group(), group.name, "{test:?}");
                let requirement = test.about.requirement;
                assert!(requirement.ends_with('.') && requirement.len() < 200, "{requirement}");
                if let Body::Script(text) = test.body {
                    let script = Script::parse(text);
                    assert!(script.is_ok(), "{test:?}: {}", script.unwrap_err());
                }
            }
        }
    }
}
