//! What the device has that only some tests need: reassembly, echo services, a web server. Each is
//! asked for once more before it counts as missing, since tests that need it are skipped then, or fail
//! where it was declared.

use std::collections::HashSet;

use super::is_back;
use crate::conformance::model::Flow;
use crate::conformance::rig::Capability;
use crate::conformance::seen::Seen;
use crate::conformance::trial::{ANSWER, Trial};
use crate::proto::tcp;

/// How often each is asked for.
const ATTEMPTS: usize = 2;

/// Looks for what the chosen tests need.
pub(super) async fn look_for(
    t: &mut Trial,
    needs: &HashSet<Capability>,
    facts: &mut Vec<String>,
) -> Flow {
    let ports = t.rig.target.ports;
    if needs.contains(&Capability::Reassembly) || needs.contains(&Capability::NoReassembly) {
        let has = has(t, Capability::Reassembly).await?;
        if !has {
            t.rig.capabilities.has.push(Capability::NoReassembly);
        }
        facts.push(format!("fragments are {}put together", if has { "" } else { "not " }));
    }
    if needs.contains(&Capability::UdpEcho) {
        let has = has(t, Capability::UdpEcho).await?;
        let says = if has { "sends back what comes" } else { "does not send back what comes" };
        facts.push(format!("UDP port {} {says}", ports.echo));
    }
    for (capability, port) in [(Capability::TcpEcho, ports.echo), (Capability::Http, ports.http)] {
        if needs.contains(&capability) {
            let has = has(t, capability).await?;
            let says = if has { "accepts connections" } else { "accepts no connections" };
            facts.push(format!("TCP port {port} {says}"));
        }
    }
    Ok(())
}

/// Looks for one, and notes that it is there.
async fn has(t: &mut Trial, capability: Capability) -> Flow<bool> {
    for _ in 0..ATTEMPTS {
        if t.rig.died_of.is_some() {
            return Ok(false);
        }
        let is_there = match capability {
            Capability::Reassembly => puts_together(t).await?,
            Capability::UdpEcho => echoes(t).await?,
            Capability::TcpEcho => accepts(t, t.rig.target.ports.echo).await?,
            _ => accepts(t, t.rig.target.ports.http).await?,
        };
        if is_there {
            t.rig.capabilities.has.push(capability);
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an echo request in two fragments is answered.
async fn puts_together(t: &mut Trial) -> Flow<bool> {
    let echo = t.echo(t.capped(64));
    let frames = echo.halves().map(|part| echo.fragment(part));
    answers(t, &frames, "fragments.two-in-order", |seen| echo.is_answered_by(seen)).await
}

/// Whether a datagram to the echo port comes back.
async fn echoes(t: &mut Trial) -> Flow<bool> {
    let datagram = t.datagram(t.rig.target.ports.echo, b"is this sent back?");
    let is_echo = |seen: &Seen| datagram.is_sent_back_by(seen);
    answers(t, &[datagram.frame()], "udp.echo-roundtrip", is_echo).await
}

/// Whether a SYN to that port is accepted; the connection is reset.
async fn accepts(t: &mut Trial, port: u16) -> Flow<bool> {
    let syn = t.segment(port).tcp(|tcp| tcp.flags = tcp::SYN);
    let is_accepted = |seen: &Seen| {
        let accepts = seen.tcp().is_some_and(|segment| segment.has(tcp::SYN | tcp::ACK));
        accepts && syn.is_answered_by(seen)
    };
    let accepts = answers(t, &[syn.frame()], "tcp.handshake", is_accepted).await?;
    t.close_connections().await?;
    Ok(accepts)
}

/// Whether these frames bring such an answer; a device that they kill has died of `test`.
async fn answers(
    t: &mut Trial,
    frames: &[Vec<u8>],
    test: &'static str,
    is_answer: impl Fn(&Seen) -> bool,
) -> Flow<bool> {
    t.take_seen();
    for frame in frames {
        t.send(frame).await?;
    }
    let came = t.wait_for(ANSWER, is_answer).await?;
    if !t.is_alive().await? {
        is_back(t, test).await;
    }
    t.take_seen();
    Ok(came)
}
