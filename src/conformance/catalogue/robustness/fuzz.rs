//! What chance makes: frames, changed frames, streams, segments, requests.

use std::time::Duration;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use super::super::super::model::Owner::{Application, Driver, Stack};
use super::super::super::model::Severity::Must;
use super::super::super::model::Tier::{Core, Extended, Smoke};
use super::super::super::model::{Flow, Halt, Test};
use super::super::super::peer::response::{Reading, Response};
use super::super::super::peer::{Attempt, Opening, Peer};
use super::super::super::rig::Capability;
use super::super::super::trial::Trial;
use super::super::row;
use super::chance;
use crate::proto::tcp;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("ROB-01", "robustness.fuzz-random"), (Must, Smoke, Driver), "docs/line.md#receivers R5",
        "300 frames of random bytes, of all lengths, do no harm."),
        |t| Box::pin(fuzz_random(t))).last(),
    Test::new(row(("ROB-02", "robustness.fuzz-mutated"), (Must, Core, Stack), "docs/line.md#receivers R5",
        "400 good ICMP, UDP and TCP packets in which one to three bytes were changed do no harm."),
        |t| Box::pin(fuzz_mutated(t))).last(),
    Test::new(row(("ROB-03", "robustness.fuzz-stream"), (Must, Core, Driver), "docs/line.md#receivers R6; docs/line.md#timeouts",
        "After 64 KB of random bytes and 1.3 s of silence the device answers."),
        |t| Box::pin(fuzz_stream(t))).needs(Capability::RawBytes).last(),
    Test::new(row(("ROB-04", "robustness.fuzz-tcp-state"), (Must, Extended, Stack), "RFC 9293 §3.10.7.4; RFC 5961 §3, §4",
        "500 segments of random flags and numbers on one connection do no harm to another one."),
        |t| Box::pin(fuzz_tcp_state(t))).last(),
    Test::new(row(("ROB-05", "robustness.fuzz-http"), (Must, Extended, Application), "RFC 9112 §3, §5",
        "After 200 requests with changed bytes the page is served as before."),
        |t| Box::pin(fuzz_http(t))).last(),
];

/// The answer after `what`, given the time that everything takes to cross the line.
async fn survives(t: &mut Trial) -> Flow {
    t.survives().await?;
    t.take_seen();
    Ok(())
}

async fn fuzz_random(t: &mut Trial) -> Flow {
    const FRAMES: usize = 300;
    /// After so many the device is asked whether it is there, so that no queue grows beyond reason.
    const AT_ONCE: usize = 50;
    let mut random = chance(t, 1);
    let longest = t.max_frame().min(1500);
    for n in 1..=FRAMES {
        let mut frame = vec![0; random.random_range(14..=longest)];
        random.fill_bytes(&mut frame);
        disguise(t, &mut random, &mut frame);
        t.send(&frame).await?;
        if n % AT_ONCE == 0 {
            survives(t).await?;
        }
    }
    Ok(())
}

