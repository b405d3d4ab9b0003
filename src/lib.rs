//! uarttool: a toolkit for networks that run over a serial line.
//!
//! The house has floors; a module imports only from floors below its own (`tests/floors.rs`).

// Floor 0: what everything speaks.
pub mod checksum; // the Internet checksum
pub mod clock; // nanoseconds that never go back
pub mod error; // errors sorted by who has to act: the exit codes
pub mod escape; // nothing from the line reaches a screen unescaped
pub mod event; // what a running command tells the world
pub mod mistake; // what is wrong in a text that a person wrote, and where
pub mod record; // one thing seen on a line

// Floor 1
pub mod bus; // records to every watcher, never waiting, counting drops
pub mod framing; // byte stream <-> frames, with resynchronisation
pub mod stop; // the word to stop

// Floor 2
pub mod proto; // one file per protocol: fields, checks, one line of text
pub mod stream; // TCP segments -> the stream of one direction

// Floor 3
pub mod capture; // records <-> pcap and pcapng files; hex dumps and raw streams in
pub mod craft; // typed parts -> frames
pub mod dissect; // bytes -> layers; renderers
pub mod share; // one line among several processes: holder, protocol, places

// Floor 4
pub mod analysis; // what a stream of records says beyond the single record
pub mod endpoint; // endpoint text -> Spec -> Connector -> Link

// Floor 5
pub mod probe; // a host on the line: what inject and conformance share
pub mod replay; // what was captured, sent again: when, in what form, and what has to come back
pub mod tap; // where records come from: direct, proxy

// Floor 6
pub mod device; // the reference device: UART model, IP stack, services, seeded faults
pub mod gateway; // the rootless host network: ARP, port forwards

// Floor 7
pub mod conformance; // the judge: catalogue, engine, invariants, reports

// Floor 8
pub mod cli; // what commands share: arguments, configuration, terminal, sinks

// Floor 9
pub mod command; // one file per command
