//! bridge: ports of this machine lead to the device, and what goes through them stays what it was.

mod support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::{Process, SOON, run, text, uarttool};

/// A bridge whose forwards are open, and where its control socket is.
struct Bridge {
    process: Process,
    control: String,
    _folder: tempfile::TempDir,
}

impl Bridge {
    fn start(device: &str, args: &[&str]) -> Bridge {
        let folder = tempfile::tempdir().expect("a folder");
        let control = folder.path().join("ctl").to_str().expect("a plain path").to_owned();
        let mut command = uarttool();
        command.args(["bridge", "-d", device, "--control", &control]).args(args);
        let process = Process::start(&mut command);
        let started = Instant::now();
        while !fs::exists(&control).unwrap_or(false) {
            assert!(started.elapsed() < SOON, "{}", process.stderr());
            thread::sleep(Duration::from_millis(5));
        }
        Bridge { process, control, _folder: folder }
    }

    fn ctl(&self, args: &[&str]) -> serde_json::Value {
        let base = ["bridge", "ctl", "--json", "--control", &self.control];
        let output = run([&base[..], args].concat());
        assert!(output.status.success(), "{}", text(&output).1);
        serde_json::from_str(&text(&output).0).expect("JSON")
    }

    /// Where the forward of this number listens.
    fn address(&self, number: usize) -> String {
        let list = self.ctl(&["list"]);
        let forward = list["forwards"][number]["forward"].as_str().expect("a forward").to_owned();
        let (_, rest) = forward.split_once(':').expect("a protocol");
        rest.rsplit_once(':').expect("a port").0.to_owned()
    }

    fn connect(&self, number: usize) -> TcpStream {
        let stream = TcpStream::connect(self.address(number)).expect("it listens");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        stream
    }

    fn stat(&self, name: &str) -> u64 {
        self.ctl(&["stats"])[name].as_u64().expect("a number")
    }
}

/// The answer to an HTTP request: head and body.
fn http(stream: &mut TcpStream, request: &[u8]) -> (String, Vec<u8>) {
    stream.write_all(request).expect("it takes it");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    (String::from_utf8_lossy(&answer[..end]).into_owned(), answer.split_off(end))
}

fn get(bridge: &Bridge, path: &str) -> (String, Vec<u8>) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    http(&mut bridge.connect(0), request.as_bytes())
}

/// Bytes that repeat late.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 7u32;
    let next = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*state >> 24) as u8
    };
    (0..n).map(|_| next(&mut state)).collect()
}

const FAST: &str = "sim,line-rate=0";

#[test]
fn much_goes_both_ways_to_the_byte() {
    let bridge = Bridge::start(FAST, &["--forward", "0:80", "--forward", "0:7"]);
    let (head, body) = get(&bridge, "/blob/1000000");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let line = b"uarttool reference device 0123456789 abcdefghijklmnopqrstuvwxyz\n";
    assert_eq!(body.len(), 1_000_000);
    assert!(body.chunks(64).all(|chunk| line.starts_with(chunk)));

    // A file that is sent arrives whole, and so does its end: only then does an echo end, too.
    let sent = noise(200_000);
    let mut stream = bridge.connect(1);
    let mut reader = stream.try_clone().expect("a second handle");
    let echo = thread::spawn(move || {
        let mut back = Vec::new();
        reader.read_to_end(&mut back).map(|_| back)
    });
    stream.write_all(&sent).expect("it takes it");
    stream.shutdown(Shutdown::Write).expect("half of it ends");
    let back = echo.join().expect("it read").expect("an end, and no reset");
    assert!(back == sent, "{} bytes of {}", back.len(), sent.len());
    assert_eq!(bridge.stat("connections"), 2);
}

#[test]
fn who_does_not_read_is_waited_for() {
    let bridge = Bridge::start(FAST, &["--forward", "0:19"]);
    let mut stream = bridge.connect(0); // chargen, which never ends
    let settled = |bridge: &Bridge| {
        let mut before = 0;
        loop {
            thread::sleep(Duration::from_millis(300));
            let now = bridge.stat("bytes_from_device");
            if now == before && now > 0 {
                return now;
            }
            before = now;
        }
    };
    let held = settled(&bridge); // all that the sockets of this machine take
    let mut some = vec![0; 3_000_000];
    stream.read_exact(&mut some).expect("it goes on");
    assert!(settled(&bridge) >= held + 2_000_000);
    let mut state = bridge.stat("open");
    drop(stream); // a reset, since there is unread data
    let started = Instant::now();
    while state > 0 {
        assert!(started.elapsed() < SOON, "the connection stays open");
        thread::sleep(Duration::from_millis(20));
        state = bridge.stat("open");
    }
}

