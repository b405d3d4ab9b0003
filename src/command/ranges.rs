//! Mistakes on the command line, told to people: ranges of numbers in words, not as Rust writes them.

use std::io::IsTerminal;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::error::Category;

/// `0 is not in 1..=255`
static RANGE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"-?\d+ is not in (-?\d+)\.\.(=?)(-?\d+)").ok());

/// Tells `error`, which is no request for help, and ends the process as its kind wants it.
pub(super) fn exit(error: &clap::Error) -> ! {
    if error.use_stderr() {
        let text = error.render();
        let has_colours = std::io::stderr().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        let shown = if has_colours { text.ansi().to_string() } else { text.to_string() };
        let worded = worded(&shown);
        if worded != shown {
            eprint!("{worded}");
            std::process::exit(Category::Usage.exit_code().into());
        }
    }
    error.exit()
}

/// `text` with its ranges in words.
fn worded(text: &str) -> String {
    let Some(range) = &*RANGE else { return text.to_owned() };
    range
        .replace_all(text, |found: &Captures<'_>| words(&found[1], &found[2] == "=", &found[3]))
        .into_owned()
}

fn words(from: &str, is_inclusive: bool, to: &str) -> String {
    let last = to.parse::<i128>().map(|to| if is_inclusive { to } else { to - 1 });
    match last {
        // As far as the number goes: there is no bound that anybody meant.
        Ok(last) if last < i128::from(i32::MAX) - 1 => {
            format!("a number from {from} to {last} is wanted")
        }
        _ => format!("a number of at least {from} is wanted"),
    }
}

#[cfg(test)]
mod tests {
    use super::worded;

    #[test]
    fn ranges_are_told_in_words() {
        for (text, wanted) in [
            ("for '-t': 300 is not in 0..=255", "for '-t': a number from 0 to 255 is wanted"),
            ("0 is not in 1..18446744073709551615\n", "a number of at least 1 is wanted\n"),
            ("5000 is not in 0..4096", "a number from 0 to 4095 is wanted"),
            ("-3 is not in 0..=4294967295", "a number of at least 0 is wanted"),
            ("'1..9' is not a range", "'1..9' is not a range"),
        ] {
            assert_eq!(worded(text), wanted);
        }
    }
}
