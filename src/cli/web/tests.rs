use super::*;

use crate::bus::Bus;
use crate::cli::{block_on_virtual, connect, tokio_clock};
use crate::conformance::explore::explore;
use crate::conformance::model::{Flow, Halt, Severity};
use crate::conformance::rig::{Capability, Ports, Rig, Target};
use crate::conformance::trial::Trial;
use crate::endpoint::{Connector, Spec};
use crate::probe::{Identity, Probe};
use crate::record::{Body, Direction};

/// A rig on the built-in device.
async fn rig(endpoint: &str) -> crate::error::Result<Rig> {
    let spec = Spec::parse(endpoint).expect("a good endpoint");
    let events = Events::ignore();
    let sim = connect::sim(&spec, &events)?.expect("the built-in device");
    let link = sim.connect().await?;
    let identity = Identity::default();
    let options = &spec.options;
    let probe = Probe::new(link, options, identity, tokio_clock(), events, Bus::default());
    let target = Target {
        identity,
        max_frame: options.max_frame,
        is_max_declared: false,
        line_rate: None,
        ports: Ports::default(),
        declared: Vec::new(),
    };
    let mut rig = Rig::new(probe, Box::new(sim), None, target, 1.0, 7);
    rig.web = Some(Box::new(Forwarded::new(Some(7))));
    Ok(rig)
}

/// A trial on the built-in device; what it says, and every frame of the line.
fn on<T>(
    endpoint: &str,
    test: impl AsyncFnOnce(&mut Trial) -> Flow<T>,
) -> (T, Vec<(Direction, Bytes)>) {
    let tried = async {
        let mut trial = Trial::of(rig(endpoint).await?, Severity::Must, None);
        trial.listen(Duration::from_millis(20)).await.expect("its announcement");
        trial.take_seen();
        let tested = match test(&mut trial).await {
            Ok(value) => value,
            Err(Halt::Error(error)) => return Err(error),
            Err(other) => panic!("{other:?}"),
        };
        trial.close_connections().await.expect("closed");
        assert!(trial.seen().is_empty(), "no frame of a request is a test's: {:?}", trial.seen());
        let mut rig = trial.end(Ok(())).1;
        let records = std::iter::from_fn(|| rig.log.poll());
        let frames = records.filter_map(|record| match record.body {
            Body::Frame(bytes) => Some((record.origin.direction, bytes)),
            _ => None,
        });
        let frames: Vec<_> = frames.filter(|(_, frame)| be16(frame, 12) == Some(0x0800)).collect();
        let violations: Vec<_> = rig.invariants.violations().filter_map(|(_, v)| v).collect();
        assert!(violations.is_empty(), "{violations:?}");
        Ok((tested, frames))
    };
    block_on_virtual(tried).unwrap_or_else(|error| panic!("{}", error.chain()))
}

#[test]
fn a_response_and_what_its_connection_did() {
    let (exchange, frames) = on("sim", async |t| t.ask(Request::get("/blob/20000")).await);
    assert!(exchange.is_whole(200), "{exchange:?}");
    assert_eq!((exchange.length, exchange.delimiter), (20_000, Delimiter::Length(20_000)));
    let pattern = b"uarttool reference device 0123456789 abcdefghijklmnopqrstuvwxyz\n";
    let text = pattern.iter().copied().cycle().take(20_000);
    let text: Vec<u8> = text.collect();
    assert_eq!(
        (exchange.body.as_slice(), exchange.sha256),
        (&text[..], Sha256::digest(&text).into())
    );
    let wire = exchange.wire;
    assert!(wire.theirs.bytes > 20_000 && wire.theirs.bytes < 20_400, "{wire:?}");
    assert!(exchange.connected().expect("accepted") < exchange.first_byte.expect("a head"));
    assert_eq!((wire.theirs.again, wire.is_reset), (0, false));
    let ours = frames.iter().filter(|(direction, _)| *direction == Direction::ToDevice);
    assert!(ours.clone().count() > 5);
    let fins = frames.iter().filter(|(_, frame)| frame[47] & tcp::FIN != 0).count();
    assert_eq!(fins, 2, "both sides have ended it");
    let resets = frames.iter().filter(|(_, frame)| frame[47] & tcp::RST != 0).count();
    assert_eq!(resets, 0);
}

#[test]
fn requests_go_on_at_once_and_while_something_else_happens() {
    let (exchanges, _) = on("sim,line-rate=115200", async |t| {
        t.rig.pace.byte_time = Duration::from_micros(87);
        let asked = t.begin(Request::get("/blob/30000"))?;
        let mut pings = 0;
        while !asked.is_done() {
            assert!(t.ping().await?, "a ping beside it");
            pings += 1;
        }
        assert!(pings > 5, "{pings}");
        let mut exchanges = vec![t.finish(asked).await?];
        exchanges.extend(t.ask_all((0..4).map(|n| Request::get(format!("/blob/{n}000")))).await?);
        Ok(exchanges)
    });
    let lengths: Vec<_> = exchanges.iter().map(|exchange| exchange.length).collect();
    assert_eq!(lengths, [30_000, 0, 1000, 2000, 3000]);
    assert!(exchanges.iter().all(|exchange| exchange.is_whole(200)), "{exchanges:?}");
    assert!(exchanges[0].total > Duration::from_millis(2600), "{:?}", exchanges[0].total);
}

