//! Endpoint text: `FORM:ADDRESS,option=value,...`.

mod help;

use std::time::Duration;

use super::Connector;
use super::impair::rules::Impairments;
use crate::error::Result;
use crate::event::Events;
use crate::framing::{self, DEFAULT_MAX_FRAME, Framing};
pub use help::forms;
use help::{bad, options_help};

/// A parsed endpoint.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The text as the user wrote it.
    pub text: String,
    /// Its form.
    pub form: &'static Form,
    /// What stands between the form and the first option.
    pub address: String,
    /// The options, or their defaults.
    pub options: Options,
}

/// What can follow an endpoint behind commas.
#[derive(Clone, Debug)]
pub struct Options {
    /// How frames are put on the line.
    pub framing: &'static Framing,
    /// The largest frame, in bytes, with its Ethernet header and without the line's header.
    pub max_frame: usize,
    /// Connect again after so long when the link is not there or is lost.
    pub reconnect: Option<Duration>,
    /// The line's rate in baud, where the user told it.
    pub line_rate: Option<u32>,
    /// Whether received TCP data is acknowledged at once; see `tcp.rs`.
    pub quickack: bool,
    /// Bytes that a program on this machine may have before it unread, where that can be told; no
    /// bound otherwise.
    pub queue: Option<usize>,
    /// How much worse than it is the line is made.
    pub impair: Box<Impairments>,
    /// What comes is text for people, as on a console, and not frames.
    pub is_text: bool,
    /// Options of the form's own, in order.
    pub own: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            framing: framing::ALL[0],
            max_frame: DEFAULT_MAX_FRAME,
            reconnect: None,
            line_rate: None,
            quickack: true,
            queue: None,
            impair: Box::default(),
            is_text: false,
            own: Vec::new(),
        }
    }
}

/// One kind of endpoint.
pub struct Form {
    /// What stands in front of the colon.
    pub name: &'static str,
    /// How its address is written.
    pub address: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Options that only this form has.
    pub options: &'static [&'static str],
    /// Whether all that stands behind the colon is the address, commas included.
    pub takes_rest: bool,
    /// Checks the options together, and sets what follows from the form's own; the error says what is
    /// wrong. May be done again when some were changed.
    pub settle: fn(&mut Options) -> Result<(), String>,
    /// Checks an address; the error says what is wrong with it.
    pub check: fn(&str) -> Result<(), String>,
    /// The same place in one form, however it was written; none where no two processes can mean
    /// the same. For telling whether another uarttool holds this endpoint.
    pub identities: fn(&str) -> Vec<String>,
    /// Makes a connector.
    pub open: fn(&Spec, Events) -> Box<dyn Connector>,
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Form({})", self.name)
    }
}

/// Every form there is.
pub static FORMS: &[&Form] = &[
    &super::tcp::TCP,
    &super::tcp::TCP_LISTEN,
    &super::unix::UNIX,
    &super::unix::UNIX_LISTEN,
    &super::tap::TAP,
    &super::file::FILE,
    &super::memory::SIM,
    &super::serial::SERIAL,
    &super::pty::PTY,
    &super::exec::EXEC,
    &super::stdio::STDIO,
];

impl Spec {
    /// Parses endpoint text. The error names the part that is wrong and what it could be.
    pub fn parse(text: &str) -> Result<Spec> {
        let named = text.split([':', ',']).next().unwrap_or_default();
        let takes_rest = FORMS.iter().any(|form| form.name == named && form.takes_rest);
        let (head, options) = match text.split_once(',') {
            _ if takes_rest => (text, None),
            Some((head, options)) => (head, Some(options)),
            None => (text, None),
        };
        let by_itself = FORMS.iter().any(|form| form.address.is_empty() && form.name == head);
        let (name, address) = match head.split_once(':') {
            Some(parts) => parts,
            None if by_itself => (head, ""),
            None if head == "auto" => {
                let what = "'auto' looks for the tunnel of '-d'; here an endpoint has to be named";
                return Err(bad(text, what, forms()));
            }
            None => {
                let what = format!("'{head}' has no form in front of a colon");
                return Err(bad(text, &what, forms()));
            }
        };
        let Some(form) = FORMS.iter().copied().find(|form| form.name == name) else {
            return Err(bad(text, &format!("there is no form '{name}:'"), forms()));
        };
        let written = || format!("it is written\n{}", form.usage());
        (form.check)(address).map_err(|what| bad(text, &what, written()))?;
        let mut spec = Spec {
            text: text.to_owned(),
            form,
            address: address.to_owned(),
            options: Options::default(),
        };
        for option in options.unwrap_or_default().split(',').filter(|part| !part.is_empty()) {
            spec.options.set(option, form).map_err(|what| bad(text, &what, options_help(form)))?;
        }
        spec.settle()?;
        spec.options.check().map_err(|what| bad(text, &what, options_help(form)))?;
        Ok(spec)
    }

