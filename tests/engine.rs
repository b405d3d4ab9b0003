//! The judge's engine: what it does with tests that pass late, fail, hang, kill the device, or end in
//! an error, and with what happens beside the line. In virtual time, on the built-in device.

mod support;

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use support::judge::{Beside, plan, run, run_beside};
use tokio::sync::watch;
use uarttool::bus::Bus;
use uarttool::capture::Source;
use uarttool::cli::tokio_clock;
use uarttool::conformance::artifacts::Artifacts;
use uarttool::conformance::engine::Plan;
use uarttool::conformance::event::{Standing, Summary};
use uarttool::conformance::ledger::Ledger;
use uarttool::conformance::model::{
    About, Failure, Flow, Halt, Outcome, Owner, Severity, Test, Tier, Verdict,
};
use uarttool::conformance::rig::Capability;
use uarttool::conformance::trial::Trial;
use uarttool::error::{Category, Error};
use uarttool::record::{Body, Direction, Origin, Record, Span};
use uarttool::stop::{self, Stopper};

/// What a test function reaches that stands beside the line.
#[derive(Default)]
struct Scene {
    attempts: u32,
    console: Option<Bus>,
    program: Option<watch::Sender<Option<String>>>,
    stopper: Option<Stopper>,
}

thread_local! {
    static SCENE: RefCell<Scene> = RefCell::default();
}

fn scene<T>(with: impl FnOnce(&mut Scene) -> T) -> T {
    SCENE.with_borrow_mut(with)
}

const fn about(name: &'static str) -> About {
    About {
        id: "TST-01",
        name,
        severity: Severity::Must,
        tier: Tier::Core,
        owner: Owner::Stack,
        reference: "tests/engine.rs",
        requirement: "It is as it is.",
    }
}

static GOOD: Test = Test::new(about("test.good"), |t| Box::pin(good(t)));
static BAD: Test = Test::new(about("test.bad"), |t| Box::pin(bad(t)));
static LATE: Test = Test::new(about("test.late"), |t| Box::pin(late(t)));
static THEN_UNCLEAR: Test = Test::new(about("test.then-unclear"), |t| Box::pin(then_unclear(t)));
static DEADLY: Test = Test::new(about("test.deadly"), |t| Box::pin(deadly(t)));
static STUCK: Test = Test::new(about("test.stuck"), |t| Box::pin(stuck(t)));
static BROKEN: Test = Test::new(about("test.broken"), |t| Box::pin(broken(t)));
static CRASHING: Test = Test::new(about("test.crashing"), |t| Box::pin(crashing(t)));
static ENDING: Test = Test::new(about("test.ending"), |t| Box::pin(ending(t)));
static REBOOTING: Test =
    Test::new(about("test.rebooting"), |t| Box::pin(rebooting(t))).needs(Capability::Restart);

static FALLING_OVER: Test = Test::new(about("test.falling-over"), |t| Box::pin(falling_over(t)));

async fn good(t: &mut Trial) -> Flow {
    let echo = t.echo(8);
    t.answered(&echo, "an echo request").await?;
    Ok(())
}

async fn bad(t: &mut Trial) -> Flow {
    let echo = t.echo(8);
    t.silent(&echo.frame(), "an echo request").await?;
    Ok(())
}

/// Passes at the second attempt.
async fn late(t: &mut Trial) -> Flow {
    let attempt = scene(|scene| {
        scene.attempts += 1;
        scene.attempts
    });
    t.must(attempt == 2, "the second attempt", format!("attempt {attempt}"));
    Ok(())
}

/// Fails at the first attempt, and cannot be judged at the second.
async fn then_unclear(t: &mut Trial) -> Flow {
    let attempt = scene(|scene| {
        scene.attempts += 1;
        scene.attempts
    });
    if attempt > 1 {
        return Err(Halt::Inconclusive("it cannot be told".to_owned()));
    }
    t.must(false, "that it passes", "it fails");
    Ok(())
}

