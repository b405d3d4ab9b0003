//! One line, several uarttools: the holder and those attached to it, with a device in this process.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::{Process, SOON, lines_with};
use tempfile::TempDir;

/// The reply that a well-behaved device gives to an echo request.
fn echoed(request: &[u8]) -> Vec<u8> {
    let mut reply = request.to_vec();
    reply[..6].copy_from_slice(&request[6..12]);
    reply[6..12].copy_from_slice(&request[..6]);
    reply[26..30].copy_from_slice(&request[30..34]);
    reply[30..34].copy_from_slice(&request[26..30]);
    reply[34] = 0;
    let checksum = u16::from_be_bytes([reply[36], reply[37]]);
    let (sum, carry) = checksum.overflowing_add(0x0800);
    reply[36..38].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
    reply
}

/// A device that serves one client, answers echo requests, and keeps what it was sent.
struct Device {
    endpoint: String,
    port: u16,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    client: Arc<Mutex<Option<TcpStream>>>,
}

impl Device {
    fn start() -> Device {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("an address").port();
        let received = Arc::default();
        let client: Arc<Mutex<Option<TcpStream>>> = Arc::default();
        let (frames, current) = (Arc::clone(&received), client.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                stream.set_nodelay(true).expect("a TCP socket");
                let second = stream.try_clone().expect("a second handle");
                *current.lock().expect("no panic") = Some(second);
                answer(stream, &frames);
            }
        });
        Device { endpoint: format!("tcp:127.0.0.1:{port}"), port, received, client }
    }

    fn echo_requests(&self) -> usize {
        let frames = self.received.lock().expect("no panic");
        frames.iter().filter(|frame| frame.get(34) == Some(&8)).count()
    }

    /// Puts bytes on the line.
    fn send(&self, bytes: &[u8]) {
        let client = self.client.lock().expect("no panic");
        client.as_ref().expect("a client").write_all(bytes).expect("it is sent");
    }

    /// Ends the connection, as a device that is switched off.
    fn hang_up(&self) {
        let client = self.client.lock().expect("no panic").take().expect("a client");
        client.shutdown(std::net::Shutdown::Both).expect("it was up");
    }
}

/// Serves one client until it leaves.
fn answer(mut stream: TcpStream, frames: &Mutex<Vec<Vec<u8>>>) {
    let mut header = [0; 2];
    while stream.read_exact(&mut header).is_ok() {
        let mut frame = vec![0; u16::from_be_bytes(header).into()];
        if stream.read_exact(&mut frame).is_err() {
            return;
        }
        if frame.get(12..14) == Some(&[8, 0]) && frame.get(34) == Some(&8) {
            let reply = echoed(&frame);
            let mut bytes = (reply.len() as u16).to_be_bytes().to_vec();
            bytes.extend(reply);
            if stream.write_all(&bytes).is_err() {
                return;
            }
        }
        frames.lock().expect("no panic").push(frame);
    }
}

/// A runtime folder and the uarttools that share it.
struct World {
    runtime: TempDir,
}

impl World {
    fn new() -> World {
        World { runtime: tempfile::tempdir().expect("a folder") }
    }

    fn uarttool(&self, args: &[&str]) -> Command {
        let mut command = support::uarttool();
        command.args(args).env("XDG_RUNTIME_DIR", self.runtime.path());
        command.current_dir(self.runtime.path());
        command
    }

    fn start(&self, args: &[&str]) -> Process {
        Process::start(&mut self.uarttool(args))
    }

    fn sockets(&self) -> PathBuf {
        self.runtime.path().join("uarttool")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.runtime.path().join(name)
    }

    /// A sniff that holds the line of `device`.
    fn holder(&self, endpoint: &str, args: &[&str]) -> Process {
        let process = self.start(&[&["sniff", "-d", endpoint], args].concat());
        process.err.wait_for(0, "connected to");
        process
    }

    /// A sniff that is attached.
    fn watcher(&self, endpoint: &str, args: &[&str]) -> Process {
        let process = self.start(&[&["sniff", "-d", endpoint], args].concat());
        process.err.wait_for(0, "attached to");
        process
    }

