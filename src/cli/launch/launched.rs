//! A program that runs for us.

use std::path::PathBuf;
use std::time::Duration;

use super::guarded::Guarded;
use super::output::{self, Output};
use super::places::{self, Places};
use super::{Launch, What, named};
use crate::cli::args::TunnelArgs;
use crate::error::{Error, Result};

/// A program that was started. It, and all that came from it, ends with this value, at the latest with
/// our process; when it is dropped rather than [`end`](Launched::end)ed, the thread waits for that.
#[derive(Debug)]
pub struct Launched {
    /// The tunnel's endpoint, such as `unix:/tmp/uarttool-launch-0123456789abcdef/tunnel.sock`; `None`
    /// when the program was not told where to put it.
    pub device: Option<String>,
    /// The console's endpoint, in the same way.
    pub console: Option<String>,
    what: What,
    guard: PathBuf,
    output: Output,
    guarded: Guarded,
    /// How it ended, when it did so by itself.
    sentence: Option<String>,
    places: Places,
}

impl Launched {
    pub(super) async fn start(launch: Launch) -> Result<Launched> {
        let Launch { what, guard, log } = launch;
        let mut output = Output::new(log.as_deref())?;
        let places = Places::new()?;
        let (guarded, reader) = Guarded::start(&guard, &what.program(&places), &places).await?;
        output.collect(reader);
        Ok(Launched {
            device: what.device(&places),
            console: what.console(&places),
            what,
            guard,
            output,
            guarded,
            sentence: None,
            places,
        })
    }

    /// `text` with `{tunnel}`, `{console}` and `{port}` replaced: what a user writes behind `-d` or
    /// `--console` can name them, too, for example to add options.
    pub fn fill(&self, text: &str) -> String {
        self.places.fill(text)
    }

    /// The endpoints of tunnel and console: those that the user wrote, or where the program was told to
    /// put them; `named` says who comes before whom.
    pub fn endpoints(
        &self,
        tunnel: &TunnelArgs,
        console: Option<String>,
    ) -> (Option<String>, Option<String>) {
        let device = named::flag(tunnel).map(|text| self.fill(text));
        let inherited = || named::inherited(tunnel).map(str::to_owned);
        let device = device.or_else(|| self.device.clone()).or_else(inherited);
        let console = console.map(|text| self.fill(&text));
        (device, console.or_else(|| self.console.clone()))
    }

    /// What runs, as the user gave it, in backquotes.
    pub fn shown(&self) -> String {
        self.what.shown()
    }

    /// The last 64 KiB of what the program said on stdout and stderr.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Completes when the program has ended by itself, with a sentence such as "`qemu-system-arm ...`
    /// ended with exit status 1: qemu: could not open ...". Nothing of it runs any more then.
    ///
    /// It may be dropped and called again. A program that goes into the background with exit status 0
    /// has not ended as long as one of its processes is there.
    pub async fn exited(&mut self) -> String {
        if let Some(sentence) = &self.sentence {
            return sentence.clone();
        }
        self.guarded.exited().await;
        self.output.finish().await;
        let how = match self.guarded.status() {
            Some(status) => status.to_string(),
            None => "was ended together with its guard ('uarttool launch-guard')".to_owned(),
        };
        let words = self.output.last_words();
        let words = words.map_or(" and said nothing".to_owned(), |words| format!(": {words}"));
        self.sentence.insert(format!("{} {how}{words}", self.what.shown())).clone()
    }

    /// Waits for `coming`, such as the first answer of the device, for `wait` at most.
    ///
    /// It is an error of the environment when the program ends before, or the time is over.
    pub async fn until<T>(&mut self, wait: Duration, coming: impl Future<Output = T>) -> Result<T> {
        let sentence = tokio::select! {
            biased;
            value = coming => return Ok(value),
            sentence = self.exited() => sentence,
            () = tokio::time::sleep(wait) => {
                let words = self.output.last_words().map(|words| format!("; its last words: {words}"));
                let text = format!(
                    "{} runs but is not ready after {wait:?}{}",
                    self.what.shown(),
                    words.unwrap_or_default()
                );
                return Err(Error::environment(text).with_help("give it more time with '--wait 2m'"));
            }
        };
        Err(Error::environment(sentence).with_help("run it by itself to see all that it says"))
    }