#[test]
fn a_port_that_nobody_serves_resets_the_connection() {
    let bridge = Bridge::start(FAST, &["--forward", "0:81"]);
    let error = bridge.connect(0).read(&mut [0]).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    bridge.process.err.wait_for(0, "port 81: the device refuses the connection");
    assert_eq!(bridge.stat("failed"), 1);
}

#[test]
fn datagrams_go_both_ways_and_clients_are_told_apart() {
    let bridge = Bridge::start(FAST, &["--forward", "udp:0:7"]);
    let address = bridge.address(0);
    let clients: Vec<UdpSocket> = (0..5)
        .map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
            socket.set_read_timeout(Some(SOON)).expect("a timeout");
            socket.connect(&address).expect("an address");
            socket
        })
        .collect();
    for round in 0..3 {
        for (n, client) in clients.iter().enumerate() {
            client.send(format!("{n} {round}").as_bytes()).expect("sent");
        }
        for (n, client) in clients.iter().enumerate() {
            let mut answer = [0; 100];
            let length = client.recv(&mut answer).expect("an echo");
            assert_eq!(answer[..length], *format!("{n} {round}").as_bytes());
        }
    }
    // In one packet, and in several that are put together again.
    for length in [1400, 4000] {
        clients[0].send(&noise(length)).expect("sent");
        let mut back = [0; 5000];
        let n = clients[0].recv(&mut back).expect("an echo");
        assert!(back[..n] == noise(length), "{n} bytes of {length}");
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("an address").port()
}

fn device(port: u16) -> Process {
    let mut command = uarttool();
    let listen = format!("tcp-listen:127.0.0.1:{port}");
    let device = Process::start(command.args(["sim", "--line-rate", "0", "--listen", &listen]));
    device.err.wait_for(0, "listening");
    device
}

#[test]
fn a_connection_waits_for_a_device_and_forwards_outlive_it() {
    let port = free_port();
    let bridge = Bridge::start(&format!("tcp:127.0.0.1:{port}"), &["--forward", "0:80"]);
    for _ in 0..2 {
        let address = bridge.address(0);
        let waiting = thread::spawn(move || {
            let mut stream = TcpStream::connect(address).expect("it listens");
            http(&mut stream, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").0
        });
        thread::sleep(Duration::from_millis(500));
        assert!(!waiting.is_finished());
        let device = device(port);
        assert!(waiting.join().expect("it was answered").starts_with("HTTP/1.1 200"));
        drop(device);
        bridge.process.err.wait_for(0, "is gone");
    }
}

#[test]
fn what_was_given_up_before_the_device_came_does_not_reach_it() {
    let port = free_port();
    let endpoint = format!("tcp:127.0.0.1:{port}");
    let bridge = Bridge::start(&endpoint, &["--forward", "0:80", "--forward", "udp:0:7"]);
    let client = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    for _ in 0..50 {
        client.send_to(b"long ago", bridge.address(1)).expect("sent");
    }
    for is_reset in [false, true] {
        let mut stream = bridge.connect(0);
        stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").expect("there is room");
        if is_reset {
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("it can");
        }
    }
    let address = bridge.address(0);
    let waiting = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).expect("it listens");
        http(&mut stream, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").0
    });
    thread::sleep(Duration::from_millis(1500));
    let _device = device(port);
    assert!(waiting.join().expect("it was answered").starts_with("HTTP/1.1 200"));
    assert_eq!(bridge.stat("connections"), 1);
    assert_eq!(bridge.stat("datagrams"), 0);
}