    /// Runs a ping to its end: exit code, stdout, stderr.
    fn ping(&self, args: &[&str]) -> (i32, String, String) {
        let ping = self.start(&[&["ping"], args].concat());
        let code = ping.wait(Duration::from_secs(60)).code().expect("it ended by itself");
        (code, ping.stdout(), ping.stderr())
    }
}

/// The frames of a pcapng file that we have written: direction flags and bytes, in order.
fn frames_of(path: &Path) -> Vec<(u32, Vec<u8>)> {
    use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
    use pcap_file::pcapng::{Block, PcapNgReader};
    let file = std::fs::File::open(path).expect("a capture");
    let mut reader = PcapNgReader::new(file).expect("a pcapng file");
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        let (Block::EnhancedPacket(packet), _) = block.expect("a whole block") else { continue };
        let flags = packet.options.iter().find_map(|option| match option {
            EnhancedPacketOption::Flags(flags) => Some(*flags),
            _ => None,
        });
        if packet.interface_id == 0 {
            frames.push((flags.unwrap_or_default(), packet.data.to_vec()));
        }
    }
    frames
}

/// (to the device, from it).
fn directions(frames: &[(u32, Vec<u8>)]) -> (usize, usize) {
    let count = |wanted| frames.iter().filter(|(flags, _)| *flags == wanted).count();
    (count(2), count(1))
}

#[test]
fn a_ping_through_a_sniff_loses_nothing_and_all_captures_are_the_same() {
    let (world, device) = (World::new(), Device::start());
    let [held, watched, pinged] = ["held", "watched", "pinged"].map(|name| {
        let path = world.file(&format!("{name}.pcapng"));
        path.to_str().expect("UTF-8").to_owned()
    });
    let holder = world.holder(&device.endpoint, &["-qq", "-w", &held]);
    let watcher = world.watcher(&device.endpoint, &["-qq", "-w", &watched]);
    let said = format!(
        "attached to uarttool sniff (pid {}), which holds {}\n",
        holder.id(),
        device.endpoint
    );
    assert_eq!(watcher.err.wait_for(0, "\n"), said);
    let args = ["-d", &device.endpoint, "-c", "1000", "-i", "1ms", "-q", "-w", &pinged];
    let (code, report, stderr) = world.ping(&args);
    assert_eq!(code, 0, "{report}{stderr}");
    assert_eq!(stderr, said);
    assert!(report.contains("1000 packets transmitted, 1000 received, 0% packet loss"), "{report}");
    thread::sleep(Duration::from_millis(100));
    assert!(watcher.interrupt().success(), "{}", watcher.stderr());
    assert!(holder.interrupt().success(), "{}", holder.stderr());
    let summary = "2000 frames (1000 to the device, 1000 from it)";
    for process in [&holder, &watcher] {
        assert!(process.stderr().contains(summary), "{}", process.stderr());
        assert!(process.stderr().contains("0 framing errors, 0 dropped"), "{}", process.stderr());
    }
    let frames = frames_of(Path::new(&held));
    assert_eq!(directions(&frames), (1000, 1000));
    assert!(frames == frames_of(Path::new(&watched)), "holder and watcher saw the same");
    assert!(frames == frames_of(Path::new(&pinged)), "so did the sender");
    assert_eq!(device.echo_requests(), 1000);
}

/// A connection to the socket of a holder, through the library.
fn attach(world: &World) -> (tokio::runtime::Runtime, uarttool::endpoint::Attached) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
    let (_, path) = uarttool::share::places::sockets(&world.sockets()).remove(0);
    let attached = runtime.block_on(uarttool::endpoint::Attached::to(&path, "test"));
    (runtime, attached.expect("it is welcome"))
}

