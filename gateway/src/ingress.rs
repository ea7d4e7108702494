//! What is turned away before anything is decided: requests that two parsers could read differently.
//!
//! Pingora itself refuses bad Transfer-Encoding, Content-Lengths that differ, two Hosts, white space
//! before a colon and folded lines.

use http::header::{CONTENT_LENGTH, HOST, ORIGIN, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Version};
use pingora::http::RequestHeader;

use crate::refusal::Refusal;

/// Of an HTTP/1 head; Pingora takes 1 MiB. With all our cookies one has 8 kB, and few applications take more than 16.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Path and query. A path is read in many ways, so its length is what it costs.
pub const MAX_TARGET_BYTES: usize = 16 * 1024;

/// `raw_head` is the head of an HTTP/1 request as it came.
///
/// # Errors
/// The request is malformed; the connection must be closed, for where it ends is not sure.
pub fn check(request: &RequestHeader, raw_head: Option<&[u8]>) -> Result<(), Refusal> {
    if let Some(bytes) = raw_head.map(<[u8]>::len).filter(|bytes| *bytes > MAX_HEAD_BYTES) {
        return Err(Refusal::HeadTooLarge { bytes, limit: MAX_HEAD_BYTES });
    }
    let malformed = |problem| Err(Refusal::RequestMalformed { problem });
    let hosts = request.headers.get_all(HOST).iter().count();
    if hosts > 1 {
        return malformed("it has two Host headers");
    }
    if hosts == 0 && request.version == Version::HTTP_11 {
        return malformed("it is HTTP/1.1 and has no Host");
    }
    // Pingora has removed Content-Length by now (RFC 9112 §6.3); a proxy in front may have trusted it.
    if request.headers.contains_key(TRANSFER_ENCODING) && raw_head.is_some_and(has_content_length) {
        return malformed("it has both Content-Length and Transfer-Encoding");
    }
    // Pingora passes lists and repetitions on, and not every application reads them alike (RFC 9110 §8.6).
    let mut lengths = request.headers.get_all(CONTENT_LENGTH).iter();
    let is_number = |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    if lengths.next().is_some_and(|length| !is_number(length)) || lengths.next().is_some() {
        return malformed("its Content-Length is not one number");
    }
    if request.raw_path().len() > MAX_TARGET_BYTES {
        return malformed("its target is longer than 16 kB");
    }
    if is_websocket(request) && request.headers.get_all(ORIGIN).iter().count() > 1 {
        return malformed("it has two Origin headers");
    }
    if is_websocket(request) && request.method != Method::GET {
        return malformed("it asks for a WebSocket with a method other than GET");
    }
    if !request.raw_path_is_utf8() {
        return Err(Refusal::PathAmbiguous);
    }
    if !request.raw_path().starts_with(b"/") {
        return malformed("its target is not a path");
    }
    Ok(())
}

/// The request in the one form that we judge and forward: its target a path (RFC 9112 §3.2.1), and no
/// upgrade but to WebSocket.
pub fn normalise(request: &mut RequestHeader) {
    if request.headers.contains_key(UPGRADE) && !is_websocket(request) {
        request.remove_header(&UPGRADE);
    }
    if is_absolute_form(request.raw_path()) && request.version != Version::HTTP_2 {
        let target = request.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        // A target that was parsed once is parsed again; if not, it stays as it is and is refused above.
        let _ = request.set_raw_path(target.as_bytes());
    }
}

/// Pingora keeps the spelling of header names in a map beside them. To keep both in step costs more than all else that is
/// done to a request, and names are the same in any case (RFC 9110 §5.1): they go out in small letters. Of a request that
/// was checked: what its target was is then in the URI.
pub fn forget_spelling(request: &mut RequestHeader) {
    *request = RequestHeader::from(take(request));
}

/// Leaves a request for `/` behind.
pub fn take(request: &mut RequestHeader) -> Parts {
    let nothing = RequestHeader::from(http::Request::new(()).into_parts().0);
    std::mem::replace(request, nothing).into()
}

/// Pingora has held its authority against Host. Anything else that is no path stays as it is, and is refused.
fn is_absolute_form(target: &[u8]) -> bool {
    ["http://", "https://"]
        .iter()
        .any(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes())))
}

