//! The way out of an endpoint that is not there: what belongs at its other end, by form and framing.

use super::spec::Spec;

/// What to do when nobody listens at `spec`: start what belongs there, or wait for it.
pub(super) fn start(spec: &Spec) -> String {
    let wait = wait(spec);
    match there(spec) {
        Some(program) => format!("start {program}, or {wait}"),
        None => format!("start the program that belongs there, or {wait}"),
    }
}

/// How to wait for `spec`.
fn wait(spec: &Spec) -> String {
    match spec.options.reconnect {
        Some(_) => "wait for it".to_owned(),
        None => format!("wait for it with '-d {},reconnect=1s'", spec.text),
    }
}

/// What usually listens there, as it is started.
fn there(spec: &Spec) -> Option<String> {
    let framing = spec.options.framing.name;
    match framing {
        _ if spec.options.is_text => {
            serial(spec).map(|option| format!("the firmware with {option}"))
        }
        "len16be" => serial(spec).map(|option| format!("the firmware with {option}")),
        "len32be" => Some(format!("QEMU with '-netdev stream,id=n,server=on,{}'", socket(spec)?)),
        "dgram" => Some(format!("QEMU with '-netdev dgram,id=n,{}'", datagrams(spec))),
        _ if framing.starts_with("slip") => serial(spec)
            .map(|option| format!("the program that speaks {framing}, such as QEMU with {option}")),
        _ => Some(format!("the program that speaks {framing}")),
    }
}

/// A serial port of QEMU's.
fn serial(spec: &Spec) -> Option<String> {
    let (form, address) = (spec.form.name, &spec.address);
    matches!(form, "tcp" | "unix").then(|| format!("'-serial {form}:{address},server=on,wait=off'"))
}

/// An address of a network socket of QEMU's.
fn socket(spec: &Spec) -> Option<String> {
    let address = &spec.address;
    match spec.form.name {
        "unix" => Some(format!("addr.type=unix,addr.path={address}")),
        "tcp" => {
            let (host, port) = address.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Some(format!("addr.type=inet,addr.host={host},addr.port={port}"))
        }
        _ => None,
    }
}

/// Both addresses of a datagram socket of QEMU's.
fn datagrams(spec: &Spec) -> String {
    let local = spec.options.own("local");
    let ours = local.unwrap_or("OURS");
    let also = if local.is_none() { "' and add ',local=OURS" } else { "" };
    let theirs = &spec.address;
    format!("local.type=unix,local.path={theirs},remote.type=unix,remote.path={ours}{also}")
}

/// What a path is that cannot be connected to although it is there.
pub(super) fn no_socket(path: &str) -> Option<String> {
    use std::os::unix::fs::FileTypeExt;
    let about = std::fs::metadata(path).ok()?;
    if about.is_dir() {
        return Some(match std::path::Path::new(path).join("ctl").exists() {
            true => format!("it is the folder of a VDE switch: -d 'exec:vde_plug {path}'"),
            false => "it is a folder; name the socket in it".to_owned(),
        });
    }
    if about.file_type().is_char_device() {
        return Some(format!("it is a device: -d serial:{path}"));
    }
    (!about.file_type().is_socket()).then(|| "it is a file, and no socket".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(text: &str) -> String {
        start(&Spec::parse(text).expect("good"))
    }

    #[test]
    fn what_belongs_there_is_named_by_the_framing() {
        for (text, wanted) in [
            ("tcp:h:1", "start the firmware with '-serial tcp:h:1,server=on,wait=off', or wait"),
            ("tcp:h:1,framing=len32be", "server=on,addr.type=inet,addr.host=h,addr.port=1', or"),
            ("tcp:[::1]:1,framing=len32be", "addr.host=::1,addr.port=1'"),
            (
                "unix:/a,framing=len32be",
                "'-netdev stream,id=n,server=on,addr.type=unix,addr.path=/a'",
            ),
            ("unix:/a,framing=slip", "that speaks slip, such as QEMU with '-serial unix:/a,"),
            ("unix:/a,framing=seqpacket", "start the program that speaks seqpacket, or"),
            (
                "unix:/a,framing=dgram",
                "local.path=/a,remote.type=unix,remote.path=OURS' and add ',local",
            ),
            ("unix:/a,local=/b,framing=dgram", "remote.path=/b', or wait"),
            ("tcp:h:1,max-frame=900", "wait for it with '-d tcp:h:1,max-frame=900,reconnect=1s'"),
            ("tcp:h:1,reconnect=2s", "wait=off', or wait for it"),
        ] {
            assert!(hint(text).contains(wanted), "{text}: {}", hint(text));
        }
        assert!(hint("tcp:h:1,reconnect=2s").ends_with("or wait for it"));
        for framing in ["len32be", "len16le", "dgram", "seqpacket"] {
            let text = hint(&format!("unix:/a,framing={framing}"));
            assert!(!text.contains("-serial"), "{framing}: {text}");
        }
    }

    #[test]
    fn what_is_no_socket_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let here = folder.path().display().to_string();
        assert!(no_socket(&here).is_some_and(|text| text.contains("a folder")));
        std::fs::write(path("ctl"), "").expect("it can be written");
        assert!(no_socket(&path("ctl")).is_some_and(|text| text.contains("no socket")));
        let switch = no_socket(&here).expect("a switch");
        assert!(switch.contains(&format!("exec:vde_plug {here}")), "{switch}");
        assert!(no_socket("/dev/null").is_some_and(|text| text.contains("serial:/dev/null")));
        assert_eq!(no_socket(&path("nothing")), None);
    }
}