#[test]
fn auto_finds_the_line_that_is_held_and_no_attach_does_not() {
    let (world, device) = (World::new(), Device::start());
    let holder = world.holder(&device.endpoint, &["-q", "--max-frame", "1400"]);
    let (code, report, stderr) = world.ping(&["-c", "3", "-i", "10ms"]);
    assert_eq!(code, 0, "{report}{stderr}");
    let who = format!("uarttool sniff (pid {})", holder.id());
    let endpoint = &device.endpoint;
    let expected = format!(
        "using {endpoint},framing=len16be,max-frame=1400: {who} holds it\n\
         attached to {who}, which holds {endpoint}\n"
    );
    assert_eq!(stderr, expected);
    for explicit in [format!("tcp:localhost:{}", device.port), endpoint.clone()] {
        let (code, _, stderr) = world.ping(&["-d", &explicit, "-c", "1"]);
        assert_eq!((code, stderr), (0, format!("attached to {who}, which holds {endpoint}\n")));
    }
    let (code, _, stderr) = world.ping(&["-d", endpoint, "-c", "1", "--no-attach"]);
    assert_eq!(code, 3);
    assert!(stderr.contains(&format!("{endpoint} is held by uarttool (pid {})", holder.id())));
    assert_eq!(device.echo_requests(), 5, "nothing was sent while queued");
}

#[test]
fn a_unix_socket_is_the_same_by_any_path() {
    let world = World::new();
    let path = world.file("uart1.sock");
    let listener = UnixListener::bind(&path).expect("a listener");
    let accepting = thread::spawn(move || listener.accept().expect("it comes"));
    let holder = world.holder("unix:uart1.sock", &[]);
    let _client = accepting.join().expect("no panic");
    let watcher = world.watcher(&format!("unix:{}", path.display()), &[]);
    let said =
        format!("attached to uarttool sniff (pid {}), which holds unix:uart1.sock\n", holder.id());
    assert_eq!(watcher.err.wait_for(0, "\n"), said);
}

#[test]
fn a_ping_shares_its_line_too_and_directions_are_right() {
    let (world, device) = (World::new(), Device::start());
    let ping = world.start(&["ping", "-d", &device.endpoint, "-i", "20ms"]);
    ping.out.wait_for(0, "icmp_seq=2 ");
    let watcher = world.watcher(&device.endpoint, &["-c", "20"]);
    assert!(watcher.wait(SOON).success());
    let stdout = watcher.stdout();
    assert_eq!(
        lines_with(&stdout, " -> IP 192.168.100.1 > 192.168.100.2: ICMP echo req").len(),
        10
    );
    assert_eq!(
        lines_with(&stdout, " <- IP 192.168.100.2 > 192.168.100.1: ICMP echo rep").len(),
        10
    );
    let (code, report, _) =
        world.ping(&["-d", &device.endpoint, "-c", "5", "-i", "10ms", "-e", "9"]);
    assert_eq!(code, 0, "{report}");
    // It has the line alone by its nature: nobody can take it away from it.
    let (runtime, attached) = attach(&world);
    let error = runtime.block_on(attached.alone()).expect_err("the holder is sending");
    assert!(error.chain().contains("is sending itself"), "{}", error.chain());
    // Its end is the end of those attached.
    let watcher = world.watcher(&device.endpoint, &[]);
    assert!(ping.interrupt().success());
    assert_eq!(watcher.wait(SOON).code(), Some(3));
    let said = format!("went away: uarttool ping (pid {}) ended", ping.id());
    assert!(watcher.stderr().contains(&said), "{}", watcher.stderr());
}

#[test]
fn who_has_the_line_alone_keeps_others_from_sending_and_gives_it_back_by_dying() {
    let (world, device) = (World::new(), Device::start());
    let _holder = world.holder(&device.endpoint, &["-q"]);
    let (runtime, attached) = attach(&world);
    let alone = runtime.block_on(attached.alone()).expect("nobody else has it");
    let (code, _, stderr) = world.ping(&["-d", &device.endpoint, "-c", "1"]);
    assert_eq!(code, 3);
    let reason = format!("uarttool test (pid {}) has the line alone", std::process::id());
    assert!(stderr.contains(&reason), "{stderr}");
    let watcher = world.watcher(&device.endpoint, &["-c", "1"]); // watching is free
    let mut link = alone.into_link("the line");
    let frame = bytes::Bytes::from_static(&[7; 60]);
    runtime.block_on(link.tx.send(&[frame])).expect("we may");
    assert!(watcher.wait(SOON).success());
    drop((link, runtime));
    let deadline = Instant::now() + SOON;
    while world.ping(&["-d", &device.endpoint, "-c", "1"]).0 != 0 {
        assert!(Instant::now() < deadline, "it was not given back");
    }
    assert_eq!(device.echo_requests(), 1);
}

