//! What people hand to `decode`: files of every kind read as every format, texts that are no dumps, files
//! that grow or are replaced, and files that are none.

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use support::{Process, binary, run, text, uarttool};

/// A folder of its own.
struct Work(tempfile::TempDir);

impl Work {
    fn new() -> Self {
        Work(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("it is written");
        path
    }

    /// Starts to follow a file, with lines without time on stdout.
    fn follow(&self, name: &str) -> Process {
        Process::start(uarttool().args(["decode", "--follow-file", "-t"]).arg(self.path(name)))
    }

    /// What decode says: exit code, lines on stdout, stderr without the folder.
    fn decode(&self, name: &str, args: &[&str]) -> (Option<i32>, usize, String) {
        let path = self.path(name);
        let file = path.to_str().expect("a plain path");
        let output = run([&["decode", "-t", file][..], args].concat());
        let (stdout, stderr) = text(&output);
        (output.status.code(), stdout.lines().count(), self.without_folder(&stderr))
    }

    fn without_folder(&self, stderr: &str) -> String {
        stderr.replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// An echo request of 98 bytes.
fn echo(sequence: u8) -> Vec<u8> {
    let mut frame =
        vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 84, 0, 0, 0, 0, 64, 1];
    frame.extend([0x31, 0x55, 192, 168, 100, 1, 192, 168, 100, 2, 8, 0, 0, 0, 0, 7, 0, sequence]);
    frame.resize(98, 7);
    frame
}

/// As `tshark -x` writes it, without the blank line.
fn dump(bytes: &[u8]) -> String {
    let row = |(n, row): (usize, &[u8])| {
        let digits: String = row.iter().map(|byte| format!("{byte:02x} ")).collect();
        format!("{:04x}  {digits}\n", 16 * n)
    };
    bytes.chunks(16).enumerate().map(row).collect()
}

fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 1].map(u32::to_le_bytes).concat();
    for (n, frame) in frames.iter().enumerate() {
        let length = frame.len() as u32;
        file.extend([1_700_000_000 + n as u32, 0, length, length].map(u32::to_le_bytes).concat());
        file.extend(frame);
    }
    file
}

fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().flat_map(|f| [&(f.len() as u16).to_be_bytes()[..], f].concat()).collect()
}

const PROSE: &str = "In 2024: be ready for it.\ndecade be ad\n550e8400-e29b-41d4-a716-446655440000\n\
    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n";

