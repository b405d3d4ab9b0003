//! How a frame goes out on the line: with a header that lies, cut, in pieces.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::framing::{Carries, Framing};
use crate::probe::Probe;

/// What is unusual about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// The length that the line's header claims.
    pub length_prefix: Option<u64>,
    /// Bytes of the frame that go out; the header says so too, unless it lies.
    pub truncate: Option<usize>,
    /// Bytes of each write.
    pub split: Option<usize>,
    /// The bytes go out as they are, without a header of the line.
    pub is_unframed: bool,
    /// Between two writes.
    pub split_delay: Duration,
}

/// Framings whose header is a length, with its bytes and whether the highest comes first.
const PREFIXES: [(&str, usize, bool); 3] =
    [("len16be", 2, true), ("len16le", 2, false), ("len32be", 4, true)];

/// A frame of no bytes would stop receivers, and tell them nothing.
pub fn no_bytes() -> Error {
    Error::usage("a frame of no bytes is never sent: give it at least one, or a '--length-prefix'")
}

impl Wire {
    /// Whether the device is to get something that is no frame.
    pub fn is_malformed(&self) -> bool {
        self.length_prefix.is_some() || self.truncate.is_some() || self.is_unframed
    }

    /// Whether the device may be left waiting for the rest of a frame.
    pub fn breaks_off(&self) -> bool {
        self.length_prefix.is_some() || self.is_unframed
    }

    /// Whether it goes out as bytes, and not as a frame.
    fn is_raw(&self) -> bool {
        self.length_prefix.is_some() || self.split.is_some() || self.is_unframed
    }

    /// Whether the line can be used so, now that it is open: what goes out as bytes has to be made for the
    /// framing that it has.
    pub fn check_on(&self, probe: &Probe) -> Result<()> {
        if let (true, Some(other)) = (self.is_raw(), probe.other_framing()) {
            let (other, ours) = (other.name, probe.framing().name);
            let text =
                format!("whoever holds the line has it as {other}, and these bytes are {ours}");
            return Err(Error::usage(text).with_help(format!("give '--framing {other}'")));
        }
        self.check(probe.framing(), probe.is_stream())
    }

    /// Whether the line can be used so.
    pub fn check(&self, framing: &Framing, is_stream: bool) -> Result<()> {
        if !self.is_raw() {
            return Ok(());
        }
        let what = match (self.length_prefix, self.is_unframed) {
            (Some(_), _) => "--length-prefix",
            (None, true) => "--unframed",
            (None, false) => "--split",
        };
        if !is_stream {
            return Err(Error::usage(format!(
                "'{what}' needs a stream of bytes; this line carries whole frames"
            )));
        }
        let Some(claimed) = self.length_prefix else { return Ok(()) };
        let Some((name, bytes, _)) = PREFIXES.iter().find(|known| known.0 == framing.name) else {
            return Err(Error::usage(format!(
                "'--length-prefix' needs a framing with a length in front, such as {}; this is {}",
                PREFIXES.map(|known| known.0).join(", "),
                framing.name
            )));
        };
        if claimed >> (8 * bytes) != 0 {
            return Err(Error::usage(format!(
                "'--length-prefix {claimed}' does not fit into the {bytes} bytes of {name}"
            )));
        }
        framing.check_announced(claimed as usize).map_err(|error| {
            Error::usage(format!("'--length-prefix {claimed}' is refused: {error}"))
        })
    }

    /// Refuses a frame that a line of that framing does not carry.
    pub fn check_carried(&self, framing: &Framing, frame: &[u8]) -> Result<()> {
        if framing.carries == Carries::Ethernet || self.is_unframed {
            return Ok(());
        }
        framing
            .encode(frame, &mut Vec::new())
            .map_err(|error| Error::usage(format!("cannot send it: {error}")))
    }

    /// The bytes that go out for a frame, if it does not go out as one.
    pub fn on_the_line(&self, framing: &Framing, frame: &[u8]) -> Result<Option<Vec<u8>>> {
        if self.is_raw() { self.bytes(framing, frame).map(Some) } else { Ok(None) }
    }

    /// Refuses a frame after which a receiver of that framing would never be in step again.
    pub fn check_frame(&self, framing: &Framing, frame: &[u8]) -> Result<()> {
        if !self.breaks_off() {
            return Ok(());
        }
        let bytes = self.bytes(framing, frame)?;
        framing
            .check_bytes(&bytes)
            .map_err(|error| Error::usage(format!("this is not sent so: {error}")))
    }

    /// The frame as far as it goes out.
    pub fn cut(&self, mut frame: Vec<u8>) -> Vec<u8> {
        frame.truncate(self.truncate.unwrap_or(usize::MAX));
        frame
    }

