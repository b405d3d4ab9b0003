//! The two messages that begin a TLS connection: ClientHello and ServerHello (RFC 8446 section 4.1,
//! RFC 5246 section 7.4.1; SNI: RFC 6066, ALPN: RFC 7301).
//!
//! A hello that goes on in the next segment is read as far as it is there.

use super::tls_names::{cipher_suite_name, extension_name, version_name};
use super::{Item, Value, be16};

/// The number of the extension with the server's name.
const SERVER_NAME: u16 = 0;
/// The number of the extension of ALPN.
const PROTOCOLS: u16 = 16;
/// The number of the extension with versions.
const VERSIONS: u16 = 43;

/// A hello, as far as it is there; places are in the body, behind type and length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hello<'a> {
    body: &'a [u8],
    is_client: bool,
}

/// A part of a hello and where it is.
type Part<'a> = (&'a [u8], usize);

impl<'a> Hello<'a> {
    pub(super) fn new(body: &'a [u8], is_client: bool) -> Self {
        Hello { body, is_client }
    }

    /// What is behind a length of `width` bytes at `at`, as far as it is there, and where it ought to end.
    fn vector(&self, at: usize, width: usize) -> Option<(Part<'a>, usize)> {
        let length = match width {
            1 => usize::from(*self.body.get(at)?),
            _ => usize::from(be16(self.body, at)?),
        };
        let start = at + width;
        let rest = self.body.get(start..)?;
        Some(((rest.get(..length).unwrap_or(rest), start), start + length))
    }

    fn session(&self) -> Option<(Part<'a>, usize)> {
        self.vector(34, 1)
    }

    /// The cipher suites that a client offers, or the one that a server chose.
    fn suites(&self) -> Option<(Part<'a>, usize)> {
        let (_, at) = self.session()?;
        if self.is_client {
            return self.vector(at, 2);
        }
        Some(((self.body.get(at..at + 2)?, at), at + 2))
    }

    /// The extensions: number, value and place of the value.
    pub(super) fn extensions(&self) -> impl Iterator<Item = (u16, &'a [u8], usize)> + use<'a> {
        let start = self.suites().and_then(|(_, at)| {
            // Behind the compression methods: several of a client, one of a server.
            let at = if self.is_client { self.vector(at, 1)?.1 } else { at + 1 };
            self.vector(at, 2).map(|(part, _)| part)
        });
        let (bytes, start) = start.unwrap_or_default();
        let mut at = 0;
        std::iter::from_fn(move || {
            let (kind, length) = (be16(bytes, at)?, usize::from(be16(bytes, at + 2)?));
            let value = bytes.get(at + 4..at + 4 + length)?;
            let place = start + at + 4;
            at += 4 + length;
            Some((kind, value, place))
        })
    }

    fn extension(&self, wanted: u16) -> Option<Part<'a>> {
        let mut all = self.extensions();
        all.find(|extension| extension.0 == wanted).map(|(_, value, at)| (value, at))
    }

    /// The name of the server that a client wants.
    pub(super) fn server_name(&self) -> Option<&'a [u8]> {
        let name = self.extension(SERVER_NAME).filter(|_| self.is_client).and_then(host_name);
        name.map(|(name, _)| name)
    }

    /// The protocols that a client offers to speak inside, or the one that a server chose.
    pub(super) fn protocols(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        protocol_names(self.extension(PROTOCOLS).unwrap_or_default()).map(|(name, _)| name)
    }

    /// The versions in the extension that lists a client's or holds a server's.
    fn versions(&self, (value, start): Part<'a>) -> impl Iterator<Item = (u16, usize)> + use<'a> {
        let places = (usize::from(self.is_client)..value.len().saturating_sub(1)).step_by(2);
        places.filter_map(move |at| Some((be16(value, at)?, start + at)))
    }

    /// The version that a server chose.
    pub(super) fn chosen_version(&self) -> Option<u16> {
        let mut versions = self.versions(self.extension(VERSIONS).unwrap_or_default());
        versions.next().map(|(version, _)| version).or(be16(self.body, 0))
    }

    /// The cipher suite that a server chose.
    pub(super) fn chosen_suite(&self) -> Option<u16> {
        be16(self.suites()?.0.0, 0)
    }

    /// Whether a server asks for another ClientHello (RFC 8446 section 4.1.3).
    pub(super) fn is_retry(&self) -> bool {
        const RETRY: [u8; 8] = [0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11];
        !self.is_client && self.body.get(2..10) == Some(&RETRY)
    }

    /// Visits what it holds; `start` is the place of the body in the layer.
    pub(super) fn list(&self, start: usize, visit: &mut dyn FnMut(Item<'_>)) {
        let hex = |name, number: u16, at| Item::new(name, Value::Hex(number.into()), start + at, 2);
        if let Some(version) = be16(self.body, 0) {
            visit(hex("handshake.version", version, 0).meaning(version_name(version)));
        }
        if let Some(random) = self.body.get(2..34) {
            visit(Item::new("handshake.random", Value::Bytes(random), start + 2, 32));
        }
        if let Some(((session, at), _)) = self.session().filter(|part| !part.0.0.is_empty()) {
            let session_id = Value::Bytes(session);
            visit(Item::new("handshake.session_id", session_id, start + at, session.len()));
        }
        if let Some(((suites, at), _)) = self.suites() {
            let name = if self.is_client { "offered_cipher_suite" } else { "cipher_suite" };
            for place in (0..suites.len().saturating_sub(1)).step_by(2) {
                let suite = be16(suites, place).unwrap_or_default();
                visit(hex(name, suite, at + place).meaning(cipher_suite_name(suite)));
            }
        }
        for extension in self.extensions() {
            self.list_extension(extension, start, visit);
        }
    }

    fn list_extension(
        &self,
        (kind, value, at): (u16, &[u8], usize),
        start: usize,
        visit: &mut dyn FnMut(Item<'_>),
    ) {
        let number = Value::Number(kind.into());
        let item = Item::new("extension.type", number, start + at - 4, 4 + value.len());
        visit(item.meaning(extension_name(kind)));
        let text = |name, (text, at): Part<'_>, visit: &mut dyn FnMut(Item<'_>)| {
            visit(Item::new(name, Value::Text(text), start + at, text.len()));
        };
        match kind {
            SERVER_NAME if self.is_client => {
                if let Some(name) = host_name((value, at)) {
                    text("server_name", name, visit);
                }
            }
            PROTOCOLS => {
                protocol_names((value, at)).for_each(|name| text("alpn", name, visit));
            }
            VERSIONS => {
                for (version, at) in Hello::new(&[], self.is_client).versions((value, at)) {
                    let item =
                        Item::new("supported_version", Value::Hex(version.into()), start + at, 2);
                    visit(item.meaning(version_name(version)));
                }
            }
            _ => {}
        }
    }
}

/// The host's name in the extension `server_name`.
fn host_name((value, at): Part<'_>) -> Option<Part<'_>> {
    let is_host_name = value.get(2) == Some(&0);
    let length = usize::from(be16(value, 3).filter(|_| is_host_name)?);
    Some((value.get(5..5 + length)?, at + 5))
}

/// The names in the extension of ALPN.
fn protocol_names((list, start): Part<'_>) -> impl Iterator<Item = Part<'_>> {
    let mut at = 2;
    std::iter::from_fn(move || {
        let length = usize::from(*list.get(at)?);
        let name = list.get(at + 1..at + 1 + length)?;
        let place = start + at + 1;
        at += 1 + length;
        Some((name, place))
    })
}
