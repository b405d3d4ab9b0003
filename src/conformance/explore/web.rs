//! Whether the device has a web server, and whether its connections serve several requests.

use std::collections::HashSet;

use tokio::time::Instant;

use super::is_back;
use crate::conformance::model::Flow;
use crate::conformance::peer::THINKING;
use crate::conformance::rig::Capability;
use crate::conformance::trial::Trial;
use crate::conformance::web::{Exchange, Request};

/// How often it is asked before it counts as missing.
const ATTEMPTS: usize = 2;

/// Looks for what the chosen tests need, and for what the device is said to have.
pub(super) async fn look_for(
    t: &mut Trial,
    needs: &HashSet<Capability>,
    facts: &mut Vec<String>,
) -> Flow {
    if t.rig.web.is_none() {
        return Ok(()); // nobody can ask
    }
    let is_known = |t: &Trial, capability| t.rig.can(capability);
    let port = t.rig.target.ports.http;
    if needs.contains(&Capability::Http) && !is_known(t, Capability::Http) {
        let serves = answers(t, |exchange| exchange.status.is_some()).await?.is_some();
        if serves {
            t.rig.capabilities.has.push(Capability::Http);
        }
        let says = if serves { "speaks HTTP" } else { "does not speak HTTP" };
        facts.push(format!("TCP port {port} {says}"));
    }
    if needs.contains(&Capability::KeepAlive) && !is_known(t, Capability::KeepAlive) {
        let keeps = keeps_alive(t).await?;
        if keeps {
            t.rig.capabilities.has.push(Capability::KeepAlive);
        }
        let count = if keeps { "several requests" } else { "one request" };
        facts.push(format!("a connection to TCP port {port} serves {count}"));
    }
    Ok(())
}

/// A response to GET / that is as `wanted` says, on a connection that is kept.
async fn answers(t: &mut Trial, wanted: impl Fn(&Exchange) -> bool) -> Flow<Option<Exchange>> {
    for _ in 0..ATTEMPTS {
        let asking = t.begin(Request::get("/").keep())?;
        let end = Instant::now() + t.within(THINKING);
        let exchange = t.finish_until(asking, Some(end)).await?;
        if !t.is_alive().await? {
            is_back(t, "http.get-root").await;
            return Ok(None);
        }
        t.take_seen();
        if wanted(&exchange) {
            return Ok(Some(exchange));
        }
    }
    Ok(None)
}

/// Whether a second request is served on a connection.
async fn keeps_alive(t: &mut Trial) -> Flow<bool> {
    let Some(first) = answers(t, |exchange| exchange.is_whole(200)).await? else {
        return Ok(false);
    };
    let second = t.ask(Request::get("/").on(first.port)).await?;
    Ok(second.is_whole(200))
}
