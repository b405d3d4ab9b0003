//! HTTP: requests and answers with headers of all sorts, bodies in one piece and in chunks.

use super::Maker;

/// One message a segment.
pub fn http(maker: &mut Maker) -> Vec<u8> {
    let is_answer = maker.chance(2);
    let mut text: Vec<u8> = Vec::new();
    if is_answer {
        let version = maker.pick(&["HTTP/1.1", "HTTP/1.0"]);
        let (status, reason) = maker.pick(&[
            (200, "OK"),
            (404, "Not Found"),
            (304, "Not Modified"),
            (500, "Oops, sorry"),
            (204, "No Content"),
        ]);
        text.extend(format!("{version} {status} {reason}\r\n").bytes());
    } else {
        let method = maker.pick(&["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]);
        let path = maker.letters(0, 40);
        text.extend(format!("{method} /{} HTTP/1.1\r\n", String::from_utf8_lossy(&path)).bytes());
    }
    let has_body = !text[9..].starts_with(b"204") && !text[9..].starts_with(b"304");
    let is_chunked = is_answer && has_body && maker.chance(3);
    let body = if is_chunked { Vec::new() } else { maker.letters(0, 60) };
    header(maker, &mut text, "Host");
    header(maker, &mut text, "User-Agent");
    header(maker, &mut text, "server");
    header(maker, &mut text, "Content-Type");
    header(maker, &mut text, "X-Made-Up");
    header(maker, &mut text, "Date");
    if is_chunked {
        text.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        for _ in 0..maker.below(3) {
            let chunk = maker.letters(1, 40);
            text.extend(format!("{:x}\r\n", chunk.len()).bytes());
            text.extend(chunk);
            text.extend(b"\r\n");
        }
        text.extend(b"0\r\n\r\n");
    } else {
        text.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
        text.extend(body);
    }
    let port = maker.pick(&[80, 8080]);
    maker.tcp_with(port, is_answer, &text)
}

fn header(maker: &mut Maker, text: &mut Vec<u8>, name: &str) {
    if maker.chance(2) {
        let value = maker.letters(1, 30);
        text.extend(format!("{name}: {}\r\n", String::from_utf8_lossy(&value)).bytes());
    }
}
