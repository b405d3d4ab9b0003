//! Times in front of lines, in the user's zone.

use jiff::Timestamp as Moment;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;
use crate::proto::line::Line;

/// Which time stands in front of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeStyle {
    /// The time of day.
    #[default]
    OfDay,
    /// None.
    None,
    /// Seconds since 1970.
    Epoch,
    /// Seconds since the line before.
    Delta,
    /// Date and time of day.
    Date,
    /// Seconds since the first line.
    SinceFirst,
}

impl TimeStyle {
    /// What `-t`, given so many times, asks for.
    pub fn of_count(count: u8) -> Option<TimeStyle> {
        const STYLES: [TimeStyle; 6] = [
            TimeStyle::OfDay,
            TimeStyle::None,
            TimeStyle::Epoch,
            TimeStyle::Delta,
            TimeStyle::Date,
            TimeStyle::SinceFirst,
        ];
        STYLES.get(usize::from(count)).copied()
    }
}

/// Says times; the zone is asked once a second of the line's time.
pub(super) struct ClockFace {
    style: TimeStyle,
    second: Option<u64>,
    shown: String,
    zone: Option<TimeZone>,
    reference: Option<Timestamp>,
}

const NANOS: u64 = 1_000_000_000;

impl ClockFace {
    pub(super) fn new(style: TimeStyle) -> Self {
        ClockFace { style, second: None, shown: String::new(), zone: None, reference: None }
    }

    /// The time in front of a line, if it has one.
    pub(super) fn show(&mut self, time: Option<Timestamp>, line: &mut Line) {
        let Some(time) = time else { return };
        match self.style {
            TimeStyle::None => return,
            TimeStyle::Epoch => {
                line.dec(time.0 / NANOS);
            }
            TimeStyle::Delta | TimeStyle::SinceFirst => return self.since_reference(time, line),
            TimeStyle::OfDay => self.of_zone(time, "%H:%M:%S", line),
            TimeStyle::Date => self.of_zone(time, "%Y-%m-%d %H:%M:%S", line),
        }
        line.text(".").dec_padded((time.0 % NANOS / 1000) as u32, 6).text(" ");
    }

    fn of_zone(&mut self, time: Timestamp, format: &str, line: &mut Line) {
        let second = time.0 / NANOS;
        if self.second != Some(second) {
            self.second = Some(second);
            let zone = self.zone.get_or_insert_with(TimeZone::system).clone();
            let moment = Moment::from_second(second as i64).unwrap_or_default();
            self.shown = moment.to_zoned(zone).strftime(format).to_string();
        }
        line.text(&self.shown);
    }

    /// Negative where time goes back: captures are not always in order.
    fn since_reference(&mut self, time: Timestamp, line: &mut Line) {
        let reference = *self.reference.get_or_insert(time);
        if self.style == TimeStyle::Delta {
            self.reference = Some(time);
        }
        line.text(if time < reference { "-" } else { " " });
        let micros = time.0.abs_diff(reference.0) / 1000;
        match micros / 3_600_000_000 {
            hours @ ..100 => line.dec_padded(hours as u32, 2),
            hours => line.dec(hours),
        };
        line.text(":");
        line.dec_padded((micros / 60_000_000 % 60) as u32, 2).text(":");
        line.dec_padded((micros / 1_000_000 % 60) as u32, 2).text(".");
        line.dec_padded((micros % 1_000_000) as u32, 6).text(" ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_shows_its_time() {
        let shown = |style, times: &[u64]| {
            let mut face = ClockFace::new(style);
            face.zone = Some(TimeZone::UTC);
            let mut line = Line::new(false);
            times.iter().for_each(|time| face.show(Some(Timestamp(*time)), &mut line));
            String::from_utf8_lossy(line.as_bytes()).into_owned()
        };
        let times =
            [1_700_000_000_123_456_789, 1_700_000_061_000_000_000, 1_700_000_060_000_000_000];
        assert_eq!(shown(TimeStyle::OfDay, &times[..2]), "22:13:20.123456 22:14:21.000000 ");
        assert_eq!(shown(TimeStyle::None, &times), "");
        assert_eq!(shown(TimeStyle::Epoch, &times[..1]), "1700000000.123456 ");
        assert_eq!(shown(TimeStyle::Date, &times[..1]), "2023-11-14 22:13:20.123456 ");
        assert_eq!(
            shown(TimeStyle::Delta, &times),
            " 00:00:00.000000  00:01:00.876543 -00:00:01.000000 "
        );
        assert_eq!(
            shown(TimeStyle::SinceFirst, &times),
            " 00:00:00.000000  00:01:00.876543  00:00:59.876543 "
        );
        let days = [0, 101 * 3_600_000_000_000];
        assert_eq!(shown(TimeStyle::Delta, &days), " 00:00:00.000000  101:00:00.000000 ");
        assert_eq!(TimeStyle::of_count(6), None);
    }
}