#[test]
fn a_reset_is_passed_on_to_a_device_that_takes_nothing() {
    let port = free_port();
    let device = device(port);
    let bridge = Bridge::start(&format!("tcp:127.0.0.1:{port}"), &["--forward", "0:7"]);
    let mut stream = bridge.connect(0);
    stream.write_all(b"hello").expect("it takes it");
    stream.read_exact(&mut [0; 5]).expect("an echo");
    device.signal(Signal::STOP);
    stream.write_all(&noise(100_000)).expect("the system takes it");
    thread::sleep(Duration::from_millis(100));
    assert_eq!(bridge.stat("open"), 1);
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("it can");
    drop(stream);
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(bridge.stat("open"), 0);
}

/// The median of `count` pings, in milliseconds.
fn median_ping(endpoint: &str, count: &str) -> f64 {
    let output = run(["ping", "-d", endpoint, "-c", count, "-i", "100ms"]);
    let (stdout, stderr) = text(&output);
    let time = |line: &str| line.split_once("time=")?.1.split(' ').next()?.parse().ok();
    let mut times: Vec<f64> = stdout.lines().filter_map(time).collect();
    times.sort_by(f64::total_cmp);
    *times.get(times.len() / 2).unwrap_or_else(|| panic!("{stdout}{stderr}"))
}

#[test]
fn a_burst_of_datagrams_does_not_stand_in_front_of_others() {
    let port = free_port();
    let mut command = uarttool();
    let listen = format!("tcp-listen:127.0.0.1:{port}");
    let device = Process::start(command.args(["sim", "--model", "esp32-new", "--listen", &listen]));
    device.err.wait_for(0, "listening");
    let endpoint = format!("tcp:127.0.0.1:{port}");
    let bridge = Bridge::start(&endpoint, &["--forward", "udp:0:9"]);
    let client = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = bridge.address(0);
    median_ping(&endpoint, "1");
    let sender = thread::spawn(move || {
        for _ in 0..1000 {
            let _ = client.send_to(&noise(1000), &address);
            thread::sleep(Duration::from_millis(2));
        }
    });
    let loaded = median_ping(&endpoint, "9");
    sender.join().expect("it sent");
    // Sixteen kilobytes on this line would be 1400 ms.
    assert!(loaded < 600.0, "{loaded} ms");
}

#[test]
fn a_connection_does_not_wait_for_ever() {
    let port = free_port();
    let endpoint = format!("tcp:127.0.0.1:{port}");
    let bridge = Bridge::start(&endpoint, &["--forward", "0:80", "--hold", "300ms"]);
    let started = Instant::now();
    let error = bridge.connect(0).read(&mut [0]).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(started.elapsed() >= Duration::from_millis(300));
    bridge.process.err.wait_for(0, "port 80: the device does not answer");
}

/// The longest receive queue of the sockets that listen or serve at `port`, in bytes.
fn receive_queue(port: u16) -> u64 {
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux tells");
    let local = format!(":{port:04X}");
    let rows = table.lines().filter(|row| {
        row.split_whitespace().nth(1).is_some_and(|address| address.ends_with(&local))
    });
    let queue = |row: &str| {
        let queues = row.split_whitespace().nth(4)?;
        u64::from_str_radix(queues.split_once(':')?.1, 16).ok()
    };
    rows.filter_map(queue).max().unwrap_or(0)
}

#[test]
fn a_device_that_stands_still_has_little_in_front_of_it() {
    let port = free_port();
    let device = device(port);
    let endpoint = format!("tcp:127.0.0.1:{port}");
    let bridge = Bridge::start(&endpoint, &["--forward", "0:7", "--forward", "udp:0:7"]);
    let mut first = bridge.connect(0);
    first.write_all(b"hello").expect("it takes it");
    first.read_exact(&mut [0; 5]).expect("an echo");
    device.signal(Signal::STOP);
    let client = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let address = bridge.address(1);
    let mut most = 0;
    for _ in 0..100 {
        let _ = client.send_to(&noise(1000), &address);
        thread::sleep(Duration::from_millis(2));
        most = most.max(receive_queue(port));
    }
    assert!((1000..=16 * 1024).contains(&most), "{most} bytes");
    device.signal(Signal::CONT);
    first.write_all(b"again").expect("it takes it");
    let mut back = [0; 5];
    first.read_exact(&mut back).expect("an echo");
    assert_eq!(&back, b"again");
}

