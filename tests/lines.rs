//! Every kind of line, as a user meets it: serial ports (ptys stand in for them), pty, programs, messages of
//! unix sockets. The device is `uarttool sim` in another process.

#![cfg(target_os = "linux")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::cable::{Cable, Port};
use support::{Process, SOON, binary, lines_with, run, text, uarttool};
use tempfile::TempDir;

/// A runtime folder of the test's own, so that processes find each other and nobody else.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a folder"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = uarttool();
        command.args(arguments).current_dir(self.0.path()).env("XDG_RUNTIME_DIR", self.0.path());
        command
    }

    fn start(&self, arguments: &[&str]) -> Process {
        Process::start(&mut self.command(arguments))
    }

    /// Exit code, stdout and stderr.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let process = self.start(arguments);
        let code = process.wait(3 * SOON).code().expect("it ended by itself");
        (code, process.stdout(), process.stderr())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// The device on `endpoint`, in place.
    fn device(&self, endpoint: &str, more: &[&str]) -> Process {
        let device = self.start(&[&["sim", "--listen", endpoint], more].concat());
        let is_port = endpoint.starts_with("serial:");
        device.err.wait_for(0, if is_port { "connected to" } else { "reference device" });
        device
    }

    /// Four pings through `endpoint`, all answered.
    fn pings(&self, endpoint: &str) {
        let (code, report, error) =
            self.run(&["ping", "-d", endpoint, "-c", "4", "-i", "20ms", "-W", "5s"]);
        assert!(
            report.contains("4 packets transmitted, 4 received, 0% packet loss"),
            "{report}{error}"
        );
        assert_eq!(code, 0, "{error}");
    }
}

/// Bytes that make no frame: lengths beyond the limit, one after the other.
const NOISE: [u8; 37] = [0xff; 37];

#[test]
fn a_board_on_a_serial_port_answers() {
    let (place, cable) = (Place::new(), Cable::new());
    let device = place.device(&format!("{},baud=921600", cable.board.endpoint()), &[]);
    place.pings(&format!("{},baud=921600", cable.host.endpoint()));
    assert!(device.stderr().contains("921600 baud"), "{}", device.stderr());
    assert!(device.interrupt().success());
}

#[test]
fn noise_on_the_line_is_shown_and_passed_over() {
    let (place, cable) = (Place::new(), Cable::new());
    let _device = place.device(&cable.board.endpoint(), &[]);
    let sniff = place.start(&["sniff", "-d", &cable.host.endpoint()]);
    sniff.err.wait_for(0, "connected to");
    // It holds the port, and what follows goes through it.
    place.pings(&cable.host.endpoint());
    cable.host.say(&NOISE);
    place.pings(&cable.host.endpoint());
    sniff.out.wait_for(0, "back in step");
    assert!(sniff.interrupt().success());
    let shown = sniff.stdout();
    assert_eq!(lines_with(&shown, "ICMP echo reply").len(), 8, "{shown}");
    let errors = lines_with(&shown, "!! framing: length 65535 > 1514");
    assert_eq!(errors.len(), 1, "{shown}");
    assert!(errors[0].contains("passed over 37 bytes, back in step"), "{shown}");
}

#[test]
fn a_port_that_is_pulled_out_and_plugged_in_is_found_again() {
    let place = Place::new();
    let by_id = place.path("usb-Silicon_Labs_CP2102-if00-port0");
    let endpoint = format!("serial:{by_id},reconnect=50ms");
    let first = Cable::new();
    first.host.plug(Path::new(&by_id));
    let device = place.device(&format!("{},reconnect=50ms", first.board.endpoint()), &[]);
    let sniff = place.start(&["sniff", "-d", &endpoint]);
    sniff.err.wait_for(0, "connected to");
    place.pings(&endpoint);
    device.interrupt();
    std::fs::remove_file(&by_id).expect("it is ours"); // another test may get the pty's number
    drop(first);
    sniff.err.wait_for(0, "waiting for");
    sniff.out.wait_for(0, ": unplugged");
    let (_taken, second) = ([Port::new(), Port::new()], Cable::new()); // ptys with other numbers
    let _device = place.device(&second.board.endpoint(), &[]);
    second.host.plug(Path::new(&by_id));
    sniff.out.wait_for(0, "** link connected");
    place.pings(&endpoint);
    assert!(sniff.interrupt().success());
    let said = sniff.stderr();
    assert_eq!(lines_with(&said, "waiting for").len(), 1, "{said}");
    assert_eq!(lines_with(&sniff.stdout(), "ICMP echo reply").len(), 8);
}

