//! The judge: tests that a device passes or fails through the tunnel, from outside.
//!
//! Theory of operation. The [`catalogue`] is data: each test has a public name, a severity, an owner,
//! a reference, the requirement in one sentence, and a function. The [`engine`] connects, warms up,
//! measures the line and the device's [`capabilities`](rig::Capabilities), and hands each test a
//! [`trial::Trial`]: the line, fresh numbers, and the few verbs in which tests are written. Every
//! frame that comes passes the [`invariants`]. What happens is told in [`event`]s; the [`report`]s
//! are made of those alone.
//!
//! The judge shares no service code with the judged: it never imports the reference device.

pub mod artifacts;
pub mod baseline;
pub mod catalogue;
pub mod document;
pub mod engine;
pub mod event;
pub mod explore;
pub mod invariants;
pub mod ledger;
pub mod measure;
pub mod model;
pub mod peer;
pub mod report;
pub mod rig;
pub mod script;
pub mod seen;
pub mod select;
pub mod stack;
pub mod stimulus;
pub mod suite;
pub mod trial;
pub mod web;
