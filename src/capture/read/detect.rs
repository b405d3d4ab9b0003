//! What a file is, by its content.

use super::damage::Log;
use super::input::{Have, Input, PATIENCE};
use super::{Format, Reading, hex, pcap, pcapng, plausible};
use crate::error::{Category, Error, Result};

/// So much of a file is looked at, in bytes.
const PREFIX: usize = 64 * 1024;

/// Files that people hand in by mistake, by what they begin with, and what to do about them.
const OTHERS: [(&[u8], &str); 11] = [
    (b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it first"),
    (b"\xfd7zXZ", "compressed by xz: unpack it first"),
    (b"BZh", "compressed by bzip2: unpack it first"),
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"\x7fELF", "a program"),
    (b"\x89PNG", "a picture"),
    (b"%PDF", "a PDF document"),
    (b"snoop\0\0\0", "a snoop capture: 'editcap in out.pcapng' converts it"),
    (b"btsnoop\0", "a Bluetooth capture"),
    (b"{", "JSON"),
];

/// The format of the input; an error of [`Category::InputFile`] when it is none that is known.
pub(super) fn format(input: &mut Input, log: &mut Log, how: &Reading) -> Result<Format> {
    input.want(4, log)?;
    if pcap::Magic::of(input.window()).is_some() {
        return Ok(Format::Pcap);
    }
    if input.window().starts_with(&pcapng::SECTION.to_be_bytes()) {
        return Ok(Format::Pcapng);
    }
    input.patience = Some(PATIENCE);
    let have = input.want(PREFIX, log);
    input.patience = None;
    let is_all = have? != Have::Enough;
    let prefix = input.window().slice(..input.window().len().min(PREFIX));
    if plausible::is_stream(how.framing, how.max_frame, &prefix, is_all) {
        return Ok(Format::Stream);
    }
    if hex::is_dump(&prefix) {
        return Ok(Format::Hex);
    }
    let name = input.name();
    if prefix.is_empty() {
        return Err(Error::new(Category::InputFile, format!("'{name}' is empty")));
    }
    let seems = seems(&prefix);
    let framing = how.framing.name;
    let text = format!(
        "'{name}' is neither pcap, pcapng, a hex dump nor a raw stream: it seems to be {seems}"
    );
    let help = format!(
        "if it is a raw stream, its framing may not be {framing}; its format can be given with --format"
    );
    Err(Error::new(Category::InputFile, text).with_help(help))
}

fn seems(prefix: &[u8]) -> &'static str {
    if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| prefix.starts_with(magic)) {
        return what;
    }
    let is_text = |byte: &u8| *byte >= b' ' || matches!(byte, b'\n' | b'\r' | b'\t' | 0x1b);
    match prefix.iter().all(is_text) {
        true => "text without a hex dump",
        false => "bytes in which no frame begins",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(bytes: &'static [u8]) -> String {
        let mut input = Input::from_reader(bytes);
        match format(&mut input, &mut Log::default(), &Reading::default()) {
            Ok(format) => format!("{format:?}"),
            Err(error) => error.chain(),
        }
    }

    #[test]
    fn formats_are_known_by_content_and_others_are_named() {
        let all: [&[u8]; 10] = [
            b"\xa1\xb2\xc3\xd4",
            b"\x4d\x3c\xb2\xa1",
            b"\x0a\x0d\x0d\x0a",
            b"0000  02 00 00 00 00 02 02 00 00 00 00 01 08 06 00 01   ................\n",
            b"\x00\x0e\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x88\xcc",
            b"\x1f\x8b\x08\0",
            b"{\"a\": 1}",
            b"Dear reader,\n",
            b"\x00\x00\x00\x00\x00\x00",
            b"",
        ];
        insta::assert_snapshot!(all.map(outcome).join("\n"), @r"
        Pcap
        Pcap
        Pcapng
        Hex
        Stream
        'test' is neither pcap, pcapng, a hex dump nor a raw stream: it seems to be compressed by gzip: unpack it first
        'test' is neither pcap, pcapng, a hex dump nor a raw stream: it seems to be JSON
        'test' is neither pcap, pcapng, a hex dump nor a raw stream: it seems to be text without a hex dump
        'test' is neither pcap, pcapng, a hex dump nor a raw stream: it seems to be bytes in which no frame begins
        'test' is empty
        ");
    }
}