    /// Ends the program and starts it again, with the same sockets and port.
    ///
    /// It is an error of the environment when one of its processes could not be ended, or it cannot be
    /// started again.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.places.renew()?;
        let program = self.what.program(&self.places);
        let (guarded, reader) = Guarded::start(&self.guard, &program, &self.places).await?;
        (self.guarded, self.sentence) = (guarded, None);
        self.output.collect(reader);
        Ok(())
    }

    /// Ends the program and all that came from it: SIGTERM, and SIGKILL after 2 s. The sockets' folder
    /// is removed.
    ///
    /// It is an error of the environment when a process could not be ended, such as one of another
    /// user.
    pub async fn end(mut self) -> Result<()> {
        self.stop().await
    }

    async fn stop(&mut self) -> Result<()> {
        self.guarded.end().await;
        self.output.finish().await;
        let left: Vec<_> = self.guarded.left().iter().map(i32::to_string).collect();
        if left.is_empty() {
            return Ok(());
        }
        let text =
            format!("cannot end {}: left are processes {}", self.what.shown(), left.join(" "));
        Err(Error::environment(text)
            .with_help(format!("end them by hand: sudo kill {}", left.join(" "))))
    }
}

impl What {
    /// The program and its arguments.
    fn program(&self, places: &Places) -> Vec<std::ffi::OsString> {
        match self {
            What::Command(text) => vec!["sh".into(), "-c".into(), places.fill(text).into()],
            What::File { path, is_executable: true, .. } => vec![path.into()],
            What::File { path, .. } => vec!["sh".into(), path.into()],
        }
    }

    fn device(&self, places: &Places) -> Option<String> {
        let unix = format!("unix:{}", places.tunnel);
        let tcp = format!("tcp:127.0.0.1:{}", places.port);
        match self {
            What::File { .. } if self.names("port") && !self.names("tunnel") => Some(tcp),
            What::File { .. } => Some(unix),
            What::Command(_) if self.names("tunnel") => Some(unix),
            What::Command(_) => self.names("port").then_some(tcp),
        }
    }

    fn console(&self, places: &Places) -> Option<String> {
        self.names("console").then(|| format!("unix:{}", places.console))
    }

    /// Whether the user's text uses a value: by its placeholder, or by its name in the environment.
    pub(super) fn names(&self, value: &str) -> bool {
        let variable = format!("UARTTOOL_{}", value.to_uppercase());
        match self {
            What::Command(text) => places::has(text, value) || text.contains(&variable),
            What::File { text, .. } => text.contains(&variable),
        }
    }

    /// What the user gave, in backquotes.
    fn shown(&self) -> String {
        match self {
            What::Command(text) => format!("`{}`", output::shown(text.trim())),
            What::File { path, .. } => format!("`{}`", output::shown(&path.to_string_lossy())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> What {
        What::Command(text.to_owned())
    }

    fn file(text: &str) -> What {
        What::File { path: "run".into(), is_executable: true, text: text.to_owned() }
    }

    #[test]
    fn the_endpoints_are_those_that_the_program_was_told() {
        let places = Places::new().expect("a place for sockets");
        let unix = Some(format!("unix:{}", places.tunnel));
        let tcp = Some(format!("tcp:127.0.0.1:{}", places.port));
        let console = Some(format!("unix:{}", places.console));
        for (what, device, serial) in [
            (command("q {tunnel} {port} {console}"), &unix, &console),
            (command("q {port}"), &tcp, &None),
            (command("q $UARTTOOL_PORT"), &tcp, &None),
            (command("q ${port} {console}"), &None, &console),
            (file("q {port} {console}"), &unix, &None),
            (file("q $UARTTOOL_PORT"), &tcp, &None),
            (file("q $UARTTOOL_PORT $UARTTOOL_TUNNEL $UARTTOOL_CONSOLE"), &unix, &console),
        ] {
            assert_eq!(
                (&what.device(&places), &what.console(&places)),
                (device, serial),
                "{what:?}"
            );
        }
    }

    #[test]
    fn a_command_goes_to_the_shell_and_a_script_is_run_itself() {
        let places = Places::new().expect("a place for sockets");
        let port = places.port;
        assert_eq!(command("a {port}").program(&places), ["sh", "-c", &format!("a {port}")]);
        assert_eq!(file("").program(&places), ["run"]);
        let What::File { path, text, .. } = file("") else { unreachable!("a file") };
        let plain = What::File { path, is_executable: false, text };
        assert_eq!(plain.program(&places), ["sh", "run"]);
    }
}
