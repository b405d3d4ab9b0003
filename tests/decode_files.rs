//! Capture files and dumps between uarttool and other programs: what they write is read, what we write
//! they read, and what we have written comes back through their hands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use uarttool::capture::read::{Inner, Reader, Reading};
use uarttool::capture::{Counts, Source, Target};
use uarttool::clock::Timestamp;
use uarttool::framing;
use uarttool::record::{
    Body, Direction, FramingError, LinkChange, LinkType, Origin, Packet, Problem, Record, Recovery,
    Span,
};

/// A folder of its own, and what is done in it.
struct Work(tempfile::TempDir);

impl Work {
    fn new() -> Self {
        Work(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a program in the folder, for ten seconds at most; its output.
    fn run(&self, command: &str) -> Vec<u8> {
        let mut words = command.split(' ');
        let output = Command::new("timeout")
            .arg("10")
            .arg(words.next().expect("a program"))
            .args(words)
            .env("TZ", "UTC")
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .expect("timeout is there");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {stderr}");
        output.stdout
    }

    /// The same, with its output in a file.
    fn run_into(&self, command: &str, file: &str) -> PathBuf {
        let path = self.path(file);
        fs::write(&path, self.run(command)).expect("it is written");
        path
    }

    fn write(&self, name: &str, records: &[Record]) -> PathBuf {
        let path = self.path(name);
        let source = Source {
            name: "tcp:127.0.0.1:5556".to_owned(),
            description: "direct tap".to_owned(),
            framing: uarttool::framing::ALL[0],
            console: Some("unix:console".to_owned()),
        };
        let target = Target::parse(&path.to_string_lossy()).expect("a known extension");
        let mut file = target.create(&source).expect("it can be created");
        for record in records {
            file.record(record, None).expect("it can be written");
        }
        let end = Timestamp(1_700_000_100_000_000_000);
        file.finish(end, Counts::default()).expect("it can be written");
        path
    }
}

fn read(path: &Path) -> Vec<Record> {
    let mut reader = Reader::open(path, &Reading::default()).expect("it is known");
    let mut records = Vec::new();
    while let Some(record) = reader.read().expect("it can be read") {
        records.push(record);
    }
    assert_eq!(reader.damage(), [], "{}", reader.describe());
    records
}

/// Frames, and packets without their Ethernet header.
fn frames(records: &[Record]) -> Vec<Bytes> {
    let bytes = |record: &Record| match &record.body {
        Body::Frame(frame) => Some(frame.clone()),
        Body::Packet(packet) => Some(packet.bytes.clone()),
        _ => None,
    };
    records.iter().filter_map(bytes).collect()
}

fn times(records: &[Record]) -> Vec<Option<u64>> {
    records.iter().map(|record| record.time.map(|span| span.last.0 / 1000)).collect()
}

/// An IPv4 frame with so many bytes of UDP data.
fn datagram(n: usize) -> Bytes {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
    frame.extend(((28 + n) as u16).to_be_bytes());
    frame.extend([0, n as u8, 0, 0, 64, 17, 0, 0, 192, 168, 100, 1, 192, 168, 100, 2]);
    let sum = uarttool::checksum::internet(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend([0x30, 0x39, 0x30, 0x39]);
    frame.extend(((8 + n) as u16).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend((0..n).map(|at| (at * 5 + n) as u8));
    frame.into()
}

fn record(n: u64, body: Body) -> Record {
    let time = Timestamp(1_700_000_000_000_000_000 + n * 1_000_001_000);
    let direction = if n.is_multiple_of(2) { Direction::ToDevice } else { Direction::FromDevice };
    Record { time: Some(Span::at(time)), origin: Origin::new(direction), offset: Some(n), body }
}

/// Frames of many lengths.
fn plain() -> Vec<Record> {
    [0, 1, 2, 3, 18, 40, 100, 1000, 1472]
        .into_iter()
        .enumerate()
        .map(|(at, n)| record(at as u64, Body::Frame(datagram(n))))
        .collect()
}

/// Records of every kind.
fn motley() -> Vec<Record> {
    let bytes = Bytes::from_static(&[0xff, 0xff, 1]);
    let problem = Problem::TooLong { length: 65535, limit: 1514 };
    let error = FramingError { problem, bytes: bytes.clone(), recovery: Recovery::Likely };
    let cut = Packet { link: LinkType::ETHERNET, bytes: datagram(9).slice(..20), length: 51 };
    let raw = Packet { link: LinkType::RAW, bytes: datagram(9).slice(14..), length: 37 };
    let mut records = plain();
    for body in [
        Body::FramingError(error),
        Body::Gap { records: 3, bytes: 4000 },
        Body::Link(LinkChange::Connected("tcp:127.0.0.1:5556".to_owned())),
        Body::Link(LinkChange::Reset),
        Body::Console(Bytes::from_static(b"I (12) main: \xff ready")),
        Body::Packet(cut),
        Body::Packet(raw),
    ] {
        let n = records.len() as u64;
        records.push(record(n, body));
    }
    records
}

fn count(capinfos: &[u8]) -> usize {
    let text = String::from_utf8_lossy(capinfos);
    let line = text.lines().find_map(|line| line.strip_prefix("Number of packets:"));
    line.and_then(|n| n.trim().parse().ok()).expect("a number of packets")
}

#[test]
#[ignore = "needs tshark, editcap, mergecap, capinfos: scripts/test"]
fn wiresharks_programs_read_ours_and_hand_it_back_unchanged() {
    let work = Work::new();
    let ours = work.write("ours.pcapng", &motley());
    assert_eq!(read(&ours), motley());
    let packets = motley().iter().filter(|record| !is_entry(record)).count();
    assert_eq!(count(&work.run("capinfos -M -c ours.pcapng")), packets);
    let told = work.run("tshark -r ours.pcapng -Y systemd_journal -T fields -e _ws.col.Info");
    let told = String::from_utf8_lossy(&told).into_owned();
    assert_eq!(told.lines().count(), motley().len() - packets, "{told}");
    assert!(told.contains("link: connected: tcp:127.0.0.1:5556\n"), "{told}");
    assert!(told.contains("I (12) main: \\xff ready\n"), "{told}");
    work.run("editcap ours.pcapng copied.pcapng");
    assert_eq!(read(&work.path("copied.pcapng")), motley());
    work.run("tshark -r ours.pcapng -w filtered.pcapng -Y udp");
    let is_whole = |record: &Record| match &record.body {
        Body::Frame(_) => true,
        Body::Packet(packet) => packet.length as usize == packet.bytes.len(),
        _ => false,
    };
    let udp: Vec<Record> = motley().into_iter().filter(is_whole).collect();
    assert_eq!(read(&work.path("filtered.pcapng")), udp);
    work.run("mergecap -a -w merged.pcapng ours.pcapng ours.pcapng");
    assert_eq!(read(&work.path("merged.pcapng")), [motley(), motley()].concat());
    work.run("editcap -s 40 ours.pcapng short.pcapng");
    let short = read(&work.path("short.pcapng"));
    assert_eq!(short.len(), motley().len());
    assert!(frames(&short).iter().all(|frame| frame.len() <= 40));
    assert!(matches!(&short[8].body, Body::Packet(packet) if packet.length == 1514), "{short:?}");
}

/// What is no packet and an entry of a journal.
fn is_entry(record: &Record) -> bool {
    matches!(record.body, Body::Gap { .. } | Body::Link(_) | Body::Console(_))
}

#[test]
#[ignore = "needs tcpdump: scripts/test"]
fn what_is_told_beside_the_frames_does_not_keep_tcpdump_from_reading_them() {
    let work = Work::new();
    let mut records: Vec<Record> = motley().into_iter().filter(is_entry).collect();
    assert_eq!(records.len(), 4);
    records.extend(plain());
    work.write("ours.pcapng", &records);
    let lines = work.run("tcpdump -nr ours.pcapng");
    assert_eq!(String::from_utf8_lossy(&lines).lines().count(), plain().len());
}

#[test]
#[ignore = "needs tshark, tcpdump, editcap, capinfos: scripts/test"]
fn pcap_goes_through_tcpdump_and_back() {
    let work = Work::new();
    let ours = work.write("ours.pcap", &plain());
    assert_eq!((frames(&read(&ours)), times(&read(&ours))), (frames(&plain()), times(&plain())));
    assert_eq!(count(&work.run("capinfos -M -c ours.pcap")), plain().len());
    work.run("tcpdump -r ours.pcap -w theirs.pcap");
    work.run("editcap -F nsecpcap ours.pcap nanos.pcap");
    work.run("editcap -F modpcap ours.pcap modified.pcap");
    work.run("editcap -F pcapng ours.pcap theirs.pcapng");
    for name in ["theirs.pcap", "nanos.pcap", "modified.pcap", "theirs.pcapng"] {
        let records = read(&work.path(name));
        assert_eq!(
            (frames(&records), times(&records)),
            (frames(&plain()), times(&plain())),
            "{name}"
        );
        let fields = work.run(&format!("tshark -r {name} -T fields -e frame.len"));
        let lengths: Vec<String> = frames(&records).iter().map(|f| f.len().to_string()).collect();
        assert_eq!(String::from_utf8_lossy(&fields).lines().collect::<Vec<_>>(), lengths);
    }
    work.run("editcap -F pcap -s 30 ours.pcap short.pcap");
    let short = read(&work.path("short.pcap"));
    assert!(frames(&short).iter().all(|frame| frame.len() == 30));
    assert!(matches!(&short[8].body, Body::Packet(packet) if packet.length == 1514), "{short:?}");
}

#[test]
#[ignore = "needs tcpdump, tshark, text2pcap: scripts/test"]
fn dumps_of_frames_are_read() {
    let work = Work::new();
    work.write("ours.pcap", &plain());
    for flags in ["-xx", "-XX", "-xx -v", "-XX -e"] {
        let dump = work.run_into(&format!("tcpdump -nn -tt {flags} -r ours.pcap"), "dump.txt");
        let records = read(&dump);
        assert_eq!(frames(&records), frames(&plain()), "{flags}");
        assert_eq!(times(&records), times(&plain()), "{flags}");
    }
    let dump = work.run_into("tcpdump -nn -x -r ours.pcap", "dump.txt");
    let without: Vec<Bytes> = frames(&plain()).iter().map(|frame| frame.slice(14..)).collect();
    let records = read(&dump);
    assert_eq!(frames(&records), without);
    let is_raw = |r: &Record| matches!(&r.body, Body::Packet(p) if p.link == LinkType::RAW);
    assert!(records.iter().all(is_raw), "{records:?}");
    let dump = work.run_into("tshark -x -r ours.pcap", "dump.txt");
    assert_eq!(frames(&read(&dump)), frames(&plain()));
    work.run("text2pcap -q dump.txt made.pcapng");
    assert_eq!(frames(&read(&work.path("made.pcapng"))), frames(&plain()));
}

#[test]
#[ignore = "needs xxd, hexdump, od: scripts/test"]
fn dumps_of_streams_and_of_single_frames_are_read() {
    let work = Work::new();
    let mut stream = Vec::new();
    for frame in frames(&plain()) {
        framing::ALL[0].encode(&frame, &mut stream).expect("it fits");
    }
    fs::write(work.path("stream"), &stream).expect("it is written");
    fs::write(work.path("frame"), datagram(101)).expect("it is written");
    assert_eq!(frames(&read(&work.path("stream"))), frames(&plain()));
    for program in [
        "xxd",
        "xxd -p",
        "xxd -g 1",
        "xxd -c 32",
        "xxd -u",
        "hexdump",
        "hexdump -C",
        "od -A x -t x1",
        "od -A x -t x1z",
        "od -t x1",
        "od -x",
    ] {
        let dump = work.run_into(&format!("{program} stream"), "dump.txt");
        assert_eq!(frames(&read(&dump)), frames(&plain()), "{program}");
        let dump = work.run_into(&format!("{program} frame"), "dump.txt");
        assert_eq!(frames(&read(&dump)), [datagram(101)], "{program}");
    }
}

#[test]
fn what_was_piped_in_is_read_like_a_file() {
    let work = Work::new();
    let ours = work.write("ours.pcapng", &motley());
    let pipe = work.path("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).expect("a pipe");
    let writer = {
        let (ours, pipe) = (ours.clone(), pipe.clone());
        std::thread::spawn(move || {
            let file = fs::read(ours).expect("it is there");
            let mut pipe = fs::OpenOptions::new().write(true).open(pipe).expect("a pipe");
            for part in file.chunks(97) {
                std::io::Write::write_all(&mut pipe, part).expect("somebody reads");
            }
        })
    };
    assert_eq!(read(&pipe), motley());
    writer.join().expect("no panic");
}

#[test]
#[ignore = "needs tcpdump and the right to capture: scripts/test"]
fn a_real_capture_of_a_tunnel_is_what_went_through_it() {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("an address").port();
    let work = Work::new();
    let path = work.path("lo.pcap");
    let mut tcpdump = Command::new("timeout")
        .args(["20", "tcpdump", "-i", "lo", "-U", "-B", "65536", "-w"])
        .args([path.as_os_str(), format!("tcp port {port}").as_ref()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("timeout is there");
    let mut said = [0; 9];
    let stderr = tcpdump.stderr.as_mut().expect("a pipe");
    stderr.read_exact(&mut said).expect("tcpdump listens, or says why it does not");
    let device = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("the client closes");
        stream.write_all(&all).expect("the client reads");
    });
    let mut sent = Vec::new();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    for n in 0..2000 {
        framing::ALL[0].encode(&datagram(n * 7 % 1400), &mut sent).expect("it fits");
    }
    for part in sent.chunks(7777) {
        stream.write_all(part).expect("the device reads");
    }
    stream.shutdown(std::net::Shutdown::Write).expect("it is open");
    stream.read_to_end(&mut Vec::new()).expect("the device answers");
    device.join().expect("no panic");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let pid = rustix::process::Pid::from_child(&tcpdump);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    tcpdump.wait().expect("it ends");
    let how = Reading { inner: Inner::Port(port), ..Reading::default() };
    let mut reader = Reader::open(&path, &how).expect("it is known");
    let mut ways = [0; 2];
    let mut links = 0;
    while let Some(record) = reader.read().expect("it can be read") {
        match (&record.body, record.origin.direction) {
            (Body::Frame(frame), direction) => {
                let n = &mut ways[usize::from(direction == Direction::FromDevice)];
                assert_eq!(frame, &datagram(*n * 7 % 1400));
                *n += 1;
            }
            (Body::Link(_), _) => links += 1,
            (other, _) => panic!("{other:?}"),
        }
    }
    assert_eq!((ways, links), ([2000, 2000], 2));
}

#[test]
#[ignore = "writes 110 MB: scripts/test; with --release it shows the speed"]
fn a_large_capture_is_read_at_once_and_memory_stays_flat() {
    let work = Work::new();
    let path = work.path("large.pcap");
    let mut file = Vec::with_capacity(60 << 20);
    file.extend([0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 1].map(u32::to_le_bytes).concat());
    for n in 0..100_000u32 {
        let length = 60 + n.wrapping_mul(2_654_435_761) % 940;
        file.extend(
            [1_700_000_000 + n / 1000, n % 1000, length, length].map(u32::to_le_bytes).concat(),
        );
        file.resize(file.len() + length as usize, n as u8);
    }
    fs::write(&path, &file).expect("it is written");
    drop(file);
    let mut reader = Reader::open(&path, &Reading::default()).expect("it is known");
    let (name, description) = ("a".to_owned(), "b".to_owned());
    let framing = uarttool::framing::ALL[0];
    let source = Source { name, description, framing, console: None };
    let ours = work.path("large.pcapng");
    let target = Target::parse(&ours.to_string_lossy()).expect("a known extension");
    let mut capture = target.create(&source).expect("it can be created");
    while let Some(record) = reader.read().expect("it can be read") {
        capture.record(&record, None).expect("it can be written");
    }
    capture.finish(Timestamp(1), Counts::default()).expect("it can be written");
    for path in [path, ours] {
        fs::write("/proc/self/clear_refs", "5").expect("the peak of memory can be reset");
        let mut best = std::time::Duration::MAX;
        for _ in 0..5 {
            let started = std::time::Instant::now();
            let mut reader = Reader::open(&path, &Reading::default()).expect("it is known");
            let mut count = 0;
            while let Some(record) = reader.read().expect("it can be read") {
                count += usize::from(matches!(record.body, Body::Frame(_)));
            }
            best = best.min(started.elapsed());
            assert_eq!(count, 100_000);
        }
        let status = fs::read_to_string("/proc/self/status").expect("Linux tells");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|line| line.trim().strip_suffix(" kB"));
        let peak: u64 = peak.and_then(|n| n.parse().ok()).expect("a number of kB");
        println!("{}: {best:?}, {peak} kB of memory at most", path.display());
        assert!(peak < 30_000, "{peak} kB, for a file of 54 MB");
    }
}
