//! bridge in front of the real firmware: what goes through, and what it costs others on the line.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use support::firmware::{Firmware, Setup};
use support::{Process, run, text, uarttool};

/// How long a transfer may take on a machine that is busy.
const LONG: Duration = Duration::from_secs(60);

/// A bridge to the firmware, and where its forwards are.
fn bridge(firmware: &Firmware, forwards: &[&str]) -> (Process, Vec<String>) {
    let mut command = uarttool();
    command.args(["bridge", "-d", &firmware.endpoint]);
    for forward in forwards {
        command.args(["--forward", forward]);
    }
    let process = Process::start(&mut command);
    process.err.wait_for(0, "device ");
    let said = process.stderr();
    let address = |line: &str| {
        let at = line.find("127.0.0.1:")?;
        let rest = &line[at..];
        let port: String = rest[10..].chars().take_while(char::is_ascii_digit).collect();
        Some(format!("127.0.0.1:{port}"))
    };
    let opened = said.lines().filter(|line| line.starts_with("open ")).filter_map(address);
    (process, opened.collect())
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream
}

/// The body of the answer to a request.
fn http(address: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    let length = body.len();
    let head = format!(
        "{head} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\
                        Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("it takes it");
    stream.write_all(body).expect("it takes it");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    answer.split_off(end)
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn a_megabyte_down_and_a_file_up_to_the_byte() {
    let firmware = Firmware::start();
    let (_bridge, at) = bridge(&firmware, &["0:80", "0:7"]);
    let pattern: Vec<u8> = http(&at[0], "GET /blob/1000", &[]);
    let body = http(&at[0], "GET /blob/1000000", &[]);
    assert_eq!(body.len(), 1_000_000);
    assert_eq!(body[..1000], pattern[..]);
    let again = http(&at[0], "GET /blob/1000000", &[]);
    assert!(again == body, "the same bytes twice");

    let file: Vec<u8> =
        (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let answer = http(&at[0], "POST /upload", &file);
    let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
    let sum: u64 = file.iter().map(|byte| u64::from(*byte)).sum();
    assert_eq!(answer["received"], 200_000);
    assert_eq!(answer["sum"], sum);

    // What is echoed ends when it was told that there is no more.
    let mut stream = connect(&at[1]);
    let mut reader = stream.try_clone().expect("a second handle");
    let echo = thread::spawn(move || {
        let mut back = Vec::new();
        reader.read_to_end(&mut back).map(|_| back)
    });
    stream.write_all(&file[..20_000]).expect("it takes it");
    stream.shutdown(Shutdown::Write).expect("half of it ends");
    assert!(echo.join().expect("it read").expect("an end") == file[..20_000]);
}

/// Two hundred clients at once, although the device has few control blocks and serves seven.
fn serve_two_hundred(variant: &'static str) {
    let firmware = Firmware::start_with(&Setup { variant, ..Setup::default() });
    let (bridge, at) = bridge(&firmware, &["0:80"]);
    let clients: Vec<_> = (0..200)
        .map(|_| {
            let address = at[0].clone();
            thread::spawn(move || http(&address, "GET /blob/100", &[]).len())
        })
        .collect();
    let served = clients.into_iter().filter_map(|client| client.join().ok());
    assert_eq!(served.filter(|length| *length == 100).count(), 200, "{}", bridge.stderr());
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn two_hundred_clients_at_once_are_all_served() {
    serve_two_hundred("plain");
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn two_hundred_clients_at_once_are_all_served_as_esp_idf_is_set() {
    serve_two_hundred("esp-idf");
}

/// The median round-trip time of pings, in milliseconds.
fn median_ping(firmware: &Firmware, count: &str) -> f64 {
    let output = run(["ping", "-d", &firmware.endpoint, "-c", count, "-i", "30ms"]);
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stdout}{stderr}");
    let time = |line: &str| line.split_once("time=")?.1.split(' ').next()?.parse().ok();
    let mut times: Vec<f64> = stdout.lines().filter_map(time).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn others_wait_for_little_during_transfers_side_by_side() {
    let firmware = Firmware::start();
    let (_bridge, at) = bridge(&firmware, &["0:80"]);
    http(&at[0], "GET /", &[]);
    let idle = median_ping(&firmware, "30");
    // On a quiet machine it is twice; without a bound on what is on its way, more than twenty.
    for (request, body) in [("GET /blob/200000", 0), ("POST /upload", 200_000)] {
        let body = vec![0x5a; body];
        let (loaded, rate) = ping_beside(&firmware, &at[0], (request, &body));
        println!(
            "{request}: ping {idle:.2} ms idle, {loaded:.2} ms beside {rate:.0} bytes a second"
        );
        assert!(loaded <= 4.0 * idle.max(1.0), "{request}: {loaded} ms, {idle} ms without");
    }
}

/// The median of pings beside such requests, in milliseconds, and how many bytes go by in a second.
fn ping_beside(
    firmware: &Firmware,
    address: &str,
    (request, body): (&'static str, &[u8]),
) -> (f64, f64) {
    let (address, body) = (address.to_owned(), body.to_vec());
    let busy = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let goes_on = busy.clone();
    let transfer = thread::spawn(move || {
        let (mut bytes, started) = (0, Instant::now());
        while goes_on.load(std::sync::atomic::Ordering::Relaxed) {
            bytes += http(&address, request, &body).len() + body.len();
        }
        bytes as f64 / started.elapsed().as_secs_f64()
    });
    thread::sleep(Duration::from_millis(300));
    let loaded = median_ping(firmware, "60");
    busy.store(false, std::sync::atomic::Ordering::Relaxed);
    (loaded, transfer.join().expect("it ended"))
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn the_machine_is_reset_and_forwards_go_on() {
    let firmware = Firmware::start();
    let (_bridge, at) = bridge(&firmware, &["0:80"]);
    let page = http(&at[0], "GET /blob/500", &[]);
    let from = firmware.log.len();
    firmware.qmp("system_reset", serde_json::json!({}));
    firmware.log.wait_for(from, "main: ready");
    assert_eq!(http(&at[0], "GET /blob/500", &[]), page);
}

#[test]
#[ignore = "needs QEMU and the firmware: scripts/test"]
fn console_and_tunnel_that_are_swapped_are_told() {
    let mut firmware = Firmware::start();
    let console = format!("tcp:{}", firmware.release_console());
    let mut command = uarttool();
    let bridge = Process::start(command.args(["bridge", "-d", &console, "--forward", "0:80"]));
    bridge.err.wait_for(0, "device ");
    firmware.qmp("system_reset", serde_json::json!({}));
    bridge.err.wait_for(0, "are console and tunnel swapped?");
}