#[test]
fn ping_goes_on_when_the_port_is_back_and_counts_what_was_lost() {
    let place = Place::new();
    let by_id = place.path("usb-Silicon_Labs_CP2102-if00-port0");
    let endpoint = format!("serial:{by_id},reconnect=50ms");
    let first = Cable::new();
    first.host.plug(Path::new(&by_id));
    let device = place.device(&first.board.endpoint(), &[]);
    let out = place.path("out.pcapng");
    let always = ["-d", &endpoint, "-i", "100ms", "-W", "300ms"];
    let ping = place.start(&[&["ping", "-w", &out][..], &always].concat());
    ping.out.wait_for(0, "icmp_seq=2 ");
    device.interrupt();
    std::fs::remove_file(&by_id).expect("it is ours"); // another test may get the pty's number
    drop(first);
    ping.err.wait_for(0, "waiting for");
    let lost = ping.out.wait_for(0, "no reply to icmp_seq=").len();
    let (_taken, second) = ([Port::new(), Port::new()], Cable::new()); // ptys with other numbers
    let _device = place.device(&second.board.endpoint(), &[]);
    second.host.plug(Path::new(&by_id));
    let back = ping.out.wait_for(lost, "line gone (unplugged), back after ").len();
    ping.out.wait_for(back, " ttl=");
    // It shares the line again.
    place.pings(&endpoint);
    assert_eq!(ping.interrupt().code(), Some(1), "some were lost: {}", ping.stderr());
    let (report, said) = (ping.stdout(), ping.stderr());
    assert_eq!(lines_with(&report, "line gone").len(), 1, "{report}");
    assert_eq!(lines_with(&said, "waiting for").len(), 1, "{said}");
    assert!(!report.contains(" 0% packet loss") && report.contains("rtt min"), "{report}");
    let (_, shown, _) = place.run(&["decode", &out]);
    assert_eq!(lines_with(&shown, "** link lost").len(), 1, "{shown}");
    assert_eq!(lines_with(&shown, "** link connected").len(), 1, "{shown}");
}

#[test]
fn a_line_that_does_not_come_back_is_gone_and_others_say_that_they_do_not_wait() {
    let place = Place::new();
    let long = ["-i", "100ms", "-W", "200ms"];
    for (arguments, wanted) in [
        (&[&["ping", "-c", "10"][..], &long].concat()[..], "went away and did not come back: "),
        (&["inject", "tcp", "--port", "80", "--timeout", "20s"], "start it again"),
    ] {
        let (port, link) = (Port::new(), place.path("port"));
        port.plug(Path::new(&link));
        let endpoint = format!("serial:{link},reconnect=50ms");
        let process = place.start(&[arguments, &["-d", &endpoint]].concat());
        port.hear_something();
        std::fs::remove_file(&link).expect("it is ours");
        drop(port);
        assert_eq!(process.wait(SOON).code(), Some(3), "{}", process.stderr());
        assert!(process.stderr().contains(wanted), "{}", process.stderr());
    }
}

#[test]
fn without_reconnect_pulling_it_out_is_the_end() {
    let (place, port) = (Place::new(), Port::new());
    let sniff = place.start(&["sniff", "-d", &port.endpoint()]);
    sniff.err.wait_for(0, "connected to");
    drop(port);
    assert_eq!(sniff.wait(SOON).code(), Some(3));
    let said = sniff.stderr();
    assert!(said.contains("went away: unplugged") && said.contains(",reconnect=1s"), "{said}");
}

