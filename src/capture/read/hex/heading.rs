//! The line in front of a dump: when, which way, and whether it is a frame that follows.
//!
//! ```text
//! 22:14:03.123456 -> IP 192.168.100.1 > 192.168.100.2: ICMP ...       ours; a time without a date is of DAY
//! 22:14:04.000113 !! framing: length 65535 > 1514 at byte 10432; ...  bytes that make no frame
//! 1700000000.123456 IP 192.168.100.1 > 192.168.100.2: ICMP ...        tcpdump -tt
//! 2026-11-21 22:14:03.123456 IP 192.168.100.1 > ...                   tcpdump -tttt, in the local zone
//! 1700000000.123456789 -> Ethernet, length 98                         ours, in a .txt; or IP
//! Frame (98 bytes):                                                   tshark -x
//! Reassembled TCP (4000 bytes):                                       tshark -x; made of several frames
//! Data (48 bytes)                                                     tshark -V; a part of a frame
//!   payload, 56 bytes                                                 our --tree; a part of a frame
//! ```

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;
use crate::record::{Direction, LinkType, Problem, Recovery};

/// The day of times without a date: the first that begins behind the epoch in every zone. That it is wrong is
/// easily seen, and what lies between two times is right.
const DAY: &str = "1970-01-02";

/// What a heading says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heading {
    pub time: Option<Timestamp>,
    pub direction: Direction,
    pub about: About,
}

/// What a heading is in front of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// A frame.
    Frame,
    /// A frame, or a packet without its Ethernet header, of so many bytes.
    Exactly { link: LinkType, length: u64 },
    /// Bytes that make none.
    Error { problem: Problem, offset: Option<u64>, recovery: Recovery },
    /// So many bytes at most that a program has made of frames: a part, or put together, unpacked, decrypted.
    Derived { length: u64 },
    /// Nothing that has a dump.
    Other,
}

/// Reads a line that is no part of a dump; `None` when it is no heading.
pub(super) fn parse(line: &[u8], zone: &mut Option<TimeZone>) -> Option<Heading> {
    let line = line.get(..line.len().min(1000))?;
    let text = String::from_utf8_lossy(line);
    if let Some(about) = sized(text.trim()) {
        return Some(Heading { time: None, direction: Direction::Unknown, about });
    }
    let (first, behind) = word(&text);
    let (time, rest) = if is_time_of_day(first) {
        (Some(moment(DAY, first, zone)), behind)
    } else if let Some(time) = epoch(first) {
        (Some(Some(time)), behind)
    } else if let Some(time) = date_and_time(first, behind, zone) {
        (Some(Some(time)), word(behind).1)
    } else {
        (None, &*text)
    };
    let (mark, behind) = word(rest);
    let (direction, about) = match mark {
        "->" => (Direction::ToDevice, frame(behind)),
        "<-" => (Direction::FromDevice, frame(behind)),
        "--" => (Direction::Unknown, frame(behind)),
        "!!" => (Direction::Unknown, error(behind).unwrap_or(About::Other)),
        "**" | "::" => (Direction::Unknown, About::Other),
        _ if time.is_some() => (Direction::Unknown, About::Frame),
        _ => return None,
    };
    Some(Heading { time: time.flatten(), direction, about })
}

/// What is behind an arrow: the line about a frame, or what we say of one in a `.txt`.
fn frame(text: &str) -> About {
    let exactly = |link, what: &str| -> Option<About> {
        let length = text.trim().strip_prefix(what)?.strip_prefix(", length ")?.parse().ok()?;
        Some(About::Exactly { link, length })
    };
    exactly(LinkType::ETHERNET, "Ethernet")
        .or_else(|| exactly(LinkType::RAW, "IP"))
        .unwrap_or(About::Frame)
}

