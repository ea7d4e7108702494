//! The readings of a path: every way in which an upstream may understand it.
//!
//! Upstreams differ in whether they decode once or twice, fold `\` into `/`, merge slashes, resolve dots
//! and cut `;parameters`, and in which order. Nothing here guesses which of them ours does: the policy is
//! asked about each reading, and what is forwarded is the raw path, whose readings have agreed.

/// What a raw path can mean.
pub(crate) struct Readings<'a> {
    raw: &'a str,
    /// Empty for a path with nothing to read differently; it costs no allocation.
    others: Vec<String>,
    is_one_text: bool,
}

impl<'a> Readings<'a> {
    /// `None` where the path has no settled meaning: an invalid escape, a control behind an escape, or a
    /// byte outside 0x21 to 0x7e. `#` counts among these: a fragment has no place in a request (RFC 9112 §3.2),
    /// and upstreams that cut it there see another path than those that do not.
    pub(crate) fn of(raw: &'a str) -> Option<Self> {
        if !raw.starts_with('/') || !raw.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return None;
        }
        if is_plain(raw) {
            return Some(Self { raw, others: Vec::new(), is_one_text: true });
        }
        let path = raw.split_once('?').map_or(raw, |(path, _)| path).as_bytes();
        let once = decode(path, InvalidEscape::Refuse)?;
        let twice = decode(&once, InvalidEscape::Keep)?;
        let normalised =
            [resolve(&once, Empty::Merge), resolve(&cut(&once), Empty::Merge), resolve(&twice, Empty::Merge)];
        // Bytes that are no UTF-8 are text to nobody; old decoders read `%c0%ae` as a dot.
        let is_one_text = std::str::from_utf8(&once).is_ok() && normalised.iter().all(|reading| *reading == once);
        let mut others = normalised.to_vec();
        // The three above are those that policy promises to look at. Servers combine the steps in other ways too,
        // and each of these differs from all three for some path: parameters cut before decoding (`/;%2fx/admin`)
        // or behind two decodings (`/x/..%253b/admin`), dots resolved without decoding (`/../admin/..%2f`, as
        // browsers do), empty segments that count (`/x/../admin//..`), and decoding alone (`/admin%2f..`).
        for undone in [undo_dots(path), decode(&cut(path), InvalidEscape::Refuse)?, once.clone(), twice] {
            for text in [cut(&undone), undone] {
                others.extend([resolve(&text, Empty::Merge), resolve(&text, Empty::Keep)]);
            }
        }
        others.push(once);
        others.sort_unstable();
        others.dedup();
        Some(Self { raw, others: others.into_iter().map(text).collect(), is_one_text })
    }

    /// Every reading but the raw one.
    pub(crate) fn others(&self) -> impl Iterator<Item = &str> {
        self.others.iter().map(String::as_str)
    }

    /// Including the raw one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.raw).chain(self.others())
    }

    /// Whether raw, normalised, without parameters and twice decoded are the same, compared as once-decoded text.
    pub(crate) fn are_one_text(&self) -> bool {
        self.is_one_text
    }
}

/// Whether `path` lies at `prefix` or below it, on a `/` border.
pub(crate) fn is_under(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
}

/// No `%`, `;`, `\`, `?`, `//` or `/.`: one reading.
fn is_plain(path: &str) -> bool {
    let mut after_slash = false;
    path.bytes().all(|byte| {
        let odd = matches!(byte, b'%' | b';' | b'\\' | b'?') || (after_slash && matches!(byte, b'/' | b'.'));
        after_slash = byte == b'/';
        !odd
    })
}

/// Bytes that are no UTF-8 become replacement characters, which no route in the settings contains.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum InvalidEscape {
    Refuse,
    /// Behind a second decoding: `/100%25` is a good path, and a decoder that runs again leaves its `%` alone.
    Keep,
}