#[test]
fn a_wrong_rate_is_suspected_once() {
    let (place, port) = (Place::new(), Port::new());
    let sniff = place.start(&["sniff", "-d", &port.endpoint(), "-q"]);
    sniff.err.wait_for(0, "connected to");
    let garbled: Vec<u8> =
        (0..12_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    port.say(&garbled);
    let said = sniff.err.wait_for(0, "usual rates are");
    assert!(said.contains("(baud=115200) or the framing (len16be)"), "{said}");
    port.say(&garbled);
    assert!(sniff.interrupt().success());
    assert_eq!(lines_with(&sniff.stderr(), "usual rates").len(), 1, "{}", sniff.stderr());
}

#[test]
fn a_wrong_rate_is_suspected_at_the_end_of_a_short_ping_too() {
    let (place, port) = (Place::new(), Port::new());
    let ping = place.start(&["ping", "-d", &port.endpoint(), "-c", "1", "-W", "500ms"]);
    ping.out.wait_for(0, "PING");
    port.say(&[0xe0, 0xf8, 0x66, 0xfe].repeat(50));
    assert_eq!(ping.wait(SOON).code(), Some(1));
    let said = ping.stderr();
    assert!(said.contains("0 % of the first 200 bytes were frames"), "{said}");
    assert!(said.contains("with ',baud=' behind the endpoint: usual rates are 460800"), "{said}");
}

#[test]
fn a_port_that_another_program_has_is_left_alone() {
    let (place, port) = (Place::new(), Port::new());
    let file = std::fs::File::open(&port.path).expect("it is there");
    let mut other = Command::new("sleep").arg("60").stdin(file).spawn().expect("coreutils");
    let (code, _, error) = place.run(&["ping", "-d", &port.endpoint(), "-c", "1"]);
    assert_eq!(code, 3);
    let wanted = format!("is held by sleep (pid {})", other.id());
    assert!(error.contains(&wanted), "{error}");
    other.kill().expect("it runs");
    other.wait().expect("it ends");
}

#[test]
fn a_port_that_is_not_there_or_is_none_is_said() {
    let place = Place::new();
    for (endpoint, wanted) in
        [("serial:/dev/ttyUSB77", "',reconnect=1s'"), ("serial:/dev/null", "it is no serial port")]
    {
        let (code, _, error) = place.run(&["ping", "-d", endpoint, "-c", "1"]);
        assert!(code == 3 && error.contains(wanted), "{endpoint}: {code} {error}");
    }
    let port = Port::new();
    let dtr = format!("{},dtr=off", port.endpoint());
    let (code, _, error) = place.run(&["ping", "-d", &dtr, "-c", "1"]);
    assert!(code == 3 && error.contains("cannot move DTR and RTS"), "{error}");
    let (code, _, error) = place.run(&["reset", "-d", &port.endpoint()]);
    assert!(code == 3 && error.contains("cannot move DTR and RTS"), "{error}");
}

#[test]
fn two_boards_on_two_ports_do_not_hear_each_other() {
    let place = Place::new();
    let cables = [Cable::new(), Cable::new()];
    let rates = ["115200", "921600"];
    let devices: Vec<_> = cables
        .iter()
        .zip(rates)
        .map(|(cable, rate)| {
            let endpoint = format!("{},baud={rate}", cable.board.endpoint());
            place.device(&endpoint, &["--line-rate", rate])
        })
        .collect();
    let pings: Vec<_> = cables
        .iter()
        .zip(rates)
        .map(|(cable, rate)| {
            let endpoint = format!("{},baud={rate}", cable.host.endpoint());
            let out = place.path(rate);
            let process = place.start(&[
                "ping",
                "-d",
                &endpoint,
                "-c",
                "5",
                "-i",
                "50ms",
                "-e",
                &rate[..4],
                "-w",
                &format!("{out}.pcapng"),
            ]);
            (process, out)
        })
        .collect();
    for ((ping, out), rate) in pings.iter().zip(rates) {
        assert!(ping.wait(SOON).success(), "{}{}", ping.stdout(), ping.stderr());
        let (_, shown, _) = place.run(&["decode", &format!("{out}.pcapng")]);
        let own = format!("id {},", &rate[..4]);
        assert_eq!(lines_with(&shown, "ICMP").len(), 10, "{shown}");
        assert_eq!(lines_with(&shown, &own).len(), 10, "{shown}");
    }
    drop(devices);
}

#[test]
fn one_program_after_another_opens_a_pty() {
    let place = Place::new();
    let link = place.path("line");
    let device = place.device(&format!("pty,link={link}"), &[]);
    device.err.wait_for(0, &format!("listening on serial:{link}"));
    for round in 1..=3 {
        place.pings(&format!("serial:{link}"));
        let mut from = 0;
        for _ in 0..round {
            from = device.stderr().find("lost pty").map_or(from, |at| at.max(from));
            device.err.wait_for(from, "closed by the other end");
        }
    }
    assert!(device.interrupt().success());
    assert_eq!(lines_with(&device.stderr(), "connected to pty").len(), 3, "{}", device.stderr());
    assert!(std::fs::symlink_metadata(&link).is_err(), "the link is gone");
}

#[test]
fn a_program_that_wants_a_serial_port_is_listened_to() {
    let (place, cable) = (Place::new(), Cable::new());
    let link = place.path("tty");
    let _device = place.device(&cable.board.endpoint(), &[]);
    let proxy = ["sniff", "-d", &cable.host.endpoint(), "--proxy", &format!("pty,link={link}")];
    let sniff = place.start(&proxy);
    sniff.err.wait_for(0, &format!("listening on serial:{link}"));
    place.pings(&format!("serial:{link}"));
    place.pings(&format!("serial:{link}"));
    assert!(sniff.interrupt().success());
    let shown = sniff.stdout();
    assert_eq!(
        lines_with(&shown, "-> IP 192.168.100.1 > 192.168.100.2: ICMP echo request").len(),
        8
    );
    assert_eq!(lines_with(&shown, "<- IP 192.168.100.2 > 192.168.100.1: ICMP echo reply").len(), 8);
}

#[test]
fn a_console_on_a_serial_port_is_text_and_no_wrong_rate() {
    let (place, cable, console) = (Place::new(), Cable::new(), Port::new());
    let _device = place.device(&cable.board.endpoint(), &[]);
    let arguments = ["sniff", "-d", &cable.host.endpoint(), "--console", &console.endpoint()];
    let sniff = place.start(&arguments);
    sniff.err.wait_for(0, "console at");
    let deadline = std::time::Instant::now() + SOON;
    while !sniff.stdout().contains("anybody there") {
        assert!(std::time::Instant::now() < deadline, "{}", sniff.stderr());
        console.say(b"anybody there\n"); // what came before it was opened is lost
        std::thread::sleep(Duration::from_millis(20));
    }
    console.say(&b"I (312) eth: link is up, as it has been for a while now\n".repeat(100));
    console.say(b"the last line\n");
    sniff.out.wait_for(0, "the last line");
    assert!(sniff.interrupt().success());
    assert!(!sniff.stderr().contains("were frames"), "{}", sniff.stderr());
}

#[test]
fn what_cannot_be_reset_is_said() {
    let place = Place::new();
    for (arguments, wanted, exit) in [
        (&["-d", "sim"][..], "there is nothing to reset at sim", 2),
        (&["-d", "tcp:127.0.0.1:1", "--bootloader"], "'--bootloader' is for boards", 2),
        (&["--qmp", "qmp.sock"], "'qmp.sock'", 2),
        (&["-d", "tcp:127.0.0.1:1"], "cannot tell how to reset what is at tcp:127.0.0.1:1", 3),
        (&["--qmp", "unix:/no/such/qmp"], "cannot connect to unix:/no/such/qmp", 3),
    ] {
        let (code, _, error) = place.run(&[&["reset"], arguments].concat());
        assert!(code == exit && error.contains(wanted), "{arguments:?}: {code} {error}");
    }
}

#[test]
fn stdio_is_for_the_device() {
    let (code, _, error) = Place::new().run(&["ping", "-d", "stdio", "-c", "1"]);
    assert!(code == 2 && error.contains("'stdio' is for"), "{error}");
}

#[test]
fn a_program_is_a_line() {
    let place = Place::new();
    let command = format!("exec:{} sim --model reference, --listen stdio", binary());
    let (code, _, error) = place.run(&["ping", "-d", &command, "-c", "1"]);
    assert!(code == 3 && error.contains("ended with status 2"), "the comma is its own: {error}");
    place.pings(&format!("exec:{} sim --listen stdio", binary()));
    let (code, _, error) = place.run(&["ping", "-d", "exec:no-such-program -x", "-c", "1"]);
    assert_eq!(code, 3);
    assert!(error.contains("no-such-program was not found (status 127)"), "{error}");
}

#[test]
fn messages_of_a_socket_are_frames() {
    let place = Place::new();
    for kind in ["dgram", "seqpacket"] {
        let path = place.path(kind);
        let device = place.device(&format!("unix-listen:{path},framing={kind}"), &[]);
        device.err.wait_for(0, "listening on");
        place.pings(&format!("unix:{path},framing={kind}"));
        let (code, report, error) = place.run(&[
            "ping",
            "-d",
            &format!("unix:{path}"),
            "--framing",
            kind,
            "-c",
            "2",
            "-i",
            "20ms",
        ]);
        assert_eq!(code, 0, "{report}{error}");
        assert!(device.interrupt().success());
    }
    let own = format!("unix:{},framing=dgram,local={}", place.path("b"), place.path("a"));
    let device = place.device(&format!("unix-listen:{},framing=dgram", place.path("b")), &[]);
    device.err.wait_for(0, "listening on");
    place.pings(&own);
    device.err.wait_for(0, &format!(", {}", place.path("a")));
    // What answers come back to has to be there as long as somebody waits for them.
    let capture = place.path("again.pcapng");
    let (code, report, error) = place.run(&["ping", "-d", &own, "-c", "1", "-w", &capture]);
    assert_eq!(code, 0, "{report}{error}");
    let (code, report, error) = place.run(&["replay", &capture, "-d", &own, "--expect"]);
    assert_eq!(code, 0, "{report}{error}");
}

#[test]
fn odd_messages_are_shown_and_counted() {
    let place = Place::new();
    let path = place.path("line");
    let sniff = place.start(&["sniff", "-d", &format!("unix-listen:{path},framing=dgram")]);
    sniff.err.wait_for(0, "listening on");
    let peer = std::os::unix::net::UnixDatagram::bind(place.path("peer")).expect("a socket");
    let frame = [&[2; 12][..], &[8, 6], &[0; 46]].concat();
    for message in [&frame[..], b"", &[3; 2000], &frame] {
        peer.send_to(message, &path).expect("it listens");
    }
    sniff.out.wait_for(0, "length 2000 > 1514");
    std::thread::sleep(Duration::from_millis(100)); // the last one
    assert!(sniff.interrupt().success());
    let (shown, said) = (sniff.stdout(), sniff.stderr());
    assert!(shown.contains("!! framing: length 0; passed over 2 bytes"), "{shown}");
    assert!(shown.contains("!! framing: length 2000 > 1514; passed over 2002 bytes"), "{shown}");
    assert!(said.contains("2 frames (0 to the device, 2 from it)"), "{said}");
    assert!(said.contains("2 framing errors"), "{said}");
}

#[test]
fn a_message_framing_wants_a_socket_of_messages() {
    for arguments in [
        &["ping", "-d", "tcp:127.0.0.1:1,framing=dgram"][..],
        &["ping", "-d", "tcp:127.0.0.1:1", "--framing", "seqpacket"],
    ] {
        let output = run(arguments);
        let (_, error) = text(&output);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("is for unix: and unix-listen:"), "{error}");
    }
}

