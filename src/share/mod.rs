//! One line, many processes.
//!
//! QEMU serves one client, so the uarttool process that is this client (the *holder*) shares the
//! line with the others on this machine. It listens on a unix socket in a private folder
//! ([`places`]); the others look there first ([`holders`]) and *attach*.
//!
//! ```text
//!  device == tap or probe -- bus -- server thread -- session, one per attached process
//!              ^  (the line's thread)    |
//!              +------ requests ---------+
//! ```
//!
//! - **Watching.** Each session has a bounded queue of its own. A watcher that does not keep up is
//!   dropped from, and a gap tells it how much; nobody waits for it. The thread of the line only
//!   puts each record into one queue, however many watch, and none when nobody does.
//! - **Sending.** A request travels to the thread of the line and is written there, in one piece;
//!   the answer is the time when it went. What was sent is seen by everybody as a record to the
//!   device, by its sender as well, as on a packet socket: so everybody has the same, whole story
//!   with one clock. A session has one request under way at most, which bounds what can wait.
//! - **Alone.** A session may take the line for itself: other senders are refused, the holder
//!   sends nothing of its own, until it is given back or the session's process is gone.
//! - **The end.** When the line is lost, or the holder ends, each session is told why and closed:
//!   to those attached it is as if their own connection had been lost. A holder that was killed
//!   leaves its socket behind; whoever finds that nobody listens there removes it.
//!
//! [`wire`] has the messages; [`server`] is the holder's side, its `session` the part for one
//! attached process; the side of the attached is `endpoint::attach`.

pub mod holders;
pub mod pipe;
pub mod places;
pub mod server;
mod session;
pub mod wire;
