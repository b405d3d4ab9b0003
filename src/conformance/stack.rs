//! Which IP stack it is, by its habits: what it does where RFCs leave a choice.
//!
//! Nobody has to say so: what a stack is known to do otherwise is told apart from what is new, in the
//! report and nowhere else; only a profile that is asked for changes what counts. A stack that shows two
//! habits of one of those below is taken for it; what contradicts itself is none.

use super::ledger::Ledger;
use super::model::{Flow, Severity};
use super::rig::Rig;
use super::seen::Seen;
use super::trial::Trial;
use crate::error::Result;
use crate::proto::{icmp, tcp};

/// A stack whose habits are known.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    /// What people call it.
    pub name: &'static str,
    /// The ledgers of what it is known to do, the general one first.
    ledgers: &'static [&'static str],
    /// Whether the habits are its own.
    is_it: fn(&Habits) -> bool,
}

/// Every stack.
static ALL: [Stack; 3] = [
    // icmp_dest_unreach() quotes the header and 8 bytes (src/core/ipv4/icmp.c); tcp_rst() announces
    // TCP_WND (src/core/tcp_out.c), where others announce nothing.
    Stack {
        name: "lwIP",
        ledgers: &["lwip", "esp-idf"],
        is_it: |habits| habits.quoted == Some(8) && habits.reset_window.is_some_and(|n| n > 0),
    },
    // icmp_send() gives errors the precedence of internetwork control (RFC 1812 section 4.3.2.5;
    // net/ipv4/icmp.c) and quotes up to 548 bytes; resets announce no window.
    Stack {
        name: "Linux",
        ledgers: &["linux"],
        is_it: |habits| {
            habits.error_tos == Some(0xc0)
                && habits.quoted.is_some_and(|n| n > 8)
                && habits.reset_window == Some(0)
        },
    },
    // Ipv4Repr::emit() always writes identification 0 and DF (src/wire/ipv4.rs).
    Stack {
        name: "smoltcp",
        ledgers: &["smoltcp"],
        is_it: |habits| {
            habits.ids == [Some(0), Some(0)]
                && habits.has_df
                && habits.error_tos == Some(0)
                && habits.quoted.is_some_and(|n| n > 8)
        },
    },
];

/// Recognises the stack of a rig that was explored; what it is known for, and a fact for people.
pub async fn look(rig: Rig) -> Result<(Rig, Option<Known>, Option<String>)> {
    let mut trial = Trial::of(rig, Severity::Report, None);
    // A device that does not survive it fails the test of the same.
    let found = recognise(&mut trial).await.ok().flatten();
    let (_, rig) = trial.end(Ok(()));
    let fact = found.map(|stack| format!("the IP stack behaves like {}", stack.name));
    Ok((rig, found.map(Known::of).transpose()?, fact))
}

/// What a stack does where it may do as it likes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Habits {
    /// Bytes behind the IP header that Port Unreachable quotes of a datagram with [`DATA`] bytes.
    quoted: Option<usize>,
    /// The type of service of that.
    error_tos: Option<u8>,
    /// The window that the reset of a closed port announces.
    reset_window: Option<u16>,
    /// Identifications of the error and the reset.
    ids: [Option<u16>; 2],
    /// Both have DF.
    has_df: bool,
}

/// More than any stack quotes that quotes as little as it has to.
const DATA: usize = 64;

/// Looks at the device's habits; `None` where they are nobody's that is known.
async fn recognise(t: &mut Trial) -> Flow<Option<&'static Stack>> {
    let habits = observe(t).await?;
    let mut found = ALL.iter().filter(|stack| (stack.is_it)(&habits));
    let first = found.next();
    Ok(first.filter(|_| found.next().is_none()))
}

async fn observe(t: &mut Trial) -> Flow<Habits> {
    let mut habits = Habits::default();
    let datagram = t.datagram(t.rig.target.ports.closed_udp, &[0x55; DATA]);
    let seen = t.exchange(&datagram.frame()).await?;
    let is_error = |seen: &&Seen| seen.icmp().is_some_and(|m| m.kind == icmp::UNREACHABLE);
    let error = seen.iter().find(is_error);
    let segment = t.segment(t.rig.target.ports.closed_tcp).tcp(|tcp| {
        (tcp.seq, tcp.flags) = (1, tcp::SYN);
    });
    let seen = t.exchange(&segment.frame()).await?;
    let is_reset = |seen: &&Seen| {
        segment.is_answered_by(seen) && seen.tcp().is_some_and(|tcp| tcp.has(tcp::RST))
    };
    let reset = seen.iter().find(is_reset);
    if let Some(ip) = error.and_then(Seen::ip) {
        habits.quoted = ip.payload.len().checked_sub(8 + 20);
        habits.error_tos = Some(ip.tos);
    }
    habits.reset_window = reset.and_then(Seen::tcp).map(|tcp| tcp.window);
    let headers = [error, reset].map(|seen| seen.and_then(Seen::ip));
    habits.ids = headers.map(|ip| ip.map(|ip| ip.id));
    habits.has_df = headers.iter().all(|ip| ip.is_some_and(|ip| ip.flags & 2 != 0));
    Ok(habits)
}

/// What a stack is known for.
#[derive(Clone, Debug)]
pub struct Known {
    /// The stack.
    pub stack: &'static Stack,
    ledgers: Vec<Ledger>,
}

impl Known {
    /// What is known of `stack`.
    pub fn of(stack: &'static Stack) -> Result<Known> {
        let ledgers = stack.ledgers.iter().map(|name| Ledger::open(name));
        Ok(Known { stack, ledgers: ledgers.collect::<Result<_>>()? })
    }

    /// Why the stack fails `test` so, if that is known, and the profile that says it.
    pub fn reason(&self, test: &str, outcome: &super::model::Outcome) -> Option<(&str, &str)> {
        let mut covering = self.ledgers.iter().filter(|ledger| ledger.covers(test, outcome));
        let ledger = covering.next()?;
        Some((&ledger.name, ledger.reason(test)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(habits: &Habits) -> Vec<&'static str> {
        ALL.iter().filter(|stack| (stack.is_it)(habits)).map(|stack| stack.name).collect()
    }

    #[test]
    fn habits_are_told_apart() {
        let lwip = Habits {
            quoted: Some(8),
            error_tos: Some(0),
            reset_window: Some(5840),
            ids: [Some(7), Some(8)],
            has_df: false,
        };
        assert_eq!(names(&lwip), ["lwIP"]);
        let linux = Habits {
            quoted: Some(72),
            error_tos: Some(0xc0),
            reset_window: Some(0),
            ids: [Some(9), Some(0)],
            has_df: false,
        };
        assert_eq!(names(&linux), ["Linux"]);
        let smoltcp = Habits {
            quoted: Some(72),
            error_tos: Some(0),
            reset_window: Some(0),
            ids: [Some(0), Some(0)],
            has_df: true,
        };
        assert_eq!(names(&smoltcp), ["smoltcp"]);
        assert_eq!(names(&Habits::default()), Vec::<&str>::new());
    }

    #[test]
    fn every_stack_has_its_ledgers() {
        for stack in &ALL {
            assert!(Known::of(stack).is_ok_and(|known| !known.ledgers.is_empty()), "{stack:?}");
        }
    }
}
