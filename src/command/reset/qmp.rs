//! QMP, as much of it as a reset needs: JSON objects, one a line, after a greeting; events may come between.
//! (QEMU's `docs/interop/qmp-spec`.)

use serde_json::{Value, json};

use crate::endpoint::{Link, Received, Spec};
use crate::error::{Error, Result};
use crate::event::Events;

/// The longest line that is taken, in bytes.
const LONGEST: usize = 64 * 1024;

/// A monitor's endpoint.
pub(super) fn parse(text: &str) -> Result<Spec, String> {
    let spec = Spec::parse(text).map_err(|error| error.chain())?;
    match spec.form.name {
        "unix" | "tcp" if !spec.options.framing.is_message() => Ok(spec),
        _ => Err(format!("'{text}' is neither unix:PATH nor tcp:HOST:PORT")),
    }
}

/// Resets the guest; what comes back is who QEMU is.
pub(super) async fn reset(monitor: &Spec) -> Result<String> {
    let connected = monitor.open(&Events::ignore(), None).connect().await;
    let mut monitor = Monitor {
        link: connected.map_err(|error| {
            error.with_help(format!(
                "start QEMU with '-qmp {}:{},server=on,wait=off'; a guest has one monitor, and its \
                 serial ports are none",
                monitor.form.name, monitor.address
            ))
        })?,
        name: monitor.text.clone(),
        pending: Vec::new(),
    };
    let greeting = monitor.next().await?;
    let version = version(&greeting).ok_or_else(|| {
        Error::environment(format!("{} is no QMP monitor", monitor.name))
            .with_help("QEMU has one with '-qmp unix:PATH,server=on,wait=off'")
    })?;
    monitor.execute("qmp_capabilities").await?;
    monitor.execute("system_reset").await?;
    Ok(version)
}

/// `QEMU 7.2.0` out of a greeting.
fn version(greeting: &Value) -> Option<String> {
    let qemu = greeting.get("QMP")?.get("version")?.get("qemu")?;
    let number = |name: &str| qemu.get(name).and_then(Value::as_u64);
    Some(format!("QEMU {}.{}.{}", number("major")?, number("minor")?, number("micro")?))
}

struct Monitor {
    link: Link,
    name: String,
    pending: Vec<u8>,
}

impl Monitor {
    /// Does a command without arguments.
    async fn execute(&mut self, command: &str) -> Result<()> {
        let request = format!("{}\n", json!({ "execute": command }));
        self.link.tx.send_raw(request.as_bytes()).await?;
        loop {
            let answer = self.next().await?;
            if answer.get("return").is_some() {
                return Ok(());
            }
            if let Some(error) = answer.get("error") {
                let what = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given");
                let what = crate::escape::terminal(what.as_bytes());
                return Err(Error::environment(format!("{} refuses {command}: {what}", self.name)));
            }
            // An event.
        }
    }

    /// The next line.
    async fn next(&mut self) -> Result<Value> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                return serde_json::from_slice(&line).map_err(|_| self.odd());
            }
            if self.pending.len() > LONGEST {
                return Err(self.odd());
            }
            match self.link.rx.receive().await? {
                Received::Bytes(bytes) => self.pending.extend_from_slice(&bytes),
                Received::Records(_) => return Err(self.odd()),
                Received::End(how) => {
                    return Err(Error::environment(format!("{} went away: {how}", self.name)));
                }
            }
        }
    }

    fn odd(&self) -> Error {
        Error::environment(format!("{} does not speak QMP", self.name))
            .with_help("QEMU does with '-qmp unix:PATH,server=on,wait=off'")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": "x"}, "capabilities": []}}"#;

    /// A monitor that says `lines`, one after each request, the first at once; what it was asked.
    async fn answered(lines: &[&str]) -> (Result<String>, Vec<String>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("qmp");
        let listener = UnixListener::bind(&path).expect("a socket");
        let lines: Vec<String> = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
            let mut asked = Vec::new();
            for line in lines {
                let _ = stream.write_all(line.as_bytes());
                let mut request = String::new();
                reader.read_line(&mut request).expect("text");
                asked.push(request.trim_end().to_owned());
            }
            asked
        });
        let spec = parse(&format!("unix:{}", path.display())).expect("good");
        let result = reset(&spec).await;
        (result, server.join().expect("no panic"))
    }

    #[tokio::test]
    async fn events_may_come_between() {
        let event = r#"{"event": "RESUME", "timestamp": {"seconds": 1, "microseconds": 2}}"#;
        let twice = format!("{event}\r\n{}", r#"{"return": {}}"#);
        let (result, asked) = answered(&[GREETING, &twice, r#"{"return": {}}"#]).await;
        assert_eq!(result.expect("it was reset"), "QEMU 7.2.0");
        let wanted = [r#"{"execute":"qmp_capabilities"}"#, r#"{"execute":"system_reset"}"#, ""];
        assert_eq!(asked, wanted);
    }

    #[tokio::test]
    async fn what_is_no_monitor_or_refuses_is_said() {
        let refusal = r#"{"error": {"class": "GenericError", "desc": "not \u001b[31mnow"}}"#;
        for (lines, wanted) in [
            (&["hello"][..], "does not speak QMP"),
            (&[r#"{"hello": 1}"#], "is no QMP monitor"),
            (&[GREETING, refusal], r"refuses qmp_capabilities: not \x1b[31mnow"),
            (&[GREETING], "went away"),
        ] {
            let (result, _) = answered(lines).await;
            let error = result.expect_err(wanted);
            assert!(error.chain().contains(wanted), "{}", error.chain());
            assert_eq!(error.category().exit_code(), 3);
        }
    }

    #[test]
    fn a_monitor_is_a_socket() {
        for bad in ["serial:/dev/x", "unix-listen:/a", "qmp.sock", "unix:/a,framing=dgram"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("tcp:127.0.0.1:4444").is_ok());
    }
}
