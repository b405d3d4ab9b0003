//! What a file is, by its content.

use bytes::Bytes;

use super::input::{Have, Input, PATIENCE};
use super::{Format, Reading, hex, pcap, pcapng, plausible};
use crate::error::{Category, Error, Result};
use crate::framing::framing_of;

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

/// The format of the input, as given or found out, and what it seems to be instead, if it was given and
/// something else is known by how it begins. An error of [`Category::InputFile`] when it is none that is known.
pub(super) fn format(input: &mut Input, how: &Reading) -> Result<(Format, Option<&'static str>)> {
    let Some(format) = how.format else {
        return Ok((find(input, how)?, None));
    };
    match format {
        Format::Pcap | Format::Pcapng => Ok((format, None)),
        Format::Stream | Format::Hex => {
            let (prefix, have) = peek(input)?;
            if prefix.is_empty() && have == Have::End && input.has_ended() {
                return Err(is_empty(input));
            }
            refuse_a_dumped_capture(input, &prefix, format)?;
            Ok((format, known(&prefix)))
        }
    }
}

/// Finds the format out. As long as more may come and nothing can be told, it waits.
fn find(input: &mut Input, how: &Reading) -> Result<Format> {
    input.patience = Some(PATIENCE);
    let begun = input.want(4);
    input.patience = None;
    begun?;
    let mut is_told = false;
    loop {
        if pcap::Magic::of(input.window()).is_some() {
            return Ok(Format::Pcap);
        }
        if input.window().starts_with(&pcapng::SECTION.to_be_bytes()) {
            return Ok(Format::Pcapng);
        }
        let (prefix, have) = peek(input)?;
        let is_pcapng = prefix.starts_with(&pcapng::SECTION.to_be_bytes());
        if is_pcapng || pcap::Magic::of(&prefix).is_some() {
            continue; // it came while we looked
        }
        if plausible::is_stream(how.framing, how.max_frame, &prefix, have == Have::End) {
            return Ok(Format::Stream);
        }
        if hex::is_dump(&prefix) {
            refuse_a_dumped_capture(input, &prefix, Format::Hex)?;
            return Ok(Format::Hex);
        }
        if have != Have::NotYet || known(&prefix).is_some() {
            return Err(unknown(input, how, &prefix));
        }
        if !std::mem::replace(&mut is_told, true) {
            input.tell("has nothing yet that tells what it is: waiting for more");
        }
        input.want(prefix.len() + 1)?;
    }
}

/// The beginning, as far as it is there.
fn peek(input: &mut Input) -> Result<(Bytes, Have)> {
    input.patience = Some(PATIENCE);
    let have = input.want(PREFIX);
    input.patience = None;
    let length = input.window().len().min(PREFIX);
    Ok((input.window().slice(..length), have?))
}

/// Whether a section of a pcapng file begins anywhere near the beginning.
pub(super) fn has_section(input: &mut Input) -> Result<bool> {
    let magic = pcapng::SECTION.to_be_bytes();
    let (prefix, _) = peek(input)?;
    Ok(prefix.windows(4).any(|bytes| bytes == magic))
}

/// The frames of a capture cannot be told from what stands between them once it is a dump.
fn refuse_a_dumped_capture(input: &Input, prefix: &[u8], format: Format) -> Result<()> {
    let first = if format == Format::Hex { hex::first_row(prefix) } else { Vec::new() };
    let what = match pcap::Magic::of(&first) {
        Some(_) => "pcap",
        None if first.starts_with(&pcapng::SECTION.to_be_bytes()) => "pcapng",
        None => return Ok(()),
    };
    let name = input.name();
    let text = format!("'{name}' is a hex dump of a {what} file, which has to be read itself");
    let help = format!("xxd's dumps go back: xxd -r {name} > again.{what}");
    Err(Error::new(Category::InputFile, text).with_help(help))
}

fn is_empty(input: &Input) -> Error {
    Error::new(Category::InputFile, format!("'{}' is empty", input.name()))
}

fn unknown(input: &Input, how: &Reading, prefix: &[u8]) -> Error {
    if prefix.is_empty() {
        return is_empty(input);
    }
    let name = input.name();
    let text = format!("'{name}' is neither pcap, pcapng, a hex dump nor a raw stream");
    if let Some(seems) = known(prefix) {
        return error(text, Some(seems));
    }
    let is_text = |byte: &u8| *byte >= b' ' || matches!(byte, b'\n' | b'\r' | b'\t' | 0x1b);
    if prefix.iter().all(is_text) {
        let help = "a dump has lines of an offset and bytes, as 'tcpdump -xx', 'hexdump -C' and 'xxd' \
                    write them; digits alone can be read with --format hex";
        return error(text, Some("text without a hex dump")).with_help(help);
    }
    let framing = how.framing.name;
    if let Some(other) = framing_of(how.max_frame, &Bytes::copy_from_slice(prefix)) {
        let seems = format!("a raw stream in {}, not in {framing}", other.name);
        return error(text, Some(&seems)).with_help(format!("give '--framing {}'", other.name));
    }
    error(text, Some("bytes in which no frame begins")).with_help(format!(
        "if it is a raw stream, its framing may not be {framing}; its format can be given with --format"
    ))
}

/// That something cannot be read, and what it seems to be.
pub(super) fn error(text: String, seems: Option<&str>) -> Error {
    let seems = seems.map(|seems| format!(": it seems to be {seems}")).unwrap_or_default();
    Error::new(Category::InputFile, text + &seems)
}

/// That the input does not begin as the format that was given does.
pub(super) fn is_not(input: &Input, what: &str) -> Error {
    let name = input.name();
    match input.window().is_empty() {
        true => is_empty(input),
        false => error(format!("'{name}' does not begin with {what}"), known(input.window())),
    }
}

/// What begins like this, if that is known.
fn known(prefix: &[u8]) -> Option<&'static str> {
    if pcap::Magic::of(prefix).is_some() {
        return Some("a pcap file");
    }
    if prefix.starts_with(&pcapng::SECTION.to_be_bytes()) {
        return Some("a pcapng file");
    }
    OTHERS.iter().find(|(magic, _)| prefix.starts_with(magic)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(bytes: &'static [u8]) -> String {
        let mut input = Input::from_reader(bytes);
        match format(&mut input, &Reading::default()) {
            Ok((format, _)) => format!("{format:?}"),
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
