//! What an endpoint can be, for errors and help.

use super::super::impair::rules;
use super::{FORMS, Form};
use crate::error::Error;
use crate::framing;

/// The error for a text that is no endpoint.
pub(super) fn bad(text: &str, what: &str, help: String) -> Error {
    let shown = crate::escape::terminal(text.as_bytes());
    Error::usage(format!("bad endpoint '{shown}': {what}")).with_help(help)
}

impl Form {
    /// Its own options, without those that every form has as well.
    pub(super) fn own_options(&self) -> impl Iterator<Item = &'static str> {
        self.options.iter().copied().filter(|own| !["line-rate", "seed"].contains(own))
    }

    /// How it is written and what it is, in a line.
    pub(super) fn usage(&self) -> String {
        let colon = if self.address.is_empty() { "" } else { ":" };
        format!("  {:<24} {}", format!("{}{colon}{}", self.name, self.address), self.help)
    }
}

/// The forms, one a line, for errors and help.
pub fn forms() -> String {
    let mut text = String::from("an endpoint is one of");
    for form in FORMS {
        text.push_str(&format!("\n{}", form.usage()));
    }
    text.push_str(
        "\n  auto                     for '-d': what another uarttool holds, or what listens on port 5556",
    );
    text.push_str(&format!("\nwith {}", common_options("")));
    text
}

/// The options behind an endpoint of `form`, for errors.
pub(super) fn options_help(form: &Form) -> String {
    let has_own = form.own_options().next().is_some();
    let own = if has_own { format!("\n{}: {}", form.name, form.help) } else { String::new() };
    common_options(&own)
}

/// The options that every form has, and those of one.
fn common_options(own: &str) -> String {
    let names: Vec<_> =
        framing::ALL.iter().chain(framing::MESSAGES).map(|framing| framing.name).collect();
    format!(
        "options behind commas: framing=len16be, max-frame=1514, reconnect=1s, line-rate=115200, \
         quickack=on|off{own}\n{}\nframings: {}",
        impairments(),
        names.join(", ")
    )
}

/// The impairments, for errors and help.
fn impairments() -> String {
    let all: Vec<String> =
        rules::NAMES.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!(
        "impairments: {}, each also as to-device.drop= or from-device.drop=, and seed=7",
        all.join(", ")
    )
}
