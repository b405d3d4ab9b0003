//! Opening what the user named, the built-in device included, which stands above `endpoint/`.

use crate::device::faults::{self, Fault};
use crate::device::model::{self, Model};
use crate::device::{Device, Front, Settings};
use crate::endpoint::spec::parse_line_rate;
use crate::endpoint::{Attach, Connector, Link, Pending, Spec, memory};
use crate::error::{Error, Result};
use crate::event::Events;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// The connector for `spec`.
///
/// With `attach` it goes through another uarttool that holds the line, if there is one.
pub fn open(spec: &Spec, events: &Events, attach: Option<Attach>) -> Result<Box<dyn Connector>> {
    match sim(spec, events)? {
        Some(sim) => Ok(spec.persistent(Box::new(sim), events)),
        None => Ok(spec.open(events, attach)),
    }
}

/// The built-in device, if `spec` means that.
pub fn sim(spec: &Spec, events: &Events) -> Result<Option<Arc<Sim>>> {
    if spec.form.name != memory::SIM.name {
        return Ok(None);
    }
    if spec.options.framing != crate::framing::ALL[0] {
        let framing = spec.options.framing.name;
        return Err(Error::usage(format!("the built-in device speaks len16be, not {framing}"))
            .with_help(other_framing(spec)));
    }
    let mut chosen = chosen(spec)?;
    if spec.text.contains("max-frame=") {
        chosen.max_frame = Some(spec.options.max_frame);
    }
    Ok(Some(Arc::new(Sim::new(spec, chosen, events))))
}

/// The way out for an endpoint that has no other framing than the tunnel's, by who said it.
fn other_framing(spec: &Spec) -> String {
    if spec.text.contains(",framing=") {
        return "leave 'framing=' away, or name another endpoint".to_owned();
    }
    format!(
        "leave '--framing' away; where '--preset' or uarttool.toml says it, '-d {},framing=len16be' comes \
         before that",
        spec.text
    )
}

/// What the options of `spec` choose of the built-in device.
fn chosen(spec: &Spec) -> Result<SimOptions> {
    let mut chosen = SimOptions::default();
    for (name, value) in &spec.options.own {
        chosen.set(name, value).map_err(|what| {
            Error::usage(format!("bad endpoint '{}': {what}", spec.text))
                .with_help("'uarttool sim --help' lists the models, '--list-faults' the faults")
        })?;
    }
    Ok(chosen)
}

/// The rate of the line at `spec` in baud: as the user told it, or as the built-in device has it.
pub fn line_rate(spec: &Spec) -> Result<Option<u32>> {
    if spec.options.line_rate.is_some() || spec.form.name != memory::SIM.name {
        return Ok(spec.options.line_rate);
    }
    Ok(chosen(spec)?.settings().model.line_rate)
}

/// What a user can choose of the built-in device.
#[derive(Clone, Debug, Default)]
pub struct SimOptions {
    /// The model.
    pub model: Option<Model>,
    /// Its faults.
    pub faults: Vec<Fault>,
    /// The seed.
    pub seed: Option<u64>,
    /// The line's rate in baud; 0 is as fast as it goes.
    pub line_rate: Option<u32>,
    /// The largest frame in bytes.
    pub max_frame: Option<usize>,
    /// Where another stack is, to which the driver's frames go instead of to our own.
    pub stack: Option<Spec>,
}

impl SimOptions {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "model" => self.model = Some(parse_model(value)?),
            "fault" => self.faults.push(faults::by_name(value)?),
            "seed" => {
                let seed = value.parse().map_err(|_| format!("seed '{value}' is not a number"))?;
                self.seed = Some(seed);
            }
            "line-rate" => self.line_rate = Some(parse_line_rate(value)?),
            "stack" => self.stack = Some(parse_stack(value)?),
            _ => return Err(format!("there is no option '{name}'")),
        }
        Ok(())
    }

    /// The device's settings.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        let model = &mut settings.model;
        *model = self.model.unwrap_or(*model);
        model.line_rate = match self.line_rate {
            None => model.line_rate,
            Some(0) => None,
            rate => rate,
        };
        model.max_frame = self.max_frame.unwrap_or(model.max_frame);
        settings.seed = self.seed.unwrap_or(settings.seed);
        self.faults.iter().for_each(|fault| settings.faults.add(*fault));
        settings
    }
}

