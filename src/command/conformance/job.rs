//! One run of the judge: everything decided, then connected, then judged.

use std::hash::{BuildHasher, Hasher, RandomState};

use tokio::time::Instant;

use super::args::{ConformanceArgs, Order};
use super::output::Output;
use super::started::Program;
use super::surroundings::{self, Console};
use crate::bus::Bus;
use crate::capture::Source;
use crate::cli::config::Config;
use crate::cli::signals::Interrupted;
use crate::cli::target::{self, Tunnel};
use crate::cli::web::Forwarded;
use crate::cli::{self, Verdict, terminal};
use crate::conformance::artifacts::Artifacts;
use crate::conformance::baseline::Baseline;
use crate::conformance::engine::{self, Plan, Surroundings};
use crate::conformance::event::{Standing, Summary};
use crate::conformance::ledger::Ledger;
use crate::conformance::model::{self, Owner};
use crate::conformance::rig::{Restart, Rig, Target, connect_within};
use crate::conformance::{catalogue, explore, stack};
use crate::endpoint::memory;
use crate::error::{Category, Error, Result};
use crate::probe::Probe;
use crate::stop::Stop;

/// Everything that was decided before anything is opened.
pub struct Job {
    /// Whether time is virtual.
    pub is_virtual: bool,
    args: ConformanceArgs,
    tests: Vec<&'static model::Test>,
    tunnel: Tunnel,
    target: Target,
    ledger: Ledger,
    baseline: Option<Baseline>,
    named: Named,
}

/// How the target and the way to it are named to people.
pub struct Named {
    /// The endpoint, or the program that was started.
    pub target: String,
    /// The command that runs tests against it again.
    pub again: String,
}

impl Job {
    /// Decides everything that flags and configuration decide; `named` is for a device that was
    /// started for this run.
    pub fn new(
        args: ConformanceArgs,
        tests: Vec<&'static model::Test>,
        config: &Config,
        named: Option<Named>,
    ) -> Result<Job> {
        let tunnel = target::tunnel(&args.tunnel, config)?;
        let framing = tunnel.spec.options.framing;
        if framing != crate::framing::ALL[0] {
            let text = format!("conformance judges lines of len16be, not of {}", framing.name);
            return Err(Error::usage(text).with_help(
                "its tests send bad lengths of two bytes, which say something else there",
            ));
        }
        let named = named.unwrap_or_else(|| Named {
            target: tunnel.spec.text.clone(),
            again: args.again(Some(&tunnel.spec.text)),
        });
        let identity = target::identity(&args.addresses, config)?;
        let is_max_declared = args.tunnel.max_frame.is_some()
            || config.target.max_frame.is_some()
            || tunnel.spec.text.contains("max-frame=");
        if let Some(why) = &tunnel.why {
            terminal::tell(&format!("using {}: {why}", tunnel.spec.text));
        }
        let (limit, least) = (tunnel.spec.options.max_frame, explore::LEAST_FRAME);
        if limit < least {
            return Err(Error::usage(format!(
                "a limit of {limit} bytes leaves no room for a ping"
            ))
            .with_help(format!("the smallest '--max-frame' that can be judged is {least}")));
        }
        let is_sim = tunnel.spec.form.name == memory::SIM.name;
        // Another stack behind the built-in driver has its own time.
        let is_virtual = is_sim && !tunnel.spec.options.own.iter().any(|(name, _)| name == "stack");
        let ledger = args.ledger(is_virtual)?;
        let baseline = args.output.baseline.as_deref().map(Baseline::open).transpose()?;
        let target = Target {
            identity,
            max_frame: tunnel.spec.options.max_frame,
            is_max_declared,
            line_rate: args
                .run
                .line_rate
                .or(config.target.line_rate)
                .or(tunnel.spec.options.line_rate.filter(|_| !is_sim))
                .filter(|rate| *rate > 0),
            ports: args.ports(),
            declared: ledger.declared.clone(),
        };
        Ok(Job { is_virtual, args, tests, tunnel, target, ledger, baseline, named })
    }

    /// Judges the device, which `program` is if it was started for this.
    pub async fn run(
        self,
        mut stop: Stop,
        interrupted: &Interrupted,
        program: Option<Program>,
    ) -> Result<Verdict> {
        let output = Output::open(&self.args.output)?;
        let mut plan = self.plan()?;
        let console = surroundings::console(&self.args, &self.tunnel, program.is_some())?;
        let (console, lines) = console.unzip();
        let mut waiting = stop.clone();
        let judge = async {
            let prepared = tokio::select! {
                biased;
                () = waiting.wait() => {
                    output.clear_progress();
                    terminal::tell("interrupted before the first test");
                    return Ok(None);
                }
                prepared = self.prepare(plan.seed, program.clone(), &output) => prepared,
            };
            output.clear_progress();
            let (rig, mut facts) =
                prepared.map_err(|error| match console.as_ref().and_then(Console::last_line) {
                    Some(line) => error.with_help(format!("the console's last line is: {line}")),
                    None => error,
                })?;
            let is_about_stack = self.tests.iter().any(|test| test.about.owner == Owner::Stack);
            let rig = match is_about_stack {
                false => rig,
                true => {
                    let (rig, habits, fact) = stack::look(rig).await?;
                    plan.habits = habits;
                    facts.extend(fact);
                    rig
                }
            };
            let tell = &mut |event| output.event(&event);
            let program = program.as_ref().map(Program::watch);
            let around = Surroundings { stop: &mut stop, tell, console: lines, program };
            Ok(Some(engine::run(rig, &plan, facts, around).await))
        };
        let judged = tokio::select! {
            biased;
            judged = judge => judged?,
            never = Console::listen(console.as_ref()) => match never {},
        };
        if let Some(console) = &console {
            console.keep();
        }
        let Some(judged) = judged else { return Ok(Verdict::Interrupted) };
        output.end(&judged)?;
        if interrupted.is_set() {
            return Ok(Verdict::Interrupted);
        }
        verdict(&judged, self.args.run.strict)
    }