/// A frame of 13 bytes, of which `undersized-kills` dies.
async fn deadly(t: &mut Trial) -> Flow {
    t.raw(&[&[0, 13][..], &[7; 13]].concat()).await?;
    t.settle().await?;
    Ok(())
}

async fn stuck(t: &mut Trial) -> Flow {
    scene(|scene| scene.stopper.take()).expect("somebody to stop").stop();
    loop {
        t.listen(Duration::from_secs(60)).await?;
    }
}

async fn broken(_: &mut Trial) -> Flow {
    Err(Halt::Error(Error::new(Category::Internal, "a bug of ours")))
}

fn say(line: &'static str) {
    let record = Record {
        time: Some(Span::at(tokio_clock().now())),
        origin: Origin::new(Direction::FromDevice),
        offset: None,
        body: Body::Console(Bytes::from_static(line.as_bytes())),
    };
    scene(|scene| scene.console.as_mut().expect("a console").publish(&mut vec![record]));
}

async fn crashing(t: &mut Trial) -> Flow {
    say("I (71) app: all is well");
    say("Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.");
    t.must(true, "", "");
    Ok(())
}

async fn ending(t: &mut Trial) -> Flow {
    let sentence = "`qemu` ended with exit status 1".to_owned();
    scene(|scene| scene.program.as_ref().expect("a program").send_replace(Some(sentence)));
    t.must(true, "", "");
    Ok(())
}

async fn rebooting(t: &mut Trial) -> Flow {
    t.restart().await?;
    say("rst:0x1 (POWERON_RESET),boot:0x12 (SPI_FAST_FLASH_BOOT)");
    let is_alive = t.is_alive().await?;
    t.must(is_alive, "it comes back", "it does not");
    Ok(())
}

/// A device that starts anew of itself: it is away, and announces its address when it is back.
async fn falling_over(t: &mut Trial) -> Flow {
    t.restart().await?;
    t.raw(&[2, 0]).await?; // half a frame: the first ping is lost with it
    t.settle().await?;
    Ok(())
}

/// Names and verdicts of the tests, without the invariants.
fn results(summary: &Summary) -> Vec<(&'static str, Verdict)> {
    let tests = summary.finished.iter().filter(|f| f.about.group() == "test");
    tests.map(|f| (f.about.name, f.outcome.verdict)).collect()
}

fn with_console() -> Beside {
    let mut bus = Bus::default();
    let console = Some(bus.watch());
    scene(|scene| scene.console = Some(bus));
    Beside { console, ..Beside::default() }
}

#[test]
fn a_test_that_passes_at_a_retry_is_flaky_and_good() {
    let summary = run("sim", &Plan { retries: 2, ..plan(vec![&LATE, &GOOD]) });
    let late = &summary.finished[0];
    assert_eq!((late.outcome.verdict, late.attempts), (Verdict::Pass, 2));
    assert!(late.is_flaky() && late.standing == Standing::Good);
    assert_eq!(summary.finished[1].attempts, 1);
    scene(|scene| scene.attempts = 2); // it will never pass
    let summary = run("sim", &Plan { retries: 2, ..plan(vec![&LATE]) });
    let late = &summary.finished[0];
    assert_eq!((late.outcome.verdict, late.attempts), (Verdict::Fail, 3));
}

#[test]
fn the_first_failure_ends_the_run_when_that_is_wanted() {
    let summary = run("sim", &Plan { fail_fast: true, ..plan(vec![&GOOD, &BAD, &GOOD, &GOOD]) });
    assert_eq!(results(&summary), [("test.good", Verdict::Pass), ("test.bad", Verdict::Fail)]);
    assert_eq!(summary.not_run, 2);
    assert_eq!(summary.ended.as_deref(), Some("a test has failed ('--fail-fast')"));
    assert_eq!(results(&run("sim", &plan(vec![&BAD, &GOOD]))).len(), 2);
}

