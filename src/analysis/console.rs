//! What a line of the device's console means: panics, watchdogs, resets.
//!
//! The phrases are those of ESP-IDF, FreeRTOS, Zephyr and lwIP ports; a line is judged by itself.

/// Something that a firmware author wants to know at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Finding {
    /// The processor met something that it could not go on with.
    Panic,
    /// The firmware gave up by itself: abort(), a failed assertion, a stack overflow, a broken heap.
    Abort,
    /// A watchdog was not fed.
    Watchdog,
    /// The supply voltage was too low.
    Brownout,
    /// The device starts again.
    Reboot,
}

impl Finding {
    /// Every kind.
    pub const ALL: [Finding; 5] =
        [Finding::Panic, Finding::Abort, Finding::Watchdog, Finding::Brownout, Finding::Reboot];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Finding::Panic => "panic",
            Finding::Abort => "abort",
            Finding::Watchdog => "watchdog",
            Finding::Brownout => "brownout",
            Finding::Reboot => "reboot",
        }
    }
}

/// Phrases and what they mean; the first that a line holds decides.
const PHRASES: &[(&str, Finding)] = &[
    ("Guru Meditation Error", Finding::Panic),
    ("Kernel panic", Finding::Panic),
    ("FATAL ERROR", Finding::Panic),
    ("HardFault", Finding::Panic),
    ("abort() was called", Finding::Abort),
    ("assert failed", Finding::Abort),
    ("assertion failed", Finding::Abort),
    ("A stack overflow in task", Finding::Abort),
    ("CORRUPT HEAP", Finding::Abort),
    ("Task watchdog got triggered", Finding::Watchdog),
    ("Interrupt wdt timeout", Finding::Watchdog),
    ("WDT_SYS_RST", Finding::Watchdog),
    ("WDT_RESET", Finding::Watchdog),
    ("Brownout detector was triggered", Finding::Brownout),
    ("BROWN_OUT_RST", Finding::Brownout),
    ("Rebooting...", Finding::Reboot),
    ("rst:0x", Finding::Reboot),
];

/// What `line` means, if it means anything of that kind.
pub fn judge(line: &[u8]) -> Option<Finding> {
    let holds = |phrase: &str| line.windows(phrase.len()).any(|window| window == phrase.as_bytes());
    PHRASES.iter().find(|(phrase, _)| holds(phrase)).map(|(_, finding)| *finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_lines_of_esp_idf() {
        for (line, finding) in [
            ("Guru Meditation Error: Core  0 panic'ed (LoadProhibited).", Some(Finding::Panic)),
            ("abort() was called at PC 0x400d1a2b on core 0", Some(Finding::Abort)),
            ("assert failed: tcp_update_rcv_ann_wnd IDF/components/lwip", Some(Finding::Abort)),
            ("***ERROR*** A stack overflow in task main has been detected.", Some(Finding::Abort)),
            (
                "E (10313) task_wdt: Task watchdog got triggered. The following tasks",
                Some(Finding::Watchdog),
            ),
            ("rst:0x8 (TG1WDT_SYS_RST),boot:0x13 (SPI_FAST_FLASH_BOOT)", Some(Finding::Watchdog)),
            ("rst:0x1 (POWERON_RESET),boot:0x13", Some(Finding::Reboot)),
            ("Rebooting...", Some(Finding::Reboot)),
            ("I (312) main: ready", None),
            ("", None),
        ] {
            assert_eq!(judge(line.as_bytes()), finding, "{line}");
        }
    }
}
