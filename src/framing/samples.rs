//! Frames and scraps for the tests of this folder.

use bytes::Bytes;

/// An echo request of `length` bytes, at least 42, of which every checksum is right.
pub(super) fn echo(length: usize, mark: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, mark];
    frame.extend([0, 0, 64, 1, 0, 0, 192, 168, 100, 1, 192, 168, 100, 2, 8, 0, 0, 0]);
    frame[16..18].copy_from_slice(&((length - 14) as u16).to_be_bytes());
    let sum = crate::checksum::internet(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.resize(length, mark);
    let sum = crate::checksum::internet(&frame[34..]);
    frame[36..38].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// What is no frame in any framing.
pub(super) fn scraps() -> Vec<Bytes> {
    let mut state = 3u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut scraps: Vec<Bytes> = (0..40).map(|_| (0..600).map(|_| random()).collect()).collect();
    scraps.extend([
        Bytes::new(),
        Bytes::from_static(&[0; 500]),
        Bytes::from_static(&[0xc0; 500]),
        Bytes::from_static(
            b"I (312) boot: ESP-IDF v5.1 2nd stage bootloader\r\nI (312) boot: go\r\n",
        ),
    ]);
    scraps
}
