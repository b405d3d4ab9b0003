//! A question that every device answers: who has its address (RFC 826)?
//!
//! On a line of IP packets nobody has an Ethernet address and nobody asks for one: there, an echo request
//! is the question (RFC 1122 section 3.2.2.6). Where it is not known yet which of the two a line is, it is
//! asked, too: both kinds of device take it.

use std::time::Duration;

use tokio::time::Instant;

use super::wire::Wire;
use crate::craft::{EchoRequest, Route};
use crate::dissect::Dissector;
use crate::error::Result;
use crate::framing::Carries;
use crate::probe::ping::echo;
use crate::probe::{Identity, Probe};
use crate::proto::arp;
use crate::record::{Body, Record};

/// Questions until a device counts as dead.
const TRIES: u16 = 3;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who has the device's address?
    Arp,
    /// An echo request.
    Echo,
}

impl Question {
    /// As a person calls it.
    pub fn name(self) -> &'static str {
        match self {
            Question::Arp => "ARP",
            Question::Echo => "ICMP echo",
        }
    }
}

/// What the device said to the sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It answered this question after so long.
    Answers(Question, Duration),
    /// It did not answer any of several questions.
    Silent,
}

/// Silence after which receivers give up a frame that never ends (docs/line.md, receivers).
const GIVES_UP: Duration = Duration::from_millis(1300);

/// Asks, each time for `patience`; what comes besides the answer is told. Where `wire` may have left the
/// device within a frame, it is given the time to notice that: a question at once would be taken for the
/// rest of the frame, and so would the next.
pub async fn ask(
    probe: &mut Probe,
    wire: &Wire,
    patience: Duration,
    tell: &mut impl FnMut(&Record),
) -> Result<Life> {
    let patience = if wire.breaks_off() { patience.max(GIVES_UP) } else { patience };
    if wire.breaks_off() {
        let deadline = Instant::now() + GIVES_UP;
        while let Some(record) = probe.receive(deadline).await? {
            tell(&record);
            if Instant::now() >= deadline {
                break;
            }
        }
    }
    let framing = probe.framing();
    let is_ethernet = framing.carries == Carries::Ethernet && !framing.is_open();
    let question = if is_ethernet { Question::Arp } else { Question::Echo };
    for number in 1..=TRIES {
        let asked = probe.identity().to_owned();
        match question {
            Question::Arp => probe.ask_for_device().await?,
            Question::Echo => probe.send(request(&asked, number)).await.map(|_| ())?,
        }
        let sent = Instant::now();
        let deadline = sent + patience;
        while let Some(record) = probe.receive(deadline).await? {
            if is_answer(&record, question, &asked) {
                return Ok(Life::Answers(question, sent.elapsed()));
            }
            tell(&record);
            if Instant::now() >= deadline {
                break; // a line that is never silent does not stop time
            }
        }
    }
    Ok(Life::Silent)
}

/// Ours among echo requests; not the one that pings of this process have.
fn identifier() -> u16 {
    std::process::id() as u16 ^ 0x5a5a
}

fn request(ours: &Identity, number: u16) -> Vec<u8> {
    let route = Route {
        source_mac: ours.host_mac,
        destination_mac: ours.device_mac,
        source: ours.host_ip,
        destination: ours.device_ip,
    };
    let data = b"uarttool";
    let identifier = identifier();
    EchoRequest { identifier, sequence: number, ttl: 64, tos: 0, ip_id: number, data }.frame(&route)
}

fn is_answer(record: &Record, question: Question, asked: &Identity) -> bool {
    let Body::Frame(frame) = &record.body else { return false };
    if question == Question::Echo {
        let mut dissector = Dissector::default();
        return echo::message(&dissector.dissect(frame)).is_some_and(|message| {
            let is_ours = message.identifier == identifier();
            is_ours && message.is_reply && message.from == asked.device_ip
        });
    }
    arp::Message::in_frame(frame).is_some_and(|message| {
        message.op == arp::REPLY
            && message.spa == asked.device_ip
            && message.tha == asked.host_mac.octets()
    })
}
