//! Name and password of a URL, as RFC 7617 sends them.

use hyper::header::HeaderValue;
use reqwest::Url;

/// The digits of Base64 (RFC 4648 section 4).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of an Authorization line for a URL with a name or a password.
pub(super) fn basic(url: &Url) -> Option<HeaderValue> {
    let (name, password) = (url.username(), url.password());
    if name.is_empty() && password.is_none() {
        return None;
    }
    let mut bytes = decoded(name);
    bytes.push(b':');
    bytes.extend(decoded(password.unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", base64(&bytes))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The bytes of a text in which some are written as `%41`.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    bytes
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for n in 0..4 {
            let digit = DIGITS.get((bits >> (18 - 6 * n) & 63) as usize).copied();
            let is_there = n <= three.len();
            text.push(digit.filter(|_| is_there).map_or('=', char::from));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_its_padding() {
        for (plain, wanted) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(plain.as_bytes()), wanted);
        }
    }

    #[test]
    fn names_and_passwords_are_sent_as_they_are_meant() {
        for (url, wanted) in [
            ("http://user:pw@dev/", Some("Basic dXNlcjpwdw==")),
            ("http://:pw@dev/", Some("Basic OnB3")),
            ("http://dev/a@b", None),
        ] {
            let value = basic(&Url::parse(url).expect("a URL"));
            let value = value.map(|value| value.to_str().expect("text").to_owned());
            assert_eq!(value.as_deref(), wanted, "{url}");
        }
        assert_eq!(decoded("a%3Ab%zz%4"), b"a:b%zz%4");
    }
}
