//! What the device has taken and not yet read stays what it was.
//!
//! A driver with one receive buffer that hands frames on by reference spoils what still waits in TCP's queues
//! when the next frame comes, behind every checksum. So data is sent that has to wait: segments out of
//! order, bursts, data behind a full send buffer, with pings behind them; and the device is asked what
//! it has read. Where that is not what was sent, the same data goes again with silence behind each
//! segment: if that comes through, later frames are to blame.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::super::super::model::Owner::Driver;
use super::super::super::model::Severity::Must;
use super::super::super::model::Tier::Core;
use super::super::super::model::{Flow, Test};
use super::super::super::peer::response::Reading;
use super::super::super::peer::{ACKNOWLEDGED, Attempt, Opening, Peer, THINKING};
use super::super::super::trial::Trial;
use super::super::row;
use super::pages::{ROOT, describe, web};

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("TCP-55", "tcp.queued-data-intact"), (Must, Core, Driver), "RFC 9293 §3.8; docs/line.md#buffers",
        "What the device has queued is not changed by frames that come later."),
        |t| Box::pin(queued_data_intact(t))),
];

/// Why it happens, for who has to mend it.
const EXPLANATION: &str = "what the device had queued changed after a later frame came: \
                           a receive buffer that is handed on by reference and used again";

/// How the device says what it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `POST /upload` answers length and digest.
    Upload,
    /// The echo service sends it back.
    Echo,
    /// The status is all there is: it has to be this one.
    Status(u16),
}

/// In which order segments go, and what goes between them.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// What it is called.
    name: &'static str,
    /// Segments, by number.
    order: &'static [usize],
    /// Pings behind the first that goes.
    pings: usize,
    /// Silence behind each.
    pause: Duration,
}

/// Pings that come while data waits.
const PINGS: usize = 20;

const IN_TURN: Manner =
    Manner { name: "", order: &[0, 1, 2, 3], pings: 0, pause: Duration::from_millis(300) };

const MANNERS: [Manner; 4] = [
    Manner {
        name: "two segments with 20 pings between them",
        order: &[0, 1],
        pings: PINGS,
        pause: Duration::ZERO,
    },
    Manner {
        name: "a burst of four segments",
        order: &[0, 1, 2, 3],
        pings: 0,
        pause: Duration::ZERO,
    },
    Manner {
        name: "four segments, the second of them first",
        order: &[1, 0, 2, 3],
        pings: 0,
        pause: Duration::ZERO,
    },
    Manner {
        name: "two segments, the second of them first, with 20 pings between them",
        order: &[1, 0],
        pings: PINGS,
        pause: Duration::ZERO,
    },
];

async fn queued_data_intact(t: &mut Trial) -> Flow {
    let way = find_way(t).await?;
    t.remark(match way {
        Way::Upload => "the device tells length and digest of what it has read (POST /upload)",
        Way::Echo => "the device sends back what it has read (TCP echo)",
        Way::Status(_) => "the device tells by its status only whether it could read the request",
    });
    for manner in MANNERS {
        let name = manner.name;
        let problem = carry(t, way, manner).await?;
        let explained = match problem {
            Some(problem) => Some(explain(t, way, manner, problem).await?),
            None => None,
        };
        let expected = format!("every byte of {name} arrives as it was sent");
        t.must(explained.is_none(), expected, explained.unwrap_or_default());
    }
    behind_full_buffer(t).await?;
    t.survives().await
}

/// Bytes that are sent to fill every buffer at most.
const FILLING: usize = 24_000;

