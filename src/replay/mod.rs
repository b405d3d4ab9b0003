//! Sending again what was captured: which frames, when, in what form, and what has to come back.
//!
//! A [`source`] reads a capture ahead on a thread of its own and yields its frames as Ethernet frames, each of
//! one of two sides: what is sent, and what the other side had answered. A [`schedule`] says when each is due,
//! in absolute time, and a [`metronome`] waits for that. A [`session`] holds a frame back until the answer
//! that it depends on has come, and translates the TCP numbers of the recording to those of today.
//! [`expect`] compares today's answers with the recorded ones. [`rewrite`] changes addresses; a [`cast`] knows who
//! is who, and [`offload`] fills in what a network card would have. [`limits`] are where only
//! a part is sent.
//!
//! Nothing here sends: whoever has a line composes the parts (`command/replay`). docs/replay.md has the
//! exact meanings.

pub mod cast;
pub mod conversation;
pub mod expect;
pub mod lateness;
pub mod limits;
pub mod link;
pub mod mend;
pub mod metronome;
pub mod offload;
pub mod rewrite;
pub mod schedule;
pub mod session;
pub mod source;
