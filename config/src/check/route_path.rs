//! Paths of routes and of our own endpoints.

use super::Fault;

const NO_PATTERNS: &str = "paths are exact (`path`) or a prefix (`path_prefix`); there are no patterns";

/// A path that one reading of a request can equal. What is refused here would never match, or match
/// one reading and not another.
pub(crate) fn route_path(path: &str) -> Result<(), Fault> {
    let cure = |text: &str| text.to_owned();
    if !path.starts_with('/') {
        return Err(Fault::new("does not begin with /", format!("write `/{path}`")));
    }
    if path.contains(['*', '{', '}', '^']) {
        let bare = path.split(['*', '{', '^']).next().unwrap_or_default();
        return Err(Fault::new(
            format!("holds a pattern; {NO_PATTERNS}"),
            format!("write `path_prefix: {}`", if bare.is_empty() { "/" } else { bare }),
        ));
    }
    if path.contains(['?', '#']) {
        return Err(Fault::new("holds a query or fragment, which routes do not see", cure("write the path alone")));
    }
    if path.contains('%') {
        return Err(Fault::new(
            "holds a percent-encoding",
            cure("write a path above it: one with an encoding has two readings, and can never match"),
        ));
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_control()) {
        return Err(Fault::new(
            "holds a character that requests write as %XX, and a path with one has two readings: it can never match",
            cure("write a path above it"),
        ));
    }
    if path.contains([';', '\\']) || path.chars().any(char::is_control) {
        return Err(Fault::new(
            "holds `;`, `\\` or a control character, which no unambiguous request has",
            cure("remove it"),
        ));
    }
    if path.contains("//") {
        return Err(Fault::new("holds an empty segment (//)", format!("write `{}`", without_empty_segments(path))));
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(Fault::new("holds a `.` or `..` segment", cure("write the path that it leads to")));
    }
    Ok(())
}

/// What is taken from the front of a path, or put there: without the slash at its end.
pub(crate) fn rewrite_prefix(path: &str) -> Result<String, Fault> {
    route_path(path)?;
    match normalised_prefix(path) {
        "/" => Err(Fault::new("is the path above everything", "write a path below it, or remove the line")),
        prefix => Ok(prefix.to_owned()),
    }
}

/// The path, with a query if it has one, of a request that we make ourselves.
pub(crate) fn health_path(path: &str) -> Result<&str, Fault> {
    if path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Ok(path);
    }
    Err(Fault::new("is no path as requests write it", "write one such as `/healthz`"))
}

fn without_empty_segments(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    format!("/{}{}", segments.join("/"), if path.ends_with('/') && !segments.is_empty() { "/" } else { "" })
}

/// `/admin/` means `/admin`; `/` stays.
pub(crate) fn normalised_prefix(path: &str) -> &str {
    match path.strip_suffix('/') {
        Some("") | None => path,
        Some(bare) => bare,
    }
}

/// `prefix`: plain characters, so that it reads the same in every reading of a path.
pub(crate) fn endpoint_prefix(prefix: &str) -> Result<(), Fault> {
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
    };
    match prefix.strip_prefix('/') {
        Some(rest) if prefix.len() <= MAX_PREFIX_BYTES && rest.split('/').all(is_segment) => Ok(()),
        _ => Err(Fault::new(
            format!(
                "must begin with /, not end with /, and hold letters, digits, - . _ ~ between single slashes, at most {MAX_PREFIX_BYTES} in all"
            ),
            "write a path such as `/saml`",
        )),
    }
}

const MAX_PREFIX_BYTES: usize = 64;

/// A path of this site, as pages name an image.
pub(crate) fn same_site_path(path: &str) -> bool {
    path.starts_with('/') && !path.starts_with("//") && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_paths_that_one_reading_can_equal() {
        for path in ["/", "/healthz", "/a/b", "/a/", "/a.b/..c", "/~x", "/$(x)"] {
            assert_eq!(route_path(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn refuses_paths_that_would_mean_two_things() {
        for (path, expected) in [
            ("", "begin with /"),
            ("admin", "begin with /"),
            ("/admin/*", "no patterns"),
            ("/{id}", "no patterns"),
            ("/a//b", "empty segment"),
            ("/a/./b", "segment"),
            ("/a/..", "segment"),
            ("/a%2fb", "percent"),
            ("/a b", "%XX"),
            ("/ä", "%XX"),
            ("/a;b", "`;`"),
            ("/a\\b", "`\\`"),
            ("/a?b", "query"),
            ("/a#b", "fragment"),
            ("/a\u{7}", "control"),
        ] {
            let fault = route_path(path).expect_err(path);
            assert!(fault.problem.contains(expected), "{path}: {fault:?}");
        }
    }

    #[test]
    fn what_is_put_in_front_is_a_path_that_does_not_end_with_a_slash() {
        for (prefix, expected) in [("/a", Some("/a")), ("/a/b/", Some("/a/b")), ("/", None), ("a", None), ("/..", None)]
        {
            assert_eq!(rewrite_prefix(prefix).ok().as_deref(), expected, "{prefix}");
        }
    }

    #[test]
    fn endpoint_prefix_is_plain() {
        for prefix in ["/saml", "/.auth/saml", "/a-b_c~d"] {
            assert_eq!(endpoint_prefix(prefix), Ok(()), "{prefix}");
        }
        for prefix in ["", "/", "saml", "/saml/", "/a//b", "/..", "/a%20", "/a b", "/ä"] {
            assert!(endpoint_prefix(prefix).is_err(), "{prefix}");
        }
    }

    #[test]
    fn a_prefix_loses_its_trailing_slash() {
        for (path, expected) in [("/admin/", "/admin"), ("/admin", "/admin"), ("/", "/")] {
            assert_eq!(normalised_prefix(path), expected);
        }
    }
}
