//! A device that is a program, started for the run and ended with it.

use tokio::sync::{mpsc, oneshot, watch};

use super::args::ConformanceArgs;
use super::job::{Job, Named};
use crate::cli::config::Config;
use crate::cli::launch::{Launch, Launched, named};
use crate::cli::{Verdict, signals, terminal};
use crate::conformance::artifacts;
use crate::conformance::baseline::Baseline;
use crate::conformance::model::Test;
use crate::conformance::rig::Restart;
use crate::endpoint::{Pending, Spec};
use crate::error::{Error, Result};
use crate::stop;

/// Starts the program, judges the device in it, and ends the program, whatever happened.
pub async fn run(
    mut args: ConformanceArgs,
    tests: Vec<&'static Test>,
    config: Config,
    launch: Launch,
) -> Result<Verdict> {
    check(&args)?;
    let (stopper, stop) = stop::pair();
    let interrupted = signals::watch(stopper)?;
    let launch = match &args.output.artifacts {
        Some(folder) => {
            artifacts::make_folder(folder)?;
            launch.log_to(folder.join("launch.log"))
        }
        None => launch,
    };
    let mut launched = launch.start().await?;
    let target = launched.shown();
    let named = Named { target, again: args.again(args.tunnel.device.as_deref()) };
    let judged = async {
        name_places(&mut args, &launched, &config);
        let (program, orders) = Program::new();
        tokio::select! {
            biased;
            judged = async { Job::new(args, tests, &config, Some(named))?.run(stop, &interrupted, Some(program)).await } => judged,
            never = orders.obey(&mut launched) => match never {},
        }
    }
    .await;
    let ended = launched.end().await;
    let verdict = judged?;
    ended.map(|()| verdict)
}

/// Whether profile and baseline, and endpoints in which only the places of sockets are missing, make sense.
fn check(args: &ConformanceArgs) -> Result<()> {
    for text in args.tunnel.device.iter().chain(&args.run.console) {
        Spec::parse(&text.replace("{port}", "1"))?;
    }
    args.output.baseline.as_deref().map(Baseline::open).transpose()?;
    args.ledger(false).map(|_| ())
}

/// The endpoints of the program: as the user wrote them, or where the program was told to put them.
fn name_places(args: &mut ConformanceArgs, launched: &Launched, config: &Config) {
    if let Some(text) = &launched.device
        && let Some(sentence) = named::passed_over(text, &args.tunnel, config)
    {
        terminal::tell(&sentence);
    }
    let console = args.run.console.take();
    (args.tunnel.device, args.run.console) = launched.endpoints(&args.tunnel, console);
}

/// The program, for those who want it restarted or have to know that it has ended.
#[derive(Clone, Debug)]
pub struct Program {
    asks: mpsc::Sender<oneshot::Sender<Result<()>>>,
    /// How it has ended by itself, if it has.
    ended: watch::Receiver<Option<String>>,
}

/// The other end of a [`Program`].
struct Orders {
    asks: mpsc::Receiver<oneshot::Sender<Result<()>>>,
    ended: watch::Sender<Option<String>>,
}

impl Program {
    fn new() -> (Program, Orders) {
        let (ask, asks) = mpsc::channel(1);
        let (end, ended) = watch::channel(None);
        (Program { asks: ask, ended }, Orders { asks, ended: end })
    }

    /// What tells how it has ended.
    pub fn watch(&self) -> watch::Receiver<Option<String>> {
        self.ended.clone()
    }

    /// What comes of `coming`, unless the program ends before: an error of the environment.
    pub async fn or_its_end<T>(&self, coming: impl Future<Output = Result<T>>) -> Result<T> {
        let mut ended = self.ended.clone();
        tokio::select! {
            biased;
            Ok(sentence) = ended.wait_for(Option::is_some) => {
                let sentence = sentence.clone().unwrap_or_default();
                Err(Error::environment(sentence).with_help("run it by itself to see all that it says"))
            }
            value = coming => value,
        }
    }
}

impl Orders {
    /// Restarts the program when asked, and tells when it has ended.
    async fn obey(mut self, launched: &mut Launched) -> std::convert::Infallible {
        loop {
            let has_ended = self.ended.borrow().is_some();
            tokio::select! {
                biased;
                ask = self.asks.recv() => {
                    let Some(answer) = ask else { return std::future::pending().await };
                    let restarted = launched.restart().await;
                    self.ended.send_replace(None);
                    let _ = answer.send(restarted); // who asked may have been interrupted
                }
                sentence = launched.exited(), if !has_ended => {
                    self.ended.send_replace(Some(sentence));
                }
            }
        }
    }
}

impl Restart for Program {
    fn restart(&mut self) -> Pending<'_, Result<()>> {
        Box::pin(async {
            let gone = || Error::environment("nobody is there to start the program again");
            let (answer, answered) = oneshot::channel();
            self.asks.send(answer).await.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        })
    }
}