    /// The bytes on the line for `frame`, which is cut already.
    fn bytes(&self, framing: &Framing, frame: &[u8]) -> Result<Vec<u8>> {
        if self.is_unframed {
            return Ok(frame.to_vec());
        }
        let mut bytes = Vec::new();
        match (self.length_prefix, PREFIXES.iter().find(|known| known.0 == framing.name)) {
            (Some(claimed), Some((_, count, is_big))) => {
                let all = claimed.to_be_bytes();
                bytes.extend_from_slice(all.get(8 - count..).unwrap_or_default());
                if !is_big {
                    bytes.reverse();
                }
                bytes.extend_from_slice(frame);
            }
            _ => framing
                .encode(frame, &mut bytes)
                .map_err(|error| Error::usage(format!("cannot send it: {error}")))?,
        }
        Ok(bytes)
    }

    /// The line's header, where it is unusual.
    pub fn header(&self, framing: &Framing, frame: &[u8]) -> Option<Vec<u8>> {
        self.length_prefix?;
        let bytes = self.bytes(framing, frame).ok()?;
        Some(bytes.get(..bytes.len().saturating_sub(frame.len()))?.to_vec())
    }

    /// Sends `frame` so; says when it began to go.
    pub async fn send(&self, probe: &mut Probe, frame: &[u8]) -> Result<Timestamp> {
        if frame.is_empty() && self.length_prefix.is_none() {
            return Err(no_bytes());
        }
        if !self.is_raw() {
            return probe.send(frame.to_vec()).await;
        }
        self.check_on(probe)?;
        self.check_frame(probe.framing(), frame)?;
        let bytes = self.bytes(probe.framing(), frame)?;
        let piece = self.split.unwrap_or(bytes.len()).max(1);
        probe.hold_answers(true); // none of them may land in the middle
        let mut began = None;
        for (n, chunk) in bytes.chunks(piece).enumerate() {
            if n > 0 && !self.split_delay.is_zero() {
                tokio::time::sleep(self.split_delay).await;
            }
            let at = probe.send_raw(chunk).await?;
            began.get_or_insert(at);
        }
        probe.hold_answers(false);
        Ok(began.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing;

    #[test]
    fn the_header_lies_in_the_framing_s_own_form() {
        let wire = Wire { length_prefix: Some(0x102), ..Wire::default() };
        let bytes = wire.bytes(framing::ALL[0], b"ab").expect("good");
        assert_eq!(bytes, [1, 2, b'a', b'b']);
        let honest = Wire { split: Some(1), ..Wire::default() };
        assert_eq!(honest.bytes(framing::ALL[0], b"ab").expect("good"), [0, 2, b'a', b'b']);
    }

    #[test]
    fn what_qemu_never_recovers_from_is_not_sent_to_it() {
        let qemu = framing::Framing::by_name("len32be").expect("it is in the list");
        let claims = |n| Wire { length_prefix: Some(n), ..Wire::default() };
        let unframed = Wire { is_unframed: true, ..Wire::default() };
        for (wire, bytes, why) in [
            (claims(0), &b""[..], "a length of 0 is not sent"),
            (claims(69633), b"ab", "QEMU disconnects"),
            (claims(3), b"ab", "ends within a frame"),
            (claims(1), b"a\0\0\0\0", "a length of 0 is not sent"),
            (unframed, &[0; 4], "a length of 0 is not sent"),
            (unframed, &[0; 3], "ends within a frame"),
            (unframed, &[0, 0, 0, 1, 7, 2, 0, 0, 0], "QEMU disconnects"),
        ] {
            let error = wire.check_frame(qemu, bytes).expect_err(why).to_string();
            assert!(error.contains(why), "{wire:?} {bytes:?}: {error}");
            assert!(wire.check_frame(framing::ALL[0], bytes).is_ok(), "there it is a test");
        }
        assert!(
            claims(69633).check(qemu, true).is_err() && claims(69632).check(qemu, true).is_ok()
        );
        assert!(claims(2).check_frame(qemu, b"ab").is_ok());
        assert!(unframed.check_frame(qemu, &[0, 0, 0, 1, 7, 0, 0, 0, 1, 8]).is_ok());
    }

    #[test]
    fn misuse_is_refused() {
        let long = Wire { length_prefix: Some(0x10000), ..Wire::default() };
        let error = long.check(framing::ALL[0], true).expect_err("too long").to_string();
        assert!(error.contains("does not fit into the 2 bytes"), "{error}");
        let split = Wire { split: Some(1), ..Wire::default() };
        assert!(split.check(framing::ALL[0], false).is_err());
        assert!(split.check(framing::ALL[0], true).is_ok());
    }
}
