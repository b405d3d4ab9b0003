//! What has to be known before the first test: whether the device is there at all, how fast the line
//! is, how long its frames may be, what it does with a header that is longer, and what it has that tests
//! need.

mod services;

mod web;

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::model::{Flow, Halt, Severity};
use super::rig::{BodyPolicy, Capability, Rig};
use super::seen::Seen;
use super::stimulus::{ArpFrame, ECHO_HEADERS};
use super::trial::{ANSWER, Trial};
use crate::error::{Error, Result};
use crate::framing::DEFAULT_MAX_FRAME;
use crate::proto::MacAddr;
use crate::record::{FramingError, Problem};

/// What long frames are filled with: read as a header it is a length that a receiver takes and gives up
/// in time, however the bytes pair up.
pub const STEADY: u8 = 0x02;
/// How long 442 bytes and their answer may take on the slowest line.
const SLOWEST: Duration = Duration::from_secs(10);
/// A byte time below this is no pacing.
const LEAST_BYTE_TIME: Duration = Duration::from_nanos(500);
/// How long an answer may take where another attempt follows.
const QUICK: Duration = Duration::from_millis(400);
/// The limit that is common.
const COMMON: usize = 1500;
/// The smallest limit that makes sense: an echo request with some data.
pub const LEAST_FRAME: usize = 60;
/// How often a question is put that a lossy line may have swallowed.
const ATTEMPTS: usize = 4;
/// Longer than a flush is deaf, shorter than a timeout.
const AFTER_FLUSH: Duration = Duration::from_millis(250);

/// Waits until the device answers a ping, and says what was found out about it. A device that does not
/// survive a closer look has died in [`Rig::died_of`]; `needs` says what the tests need, and so how close
/// that look, at what bad headers do, for one, has to be.
///
/// `tell` hears what is being done.
pub async fn explore(
    rig: Rig,
    wait: Duration,
    needs: &HashSet<Capability>,
    tell: &mut dyn FnMut(&str),
) -> Result<(Rig, Vec<String>)> {
    let mut trial = Trial::of(rig, Severity::Report, None);
    let mut facts = Vec::new();
    let mut flow =
        patiently(&mut trial, &mut facts, async |t, facts| look(t, wait, facts, tell).await).await;
    let with_line = needs.contains(&Capability::RawBytes);
    if flow.is_ok() && with_line && trial.rig.can(Capability::RawBytes) {
        tell("looking at what a bad header does");
        flow = patiently(&mut trial, &mut facts, look_at_line).await;
    }
    if flow.is_ok() && trial.rig.died_of.is_none() {
        tell("looking at what the device has");
        let look = async |t: &mut Trial, facts: &mut Vec<String>| {
            services::look_for(t, needs, facts).await
        };
        flow = patiently(&mut trial, &mut facts, look).await;
    }
    if flow.is_ok() && trial.rig.died_of.is_none() {
        let look =
            async |t: &mut Trial, facts: &mut Vec<String>| web::look_for(t, needs, facts).await;
        flow = patiently(&mut trial, &mut facts, look).await;
    }
    if flow.is_ok() && trial.rig.died_of.is_none() {
        flow = trial.close_connections().await;
    }
    match flow {
        Ok(()) => Ok((trial.end(Ok(())).1, facts)),
        Err(Halt::Error(error)) => Err(error),
        Err(Halt::Inconclusive(why) | Halt::Skip(why)) => Err(Error::environment(why)),
        Err(Halt::Failed) => {
            let why = "the device answered a ping, and then no more before the first test";
            Err(Error::environment(why))
        }
    }
}

/// Puts a question that a device seems not to survive again while it answers after all: a bad line loses
/// the answers of one that is well.
async fn patiently(
    t: &mut Trial,
    facts: &mut Vec<String>,
    mut question: impl AsyncFnMut(&mut Trial, &mut Vec<String>) -> Flow,
) -> Flow {
    let (known, capabilities) = (facts.len(), t.rig.capabilities.clone());
    for _ in 1..ATTEMPTS {
        match question(t, facts).await {
            Err(Halt::Failed) if t.is_alive().await? => {}
            flow => return flow,
        }
        facts.truncate(known);
        t.rig.capabilities = capabilities.clone();
    }
    question(t, facts).await
}