/// An echo service that cannot send has to keep what it receives; pings come meanwhile.
async fn behind_full_buffer(t: &mut Trial) -> Flow {
    let opening = Opening::to(t.rig.target.ports.echo).window(0).once();
    let Attempt::Open(mut peer) = opening.attempt(t).await? else {
        t.remark("without a TCP echo service, data behind a full send buffer is not tried");
        return Ok(());
    };
    let text = body(FILLING);
    let mut sent = 0;
    while sent < text.len() && peer.their_window > 0 {
        let size = peer.mss(t).min(usize::from(peer.their_window)).min(text.len() - sent);
        if !peer.write(t, &text[sent..sent + size]).await? {
            break;
        }
        sent += size;
    }
    ping_meanwhile(t, PINGS).await?;
    t.survives().await?;
    peer.announce(t, 4096).await?;
    let problem = judge(t, &mut peer, Way::Echo, &text[..sent]).await?;
    let explained = match problem {
        Some(problem) => Some(explain(t, Way::Echo, IN_TURN, problem).await?),
        None => None,
    };
    let expected =
        "every byte that an echo service keeps while it cannot send comes back as it was sent";
    t.remark(format!("the echo service took {sent} bytes while it could not send"));
    t.must(explained.is_none(), expected, explained.unwrap_or_default());
    Ok(())
}

/// Echo requests whose answers nobody waits for.
async fn ping_meanwhile(t: &mut Trial, count: usize) -> Flow {
    for _ in 0..count {
        let echo = t.echo(t.capped(200));
        t.send(&echo.frame()).await?;
    }
    Ok(())
}

/// Says what a change comes from: sends the same again, in turn and in silence.
async fn explain(t: &mut Trial, way: Way, manner: Manner, problem: String) -> Flow<String> {
    t.survives().await?;
    let calm = Manner { order: &IN_TURN.order[..manner.order.len()], ..IN_TURN };
    Ok(match carry(t, way, calm).await? {
        None => format!("{problem}; sent one by one it arrives whole: {EXPLANATION}"),
        Some(other) => format!("{problem}; sent one by one in silence: {other}"),
    })
}

/// Carries data to the device in that manner; what is wrong with what it has read.
async fn carry(t: &mut Trial, way: Way, manner: Manner) -> Flow<Option<String>> {
    let port = match way {
        Way::Echo => t.rig.target.ports.echo,
        Way::Upload | Way::Status(_) => t.rig.target.ports.http,
    };
    let mut peer = Opening::to(port).open(t).await?;
    let count = manner.order.len();
    let window = usize::from(peer.their_window) / count;
    let size = peer.mss(t).min(1000).min(window.max(200));
    let (text, body) = match way {
        Way::Echo => (body(size * count), body(size * count)),
        Way::Upload => request(t, "/upload", size * count),
        Way::Status(_) => request(t, ROOT, size * count),
    };
    let start = peer.next;
    let pieces: Vec<_> = text.chunks(size).collect();
    for (turn, number) in manner.order.iter().enumerate() {
        let Some(piece) = pieces.get(*number) else { continue };
        peer.send_ahead(t, number * size, piece).await?;
        if turn == 0 {
            ping_meanwhile(t, manner.pings).await?;
        }
        peer.listen(t, manner.pause).await?;
    }
    peer.skip(text.len());
    make_up(t, &mut peer, &text, start).await?;
    judge(t, &mut peer, way, &body).await
}

/// Sends again what the device has not kept: it may drop what comes out of order.
async fn make_up(t: &mut Trial, peer: &mut Peer, text: &[u8], start: u32) -> Flow {
    let end = peer.next;
    let is_done = |peer: &Peer| peer.their_ack == end || peer.reset.is_some();
    if !peer.wait(t, ACKNOWLEDGED, is_done).await? {
        let done = peer.their_ack.wrapping_sub(start) as usize;
        t.remark(format!("{done} of {} bytes were kept, the rest went again", text.len()));
        peer.next = peer.their_ack;
        peer.write(t, text.get(done..).unwrap_or_default()).await?;
    }
    Ok(())
}

/// What is wrong with what the device has read, if anything.
async fn judge(t: &mut Trial, peer: &mut Peer, way: Way, body: &[u8]) -> Flow<Option<String>> {
    if way == Way::Echo {
        peer.wait(t, THINKING, |peer| peer.incoming.stream().len() >= body.len()).await?;
        let came = peer.incoming.stream();
        let differs = came.iter().zip(body).position(|(came, sent)| came != sent);
        let problem = match differs {
            Some(at) => Some(format!("byte {at} came back as {:02x}", came[at])),
            None if came.len() < body.len() => {
                Some(format!("{} of {} bytes came back", came.len(), body.len()))
            }
            None => None,
        };
        peer.abort(t).await?;
        return Ok(problem);
    }
    let reading = peer.response(t, true).await?;
    let problem = match (&reading, way) {
        (Reading::Response(response), Way::Status(wanted)) => {
            let is_right = response.status == wanted;
            (!is_right).then(|| format!("the status is {}, not {wanted}", response.status))
        }
        (Reading::Response(response), _) if response.status == 200 => {
            difference(&response.body, body)
        }
        (Reading::Response(response), _) => {
            Some(format!("the request is answered by status {}", response.status))
        }
        _ => Some(describe(&reading, peer)),
    };
    peer.abort(t).await?;
    Ok(problem)
}

