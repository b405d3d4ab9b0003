//! Comparisons: how what came becomes a verdict.

use std::fmt::Display;

use super::Trial;
use crate::conformance::model::{Failure, Flow, Mismatch, Severity};
use crate::conformance::rig::Numbers;
use crate::conformance::seen::Seen;
use crate::conformance::stimulus::Echo;
use crate::proto::{be16, icmp};

impl Trial {
    /// A value or an observation for the report.
    pub fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }

    /// The one place where a comparison becomes a verdict.
    fn judge(&mut self, ok: bool, failure: impl FnOnce() -> Failure) -> bool {
        let is_flipped = self.flip == Some(self.checks);
        self.checks += 1;
        let ok = ok != is_flipped;
        if !ok {
            self.failures.push(failure());
        }
        ok
    }

    /// A comparison of this weight: whether it holds.
    pub fn check(
        &mut self,
        severity: Severity,
        ok: bool,
        expected: impl Display,
        actual: impl Display,
    ) -> bool {
        self.judge(ok, || Failure {
            severity,
            expected: expected.to_string(),
            actual: actual.to_string(),
            fields: Vec::new(),
            frame: None,
        })
    }

    /// A comparison that decides, whatever the weight of the test.
    pub fn must(&mut self, ok: bool, expected: impl Display, actual: impl Display) -> bool {
        self.check(Severity::Must, ok, expected, actual)
    }

    /// A comparison at the weight of the test.
    pub fn should_hold(&mut self, ok: bool, expected: impl Display, actual: impl Display) -> bool {
        self.check(self.severity, ok, expected, actual)
    }

    /// A comparison that one frame shows.
    pub fn check_frame(
        &mut self,
        severity: Severity,
        seen: &Seen,
        expected: impl Display,
        fields: Vec<Mismatch>,
    ) -> bool {
        self.judge(fields.is_empty(), || Failure {
            severity,
            expected: expected.to_string(),
            actual: describe(&fields),
            fields,
            frame: Some((seen.time, seen.bytes.clone())),
        })
    }

    /// Nothing among `seen` is as `unwanted` says, at the weight of the test.
    pub fn none(
        &mut self,
        seen: &[Seen],
        expected: impl Display,
        unwanted: impl Fn(&Seen) -> bool,
    ) -> bool {
        self.none_at(self.severity, seen, expected, unwanted)
    }

    /// The same at a weight of its own.
    pub fn none_at(
        &mut self,
        severity: Severity,
        seen: &[Seen],
        expected: impl Display,
        unwanted: impl Fn(&Seen) -> bool,
    ) -> bool {
        let found = seen.iter().find(|seen| unwanted(seen));
        self.judge(found.is_none(), || Failure {
            severity,
            expected: expected.to_string(),
            actual: found.map_or("nothing came".to_owned(), said),
            fields: Vec::new(),
            frame: found.map(|seen| (seen.time, seen.bytes.clone())),
        })
    }

    /// Sends a frame on which the device has to stay silent, and does.
    pub async fn silent(&mut self, frame: &[u8], stimulus: impl Display) -> Flow<bool> {
        let seen = self.exchange(frame).await?;
        Ok(self.none(&seen, format!("no answer to {stimulus}"), is_reaction))
    }

    /// Sends an echo request that has to be answered, once and as it should be; the reply.
    pub async fn answered(&mut self, echo: &Echo, stimulus: impl Display) -> Flow<Option<Seen>> {
        let seen = self.exchange(&echo.frame()).await?;
        Ok(self.reply_among(echo, &seen, stimulus))
    }

    /// The same where an answer is required although the test is about something lighter.
    pub async fn must_answer(&mut self, echo: &Echo, stimulus: impl Display) -> Flow<Option<Seen>> {
        let own = std::mem::replace(&mut self.severity, Severity::Must);
        let reply = self.answered(echo, stimulus).await;
        self.severity = own;
        reply
    }

    /// Checks that exactly one right reply to `echo` is among `seen`; the reply.
    pub fn reply_among(
        &mut self,
        echo: &Echo,
        seen: &[Seen],
        stimulus: impl Display,
    ) -> Option<Seen> {
        let replies: Vec<_> = seen.iter().filter(|seen| echo.is_answered_by(seen)).collect();
        let severity = self.severity;
        let expected = format!("one echo reply to {stimulus}");
        let came = format!("{} came, while pings before and after were answered", replies.len());
        self.check(severity, replies.len() == 1, expected, came);
        let reply = (*replies.first()?).clone();
        let fields = self.differences(echo, &reply);
        self.check_frame(severity, &reply, format!("a reply that mirrors {stimulus}"), fields);
        Some(reply)
    }

    /// The fields in which a reply does not mirror its request (RFC 792, RFC 1122 section 3.2.2.6).
    fn differences(&self, echo: &Echo, reply: &Seen) -> Vec<Mismatch> {
        let identity = self.identity();
        let mut fields = Vec::new();
        let (Some(ip), Some(message)) = (reply.ip(), reply.icmp()) else { return fields };
        let [a, b, c, d] = echo.icmp.rest;
        let [e, f, g, h] = message.rest;
        compare(&mut fields, "eth.src", Some(identity.device_mac), reply.source());
        compare(&mut fields, "ip.src", identity.device_ip, ip.source);
        compare(&mut fields, "ip.dst", echo.ip.source, ip.destination);
        compare(&mut fields, "icmp.code", 0, message.code);
        compare(&mut fields, "icmp.id", hex([a, b]), hex([e, f]));
        compare(&mut fields, "icmp.seq", hex([c, d]), hex([g, h]));
        compare(
            &mut fields,
            "icmp.checksum",
            Some("right"),
            reply.transport_checksum().map(|ok| if ok { "right" } else { "wrong" }),
        );
        compare(&mut fields, "icmp.data.len", echo.icmp.data.len(), message.data.len());
        let differing = echo.icmp.data.iter().zip(message.data).position(|(a, b)| a != b);
        if let Some(at) = differing {
            fields.push(Mismatch {
                field: "icmp.data",
                expected: format!("byte {at} is {:02x}", echo.icmp.data[at]),
                received: format!("{:02x}", message.data[at]),
            });
        }
        fields
    }
}

