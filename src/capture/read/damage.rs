//! What is wrong with a file, told once and in its place.

use std::fmt;

/// So much damage is kept until somebody asks; of what comes on top only the number.
const MOST: usize = 1000;

/// A part of a file that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins, in bytes from the start of the file.
    pub offset: u64,
    /// How many bytes were passed over because of it; 0 when nothing was.
    pub passed_over: u64,
    /// What is wrong: a fragment of a sentence, in lower case.
    pub text: String,
}

/// `byte 1234: a packet of 70000 bytes; passed over 98 bytes`
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.offset, self.text)?;
        match self.passed_over {
            0 => Ok(()),
            1 => f.write_str("; passed over 1 byte"),
            n => write!(f, "; passed over {n} bytes"),
        }
    }
}

/// The damage that nobody has asked about yet.
#[derive(Debug, Default)]
pub(super) struct Log {
    kept: Vec<Damage>,
    more: u64,
}

impl Log {
    pub(super) fn add(&mut self, offset: u64, passed_over: u64, text: impl Into<String>) {
        if self.kept.len() < MOST {
            self.kept.push(Damage { offset, passed_over, text: text.into() });
        } else {
            self.more += 1;
        }
    }

    pub(super) fn take(&mut self) -> Vec<Damage> {
        let mut all = std::mem::take(&mut self.kept);
        if let (Some(last), more @ 1..) = (all.last_mut(), std::mem::take(&mut self.more)) {
            last.text.push_str(&format!(" (and {more} more places like this behind it)"));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_reads_as_a_line() {
        let mut damage = Damage { offset: 7, passed_over: 0, text: "odd".to_owned() };
        assert_eq!(damage.to_string(), "byte 7: odd");
        damage.passed_over = 1;
        assert_eq!(damage.to_string(), "byte 7: odd; passed over 1 byte");
        damage.passed_over = 9;
        assert_eq!(damage.to_string(), "byte 7: odd; passed over 9 bytes");
    }

    #[test]
    fn too_much_of_it_is_counted() {
        let mut log = Log::default();
        (0..2000).for_each(|n| log.add(n, 0, "odd"));
        let all = log.take();
        assert_eq!(all.len(), MOST);
        assert_eq!(all[MOST - 1].text, "odd (and 1000 more places like this behind it)");
        assert_eq!(log.take(), []);
    }
}
