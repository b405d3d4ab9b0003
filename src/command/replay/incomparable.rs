//! What is said when `--expect` has found nothing to compare: who speaks in the capture, and what may be meant.

use std::fmt::Write;

use pnet::util::MacAddr;

use crate::error::{Category, Error};
use crate::replay::expect::Speaker;
use crate::replay::source::{End, Ends};

/// The error, where these have sent what was sent, and `ends` were expected.
pub(super) fn error(speakers: &[Speaker], ends: &Ends, sends_to_device: bool) -> Error {
    let (whose, them, us) = match sends_to_device {
        true => ("the device", ends.device, ends.host),
        false => ("the host", ends.host, ends.device),
    };
    let text = format!("'--expect' found no recorded answer of {whose} that could be compared");
    let End { ip, mac, .. } = them;
    let mut help = format!("{whose} is {ip} ({mac}), and what was sent comes from ");
    let who: Vec<_> = speakers.iter().map(name).collect();
    help.push_str(&who.join(" and "));
    match speakers {
        [one, other, ..] => {
            // Whoever asks speaks first.
            let rewriting = rewriting([(one, us), (other, them)]);
            let _ = write!(
                help,
                ": if {whose} is among them, rewrite both to the addresses of your line, such as '{rewriting}', \
                 or give its own with '{}'",
                own(other, sends_to_device)
            );
        }
        _ => help.push_str(
            ": the capture has no answers, or only cut ones, or a filter leaves them out",
        ),
    }
    Error::new(Category::InputFile, text).with_help(help)
}

fn name(speaker: &Speaker) -> String {
    let mac = MacAddr::from(speaker.mac);
    match speaker.ip {
        Some(ip) => format!("{ip} ({mac})"),
        None => mac.to_string(),
    }
}

/// The options that give speakers the addresses of the line.
fn rewriting(pairs: [(&Speaker, End); 2]) -> String {
    let ips = pairs.iter().filter_map(|(speaker, end)| {
        speaker.ip.filter(|ip| ip.is_ipv4() && *ip != end.ip).map(|ip| format!("{ip}={}", end.ip))
    });
    let macs = pairs.iter().filter_map(|(speaker, end)| {
        let mac = MacAddr::from(speaker.mac);
        (mac != end.mac).then(|| format!("{mac}={}", end.mac))
    });
    let options = [("--rewrite-ip", ips.collect::<Vec<_>>()), ("--rewrite-mac", macs.collect())];
    let options = options.into_iter().filter(|(_, pairs)| !pairs.is_empty());
    let options = options.map(|(option, pairs)| format!("{option} {}", pairs.join(",")));
    options.collect::<Vec<_>>().join(" ")
}

/// The options that say that a speaker is the other side.
fn own(speaker: &Speaker, is_device: bool) -> String {
    let who = if is_device { "device" } else { "host" };
    let ip = speaker.ip.filter(std::net::IpAddr::is_ipv4);
    let ip = ip.map(|ip| format!("--{who}-ip {ip} ")).unwrap_or_default();
    format!("{ip}--{who}-mac {}", MacAddr::from(speaker.mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaker(ip: [u8; 4], last: u8) -> Speaker {
        Speaker { ip: Some(ip.into()), mac: [0, 0x11, 0x22, 0x33, 0x44, last], frames: 3 }
    }

    #[test]
    fn who_speaks_is_named_with_what_to_give() {
        let speakers = [speaker([10, 0, 0, 1], 1), speaker([10, 0, 0, 2], 2)];
        let said = error(&speakers, &Ends::default(), true);
        let text = "'--expect' found no recorded answer of the device that could be compared";
        assert_eq!(said.to_string(), text);
        let help = "the device is 192.168.100.2 (02:00:00:00:00:02), and what was sent comes from \
            10.0.0.1 (00:11:22:33:44:01) and 10.0.0.2 (00:11:22:33:44:02): if the device is \
            among them, rewrite both to the addresses of your line, such as \
            '--rewrite-ip 10.0.0.1=192.168.100.1,10.0.0.2=192.168.100.2 \
            --rewrite-mac 00:11:22:33:44:01=02:00:00:00:00:01,00:11:22:33:44:02=02:00:00:00:00:02', \
            or give its own with '--device-ip 10.0.0.2 --device-mac 00:11:22:33:44:02'";
        assert_eq!(said.help(), Some(help));
        let said = error(&speakers[..1], &Ends::default(), true);
        let help = "the device is 192.168.100.2 (02:00:00:00:00:02), and what was sent comes from \
            10.0.0.1 (00:11:22:33:44:01): the capture has no answers, or only cut ones, or a filter \
            leaves them out";
        assert_eq!(said.help(), Some(help));
    }
}
