//! Which monitor belongs to the tunnel: its QEMU was started with `-qmp`, or `-mon` and `-chardev`, and
//! `/proc` shows how.

use std::path::{Path, PathBuf};

use super::qmp;
use crate::endpoint::{Spec, serving};
use crate::error::{Error, Result};

/// The monitor of the QEMU that serves `tunnel`.
pub(super) fn monitor(tunnel: &Spec) -> Result<Spec> {
    let cannot = |why: &str| {
        Error::environment(format!("cannot tell how to reset what is at {}: {why}", tunnel.text))
            .with_help(
                "start QEMU with '-qmp unix:build/qmp.sock,server=on,wait=off' and give '--qmp \
                 unix:build/qmp.sock'; a board has a serial port: -d serial:/dev/ttyUSB0",
            )
    };
    let pid = serving(tunnel).ok_or_else(|| cannot("its program cannot be seen from here"))?;
    let words = arguments(pid);
    let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    let device = values(&words, is_flag).next().map(str::to_owned).or_else(|| chardev(&words));
    let device = device.ok_or_else(|| {
        let program = words.first().map(|word| word.rsplit('/').next().unwrap_or_default());
        let program = crate::escape::terminal(program.unwrap_or("it").as_bytes()).to_string();
        cannot(&format!("{program} (pid {pid}) was started without '-qmp'"))
    })?;
    let text = endpoint(&device, &folder)
        .ok_or_else(|| cannot(&format!("'-qmp {device}' is no socket that can be connected to")))?;
    qmp::parse(&text).map_err(|what| cannot(&what))
}

fn is_flag(word: &str) -> bool {
    matches!(word, "-qmp" | "--qmp" | "-qmp-pretty" | "--qmp-pretty")
}

/// What stands behind flags of that kind.
fn values(words: &[String], is_it: fn(&str) -> bool) -> impl Iterator<Item = &str> {
    let pairs = words.iter().zip(words.iter().skip(1));
    pairs.filter(move |(flag, _)| is_it(flag)).map(|(_, value)| value.as_str())
}

/// The character device of a monitor that `-mon` makes one for QMP, as `-qmp` would have it.
fn chardev(words: &[String]) -> Option<String> {
    let option = |text: &str, name: &str| {
        let mut parts = text.split(',').filter_map(|part| part.split_once('='));
        parts.find(|(own, _)| *own == name).map(|(_, value)| value.to_owned())
    };
    let is_mon = |word: &str| matches!(word, "-mon" | "--mon");
    let mut monitors = values(words, is_mon);
    let monitor = monitors.find(|text| option(text, "mode").as_deref() == Some("control"))?;
    let first = monitor.split(',').next().filter(|first| !first.contains('='));
    let id = option(monitor, "chardev").or(first.map(str::to_owned))?;
    let mut devices = values(words, |word| matches!(word, "-chardev" | "--chardev"));
    let device = devices.find(|text| option(text, "id").as_ref() == Some(&id))?;
    let listens = device.split(',').any(|part| matches!(part, "server" | "server=on"));
    let server = if listens { ",server" } else { "" };
    match option(device, "path") {
        Some(path) => Some(format!("unix:{path}{server}")),
        None => {
            let host = option(device, "host").unwrap_or_default();
            Some(format!("tcp:{host}:{}{server}", option(device, "port")?))
        }
    }
}

/// The arguments of a program that runs.
fn arguments(pid: u32) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0);
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// The endpoint of a character device of QEMU's that listens; its paths begin in `folder`.
fn endpoint(device: &str, folder: &Path) -> Option<String> {
    let mut parts = device.split(',');
    let (form, address) = parts.next()?.split_once(':')?;
    let listens = parts.any(|part| matches!(part, "server" | "server=on"));
    match form {
        "unix" if listens => {
            let path: PathBuf = folder.join(address);
            Some(format!("unix:{}", path.display()))
        }
        "tcp" if listens => {
            let (host, port) = address.rsplit_once(':')?;
            let host = if matches!(host, "" | "0.0.0.0") { "127.0.0.1" } else { host };
            Some(format!("tcp:{host}:{port}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_is_where_qemu_listens() {
        let at = |device: &str| endpoint(device, Path::new("/srv"));
        assert_eq!(at("unix:q.sock,server=on,wait=off").as_deref(), Some("unix:/srv/q.sock"));
        assert_eq!(at("unix:/run/q,server,nowait").as_deref(), Some("unix:/run/q"));
        assert_eq!(at("tcp::4444,server=on").as_deref(), Some("tcp:127.0.0.1:4444"));
        assert_eq!(at("tcp:localhost:4444,server").as_deref(), Some("tcp:localhost:4444"));
        for other in ["unix:q.sock", "stdio", "tcp:x,server=on", "none"] {
            assert_eq!(at(other), None, "{other}");
        }
    }

    #[test]
    fn a_monitor_may_be_made_of_two_options() {
        let found = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            chardev(&words)
        };
        let device = "-chardev socket,id=m,path=/run/q,server=on,wait=off";
        for monitor in ["-mon chardev=m,mode=control", "-mon m,mode=control,pretty=on"] {
            let line = format!("qemu {device} -chardev stdio,id=s -mon s {monitor}");
            assert_eq!(found(&line).as_deref(), Some("unix:/run/q,server"), "{line}");
        }
        let tcp = "qemu -mon chardev=m,mode=control -chardev socket,id=m,port=4444,server";
        assert_eq!(found(tcp).as_deref(), Some("tcp::4444,server"));
        for none in ["-mon m", "-mon chardev=other,mode=control", "-mon"] {
            assert_eq!(found(&format!("qemu {device} {none}")), None, "{none}");
        }
    }

    #[test]
    fn without_a_monitor_both_ways_out_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nobody");
        let tunnel = Spec::parse(&format!("unix:{}", path.display())).expect("good");
        let error = monitor(&tunnel).expect_err("nobody is there");
        assert_eq!(error.category().exit_code(), 3);
        assert!(error.help().is_some_and(|help| help.contains("-qmp") && help.contains("serial:")));
    }
}