#[test]
fn others_go_through_it_and_everything_is_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.pcapng");
    let path = path.to_str().expect("a plain path");
    let port = free_port();
    let _device = device(port);
    let endpoint = format!("tcp:127.0.0.1:{port}");
    let bridge = Bridge::start(&endpoint, &["--forward", "0:80", "-w", path]);
    get(&bridge, "/");
    let output = run(["ping", "-d", &endpoint, "-c", "3", "-i", "10ms"]);
    assert!(output.status.success(), "{}", text(&output).1);
    assert!(text(&output).1.contains("attached to uarttool bridge"), "{}", text(&output).1);
    get(&bridge, "/");
    assert!(bridge.process.interrupt().success());
    let seen = |filter: &str| {
        let (stdout, _) = text(&run(["decode", path, filter]));
        stdout.lines().count()
    };
    assert_eq!(seen("icmp"), 6);
    assert_eq!(seen("tcp.flags.syn and not tcp.flags.ack and to device"), 2);
    assert!(seen("http and from device") >= 2);
    assert_eq!(seen("malformed"), 0);
}

#[test]
fn forwards_come_and_go_while_it_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("web.sock");
    let bridge = Bridge::start(FAST, &["--forward", "0:80"]);
    let forward = format!("unix:{}:80", socket.display());
    let opened = bridge.ctl(&["forward", &forward]);
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let number = opened["number"].to_string();
    bridge.ctl(&["forward", "--remove", &number]);
    assert!(!socket.exists());
    let address = bridge.address(0);
    let control = bridge.control.as_str();
    for (args, wanted) in [
        (vec!["forward", "--remove", "99"], "there is no forward 99"),
        (vec!["forward", &address[10..]], "already in use"),
    ] {
        let output = run([&["bridge", "ctl", "--control", control][..], &args].concat());
        assert_eq!(output.status.code(), Some(3));
        assert!(text(&output).1.contains(wanted), "{}", text(&output).1);
    }
    assert!(bridge.process.interrupt().success());
    assert!(!fs::exists(control).expect("a folder"));
}

#[test]
fn mistakes_are_explained() {
    for (args, code, wanted) in [
        (vec!["--forward", "8080:http"], 2, "'http' is not a port"),
        (vec!["--net", "tun:x"], 2, "there is no network 'tun:x'"),
        (vec!["--forward", "192.0.2.1:8080:80"], 3, "give an address of this machine"),
        (vec!["--forward", "0:255.255.255.255:80"], 2, "it is not the address of one device"),
        (vec!["ctl", "--control", "/nonexistent/ctl", "list"], 3, "cannot ask the bridge"),
    ] {
        let output = run([&["bridge"][..], &args].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert!(text(&output).1.contains(wanted), "{args:?}: {}", text(&output).1);
    }
}

#[test]
fn a_device_with_another_address_is_found_and_a_wrong_word_about_it_is_told() {
    // The built-in device is 192.168.100.2; we begin with other beliefs.
    let bridge = Bridge::start(FAST, &["--forward", "0:80"]);
    bridge
        .process
        .err
        .wait_for(0, "learned  192.168.100.2 02:00:00:00:00:02 (gratuitous ARP, 0.0 s)");
    let args = ["--forward", "0:80", "--device-ip", "192.168.100.9", "--hold", "300ms"];
    let bridge = Bridge::start(FAST, &args);
    bridge
        .process
        .err
        .wait_for(0, "the device says that it is 192.168.100.2, and '--device-ip' says");
}

#[test]
fn a_device_is_judged_through_the_bridge_that_holds_it_and_its_forwards_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = format!("unix-listen:{}", folder.path().join("line").display());
    let device = Process::start(uarttool().args(["sim", "--listen", &line]));
    device.err.wait_for(0, "listening");
    let line = line.replace("unix-listen:", "unix:");
    let bridge = Bridge::start(&line, &["--forward", "0:80"]);
    assert!(get(&bridge, "/").0.starts_with("HTTP/1.1 200"));
    let judge = ["conformance", "-d", &line, "icmp.echo-basic", "link.oversize-header-only"];
    let output = run([&judge[..], &["http.get-root", "tcp.graceful-close"]].concat());
    let (stdout, stderr) = text(&output);
    assert!(stderr.contains("uarttool bridge (pid"), "{stderr}");
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("14 results: 14 passed"), "{stdout}");
    assert!(get(&bridge, "/").0.starts_with("HTTP/1.1 200"));
}
