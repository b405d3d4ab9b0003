//! The stack beside the standards: what a good device answers to the packets of the RFCs' rules, and
//! the list of those rules that it is known not to keep.

use super::*;

/// What the stack is known to do otherwise; the README tells users.
const KNOWN: &[&str] = &["IPv4: record route comes back"];

type Checked = Pin<Box<dyn Future<Output = Option<String>>>>;
type Rule = (&'static str, fn(Bench) -> Checked);

/// A rule: its name, and what goes wrong with a fresh device, if anything.
macro_rules! rules {
    ($($name:literal: |$b:ident| $body:block)*) => {
        static RULES: &[Rule] = &[$(($name, |mut $b| Box::pin(async move {
            $b.all(100 * MS).await; // the announcement
            $body
        }))),*];
    };
}

fn when(is_wrong: bool, seen: impl std::fmt::Debug) -> Option<String> {
    is_wrong.then(|| format!("{seen:?}"))
}

/// A segment with any flags and sequence numbers, not as the connection has them.
fn odd(conn: &Conn, seq: u32, ack: u32, flags: u8, data: &[u8]) -> Vec<u8> {
    tcp(&Conn { seq, ack, ..*conn }, flags, &[], data)
}

/// Changes bytes of a segment's header behind its checksum's back, and mends that.
fn with(mut frame: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    change(&mut frame[34..]);
    packet::mend_transport(&mut frame);
    frame
}

/// Changes bytes of the IPv4 header, and mends its checksum.
fn with_ip(mut frame: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    change(&mut frame[IP..]);
    packet::mend(&mut frame);
    frame
}

fn has_option(frame: &[u8], kind: u8) -> bool {
    Segment::of(frame).is_some_and(|s| s.options(frame).any(|(k, ..)| k == kind))
}

impl Bench {
    /// What comes back of a segment to a port, on a connection of its own.
    async fn segments(&mut self, conn: &Conn, time: Duration) -> Vec<Segment> {
        let deadline = Instant::now() + time;
        let mut all = Vec::new();
        while let Some((_, segment)) = self.segment(conn, deadline - Instant::now()).await {
            all.push(segment);
        }
        all
    }

    fn stranger(&mut self, port: u16) -> Conn {
        Conn { local: self.port(), port, seq: 5000, ack: 7000 }
    }

    /// The answers to one segment.
    async fn ask(&mut self, conn: &Conn, frame: &[u8]) -> Vec<Segment> {
        self.send(frame).await;
        self.segments(conn, 400 * MS).await
    }

    /// Whether the echo port of a connection still echoes.
    async fn still_echoes(&mut self, conn: &mut Conn) -> bool {
        self.say(conn, b"ping").await;
        let answers = self.segments(conn, SECOND).await;
        answers.iter().any(|s| s.length() == 4 && s.seq == conn.ack)
    }
}

rules! {
    "syn: only options that were offered" : |b| {
        let conn = b.stranger(80);
        b.send(&tcp(&conn, flag::SYN, &[2, 4, 5, 0xb4], b"")).await;
        let (frame, answer) = b.segment(&conn, SECOND).await.expect("an answer");
        let extra = [3, 4, 8].iter().any(|kind| has_option(&frame, *kind));
        when(extra || !has_option(&frame, 2), answer)
    }
    "closed port: SYN with data" : |b| {
        let conn = b.stranger(81);
        let all = b.ask(&conn, &tcp(&conn, flag::SYN, &[], b"data")).await;
        when(all.len() != 1 || all[0].ack != 5005 || all[0].seq != 0, all)
    }
    "closed port: ACK" : |b| {
        let conn = b.stranger(81);
        let all = b.ask(&conn, &tcp(&conn, flag::ACK, &[], b"")).await;
        when(all.len() != 1 || all[0].seq != 7000 || !all[0].has(flag::RST), all)
    }
    "closed port: FIN with data" : |b| {
        let conn = b.stranger(81);
        let all = b.ask(&conn, &tcp(&conn, flag::ACK | flag::FIN, &[], b"data")).await;
        when(all.len() != 1 || all[0].seq != 7000 || !all[0].has(flag::RST), all)
    }
    "closed port: RST" : |b| {
        let conn = b.stranger(81);
        let all = b.ask(&conn, &tcp(&conn, flag::RST, &[], b"")).await;
        when(!all.is_empty(), all)
    }
    "listener: ACK" : |b| {
        let conn = b.stranger(80);
        let all = b.ask(&conn, &tcp(&conn, flag::ACK, &[], b"")).await;
        when(all.len() != 1 || all[0].seq != 7000 || !all[0].has(flag::RST), all)
    }
    "listener: SYN+ACK" : |b| {
        let conn = b.stranger(80);
        let all = b.ask(&conn, &tcp(&conn, flag::SYN | flag::ACK, &[], b"")).await;
        when(all.len() != 1 || all[0].seq != 7000 || !all[0].has(flag::RST), all)
    }
    "listener: FIN" : |b| {
        let conn = b.stranger(80);
        let all = b.ask(&conn, &tcp(&conn, flag::FIN, &[], b"")).await;
        when(!all.is_empty(), all)
    }
    "listener: no flags" : |b| {
        let conn = b.stranger(80);
        let all = b.ask(&conn, &tcp(&conn, 0, &[], b"")).await;
        when(!all.is_empty(), all)
    }
    "listener: SYN+RST" : |b| {
        let conn = b.stranger(80);
        let all = b.ask(&conn, &tcp(&conn, flag::SYN | flag::RST, &[], b"")).await;
        when(!all.is_empty(), all)
    }
    "listener: SYN+FIN" : |b| {
        let conn = b.stranger(80);
        let all = b.ask(&conn, &tcp(&conn, flag::SYN | flag::FIN, &[], b"")).await;
        when(all.iter().any(|s| !s.has(flag::SYN | flag::ACK)), all)
    }
    "options: an unknown one is passed over" : |b| {
        let mut conn = b.stranger(80);
        let syn = tcp(&conn, flag::SYN, &[253, 4, 0, 0, 2, 4, 0, 200], b"");
        b.send(&syn).await;
        let Some((_, answer)) = b.segment(&conn, SECOND).await else {
            return Some("silent".into());
        };
        (conn.seq, conn.ack) = (5001, answer.seq.wrapping_add(1));
        b.say(&mut conn, b"GET /blob/900 HTTP/1.0\r\n\r\n").await;
        let all = b.segments(&conn, SECOND).await;
        let longest = all.iter().map(Segment::length).max();
        when(!(1..=200).contains(&longest.unwrap_or(0)), longest)
    }
    "options: a length of 0, a length beyond the header" : |b| {
        let conn = b.stranger(80);
        b.send(&tcp(&conn, flag::SYN, &[8, 0, 1, 1], b"")).await;
        b.send(&tcp(&conn, flag::SYN, &[8, 40, 1, 1], b"")).await;
        when(!b.is_alive().await, "dead")
    }
    "data offset: 3, and 15 on 20 bytes" : |b| {
        let conn = b.stranger(80);
        let mut all = Vec::new();
        for offset in [0x30, 0xf0] {
            let syn = with(tcp(&conn, flag::SYN, &[], b""), |tcp| tcp[12] = offset);
            all.extend(b.ask(&conn, &syn).await);
        }
        when(!all.is_empty(), all)
    }
    "reserved bits are ignored" : |b| {
        let conn = b.stranger(80);
        let syn = with(tcp(&conn, flag::SYN, &[], b""), |tcp| tcp[12] |= 0x0e);
        let all = b.ask(&conn, &syn).await;
        when(all.is_empty(), all)
    }
    "ECN is not claimed" : |b| {
        let conn = b.stranger(80);
        let all = b.ask(&conn, &tcp(&conn, flag::SYN | 0xc0, &[], b"")).await;
        when(all.is_empty() || all.iter().any(|s| s.has(0x40)), all)
    }
    "SYN with data: served once" : |b| {
        let mut conn = b.stranger(7);
        b.send(&tcp(&conn, flag::SYN, &[], b"data")).await;
        let Some((_, answer)) = b.segment(&conn, SECOND).await else {
            return Some("silent".into());
        };
        (conn.seq, conn.ack) = (5001, answer.seq.wrapping_add(1));
        b.send(&tcp(&conn, flag::ACK, &[], b"data")).await;
        let all = b.segments(&conn, 300 * MS).await;
        let sent: Vec<_> = all.iter().filter(|s| s.length() > 0).collect();
        when(sent.len() != 1 || sent[0].length() != 4, all)
    }
    "SYN+ACK: again after 1 to 3 s, then later" : |b| {
        let conn = b.stranger(80);
        let started = Instant::now();
        b.send(&tcp(&conn, flag::SYN, &[], b"")).await;
        let mut times = Vec::new();
        while b.segment(&conn, 8 * SECOND).await.is_some() {
            times.push(started.elapsed());
            if times.len() == 3 { break }
        }
        let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let good = gaps.len() == 2 && gaps[0] >= 900 * MS && gaps[0] <= 3 * SECOND
            && gaps[1] >= gaps[0] * 3 / 2;
        when(!good, gaps)
    }
    "SYN-RECEIVED: the same SYN again" : |b| {
        let conn = b.stranger(80);
        let syn = tcp(&conn, flag::SYN, &[], b"");
        let first = b.ask(&conn, &syn).await;
        let again = b.ask(&conn, &syn).await;
        let good = again.len() == 1 && again[0].has(flag::ACK) && again[0].ack == 5001
            && (again[0].seq == first[0].seq || !again[0].has(flag::SYN));
        when(!good, again)
    }
    "SYN-RECEIVED: a wrong ACK" : |b| {
        let mut conn = b.stranger(80);
        let all = b.ask(&conn, &tcp(&conn, flag::SYN, &[], b"")).await;
        conn.seq += 1;
        let wrong = all[0].seq.wrapping_add(1001);
        let all = b.ask(&conn, &odd(&conn, 5001, wrong, flag::ACK, b"")).await;
        when(!all.iter().any(|s| s.has(flag::RST) && s.seq == wrong), all)
    }
    "SYN-RECEIVED: RST, then the ACK" : |b| {
        let mut conn = b.stranger(80);
        let all = b.ask(&conn, &tcp(&conn, flag::SYN, &[], b"")).await;
        (conn.seq, conn.ack) = (5001, all[0].seq.wrapping_add(1));
        b.ask(&conn, &tcp(&conn, flag::RST, &[], b"")).await;
        let all = b.ask(&conn, &tcp(&conn, flag::ACK, &[], b"")).await;
        when(!all.iter().any(|s| s.has(flag::RST) && s.seq == conn.ack), all)
    }
    "SYN to a group" : |b| {
        let conn = b.stranger(80);
        let mut seen = Vec::new();
        for to in [[192, 168, 100, 255], [224, 0, 0, 1], [255, 255, 255, 255]] {
            let syn = with_ip(tcp(&conn, flag::SYN, &[], b""), |ip| {
                ip[16..20].copy_from_slice(&to);
            });
            let mut syn = syn;
            syn[..6].fill(0xff);
            b.send(&syn).await;
            seen.extend(b.all(300 * MS).await);
        }
        when(!seen.is_empty(), seen.len())
    }
    "SYN from its own address" : |b| {
        let conn = Conn { local: 80, port: 80, seq: 1, ack: 0 };
        let syn = with_ip(tcp(&conn, flag::SYN, &[], b""), |ip| {
            ip[12..16].copy_from_slice(&DEVICE);
        });
        when(!b.is_silent_on(&syn).await || !b.is_alive().await, "not silent")
    }
    "initial sequence numbers are spread" : |b| {
        let mut numbers = Vec::new();
        for _ in 0..6 {
            let conn = b.stranger(7);
            let all = b.ask(&conn, &tcp(&conn, flag::SYN, &[], b"")).await;
            let Some(answer) = all.iter().find(|s| s.has(flag::SYN)) else {
                return Some("no answer".into());
            };
            numbers.push(answer.seq);
            b.send(&odd(&conn, 5001, 0, flag::RST, b"")).await;
            b.all(100 * MS).await;
        }
        let steps: Vec<_> = numbers.windows(2).map(|p| p[1].wrapping_sub(p[0])).collect();
        when(steps.windows(2).all(|p| p[0] == p[1]), numbers)
    }
    "data is acknowledged within 500 ms" : |b| {
        let mut conn = b.connect(9, 1460).await;
        b.say(&mut conn, b"abc").await;
        let all = b.segments(&conn, 500 * MS).await;
        when(!all.iter().any(|s| s.ack == conn.seq), all)
    }
    "out of order: a duplicate ACK at once, then all of it" : |b| {
        let mut conn = b.connect(7, 1460).await;
        b.send(&odd(&conn, conn.seq + 3, conn.ack, flag::ACK, b"def")).await;
        let first = b.segments(&conn, 200 * MS).await;
        let good = first.iter().any(|s| s.ack == conn.seq);
        b.say(&mut conn, b"abc").await;
        let heard = b.segments(&conn, SECOND).await;
        let length: usize = heard.iter().map(Segment::length).sum();
        when(!good || length != 6, (first, heard))
    }
    "an old segment again: an ACK at once" : |b| {
        let mut conn = b.connect(9, 1460).await;
        let old = conn;
        b.say(&mut conn, b"abc").await;
        b.segments(&conn, SECOND).await;
        let all = b.ask(&conn, &tcp(&old, flag::ACK, &[], b"abc")).await;
        when(!all.iter().any(|s| s.ack == conn.seq), all)
    }
    "old and new bytes in one segment" : |b| {
        let mut conn = b.connect(7, 1460).await;
        let old = conn;
        b.say(&mut conn, b"abc").await;
        let first = b.segments(&conn, SECOND).await;
        let taken: u32 = first.iter().map(|s| s.length() as u32).max().unwrap_or(0);
        let overlap = odd(&conn, old.seq, conn.ack + taken, flag::ACK, b"abcdef");
        let all = b.ask(&conn, &overlap).await;
        let good = all.iter().any(|s| s.length() == 3 && s.ack == conn.seq + 3);
        when(!good, (taken, all))
    }
    "data beyond the window: ACK, not taken" : |b| {
        let conn = b.connect(9, 1460).await;
        let all = b.ask(&conn, &odd(&conn, conn.seq + 70_000, conn.ack, flag::ACK, b"far")).await;
        when(!all.iter().any(|s| s.ack == conn.seq) || all.iter().any(|s| s.ack != conn.seq), all)
    }
    "data without ACK: dropped" : |b| {
        let conn = b.connect(7, 1460).await;
        let all = b.ask(&conn, &tcp(&conn, 0, &[], b"none")).await;
        when(all.iter().any(|s| s.ack != conn.seq || s.has(flag::RST)), all)
    }
    "ACK of what was never sent: ACK back, and it lives" : |b| {
        let mut conn = b.connect(7, 1460).await;
        let all = b.ask(&conn, &odd(&conn, conn.seq, conn.ack + 100_000, flag::ACK, b"")).await;
        let good = all.iter().any(|s| s.flags == flag::ACK && s.ack == conn.seq);
        when(!good || !b.still_echoes(&mut conn).await, all)
    }
    "an old ACK: it lives" : |b| {
        let mut conn = b.connect(7, 1460).await;
        let old = conn.ack.wrapping_sub(5000);
        let all = b.ask(&conn, &odd(&conn, conn.seq, old, flag::ACK, b"")).await;
        when(!b.still_echoes(&mut conn).await, all)
    }
    "RST with the exact number: closed" : |b| {
        let conn = b.connect(7, 1460).await;
        b.ask(&conn, &tcp(&conn, flag::RST, &[], b"")).await;
        let all = b.ask(&conn, &tcp(&conn, flag::ACK, &[], b"")).await;
        when(!all.iter().any(|s| s.has(flag::RST)), all)
    }
    "RST in the window: challenge ACK, and it lives" : |b| {
        let mut conn = b.connect(7, 1460).await;
        let all = b.ask(&conn, &odd(&conn, conn.seq + 100, 0, flag::RST, b"")).await;
        let good = all.len() == 1 && all[0].flags == flag::ACK;
        when(!good || !b.still_echoes(&mut conn).await, all)
    }
    "RST outside the window: silent, and it lives" : |b| {
        let mut conn = b.connect(7, 1460).await;
        let all = b.ask(&conn, &odd(&conn, conn.seq + 200_000, 0, flag::RST, b"")).await;
        when(!all.is_empty() || !b.still_echoes(&mut conn).await, all)
    }
    "SYN on a connection: challenge ACK, and it lives" : |b| {
        let mut conn = b.connect(7, 1460).await;
        let all = b.ask(&conn, &odd(&conn, conn.seq, 0, flag::SYN, b"")).await;
        let good = all.iter().any(|s| s.flags == flag::ACK && s.ack == conn.seq);
        when(!good || !b.still_echoes(&mut conn).await, all)
    }
    "every flag outside the window: it lives" : |b| {
        let mut conn = b.connect(7, 1460).await;
        let all = b.ask(&conn, &odd(&conn, conn.seq + 90_000, conn.ack, 0x3f, b"")).await;
        when(!b.still_echoes(&mut conn).await, all)
    }
    "ICMP errors do not close a connection" : |b| {
        let mut conn = b.connect(7, 1460).await;
        for (kind, code) in [(3, 1), (3, 3), (3, 2), (4, 0), (3, 4)] {
            let mut error = vec![kind, code, 0, 0, 0, 0, 2, 64];
            let quoted = with_ip(tcp(&conn, flag::ACK, &[], b""), |ip| {
                let (a, z) = ip[12..20].split_at_mut(4);
                a.swap_with_slice(z);
            });
            let mut quoted = quoted;
            quoted[34..38].rotate_left(2);
            quoted[38..42].copy_from_slice(&conn.ack.to_be_bytes());
            error.extend_from_slice(&quoted[IP..IP + 28]);
            b.send(&ip(1, &error)).await;
        }
        when(!b.still_echoes(&mut conn).await, "dead")
    }
    "MSS: 536 without the option" : |b| {
        let mut conn = b.stranger(80);
        let all = b.ask(&conn, &tcp(&conn, flag::SYN, &[], b"")).await;
        (conn.seq, conn.ack) = (5001, all[0].seq.wrapping_add(1));
        b.say(&mut conn, b"GET /blob/3000 HTTP/1.0\r\n\r\n").await;
        let all = b.segments(&conn, 300 * MS).await;
        when(all.iter().any(|s| s.length() > 536), all.iter().map(Segment::length).max())
    }
    "window: no more than 100 bytes outstanding" : |b| {
        let mut conn = b.connect(80, 1460).await;
        let request = with(tcp(&conn, flag::ACK, &[], b"GET /blob/3000 HTTP/1.0\r\n\r\n"),
            |tcp| tcp[14..16].copy_from_slice(&[0, 100]));
        b.send(&request).await;
        conn.seq += 27;
        let all = b.segments(&conn, 900 * MS).await;
        let end = all.iter().map(|s| s.seq.wrapping_add(s.length() as u32).wrapping_sub(conn.ack));
        let most = end.max().unwrap_or(0);
        when(most == 0 || most > 100, most)
    }
    "window of 0: probed with a byte at most, and it goes on" : |b| {
        let mut conn = b.connect(80, 1460).await;
        let request = with(tcp(&conn, flag::ACK, &[], b"GET /blob/600 HTTP/1.0\r\n\r\n"),
            |tcp| tcp[14..16].copy_from_slice(&[0, 0]));
        b.send(&request).await;
        conn.seq += 26;
        let all = b.segments(&conn, 6 * SECOND).await;
        let probes = all.iter().filter(|s| s.length() > 0).count();
        let far = all.iter().any(|s| s.seq.wrapping_add(s.length() as u32) != conn.ack
            && s.length() > 1);
        b.send(&tcp(&conn, flag::ACK, &[], b"")).await;
        let heard = b.hear(&mut conn, 3 * SECOND).await;
        when(far || probes == 0 || heard.len() < 600, (probes, heard.len(), all.len()))
    }
    "three duplicate ACKs: sent again before its time" : |b| {
        let mut conn = b.connect(80, 400).await;
        b.say(&mut conn, b"GET /blob/4000 HTTP/1.0\r\n\r\n").await;
        let first = b.segments(&conn, 200 * MS).await;
        for _ in 0..3 {
            b.send(&tcp(&conn, flag::ACK, &[], b"")).await;
        }
        let again = b.segments(&conn, 200 * MS).await;
        when(!again.iter().any(|s| s.seq == conn.ack && s.length() > 0), (first.len(), again))
    }
    "FIN: acknowledged, and its own follows" : |b| {
        let conn = b.connect(7, 1460).await;
        let all = b.ask(&conn, &tcp(&conn, flag::FIN | flag::ACK, &[], b"")).await;
        let good = all.iter().any(|s| s.ack == conn.seq + 1)
            && all.iter().any(|s| s.has(flag::FIN));
        when(!good, all)
    }
    "half-close: request and FIN in one segment" : |b| {
        let mut conn = b.connect(80, 1460).await;
        let request = b"GET /blob/3000 HTTP/1.0\r\n\r\n";
        b.send(&tcp(&conn, flag::FIN | flag::ACK, &[], request)).await;
        conn.seq += request.len() as u32 + 1;
        let heard = b.hear(&mut conn, SECOND).await;
        when(heard.len() < 3000, heard.len())
    }
    "simultaneous close: the FIN is acknowledged" : |b| {
        let mut conn = b.connect(80, 1460).await;
        b.say(&mut conn, b"GET / HTTP/1.0\r\n\r\n").await;
        let all = b.segments(&conn, 300 * MS).await;
        let fin = all.iter().find(|s| s.has(flag::FIN)).copied();
        let Some(fin) = fin else { return Some(format!("no FIN: {all:?}")) };
        // Ours crosses: it acknowledges the data, not the FIN.
        conn.ack = fin.seq.wrapping_add(fin.length() as u32);
        let all = b.ask(&conn, &tcp(&conn, flag::FIN | flag::ACK, &[], b"")).await;
        when(!all.iter().any(|s| s.ack == conn.seq + 1), all)
    }
    "TIME-WAIT: a new connection with a higher number" : |b| {
        let mut conn = b.connect(80, 1460).await;
        b.say(&mut conn, b"GET / HTTP/1.0\r\n\r\n").await;
        b.hear(&mut conn, SECOND).await;
        b.send(&tcp(&conn, flag::FIN | flag::ACK, &[], b"")).await;
        b.all(200 * MS).await;
        let again = Conn { seq: conn.seq + 100_000, ..conn };
        let first = b.ask(&again, &tcp(&again, flag::SYN, &[], b"")).await;
        tokio::time::sleep(15 * SECOND).await;
        let later = b.ask(&again, &tcp(&again, flag::SYN, &[], b"")).await;
        let good = later.iter().any(|s| s.has(flag::SYN)) || first.iter().any(|s| s.has(flag::SYN));
        when(!good, (first, later))
    }
    "sequence numbers wrap" : |b| {
        let mut conn = Conn { local: b.port(), port: 7, seq: 0xffff_fff0, ack: 0 };
        let all = b.ask(&conn, &tcp(&conn, flag::SYN, &[], b"")).await;
        (conn.seq, conn.ack) = (0xffff_fff1, all[0].seq.wrapping_add(1));
        let text = [7; 200];
        b.send(&tcp(&conn, flag::ACK, &[], &text)).await;
        let all = b.segments(&conn, SECOND).await;
        let length: usize = all.iter().map(Segment::length).max().unwrap_or(0);
        when(length != 200 || all.iter().all(|s| s.ack != 185), all)
    }
    "keep-alive probes are answered" : |b| {
        let conn = b.connect(7, 1460).await;
        let mut seen = Vec::new();
        for data in [&b""[..], b"x"] {
            tokio::time::sleep(300 * MS).await;
            let all = b.ask(&conn, &odd(&conn, conn.seq - 1, conn.ack, flag::ACK, data)).await;
            seen.push(all.iter().filter(|s| s.ack == conn.seq).count());
        }
        when(seen.contains(&0), seen)
    }
    "urgent pointers do no harm" : |b| {
        let mut conn = b.connect(80, 1460).await;
        let request = b"GET /blob/100 HTTP/1.0\r\n\r\n";
        let frame = with(tcp(&conn, flag::ACK | 0x20, &[], request), |tcp| {
            tcp[18..20].fill(0xff);
        });
        b.send(&frame).await;
        conn.seq += request.len() as u32;
        let heard = b.hear(&mut conn, SECOND).await;
        when(heard.len() < 100 || !b.is_alive().await, heard.len())
    }
    "a flood of SYNs: service comes back" : |b| {
        for n in 0..60 {
            let conn = Conn { local: 30_000 + n, port: 80, seq: 1, ack: 0 };
            b.send(&tcp(&conn, flag::SYN, &[], b"")).await;
        }
        b.all(2 * SECOND).await;
        let ping = b.is_alive().await;
        let started = Instant::now();
        let mut back = None;
        while started.elapsed() < 100 * SECOND {
            let conn = b.stranger(80);
            let all = b.ask(&conn, &tcp(&conn, flag::SYN, &[], b"")).await;
            if all.iter().any(|s| s.has(flag::SYN)) {
                back = Some(started.elapsed());
                break;
            }
            b.all(SECOND).await;
        }
        when(!ping || back.is_none(), back)
    }
    "IPv4: options before an echo" : |b| {
        let mut request = echo(9, 8);
        request.splice(34..34, [1, 1, 1, 0]);
        let request = with_ip(request, |ip| {
            ip[0] = 0x46;
            ip[3] += 4;
        });
        b.send(&request).await;
        let all = b.all(400 * MS).await;
        when(!all.iter().any(|f| is_reply_to_id(f, 9)), all.len())
    }
    "IPv4: TTL 0 and 1 are for us" : |b| {
        let mut answered = 0;
        for ttl in [0, 1] {
            b.send(&with_ip(echo(9, 8), |ip| ip[8] = ttl)).await;
            answered += b.all(400 * MS).await.len();
        }
        when(answered != 2, answered)
    }
    "IPv4: version 6, header of 4 words, header of 15 words" : |b| {
        let mut seen = 0;
        for first in [0x65, 0x44, 0x4f] {
            b.send(&with_ip(echo(9, 8), |ip| ip[0] = first)).await;
            seen += b.all(400 * MS).await.len();
        }
        when(seen != 0, seen)
    }
    "IPv4: total length too long, too short, less than the message" : |b| {
        let mut seen = Vec::new();
        for total in [1000u16, 19, 24] {
            let mut request = echo(9, 8);
            request[IP + 2..IP + 4].copy_from_slice(&total.to_be_bytes());
            packet::mend_ip(&mut request);
            b.send(&request).await;
            seen.extend(b.all(400 * MS).await);
        }
        when(!seen.is_empty(), seen)
    }
    "IPv4: the type of service comes back" : |b| {
        b.send(&with_ip(echo(9, 8), |ip| ip[1] = 46 << 2)).await;
        let all = b.all(400 * MS).await;
        when(!all.iter().any(|f| f[IP + 1] == 46 << 2), all)
    }
    "IPv4: the reserved flag" : |b| {
        b.send(&with_ip(echo(9, 8), |ip| ip[6] = 0x80)).await;
        let all = b.all(400 * MS).await;
        when(all.iter().any(|f| f[IP + 6] & 0x80 != 0), all)
    }
    "IPv4: others' addresses" : |b| {
        let mut seen = 0;
        for to in [[192, 168, 100, 99], [127, 0, 0, 1], [10, 0, 0, 1]] {
            b.send(&with_ip(echo(9, 8), |ip| ip[16..20].copy_from_slice(&to))).await;
            seen += b.all(300 * MS).await.len();
        }
        when(seen != 0, seen)
    }
    "IPv4: record route comes back" : |b| {
        let mut request = echo(9, 8);
        request.splice(34..34, [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let request = with_ip(request, |ip| {
            ip[0] = 0x48;
            ip[3] += 12;
        });
        b.send(&request).await;
        let all = b.all(400 * MS).await;
        when(!all.iter().any(|f| f[IP] == 0x48), all)
    }
    "ICMP: an echo request with a code" : |b| {
        b.send(&with(echo(9, 8), |icmp| icmp[1] = 5)).await;
        let all = b.all(400 * MS).await;
        when(!b.is_alive().await, all)
    }
    "ICMP: unknown types, replies and redirects are silent" : |b| {
        let mut seen = Vec::new();
        for (kind, code) in [(42, 0), (0, 0), (5, 1), (17, 0), (15, 0), (3, 3), (11, 0)] {
            let frame = with(echo(9, 40), |icmp| (icmp[0], icmp[1]) = (kind, code));
            b.send(&frame).await;
            if !b.all(300 * MS).await.is_empty() {
                seen.push(kind);
            }
        }
        when(!seen.is_empty(), seen)
    }
    "ICMP: echo to a group: silent, or from its own address" : |b| {
        let mut seen = Vec::new();
        for to in [[192, 168, 100, 255], [255; 4], [224, 0, 0, 1]] {
            let mut request = with_ip(echo(9, 8), |ip| ip[16..20].copy_from_slice(&to));
            request[..6].fill(0xff);
            b.send(&request).await;
            seen.extend(b.all(300 * MS).await);
        }
        when(seen.iter().any(|f| f[IP + 12..IP + 16] != DEVICE), seen)
    }
    "ICMP: protocol unreachable or silence" : |b| {
        let mut seen = Vec::new();
        for protocol in [200, 253] {
            b.send(&ip(protocol, &[0; 16])).await;
            seen.extend(b.all(300 * MS).await);
        }
        when(seen.iter().any(|f| f[34..36] != [3, 2]), seen)
    }
    "ICMP: port unreachable quotes header and 8 bytes exactly" : |b| {
        let sent = udp(40009, b"hello");
        b.send(&sent).await;
        let all = b.all(300 * MS).await;
        let good = all.iter().any(|f| f[34..36] == [3, 3] && f.len() >= 70
            && f[42..70] == sent[14..42]);
        when(!good, (sent, all))
    }
    "ICMP: no error for a group, nor for a later fragment" : |b| {
        let mut first = with_ip(udp(40009, b"hello"), |ip| {
            ip[16..20].copy_from_slice(&[192, 168, 100, 255]);
        });
        first[..6].fill(0xff);
        b.send(&first).await;
        b.send(&with_ip(udp(40009, b"hello"), |ip| ip[7] = 5)).await;
        let all = b.all(300 * MS).await;
        when(!all.is_empty(), all)
    }
    "UDP: a wrong checksum, and a header cut short" : |b| {
        let mut bad = udp(40009, b"hello");
        bad[40] ^= 0x55;
        b.send(&bad).await;
        b.send(&ip(17, &[0x9c, 0x40, 0, 7])).await;
        let all = b.all(300 * MS).await;
        when(!all.is_empty(), all)
    }
    "UDP: a length that lies" : |b| {
        let mut seen = Vec::new();
        for length in [200u8, 4] {
            let mut frame = udp(7, b"hello");
            frame[39] = length;
            frame[40..42].fill(0);
            b.send(&frame).await;
            seen.extend(b.all(300 * MS).await);
        }
        when(!seen.is_empty(), seen)
    }
    "UDP: data behind its length" : |b| {
        let mut frame = udp(7, b"hello-longer");
        frame[38..40].copy_from_slice(&[0, 13]);
        frame[40..42].fill(0);
        b.send(&frame).await;
        let all = b.all(300 * MS).await;
        when(!all.iter().any(|f| f.ends_with(b"hello")), all)
    }
    "UDP: 0 bytes and 1472 bytes" : |b| {
        let mut seen = Vec::new();
        for length in [0, 1472] {
            b.send(&udp(7, &vec![3; length])).await;
            seen.extend(b.all(400 * MS).await.iter().map(Vec::len));
        }
        when(seen != [42, 1514], seen)
    }
    "UDP: port 0" : |b| {
        b.send(&udp(0, b"hello")).await;
        let all = b.all(300 * MS).await;
        when(!b.is_alive().await, all)
    }
    "fragments: reversed" : |b| {
        let [first, second] = fragments();
        b.send(&second).await;
        b.send(&first).await;
        let all = b.all(400 * MS).await;
        when(all.len() != 1, all)
    }
    "fragments: the first twice" : |b| {
        let [first, second] = fragments();
        b.send(&first).await;
        b.send(&first).await;
        b.send(&second).await;
        let all = b.all(400 * MS).await;
        when(all.len() != 1, all)
    }
    "fragments: beyond 65535 bytes, and of no length" : |b| {
        b.send(&with_ip(ip(1, &[0; 1400]), |ip| ip[6..8].copy_from_slice(&[0x1f, 0xfd]))).await;
        b.send(&with_ip(ip(1, &[]), |ip| ip[6] = 0x20)).await;
        let all = b.all(400 * MS).await;
        when(!all.is_empty() || !b.is_alive().await, all)
    }
    "fragments: not a multiple of 8" : |b| {
        let [mut first, second] = fragments();
        first.truncate(34 + 29);
        let first = { first[IP + 3] -= 3; packet::mend_ip(&mut first); first };
        b.send(&first).await;
        b.send(&second).await;
        let all = b.all(400 * MS).await;
        when(!all.is_empty(), all)
    }
    "fragments: 40 incomplete ones, then a whole one" : |b| {
        for n in 0..40u8 {
            b.send(&with_ip(ip(1, &[0; 16]), |ip| (ip[4], ip[5], ip[6]) = (7, n, 0x20))).await;
        }
        let [first, second] = fragments();
        b.send(&first).await;
        b.send(&second).await;
        let all = b.all(SECOND).await;
        when(all.len() != 1, all)
    }
    "fragments: given up, with an ICMP error, after 15 to 120 s" : |b| {
        let [first, second] = fragments();
        b.send(&first).await;
        let started = Instant::now();
        let error = b.next(130 * SECOND).await;
        let after = started.elapsed();
        b.send(&second).await;
        let all = b.all(400 * MS).await;
        when(error.is_none() || !all.is_empty(), (after, error, all))
    }
    "fragments: a reply of 3000 bytes" : |b| {
        let whole = echo(9, 2992);
        let message = &whole[34..];
        for (at, piece) in message.chunks(1480).enumerate() {
            let mut frame = ip(1, piece);
            frame[36..38].copy_from_slice(if at == 0 { &message[2..4] } else { &piece[2..4] });
            let offset = (at * 1480 / 8) as u16 | if at < 2 { 0x2000 } else { 0 };
            frame[IP + 6..IP + 8].copy_from_slice(&offset.to_be_bytes());
            packet::mend_ip(&mut frame);
            b.send(&frame).await;
        }
        let all = b.all(SECOND).await;
        let bytes: usize = all.iter().map(|f| f.len() - 34).sum();
        when(bytes != 3000, all.iter().map(Vec::len).collect::<Vec<_>>())
    }
}

fn is_reply_to_id(frame: &[u8], sequence: u16) -> bool {
    is_reply(frame) && be16(frame, 40) == Some(sequence)
}

#[tokio::test(start_paused = true)]
async fn the_rules_that_the_stack_breaks_are_the_known_ones() {
    let mut broken = Vec::new();
    for (name, rule) in RULES {
        if let Some(seen) = rule(Bench::with(None)).await {
            let seen: String = seen.chars().take(300).collect();
            broken.push((*name, seen));
        }
    }
    let names: Vec<_> = broken.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        KNOWN,
        "\n{}",
        broken.iter().map(|(n, s)| format!("{n}: {s}\n")).collect::<String>()
    );
}