async fn look(
    t: &mut Trial,
    wait: Duration,
    facts: &mut Vec<String>,
    tell: &mut dyn FnMut(&str),
) -> Flow {
    tell("waiting for the device to answer a ping");
    let expected = t.identity().device_mac;
    wait_for_device(t, wait).await?;
    t.rig.invariants.forgive(); // what came before we knew where it is and were in step
    "the preparations".clone_into(&mut t.rig.invariants.during);
    let mac = t.identity().device_mac;
    if mac != expected {
        facts.push(format!("{} is at {mac}, not at {expected}", t.identity().device_ip));
    }
    facts.extend(where_replies_go(t).await?);
    tell("measuring the line");
    if t.rig.target.line_rate.is_none() {
        t.rig.pace.byte_time = measure(t).await?;
    }
    let byte_time = t.rig.pace.byte_time;
    facts.push(match byte_time.as_nanos() {
        0 => "the line is not paced".to_owned(),
        nanos => format!("the line takes {:.1} us a byte", nanos as f64 / 1000.0),
    });
    tell("looking for the largest frame that is answered");
    let limit = find_limit(t).await?;
    t.rig.capabilities.max_frame = limit;
    facts.push(format!("frames of up to {limit} bytes are answered"));
    Ok(())
}

/// What a header beyond the limit does, and half a header.
async fn look_at_line(t: &mut Trial, facts: &mut Vec<String>) -> Flow {
    let policy = find_policy(t).await?;
    t.rig.capabilities.policy = policy;
    facts.push(match policy {
        Some(policy) => format!("headers beyond the limit: {}", policy.name()),
        None => "headers beyond the limit: it does not come back into step".to_owned(),
    });
    if policy.is_none() && !is_back(t, "link.oversize-header-only").await {
        return Ok(());
    }
    t.raw(&[0]).await?;
    t.resync().await?;
    t.rig.capabilities.has_header_timeout = t.ping().await?;
    t.back_into_step().await?;
    if !t.is_alive().await? {
        is_back(t, "link.partial-header-timeout").await;
    }
    t.take_seen();
    Ok(())
}

/// Brings the device back; one that cannot be has died of what `test` does.
async fn is_back(t: &mut Trial, test: &'static str) -> bool {
    match t.bring_back().await {
        Ok(()) => true,
        Err(why) => {
            t.rig.died_of = Some((test, why));
            false
        }
    }
}

/// A device with a static entry sends to that, whoever asks: worth knowing when we are somebody else.
async fn where_replies_go(t: &mut Trial) -> Flow<Option<String>> {
    let echo = t.echo(8);
    let seen = t.exchange(&echo.frame()).await?;
    let reply = seen.iter().find(|seen| echo.is_answered_by(seen));
    let to = reply.and_then(Seen::destination).filter(|to| *to != t.identity().host_mac);
    Ok(to.map(|to| {
        let host = t.identity().host_mac;
        format!("its replies go to {to}, and we are {host}: a static entry? try '--host-mac {to}'")
    }))
}

/// Asks again and again, with the silence between that lets it get into step.
async fn wait_for_device(t: &mut Trial, wait: Duration) -> Flow {
    let deadline = Instant::now() + wait;
    loop {
        let answered = match t.ping().await {
            Err(Halt::Inconclusive(_)) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let _ = t.reconnect().await; // the next attempt says why not
                false
            }
            other => other?,
        };
        if answered {
            t.take_seen();
            return Ok(());
        }
        ask_where_it_is(t).await?;
        if Instant::now() >= deadline {
            return Err(Halt::Inconclusive(unanswered(t, wait)));
        }
        t.resync().await?;
    }
}

fn unanswered(t: &Trial, wait: Duration) -> String {
    let ip = t.identity().device_ip;
    let bytes: usize = t.framing_errors.iter().map(|error| error.bytes.len()).sum();
    if bytes > 0 {
        return format!(
            "{ip} has not answered a ping within {wait:.1?}, and what came, at least {bytes} bytes, \
             holds no frames: is this the tunnel and not the console, is the framing right?"
        );
    }
    format!(
        "{ip} has not answered a ping within {wait:.1?}: is the guest running (not halted for gdb), \
         is this the tunnel and not the console, is the address right?"
    )
}

/// A device that does not answer may be at another Ethernet address than we think.
async fn ask_where_it_is(t: &mut Trial) -> Flow {
    let id = t.identity();
    let question = ArpFrame::request(id.host_mac, id.host_ip, id.device_ip);
    if t.send(&question.frame()).await.is_err() {
        return Ok(()); // the next ping says what is wrong
    }
    let says = |seen: &Seen| {
        let message = seen.arp().filter(|message| message.spa == id.device_ip)?;
        let mac = MacAddr::from(message.sha);
        (mac != id.device_mac && !mac.is_multicast()).then_some(mac)
    };
    let _ = t.wait_for(ANSWER, |seen| says(seen).is_some()).await;
    if let Some(mac) = t.take_seen().iter().find_map(says) {
        t.rig.target.identity.device_mac = mac;
        t.rig.invariants.identity.device_mac = mac;
    }
    Ok(())
}

