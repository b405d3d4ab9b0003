//! The house has floors: a module imports only from floors below its own, and modules on one
//! floor never import each other. The judge shares no service code with the judged.

use std::fs;
use std::path::{Path, PathBuf};

/// Top-level modules and their floors. A new one must be entered here.
const FLOORS: &[(&str, u8)] = &[
    ("checksum", 0),
    ("clock", 0),
    ("error", 0),
    ("escape", 0),
    ("event", 0),
    ("mistake", 0),
    ("record", 0),
    ("bus", 1),
    ("framing", 1),
    ("stop", 1),
    ("proto", 2),
    ("stream", 2),
    ("capture", 3),
    ("craft", 3),
    ("dissect", 3),
    ("share", 3),
    ("analysis", 4),
    ("endpoint", 4),
    ("probe", 5),
    ("replay", 5),
    ("tap", 5),
    ("device", 6),
    ("gateway", 6),
    ("switch", 6),
    ("trace", 6),
    ("doctor", 6),
    ("conformance", 7),
    ("report", 7),
    ("cli", 8),
    ("tui", 8),
    ("command", 9),
];

/// Modules that must not know each other although their floors would allow it.
const APART: &[(&str, &str)] = &[("conformance", "device"), ("conformance", "gateway")];

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// Rust source without comments, strings and character literals.
fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &source[at..];
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |n| n + 2)
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            let hashes = rest[1..].bytes().take_while(|b| *b == b'#').count();
            let close = format!("\"{}", "#".repeat(hashes));
            match rest.as_bytes().get(1 + hashes) {
                Some(b'"') => rest[2 + hashes..]
                    .find(&close)
                    .map_or(rest.len(), |n| 2 + hashes + n + close.len()),
                _ => 0,
            }
        } else if rest.starts_with('"') {
            let mut end = 1;
            while end < rest.len() && rest.as_bytes()[end] != b'"' {
                end += if rest.as_bytes()[end] == b'\\' { 2 } else { 1 };
            }
            end + 1
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\''") {
            rest[1..].find('\'').map_or(1, |n| n + 2)
        } else {
            0
        };
        if skip > 0 {
            at = (at + skip).min(bytes.len());
            out.push(' ');
        } else {
            let c = rest.chars().next().unwrap_or(' ');
            out.push(c);
            at += c.len_utf8();
        }
    }
    out
}

/// Code without its unit tests, which may look sideways.
fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let Some(open) = out[start..].find(['{', ';']).map(|n| start + n) else { break };
        let mut depth = 0;
        let end = out[open..].char_indices().find_map(|(n, c)| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            (depth == 0).then_some(open + n + 1)
        });
        out.replace_range(start..end.unwrap_or(out.len()), "");
    }
    out
}

/// The module path of a source file below `src`: `tap/direct.rs` is `[tap, direct]`.
fn module_path(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let last = parts.pop().unwrap_or_default();
    let stem = last.trim_end_matches(".rs");
    if stem != "mod" && stem != "lib" {
        parts.push(stem.to_owned());
    }
    parts
}

/// What a path that begins with `head` (such as `crate::`) names first behind it: one name, or all
/// names of a group in braces.
fn heads_behind(code: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = code.strip_prefix('{') else { return vec![name(code)] };
    let mut names = Vec::new();
    let mut depth = 0;
    let mut item = String::new();
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(std::mem::take(&mut item)),
            _ if depth == 0 => item.push(c),
            _ => {}
        }
    }
    names.push(item);
    names.iter().map(|item| name(item.trim())).filter(|name| !name.is_empty()).collect()
}

