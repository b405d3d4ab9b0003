//! Who names the tunnel where a program is started: the flag `-d`, then the program itself, by the socket
//! that it is told to use (that is a flag, too: `--launch`), then the environment, then `uarttool.toml`.

use crate::cli::args::TunnelArgs;
use crate::cli::config::Config;
use crate::endpoint::memory;
use crate::error::{Error, Result};

/// Refuses the built-in device where another is started. That of the environment or of `uarttool.toml` is
/// for commands that start nothing, and is none of this one's business.
pub fn refuse_sim(tunnel: &TunnelArgs) -> Result<()> {
    if flag(tunnel).is_some_and(is_sim) {
        return Err(Error::usage("'--launch' starts a device, and '-d sim' is another")
            .with_help("leave out one of them"));
    }
    Ok(())
}

/// Whether there is a name for the tunnel beside the one that the program is told.
pub fn has_device(tunnel: &TunnelArgs, config: &Config) -> bool {
    let configured = config.target.device.as_deref();
    flag(tunnel).is_some() || inherited(tunnel).or(configured).is_some_and(|text| !is_sim(text))
}

/// What is said where the tunnel is at `text`, as the program was told, and the environment or
/// `uarttool.toml` names another.
pub fn passed_over(text: &str, tunnel: &TunnelArgs, config: &Config) -> Option<String> {
    if flag(tunnel).is_some() {
        return None;
    }
    let other = match (inherited(tunnel), &config.target.device) {
        (Some(device), _) => format!("UARTTOOL_DEVICE={device}"),
        (None, Some(device)) => {
            let verb = if config.by_preset.is_some() { "of" } else { "in" };
            format!("{device} {verb} {}", config.namer())
        }
        (None, None) => return None,
    };
    Some(format!("using {text}: '--launch' comes before {other}"))
}

/// What `-d` says.
pub fn flag(tunnel: &TunnelArgs) -> Option<&str> {
    tunnel.device.as_deref().filter(|_| !tunnel.is_inherited)
}

/// What the environment says.
pub fn inherited(tunnel: &TunnelArgs) -> Option<&str> {
    tunnel.device.as_deref().filter(|text| tunnel.is_inherited && !text.is_empty())
}

fn is_sim(text: &str) -> bool {
    text.split(',').next() == Some(memory::SIM.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::config::Target;

    fn args(device: Option<&str>, is_inherited: bool) -> TunnelArgs {
        TunnelArgs { device: device.map(str::to_owned), is_inherited, ..TunnelArgs::default() }
    }

    fn config(device: Option<&str>) -> Config {
        let target = Target { device: device.map(str::to_owned), ..Target::default() };
        Config { path: Some("/p/uarttool.toml".into()), target, by_preset: None }
    }

    #[test]
    fn only_the_flag_is_refused() {
        for (device, is_inherited, is_good) in [
            (Some("sim"), false, false),
            (Some("sim,model=esp32-new"), false, false),
            (Some("sim"), true, true),
            (Some("unix:sim"), false, true),
            (None, false, true),
        ] {
            assert_eq!(refuse_sim(&args(device, is_inherited)).is_ok(), is_good, "{device:?}");
        }
    }

    #[test]
    fn what_is_for_others_names_no_tunnel_here() {
        for (device, is_inherited, configured, wanted) in [
            (None, false, None, false),
            (Some("unix:a"), false, None, true),
            (Some("unix:a"), true, None, true),
            (Some("sim"), true, Some("unix:a"), false),
            (Some(""), true, Some("unix:a"), true),
            (None, false, Some("sim"), false),
        ] {
            let has = has_device(&args(device, is_inherited), &config(configured));
            assert_eq!(has, wanted, "{device:?} {configured:?}");
        }
    }

    #[test]
    fn what_is_passed_over_is_said() {
        let said = |args: &TunnelArgs, config: &Config| passed_over("unix:t", args, config);
        let wanted = "using unix:t: '--launch' comes before UARTTOOL_DEVICE=tcp:x:1";
        let configured = config(Some("unix:a"));
        assert_eq!(said(&args(Some("tcp:x:1"), true), &configured).as_deref(), Some(wanted));
        let wanted = "using unix:t: '--launch' comes before unix:a in /p/uarttool.toml";
        assert_eq!(said(&args(None, false), &configured).as_deref(), Some(wanted));
        assert_eq!(said(&args(None, false), &config(None)), None);
        assert_eq!(said(&args(Some("unix:t"), false), &configured), None);
    }
}
