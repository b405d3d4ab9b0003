//! The judge in process, in virtual time, on the built-in device.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use uarttool::bus::{Bus, Inbox};
use uarttool::cli::web::Forwarded;
use uarttool::cli::{block_on_virtual, connect, tokio_clock};
use uarttool::conformance::engine::{self, Plan, Surroundings};
use uarttool::conformance::event::Summary;
use uarttool::conformance::explore::explore;
use uarttool::conformance::model::Test;
use uarttool::conformance::rig::{Capability, Ports, Restart, Rig, Target};
use uarttool::endpoint::{Connector, Pending, Spec};
use uarttool::error::Result;
use uarttool::event::Events;
use uarttool::probe::{Identity, Probe};
use uarttool::stop::{self, Stop};

struct Switch(Arc<connect::Sim>);

impl Restart for Switch {
    fn restart(&mut self) -> Pending<'_, Result<()>> {
        self.0.switch_off();
        Box::pin(async { Ok(()) })
    }
}

/// What stands beside the line.
#[derive(Default)]
pub struct Beside {
    pub has_no_switch: bool,
    pub console: Option<Inbox>,
    pub program: Option<watch::Receiver<Option<String>>>,
    pub stop: Option<Stop>,
}

/// Runs `plan` against the built-in device that `endpoint` describes.
pub fn run(endpoint: &str, plan: &Plan) -> Summary {
    run_beside(endpoint, plan, Beside::default())
}

/// The same with something beside the line.
pub fn run_beside(endpoint: &str, plan: &Plan, beside: Beside) -> Summary {
    let spec = Spec::parse(endpoint).expect("a good endpoint");
    let judged = async {
        let events = Events::ignore();
        let sim = connect::sim(&spec, &events)?.expect("the built-in device");
        let link = sim.connect().await?;
        let identity = Identity::default();
        let probe =
            Probe::new(link, &spec.options, identity, tokio_clock(), events, Bus::default());
        let max_frame = spec.options.max_frame;
        let target = Target {
            identity,
            max_frame,
            is_max_declared: false,
            line_rate: None,
            ports: Ports::default(),
            declared: plan.ledger.declared.clone(),
        };
        let switch: Box<dyn Restart> = Box::new(Switch(sim.clone()));
        let switch = Some(switch).filter(|_| !beside.has_no_switch);
        let mut rig = Rig::new(probe, Box::new(sim), switch, target, 1.0, plan.seed);
        rig.web = Some(Box::new(Forwarded::new(Some(plan.seed))));
        let mut needs: HashSet<_> = plan.tests.iter().filter_map(|test| test.needs).collect();
        needs.insert(Capability::RawBytes);
        let (rig, facts) = explore(rig, Duration::from_secs(10), &needs, &mut |_| {}).await?;
        let (_stopper, unstopped) = stop::pair();
        let mut stop = beside.stop.unwrap_or(unstopped);
        let Beside { console, program, .. } = beside;
        let around = Surroundings { stop: &mut stop, tell: &mut |_| {}, console, program };
        Ok(engine::run(rig, plan, facts, around).await)
    };
    block_on_virtual(judged).unwrap_or_else(|error| panic!("{endpoint}: {}", error.chain()))
}

/// A plan for `tests`, in their order.
pub fn plan(tests: Vec<&'static Test>) -> Plan {
    Plan { tests, is_fixed: true, seed: 7, is_virtual: true, ..Plan::default() }
}
