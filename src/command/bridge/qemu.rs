//! What the command line of a QEMU says about a guest that is silent: whether it was started halted, and
//! whether our socket is its console rather than the tunnel.

use crate::endpoint::Spec;

/// The arguments of a program that runs.
pub(super) fn arguments(pid: u32) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0);
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// Whether it was started halted, and where it waits for a debugger.
pub(super) fn debugger(words: &[String]) -> Option<String> {
    words.iter().any(|word| word == "-S").then_some(())?;
    if words.iter().any(|word| word == "-s") {
        return Some(" on :1234".to_owned());
    }
    let at = words.iter().position(|word| word == "-gdb");
    let port = at.and_then(|at| words.get(at + 1)?.rsplit(':').next());
    Some(port.map_or(String::new(), |port| {
        format!(" on :{}", port.split(',').next().unwrap_or_default())
    }))
}

/// Whether `spec` is the first of several `-serial`s.
pub(super) fn is_console(words: &[String], spec: &Spec) -> bool {
    let serials = words.iter().zip(words.iter().skip(1)).filter(|(word, _)| *word == "-serial");
    let serials: Vec<&str> = serials.map(|(_, value)| value.as_str()).collect();
    serials.len() > 1 && is_same(serials[0], spec) && !is_same(serials[1], spec)
}

/// Whether a character device of QEMU's is what `spec` connects to.
fn is_same(device: &str, spec: &Spec) -> bool {
    let (form, rest) = device.split_once(':').unwrap_or_default();
    let address = rest.split(',').next().unwrap_or_default();
    let last = |text: &str, by: char| text.rsplit(by).next().unwrap_or_default().to_owned();
    match (form, spec.form.name) {
        ("tcp", "tcp") => last(address, ':') == last(&spec.address, ':'),
        // QEMU's path may be relative to a folder of its own: the last part decides.
        ("unix", "unix") => last(address, '/') == last(&spec.address, '/'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_guest_that_waits_for_gdb_is_told_by_its_command_line() {
        assert_eq!(debugger(&words("qemu -M x -nographic")), None);
        assert_eq!(debugger(&words("qemu -S -s")).as_deref(), Some(" on :1234"));
        assert_eq!(debugger(&words("qemu -gdb tcp::3333,x -S")).as_deref(), Some(" on :3333"));
        assert_eq!(debugger(&words("qemu -S")).as_deref(), Some(""));
    }

    #[test]
    fn the_first_of_several_serials_is_the_console() {
        let spec = |text: &str| Spec::parse(text).expect(text);
        let unix = words("qemu -serial unix:/t/C.sock,server=on -serial unix:/t/T.sock,server=on");
        assert!(is_console(&unix, &spec("unix:C.sock")));
        assert!(!is_console(&unix, &spec("unix:/t/T.sock")));
        let tcp = words("qemu -serial tcp::5555,server -nographic -serial tcp::5556,server");
        assert!(is_console(&tcp, &spec("tcp:127.0.0.1:5555")));
        assert!(!is_console(&tcp, &spec("tcp:127.0.0.1:5556")));
        assert!(!is_console(&words("qemu -serial tcp::5555"), &spec("tcp:h:5555")));
        assert!(!is_console(&words("qemu -serial stdio -serial tcp::5"), &spec("tcp:h:5")));
        assert!(!is_console(&words("-serial"), &spec("tcp:h:5")));
    }
}
