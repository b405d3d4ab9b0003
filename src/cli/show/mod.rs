//! How frames are shown: the flags that sniff and decode share, and what they ask for.

mod clock_face;
mod json;
mod printer;
mod raw;

use std::io::IsTerminal;

use clap::{ArgAction, Args, ValueEnum};

pub use clock_face::TimeStyle;
pub(super) use printer::{Aside, Printer};

use crate::dissect::filter::Filter;
use crate::error::{Error, Result};
use crate::framing::Framing;
use crate::proto::dump::Layout;

/// Which frames, and how.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct ShowArgs {
    /// Show the bytes in hex; twice: with the Ethernet header
    #[arg(short = 'x', action = ArgAction::Count)]
    hex: u8,
    /// Show the bytes in hex and as characters; twice: with the Ethernet header
    #[arg(short = 'X', action = ArgAction::Count)]
    hex_and_characters: u8,
    /// Show the bytes as text
    #[arg(short = 'A', conflicts_with_all = ["hex", "hex_and_characters"])]
    characters: bool,
    /// Show the Ethernet addresses in front of each line
    #[arg(short = 'e')]
    ethernet: bool,
    /// No times; twice: seconds since 1970; three times: since the line before; four times: with the
    /// date; five times: since the first line
    #[arg(short = 't', action = ArgAction::Count)]
    time: u8,
    /// Every layer and every field, under the names that filters use
    #[arg(long, conflicts_with_all = ["raw", "json", "ethernet"])]
    tree: bool,
    /// The bytes of the line itself in hex, the framing in brackets
    #[arg(long, conflicts_with_all = ["json", "hex", "hex_and_characters", "characters", "ethernet"])]
    raw: bool,
    /// One JSON object a line (docs/records.schema.json); with -x, the bytes too
    #[arg(long, conflicts_with_all = ["characters", "ethernet"])]
    json: bool,
    /// Shorter lines; twice: no lines, only the summary
    #[arg(short = 'q', action = ArgAction::Count)]
    quiet: u8,
    /// Colours: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(long, value_name = "WHEN", default_value_t = When::Auto, hide_possible_values = true)]
    color: When,
    /// Addresses are never resolved to names: accepted, as in tcpdump
    #[arg(short = 'n', action = ArgAction::Count, hide = true)]
    numeric: u8,
    /// Lines say all that they can: accepted, as in tcpdump
    #[arg(short = 'v', action = ArgAction::Count, hide = true)]
    verbose: u8,
    /// Lines are never held back: accepted, as in tcpdump
    #[arg(short = 'l', action = ArgAction::Count, hide = true)]
    line_buffered: u8,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal that shows them.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            When::Auto => "auto",
            When::Always => "always",
            When::Never => "never",
        })
    }
}

impl When {
    /// Whether to write colours to stdout.
    fn on_stdout(self) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        match self {
            When::Always => true,
            When::Never => false,
            When::Auto => std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb,
        }
    }
}

/// What is shown of each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One line.
    Line,
    /// Every layer and field.
    Tree,
    /// The bytes of the line itself.
    Raw,
    /// A JSON object.
    Json,
}

/// Bytes below a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dump {
    /// With the link layer's header.
    pub link: bool,
    /// How.
    pub layout: Layout,
}

/// How records look.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// What is shown.
    pub form: Form,
    /// Leave out what is rarely looked at.
    pub brief: bool,
    /// Ethernet addresses in front.
    pub ethernet: bool,
    /// Bytes below the line.
    pub dump: Option<Dump>,
    /// Times in front.
    pub time: TimeStyle,
    /// With colours.
    pub coloured: bool,
    /// How frames are put on the line.
    pub framing: &'static Framing,
}

impl ShowArgs {
    /// What they ask for; `None` when nothing is to be shown.
    pub fn style(&self, framing: &'static Framing) -> Result<Option<Style>> {
        let form = match self {
            ShowArgs { tree: true, .. } => Form::Tree,
            ShowArgs { raw: true, .. } => Form::Raw,
            ShowArgs { json: true, .. } => Form::Json,
            _ => Form::Line,
        };
        if form == Form::Raw && framing.is_open() {
            let text =
                "'--raw' shows the bytes of the line, and 'framing=slip' leaves open how they are";
            return Err(Error::usage(text).with_help("say which it is: slip-eth or slip-ip"));
        }
        let time = TimeStyle::of_count(self.time).ok_or_else(|| {
            Error::usage(format!("'-t' was given {} times", self.time))
                .with_help("five times is the most: -t, -tt, -ttt, -tttt, -ttttt")
        })?;
        let style = Style {
            form,
            brief: self.quiet == 1,
            ethernet: self.ethernet,
            dump: self.dump(),
            time,
            coloured: form != Form::Json && self.color.on_stdout(),
            framing,
        };
        Ok((self.quiet < 2).then_some(style))
    }

    fn dump(&self) -> Option<Dump> {
        let link = self.hex > 1 || self.hex_and_characters > 1;
        let layout = match self {
            ShowArgs { characters: true, .. } => Layout::Characters,
            ShowArgs { hex_and_characters: 1.., .. } => Layout::HexAndCharacters,
            ShowArgs { hex: 1.., .. } => Layout::Hex,
            _ => return None,
        };
        Some(Dump { link, layout })
    }

    /// Whether something is asked for that only makes sense when records are shown.
    pub fn asks_for_output(&self) -> bool {
        self.tree || self.raw || self.json || self.ethernet || self.dump().is_some()
    }
}

/// The filter that the words make; `None` when there are none.
pub fn filter(words: &[String]) -> Result<Option<Filter>> {
    if words.is_empty() {
        return Ok(None);
    }
    let text = words.join(" ");
    Filter::parse(&text).map(Some).map_err(|error| Error::usage(error.to_string()))
}