    /// Checks whether the options go together, and with the form; for when they were changed.
    pub fn settle(&mut self) -> Result<()> {
        let settled = (self.form.settle)(&mut self.options);
        settled.map_err(|what| bad(&self.text, &what, options_help(self.form)))
    }
}

impl Spec {
    /// Every canonical text that stands for this endpoint. Looks up names, so that it may take as
    /// long as connecting does.
    pub async fn identities(&self) -> Vec<String> {
        let (identities, address) = (self.form.identities, self.address.clone());
        let lookup = tokio::task::spawn_blocking(move || identities(&address));
        lookup.await.unwrap_or_default()
    }
}

impl Options {
    /// Refuses what does not go together.
    pub fn check(&self) -> Result<(), String> {
        let Framing { name, longest, .. } = self.framing;
        if self.max_frame > *longest {
            let limit = self.max_frame;
            return Err(format!(
                "max-frame {limit} is more than {name} can carry: at most {longest}"
            ));
        }
        Ok(())
    }

    /// The last value of one of the form's own options.
    pub fn own(&self, name: &str) -> Option<&str> {
        self.own.iter().rev().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// For forms that carry a stream of bytes: a message of a socket cannot be a frame there.
    pub(super) fn check_stream(&mut self) -> Result<(), String> {
        match self.framing.is_message() {
            false => Ok(()),
            true => Err(format!(
                "framing={} is for unix: and unix-listen:, whose messages are frames",
                self.framing.name
            )),
        }
    }

    /// Sets one `name=value`.
    fn set(&mut self, option: &str, form: &Form) -> Result<(), String> {
        let Some((name, value)) = option.split_once('=') else {
            return Err(format!("option '{option}' has no value"));
        };
        match name {
            "framing" => self.framing = parse_framing(value)?,
            "max-frame" => self.max_frame = parse_max_frame(value)?,
            "reconnect" => self.reconnect = Some(parse_positive(value)?),
            "quickack" => self.quickack = parse_switch(value)?,
            "line-rate" => {
                self.line_rate = Some(parse_line_rate(value)?).filter(|rate| *rate > 0);
                if form.options.contains(&name) {
                    self.own.push((name.to_owned(), value.to_owned()));
                }
            }
            _ if Impairments::has(name) => {
                if form.name == super::file::FILE.name {
                    return Err(format!("'{option}' impairs a line, and a recorded file is none"));
                }
                self.impair.set(name, value)?;
                if form.options.contains(&name) {
                    self.own.push((name.to_owned(), value.to_owned()));
                }
            }
            _ if form.options.contains(&name) => {
                self.own.push((name.to_owned(), value.to_owned()));
            }
            _ => {
                let own: String = form.own_options().map(|own| format!(", {own}")).collect();
                let other = FORMS.iter().find(|form| form.own_options().any(|own| own == name));
                let of =
                    other.map_or(String::new(), |form| format!(" (it is one of {}:)", form.name));
                return Err(format!(
                    "there is no option '{name}'{of}; there are framing, max-frame, reconnect, \
                     line-rate, quickack{own}, and the impairments"
                ));
            }
        }
        Ok(())
    }
}

/// A framing by its name.
pub fn parse_framing(text: &str) -> Result<&'static Framing, String> {
    Framing::by_name(text).ok_or_else(|| {
        let all = framing::ALL.iter().chain(framing::MESSAGES);
        let names: Vec<_> = all.map(|framing| framing.name).collect();
        format!("there is no framing '{text}'; there are {}", names.join(", "))
    })
}

/// A frame limit in bytes: at least an Ethernet header, at most what any framing carries.
pub fn parse_max_frame(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes @ 14..=framing::LONGEST_MAX_FRAME) => Ok(bytes),
        _ => Err(format!(
            "max-frame '{text}' is not a number of bytes from 14 to {}",
            framing::LONGEST_MAX_FRAME
        )),
    }
}

