//! Headers that lie: empty ones, and those beyond the limit.

use super::super::super::explore::{self, STEADY};
use super::super::super::model::Owner::Driver;
use super::super::super::model::Severity::{Must, Should};
use super::super::super::model::Tier::{Core, Extended, Smoke};
use super::super::super::model::{Flow, Test};
use super::super::super::rig::{BodyPolicy, Capability};
use super::super::super::seen::Seen;
use super::super::super::stimulus::ECHO_HEADERS;
use super::super::super::trial::Trial;
use super::super::row;
use super::{back_in_step, framed};
use crate::framing::DEFAULT_MAX_FRAME;

/// The tests.
#[rustfmt::skip]
pub(super) static TESTS: &[Test] = &[
    Test::new(row(("LNK-01", "link.len-zero"), (Must, Smoke, Driver), "docs/line.md#receivers R3; docs/line.md#bad-lengths",
        "A header that announces no bytes does not keep the next frame from being taken."),
        |t| Box::pin(len_zero(t))).needs(Capability::RawBytes),
    Test::new(row(("LNK-02", "link.len-zero-flood"), (Must, Core, Driver), "docs/line.md#receivers R3; docs/line.md#bad-lengths",
        "Five hundred empty headers cost no more than their time on the line."),
        |t| Box::pin(len_zero_flood(t))).needs(Capability::RawBytes),
    Test::new(row(("LNK-03", "link.oversize-header-only"), (Must, Core, Driver), "docs/line.md#receivers R3; docs/line.md#bad-lengths",
        "After a header beyond the limit without its bytes the receiver is back in step when the line has been silent for 1.3 s."),
        |t| Box::pin(oversize_header_only(t))).needs(Capability::RawBytes),
    Test::new(row(("LNK-04", "link.oversize-zero-body"), (Must, Core, Driver), "docs/line.md#receivers R3; docs/line.md#bad-lengths",
        "A header beyond the limit and as many zero bytes do not keep the next frame from being taken."),
        |t| Box::pin(oversize_zero_body(t))).needs(Capability::RawBytes),
    Test::new(row(("LNK-05", "link.oversize-embedded-frame"), (Should, Extended, Driver), "docs/line.md#receivers R4; docs/line.md#bad-lengths",
        "What stands inside a frame that is too long is not taken for a frame of its own."),
        |t| Box::pin(oversize_embedded_frame(t))).needs(Capability::RawBytes),
    Test::new(row(("LNK-06", "link.max-frame"), (Must, Smoke, Driver), "docs/line.md#receivers R2; docs/line.md#limits",
        "Frames of up to 1514 bytes, or the declared limit, are answered intact; longer ones do no harm."),
        |t| Box::pin(max_frame(t))),
];

async fn len_zero(t: &mut Trial) -> Flow {
    let answered = back_in_step(t, &[0, 0]).await?;
    t.must(answered, "the ping behind '00 00' is answered", "it was not");
    t.settle().await.map(|_| ())
}

async fn len_zero_flood(t: &mut Trial) -> Flow {
    let answered = back_in_step(t, &[0; 1000]).await?;
    t.must(answered, "the ping behind 500 times '00 00' is answered in time", "it was not");
    t.settle().await.map(|_| ())
}

async fn oversize_header_only(t: &mut Trial) -> Flow {
    let limit = t.max_frame() as u16;
    for header in [limit + 1, u16::MAX] {
        t.raw(&header.to_be_bytes()).await?;
        let at_once = t.ping().await?;
        t.resync().await?;
        let later = t.ping().await?;
        t.must(
            later,
            format!("a ping is answered 1.3 s after a header of {header}"),
            "it was not: the receiver waits for bytes that do not come",
        );
        t.remark(format!(
            "header of {header}: the ping at once {}",
            if at_once { "answered" } else { "lost" }
        ));
        t.settle().await?;
    }
    if let Some(policy) = t.rig.capabilities.policy {
        t.remark(format!("policy: {}", policy.name()));
    }
    Ok(())
}

/// A length beyond the limit that leaves no odd byte when it is read as empty headers.
fn even_beyond(t: &Trial) -> usize {
    (t.max_frame() + 2) & !1
}

async fn oversize_zero_body(t: &mut Trial) -> Flow {
    let length = even_beyond(t);
    let mut bytes = (length as u16).to_be_bytes().to_vec();
    bytes.resize(2 + length, 0);
    let answered = back_in_step(t, &bytes).await?;
    let expected = format!("the ping behind a header of {length} and as many zeros is answered");
    t.must(answered, expected, "it was not");
    t.settle().await.map(|_| ())
}

async fn oversize_embedded_frame(t: &mut Trial) -> Flow {
    let length = even_beyond(t);
    let inner = t.echo(32);
    t.rig.invariants.sent(&inner.frame());
    let mut bytes = (length as u16).to_be_bytes().to_vec();
    bytes.extend([0; 4]);
    bytes.extend(framed(&inner.frame()));
    bytes.resize(2 + length, 0);
    t.raw(&bytes).await?;
    t.resync().await?;
    let seen = t.settle().await?;
    let is_answered = |seen: &Seen| inner.is_answered_by(seen);
    if t.rig.capabilities.policy == Some(BodyPolicy::HeaderSkip) {
        // It cannot be otherwise under this policy, which is one of the three that are accepted.
        if seen.iter().any(is_answered) {
            t.remark("warning: frames can be smuggled in: a ping inside a frame that is too long is answered");
        }
        return Ok(());
    }
    t.none(
        &seen,
        "a ping inside the body of a frame that is too long is not answered",
        is_answered,
    );
    Ok(())
}

async fn max_frame(t: &mut Trial) -> Flow {
    let limit = t.max_frame();
    let design = t.rig.target.max_frame;
    let is_declared = t.rig.target.is_max_declared;
    t.remark(format!("frames of up to {limit} bytes are answered"));
    t.must(
        limit >= design,
        format!("an echo of {design} bytes is answered intact"),
        explain_limit(limit),
    );
    if is_declared && limit == design && design < DEFAULT_MAX_FRAME {
        t.remark(format!("warning: {}", explain_limit(limit)));
    }
    for size in [limit - 1, limit] {
        let is_answered = explore::answers(t, size).await?;
        t.must(is_answered, format!("an echo of {size} bytes is answered intact"), "it was not");
    }
    let echo = t.echo(0).data(vec![STEADY; limit + 1 - ECHO_HEADERS]);
    t.send(&echo.frame()).await?;
    t.resync().await?;
    let seen = t.settle().await?;
    let is_longer = seen.iter().any(|seen| echo.is_answered_by(seen));
    if is_longer {
        t.remark(format!("a frame of {} bytes is answered as well", limit + 1));
    }
    Ok(())
}

/// What a firmware author has to know about a limit that is too low.
fn explain_limit(limit: usize) -> String {
    let advice = format!("set the interface's MTU to {} (TCP MSS {})", limit - 14, limit - 14 - 40);
    match limit {
        1500 => format!(
            "the largest echo answered is a frame of 1500 bytes: the driver's limit of 1500 counts the \
             14 bytes of the Ethernet header, but the interface promises an MTU of 1500, and packets \
             from 1487 to 1500 bytes vanish; raise the limit to 1514, or {advice}"
        ),
        limit => format!(
            "the largest echo answered is a frame of {limit} bytes, which leaves {} for the IP packet; \
             raise the driver's limit, or {advice}",
            limit - 14
        ),
    }
}