/// Whether an upgrade to WebSocket is asked for.
pub fn is_websocket(request: &RequestHeader) -> bool {
    request.headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Host, or what HTTP/2 has in its place. Empty where there is none, or where it is not text.
pub fn authority(request: &RequestHeader) -> &str {
    match request.headers.get(HOST) {
        Some(host) => host.to_str().unwrap_or_default(),
        None => request.uri.authority().map(http::uri::Authority::as_str).unwrap_or_default(),
    }
}

fn has_content_length(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').any(|line| {
        line.split(|byte| *byte == b':')
            .next()
            .is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"content-length"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, target: &str, headers: &[(&'static str, &'static str)]) -> RequestHeader {
        let mut request = RequestHeader::build(method, target.as_bytes(), None).unwrap();
        request.set_version(Version::HTTP_11);
        for (name, value) in headers {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    #[track_caller]
    fn refused(request: &RequestHeader, raw_head: &str) -> String {
        check(request, Some(raw_head.as_bytes())).unwrap_err().to_string()
    }

    const HOST_A: (&str, &str) = ("host", "a.example");

    #[test]
    fn refuses_what_two_parsers_could_read_differently() {
        assert!(refused(&request("GET", "/", &[]), "").contains("no Host"));
        assert!(refused(&request("GET", "/", &[HOST_A, HOST_A]), "").contains("two Host"));
        let chunked = request("POST", "/", &[HOST_A, ("transfer-encoding", "chunked")]);
        assert!(check(&chunked, Some(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")).is_ok());
        assert!(refused(&chunked, "POST / HTTP/1.1\r\nCONTENT-LENGTH : 3\r\n\r\n").contains("both"));
        for length in ["5, 5", "+5", "5 5", "", "0x5"] {
            let listed = request("POST", "/", &[HOST_A, ("content-length", length)]);
            assert!(refused(&listed, "").contains("Content-Length"), "{length}");
        }
        let twice = request("POST", "/", &[HOST_A, ("content-length", "5"), ("content-length", "5")]);
        assert!(refused(&twice, "").contains("Content-Length"));
        let origin = ("origin", "https://a.example");
        let origins = request("GET", "/", &[HOST_A, ("upgrade", "websocket"), origin, origin]);
        assert!(refused(&origins, "").contains("two Origin"));
        let long = format!("/{}", "a".repeat(MAX_TARGET_BYTES));
        assert!(refused(&request("GET", &long, &[HOST_A]), "").contains("longer"));
        assert!(refused(&request("POST", "/", &[HOST_A, ("upgrade", "WebSocket")]), "").contains("WebSocket"));
        assert!(refused(&request("OPTIONS", "*", &[HOST_A]), "").contains("not a path"));
        let mut raw = request("GET", "/", &[HOST_A]);
        raw.set_raw_path(b"/\xff").unwrap();
        assert_eq!(check(&raw, None), Err(Refusal::PathAmbiguous));
    }

    #[test]
    fn forwards_a_path_whatever_form_the_target_had() {
        let mut absolute = request("GET", "http://a.example/x%2f?y=1", &[HOST_A]);
        normalise(&mut absolute);
        assert_eq!(absolute.raw_path(), b"/x%2f?y=1");
        assert!(check(&absolute, None).is_ok());
        for odd in ["%20/x", "x", "ftp://a.example/x", "http:/x", "//:x"] {
            let mut odd = request("GET", odd, &[HOST_A]);
            let before = odd.raw_path().to_vec();
            normalise(&mut odd);
            assert_eq!(odd.raw_path(), before);
            assert_eq!(check(&odd, None).is_ok(), before.starts_with(b"/"));
        }
        let mut plain = request("GET", "/x?y", &[HOST_A]);
        normalise(&mut plain);
        assert_eq!(plain.raw_path(), b"/x?y");
    }

    #[test]
    fn keeps_no_upgrade_but_websocket() {
        let mut h2c = request("GET", "/", &[HOST_A, ("upgrade", "h2c")]);
        normalise(&mut h2c);
        assert!(!h2c.headers.contains_key(UPGRADE));
        let mut websocket = request("GET", "/", &[HOST_A, ("upgrade", "websocket")]);
        normalise(&mut websocket);
        assert!(is_websocket(&websocket));
    }
}