/// Decodes every `%XX` once. `None` for a control (NUL and DEL among them) behind an escape.
fn decode(path: &[u8], invalid: InvalidEscape) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        match escape(tail) {
            Some((byte, _)) if byte.is_ascii_control() => return None,
            Some((byte, tail)) => {
                decoded.push(byte);
                rest = tail;
            }
            None if invalid == InvalidEscape::Keep => decoded.push(b'%'),
            None => return None,
        }
    }
    Some(decoded)
}

/// The byte that two hexadecimal digits name, and what follows them.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], rest) = text.split_first_chunk::<2>()?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4 | digit(low)?, rest))
}

/// Decodes nothing but dots.
fn undo_dots(path: &[u8]) -> Vec<u8> {
    let mut undone = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        match rest {
            [b'%', b'2', b'e' | b'E', tail @ ..] => {
                undone.push(b'.');
                rest = tail;
            }
            _ => {
                undone.push(byte);
                rest = tail;
            }
        }
    }
    undone
}

/// Cuts each segment at its first `;`.
fn cut(path: &[u8]) -> Vec<u8> {
    let before_parameters = |segment: &'_ [u8]| segment.iter().position(|byte| *byte == b';');
    path.split(|byte| is_slash(*byte))
        .map(|segment| before_parameters(segment).and_then(|end| segment.get(..end)).unwrap_or(segment))
        .collect::<Vec<_>>()
        .join(&b'/')
}

fn is_slash(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

/// What becomes of empty segments, as in `//`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    Merge,
    /// `..` takes one away like any other (RFC 3986 §5.2.4).
    Keep,
}