#[test]
fn a_holder_that_was_killed_is_noticed_and_its_socket_removed() {
    let (world, device) = (World::new(), Device::start());
    let holder = world.holder(&device.endpoint, &[]);
    let reconnecting = format!("{},reconnect=50ms", device.endpoint);
    let ends = world.watcher(&device.endpoint, &[]);
    let goes_on = world.watcher(&reconnecting, &[]);
    let pings = world.start(&["ping", "-d", &device.endpoint, "-i", "10ms"]);
    pings.out.wait_for(0, "icmp_seq=3 ");
    holder.signal(Signal::KILL);
    holder.wait(SOON);
    for process in [&ends, &pings] {
        assert_eq!(process.wait(SOON).code(), Some(3), "{}", process.stderr());
        let said = format!("uarttool sniff (pid {}) is gone", holder.id());
        assert!(process.stderr().contains(&said), "{}", process.stderr());
    }
    // The one that reconnects holds the line itself now, and the next is attached to it.
    goes_on.out.wait_for(0, "** link connected");
    let (code, _, stderr) = world.ping(&["-d", &device.endpoint, "-c", "1"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains(&format!("attached to uarttool sniff (pid {})", goes_on.id())));
    // A dying process may close its connections a moment before its listener, so that the first who
    // looks can be too early to find the socket stale; the next is not.
    assert_eq!(std::fs::read_dir(world.sockets()).expect("the folder").count(), 1);
}

#[test]
fn a_stale_socket_is_removed_and_the_line_used_directly() {
    let (world, device) = (World::new(), Device::start());
    let holder = world.holder(&device.endpoint, &[]);
    holder.signal(Signal::KILL);
    holder.wait(SOON);
    let left = std::fs::read_dir(world.sockets()).expect("the folder").count();
    assert_eq!(left, 1, "it was left behind");
    let (code, _, stderr) = world.ping(&["-d", &device.endpoint, "-c", "1"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(std::fs::read_dir(world.sockets()).expect("the folder").count(), 0);
}

#[test]
fn of_several_that_go_on_without_their_holder_one_holds_the_line_and_the_others_attach() {
    let (world, device) = (World::new(), Device::start());
    let reconnecting = format!("{},reconnect=100ms", device.endpoint);
    let holder = world.holder(&reconnecting, &[]);
    let survivors = [(); 3].map(|()| world.watcher(&reconnecting, &[]));
    holder.signal(Signal::KILL);
    holder.wait(SOON);
    let starts = [0, 1, 2].map(|n| survivors[n].out.len());
    // Whoever comes too late for the line itself waits for it, and attaches to who has it instead.
    for survivor in &survivors {
        survivor.out.wait_for(0, "** link connected");
    }
    let (code, _, stderr) = world.ping(&["-d", &device.endpoint, "-c", "3", "-i", "10ms"]);
    assert_eq!(code, 0, "{stderr}");
    for (survivor, start) in survivors.iter().zip(starts) {
        survivor.out.wait_for(start, "seq 3, length 64  (");
    }
}

#[test]
fn sockets_that_never_answer_delay_a_command_no_more_than_one_of_them() {
    let (world, device) = (World::new(), Device::start());
    let first = world.holder(&device.endpoint, &["--duration", "300ms"]); // makes the folder
    first.wait(SOON);
    let silent: Vec<_> = (0..6)
        .map(|n| UnixListener::bind(world.sockets().join(format!("{}-0.sock", 1_000_000 + n))))
        .collect();
    assert!(silent.iter().all(Result::is_ok), "{silent:?}");
    let started = Instant::now();
    let (code, _, stderr) = world.ping(&["-d", &device.endpoint, "-c", "1"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(started.elapsed() < Duration::from_millis(2500), "{:?}", started.elapsed());
}

#[test]
fn a_line_that_takes_nothing_keeps_nobody_from_attaching() {
    let world = World::new();
    // A device that accepts and never reads: whoever sends much to it is held up.
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let endpoint = format!("tcp:{}", listener.local_addr().expect("an address"));
    let stuck = thread::spawn(move || listener.accept().map(|(stream, _)| stream));
    let holder =
        world.start(&["sniff", "-d", &endpoint, "--proxy", "tcp-listen:127.0.0.1:0", "-qq"]);
    let said = holder.err.wait_for(0, "listening on tcp:");
    let near = said.split("listening on tcp:").nth(1).and_then(|rest| rest.lines().next());
    holder.err.wait_for(0, "connected to");
    let _device = stuck.join().expect("no panic").expect("the holder");
    let mut client = TcpStream::connect(near.expect("an address")).expect("the proxy");
    client.set_write_timeout(Some(Duration::from_millis(300))).expect("a time");
    let burst = framed(&marked(7, 1400)).repeat(100);
    while client.write_all(&burst).is_ok() {} // until nothing more goes
    let started = Instant::now();
    let watcher = world.watcher(&endpoint, &[]);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(watcher.interrupt().success());
}

#[test]
fn a_lost_line_ends_those_attached_unless_they_reconnect_and_the_holder_stays_the_holder() {
    let (world, device) = (World::new(), Device::start());
    let reconnecting = format!("{},reconnect=50ms", device.endpoint);
    let holder = world.holder(&reconnecting, &[]);
    let ends = world.watcher(&device.endpoint, &[]);
    let goes_on = world.watcher(&reconnecting, &[]);
    let told = goes_on.err.len();
    device.hang_up();
    assert_eq!(ends.wait(SOON).code(), Some(3));
    assert!(ends.stderr().contains("went away: closed by the other end"), "{}", ends.stderr());
    holder.out.wait_for(0, "** link connected");
    goes_on.out.wait_for(0, "** link connected");
    let attached = format!("attached to uarttool sniff (pid {})", holder.id());
    goes_on.err.wait_for(told, &attached);
    assert_eq!(lines_with(&goes_on.stderr(), &attached).len(), 2, "{}", goes_on.stderr());
    assert_eq!(lines_with(&goes_on.stdout(), "** link lost").len(), 1, "{}", goes_on.stdout());
    let from = goes_on.out.len();
    let (code, _, stderr) = world.ping(&["-d", &device.endpoint, "-c", "1"]);
    assert_eq!(code, 0, "{stderr}");
    goes_on.out.wait_for(from, "ICMP echo reply");
    assert!(goes_on.interrupt().success());
    assert!(holder.interrupt().success());
}

#[test]
fn a_holder_of_another_version_gives_one_clear_sentence() {
    let (world, device) = (World::new(), Device::start());
    std::fs::create_dir(world.sockets()).expect("a folder");
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(world.sockets(), private).expect("ours");
    let listener = UnixListener::bind(world.sockets().join("1-0.sock")).expect("a listener");
    let mut hello = b"\x01uarttool\x00\x02\x00\x00\x00\x00\x10\x92\x00\x05sniff\x01".to_vec();
    hello.extend((device.endpoint.len() as u16).to_be_bytes());
    hello.extend(device.endpoint.as_bytes());
    hello.extend(b"what version 2 says");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: UnixStream = stream.expect("a connection");
            let _ = stream.write_all(&(hello.len() as u32).to_be_bytes());
            let _ = stream.write_all(&hello);
        }
    });
    for args in [&["-d", &device.endpoint][..], &[]] {
        let (code, _, stderr) = world.ping(&[args, &["-c", "1"]].concat());
        assert_eq!(code, 3);
        let sentence = format!(
            "uarttool: uarttool sniff (pid 4242) holds {} and shares it by version 2 of the \
             protocol, this uarttool by version 1\n  use the same uarttool for both, or end that \
             one\n",
            device.endpoint
        );
        assert_eq!(stderr, sentence);
    }
    let (code, _, stderr) = world.ping(&["-d", &device.endpoint, "-c", "1", "--no-attach"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
}

#[test]
fn the_folder_and_the_socket_are_private_and_a_folder_that_is_not_is_not_used() {
    let (world, device) = (World::new(), Device::start());
    let holder = world.holder(&device.endpoint, &[]);
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode();
    assert_eq!(mode(&world.sockets()) & 0o777, 0o700);
    let (_, socket) = uarttool::share::places::sockets(&world.sockets()).remove(0);
    assert_eq!(mode(&socket) & 0o777, 0o600);
    assert!(holder.interrupt().success());
    assert!(!socket.exists());
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(world.sockets(), open).expect("ours");
    let (code, _, stderr) = world.ping(&["-d", &device.endpoint, "-c", "1"]);
    assert_eq!(code, 0, "the line itself is there");
    assert!(stderr.contains("is open to others (mode 755)"), "{stderr}");
}

#[test]
fn a_holder_that_is_stopped_is_passed_over_in_time() {
    let (world, device) = (World::new(), Device::start());
    let holder = world.holder(&device.endpoint, &[]);
    holder.signal(Signal::STOP);
    let started = Instant::now();
    let (code, _, stderr) = world.ping(&["-d", &device.endpoint, "-c", "1"]);
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(code, 3);
    assert!(stderr.contains(&format!("is held by uarttool (pid {})", holder.id())), "{stderr}");
    holder.signal(Signal::CONT);
}

/// A frame behind its length.
fn framed(frame: &[u8]) -> Vec<u8> {
    [&(frame.len() as u16).to_be_bytes()[..], frame].concat()
}

/// A frame of a protocol of its own, marked.
fn marked(mark: u8, length: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    frame.resize(length, mark);
    frame
}

/// A proxy in front of `device` and the port it offers.
fn proxy(world: &World, device: &Device, args: &[&str]) -> (Process, u16) {
    let listen = ["--proxy", "tcp-listen:127.0.0.1:0"];
    let process = world.holder(&device.endpoint, &[&listen[..], args].concat());
    let said = process.err.wait_for(0, "listening on ");
    let port =
        said.split("listening on tcp:127.0.0.1:").nth(1).and_then(|rest| rest.lines().next());
    (process, port.and_then(|port| port.parse().ok()).expect("a port"))
}

#[test]
fn through_a_proxy_frames_go_in_between_those_of_its_client_never_into_one() {
    let (world, device) = (World::new(), Device::start());
    let capture = world.file("proxy.pcapng");
    let capture_text = capture.to_str().expect("UTF-8");
    let (tap, port) = proxy(&world, &device, &["-qq", "-w", capture_text]);
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("the proxy");
    tap.err.wait_for(0, "connected to tcp-listen");
    client.set_nodelay(true).expect("a TCP socket");
    let frame = framed(&marked(0xcc, 1000));
    // In the middle of a frame the ping has to wait; behind it, it goes at once.
    client.write_all(&frame[..300]).expect("it is passed on");
    thread::sleep(Duration::from_millis(50));
    let ping = world.start(&["ping", "-d", &device.endpoint, "-c", "1", "-W", "5s"]);
    ping.err.wait_for(0, "attached to uarttool sniff --proxy");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(device.received.lock().expect("no panic").len(), 0);
    client.write_all(&frame[300..]).expect("it is passed on");
    assert!(ping.wait(SOON).success(), "{}", ping.stderr());

    // A client that never pauses, in pieces that never end with a frame.
    let args = ["-d", &device.endpoint, "-c", "50", "-i", "2ms", "-W", "9s", "-q"];
    let pinging = thread::scope(|scope| {
        let pinging = scope.spawn(|| world.ping(&args));
        client.write_all(&frame[..300]).expect("it is passed on");
        let piece = [&frame[300..], &frame[..300]].concat();
        let mut whole = 1;
        while !pinging.is_finished() {
            client.write_all(&piece).expect("it is passed on");
            thread::sleep(Duration::from_micros(100));
            whole += 1;
        }
        client.write_all(&frame[300..]).expect("it is passed on");
        (pinging.join().expect("no panic"), whole)
    });
    let ((code, report, stderr), whole) = pinging;
    assert_eq!(code, 0, "{report}{stderr}");
    let deadline = Instant::now() + SOON;
    while device.received.lock().expect("no panic").len() < 52 + whole {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(10));
    }
    let frames = device.received.lock().expect("no panic").clone();
    assert_eq!(frames.iter().filter(|frame| **frame == marked(0xcc, 1000)).count(), 1 + whole);
    assert_eq!(device.echo_requests(), 51);
    assert!(tap.interrupt().success());
    let seen: Vec<_> = frames_of(&capture).into_iter().filter(|(flags, _)| *flags == 2).collect();
    assert!(
        seen.iter().map(|(_, frame)| frame).eq(&frames),
        "the capture shows what went, in order"
    );
    assert!(tap.stderr().contains("0 framing errors, 0 dropped"), "{}", tap.stderr());
}

#[test]
fn a_client_that_stays_in_the_middle_of_a_frame_does_not_keep_others_waiting_for_good() {
    let (world, device) = (World::new(), Device::start());
    let (tap, port) = proxy(&world, &device, &["-qq"]);
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("the proxy");
    tap.err.wait_for(0, "connected to tcp-listen");
    client.write_all(&framed(&marked(1, 100))[..50]).expect("it is passed on");
    thread::sleep(Duration::from_millis(50));
    let started = Instant::now();
    let (runtime, attached) = attach(&world);
    let mut link = attached.into_link("the line");
    let frame = bytes::Bytes::from(marked(2, 60));
    runtime.block_on(link.tx.send(&[frame])).expect("in the end it goes");
    let waited = started.elapsed();
    assert!((900..2500).contains(&waited.as_millis()), "{waited:?}");
    // While a client is there, nobody gets the line alone.
    drop(link);
    let (runtime, attached) = attach(&world);
    let error = runtime.block_on(attached.alone()).expect_err("a client is there");
    assert!(error.chain().contains("is connected to the proxy"), "{}", error.chain());
}

/// An echo request of 98 bytes, with every checksum right.
fn echo_request() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
    frame.extend([0x45, 0, 0, 84, 0, 1, 0x40, 0, 64, 1, 0xf1, 0x53, 192, 168, 100, 1]);
    frame.extend([192, 168, 100, 2, 8, 0, 0x00, 0xe5, 0, 7, 0, 1]);
    frame.extend((0..56).map(|n| n as u8));
    frame
}

/// The median and the longest of `count` round trips through `port`, `pause` apart.
fn round_trips(stream: &mut TcpStream, count: usize, pause: Duration) -> (Duration, Duration) {
    let request = framed(&echo_request());
    let mut reply = vec![0; request.len()];
    let mut times: Vec<_> = (0..count)
        .map(|_| {
            thread::sleep(pause);
            let started = Instant::now();
            stream.write_all(&request).expect("it is sent");
            stream.read_exact(&mut reply).expect("it comes back");
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[count / 2], times[count - 1])
}

/// `N frames`, `M dropped` of a summary.
fn totals(stderr: &str) -> (usize, usize) {
    let line = lines_with(stderr, " dropped").pop().unwrap_or_else(|| panic!("{stderr}"));
    let words: Vec<_> = line.split_whitespace().collect();
    let number = |word: &str| word.parse().unwrap_or_else(|_| panic!("{line}"));
    (number(words[0]), number(words[words.len() - 2]))
}

#[test]
fn of_32_watchers_one_that_is_stuck_costs_the_line_and_the_others_nothing_side_by_side() {
    let (world, device) = (World::new(), Device::start());
    let (tap, port) = proxy(&world, &device, &["-qq"]);
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("the proxy");
    client.set_nodelay(true).expect("a TCP socket");
    tap.err.wait_for(0, "connected to tcp-listen");
    let pace = Duration::from_millis(5);
    let alone = round_trips(&mut client, 300, pace);
    let watchers: Vec<_> = (0..32).map(|_| world.watcher(&device.endpoint, &["-qq"])).collect();
    let watched = round_trips(&mut client, 300, pace);
    watchers[0].signal(Signal::STOP);
    let stuck = round_trips(&mut client, 300, pace);

    // More than any queue holds, as fast as a line of 10 MB/s.
    let burst = 30_000;
    let frame = framed(&marked(3, 1000));
    let started = Instant::now();
    for n in 0..burst / 10 {
        client.write_all(&frame.repeat(10)).expect("it is passed on");
        let due = Duration::from_millis(n as u64 + 1);
        thread::sleep(due.saturating_sub(started.elapsed()));
    }
    let after = round_trips(&mut client, 100, pace);
    println!("alone {alone:?}, 32 watchers {watched:?}, one stuck {stuck:?}, full {after:?}");
    let bearable = alone.0 * 3 + Duration::from_micros(500);
    for (median, _) in [watched, stuck, after] {
        assert!(median < bearable, "{median:?}, and alone {:?}", alone.0);
    }

    let total = 2 * 600 + burst + 2 * 100; // since the watchers are there
    watchers[0].signal(Signal::CONT);
    thread::sleep(Duration::from_millis(500));
    for watcher in &watchers {
        watcher.signal(Signal::INT);
    }
    for (n, watcher) in watchers.iter().enumerate() {
        assert!(watcher.wait(SOON).success());
        let (captured, dropped) = totals(&watcher.stderr());
        assert_eq!(captured + dropped, total, "watcher {n}: {}", watcher.stderr());
        assert_eq!(dropped > 0, n == 0, "watcher {n}: {}", watcher.stderr());
    }
    drop(client);
    assert!(tap.interrupt().success());
    assert_eq!(totals(&tap.stderr()), (total + 600, 0));
}

#[test]
fn a_watcher_sees_framing_errors_and_offsets_as_the_holder_does() {
    let (world, device) = (World::new(), Device::start());
    let holder = world.holder(&device.endpoint, &[]);
    let watcher = world.watcher(&device.endpoint, &[]);
    let frame = framed(&echo_request());
    device.send(&[&frame[..], &[0xff; 9], &frame, &frame].concat());
    let error = "!! framing: length 65535 > 1514 at byte 100; passed over 9 bytes, back in step";
    for process in [&holder, &watcher] {
        process.out.wait_for(0, error);
    }
    thread::sleep(Duration::from_millis(200));
    assert!(watcher.interrupt().success());
    assert!(holder.interrupt().success());
    assert_eq!(watcher.stdout(), holder.stdout());
    assert_eq!(watcher.stdout().lines().count(), 4);
}

#[test]
fn raw_bytes_of_an_attached_process_are_shown_as_what_they_amount_to() {
    let (world, device) = (World::new(), Device::start());
    let holder = world.holder(&device.endpoint, &[]);
    let (runtime, attached) = attach(&world);
    let mut link = attached.into_link("the line");
    let bytes = framed(&echo_request());
    runtime.block_on(async {
        link.tx.send_raw(&bytes[..1]).await.expect("half a header");
        link.tx.send_raw(&bytes[1..]).await.expect("the rest");
        link.tx.send(&[bytes::Bytes::from(echo_request())]).await.expect("a frame");
        let error = link.tx.send(&[bytes::Bytes::new()]).await.expect_err("no frame at all");
        assert!(error.chain().contains("a frame of 0 bytes cannot be sent"), "{}", error.chain());
        link.tx.send(&[bytes::Bytes::from(echo_request())]).await.expect("the line is still there");
    });
    let deadline = Instant::now() + SOON;
    while lines_with(&holder.stdout(), "<- IP").len() < 3 {
        assert!(Instant::now() < deadline, "{}", holder.stdout());
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(lines_with(&holder.stdout(), "-> IP").len(), 3, "{}", holder.stdout());
    assert_eq!(device.echo_requests(), 3);
}

#[test]
fn a_holder_that_waits_for_its_line_comes_first_and_others_are_told() {
    let world = World::new();
    let path = world.file("uart1.sock");
    let listener = UnixListener::bind(&path).expect("a listener");
    let accepting = thread::spawn(move || listener.accept().expect("it comes").0);
    let holder = world.holder("unix:uart1.sock,reconnect=50ms", &[]);
    drop(accepting.join().expect("no panic"));
    holder.err.wait_for(0, "waiting for unix:");
    let (code, _, stderr) = world.ping(&["-d", "unix:uart1.sock", "-c", "1"]);
    assert_eq!(code, 3);
    let waits = format!("uarttool sniff (pid {}) waits for unix:", holder.id());
    assert!(stderr.contains(&waits), "{stderr}");
}
