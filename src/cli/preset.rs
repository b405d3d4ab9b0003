//! `--preset NAME`: where the tunnel is, how it frames and who is at its ends, as other worlds than ours
//! have it.
//!
//! A preset is a `[target]` table that is built in. As a flag it comes before `uarttool.toml`; written there
//! (`preset = "zephyr"`), it is what the rest of the table does not say. What the user says one by one comes
//! before both.

use std::net::Ipv4Addr;

use super::config::Target;

/// Defaults of a world.
#[derive(Clone, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    pub(super) device: Option<&'static str>,
    pub(super) framing: &'static str,
    pub(super) host_ip: Ipv4Addr,
    pub(super) device_ip: Ipv4Addr,
    pub(super) macs: Option<[&'static str; 2]>,
}

impl PartialEq for Preset {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Preset {}

/// Every preset there is.
pub static ALL: &[Preset] = &[
    Preset {
        name: "esp32",
        help: "the ESP32 tunnel: found by itself, len16be, 192.168.100.1 and .2",
        device: None,
        framing: "len16be",
        host_ip: Ipv4Addr::new(192, 168, 100, 1),
        device_ip: Ipv4Addr::new(192, 168, 100, 2),
        macs: None, // ours by default, and learned
    },
    Preset {
        name: "zephyr",
        help: "Zephyr's QEMU networking, which connects to /tmp/slip.sock: SLIP, 192.0.2.2 and .1",
        device: Some("unix-listen:/tmp/slip.sock"),
        framing: "slip-eth",
        host_ip: Ipv4Addr::new(192, 0, 2, 2),
        device_ip: Ipv4Addr::new(192, 0, 2, 1),
        macs: None,
    },
    Preset {
        name: "slirp",
        help: "in the place of QEMU's user network: '-netdev stream' on port 1234, 10.0.2.2 and .15",
        device: Some("tcp:127.0.0.1:1234"),
        framing: "len32be",
        host_ip: Ipv4Addr::new(10, 0, 2, 2),
        device_ip: Ipv4Addr::new(10, 0, 2, 15),
        macs: Some(["52:55:0a:00:02:02", "52:54:00:12:34:56"]),
    },
];

impl Preset {
    /// The preset with that name; otherwise what there is.
    pub fn parse(name: &str) -> Result<&'static Preset, String> {
        ALL.iter().find(|preset| preset.name == name).ok_or_else(|| {
            let names: Vec<_> = ALL.iter().map(|preset| preset.name).collect();
            format!("there is no preset '{name}'; there are {}", names.join(", "))
        })
    }

    /// The endpoint, unless it is to be found.
    pub fn device(&self) -> Option<&'static str> {
        self.device
    }

    /// The same as a table.
    pub fn target(&self) -> Target {
        let mac = |n: usize| self.macs.map(|macs| macs[n].to_owned());
        Target {
            device: self.device.map(str::to_owned),
            framing: Some(self.framing.to_owned()),
            host_ip: Some(self.host_ip),
            host_mac: mac(0),
            device_ip: Some(self.device_ip),
            device_mac: mac(1),
            ..Target::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_each_can_be_used() {
        for preset in ALL {
            let target = preset.target();
            assert_eq!(target.host_mac().is_some(), preset.macs.is_some(), "{}", preset.name);
            assert_eq!(target.device_mac().is_some(), preset.macs.is_some(), "{}", preset.name);
            assert_ne!(target.host_ip, target.device_ip, "{}", preset.name);
            assert_eq!(Preset::parse(preset.name), Ok(preset));
        }
        let error = Preset::parse("esp8266").expect_err("no such world");
        assert!(error.contains("there are esp32, zephyr, slirp"), "{error}");
    }
}
