//! The schema of JSON output is what the tables of protocols say, and the output keeps to it.
//!
//! To write the schema anew after a protocol has changed: `UARTTOOL_WRITE_SCHEMA=1 cargo test --test schema`.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use support::{run, text};
use uarttool::proto::{self, Kind};

fn schema_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/records.schema.json")
}

/// What a value of that kind is in JSON. Numbers that floating point does not hold are strings.
fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Number | Kind::Hex => json!({ "type": ["integer", "string"] }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Mac => json!({ "type": "string", "pattern": "^([0-9a-f]{2}:){5}[0-9a-f]{2}$" }),
        Kind::Ipv4 => json!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]+){3}$" }),
        Kind::Ipv6 => json!({ "type": "string", "pattern": "^[0-9a-f:.]+$" }),
        Kind::Text => json!({ "type": "string" }),
        Kind::Bytes => json!({ "type": "string", "pattern": "^([0-9a-f]{2})*$" }),
    }
}

/// The fields of all protocols: for each protocol, a pattern of names for each kind of value.
fn fields() -> Map<String, Value> {
    let mut patterns = Map::new();
    for protocol in proto::ALL {
        let mut kinds: BTreeMap<String, (Value, Vec<String>)> = BTreeMap::new();
        for field in protocol.fields {
            let value = match field.is_many {
                false => of_kind(field.kind),
                true => json!({ "type": "array", "items": of_kind(field.kind) }),
            };
            let names = kinds.entry(value.to_string()).or_insert((value, Vec::new()));
            names.1.push(field.name.replace('.', "\\."));
        }
        for (value, names) in kinds.into_values() {
            let names = names.join("|");
            let pattern = format!("^(quoted\\.)?{}(_[0-9]+)?\\.({names})$", protocol.name);
            patterns.insert(pattern, value);
        }
    }
    patterns
}

fn schema() -> Value {
    let number = json!({ "type": "integer", "minimum": 0 });
    let hex = of_kind(Kind::Bytes);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of `uarttool sniff --json` and `uarttool decode --json`",
        "description": "One record seen on a line. `v` is the version: members may be added within a version, and none changes its meaning or goes away.",
        "type": "object",
        "required": ["v", "type", "number", "direction", "tap", "connection"],
        "properties": {
            "v": { "const": 1 },
            "type": { "enum": ["frame", "framing_error", "gap", "link", "console", "impaired"] },
            "number": { "type": "integer", "minimum": 1, "description": "counts the lines" },
            "time": { "type": "string", "description": "of the last byte; RFC 3339, UTC" },
            "seconds": { "type": "number", "description": "the same, since 1970" },
            "first_byte_seconds": { "type": "number", "description": "the time of the first byte" },
            "direction": { "enum": ["to-device", "from-device", "unknown"] },
            "tap": number,
            "connection": number,
            "offset": { "type": "integer", "minimum": 0, "description": "bytes of the stream in front of it" },
            "length": { "type": "integer", "minimum": 0, "description": "bytes on the line, without the framing" },
            "captured": { "type": "integer", "minimum": 0, "description": "bytes that the capture kept, if fewer" },
            "link_type": { "type": "integer", "minimum": 0, "description": "what the frame begins with, in the registry of tcpdump.org, if that is not dissected" },
            "link_type_name": { "type": "string", "description": "its name there, for the better known" },
            "protocols": { "type": "array", "items": { "type": "string" }, "description": "the layers, outermost first" },
            "payload_length": { "type": "integer", "minimum": 0, "description": "bytes behind the last layer" },
            "comment": { "type": "string", "description": "what somebody has remarked on it, in pcapng" },
            "malformed": { "type": "boolean" },
            "notes": { "type": "array", "items": { "type": "string" }, "description": "what is wrong or worth knowing" },
            "summary": { "type": "string", "description": "the line that people read" },
            "delay": { "type": "number", "description": "seconds since the question that this answers" },
            "bytes": hex,
            "problem": { "enum": ["zero_length", "too_long", "cut", "out_of_step", "continued",
                "wrong_escape", "no_frame", "no_end"] },
            "announced": { "type": "integer", "minimum": 0, "description": "the length in the bad header" },
            "recovery": { "enum": ["sure", "likely", "searching", "ended", "stopped"] },
            "records": { "type": "integer", "minimum": 0, "description": "records that were dropped" },
            "change": { "enum": ["connected", "lost", "reset"] },
            "text": { "type": "string", "description": "the console's line" },
            "finding": { "enum": ["panic", "abort", "watchdog", "brownout", "reboot"] }
        },
        "patternProperties": fields(),
        "additionalProperties": false
    })
}

#[test]
fn the_schema_is_what_the_tables_say() {
    let wanted = serde_json::to_string_pretty(&schema()).expect("it is JSON") + "\n";
    if std::env::var_os("UARTTOOL_WRITE_SCHEMA").is_some() {
        fs::write(schema_path(), &wanted).expect("it can be written");
    }
    let written = fs::read_to_string(schema_path()).unwrap_or_default();
    assert!(
        written == wanted,
        "docs/records.schema.json is not up to date; see the head of tests/schema.rs"
    );
}

/// Validates lines with Python's jsonschema, and returns its complaints.
fn complaints(lines: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lines.json");
    fs::write(&file, lines).expect("there is room");
    let program = "\
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for n, line in enumerate(open(sys.argv[2])):
    for error in validator.iter_errors(json.loads(line)):
        print(n, error.message[:300])";
    let output = Command::new("/usr/bin/python3")
        .args(["-c", program])
        .arg(schema_path())
        .arg(&file)
        .output();
    let output = output.expect("python3 is there");
    let (stdout, stderr) = text(&output);
    assert!(output.status.success(), "{stderr}");
    stdout
}

#[test]
fn every_line_keeps_to_it_and_a_wrong_one_is_noticed() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let files = fs::read_dir(corpus).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_capture =
        |path: &PathBuf| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng");
    let mut all = String::new();
    for path in files.filter(is_capture) {
        let file = path.to_str().expect("a plain path");
        let output = run(["decode", "--json", "-x", "--inner", "never", file]);
        all += &text(&output).0;
    }
    let live = run(["sniff", "-d", "sim", "--json", "--duration", "500ms"]);
    all += &text(&live).0;
    assert!(all.lines().count() > 1, "{all}");
    assert_eq!(complaints(&all), "");
    let line = all.lines().next().expect("there is one");
    let wrong = line.replacen("\"v\":1", "\"v\":2,\"surprise\":0,\"announced\":\"x\"", 1);
    assert_eq!(complaints(&wrong).lines().count(), 3, "{}", complaints(&wrong));
}
