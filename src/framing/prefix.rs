//! The lengths that stand in front of frames: how wide they are, and which byte comes first.
//!
//! Each is a type of its own, so that a decoder is compiled for it alone and asks nothing at run time.

/// A length in front of a frame, which does not count itself.
pub(super) trait Prefix: Send + 'static {
    /// Its bytes.
    const SIZE: usize;

    /// The length at the start of `bytes`; `None` when they are too few.
    fn read(bytes: &[u8]) -> Option<usize>;

    /// Appends a length, which fits.
    fn write(length: usize, out: &mut Vec<u8>);
}

/// Two bytes, the higher one first.
pub(super) struct Be16;
/// Two bytes, the lower one first.
pub(super) struct Le16;
/// Four bytes, the highest one first.
pub(super) struct Be32;

impl Prefix for Be16 {
    const SIZE: usize = 2;

    fn read(bytes: &[u8]) -> Option<usize> {
        bytes.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes)))
    }

    fn write(length: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&(length as u16).to_be_bytes());
    }
}

impl Prefix for Le16 {
    const SIZE: usize = 2;

    fn read(bytes: &[u8]) -> Option<usize> {
        bytes.first_chunk().map(|bytes| usize::from(u16::from_le_bytes(*bytes)))
    }

    fn write(length: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&(length as u16).to_le_bytes());
    }
}

impl Prefix for Be32 {
    const SIZE: usize = 4;

    /// Lengths that no memory can hold are the largest there is.
    fn read(bytes: &[u8]) -> Option<usize> {
        let length = u32::from_be_bytes(*bytes.first_chunk()?);
        Some(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn write(length: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&(length as u32).to_be_bytes());
    }
}

/// Appends `frame` behind its length.
pub(super) fn append<P: Prefix>(frame: &[u8], out: &mut Vec<u8>) {
    P::write(frame.len(), out);
    out.extend_from_slice(frame);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_they_are_written() {
        fn check<P: Prefix>(length: usize, bytes: &[u8]) {
            let mut out = Vec::new();
            P::write(length, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(P::read(bytes), Some(length));
            assert_eq!(P::read(&bytes[1..]), None);
            assert_eq!(P::SIZE, bytes.len());
        }
        check::<Be16>(98, &[0, 98]);
        check::<Le16>(98, &[98, 0]);
        check::<Be32>(98, &[0, 0, 0, 98]);
        check::<Be32>(69632, &[0, 1, 0x10, 0]);
        assert_eq!(Be32::read(&[0xff; 5]), Some(0xffff_ffff));
    }
}
