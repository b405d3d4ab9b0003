//! Opening what the user named, the built-in device included, which stands above `endpoint/`.

use crate::device::faults::{self, Fault};
use crate::device::model::{self, Model};
use crate::device::{Device, Settings};
use crate::endpoint::{Attach, Connector, Link, Pending, Spec, memory};
use crate::error::{Error, Result};
use crate::event::Events;

/// The connector for `spec`.
///
/// With `attach` it goes through another uarttool that holds the line, if there is one.
pub fn open(spec: &Spec, events: &Events, attach: Option<Attach>) -> Result<Box<dyn Connector>> {
    if spec.form.name != memory::SIM.name {
        return Ok(spec.open(events, attach));
    }
    let mut chosen = SimOptions::default();
    for (name, value) in &spec.options.own {
        chosen.set(name, value).map_err(|what| {
            Error::usage(format!("bad endpoint '{}': {what}", spec.text))
                .with_help("'uarttool sim --help' lists the models, '--list-faults' the faults")
        })?;
    }
    if spec.text.contains("max-frame=") {
        chosen.max_frame = Some(spec.options.max_frame);
    }
    let settings = chosen.settings();
    let connector = Sim { spec: spec.clone(), settings };
    Ok(spec.persistent(Box::new(connector), events))
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

/// A rate in baud; 0 is as fast as it goes.
pub fn parse_line_rate(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(rate @ (0 | 300..=100_000_000)) => Ok(rate),
        _ => Err(format!("line-rate '{text}' is not a rate in baud from 300, or 0 for no limit")),
    }
}

/// The built-in device as an endpoint. Each connection meets a device that was just switched on.
struct Sim {
    spec: Spec,
    settings: Settings,
}

impl Connector for Sim {
    fn name(&self) -> &str {
        &self.spec.text
    }

    fn connect(&self) -> Pending<'_, Result<Link>> {
        Box::pin(async move {
            let peer = format!("the built-in device, model {}", self.settings.model.name);
            let (near, mut far) = memory::pair(&self.spec.text, &peer, self.spec.options.framing);
            let mut device = Device::new(self.settings.clone(), super::tokio_clock());
            tokio::spawn(async move {
                let _ = device.run(Some(&mut far)).await; // the host has gone, and so may we
            });
            Ok(near)
        })
    }
}