#[test]
fn a_device_that_dies_fails_the_test_that_killed_it_and_is_started_anew() {
    let tests = vec![&GOOD, &DEADLY, &GOOD];
    let summary = run("sim,fault=undersized-kills", &plan(tests.clone()));
    let verdicts = results(&summary).into_iter().map(|(_, verdict)| verdict);
    assert_eq!(verdicts.collect::<Vec<_>>(), [Verdict::Pass, Verdict::Fail, Verdict::Pass]);
    let beside = Beside { has_no_switch: true, ..Beside::default() };
    let summary = run_beside("sim,fault=undersized-kills", &plan(tests), beside);
    assert_eq!((results(&summary).len(), summary.not_run), (2, 1));
    let why = summary.ended.expect("it ended early");
    assert!(why.contains("does not answer any more since test.deadly"), "{why}");
}

#[test]
fn a_device_that_dies_of_the_preparations_fails_the_test_of_what_they_do() {
    let beside = Beside { has_no_switch: true, ..Beside::default() };
    let summary = run_beside("sim,fault=partial-kept", &plan(vec![&GOOD]), beside);
    let died = &summary.finished[0];
    assert_eq!((died.about.group(), &died.standing), ("link", &Standing::Bad));
    assert_eq!((died.outcome.verdict, summary.not_run), (Verdict::Fail, 1));
}

#[test]
fn a_retry_that_gives_no_verdict_does_not_undo_a_failure() {
    let plan_of = |test| Plan { retries: 1, allow_inconclusive: true, ..plan(vec![test]) };
    let summary = run("sim", &plan_of(&THEN_UNCLEAR));
    assert_eq!(summary.finished[0].outcome.verdict, Verdict::Fail);
    assert_eq!(summary.finished[0].outcome.summary(), "it fails");
    for has_no_switch in [false, true] {
        let beside = Beside { has_no_switch, ..Beside::default() };
        let summary = run_beside("sim,fault=undersized-kills", &plan_of(&DEADLY), beside);
        let deadly = &summary.finished[0];
        assert_eq!((deadly.outcome.verdict, &deadly.standing), (Verdict::Fail, &Standing::Bad));
        assert_eq!(deadly.attempts, if has_no_switch { 1 } else { 2 });
    }
}

#[test]
fn a_crash_on_the_console_fails_the_test_that_ran_and_no_other() {
    let summary = run_beside("sim", &plan(vec![&GOOD, &CRASHING, &GOOD]), with_console());
    let [first, crashed, last] = &summary.finished[..3] else { panic!("{summary:?}") };
    assert_eq!((first.outcome.verdict, last.outcome.verdict), (Verdict::Pass, Verdict::Pass));
    assert_eq!(crashed.outcome.verdict, Verdict::Fail);
    let why = crashed.outcome.summary();
    assert!(why.starts_with("its console says: Guru Meditation Error"), "{why}");
}

#[test]
fn a_device_that_was_away_and_announces_itself_has_booted_unless_its_console_is_listened_to() {
    let summary = run("sim", &plan(vec![&FALLING_OVER, &GOOD]));
    let fallen = &summary.finished[0];
    assert_eq!((fallen.outcome.verdict, fallen.outcome.is_fatal), (Verdict::Fail, true));
    assert!(fallen.outcome.summary().contains("announced its address"), "{fallen:?}");
    assert_eq!(summary.finished[1].outcome.verdict, Verdict::Pass);
    let summary = run_beside("sim", &plan(vec![&FALLING_OVER]), with_console());
    assert_eq!(summary.finished[0].outcome.verdict, Verdict::Pass, "the console would tell");
}

#[test]
fn the_boot_messages_of_a_wanted_restart_are_nobodys_failure() {
    let summary = run_beside("sim", &plan(vec![&REBOOTING, &GOOD]), with_console());
    let passed = [("test.rebooting", Verdict::Pass), ("test.good", Verdict::Pass)];
    assert_eq!(results(&summary), passed);
    let beside = Beside { has_no_switch: true, ..with_console() };
    let summary = run_beside("sim", &plan(vec![&REBOOTING, &GOOD]), beside);
    let skipped = &summary.finished[0];
    assert_eq!((skipped.outcome.verdict, &skipped.standing), (Verdict::Skip, &Standing::Open));
    assert!(skipped.outcome.summary().contains("--launch"), "{skipped:?}");
}