/// The top-level modules that `source`, the file of module `path`, refers to.
fn references(path: &[String], source: &str) -> Vec<String> {
    let code = without_tests(&code_only(source));
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let boundary = code[..at].chars().next_back();
        if boundary.is_none_or(|c| !c.is_alphanumeric() && c != '_') {
            found.extend(heads_behind(&code[at + "crate::".len()..]));
        }
    }
    let mut at = 0;
    while let Some(n) = code[at..].find("super::") {
        let start = at + n;
        let mut end = start;
        let mut ups = 0;
        while code[end..].starts_with("super::") {
            ups += 1;
            end += "super::".len();
        }
        // Modules nested in the file (its tests) add levels that the file's path does not show;
        // a path that leads to the root from there leads at least as far from the file.
        if ups >= path.len() && !path.is_empty() {
            found.extend(heads_behind(&code[end..]));
        }
        at = end;
    }
    found.retain(|name| floor(name).is_some());
    found
}

fn violations(path: &[String], source: &str) -> Vec<String> {
    let Some(own) = path.first() else { return Vec::new() };
    let Some(own_floor) = floor(own) else {
        return vec![format!("module '{own}' has no floor: enter it in tests/floors.rs")];
    };
    let apart = |other: &str| APART.iter().any(|(a, b)| a == own && *b == other);
    references(path, source)
        .into_iter()
        .filter(|other| other != own)
        .filter(|other| match floor(other) {
            Some(0) => false, // the ground floor is one room
            Some(floor) => floor >= own_floor || apart(other),
            None => false,
        })
        .map(|other| format!("{} (floor {own_floor}) imports {other}", path.join("::")))
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("src can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// A file of unit tests is named by its parent under #[cfg(test)].
fn is_of_tests(file: &Path) -> bool {
    file.file_stem().is_some_and(|stem| stem == "tests")
}

#[test]
fn every_module_imports_only_from_below() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&src);
    assert!(files.len() > 30, "src was found");
    let mut found = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&src).expect("it is below src");
        if relative == Path::new("main.rs") || is_of_tests(relative) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file is text");
        found.extend(violations(&module_path(relative), &text));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// A harness of their own spares the protocols' tests the way upstairs.
#[test]
fn tests_of_protocols_do_without_what_shows_them() {
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/proto")) {
        let text = fs::read_to_string(&file).expect("a source file is text");
        assert!(!code_only(&text).contains("crate::dissect"), "{}", file.display());
    }
}

#[test]
fn every_top_level_module_has_a_line_in_lib_rs() {
    let lib = include_str!("../src/lib.rs");
    for line in lib.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let (name, prose) = line.split_once(';').expect("a module declaration");
        assert!(floor(name).is_some(), "module '{name}' has no floor");
        assert!(prose.trim().starts_with("// "), "module '{name}' has no line of prose");
    }
}

#[test]
fn what_is_forbidden_is_found() {
    let path = |text: &str| -> Vec<String> { text.split("::").map(str::to_owned).collect() };
    for (module, source) in [
        ("framing", "use crate::proto::Line;"),
        ("tap::direct", "use crate::{\n  probe::Probe, record};"),
        ("probe::ping", "fn f() { crate::tap::run() }"),
        ("record", "pub use super::framing::Framing;"),
        ("craft", "#[cfg(test)] mod tests { fn f() {} } use crate::dissect::Dissector;"),
        ("endpoint::held::diag", "use super::super::super::cli::args;"),
        ("conformance::engine", "let x = crate::device::new();"),
        ("conformance::engine", "use crate::gateway;"),
    ] {
        assert_eq!(violations(&path(module), source).len(), 1, "{module}: {source}");
    }
    for (module, source) in [
        ("tap::direct", "use crate::endpoint::{Connector, Link}; use super::leg;"),
        ("framing", "// use crate::proto\n let s = \"crate::cli\"; /* crate::tap */"),
        ("framing", "let s = r#\"crate::cli \" \"#; let q = '\"'; use mycrate::cli;"),
        ("endpoint::held::diag", "use super::super::tcp;"),
        ("craft", "#[cfg(test)] mod tests { use crate::dissect::Dissector; fn f() {} }"),
        ("record", "use crate::clock::Timestamp;"),
    ] {
        assert_eq!(violations(&path(module), source), Vec::<String>::new(), "{module}: {source}");
    }
}