/// Reads `\` as `/`, removes `.` segments and resolves `..`. A slash at the end stays, as in
/// RFC 3986 §5.2.4: servers tell `/a` from `/a/`, and so do exact routes.
fn resolve(path: &[u8], empty: Empty) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut ends_with_slash = false;
    for segment in path.split(|byte| is_slash(*byte)).skip(1) {
        match segment {
            b"." => ends_with_slash = true,
            b".." => {
                kept.pop();
                ends_with_slash = true;
            }
            b"" if empty == Empty::Merge => ends_with_slash = true,
            name => {
                kept.push(name);
                ends_with_slash = false;
            }
        }
    }
    let mut resolved = vec![b'/'];
    resolved.extend_from_slice(&kept.join(&b'/'));
    if ends_with_slash && !kept.is_empty() {
        resolved.push(b'/');
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `among` are readings that must be there; `None`: the path has no settled meaning.
    #[track_caller]
    fn check(raw: &str, among: Option<&[&str]>) {
        let readings = Readings::of(raw);
        assert_eq!(readings.is_some(), among.is_some(), "{raw}");
        if let (Some(readings), Some(among)) = (readings, among) {
            for reading in among {
                assert!(readings.all().any(|found| found == *reading), "{raw}: {:?}", readings.others);
            }
        }
    }

    #[track_caller]
    fn check_plain(raw: &str) {
        let readings = Readings::of(raw).unwrap();
        assert!(readings.others().next().is_none(), "{raw}");
        assert!(readings.are_one_text(), "{raw}");
    }

    #[test]
    fn a_plain_path_has_one_reading() {
        for raw in ["/", "/a", "/a/b.c/d", "/a/b/", "/a..b/c.", "/~x/@y:z,w=1&v!$'()*+"] {
            check_plain(raw);
        }
    }

    #[test]
    fn everything_else_is_read_in_every_way() {
        check("/x/..;/admin", Some(&["/x/..;/admin", "/admin"]));
        check("/x/%2e%2e/admin", Some(&["/x/%2e%2e/admin", "/x/../admin", "/admin"]));
        check("//admin", Some(&["//admin", "/admin"]));
        check("/x\\..\\admin", Some(&["/admin"]));
        check("/x/%252e%252e/a", Some(&["/x/%2e%2e/a", "/a"]));
        check("/a;b/c;d", Some(&["/a;b/c;d", "/a/c"]));
        check("/../../a/./b/", Some(&["/a/b/"]));
        check("/a?b/../c", Some(&["/a"]));
        check("/a/..", Some(&["/"]));
        check("/a/.", Some(&["/a/"]));
        check("/;%2fx/admin", Some(&["/;/x/admin", "/x/admin", "/admin"]));
        check("/x/..%253b/admin", Some(&["/admin"]));
        check("/../admin/..%2f", Some(&["/admin/..%2f", "/"]));
        check("/%2E%2e/admin/..%2f", Some(&["/admin/..%2f"]));
        check("/x/../admin//..", Some(&["/admin/", "/"]));
        check("/admin%2f..", Some(&["/admin/..", "/"]));
    }

    #[test]
    fn a_percent_sign_may_be_part_of_a_name() {
        check("/100%25", Some(&["/100%"]));
        assert!(Readings::of("/100%25").unwrap().are_one_text());
    }

    #[test]
    fn a_path_without_settled_meaning_has_no_readings() {
        for raw in [
            "", "*", "a", "/%", "/%2", "/%zz", "/%+1", "/a b", "/ä", "/a\tb", "/\u{7f}", "/%00", "/%0a", "/%1f",
            "/%7f", "/%2500", "/%250d", "/a#b", "/a\u{0}b",
        ] {
            check(raw, None);
        }
    }

    #[test]
    fn one_text_means_that_nothing_was_resolved_or_cut() {
        for (raw, expected) in [
            ("/a", true),
            ("/%61", true),
            ("/%C3%A4/%20", true),
            ("/%c0%ae%c0%ae/a", false),
            ("/%ff", false),
            ("/a/%62/", true),
            ("/a//b", false),
            ("/a/./b", false),
            ("/a;b", false),
            ("/a%3bb", false),
            ("/a%2fb", true),
            ("/a%5cb", false),
            ("/a%2561", false),
            ("/a%252fb", false),
        ] {
            assert_eq!(Readings::of(raw).unwrap().are_one_text(), expected, "{raw}");
        }
    }

    #[test]
    fn a_prefix_ends_on_a_border() {
        for (prefix, path, expected) in [
            ("/admin", "/admin", true),
            ("/admin", "/admin/", true),
            ("/admin", "/admin/x", true),
            ("/admin", "/administrator", false),
            ("/admin", "/Admin", false),
            ("/", "/x", true),
            ("/a/", "/a/x", true),
            ("/a/", "/a", false),
        ] {
            assert_eq!(is_under(prefix, path), expected, "{prefix} {path}");
        }
    }

    proptest! {
        #[test]
        fn resolving_leaves_no_dots(path in "/([a-c./\\\\]|\\.\\.){0,12}") {
            for empty in [Empty::Merge, Empty::Keep] {
                let resolved = text(resolve(path.as_bytes(), empty));
                prop_assert!(resolved.starts_with('/') && !resolved.contains('\\'));
                prop_assert!(empty == Empty::Keep || !resolved.contains("//"));
                prop_assert!(!resolved.split('/').any(|segment| matches!(segment, "." | "..")));
            }
        }

        #[test]
        fn a_browser_reads_no_path_that_is_not_among_the_readings(raw in "/([a-c./;]|\\.\\.|%2[eEfF5]|%5c|%3b|%61){0,12}") {
            let url = url::Url::parse("http://h").unwrap().join(&format!("http://h{raw}")).unwrap();
            if let Some(readings) = Readings::of(&raw) {
                let plain = |path: &str| path.replace("%2e", ".").replace("%2E", ".");
                prop_assert!(readings.all().any(|reading| plain(reading) == plain(url.path())), "{raw} {}", url.path());
            }
        }

        #[test]
        fn any_text_is_read_without_panic(raw in "\\PC{0,40}") {
            let _ = Readings::of(&raw).map(|readings| readings.all().count());
        }
    }
}
