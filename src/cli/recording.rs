//! Arguments about captures that are written, beyond where to.

use std::time::Duration;

use clap::Args;

use super::args::CaptureArgs;
use crate::capture::Kind;
use crate::capture::series::{Plan, Rotation};
use crate::error::{Error, Result};

/// A capture, in one file or in several.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Capture")]
pub struct RecordingArgs {
    #[command(flatten)]
    capture: CaptureArgs,
    /// Keep only the first BYTES of each frame in the capture
    #[arg(short = 's', long = "snaplen", value_name = "BYTES", requires = "pcap",
        value_parser = clap::value_parser!(u32).range(0..))]
    snap_length: Option<u32>,
    /// Begin a new file when one has so many MB (1 000 000 bytes): out-00000.pcapng, out-00001.pcapng ...
    #[arg(short = 'C', value_name = "MB", requires = "pcap", value_parser = megabytes)]
    size: Option<u64>,
    /// Begin a new file after so many seconds, also when nothing comes; '%' in the name is the time, as
    /// in out-%H%M%S.pcapng
    #[arg(short = 'G', value_name = "SECONDS", requires = "pcap",
        value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    period: Option<u64>,
    /// With -C, keep the last FILES; with -G alone, end after so many
    #[arg(short = 'W', value_name = "FILES", requires = "pcap",
        value_parser = clap::value_parser!(u32).range(1..))]
    files: Option<u32>,
    /// Write every frame to the capture at once
    #[arg(short = 'U', requires = "pcap")]
    pub is_unbuffered: bool,
}

fn megabytes(text: &str) -> Result<u64, String> {
    let number: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    if !(0.000_001..=1e9).contains(&number) {
        return Err(format!("'{text}' MB is not between 0.000001 and 1000000000"));
    }
    Ok((number * 1e6) as u64)
}

impl RecordingArgs {
    /// What to write, if anything; checked as far as that can be done without touching the file.
    pub fn plan(&self) -> Result<Option<Plan>> {
        let Some(target) = &self.capture.pcap else { return Ok(None) };
        let period = self.period.map(Duration::from_secs);
        let rotation = Rotation { size: self.size, period, files: self.files };
        if target.path.is_none() && rotation.is_any() {
            return Err(Error::usage("'-C' and '-G' need a file, and '-w -' is stdout")
                .with_help("give a name: -w out.pcapng"));
        }
        if self.files.is_some() && !rotation.is_any() {
            return Err(Error::usage("'-W' bounds the number of files, but there is only one")
                .with_help("say when to begin a new one, with '-C MB' or '-G SECONDS'"));
        }
        if let Some(path) = target.path.as_deref().filter(|_| rotation.is_any()) {
            let name = path.to_string_lossy();
            let moment = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
            jiff::fmt::strtime::format(&*name, &moment).map_err(|error| {
                Error::usage(format!("'{name}' is no pattern for times: {error}"))
                    .with_help("use %Y %m %d %H %M %S, and %% for a percent sign")
            })?;
        }
        let keeps_lengths = matches!(target.kind, Kind::Pcap | Kind::Pcapng);
        if self.snap_length.is_some_and(|bytes| bytes > 0) && !keeps_lengths {
            return Err(Error::usage(format!("'{}' cannot hold cut frames", target.display()))
                .with_help("use '-s' with .pcapng or .pcap"));
        }
        target.check()?;
        let snap_length = self.snap_length.map(|bytes| bytes as usize).filter(|bytes| *bytes > 0);
        Ok(Some(Plan { target: target.clone(), rotation, snap_length, link: None }))
    }

    /// Whether the capture goes to stdout.
    pub fn is_stdout(&self) -> bool {
        self.capture.pcap.as_ref().is_some_and(|target| target.path.is_none())
    }
}