/// `Frame (98 bytes):`, and what else there is of the same frame.
fn sized(text: &str) -> Option<About> {
    let (name, size) = match text.strip_prefix("payload, ") {
        Some(size) => ("payload", size),
        None => {
            let text = text.strip_suffix(':').unwrap_or(text);
            text.strip_suffix(')')?.rsplit_once(" (")?
        }
    };
    let number = size.strip_suffix(" bytes").or_else(|| size.strip_suffix(" byte"))?;
    let length = number.parse().ok()?;
    Some(if name == "Frame" { About::Frame } else { About::Derived { length } })
}

/// The first word, and what is behind it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(char::is_whitespace).unwrap_or((text, ""))
}

/// `22:14:03.123456`
fn is_time_of_day(word: &str) -> bool {
    let (clock, fraction) = word.split_once('.').unwrap_or((word, ""));
    clock.len() == 8
        && clock.bytes().enumerate().all(|(n, byte)| match n {
            2 | 5 => byte == b':',
            _ => byte.is_ascii_digit(),
        })
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
}

/// `1700000000.123456`
fn epoch(word: &str) -> Option<Timestamp> {
    let (seconds, fraction) = word.split_once('.')?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = (1..=10).contains(&seconds.len()) && (6..=9).contains(&fraction.len());
    if !fits || !is_number(seconds) || !is_number(fraction) {
        return None;
    }
    let seconds: u64 = seconds.parse().ok()?;
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    Some(Timestamp(seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?))
}

/// `2026-11-21 22:14:03.123456`, in the zone of this machine.
fn date_and_time(first: &str, behind: &str, zone: &mut Option<TimeZone>) -> Option<Timestamp> {
    let (second, _) = word(behind);
    let is_date = first.len() == 10 && first.bytes().filter(|byte| *byte == b'-').count() == 2;
    if !is_date || !is_time_of_day(second) {
        return None;
    }
    moment(first, second, zone)
}

fn moment(date: &str, clock: &str, zone: &mut Option<TimeZone>) -> Option<Timestamp> {
    let time: DateTime = format!("{date}T{clock}").parse().ok()?;
    let zone = zone.get_or_insert_with(TimeZone::system);
    let moment = time.to_zoned(zone.clone()).ok()?.timestamp();
    u64::try_from(moment.as_nanosecond()).ok().map(Timestamp)
}

/// What [`crate::record::FramingError::describe`] says, read back.
fn error(text: &str) -> Option<About> {
    let (problem, rest) = text.strip_prefix("framing: ")?.split_once("; passed over ")?;
    let (problem, offset) = match problem.split_once(" at byte ") {
        Some((problem, offset)) => (problem, Some(offset.parse().ok()?)),
        None => (problem, None),
    };
    let (_, recovery) = rest.trim_end().split_once(", ")?;
    let all =
        [Recovery::Sure, Recovery::Likely, Recovery::Searching, Recovery::Ended, Recovery::Stopped];
    let recovery = all.into_iter().find(|known| known.to_string() == recovery)?;
    Some(About::Error { problem: self::problem(problem)?, offset, recovery })
}

