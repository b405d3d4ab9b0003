//! Writes mixed frames to a pcap, for measuring programs that read one.
//!
//! usage: `cargo run --release --example traffic -- FILE [FRAMES [SEED]]`; a million frames are 546 MB.

#[path = "../benches/traffic/mod.rs"]
mod traffic;

use std::fs::File;
use std::io::{self, BufWriter, Write};

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let path =
        args.next().ok_or_else(|| io::Error::other("usage: traffic FILE [FRAMES [SEED]]"))?;
    let mut number = |default: u64| match args.next() {
        Some(text) => text.parse().map_err(io::Error::other),
        None => Ok(default),
    };
    let (frames, seed) = (number(1_000_000)?, number(1)?);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    let mut traffic = traffic::Traffic::new(seed);
    let mut frame = Vec::new();
    for n in 0..frames {
        traffic.next(&mut frame);
        let micros = 1_700_000_000_000_000 + n * 87; // a line of 6 MB/s
        for word in [micros / 1_000_000, micros % 1_000_000, frame.len() as u64, frame.len() as u64]
        {
            out.write_all(&(word as u32).to_le_bytes())?;
        }
        out.write_all(&frame)?;
    }
    out.flush()
}