/// A model by its name.
pub fn parse_model(name: &str) -> Result<Model, String> {
    Model::by_name(name).ok_or_else(|| {
        let names: Vec<_> = model::ALL.iter().map(|model| model.name).collect();
        format!("there is no model '{name}'; there are {}", names.join(", "))
    })
}

/// The endpoint of another stack.
pub fn parse_stack(text: &str) -> Result<Spec, String> {
    let spec = Spec::parse(text).map_err(|error| error.chain())?;
    match spec.form.name {
        "file" | "sim" => Err(format!("there is no stack at '{text}'; give tap:NAME, for example")),
        _ => Ok(spec),
    }
}

/// The built-in device, whole or as the driver in front of another stack.
pub enum Machine {
    /// With our own stack and services.
    Whole(Box<Device>),
    /// The driver alone.
    Front(Box<Front>),
}

impl Machine {
    /// Switches it on, when its stack is there. Must run inside the event loop.
    pub async fn start(
        settings: &Settings,
        stack: Option<&Spec>,
        events: &Events,
    ) -> Result<Machine> {
        let clock = super::tokio_clock();
        let Some(stack) = stack else {
            return Ok(Machine::Whole(Box::new(Device::new(settings.clone(), clock))));
        };
        Front::check(settings, &stack.text)?;
        let link = stack.open(events, None).connect().await?;
        Ok(Machine::Front(Box::new(Front::new(settings, clock, link)?)))
    }

    /// Lives with `link` until that ends; says how it did. Without a link, forever. An error is the
    /// end of the stack.
    pub async fn run(&mut self, link: Option<&mut Link>) -> Result<String> {
        match self {
            Machine::Whole(device) => device.run(link).await,
            Machine::Front(front) => front.run(link).await,
        }
    }

    /// Sends the lines of its console to `console`.
    pub fn attach_console(&mut self, console: mpsc::Sender<String>) {
        match self {
            Machine::Whole(device) => device.attach_console(console),
            Machine::Front(front) => front.attach_console(console),
        }
    }
}

/// The built-in device as an endpoint: switched on when it is first met, and running as long as this.
pub struct Sim {
    spec: Spec,
    settings: Settings,
    stack: Option<Spec>,
    events: Events,
    machine: Mutex<Option<mpsc::UnboundedSender<Link>>>,
}

impl Sim {
    /// The device that `spec` describes.
    fn new(spec: &Spec, chosen: SimOptions, events: &Events) -> Self {
        let (settings, stack) = (chosen.settings(), chosen.stack);
        let (spec, events) = (spec.clone(), events.clone());
        Sim { spec, settings, stack, events, machine: Mutex::default() }
    }

    /// Switches the device off; the next connection meets one that boots.
    pub fn switch_off(&self) {
        *self.machine.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The device that runs, or one that was just switched on: where it takes its links from.
    async fn machine(&self) -> Result<mpsc::UnboundedSender<Link>> {
        let running = self.machine.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(links) = running.filter(|links| !links.is_closed()) {
            return Ok(links);
        }
        let machine = Machine::start(&self.settings, self.stack.as_ref(), &self.events).await?;
        let (links, coming) = mpsc::unbounded_channel();
        tokio::spawn(live(machine, coming, self.events.clone()));
        *self.machine.lock().unwrap_or_else(PoisonError::into_inner) = Some(links.clone());
        Ok(links)
    }
}

/// A device's life: with one link after the other, until nobody can bring another.
async fn live(mut machine: Machine, mut links: mpsc::UnboundedReceiver<Link>, events: Events) {
    let mut link: Option<Link> = None;
    let mut is_open = true;
    while is_open || link.is_some() {
        let ended = tokio::select! {
            biased;
            next = links.recv(), if is_open => {
                is_open = next.is_some();
                link = next.or(link.take());
                continue;
            }
            ended = machine.run(link.as_mut()) => ended,
        };
        link = None;
        if let Err(error) = ended {
            events.warn(error.chain());
            return;
        }
    }
}

impl Connector for Sim {
    fn name(&self) -> &str {
        &self.spec.text
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let peer = format!("the built-in device, model {}", self.settings.model.name);
            let (near, far) = memory::pair(&self.spec.text, &peer, self.spec.options.framing);
            let machine = self.machine().await?;
            // It is there, or has just failed and said why: then the link ends at once.
            let _ = machine.send(far);
            Ok(near)
        })
    }
}

impl Connector for Arc<Sim> {
    fn name(&self) -> &str {
        self.as_ref().name()
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        self.as_ref().connect()
    }
}
