//! What is wrong with a TOML file that a user wrote: its line, what stands there, and what was meant.

use super::select::distance;

/// The line, from 1, of a place in `text`.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// A sentence about an error in `text`: line, what is wrong, and the key that is nearest to one that is
/// not known.
pub fn problem(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| format!("line {}: ", line_of(text, span.start)));
    let message = error.message().replace('\n', " ");
    let near = nearest(&message).map(|near| format!("; did you mean `{near}`?"));
    format!("{}{message}{}", line.unwrap_or_default(), near.unwrap_or_default())
}

/// The known key that is nearest to the unknown one in ``unknown field `a`, expected one of `b`, `c` ``.
fn nearest(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("unknown field `")?;
    let mut names = rest.split('`').step_by(2);
    let unknown = names.next()?;
    let near = names.min_by_key(|name| distance(unknown, name))?;
    (distance(unknown, near) <= (near.len() / 2).min(3)).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Known {
        severity: Option<String>,
        packets: Option<String>,
    }

    #[test]
    fn the_line_and_the_nearest_key_are_named() {
        let told = |text: &str| problem(text, &toml::from_str::<Known>(text).expect_err(text));
        let text = told("severity = \"must\"\npakets = 1\n");
        assert!(text.starts_with("line 2: unknown field `pakets`"), "{text}");
        assert!(text.ends_with("; did you mean `packets`?"), "{text}");
        assert!(!told("colour = 1\n").contains("did you mean"));
        assert!(told("packets = 1\n").starts_with("line 1: invalid type"));
    }
}