/// The time of a byte, from echoes of two sizes.
async fn measure(t: &mut Trial) -> Flow<Duration> {
    let sizes = [0, t.rig.target.max_frame.saturating_sub(ECHO_HEADERS).min(400)];
    let mut least: [Option<Duration>; 2] = [None; 2];
    for _ in 0..3 {
        for (size, least) in sizes.into_iter().zip(&mut least) {
            let echo = t.echo(size);
            let started = Instant::now();
            t.send(&echo.frame()).await?;
            if t.wait_for(SLOWEST, |seen| echo.is_answered_by(seen)).await? {
                *least = Some(started.elapsed().min(least.unwrap_or(Duration::MAX)));
            }
            t.settle().await?;
        }
    }
    let [Some(small), Some(large)] = least else { return Ok(Duration::ZERO) };
    let bytes = 2 * (sizes[1] - sizes[0]).max(1) as u32;
    let byte_time = large.saturating_sub(small) / bytes;
    Ok(if byte_time < LEAST_BYTE_TIME { Duration::ZERO } else { byte_time })
}

/// Whether a frame of so many bytes is answered intact.
pub async fn answers(t: &mut Trial, frame: usize) -> Flow<bool> {
    let echo = t.echo(0).data(vec![STEADY; frame - ECHO_HEADERS]);
    t.send(&echo.frame()).await?;
    if !t.ping_within(QUICK).await? {
        t.listen(AFTER_FLUSH).await?; // the driver may have flushed
        if !t.ping_within(QUICK).await? {
            t.back_into_step().await?; // or wait for the rest of something
            t.is_alive().await?;
        }
    }
    let seen = t.take_seen();
    let reply = seen.iter().find(|seen| echo.is_answered_by(seen));
    Ok(reply.is_some_and(|reply| reply.icmp().is_some_and(|icmp| icmp.data == echo.icmp.data)))
}

/// The same, asked again on a line that is known to lose frames.
async fn answers_at_last(t: &mut Trial, frame: usize) -> Flow<bool> {
    for _ in 1..ATTEMPTS {
        if answers(t, frame).await? {
            return Ok(true);
        }
        if t.outages == 0 {
            return Ok(false);
        }
    }
    answers(t, frame).await
}

/// The largest frame that is answered, up to what the line carries.
async fn find_limit(t: &mut Trial) -> Flow<usize> {
    let most = t.rig.target.max_frame;
    if answers_at_last(t, most).await? {
        if t.rig.target.is_max_declared && most < DEFAULT_MAX_FRAME {
            check_declared(t, most).await?;
        }
        return Ok(most);
    }
    let (mut good, mut bad) = (LEAST_FRAME.min(most), most);
    // Where drivers are wrong, this is how: an MTU of 1500 that counts the Ethernet header.
    if most > COMMON && answers_at_last(t, COMMON).await? {
        good = COMMON;
        if !answers_at_last(t, COMMON + 1).await? {
            return Ok(COMMON);
        }
    }
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        match answers_at_last(t, middle).await? {
            true => good = middle,
            false => bad = middle,
        }
    }
    Ok(good)
}

/// Whether a limit that was declared is the device's: one below it makes every test of limits wrong.
async fn check_declared(t: &mut Trial, limit: usize) -> Flow {
    let beyond = limit + 2;
    t.framing_errors.clear();
    let is_answered = answers(t, beyond).await?;
    let announced = |error: &FramingError| match error.problem {
        Problem::TooLong { length, .. } => length as usize == beyond,
        _ => false,
    };
    if is_answered || t.framing_errors.iter().any(announced) {
        let text =
            format!("the device answers a frame of {beyond} bytes, beyond the declared {limit}");
        return Err(Halt::Error(Error::usage(text).with_help(
            "leave the limit away ('--max-frame', 'max-frame='), and it will be found",
        )));
    }
    Ok(())
}

/// What a header beyond the limit does.
async fn find_policy(t: &mut Trial) -> Flow<Option<BodyPolicy>> {
    let header = (t.max_frame() as u16 + 1).to_be_bytes();
    t.raw(&header).await?;
    if t.ping().await? {
        return Ok(Some(BodyPolicy::HeaderSkip));
    }
    t.resync().await?;
    t.raw(&header).await?;
    t.listen(AFTER_FLUSH).await?;
    let is_back = t.ping().await?;
    t.resync().await?;
    let is_well = t.is_alive().await?;
    t.take_seen();
    Ok(is_well.then_some(if is_back { BodyPolicy::Flush } else { BodyPolicy::BodyDiscard }))
}