#[test]
fn the_end_of_the_program_that_is_the_device_fails_the_test_that_ran() {
    let (sender, program) = watch::channel(None);
    scene(|scene| scene.program = Some(sender));
    let beside = Beside { program: Some(program), ..Beside::default() };
    let summary = run_beside("sim", &plan(vec![&GOOD, &ENDING, &GOOD]), beside);
    let verdicts = results(&summary).into_iter().map(|(_, verdict)| verdict);
    assert_eq!(verdicts.collect::<Vec<_>>(), [Verdict::Pass, Verdict::Fail, Verdict::Pass]);
    assert_eq!(summary.finished[1].outcome.summary(), "`qemu` ended with exit status 1");
}

#[test]
fn the_word_to_stop_ends_a_test_that_would_not_end() {
    let (stopper, stop) = stop::pair();
    scene(|scene| scene.stopper = Some(stopper));
    let beside = Beside { stop: Some(stop), ..Beside::default() };
    let summary = run_beside("sim", &plan(vec![&GOOD, &STUCK, &GOOD]), beside);
    assert_eq!(results(&summary), [("test.good", Verdict::Pass)]);
    assert_eq!(summary.ended.as_deref(), Some("interrupted"));
    assert_eq!(summary.not_run, 2, "the one that was cut short has not run either");
    let (stopper, stop) = stop::pair();
    scene(|scene| scene.stopper = Some(stopper));
    let beside = Beside { stop: Some(stop), ..Beside::default() };
    let summary = run_beside("sim", &plan(vec![&STUCK]), beside);
    assert_eq!((summary.not_run, summary.ended.as_deref()), (1, Some("interrupted")));
}

#[test]
fn an_error_of_ours_is_neither_pass_nor_fail() {
    let summary = run("sim", &plan(vec![&BROKEN, &GOOD]));
    let broken = &summary.finished[0];
    assert_eq!((broken.outcome.verdict, &broken.standing), (Verdict::Error, &Standing::Bad));
    assert_eq!(broken.outcome.summary(), "a bug of ours");
    assert_eq!(summary.finished[1].outcome.verdict, Verdict::Pass);
}

#[test]
fn what_a_failure_counts_depends_on_ledger_severity_and_strictness() {
    let must = about("link.len-zero");
    let should = About { severity: Severity::Should, ..must };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("known.toml");
    let text =
        "ledger = 1\nabout = \"x\"\n[[deviation]]\ntest = \"link.len-zero\"\nreason = \"y\"\n";
    std::fs::write(&path, text).expect("written");
    let ledger = Ledger::open(path.to_str().expect("plain")).expect("good");
    let plain = Plan::default();
    let strict = Plan { strict: true, ..Plan::default() };
    let lenient = Plan { allow_inconclusive: true, ..Plan::default() };
    let known = Plan { ledger, ..Plan::default() };
    let standing = |plan: &Plan, about: &About, verdict| {
        let mut outcome = Outcome::without(verdict, about.severity, "");
        outcome.reason = None;
        plan.standing(about, &outcome)
    };
    for (plan, about, verdict, expected) in [
        (&plain, &must, Verdict::Pass, Standing::Good),
        (&plain, &must, Verdict::Fail, Standing::Bad),
        (&plain, &should, Verdict::Fail, Standing::Warned),
        (&strict, &should, Verdict::Fail, Standing::Bad),
        (&plain, &must, Verdict::Inconclusive, Standing::Bad),
        (&plain, &should, Verdict::Inconclusive, Standing::Open),
        (&lenient, &must, Verdict::Inconclusive, Standing::Open),
        (&plain, &must, Verdict::Skip, Standing::Open),
        (&plain, &should, Verdict::Error, Standing::Bad),
        (&known, &must, Verdict::Fail, Standing::Known("y".to_owned())),
        (&known, &must, Verdict::Pass, Standing::UnexpectedPass("y".to_owned())),
        (&known, &must, Verdict::Inconclusive, Standing::Bad),
    ] {
        assert_eq!(standing(plan, about, verdict), expected, "{verdict:?} of {:?}", about.severity);
    }
    let mut crashed = Outcome::without(Verdict::Fail, Severity::Must, "");
    crashed.is_fatal = true;
    assert_eq!(known.standing(&must, &crashed), Standing::Bad, "no ledger excuses a crash");
}

