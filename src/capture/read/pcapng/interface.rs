//! What a packet block needs to know of its interface: link type, and what its time counts.

use crate::clock::Timestamp;
use crate::record::LinkType;

/// An interface description (pcapng draft, section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub link: LinkType,
    /// Packets are cut to so many bytes; 0 is no limit.
    pub snaplen: u32,
    pub resolution: Resolution,
    /// `if_tsoffset`: seconds to be added to each time.
    pub offset: i64,
}

/// `if_tsresol`: how long a unit of a packet's time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// A unit is so many nanoseconds.
    Nanos(u64),
    /// So many units, more than one, are a nanosecond.
    PerNano(u128),
    /// 2 to this power of units are a second.
    Binary(u32),
}

impl Resolution {
    /// Microseconds, unless an option says otherwise.
    pub(super) const DEFAULT: Resolution = Resolution::Nanos(1000);

    /// The option's byte: its lower bits are the negative power, of 2 when the highest bit is set, and
    /// otherwise of 10.
    pub(super) fn from_option(byte: u8) -> Resolution {
        let power = u32::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            Resolution::Binary(power)
        } else if let Some(less) = 9u32.checked_sub(power) {
            Resolution::Nanos(10u64.pow(less)) // 10^9 at most
        } else {
            Resolution::PerNano(10u128.checked_pow(power - 9).unwrap_or(u128::MAX))
        }
    }
}

impl Interface {
    /// The time that a packet of this interface has; times outside of what we can say become the nearest
    /// that we can.
    #[inline]
    pub(super) fn time(&self, units: u64) -> Timestamp {
        if self.offset == 0
            && let Resolution::Nanos(nanos) = self.resolution
            && let Some(time) = units.checked_mul(nanos)
        {
            return Timestamp(time);
        }
        let units = u128::from(units);
        let nanos = match self.resolution {
            Resolution::Nanos(nanos) => units.saturating_mul(nanos.into()),
            Resolution::PerNano(per) => units / per.max(1),
            Resolution::Binary(power) => {
                units.saturating_mul(1_000_000_000).checked_shr(power).unwrap_or(0)
            }
        };
        let offset = i128::from(self.offset).saturating_mul(1_000_000_000);
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX).saturating_add(offset);
        Timestamp(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(resolution: u8, offset: i64, units: u64) -> u64 {
        let resolution = Resolution::from_option(resolution);
        Interface { link: LinkType::ETHERNET, snaplen: 0, resolution, offset }.time(units).0
    }

    #[test]
    fn powers_of_ten_and_of_two() {
        assert_eq!(time(6, 0, 1_700_000_000_123_456), 1_700_000_000_123_456_000);
        assert_eq!(time(9, 0, 1_700_000_000_123_456_789), 1_700_000_000_123_456_789);
        assert_eq!(time(0, 0, 5), 5_000_000_000);
        assert_eq!(time(12, 0, 123_456), 123);
        assert_eq!(time(0x80 | 10, 0, 1536), 1_500_000_000);
        assert_eq!(time(0x80 | 32, 0, 3 << 31), 1_500_000_000);
        assert_eq!(time(0x80, 0, 7), 7_000_000_000);
    }

    #[test]
    fn offsets_and_nonsense_stay_in_range() {
        assert_eq!(time(6, 1_700_000_000, 1), 1_700_000_000_000_001_000);
        assert_eq!(time(6, -1, 1_500_000), 500_000_000);
        assert_eq!(time(6, i64::MIN, 5), 0);
        assert_eq!(time(0, i64::MAX, u64::MAX), u64::MAX);
        for byte in 0..=u8::MAX {
            let _ = (time(byte, 0, u64::MAX), time(byte, -1, 0));
        }
    }
}
