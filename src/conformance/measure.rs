//! Values that a test has measured, in the units in which programs and people read them.
//!
//! The unit says what is better: of what passes in a second, more; of the time that an answer takes, less.
//! Other values are told and never compared with those of an earlier run.

/// What a value is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Throughput: bytes a second.
    BytesPerSecond,
    /// Throughput: events a second.
    PerSecond,
    /// Latency, in milliseconds.
    Milliseconds,
    /// A time that is no latency, in seconds.
    Seconds,
    /// The time of a byte, in microseconds.
    MicrosecondsPerByte,
    /// Parts of a hundred.
    Percent,
    /// One value by another.
    Ratio,
    /// Frames.
    Frames,
}

impl Unit {
    /// Its name in reports for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::BytesPerSecond => "B/s",
            Unit::PerSecond => "1/s",
            Unit::Milliseconds => "ms",
            Unit::Seconds => "s",
            Unit::MicrosecondsPerByte => "us/B",
            Unit::Percent => "%",
            Unit::Ratio => "ratio",
            Unit::Frames => "frames",
        }
    }

    /// A value with its unit, for people.
    pub fn said(self, value: f64) -> String {
        match self {
            Unit::BytesPerSecond if value >= 1e6 => format!("{:.2} MB/s", value / 1e6),
            Unit::BytesPerSecond if value >= 1e3 => format!("{:.2} KB/s", value / 1e3),
            Unit::BytesPerSecond => format!("{value:.0} B/s"),
            Unit::PerSecond => format!("{value:.1} a second"),
            Unit::Milliseconds => format!("{value:.1} ms"),
            Unit::Seconds if value < 1.0 => format!("{:.1} ms", value * 1000.0),
            Unit::Seconds => format!("{value:.1} s"),
            Unit::MicrosecondsPerByte => format!("{value:.1} us/B"),
            Unit::Percent => format!("{value:.1} %"),
            Unit::Ratio => format!("{value:.2}"),
            Unit::Frames => format!("{value:.0} frames"),
        }
    }
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// What was measured, unlike every other of its test.
    pub name: &'static str,
    /// The value, which is a finite number.
    pub value: f64,
    /// What it is counted in.
    pub unit: Unit,
}

impl Eq for Measure {} // the value is finite

impl Measure {
    /// A value; one that is no finite number counts as 0.
    pub fn new(name: &'static str, value: f64, unit: Unit) -> Self {
        let value = if value.is_finite() { value } else { 0.0 };
        Measure { name, value, unit }
    }

    /// With its unit, for people.
    pub fn said(&self) -> String {
        self.unit.said(self.value)
    }

    /// To three places, for programs.
    pub fn rounded(&self) -> f64 {
        (self.value * 1000.0).round() / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_units_of_their_size() {
        let said = |value| Measure::new("goodput", value, Unit::BytesPerSecond).said();
        assert_eq!(said(999.0), "999 B/s");
        assert_eq!(said(11_090.4), "11.09 KB/s");
        assert_eq!(said(2_500_000.0), "2.50 MB/s");
        assert_eq!(Measure::new("rtt", 7.64, Unit::Milliseconds).said(), "7.6 ms");
        let said = |value| Measure::new("stall", value, Unit::Seconds).said();
        assert_eq!([said(0.0051), said(2.04)], ["5.1 ms", "2.0 s"]);
    }

    #[test]
    fn what_is_no_number_is_none() {
        assert_eq!(Measure::new("rtt", f64::NAN, Unit::Milliseconds).value, 0.0);
        assert_eq!(Measure::new("rtt", 1.23456, Unit::Milliseconds).rounded(), 1.235);
    }
}
