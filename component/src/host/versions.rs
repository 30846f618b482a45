//! Versions of interfaces: which of those that the host has serves what a component asks for.

/// A version as WIT has it, `major.minor.patch`; whatever follows (`-rc1`, `+build`) makes it compatible with nothing but
/// itself.
type Version = (u64, u64, u64);

/// `name` cut into what comes before the version, and the version.
fn split(name: &str) -> Option<(&str, Version)> {
    let (base, version) = name.rsplit_once('@')?;
    let mut numbers = version.splitn(3, '.').map(str::parse::<u64>);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) => Some((base, (major, minor, patch))),
        _ => None,
    }
}

/// What two compatible versions have in common.
fn track(version: Version) -> Version {
    match version {
        (0, 0, patch) => (0, 0, patch),
        (0, minor, _) => (0, minor, 0),
        (major, ..) => (major, 0, 0),
    }
}

/// The newest of `offered` that is compatible with `wanted`.
pub(super) fn newest_compatible<'a>(wanted: &str, offered: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (base, version) = split(wanted)?;
    offered
        .filter_map(|name| split(name).map(|(offered, version)| (offered, version, name)))
        .filter(|(offered, other, _)| *offered == base && track(*other) == track(version))
        .max_by_key(|(_, version, _)| *version)
        .map(|(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_compatible_version_serves() {
        let offered = [
            "a:b/c@0.2.0",
            "a:b/c@0.2.12",
            "a:b/c@0.2.9",
            "a:b/c@0.3.0",
            "a:b/c@1.4.0",
            "a:b/d@0.2.99",
            "a:b/e",
        ];
        let find = |wanted| newest_compatible(wanted, offered.into_iter());
        assert_eq!(find("a:b/c@0.2.3"), Some("a:b/c@0.2.12"));
        assert_eq!(find("a:b/c@0.2.13"), Some("a:b/c@0.2.12"), "an older host serves a newer guest");
        assert_eq!(find("a:b/c@0.3.1"), Some("a:b/c@0.3.0"));
        assert_eq!(find("a:b/c@1.0.0"), Some("a:b/c@1.4.0"));
        for none in
            ["a:b/c@0.4.0", "a:b/c@0.0.2", "a:b/c@2.0.0", "a:b/c@0.2.0-rc1", "a:b/c", "a:b/e@0.2.0", "x"]
        {
            assert_eq!(find(none), None, "{none}");
        }
    }
}
