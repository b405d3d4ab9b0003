//! Waiting until the device answers: at each port that is forwarded over TCP, or else to a ping.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::cli::terminal;
use crate::error::{Error, Result};
use crate::gateway::forward::Protocol;
use crate::gateway::{Answer, Gateway, Opened};

/// After it has refused, the device is asked again.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a single question may take: what was sent before the device listened is lost.
const PATIENCE: Duration = Duration::from_secs(2);
/// After so long, what is being waited for is said.
const QUIET: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Port(Option<Ipv4Addr>, u16),
    Ping,
}

/// Waits, for `wait` at most; `awaited` is always what is missing. The error says what was asked in vain.
pub async fn until_it_answers(
    gateway: &Gateway,
    opened: &[Opened],
    (wait, is_quiet): (Duration, bool),
    awaited: &RefCell<String>,
) -> Result<()> {
    let began = Instant::now();
    let deadline = began + wait;
    for question in questions(opened) {
        let mut answer = Answer::Nobody;
        let mut is_told = is_quiet;
        awaited.replace(asked(gateway, question));
        loop {
            answer = match timeout_at(deadline, ask(gateway, question)).await {
                Ok(answer) => answer,
                Err(_) => match (answer, gateway.device_mac()) {
                    (Answer::Refused, _) => answer,
                    (_, Some(_)) => Answer::Silent,
                    (_, None) => Answer::Nobody,
                },
            };
            if answer == Answer::Accepted {
                break;
            }
            let what = missing(gateway, question, answer);
            awaited.replace(what.clone());
            if Instant::now() + AGAIN >= deadline {
                let text = format!("the device does not answer after {wait:?}: {what}");
                return Err(Error::environment(text));
            }
            if !is_told && began.elapsed() >= QUIET {
                terminal::tell(&format!("waiting  {what}"));
                is_told = true;
            }
            sleep(AGAIN).await;
        }
    }
    Ok(())
}

/// One for each forward over TCP, or a ping.
fn questions(opened: &[Opened]) -> Vec<Question> {
    let tcp = opened.iter().filter(|opened| opened.forward.protocol == Protocol::Tcp);
    let mut questions = Vec::new();
    for Opened { forward, .. } in tcp {
        let question = Question::Port(forward.guest, forward.port);
        if !questions.contains(&question) {
            questions.push(question);
        }
    }
    if questions.is_empty() {
        questions.push(Question::Ping);
    }
    questions
}

async fn ask(gateway: &Gateway, question: Question) -> Answer {
    match question {
        Question::Port(guest, port) => gateway.knock(guest, port, PATIENCE).await,
        Question::Ping => gateway.ping(PATIENCE).await,
    }
}

/// What is asked for, before there is an answer.
fn asked(gateway: &Gateway, question: Question) -> String {
    match question {
        Question::Ping => format!("{} has not answered a ping yet", gateway.device_ip()),
        Question::Port(..) => format!("{} has not answered yet", place(gateway, question)),
    }
}

/// Whom the question is for.
fn place(gateway: &Gateway, question: Question) -> String {
    let ip = gateway.device_ip();
    match question {
        Question::Port(Some(guest), port) => format!("port {port} of {guest}"),
        Question::Port(None, port) => format!("port {port} of {ip}"),
        Question::Ping => ip.to_string(),
    }
}

/// What is missing, as a sentence.
fn missing(gateway: &Gateway, question: Question, answer: Answer) -> String {
    let (ip, at) = (gateway.device_ip(), place(gateway, question));
    match (answer, question) {
        (Answer::Nobody, _) => format!("nobody answers ARP requests for {ip}"),
        (Answer::Refused, _) => format!("{at} refuses connections"),
        (_, Question::Ping) => format!("{ip} answers ARP, but no ping"),
        (_, Question::Port(..)) => format!("{at} does not answer"),
    }
}