/// A rate in baud; 0 is as fast as it goes.
pub fn parse_line_rate(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(rate @ (0 | 300..=100_000_000)) => Ok(rate),
        _ => Err(format!("line-rate '{text}' is not a rate in baud from 300, or 0 for no limit")),
    }
}

/// `on` or `off`.
fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("'{text}' is neither on nor off")),
    }
}

/// A duration: `0.2`, `1s`, `100ms`, `50us`, `2m`, `1h`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        "ns" => 1e-9,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => {
            return Err(format!("'{text}' has no unit of time that is known: ns, us, ms, s, m, h"));
        }
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * scale).ok())
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| format!("'{text}' is not a duration such as 1s, 100ms or 0.2"))
}

/// A year: longer waits are mistakes, and their sums would not fit.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A duration longer than nothing.
pub fn parse_positive(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err(format!("'{text}' is no time at all")),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_with_their_options() {
        let spec = Spec::parse("tcp:127.0.0.1:5556,max-frame=1500,reconnect=500ms").expect("good");
        assert_eq!((spec.form.name, spec.address.as_str()), ("tcp", "127.0.0.1:5556"));
        assert_eq!(spec.options.max_frame, 1500);
        assert_eq!(spec.options.reconnect, Some(Duration::from_millis(500)));
        assert_eq!(spec.options.framing.name, "len16be");
        let rate = |text: &str| Spec::parse(text).expect(text).options.line_rate;
        assert_eq!(rate("unix:a,line-rate=115200"), Some(115_200));
        assert_eq!((rate("unix:a,line-rate=0"), rate("unix:a")), (None, None));
        for good in ["tcp:[::1]:5556", "tcp-listen::5557", "tcp-listen:0.0.0.0:0", "unix:a/b.sock"]
        {
            Spec::parse(good).unwrap_or_else(|e| panic!("{good}: {e}"));
        }
    }

    #[test]
    fn a_bad_endpoint_names_the_part_that_is_wrong() {
        for (text, part) in [
            ("5556", "'5556' has no form"),
            ("tpc:127.0.0.1:5556", "no form 'tpc:'"),
            ("tcp:127.0.0.1", "'127.0.0.1' has no port"),
            ("tcp:127.0.0.1:99999", "'99999' is not a port"),
            ("tcp::5556", "no host"),
            ("unix:", "no path"),
            ("tcp:h:1,max-frame=0", "max-frame '0'"),
            ("tcp:h:1,framing=len17", "framing 'len17'"),
            ("tcp:h:1,line-rate=fast", "line-rate 'fast'"),
            ("tcp:h:1,reconnect=soon", "'soon'"),
            ("tcp:h:1,colour=red", "option 'colour'"),
            ("tcp:h:1,reconnect", "has no value"),
        ] {
            let error = Spec::parse(text).expect_err(text);
            assert!(error.chain().contains(part), "{text}: {}", error.chain());
            let help = error.help().expect("a way out");
            let is_of_it =
                ["one of", "is written", "options behind"].map(|part| help.contains(part));
            assert!(is_of_it.contains(&true), "{text}: {help}");
        }
    }

    #[test]
    fn an_unknown_option_is_told_with_those_of_the_form_and_where_it_belongs() {
        let error = Spec::parse("serial:/dev/ttyUSB0,speed=9600").expect_err("no such option");
        let help = error.help().expect("a way out");
        assert!(error.chain().contains("quickack, baud, flow, dtr, rts"), "{}", error.chain());
        assert!(help.contains("baud=115200, flow=none|rtscts, dtr=keep|on|off"), "{help}");
        let error = Spec::parse("tcp:h:1,baud=9600").expect_err("no such option");
        assert!(error.chain().contains("'baud' (it is one of serial:)"), "{}", error.chain());
        let error = Spec::parse("auto").expect_err("nowhere to look");
        assert!(error.chain().contains("looks for the tunnel of '-d'"), "{}", error.chain());
    }

    #[test]
    fn durations_as_ping_and_people_write_them() {
        for (text, nanos) in
            [("0.2", 200_000_000), ("1s", 1_000_000_000), ("100ms", 100_000_000), ("50us", 50_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        for bad in ["", "s", "-1", "1 day", "inf", "1e400", "1e19", "367000h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