#[test]
fn every_kind_of_file_as_every_format() {
    let work = Work::new();
    let frames = [echo(1), echo(2)];
    work.write("pcap", pcap(&frames));
    work.write("raw", stream(&frames));
    work.write("hex", dump(&frames[0]) + "\n" + &dump(&frames[1]));
    work.write("prose", "The dead beef of a decade.\n");
    work.write("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\0");
    work.write("empty", b"");
    work.decode("pcap", &["-w", work.path("a.pcapng").to_str().expect("a plain path")]);
    fs::rename(work.path("a.pcapng"), work.path("pcapng")).expect("it is renamed");
    let mut table = String::new();
    for format in ["", "pcap", "pcapng", "raw", "hex"] {
        for kind in ["pcap", "pcapng", "raw", "hex", "prose", "gzip", "empty"] {
            let args: &[&str] = if format.is_empty() { &[] } else { &["--format", format] };
            let (code, lines, stderr) = work.decode(kind, args);
            let is_said =
                |line: &&str| line.starts_with("uarttool: ") || line.contains("but seems to be");
            let said: Vec<&str> = stderr.lines().filter(is_said).collect();
            let is_read = code == Some(0) && lines == 2;
            let is_explained = matches!(code, Some(0 | 4)) && !said.is_empty();
            assert!(is_read || is_explained, "{format} {kind}: {stderr}");
            table += &format!("{format:6} {kind:6} {code:?} {}\n", said.join("; "));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn texts_that_are_no_dumps_are_refused_in_a_sentence() {
    let work = Work::new();
    work.write("a.pcap", pcap(&[echo(1), echo(2)]));
    let file = work.path("a.pcap");
    let file = file.to_str().expect("a plain path");
    work.write("tree", text(&run(["decode", "--tree", file])).0);
    work.write("lines", text(&run(["decode", file])).0);
    work.write("prose", PROSE);
    work.write("xxd", xxd(&pcap(&[echo(1)])));
    let all = ["tree", "lines", "prose", "xxd"].map(|name| {
        let (code, lines, stderr) = work.decode(name, &[]);
        assert_eq!((code, lines), (Some(4), 0), "{name}: {stderr}");
        stderr
    });
    insta::assert_snapshot!(all.concat());
    let (code, _, stderr) = work.decode("xxd", &["--format", "hex"]);
    assert!(code == Some(4) && stderr.contains("hex dump of a pcap file"), "{stderr}");
    // With the frames in it, the same text is read, and parts that are shown beside them are not.
    work.write("tree", text(&run(["decode", "--tree", "-xx", file])).0);
    let (code, lines, stderr) = work.decode("tree", &[]);
    assert_eq!((code, lines), (Some(0), 2), "{stderr}");
}

fn xxd(bytes: &[u8]) -> String {
    let row = |(n, row): (usize, &[u8])| {
        let digits: String = row
            .chunks(2)
            .map(|pair| pair.iter().map(|b| format!("{b:02x}")).collect::<String>() + " ")
            .collect();
        format!("{:08x}: {digits}\n", 16 * n)
    };
    bytes.chunks(16).enumerate().map(row).collect()
}

#[test]
fn what_tshark_has_made_of_frames_is_no_frame() {
    let work = Work::new();
    let mut all = format!("Frame (98 bytes):\n{}", dump(&echo(1)));
    all += &format!("Reassembled TCP (120 bytes):\n{}", dump(&[0x47; 120]));
    all += &format!("De-chunked entity body (30 bytes):\n{}", dump(&[0x48; 30]));
    all += &format!("Decrypted TLS (1 byte):\n{}\n{}\n", dump(&[1]), dump(&echo(2)));
    all += &format!("    TCP segment data (20 bytes)\n\n{}\n", dump(&echo(3)));
    all += &format!("    Data (48 bytes)\n\n{}", dump(&[9; 48]));
    work.write("a.txt", all);
    let (code, lines, stderr) = work.decode("a.txt", &[]);
    assert_eq!((code, lines), (Some(0), 3), "{stderr}");
    assert!(stderr.contains("294 B"), "{stderr}");
}

#[test]
fn a_text_that_grows_yields_whole_frames() {
    let work = Work::new();
    let path = work.write("a.txt", "");
    let process = work.follow("a.txt");
    let mut file = fs::OpenOptions::new().append(true).open(&path).expect("it is there");
    let all = dump(&echo(1)) + "\n" + &dump(&echo(2)) + &dump(&echo(3)) + &dump(&echo(4));
    let cut = all.len() - 20;
    for piece in all.as_bytes()[..cut].chunks(90) {
        file.write_all(piece).expect("there is room");
        thread::sleep(Duration::from_millis(260)); // longer than anybody's patience
    }
    process.out.wait_for(0, "seq 3");
    assert!(process.interrupt().success());
    assert_eq!(process.stdout().lines().count(), 3, "{}", process.stdout());
    let stderr = process.stderr();
    assert!(stderr.contains("ends in the middle of a frame, for now: it is left out"), "{stderr}");

    let process = work.follow("a.txt");
    process.out.wait_for(0, "seq 3");
    file.write_all(&all.as_bytes()[cut..]).expect("there is room");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(process.stdout().lines().count(), 3, "more may come");
    assert!(process.interrupt().success());
    assert_eq!(process.stdout().lines().count(), 4, "it was whole");
    assert!(!process.stderr().contains("left out"), "{}", process.stderr());
}

#[test]
fn our_own_text_says_how_long_a_frame_is_so_that_nothing_waits() {
    let work = Work::new();
    work.write("a.pcap", pcap(&[echo(1)]));
    let to = work.path("a.txt");
    work.decode("a.pcap", &["-w", to.to_str().expect("a plain path")]);
    let mut command = uarttool();
    let process = Process::start(command.args(["decode", "--follow-file", "-c", "1"]).arg(&to));
    assert!(process.wait(support::SOON).success());
    assert!(process.stdout().contains("seq 1"));
}

#[test]
fn a_stream_that_begins_is_waited_for() {
    let work = Work::new();
    let path = work.write("a.raw", "");
    let process = work.follow("a.raw");
    process.err.wait_for(0, "a.raw has nothing yet that tells what it is: waiting for more");
    let mut file = fs::OpenOptions::new().append(true).open(&path).expect("it is there");
    for piece in stream(&[echo(1)]).chunks(40) {
        file.write_all(piece).expect("there is room");
        thread::sleep(Duration::from_millis(250));
    }
    process.out.wait_for(0, "seq 1");
    assert!(process.interrupt().success(), "{}", process.stderr());

    work.write("b.raw", [0, 98, 2]);
    let process = work.follow("b.raw");
    process.err.wait_for(0, "waiting for more");
    assert_eq!(process.interrupt().code(), Some(130));
}

#[test]
fn a_file_that_is_replaced_or_written_anew_is_followed() {
    let work = Work::new();
    let path = work.write("a", pcap(&[echo(1)]));
    let process = work.follow("a");
    process.out.wait_for(0, "seq 1");
    fs::rename(&path, work.path("a.1")).expect("it is renamed");
    process.err.wait_for(0, "a was deleted: waiting for a new one");
    work.write("a", stream(&[echo(2)]));
    process.err.wait_for(0, "a was replaced: reading the new one");
    process.out.wait_for(0, "seq 2");
    work.write("b", pcap(&[echo(3), echo(4)]));
    fs::rename(work.path("b"), &path).expect("it is renamed");
    process.out.wait_for(0, "seq 4");
    // Shorter, as long, and longer, in the same file.
    for (sequence, last) in [(5, 5), (6, 6), (7, 8)] {
        thread::sleep(Duration::from_millis(150));
        let frames: Vec<_> = (sequence..=last).map(echo).collect();
        fs::write(&path, pcap(&frames)).expect("it is written");
        process.out.wait_for(0, &format!("seq {last}"));
    }
    assert!(process.interrupt().success(), "{}", process.stderr());
    let seen = process.stdout();
    let seen: Vec<&str> = seen.lines().filter_map(|line| line.split("seq ").nth(1)).collect();
    let seen: Vec<&str> = seen.iter().filter_map(|line| line.split(',').next()).collect();
    assert_eq!(seen, ["1", "2", "3", "4", "5", "6", "7", "8"], "{}", process.stderr());
    let anew = "a was written anew: reading it from its beginning";
    assert_eq!(support::lines_with(&process.stderr(), anew).len(), 3, "{}", process.stderr());
}

#[test]
fn frames_that_do_not_come_back_are_counted() {
    let work = Work::new();
    let mut long = echo(3);
    long.resize(2000, 7);
    work.write("a.pcap", pcap(&[echo(1), long, vec![7; 70_000]]));
    let mut cut = pcap(&[echo(1)]);
    cut[36..40].copy_from_slice(&200u32.to_le_bytes());
    cut.extend(pcap(&[echo(2)]).split_off(24));
    work.write("cut.pcap", cut);
    let mut cooked = pcap(&[vec![0; 40]]);
    cooked[20] = 113;
    work.write("cooked.pcap", cooked);
    // An Ethernet frame that looks like an IPv6 packet, and a packet that looks like nothing.
    let mut odd = vec![0x60, 0, 0, 0, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    odd.resize(60, 9);
    work.write("odd.pcap", pcap(&[odd]));
    let mut packet = pcap(&[vec![9; 30]]);
    packet[20] = 101;
    work.write("packet.pcap", packet);
    let mut all = String::new();
    for name in ["a", "cut", "cooked", "odd", "packet"] {
        for extension in ["raw", "txt"] {
            let to = work.path(&format!("{name}.{extension}"));
            let (_, _, stderr) =
                work.decode(&format!("{name}.pcap"), &["-w", to.to_str().expect("a plain path")]);
            let said: Vec<&str> = stderr.lines().skip(2).collect();
            all += &format!("{name}.{extension}: {}\n", said.join(" "));
            if extension == "txt" && fs::metadata(&to).is_ok_and(|file| file.len() > 0) {
                let (_, _, again) = work.decode(&format!("{name}.txt"), &[]);
                all += &format!("  {}\n", again.lines().nth(1).unwrap_or_default());
            }
        }
    }
    insta::assert_snapshot!(all);
    let (code, lines, stderr) = work.decode("a.raw", &["--max-frame", "2000"]);
    assert_eq!((code, lines), (Some(0), 2), "{stderr}");
    let how = ["decode", "--json", "--inner", "never"];
    for name in ["odd", "packet"] {
        let json = |extension: &str| {
            let path = work.path(&format!("{name}.{extension}"));
            let output = run(how.iter().copied().chain([path.to_str().expect("a plain path")]));
            text(&output).0
        };
        assert_eq!(json("pcap"), json("txt"), "{name}");
    }
}

#[test]
fn files_that_are_none_are_named() {
    let work = Work::new();
    work.write("empty", "");
    fs::create_dir(work.path("folder")).expect("a folder");
    let mut all = String::new();
    for name in ["empty", "folder", "missing"] {
        let (code, _, stderr) = work.decode(name, &[]);
        assert_eq!(code, Some(4), "{stderr}");
        all += &stderr;
    }
    insta::assert_snapshot!(all, @r"
    uarttool: 'empty' is empty
    uarttool: 'folder' is a folder
    uarttool: cannot open 'missing': no such file or directory
    ");
    let output = run(["decode"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_file_that_may_not_be_read_says_so() {
    let work = Work::new();
    let path = work.write("secret", pcap(&[echo(1)]));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("it is ours");
    fs::set_permissions(work.0.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut command = match rustix::process::geteuid().is_root() {
        false => Command::new(binary()),
        true => {
            // Root may read everything: somebody else is asked, with a program that they can reach.
            let program = work.path("uarttool");
            fs::copy(binary(), &program).expect("there is room");
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
            command
        }
    };
    let process = Process::start(command.arg("decode").arg(&path).current_dir("/"));
    assert_eq!(process.wait(support::SOON).code(), Some(4));
    let stderr = work.without_folder(&process.stderr());
    assert_eq!(stderr, "uarttool: cannot open 'secret': permission denied\n");
}

#[test]
fn pipes_are_waited_for() {
    let work = Work::new();
    let fifo = work.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo is there").success());
    // Nobody writes: it can be interrupted.
    let process = Process::start(uarttool().args(["decode", "-t"]).arg(&fifo));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(process.interrupt().code(), Some(130), "{}", process.stderr());
    // Somebody does, slowly.
    for bytes in [pcap(&[echo(1)]), stream(&[echo(1)]), dump(&echo(1)).into_bytes()] {
        let process = Process::start(uarttool().args(["decode", "-t"]).arg(&fifo));
        slowly(&bytes, &mut fs::OpenOptions::new().write(true).open(&fifo).expect("a pipe"));
        assert!(process.wait(support::SOON).success(), "{}", process.stderr());
        assert_eq!(process.stdout().lines().count(), 1, "{}", process.stdout());
    }
    let mut command = uarttool();
    command.args(["decode", "-t", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().expect("it runs");
    slowly(&stream(&[echo(1)]), child.stdin.take().as_mut().expect("it is piped"));
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), text(&output).0.lines().count()), (Some(0), 1));
}

/// Writes in five pieces, each after longer than anybody's patience.
fn slowly(bytes: &[u8], to: &mut impl Write) {
    for piece in bytes.chunks(bytes.len() / 4) {
        to.write_all(piece).expect("somebody reads");
        to.flush().expect("somebody reads");
        thread::sleep(Duration::from_millis(250));
    }
}

#[test]
fn zeros_without_end_can_be_interrupted() {
    let process = Process::start(uarttool().args(["decode", "-qq", "/dev/zero"]));
    let status = process.wait(support::SOON);
    assert_eq!(status.code(), Some(4), "{}", process.stderr());
    assert!(process.stderr().contains("bytes in which no frame begins"), "{}", process.stderr());
}
