//! What the guard and who started it tell each other: one line each, over the socket that is the guard's
//! stdin.

use std::fmt;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// By itself, with this exit status.
    Exit(i32),
    /// By a signal of this number.
    Signal(i32),
}

/// One line of the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The program runs; its process id, which is that of its process group, too.
    Started(i32),
    /// The program could not be started: what a shell would exit with, 127 or 126, and why.
    Failed(u8, String),
    /// The program ended, and so did everything that it started, but for what `Left` names.
    Ended(Status),
    /// These processes could not be ended.
    Left(Vec<i32>),
}

impl Status {
    /// The exit status that a shell would report.
    pub fn exit_code(self) -> u8 {
        match self {
            Status::Exit(code) => code as u8,
            Status::Signal(number) => 128_u8.saturating_add(number as u8),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // A shell reports the end of its last program by a signal in this way.
            Status::Exit(code) if (129..160).contains(&code) => {
                write!(f, "ended with exit status {code} (as by {})", Signal(code - 128))
            }
            Status::Exit(code) => write!(f, "ended with exit status {code}"),
            Status::Signal(number) => write!(f, "was ended by {}", Signal(number)),
        }
    }
}

/// A signal's number, with its name where that is the same on every system.
struct Signal(i32);

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            1 => "SIGHUP",
            2 => "SIGINT",
            3 => "SIGQUIT",
            4 => "SIGILL",
            6 => "SIGABRT",
            8 => "SIGFPE",
            9 => "SIGKILL",
            11 => "SIGSEGV",
            13 => "SIGPIPE",
            14 => "SIGALRM",
            15 => "SIGTERM",
            number => return write!(f, "signal {number}"),
        };
        f.write_str(name)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Started(pid) => write!(f, "started {pid}"),
            Report::Failed(code, why) => write!(f, "failed {code} {}", why.replace('\n', " ")),
            Report::Ended(Status::Exit(code)) => write!(f, "exit {code}"),
            Report::Ended(Status::Signal(number)) => write!(f, "signal {number}"),
            Report::Left(pids) => {
                f.write_str("left")?;
                pids.iter().try_for_each(|pid| write!(f, " {pid}"))
            }
        }
    }
}

impl Report {
    /// Reads what `Display` wrote; anything else is no report.
    pub fn parse(line: &str) -> Option<Report> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        Some(match word {
            "started" => Report::Started(rest.parse().ok()?),
            "failed" => {
                let (code, why) = rest.split_once(' ')?;
                Report::Failed(code.parse().ok()?, why.to_owned())
            }
            "exit" => Report::Ended(Status::Exit(rest.parse().ok()?)),
            "signal" => Report::Ended(Status::Signal(rest.parse().ok()?)),
            "left" => {
                let pids = rest.split_whitespace().map(str::parse).collect::<Result<_, _>>();
                Report::Left(pids.ok()?)
            }
            _ => return None,
        })
    }
}

/// One line to the guard of a user's command: pass on the signal of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order(pub i32);

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pass {}", self.0)
    }
}

impl Order {
    /// Reads what `Display` wrote; anything else is no order.
    pub fn parse(line: &str) -> Option<Order> {
        let number = line.strip_prefix("pass ")?.parse().ok()?;
        (1..=64).contains(&number).then_some(Order(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        for report in [
            Report::Started(42),
            Report::Failed(127, "cannot start 'x': no such file".to_owned()),
            Report::Ended(Status::Exit(1)),
            Report::Ended(Status::Signal(11)),
            Report::Left(vec![]),
            Report::Left(vec![7, 8]),
        ] {
            assert_eq!(Report::parse(&report.to_string()), Some(report));
        }
        for line in ["", "started", "started x", "exit", "left a", "hello 1", "failed x y"] {
            assert_eq!(Report::parse(line), None, "{line}");
        }
        for order in [Order(2), Order(15)] {
            assert_eq!(Order::parse(&order.to_string()), Some(order));
        }
        for line in ["", "pass", "pass x", "pass 0", "pass 65", "exit 1"] {
            assert_eq!(Order::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_status_is_a_sentence_and_an_exit_code() {
        for (status, sentence, code) in [
            (Status::Exit(1), "ended with exit status 1", 1),
            (Status::Exit(139), "ended with exit status 139 (as by SIGSEGV)", 139),
            (Status::Exit(255), "ended with exit status 255", 255),
            (Status::Signal(9), "was ended by SIGKILL", 137),
            (Status::Signal(64), "was ended by signal 64", 192),
        ] {
            assert_eq!((status.to_string().as_str(), status.exit_code()), (sentence, code));
        }
    }
}