#[test]
fn a_configuration_that_was_found_starts_no_program() {
    let place = Place::new();
    let mark = place.path("mark");
    for device in [format!("exec:touch {mark}"), format!("sim,stack=exec:touch {mark}")] {
        let text = format!("[target]\ndevice = \"{device}\"\n");
        std::fs::write(place.path("uarttool.toml"), text).expect("it can be written");
        let (code, _, error) = place.run(&["ping", "-c", "1"]);
        assert!(code == 2 && error.contains("may not start programs"), "{error}");
        assert!(!Path::new(&mark).exists());
    }
}

#[test]
fn a_preset_says_where_and_who() {
    let place = Place::new();
    let (code, _, error) = place.run(&["ping", "--preset", "esp8266", "-c", "1"]);
    assert!(code == 2 && error.contains("there are esp32, zephyr, slirp"), "{error}");
    let (code, report, _) = place.run(&["ping", "-d", "sim", "--preset", "esp32", "-c", "1"]);
    assert!(code == 0 && report.contains("PING 192.168.100.2"), "{report}");
    for (preset, device, wanted) in [
        ("zephyr", "unix-listen:/no/such/slip.sock", "192.0.2.1"),
        ("slirp", "tcp:127.0.0.1:1", "10.0.2.15"),
    ] {
        let (code, _, error) = place.run(&["ping", "--preset", preset, "-d", device, "-c", "1"]);
        // Where its framing is unknown, that is said rather than another taken.
        assert!(
            code == 3 || (code == 2 && error.contains("there is no framing")),
            "{wanted}: {error}"
        );
    }
    let (code, _, error) = place.run(&[
        "ping",
        "--preset",
        "slirp",
        "--device-ip",
        "10.0.2.2",
        "--framing",
        "len16be",
        "-c",
        "1",
    ]);
    assert!(matches!(code, 2 | 3), "{error}");
}

