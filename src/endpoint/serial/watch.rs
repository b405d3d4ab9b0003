//! Can the rate be right? A port at a wrong rate yields bytes, and none of them make frames.
//!
//! The first bytes are framed on the side. As soon as a good part of them are frames, the line is
//! right and nobody looks any more. When some kilobytes came and next to nothing of it is frames, that is
//! said, once, with what else it could be; a line that carries plain text is a console. Who leaves before
//! that and has seen no frame at all is told as well.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::endpoint::Options;
use crate::framing::Decoder;
use crate::record::{Body, Direction, Origin, Record};

/// Bytes after which is judged.
const ENOUGH: usize = 4096;
/// Less than that at the end of a run may be what plugging in makes.
const SOME: usize = 64;
/// Rates that are in use.
const USUAL: [u32; 5] = [115_200, 460_800, 921_600, 1_500_000, 2_000_000];

/// Looks at the first bytes of a line.
pub(super) struct Watch {
    decoder: Box<dyn Decoder>,
    records: Vec<Record>,
    baud: u32,
    framing: &'static str,
    seen: usize,
    framed: usize,
    printable: usize,
}

impl Watch {
    /// For a line with `options`, at `baud`.
    pub(super) fn new(options: &Options, baud: u32) -> Watch {
        let origin = Origin::new(Direction::FromDevice);
        Watch {
            decoder: (options.framing.decoder)(origin, options.max_frame),
            records: Vec::new(),
            baud,
            framing: options.framing.name,
            seen: 0,
            framed: 0,
            printable: 0,
        }
    }

    /// Takes `bytes`. What comes back is the end of watching, with a warning if one is due.
    pub(super) fn push(&mut self, bytes: &Bytes) -> Option<Option<String>> {
        self.seen += bytes.len();
        self.printable += bytes.iter().filter(|byte| is_text(**byte)).count();
        self.decoder.push(Timestamp::default(), bytes, &mut self.records);
        self.count();
        if self.seen < ENOUGH {
            return None;
        }
        if self.framed * 4 >= self.seen {
            return Some(None);
        }
        Some(Some(self.warning()))
    }

    fn count(&mut self) {
        for record in self.records.drain(..) {
            if let Body::Frame(frame) = record.body {
                self.framed += frame.len();
            }
        }
    }

    /// Nothing more comes: a warning, if what came held no frame.
    pub(super) fn finish(&mut self) -> Option<String> {
        self.decoder.finish(Timestamp::default(), &mut self.records);
        self.count();
        (self.framed == 0 && self.seen >= SOME).then(|| self.warning())
    }

    fn warning(&self) -> String {
        let share = self.framed * 100 / self.seen.max(1);
        let hardly = format!("{share} % of the first {} bytes were frames", self.seen);
        if self.printable * 20 >= self.seen * 19 {
            return format!("{hardly}; it is text: a console rather than the tunnel?");
        }
        let others = USUAL.iter().filter(|baud| **baud != self.baud);
        let others: Vec<_> = others.map(u32::to_string).collect();
        format!(
            "{hardly}: the rate (baud={}) or the framing ({}) is probably another; give the device's own \
             rate with ',baud=' behind the endpoint: usual rates are {}",
            self.baud,
            self.framing,
            others.join(", ")
        )
    }
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t' | 0x1b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(bytes: &[u8]) -> Option<Option<String>> {
        let mut watch = Watch::new(&Options::default(), 115_200);
        bytes.chunks(100).find_map(|chunk| watch.push(&Bytes::copy_from_slice(chunk)))
    }

    /// Bytes that have nothing to do with each other.
    fn noise(n: u32) -> Vec<u8> {
        (0..n).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 ^ n as u8).collect()
    }

    #[test]
    fn noise_is_told_text_is_told_apart_and_frames_are_left_alone() {
        let told = verdict(&noise(5000)).expect("enough").expect("a warning");
        assert!(told.contains("baud=115200") && told.contains("921600"), "{told}");
        assert!(!told.contains("are 115200"), "{told}");
        let text = b"I (312) wifi: mode : sta (24:0a:c4:00:00:01)\r\n".repeat(100);
        let told = verdict(&text).expect("enough").expect("a warning");
        assert!(told.contains("console"), "{told}");
        let mut frames = Vec::new();
        let echo = crate::proto::samples::echo_request();
        for _ in 0..60 {
            Options::default().framing.encode(&echo, &mut frames).expect("it fits");
        }
        assert_eq!(verdict(&frames), Some(None));
        let joined = [&noise(1500)[..], &frames].concat();
        assert_eq!(verdict(&joined), Some(None), "noise at first");
        assert_eq!(verdict(&noise(4000)), None, "too little to tell");
        let told = |bytes: &[u8]| {
            let mut watch = Watch::new(&Options::default(), 115_200);
            assert_eq!(watch.push(&Bytes::copy_from_slice(bytes)), None);
            watch.finish()
        };
        assert!(told(&noise(100)).is_some_and(|told| told.contains("first 100 bytes")));
        assert_eq!(told(&noise(50)), None, "a glitch");
        assert_eq!(told(&frames[..echo.len() + 2]), None, "a single frame");
        assert_eq!(told(&[&noise(100)[..], &frames[..1000]].concat()), None, "it works");
    }
}
