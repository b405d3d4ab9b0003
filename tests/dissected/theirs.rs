//! What tshark says of the frames in a file.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// What each frame is on its own: nothing is put together again, nothing relative, nothing guessed, and
/// every checksum is looked at.
const PREFERENCES: &[&str] = &[
    "ip.defragment:FALSE",
    "ip.check_checksum:TRUE",
    "ip.tso_support:FALSE",
    "ipv6.defragment:FALSE",
    "tcp.desegment_tcp_streams:FALSE",
    "tcp.relative_sequence_numbers:FALSE",
    "tcp.analyze_sequence_numbers:FALSE",
    "tcp.check_checksum:TRUE",
    "tcp.no_subdissector_on_error:FALSE",
    "udp.check_checksum:TRUE",
    "dns.desegment_dns_messages:FALSE",
    "http.desegment_headers:FALSE",
    "http.desegment_body:FALSE",
    "http.decompress_body:FALSE",
    "tls.desegment_ssl_records:FALSE",
    "tls.desegment_ssl_application_data:FALSE",
    "stp.use_system_id_extension:FALSE",
    "eth.fcs:Never",
];

/// Stands between the values of one field in one frame.
const BETWEEN: char = '\u{1}';

/// The values of some fields, frame by frame.
pub struct Theirs {
    places: HashMap<String, usize>,
    frames: Vec<Vec<String>>,
}

impl Theirs {
    /// Reads `path` and keeps `fields`.
    pub fn read(path: &Path, fields: &[&str]) -> Theirs {
        let mut command = Command::new("tshark");
        command.env("TZ", "UTC").arg("-r").arg(path).args(["-n", "-T", "fields"]);
        command.args(["-E", "separator=/t", "-E", "occurrence=a"]);
        command.args(["-E", &format!("aggregator={BETWEEN}"), "-E", "quote=n"]);
        for preference in PREFERENCES {
            command.args(["-o", preference]);
        }
        let mut places = HashMap::new();
        for field in fields {
            if !places.contains_key(*field) {
                places.insert((*field).to_owned(), places.len());
                command.args(["-e", field]);
            }
        }
        let output = command.output().expect("tshark is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tshark: {said}");
        let text = String::from_utf8_lossy(&output.stdout);
        let frames = text.lines().map(|line| line.split('\t').map(str::to_owned).collect());
        Theirs { places, frames: frames.collect() }
    }

    /// How many frames it saw.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// All values of `field` in frame `n`.
    pub fn values(&self, n: usize, field: &str) -> impl Iterator<Item = &str> {
        let all = &self.frames[n][self.places[field]];
        all.split(BETWEEN).filter(|value| !value.is_empty())
    }
}