/// The words of a line as a shell takes them, up to a comment, a pipe or what else is the shell's.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#' | '|' | '&' | '>') if word.is_none() => return words,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn every_command_of_the_documents_is_one_and_its_endpoints_are() {
    use clap::Parser;
    use uarttool::{command::CommandLine, endpoint::Spec};
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).expect("documents").flatten();
    let docs: Vec<PathBuf> =
        docs.map(|entry| entry.path()).chain([root.join("README.md")]).collect();
    let mut commands = 0;
    for path in docs.iter().filter(|path| path.extension().is_some_and(|kind| kind == "md")) {
        let text = std::fs::read_to_string(path).expect("text").replace("\\\n", " ");
        for line in text.split("```").skip(1).step_by(2).flat_map(str::lines) {
            let line = line.trim_start_matches("$ ").trim();
            let words = words(line);
            // An ellipsis stands for what the reader has.
            if words.first().is_none_or(|word| word != "uarttool") || line.contains("...") {
                continue;
            }
            commands += 1;
            if let Err(error) = CommandLine::try_parse_from(&words) {
                let is_help = error.exit_code() == 0;
                assert!(is_help, "{}: {line}\n{error}", path.display());
            }
            for pair in
                words.windows(2).filter(|pair| ["-d", "--listen"].contains(&pair[0].as_str()))
            {
                let text = &pair[1];
                let is_good = text.starts_with("auto") || Spec::parse(text).is_ok();
                assert!(is_good, "{}: {line}: {text} is no endpoint", path.display());
            }
        }
    }
    assert!(commands > 40, "{commands} commands were found");
}
