//! Messages over real sockets.

use std::os::unix::net::UnixDatagram;

use super::super::Received;
use super::*;

/// The connector of `text`.
fn open(text: &str) -> (Box<dyn Connector>, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = told.clone();
    let events = Events::new(move |event| sink.lock().expect("no panic").push(event.to_string()));
    (Spec::parse(text).expect("good").open(&events, None), told)
}

async fn next(link: &mut Link) -> Received {
    let received = tokio::time::timeout(Duration::from_secs(10), link.rx.receive()).await;
    received.expect("soon").expect("no failure")
}

async fn bytes(link: &mut Link) -> Vec<u8> {
    match next(link).await {
        Received::Bytes(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn local_is_for_datagrams_and_messages_for_unix_sockets() {
    for (text, part) in [
        ("unix:/a,local=/b", "local= is for datagrams"),
        ("unix:/a,framing=seqpacket,local=/b", "local= is for datagrams"),
        ("unix:/a,framing=dgram,local=", "no path behind 'local='"),
        ("unix-listen:/a,framing=dgram,local=/b", "there is no option 'local'"),
        ("tcp:h:1,framing=dgram", "framing=dgram is for unix:"),
        ("tap:x,framing=seqpacket", "framing=seqpacket is for unix:"),
    ] {
        let error = Spec::parse(text).expect_err(text).chain();
        assert!(error.contains(part), "{text}: {error}");
    }
    Spec::parse("unix:/a,local=/b,framing=dgram").expect("in any order");
}

#[tokio::test]
async fn a_datagram_is_a_frame_both_ways_and_odd_ones_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let peer = UnixDatagram::bind(at("peer")).expect("a socket");
    let text = format!("unix:{},local={},framing=dgram", at("peer"), at("own"));
    let (connector, told) = open(&text);
    let mut link = connector.connect().await.expect("it is there");
    assert!(!link.about.is_stream);
    link.tx.send(&["one".into(), "two".into()]).await.expect("it takes them");
    link.tx.send_raw(b"\0\x05th").await.expect("a part");
    link.tx.send_raw(b"ree\0\0\0\x01x").await.expect("the rest");
    let mut buffer = [0; 100];
    for wanted in ["one", "two", "three", "x"] {
        let n = peer.recv(&mut buffer).expect("a datagram");
        assert_eq!(buffer[..n], *wanted.as_bytes());
    }
    for message in [&b"a"[..], b"", b"bc"] {
        peer.send_to(message, at("own")).expect("it listens");
    }
    assert_eq!(bytes(&mut link).await, b"\0\x01a\0\0\0\x02bc");
    peer.send_to(&vec![7; 70_000], at("own")).expect("it listens");
    assert_eq!(bytes(&mut link).await.len(), 65537);
    let warnings = told.lock().expect("no panic").join("\n");
    assert!(warnings.contains("a message of 70000 bytes was cut"), "{warnings}");
    drop(peer);
    std::fs::remove_file(at("peer")).expect("it is there");
    assert_eq!(next(&mut link).await, Received::End("its socket is gone".to_owned()));
    drop((link, connector));
    assert!(!folder.path().join("own").exists(), "ours is gone");
}

#[tokio::test]
async fn without_a_path_of_ours_there_is_a_private_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("peer");
    let peer = UnixDatagram::bind(&path).expect("a socket");
    let (connector, _) = open(&format!("unix:{},framing=dgram", path.display()));
    let mut link = connector.connect().await.expect("it is there");
    link.tx.send(&["x".into()]).await.expect("it takes it");
    let (_, sender) = peer.recv_from(&mut [0; 9]).expect("a datagram");
    let own = sender.as_pathname().expect("a path").to_owned();
    use std::os::unix::fs::MetadataExt;
    let mode = std::fs::metadata(own.parent().expect("a folder")).expect("it is there").mode();
    assert_eq!(mode & 0o777, 0o700);
    peer.send_to(b"y", &own).expect("it listens");
    assert_eq!(bytes(&mut link).await, b"\0\x01y");
    drop((link, connector));
    assert!(!own.parent().expect("a folder").exists());
}

#[tokio::test]
async fn a_listener_answers_whoever_spoke_last_and_takes_over_what_is_stale() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    for kind in ["dgram", "seqpacket"] {
        // What a program left that is gone.
        let (stale, _) = open(&format!("unix-listen:{},framing={kind}", at(kind)));
        stale.prepare().await.expect("it listens");
        std::fs::hard_link(at(kind), at("kept")).expect("a second name");
        drop(stale);
        std::fs::rename(at("kept"), at(kind)).expect("the socket of nobody");
        let (listener, told) = open(&format!("unix-listen:{},framing={kind}", at(kind)));
        assert!(listener.prepare().await.unwrap_or_else(|e| panic!("{kind}: {}", e.chain())));
        assert!(told.lock().expect("no panic")[0].starts_with("listening on unix:"));
        let (taken, _) = open(&format!("unix-listen:{},framing={kind}", at(kind)));
        assert!(taken.prepare().await.is_err(), "{kind}: somebody listens there");

        let (client, _) = open(&format!("unix:{},framing={kind}", at(kind)));
        let mut near = client.connect().await.unwrap_or_else(|e| panic!("{kind}: {}", e.chain()));
        near.tx.send(&["hello".into()]).await.expect("it takes it");
        let mut far = listener.connect().await.expect("a client");
        assert_eq!(bytes(&mut far).await, b"\0\x05hello", "{kind}");
        far.tx.send(&["welcome".into(), "x".into()]).await.expect("it takes it");
        let mut came = Vec::new();
        while came.len() < 12 {
            came.extend(bytes(&mut near).await);
        }
        assert_eq!(came, b"\0\x07welcome\0\x01x", "{kind}");
        if kind == "dgram" {
            let (other, _) = open(&format!("unix:{},framing={kind}", at(kind)));
            let mut other_near = other.connect().await.expect("it listens");
            other_near.tx.send(&["me".into()]).await.expect("it takes it");
            assert_eq!(bytes(&mut far).await, b"\0\x02me");
            far.tx.send(&["you".into()]).await.expect("it takes it");
            assert_eq!(bytes(&mut other_near).await, b"\0\x03you");
        }
        drop((near, client));
        assert!(matches!(next(&mut far).await, Received::End(_)), "{kind}");
    }
}

