//! What real clients do and a device has to stand: many connections, at once and in a row.

use super::*;

#[tokio::test(start_paused = true)]
async fn as_many_connections_as_there_may_be_can_begin_at_once() {
    for line_rate in [None, Some(921_600)] {
        all_begin_at_once(line_rate).await;
    }
}

async fn all_begin_at_once(line_rate: Option<u32>) {
    let mut settings = Settings::default();
    settings.model.line_rate = line_rate;
    let mut b = Bench::new(settings);
    let conns: Vec<_> =
        (0..7).map(|_| Conn { local: b.port(), port: 80, seq: 1000, ack: 0 }).collect();
    let syns: Vec<_> = conns.iter().map(|conn| framed(&tcp(conn, flag::SYN, &[], b""))).collect();
    b.raw(&syns.concat()).await;
    let frames = b.all(500 * MS).await; // before any is sent again
    let answers: Vec<_> = frames.iter().filter_map(|frame| Segment::of(frame)).collect();
    let accepted = answers.iter().filter(|segment| segment.has(flag::SYN | flag::ACK)).count();
    assert_eq!((accepted, answers.len()), (7, 7));
}

#[tokio::test(start_paused = true)]
async fn connections_that_it_has_closed_itself_keep_no_new_one_out() {
    let mut b = Bench::with(None);
    for n in 0..40 {
        let response = b.http("GET / HTTP/1.0\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.0 200"), "request {n}: {response}");
    }
    let status = b.http("GET /status HTTP/1.0\r\n\r\n").await;
    let body = status.split("\r\n\r\n").nth(1).expect("a body");
    let status: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let open = status["counters"]["connections_open"].as_u64().expect("a number");
    assert!((2..=17).contains(&open), "those in TIME-WAIT are few: {open}");
}

#[tokio::test(start_paused = true)]
async fn half_open_connections_make_way_and_others_do_not() {
    let mut b = Bench::with(None);
    for _ in 0..20 {
        let conn = Conn { local: b.port(), port: 80, seq: 1000, ack: 0 };
        b.send(&tcp(&conn, flag::SYN, &[], b"")).await;
    }
    b.all(500 * MS).await;
    let response = b.http("GET / HTTP/1.0\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.0 200"), "{response}");

    let mut open = Vec::new();
    for _ in 0..7 {
        open.push(b.connect(80, 1460).await);
    }
    let conn = Conn { local: b.port(), port: 80, seq: 1000, ack: 0 };
    b.send(&tcp(&conn, flag::SYN, &[], b"")).await;
    let (_, refusal) = b.segment(&conn, SECOND).await.expect("an answer");
    assert!(refusal.has(flag::RST), "those that are open stay");
}
