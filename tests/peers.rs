//! uarttool beside and against other programs: socat, tshark.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use support::{Process, tshark_count, uarttool};

/// A whole echo request of 98 bytes behind its length, with every checksum right.
fn echo_request() -> Vec<u8> {
    let mut frame = vec![
        0, 98, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, //
        0x45, 0, 0, 84, 0, 1, 0x40, 0, 64, 1, 0xf1, 0x53, 192, 168, 100, 1, 192, 168, 100,
        2, //
        8, 0, 0x00, 0xe5, 0, 7, 0, 1,
    ];
    frame.extend((0..56).map(|n| n as u8));
    frame
}

/// A server that sends everything back at once; serves one connection after the other.
fn echo_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            stream.set_nodelay(true).expect("a TCP socket");
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..n]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

fn connect(port: u16) -> TcpStream {
    let deadline = Instant::now() + support::SOON;
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => {
                stream.set_nodelay(true).expect("a TCP socket");
                return stream;
            }
            Err(error) => assert!(Instant::now() < deadline, "port {port}: {error}"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The median round trip of `count` frames.
fn median_round_trip(stream: &mut TcpStream, count: usize) -> Duration {
    let frame = echo_request();
    let mut back = vec![0; frame.len()];
    let mut times: Vec<_> = (0..count)
        .map(|_| {
            let started = Instant::now();
            stream.write_all(&frame).expect("it is sent");
            stream.read_exact(&mut back).expect("it comes back");
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[count / 2]
}

/// Keeps this process and its children on one processor. Where the scheduler puts each of four
/// processes otherwise decides more than what they do.
fn stay_on_one_processor() {
    let allowed = rustix::thread::sched_getaffinity(None).expect("Linux tells");
    let first = (0..1024).find(|cpu| allowed.is_set(*cpu)).expect("there is one");
    let mut one = rustix::thread::CpuSet::new();
    one.set(first);
    rustix::thread::sched_setaffinity(None, &one).expect("it is allowed");
}

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("an address").port()
}

#[test]
#[ignore = "needs socat: scripts/test"]
fn the_proxy_with_its_capture_on_adds_no_more_than_socat_side_by_side() {
    stay_on_one_processor();
    let server = echo_server();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("side.pcapng");
    let port = free_port();
    let _socat = Process::start(Command::new("socat").args([
        format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,nodelay"),
        format!("TCP:127.0.0.1:{server},nodelay"),
    ]));
    let near = format!("tcp-listen:127.0.0.1:{}", free_port());
    let tap = Process::start(
        uarttool()
            .args([
                "sniff",
                "-qq",
                "-d",
                &format!("tcp:127.0.0.1:{server}"),
                "--proxy",
                &near,
                "-w",
            ])
            .arg(&path),
    );
    tap.err.wait_for(0, "connected to");
    let near = near.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");

    let mut plain = connect(server);
    let mut through_socat = connect(port);
    let mut through_us = connect(near);
    let (mut base, mut socat, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    let rounds = 9;
    let count = 500;
    median_round_trip(&mut through_us, count); // warm
    for _ in 0..rounds {
        base.push(median_round_trip(&mut plain, count));
        socat.push(median_round_trip(&mut through_socat, count));
        ours.push(median_round_trip(&mut through_us, count));
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[rounds / 2]
    };
    let (base, socat, ours) = (median(&mut base), median(&mut socat), median(&mut ours));
    let added = |through: Duration| through.saturating_sub(base);
    println!("plain {base:?}, socat adds {:?}, uarttool adds {:?}", added(socat), added(ours));
    assert!(
        added(ours) <= added(socat).mul_f64(1.15),
        "plain {base:?}, socat adds {:?}, uarttool adds {:?}",
        added(socat),
        added(ours)
    );

    drop(through_us);
    assert!(tap.interrupt().success());
    let frames = 2 * (rounds + 1) * count;
    assert_eq!(tshark_count(&path, "icmp"), frames);
    assert!(tap.stderr().contains(&format!("{frames} frames")), "{}", tap.stderr());
    assert!(tap.stderr().contains("0 framing errors, 0 dropped"), "{}", tap.stderr());
}