/// What the answer of `/upload` says otherwise than `body` is.
pub(in crate::conformance::catalogue) fn difference(answer: &[u8], body: &[u8]) -> Option<String> {
    let Ok(answer) = serde_json::from_slice::<serde_json::Value>(answer) else {
        return Some("the answer of /upload is no JSON".to_owned());
    };
    let length = answer.get("received").and_then(serde_json::Value::as_u64);
    if length != Some(body.len() as u64) {
        let length = length.map_or("no".to_owned(), |length| length.to_string());
        return Some(format!("the device has received {length} of {} bytes", body.len()));
    }
    let sha256: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    for (name, ours) in [("sha256", sha256), ("crc32", format!("{:08x}", crc32(body)))] {
        let theirs = answer.get(name).and_then(serde_json::Value::as_str);
        if let Some(theirs) = theirs.filter(|theirs| !theirs.eq_ignore_ascii_case(&ours)) {
            return Some(format!(
                "the device has received other bytes: {name} {theirs}, not {ours}"
            ));
        }
    }
    None
}

/// CRC-32 as zlib has it.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    let take = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    !bytes.iter().fold(!0, take)
}

/// Text of so many bytes in which no two stretches are alike.
fn body(length: usize) -> Vec<u8> {
    let lines = (0..).flat_map(|n| format!("{n:07} is the number of this line.\n").into_bytes());
    lines.take(length).collect()
}

/// A POST of `length` bytes in all, and its body.
fn request(t: &Trial, path: &str, length: usize) -> (Vec<u8>, Vec<u8>) {
    let host = t.identity().device_ip;
    let head = |length: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let body = body(length.saturating_sub(head(length).len()).max(1));
    (head(body.len()).into_bytes().into_iter().chain(body.iter().copied()).collect(), body)
}

/// How the device can say what it has read, found out by a short request.
async fn find_way(t: &mut Trial) -> Flow<Way> {
    let mut peer = web(t).open(t).await?;
    let (text, body) = request(t, "/upload", 200);
    peer.send(t, &text).await?;
    let reading = peer.response(t, true).await?;
    peer.abort(t).await?;
    if let Reading::Response(response) = &reading
        && response.status == 200
        && difference(&response.body, &body).is_none()
    {
        return Ok(Way::Upload);
    }
    if let Attempt::Open(mut peer) = Opening::to(t.rig.target.ports.echo).once().attempt(t).await? {
        peer.abort(t).await?;
        return Ok(Way::Echo);
    }
    let mut peer = web(t).open(t).await?;
    let (text, _) = request(t, ROOT, 200);
    peer.send(t, &text).await?;
    let reading = peer.response(t, true).await?;
    peer.abort(t).await?;
    Ok(match reading {
        Reading::Response(response) => Way::Status(response.status),
        Reading::Partial | Reading::Bad(_) => Way::Status(400),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn an_answer_is_held_against_what_was_sent() {
        let right = br#"{"received":9,"crc32":"cbf43926","sum":477}"#;
        assert_eq!(difference(right, b"123456789"), None);
        let changed = difference(right, b"123456780").expect("another body");
        assert!(changed.contains("crc32 cbf43926, not"), "{changed}");
        let digest = br#"{"received":9,"sha256":"00"}"#;
        assert!(difference(digest, b"123456789").is_some_and(|text| text.contains("sha256")));
        let short = difference(right, b"12345678").expect("a shorter body");
        assert_eq!(short, "the device has received 9 of 8 bytes");
        assert!(difference(b"<html>", b"").is_some());
    }
}
