//! Ports: 80, 80,443, 1-1024.

/// Ports as the user lists them, each once, in the order given.
pub(super) fn parse(text: &str) -> Result<Ports, String> {
    let bad = || format!("'{text}' is not a list of ports such as 80, 22,80 or 1-1024");
    let mut ports = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once("..").or(part.split_once('-')).unwrap_or((part, part));
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u16>().map_err(|_| bad()),
            false => Err(bad()),
        };
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(bad());
        }
        ports.extend(first..=last);
    }
    let mut seen = std::collections::HashSet::new();
    ports.retain(|port| seen.insert(*port));
    Ok(Ports(ports))
}

/// A list of ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ports(pub Vec<u16>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges() {
        assert_eq!(parse("80,22-24,80").map(|ports| ports.0), Ok(vec![80, 22, 23, 24]));
        assert_eq!(parse("0-65535").map(|ports| ports.0.len()), Ok(65536));
        for bad in ["", "x", "9-1", "65536", "+1", "1,"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