#[test]
fn a_ledger_that_says_which_comparison_covers_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("known.toml");
    let text = "ledger = 1\nabout = \"x\"\n[[deviation]]\ntest = \"LNK-01\"\nreason = \"y\"\n\
                expected = [\"the sky\"]\n";
    std::fs::write(&path, text).expect("written");
    let ledger = Ledger::open(path.to_str().expect("plain")).expect("ids are names as well");
    let plan = Plan { ledger, ..Plan::default() };
    let failure = |expected: &str| Failure {
        severity: Severity::Must,
        expected: expected.to_owned(),
        actual: String::new(),
        fields: Vec::new(),
        frame: None,
    };
    let outcome =
        |failures| Outcome { failures, ..Outcome::without(Verdict::Fail, Severity::Must, "") };
    let about = about("link.len-zero");
    let blue = failure("the sky is blue");
    let known = Standing::Known("y".to_owned());
    assert_eq!(plan.standing(&about, &outcome(vec![blue.clone()])), known);
    let other = failure("the grass is green");
    assert_eq!(plan.standing(&about, &outcome(vec![blue, other])), Standing::Bad);
}

#[test]
fn the_evidence_of_a_failure_has_the_frames_and_says_what_was_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Source {
        name: "sim".to_owned(),
        description: "a test".to_owned(),
        framing: uarttool::framing::ALL[0],
        console: Some("a console".to_owned()),
    };
    let artifacts = Some(Artifacts::new(folder.path(), source, tokio_clock()).expect("made"));
    let plan = Plan {
        artifacts,
        rerun: "uarttool again".to_owned(),
        ..plan(vec![&BAD, &CRASHING, &GOOD])
    };
    let summary = run_beside("sim", &plan, with_console());
    let kept = |at: usize| {
        let path = summary.finished[at].evidence.as_ref().expect("evidence");
        String::from_utf8_lossy(&std::fs::read(path).expect("readable")).into_owned()
    };
    let bad = kept(0);
    assert!(bad.contains("TST-01 test.bad: It is as it is."), "{bad}");
    assert!(bad.contains("again: uarttool again test.bad"), "{bad}");
    let crashed = kept(1);
    assert!(crashed.contains("MESSAGE=I (71) app: all is well"), "what came before the crash");
    assert!(crashed.contains("actual: its console says: Guru Meditation"), "{crashed}");
    assert_eq!(summary.finished[2].evidence, None);
}

static REMEMBERS: Test = Test::script(
    about("test.remembers"),
    "send tcp S http seq=1000\nping\nexpect tcp SA ack=1001 within 1ms",
);
static FORGETS: Test = Test::script(
    about("test.forgets"),
    "send tcp S http seq=1000\nping\nforget\nexpect tcp SA ack=1001 within 1ms\nnever tcp R",
);
static REFERS_TO_NONE: Test = Test::script(
    about("test.refers-to-none"),
    "send tcp S http seq=1000\nshould expect tcp SA mss=1 as sa\nnever tcp ack!=sa.ack",
);

#[test]
fn a_script_expects_nothing_of_what_it_has_forgotten_and_judges_nothing_by_what_never_came() {
    let summary = run("sim", &plan(vec![&REMEMBERS, &FORGETS, &REFERS_TO_NONE]));
    let [remembers, forgets, refers] = [0, 1, 2].map(|n| &summary.finished[n].outcome);
    assert_eq!(remembers.verdict, Verdict::Pass, "{}", remembers.summary());
    assert_eq!(forgets.verdict, Verdict::Fail);
    assert_eq!(forgets.summary(), "nothing of the kind came");
    let severities: Vec<_> = refers.failures.iter().map(|failure| failure.severity).collect();
    assert_eq!(severities, [Severity::Should]);
}
