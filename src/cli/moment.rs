//! Times that users give to choose a part of a recording.

use std::time::Duration;

use jiff::civil;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// A time in a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// At that time.
    At(Timestamp),
    /// So long after the first record.
    After(Duration),
    /// At that time of the day, in the user's zone, of the day of the first record; the next day's where
    /// the recording begins later in the day.
    OfDay(civil::Time),
}

/// Understands `2026-11-21T10:00:00Z`, `2026-11-21 10:00:00.5` (in the user's zone), `10:00:00`, seconds
/// since 1970, and `+10s` after the first record.
pub fn parse(text: &str) -> Result<Moment, String> {
    if let Some(after) = text.strip_prefix('+') {
        let span: Option<Duration> = after.parse::<f64>().ok().and_then(seconds);
        let span = span.or_else(|| crate::endpoint::spec::parse_positive(after).ok());
        return span.map(Moment::After).ok_or_else(|| unknown(text));
    }
    if let Ok(number) = text.parse::<f64>() {
        let since_epoch = exact_seconds(text).or_else(|| seconds(number));
        return since_epoch
            .map(|at| Moment::At(Timestamp::default() + at))
            .ok_or_else(|| unknown(text));
    }
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return at(moment).ok_or_else(|| unknown(text));
    }
    if let Ok(date) = text.parse::<civil::DateTime>() {
        let moment = date.to_zoned(TimeZone::system()).map_err(|error| error.to_string())?;
        return at(moment.timestamp()).ok_or_else(|| unknown(text));
    }
    text.parse().map(Moment::OfDay).map_err(|_| unknown(text))
}

fn unknown(text: &str) -> String {
    format!(
        "'{text}' is no time; give 10:00:00, 2026-11-21T10:00:00, seconds since 1970, or +10s after the first record"
    )
}

fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok()
}

/// `1700000000.123456789` without the rounding of floating-point numbers.
fn exact_seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(whole.parse().ok()?, nanos))
}

fn at(moment: jiff::Timestamp) -> Option<Moment> {
    u64::try_from(moment.as_nanosecond()).ok().map(|nanos| Moment::At(Timestamp(nanos)))
}

impl Moment {
    /// The time in a recording whose first record is of `first`.
    pub fn resolve(self, first: Timestamp) -> Timestamp {
        match self {
            Moment::At(time) => time,
            Moment::After(span) => first + span,
            Moment::OfDay(time) => {
                let zone = TimeZone::system();
                let moment = jiff::Timestamp::from_nanosecond(i128::from(first.0));
                let begun = moment.unwrap_or_default().to_zoned(zone.clone());
                let day = match time < begun.time() {
                    true => begun.date().tomorrow().unwrap_or(begun.date()),
                    false => begun.date(),
                };
                let moment = day.to_datetime(time).to_zoned(zone).map(|moment| moment.timestamp());
                let nanos = moment.map_or(0, |moment| moment.as_nanosecond());
                Timestamp(u64::try_from(nanos).unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_understood_to_the_nanosecond() {
        let at = |nanos| Ok(Moment::At(Timestamp(nanos)));
        assert_eq!(parse("1700000000.123456789"), at(1_700_000_000_123_456_789));
        assert_eq!(parse("1700000000"), at(1_700_000_000_000_000_000));
        assert_eq!(parse("2023-11-14T22:13:20.5Z"), at(1_700_000_000_500_000_000));
        assert_eq!(parse("+10s"), Ok(Moment::After(Duration::from_secs(10))));
        assert_eq!(parse("+1.5"), Ok(Moment::After(Duration::from_millis(1500))));
        assert_eq!(parse("10:00:00"), Ok(Moment::OfDay(civil::time(10, 0, 0, 0))));
        for text in ["", "x", "+", "-5", "+x", "25:00:00", "1e400", "NaN"] {
            assert!(parse(text).is_err_and(|error| error.contains("is no time")), "{text}");
        }
    }

    #[test]
    fn they_refer_to_the_first_record() {
        let first = Timestamp(1_700_000_000_000_000_000);
        let after = Moment::After(Duration::from_secs(2));
        assert_eq!(after.resolve(first), Timestamp(1_700_000_002_000_000_000));
        let zone = TimeZone::system();
        let begun = jiff::Timestamp::from_second(1_700_000_000).expect("in range").to_zoned(zone);
        let same = Moment::OfDay(begun.time()).resolve(first);
        assert_eq!(same, first);
        let earlier = begun.time().wrapping_sub(jiff::Span::new().seconds(1));
        let next = Moment::OfDay(earlier).resolve(first);
        assert!(next > first && next.since(first) <= Duration::from_secs(25 * 3600));
    }
}