fn hex([a, b]: [u8; 2]) -> String {
    format!("0x{a:02x}{b:02x}")
}

/// Notes a field whose value is not the expected one.
pub fn compare<T: PartialEq + std::fmt::Debug>(
    fields: &mut Vec<Mismatch>,
    field: &'static str,
    expected: T,
    received: T,
) {
    let plain = |value: &T| {
        let text = format!("{value:?}");
        let text = text.strip_prefix("Some(").and_then(|t| t.strip_suffix(')')).unwrap_or(&text);
        text.trim_matches('"').to_owned()
    };
    if expected != received {
        fields.push(Mismatch { field, expected: plain(&expected), received: plain(&received) });
    }
}

fn describe(fields: &[Mismatch]) -> String {
    let parts: Vec<_> = fields
        .iter()
        .map(|m| format!("{} is {}, not {}", m.field, m.received, m.expected))
        .collect();
    parts.join("; ")
}

/// A frame in one line, for reports.
pub fn said(seen: &Seen) -> String {
    crate::dissect::render::line::one_line(&seen.bytes)
}

/// Whether a frame is the device's reaction to something, and not what devices say by themselves:
/// questions by ARP, announcements, pings, connections and datagrams of their own, what goes to groups.
/// What goes to one station and is nothing that we know is a reaction.
pub fn is_reaction(seen: &Seen) -> bool {
    let is_group = seen.destination().is_none_or(|mac| mac.is_multicast());
    if let Some(arp) = seen.arp() {
        return arp.op != crate::proto::arp::REQUEST;
    }
    let Some(ip) = seen.ip() else { return !is_group };
    match ip.protocol {
        1 => seen.icmp().is_none_or(|icmp| icmp.kind != icmp::ECHO_REQUEST),
        6 | 17 => {
            let to = be16(ip.payload, 2);
            to.is_none_or(|port| Numbers::PORTS.contains(&port))
        }
        _ => !is_group,
    }
}
