//! Where frames behind their lengths begin in a stream that is out of step, judged by content.

use super::super::plausible::{Verdict, is_confirmed, is_damaged, judge};
use super::super::prefix::Prefix;
use crate::record::Recovery;

/// What there is inside a supposed frame.
pub(super) enum Inside {
    /// No frame.
    Nothing,
    /// A frame begins behind so many bytes.
    Begins(usize),
    /// More bytes are needed to tell.
    Unclear,
}

/// What a place in the stream is.
pub(super) enum Candidate {
    /// No frame begins there.
    No,
    /// More bytes are needed to tell.
    Unclear,
    /// A frame begins there.
    Frame(Recovery),
}

/// Whether a frame begins inside what a header announced, which ends at `end`, when that is itself
/// no plausible frame or a damaged one. Looks beyond `end` only to be sure of a start in front of it.
/// In a `hurry` what is unclear counts as a no.
pub(super) fn frame_inside<P: Prefix>(bytes: &[u8], end: usize, max: usize, hurry: bool) -> Inside {
    let claimed = &bytes[..end.min(bytes.len())];
    let is_good = judge::<P>(claimed, max) != Verdict::No
        && !(claimed.len() == end && is_damaged(&claimed[P::SIZE..]));
    if is_good {
        return Inside::Nothing;
    }
    // One of which not even the length is whole is not waited for: odd frames would wait for the next.
    for at in 1..(claimed.len() + 1).saturating_sub(P::SIZE) {
        match judge::<P>(&bytes[at..], max) {
            Verdict::Strong(_) => return Inside::Begins(at),
            Verdict::Short if !hurry => return Inside::Unclear,
            _ => {}
        }
    }
    Inside::Nothing
}

/// Whether a frame begins at the start of `bytes`, and how sure that is.
pub(super) fn candidate<P: Prefix>(bytes: &[u8], max: usize) -> Candidate {
    let verdict = judge::<P>(bytes, max);
    let length = match verdict {
        Verdict::No => return Candidate::No,
        Verdict::Short => return Candidate::Unclear,
        Verdict::Weak(length) | Verdict::Strong(length) => length,
    };
    let Some(frame) = bytes.get(P::SIZE..P::SIZE + length) else { return Candidate::Unclear };
    let is_strong = verdict == Verdict::Strong(length);
    if is_strong && is_confirmed(frame) {
        return Candidate::Frame(Recovery::Sure);
    }
    match judge::<P>(&bytes[P::SIZE + length..], max) {
        Verdict::Short => Candidate::Unclear,
        Verdict::Weak(_) | Verdict::Strong(_) => Candidate::Frame(Recovery::Sure),
        Verdict::No if is_strong => Candidate::Frame(Recovery::Likely),
        Verdict::No => Candidate::No,
    }
}

/// Where the search ends if no more bytes come: the first whole frame that is confirmed by what
/// follows, by itself, or by ending exactly where the bytes end.
pub(super) fn settle<P: Prefix>(
    bytes: &[u8],
    scanned: usize,
    max: usize,
) -> Option<(usize, Recovery)> {
    (scanned..bytes.len()).find_map(|at| {
        let verdict = judge::<P>(&bytes[at..], max);
        let (Verdict::Weak(length) | Verdict::Strong(length)) = verdict else { return None };
        let behind = bytes.get(at + P::SIZE + length..)?;
        match judge::<P>(behind, max) {
            Verdict::Weak(_) | Verdict::Strong(_) => Some((at, Recovery::Sure)),
            _ if behind.is_empty() || verdict == Verdict::Strong(length) => {
                Some((at, Recovery::Likely))
            }
            _ => None,
        }
    })
}

/// Where whole and confirmed frames begin that lead to the very end of `bytes`, the incomplete
/// rest of a stream: what is in front of them was cut.
pub(super) fn frames_at_end<P: Prefix>(bytes: &[u8], max: usize) -> Option<usize> {
    let next = |at: usize| match judge::<P>(&bytes[at..], max) {
        Verdict::Strong(length) => bytes
            .get(at + P::SIZE..at + P::SIZE + length)
            .filter(|frame| is_confirmed(frame))
            .map(|_| at + P::SIZE + length),
        _ => None,
    };
    let leads_to_end = |mut at: usize| loop {
        match next(at) {
            Some(end) if end == bytes.len() => return true,
            Some(end) => at = end,
            None => return false,
        }
    };
    (1..bytes.len()).find(|&at| leads_to_end(at))
}