/// Gives most frames addresses and a type with which they get further than to the first look.
fn disguise(t: &Trial, random: &mut ChaCha8Rng, frame: &mut [u8]) {
    let id = t.identity();
    match random.random_range(0..4) {
        0 => return,
        1 => frame[..6].fill(0xff),
        _ => frame[..6].copy_from_slice(&id.device_mac.octets()),
    }
    // The low bits of a source say whether it is one station's.
    frame[6] = frame[6] & 0xfc | 2;
    let kinds: [u16; 5] = [0x0800, 0x0806, 0x86dd, 0x8100, 0x0026];
    let kind = kinds[random.random_range(0..kinds.len())];
    frame[12..14].copy_from_slice(&kind.to_be_bytes());
    if kind == 0x0800 && frame.len() >= 34 && random.random_bool(0.5) {
        frame[14] = 0x45;
        frame[26..30].copy_from_slice(&id.host_ip.octets());
        frame[30..34].copy_from_slice(&id.device_ip.octets());
        let sum = crate::checksum::internet(&[&frame[14..24], &[0, 0], &frame[26..34]].concat());
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Whether the web server accepts a connection.
async fn accepts(t: &mut Trial) -> Flow<bool> {
    let port = t.rig.target.ports.http;
    let Attempt::Open(mut peer) = Opening::to(port).once().attempt(t).await? else {
        return Ok(false);
    };
    peer.abort(t).await?;
    Ok(true)
}

/// Half-open connections that are nobody's any more are given up in time, and then others are accepted.
async fn is_served_again(t: &mut Trial) -> Flow {
    /// A peer tries for three minutes (RFC 9293 section 3.8.3).
    const LONGEST: Duration = Duration::from_secs(200);
    const PAUSE: Duration = Duration::from_secs(1);
    let began = Instant::now();
    let mut is_back = accepts(t).await?;
    while !is_back && began.elapsed() < LONGEST.mul_f64(t.rig.time_scale.max(1.0)) {
        t.listen(PAUSE).await?;
        is_back = accepts(t).await?;
    }
    t.must(is_back, "a connection is accepted again within 200 s", "none is");
    Ok(())
}

async fn fuzz_mutated(t: &mut Trial) -> Flow {
    const FRAMES: usize = 400;
    const AT_ONCE: usize = 40;
    let was_open = accepts(t).await?;
    let mut random = chance(t, 2);
    let ports = t.rig.target.ports;
    for n in 1..=FRAMES {
        let mut frame = match n % 4 {
            0 => {
                let size = t.capped(64);
                t.echo(size).frame()
            }
            1 => t.datagram(ports.echo, b"a datagram that was good").frame(),
            2 => t.segment(ports.http).tcp(|tcp| tcp.flags = tcp::SYN).frame(),
            _ => {
                let flags = tcp::ACK | tcp::PSH;
                let segment = t.segment(ports.http).tcp(|tcp| tcp.flags = flags);
                segment.data(b"GET / HTTP/1.0\r\n\r\n").frame()
            }
        };
        for _ in 0..random.random_range(1..=3) {
            // The addresses of Ethernet stay: nothing else would read the rest.
            let at = random.random_range(12..frame.len());
            frame[at] = random.random();
        }
        t.send(&frame).await?;
        if n % AT_ONCE == 0 {
            survives(t).await?;
        }
    }
    if was_open {
        t.close_connections().await?;
        is_served_again(t).await?;
    }
    Ok(())
}

async fn fuzz_stream(t: &mut Trial) -> Flow {
    const BYTES: usize = 64 * 1024;
    const AT_ONCE: usize = 4096;
    let mut random = chance(t, 3);
    for _ in 0..BYTES / AT_ONCE {
        let mut bytes = vec![0; AT_ONCE];
        random.fill_bytes(&mut bytes);
        t.raw(&bytes).await?;
    }
    t.back_into_step().await?;
    survives(t).await
}

/// A connection to the web server, for tests that are about something else.
async fn connection(t: &mut Trial) -> Flow<Peer> {
    let port = t.rig.target.ports.http;
    match Opening::to(port).attempt(t).await? {
        Attempt::Open(peer) => Ok(*peer),
        Attempt::Refused(_) | Attempt::Silent => {
            Err(Halt::Inconclusive(format!("port {port} accepts no connection")))
        }
    }
}

/// The page, over a new connection.
async fn page(t: &mut Trial) -> Flow<Option<Response>> {
    let mut peer = connection(t).await?;
    peer.get(t, "/").await?;
    let reading = peer.response(t, true).await?;
    peer.abort(t).await?;
    Ok(match reading {
        Reading::Response(response) if response.is_complete => Some(response),
        _ => None,
    })
}

async fn fuzz_tcp_state(t: &mut Trial) -> Flow {
    const SEGMENTS: usize = 500;
    const AT_ONCE: usize = 50;
    let mut random = chance(t, 4);
    let mut victim = connection(t).await?;
    let mut other = connection(t).await?;
    let longest = victim.mss(t).min(64);
    for n in 1..=SEGMENTS {
        let far = [0, 1, 100, 5000, 1 << 20, 1 << 31][random.random_range(0..6)];
        let mut near =
            |base: u32| base.wrapping_add(random.random_range(0..=far)).wrapping_sub(far / 2);
        let (seq, ack) = (near(victim.next), near(victim.acknowledged));
        let (flags, window) = (random.random(), random.random());
        let data = vec![b'x'; random.random_range(0..longest)];
        let segment = victim.segment(t, 0).data(&data).tcp(|tcp| {
            (tcp.seq, tcp.ack, tcp.flags, tcp.window) = (seq, ack, flags, window);
        });
        t.send(&segment.frame()).await?;
        if n % AT_ONCE == 0 {
            victim.poll(t).await?;
            let is_there = t.ping().await?;
            t.must(is_there, "a ping is answered meanwhile", format!("not after {n} segments"));
        }
    }
    other.get(t, "/").await?;
    let reading = other.response(t, true).await?;
    let served = matches!(&reading, Reading::Response(response) if response.is_complete);
    let what = "a request on the other connection is served";
    t.must(served, what, format!("{reading:?}").chars().take(80).collect::<String>());
    victim.abort(t).await?;
    survives(t).await?;
    t.close_connections().await?;
    is_served_again(t).await
}

async fn fuzz_http(t: &mut Trial) -> Flow {
    const REQUESTS: usize = 200;
    /// What a server that waits for more of a request is given.
    const PATIENCE: Duration = Duration::from_millis(100);
    let mut random = chance(t, 5);
    let Some(before) = page(t).await? else {
        return Err(Halt::Inconclusive("the page is not served before".to_owned()));
    };
    let host = t.identity().device_ip;
    let good =
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    let mut refused = 0;
    for _ in 0..REQUESTS {
        let mut request = good.clone().into_bytes();
        for _ in 0..random.random_range(1..=4) {
            let at = random.random_range(0..request.len());
            match random.random_range(0..3) {
                0 => request[at] = random.random(),
                1 => drop(request.remove(at)),
                _ => request.insert(at, random.random()),
            }
        }
        let port = t.rig.target.ports.http;
        let Attempt::Open(mut peer) = Opening::to(port).attempt(t).await? else {
            refused += 1;
            continue;
        };
        peer.send(t, &request).await?;
        let ended = |peer: &Peer| peer.incoming.is_finished() || peer.reset.is_some();
        peer.wait(t, PATIENCE, ended).await?;
        peer.abort(t).await?;
    }
    if refused > 0 {
        t.remark(format!("{refused} of {REQUESTS} connections were not accepted"));
    }
    t.close_connections().await?;
    is_served_again(t).await?;
    let after = page(t).await?;
    let same = after.as_ref().is_some_and(|after| {
        after.status == before.status && after.body.len() == before.body.len()
    });
    let actual = after.map_or("no whole response".to_owned(), |after| {
        format!("status {}, {} bytes", after.status, after.body.len())
    });
    let expected = format!("status {}, {} bytes, as before", before.status, before.body.len());
    t.must(same, expected, actual);
    Ok(())
}