#[tokio::test]
async fn an_empty_message_of_a_connection_is_not_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s");
    let (listener, _) = open(&format!("unix-listen:{},framing=seqpacket", path.display()));
    listener.prepare().await.expect("it listens");
    let client =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let client = client.expect("a socket");
    connect(&client, &SocketAddrUnix::new(&path).expect("short")).expect("it listens");
    let mut link = listener.connect().await.expect("a client");
    for message in [&b""[..], b"a", b"", b"b"] {
        rustix::net::send(&client, message, rustix::net::SendFlags::empty()).expect("room");
    }
    let mut came = Vec::new();
    while came.len() < 10 {
        came.extend(bytes(&mut link).await);
    }
    assert_eq!(came, b"\0\0\0\x01a\0\0\0\x01b");
    drop(client);
    assert_eq!(next(&mut link).await, Received::End("closed by the other end".to_owned()));
}

#[tokio::test]
async fn who_is_not_there_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nobody").display().to_string();
    for kind in ["dgram", "seqpacket"] {
        let error = open(&format!("unix:{path},framing={kind}")).0.connect().await;
        let error = error.expect_err("nobody is there");
        assert_eq!(error.category().exit_code(), 3);
        assert!(error.help().is_some_and(|help| help.contains("no such socket")), "{kind}");
    }
    let _listener = std::os::unix::net::UnixListener::bind(&path).expect("a stream");
    let error = open(&format!("unix:{path},framing=seqpacket")).0.connect().await;
    let help = error.err().and_then(|error| error.help().map(str::to_owned));
    assert!(help.is_some_and(|help| help.contains("a socket of a stream")));
}

#[tokio::test]
async fn a_socket_of_messages_that_is_opened_as_a_stream_is_told_with_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let _datagrams = std::os::unix::net::UnixDatagram::bind(path("dgram")).expect("a socket");
    let listener = open(&format!("unix-listen:{},framing=seqpacket", path("seqpacket"))).0;
    listener.prepare().await.expect("it listens");
    for kind in ["dgram", "seqpacket"] {
        let error = open(&format!("unix:{}", path(kind))).0.connect().await.expect_err(kind);
        let help = error.help().expect("a way out");
        assert!(help.contains("of messages") && help.contains(&format!("framing={kind}")));
    }
}

#[tokio::test]
async fn a_path_of_ours_that_somebody_has_is_left_alone_and_an_old_one_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let _peer = std::os::unix::net::UnixDatagram::bind(path("peer")).expect("a socket");
    let other = std::os::unix::net::UnixDatagram::bind(path("ours")).expect("a socket");
    std::fs::write(path("file"), "text").expect("it can be written");
    let peer = path("peer");
    for (endpoint, wanted) in [
        (format!("unix:{peer},framing=dgram,local={}", path("ours")), "(pid "),
        (format!("unix-listen:{},framing=dgram", path("ours")), "(pid "),
        (format!("unix-listen:{},framing=seqpacket", path("ours")), "(pid "),
        (format!("unix-listen:{}", path("ours")), "(pid "),
        (format!("unix:{peer},framing=dgram,local={}", path("file")), "something else"),
        (format!("unix-listen:{}", path("file")), "something else"),
        (format!("unix:{peer},framing=dgram,local={}", path("no/file")), "its folder"),
    ] {
        let error = open(&endpoint).0.prepare().await.expect_err(&endpoint);
        let help = error.help().unwrap_or_else(|| panic!("{endpoint}: {}", error.chain()));
        assert!(help.contains(wanted), "{endpoint}: {help}");
    }
    other.send_to(b"still there", path("ours")).expect("nobody has taken it away");
    drop(other);
    let ours = format!("unix:{peer},framing=dgram,local={}", path("ours"));
    open(&ours).0.connect().await.expect("the old one is of no use to anybody");
}