#[test]
fn a_connection_that_is_kept_serves_again_and_small_segments_come_when_they_are_wanted() {
    let (exchanges, _) = on("sim", async |t| {
        let first = t.ask(Request::get("/").keep()).await?;
        let second = t.ask(Request::post("/upload", vec![1; 5000]).on(first.port)).await?;
        let small = t.ask(Request::get("/blob/3000").mss(200)).await?;
        Ok([first, second, small])
    });
    let [first, second, small] = exchanges;
    assert_eq!(first.port, second.port);
    assert_eq!(first.wire.opened, second.wire.opened);
    assert!(second.is_whole(200) && second.body.starts_with(b"{\"received\":5000"), "{second:?}");
    assert!(small.is_whole(200) && small.wire.theirs.largest <= 200, "{small:?}");
}

#[test]
fn what_cannot_be_had_is_said() {
    let (said, frames) = on("sim", async |t| {
        let refused = t.begin_at(81, Request::get("/"))?;
        let refused = t.finish(refused).await?.said();
        let no_http = t.begin_at(19, Request::get("/"))?;
        let no_http = t.finish(no_http).await?.said();
        let gone = t.ask(Request::get("/").on(60_000)).await?.said();
        let asked = t.begin(Request::get("/blob/1000000"))?;
        t.listen(Duration::from_millis(5)).await?;
        drop(asked);
        Ok([refused, no_http, gone])
    });
    assert_eq!(said[0], "the device refused the connection");
    assert_eq!(said[1], "what came is no HTTP response");
    assert_eq!(said[2], "there is no such connection any more");
    let last = frames.iter().rfind(|(direction, _)| *direction == Direction::ToDevice);
    assert!(last.expect("a frame").1[47] & tcp::RST != 0, "what was let go of is reset");
}

#[test]
fn what_is_forgotten_sends_nothing_more_and_what_is_left_open_is_reset() {
    let (sent, frames) = on("sim", async |t| {
        let asked = t.begin(Request::get("/blob/1000000"))?;
        t.listen(Duration::from_millis(50)).await?;
        t.forget_requests();
        drop(asked);
        let before = t.passed().out;
        t.listen(Duration::from_millis(200)).await?;
        Ok(t.passed().out - before)
    });
    let is_ours = |(direction, _): &&(Direction, Bytes)| *direction == Direction::ToDevice;
    assert_eq!(sent, 0, "the device is not told");
    let resets = frames.iter().filter(is_ours).filter(|(_, frame)| frame[47] & tcp::RST != 0);
    assert!(resets.count() > 0, "before the test ends it is");
    let (_, frames) = on("sim", async |t| {
        let asked = t.begin(Request::get("/blob/10000000"))?;
        t.listen(Duration::from_millis(50)).await?;
        std::mem::forget(asked); // it goes on when the trial ends
        Ok(())
    });
    let last = &frames.iter().rfind(is_ours).expect("a frame").1;
    let from_device = frames.iter().rfind(|frame| !is_ours(frame)).expect("a frame");
    assert_eq!(last[47], tcp::RST);
    assert_eq!(last[38..42], from_device.1[42..46], "just what the device expects");
}

#[test]
fn nothing_but_its_own_segments_is_taken_or_answered() {
    let identity = Identity::default();
    let ends = Ends { identity, port: 80, max_frame: 1514 };
    let segment = |port: u16, flags: u8| {
        use crate::craft::layers::{Ethernet, Ipv4, Tcp};
        let header = Tcp { flags, ..Tcp::new(80, port) };
        let segment = header.segment(identity.device_ip, identity.host_ip, b"");
        let packet = Ipv4::new(identity.device_ip, identity.host_ip, 6).packet(&segment);
        let (destination, source) = (identity.host_mac, identity.device_mac);
        Bytes::from(Ethernet { destination, source, kind: 0x0800 }.frame(&packet))
    };
    let taken = async {
        let mut web = Forwarded::new(Some(1));
        assert!(!web.take(&segment(60_000, tcp::ACK)), "there is no connection yet");
        drop(web.begin(Request::get("/"), ends));
        assert!(web.take(&segment(60_000, tcp::ACK)));
        assert!(!web.take(&segment(60_000, tcp::SYN)));
        assert!(!web.take(&segment(59_999, tcp::ACK)));
        assert!(!web.take(&Bytes::from(crate::proto::samples::arp_request())));
        assert!(!web.take(&Bytes::from_static(b"")));
        let first = web.next().await;
        assert_eq!(first[47] & (tcp::SYN | tcp::ACK), tcp::SYN);
        let wait = Duration::from_millis(100);
        assert!(tokio::time::timeout(wait, web.next()).await.is_err(), "no answer to that ACK");
        Ok(())
    };
    block_on_virtual(taken).expect("it runs");
}

#[test]
fn the_same_seed_makes_the_same_frames() {
    let run = || {
        let (_, frames) = on("sim", async |t| {
            t.ask_all([Request::get("/blob/5000"), Request::get("/"), Request::get("/nope")]).await
        });
        frames
    };
    assert_eq!(run(), run());
}

#[test]
fn what_web_server_a_device_has_is_found_out_where_that_is_needed() {
    let look = |endpoint: &str, needs: &[Capability]| {
        let needs = needs.iter().copied().collect();
        let looked = async {
            let wait = Duration::from_secs(5);
            explore(rig(endpoint).await?, wait, &needs, &mut |_| {}).await
        };
        let (rig, facts) = block_on_virtual(looked).expect("it answers");
        let has = [Capability::Http, Capability::KeepAlive].map(|capability| rig.can(capability));
        (has, facts.iter().filter(|fact| fact.contains("port 80")).count())
    };
    let both = [Capability::Http, Capability::KeepAlive];
    assert_eq!(look("sim", &[]), ([false, false], 0));
    assert_eq!(look("sim", &both[..1]), ([true, false], 1));
    assert_eq!(look("sim", &both), ([true, true], 2));
    assert_eq!(look("sim,fault=kept-and-deaf", &both), ([true, false], 2));
    assert_eq!(look("sim,fault=closed-silent", &[]), ([false, false], 0));
}