fn problem(text: &str) -> Option<Problem> {
    let simple = [
        Problem::ZeroLength,
        Problem::Cut { length: None },
        Problem::Continued,
        Problem::NoFrame,
        Problem::NoEnd,
    ];
    if let Some(problem) = simple.into_iter().find(|known| known.to_string() == text) {
        return Some(problem);
    }
    let between = |from: &str, to: &str| -> Option<u32> {
        text.strip_prefix(from)?.strip_suffix(to)?.parse().ok()
    };
    if let Some(length) = between("frame of ", " bytes cut short") {
        return Some(Problem::Cut { length: Some(length) });
    }
    if let Some(length) = between("length ", ", but a frame begins inside it") {
        return Some(Problem::OutOfStep { length });
    }
    if let Some(byte) = text.strip_prefix("wrong escape db ") {
        return Some(Problem::WrongEscape { byte: u8::from_str_radix(byte, 16).ok()? });
    }
    let (length, limit) = text.strip_prefix("length ")?.split_once(" > ")?;
    Some(Problem::TooLong { length: length.parse().ok()?, limit: limit.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::FramingError;
    use bytes::Bytes;

    fn heading(line: &str) -> Option<Heading> {
        parse(line.as_bytes(), &mut Some(TimeZone::UTC))
    }

    #[test]
    fn times_count_and_arrows_are_directions() {
        let frame = |time: Option<u64>, direction| {
            Some(Heading { time: time.map(Timestamp), direction, about: About::Frame })
        };
        let (to, unknown) = (Direction::ToDevice, Direction::Unknown);
        let evening = Some((86_400 + 80_043) * 1_000_000_000 + 123_456_000);
        assert_eq!(heading("22:14:03.123456 -> IP 1.2.3.4 > 5.6.7.8: ICMP"), frame(evening, to));
        assert_eq!(heading("25:14:03.123456 -> IP 1.2.3.4 > 5.6.7.8: ICMP"), frame(None, to));
        assert_eq!(heading("<- ARP, Request"), frame(None, Direction::FromDevice));
        let noon = Some((86_400 + 43_200) * 1_000_000_000 + 1000);
        assert_eq!(heading("12:00:00.000001 IP 1.2.3.4 > 5.6.7.8: ICMP"), frame(noon, unknown));
        let time = Some(1_700_000_000_123_456_000);
        assert_eq!(heading("1700000000.123456 IP 1.2.3.4 >"), frame(time, unknown));
        assert_eq!(heading("2023-11-14 22:13:20.123456 -> IP 1.2.3.4"), frame(time, to));
        let exactly = |line| heading(line).map(|heading| heading.about);
        let about = |link, length| Some(About::Exactly { link, length });
        let derived = |length| Some(About::Derived { length });
        assert_eq!(exactly("1.000000 -> Ethernet, length 98"), about(LinkType::ETHERNET, 98));
        assert_eq!(exactly("<- IP, length 84\r"), about(LinkType::RAW, 84));
        assert_eq!(exactly("<- IP, length 84 or so"), Some(About::Frame));
        assert_eq!(exactly("Frame (98 bytes):"), Some(About::Frame));
        assert_eq!(exactly("Reassembled TCP (4000 bytes):"), derived(4000));
        assert_eq!(exactly("De-chunked entity body (1 byte):"), derived(1));
        assert_eq!(exactly("    Data (48 bytes)"), derived(48));
        assert_eq!(exactly("  payload, 56 bytes"), derived(56));
        assert_eq!(exactly("a list (of bytes):"), None);
        assert_eq!(heading("    192.168.100.1 > 192.168.100.2: ICMP"), None);
        assert_eq!(heading("Frame 1: 98 bytes on wire"), None);
    }

    #[test]
    fn our_own_framing_errors_are_read_back() {
        let problems = [
            Problem::ZeroLength,
            Problem::TooLong { length: 65535, limit: 1514 },
            Problem::Cut { length: None },
            Problem::Cut { length: Some(98) },
            Problem::OutOfStep { length: 7 },
            Problem::Continued,
            Problem::WrongEscape { byte: 0xc0 },
            Problem::NoFrame,
            Problem::NoEnd,
        ];
        for problem in problems {
            for (recovery, offset) in [(Recovery::Sure, Some(7)), (Recovery::Ended, None)] {
                let error = FramingError { problem, bytes: Bytes::from_static(&[0]), recovery };
                let line = format!("22:14:04.000113 !! {}", error.describe(offset));
                let about = About::Error { problem, offset, recovery };
                assert_eq!(heading(&line).map(|heading| heading.about), Some(about), "{line}");
            }
        }
        let other = heading("22:14:04.000113 !! gap: 37 bytes were dropped").map(|h| h.about);
        assert_eq!(other, Some(About::Other));
    }
}
