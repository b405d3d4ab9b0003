//! What can go wrong, sorted by who has to act on it.
//!
//! Every error carries a [`Category`]; `main.rs` maps it to the documented exit code and prints
//! the chain once. A message names what was tried, on what, and (in `help`) what to do next.

use std::error::Error as StdError;
use std::fmt;

/// Who has to act on an error. The numbers are the exit codes documented in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// The thing under test failed: a lost ping, a missed threshold. Exit code 1.
    Failed,
    /// Wrong usage, or a file that the user wrote is wrong. Exit code 2.
    Usage,
    /// The tunnel or the environment is not there, or went away. Exit code 3.
    Environment,
    /// An input capture cannot be read. Exit code 4.
    InputFile,
    /// Our own fault. Exit code 70 (`EX_SOFTWARE` of sysexits).
    Internal,
    /// Interrupted before there was a result. Exit code 130.
    Interrupted,
}

impl Category {
    /// The process exit code for this category.
    pub const fn exit_code(self) -> u8 {
        match self {
            Category::Failed => 1,
            Category::Usage => 2,
            Category::Environment => 3,
            Category::InputFile => 4,
            Category::Internal => 70,
            Category::Interrupted => 130,
        }
    }
}

/// One error: a category, a sentence, the cause below it and advice on the way out.
///
/// The sentence is a lowercase fragment suitable for "failed to: {error}"; the advice is a
/// fragment of its own, printed on the line below.
#[derive(Debug)]
pub struct Error {
    category: Category,
    text: String,
    help: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `category` that says `text`.
    pub fn new(category: Category, text: impl Into<String>) -> Self {
        Error { category, text: text.into(), help: None, source: None }
    }

    /// The user typed or wrote something that cannot be.
    pub fn usage(text: impl Into<String>) -> Self {
        Error::new(Category::Usage, text)
    }

    /// The tunnel or something else around us is missing.
    pub fn environment(text: impl Into<String>) -> Self {
        Error::new(Category::Environment, text)
    }

    /// The thing that was tested failed.
    pub fn failed(text: impl Into<String>) -> Self {
        Error::new(Category::Failed, text)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says what was being done when `self` happened; category and advice stay.
    #[must_use]
    pub fn context(mut self, doing: impl Into<String>) -> Self {
        let help = self.help.take();
        Error { category: self.category, text: doing.into(), help, source: Some(Box::new(self)) }
    }

    /// Who has to act.
    pub fn category(&self) -> Category {
        self.category
    }

    /// The advice, if there is any.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The sentence with all its causes: `cannot open x: permission denied`.
    pub fn chain(&self) -> String {
        let mut text = self.text.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&plain(&error.to_string()));
            cause = error.source();
        }
        text
    }
}

/// The operating system's sentences without Rust's "(os error 13)", in lower case.
fn plain(text: &str) -> String {
    let text = text.split(" (os error").next().unwrap_or(text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if chars.clone().next().is_none_or(|c| c.is_lowercase() || c == ' ') => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_every_cause_once_and_keeps_category_and_help() {
        let io = std::io::Error::from_raw_os_error(13);
        let error = Error::environment("cannot open tun0")
            .caused_by(io)
            .with_help("use '--net user'")
            .context("cannot start the bridge");
        assert_eq!(error.chain(), "cannot start the bridge: cannot open tun0: permission denied");
        assert_eq!(error.category(), Category::Environment);
        assert_eq!(error.help(), Some("use '--net user'"));
    }

    #[test]
    fn acronyms_keep_their_capitals() {
        assert_eq!(plain("IO failed"), "IO failed");
        assert_eq!(plain("Permission denied (os error 13)"), "permission denied");
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let all = [
            (Category::Failed, 1),
            (Category::Usage, 2),
            (Category::Environment, 3),
            (Category::InputFile, 4),
            (Category::Internal, 70),
            (Category::Interrupted, 130),
        ];
        for (category, code) in all {
            assert_eq!(category.exit_code(), code, "{category:?}");
        }
    }
}