    fn plan(&self) -> Result<Plan> {
        let run = &self.args.run;
        let seed = match run.order {
            Some(Order::Seed(seed)) => seed,
            Some(Order::Fixed) => 1,
            None => RandomState::new().build_hasher().finish() % 100_000,
        };
        let source = Source {
            name: self.named.target.clone(),
            description: "uarttool conformance".to_owned(),
            framing: crate::framing::ALL[0],
            console: self.args.run.console.clone(),
        };
        let artifacts = self.args.output.artifacts.as_deref();
        let clock = cli::tokio_clock();
        Ok(Plan {
            tests: self.tests.clone(),
            left_out: catalogue::all().count() - self.tests.len(),
            is_fixed: run.order == Some(Order::Fixed),
            seed,
            strict: run.strict,
            allow_inconclusive: run.allow_inconclusive,
            retries: run.retries,
            fail_fast: run.fail_fast,
            ledger: self.ledger.clone(),
            baseline: self.baseline.clone(),
            artifacts: artifacts.map(|folder| Artifacts::new(folder, source, clock)).transpose()?,
            target: self.named.target.clone(),
            rerun: format!("{} --order {seed}", self.named.again),
            flip: None,
            habits: None,
            is_virtual: self.is_virtual,
        })
    }

    /// Connects and finds out what has to be known.
    async fn prepare(
        &self,
        seed: u64,
        program: Option<Program>,
        output: &Output,
    ) -> Result<(Rig, Vec<String>)> {
        let tell = &mut |what: &str| output.preparing(what);
        let deadline = Instant::now() + self.args.launch.wait;
        let events = terminal::events();
        let (connector, mut restart) = surroundings::connector(&self.tunnel, &self.args, &events)?;
        output.preparing(&format!("connecting to {}", self.tunnel.spec.text));
        connector.prepare().await?;
        let link = match &program {
            None => connector.connect().await?,
            Some(program) => {
                let wait = self.args.launch.wait;
                let link = program.or_its_end(connect_within(&*connector, wait)).await;
                link.map_err(|error| error.with_help("give it more time with '--wait 2m'"))?
            }
        };
        if let Some(program) = &program {
            restart = Some(Box::new(program.clone()) as Box<dyn Restart>);
        }
        let clock = cli::tokio_clock();
        let options = &self.tunnel.spec.options;
        let target = self.target.clone();
        let probe = Probe::new(link, options, target.identity, clock, events, Bus::default());
        let scale = self.args.run.time_scale;
        let mut rig = Rig::new(probe, connector, restart, target, scale, seed);
        if !self.is_virtual {
            rig.numbers.forget_neighbours(RandomState::new().build_hasher().finish());
        }
        rig.web = Some(Box::new(Forwarded::new(self.is_virtual.then_some(seed))));
        rig.boot_time = self.args.launch.wait;
        rig.is_thorough = self.args.selection.extended || self.args.selection.long;
        let needs = self.tests.iter().filter_map(|test| test.needs).collect();
        let explored = explore::explore(rig, deadline - Instant::now(), &needs, tell);
        match &program {
            Some(program) => program.or_its_end(explored).await,
            None => explored.await,
        }
    }
}

/// What the run came to, as an exit code.
fn verdict(summary: &Summary, strict: bool) -> Result<Verdict> {
    let errors = summary.count(|f| f.outcome.verdict == model::Verdict::Error);
    if summary.is_lost {
        let why = "the line was lost during the run";
        return Err(Error::environment(why).with_help("look at the first test that did not pass"));
    }
    if errors > 0 {
        let text = format!("{errors} test(s) ended in an error of our own");
        return Err(Error::new(Category::Internal, text));
    }
    let bad = summary.count(|f| f.standing == Standing::Bad);
    let unexpected = summary.count(|f| matches!(f.standing, Standing::UnexpectedPass(_)));
    let is_cut_short = summary.not_run > 0; // who interrupts it knows that
    match bad > 0 || is_cut_short || strict && unexpected > 0 {
        true => Ok(Verdict::Failed),
        false => Ok(Verdict::Done),
    }
}
