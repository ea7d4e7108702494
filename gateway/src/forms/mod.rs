//! Forms whose session has ended: kept, sealed, while their user signs in, and sent once.
//!
//! Three things are needed to open one: what the store has, our key `seal`, and the secret in the browser's cookie. That
//! secret is the handle too: the replay page posts it to the form's own address, where the stored bytes take its place.

mod reading;

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::{HeaderMap, Method};
use saml_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::decide::{URLENCODED, is_of_type};
use crate::keys::{KeyError, KeyRing, Keys};
use crate::sealing::{Purpose, Seal};
use crate::session::{FORM_SECONDS, FormSecret, RandomError};

use reading::Readers;
pub use reading::Reading;

/// The largest body that is kept.
pub const MAX_FORM_BYTES: usize = 1024 * 1024;
/// How many kept forms a browser has cookies of.
pub const MAX_PER_BROWSER: usize = 4;
/// The one field of the form that a replay page posts.
pub const HANDLE_FIELD: &str = "samlgate-replay";

/// `samlgate-replay=` and 43 characters.
const HANDLE_BYTES: usize = HANDLE_FIELD.len() + 1 + 43;
const VERSION: u8 = 1;

/// Why a form of our own pages will be lost, as its user is told before the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    TooLarge,
    TooSlow,
    TooMuch,
    StoreAway,
    NotKeptHere,
    /// It was kept before, and is not there any more.
    Gone,
}

impl Lost {
    const ALL: [Self; 6] =
        [Self::TooLarge, Self::TooSlow, Self::TooMuch, Self::StoreAway, Self::NotKeptHere, Self::Gone];

    /// In URLs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::TooMuch => "too_much",
            Self::StoreAway => "store_away",
            Self::NotKeptHere => "not_kept_here",
            Self::Gone => "gone",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lost| lost.code() == code)
    }

    /// For the user.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "It is larger than 1 MiB, which is the most that is kept while you sign in.",
            Self::TooSlow => "It took too long to arrive.",
            Self::TooMuch => "Too many forms are waiting at the moment.",
            Self::StoreAway => "It cannot be kept at the moment.",
            Self::NotKeptHere => "Forms are not kept here while you sign in.",
            Self::Gone => "It was kept for 15 minutes, or was sent already.",
        }
    }
}

/// A form as it will be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptForm {
    /// Path and query of the request.
    pub target: String,
    /// As it came: of multipart it holds the boundary.
    pub content_type: String,
    pub body: Bytes,
}

/// What stands before the body.
#[derive(Serialize, Deserialize)]
struct Head {
    target: String,
    content_type: String,
    created: i64,
}

pub struct Forms {
    seal: Seal,
    readers: Readers,
    random: SystemRandom,
}

impl Forms {
    /// `owner` is our entity ID: another application's form is not opened.
    ///
    /// # Errors
    /// The random source failed.
    pub fn new(keys: &Keys, owner: &str) -> Result<Self, KeyError> {
        let seal = match keys.store() {
            Some(keys) => Seal::new(owner, &keys.seal),
            // What is kept in this process ends with it, and so may the key.
            None => Seal::new(owner, &Arc::new(KeyRing::made()?)),
        };
        Ok(Self { seal, readers: Readers::default(), random: SystemRandom::new() })
    }

    /// Leave to hold a body in memory; none where too many are being read.
    pub fn begin_reading(&self, client: IpAddr) -> Option<Reading<'_>> {
        self.readers.begin(client)
    }

    /// # Errors
    /// The random source failed.
    pub fn new_secret(&self) -> Result<FormSecret, RandomError> {
        FormSecret::generate(&self.random)
    }

    /// # Errors
    /// The random source failed.
    pub fn seal(&self, secret: &FormSecret, form: &KeptForm, now: Timestamp) -> Result<Vec<u8>, RandomError> {
        let KeptForm { target, content_type, body } = form;
        let head = Head { target: target.clone(), content_type: content_type.clone(), created: now.unix_seconds() };
        // It fails only where memory is at its end, and then nothing is opened.
        let mut content = postcard::to_extend(&head, vec![VERSION]).unwrap_or_default();
        content.extend_from_slice(body);
        self.seal.seal_with(secret.secret(), Purpose::Form, secret.key().as_bytes(), &content)
    }

    /// Nothing where its time is over, or where it is not this form.
    pub fn open(&self, secret: &FormSecret, sealed: &[u8], now: Timestamp) -> Option<KeptForm> {
        let content = self.seal.open_with(secret.secret(), Purpose::Form, secret.key().as_bytes(), sealed)?;
        let content = Bytes::from(content);
        let (head, body) = postcard::take_from_bytes::<Head>(content.strip_prefix(&[VERSION])?).ok()?;
        let body = content.slice_ref(body);
        let ends = Timestamp::from_unix(head.created, 0).plus_seconds(FORM_SECONDS);
        (now < ends).then_some(KeptForm { target: head.target, content_type: head.content_type, body })
    }
}

/// Whether the body is announced as larger than what is kept.
pub fn is_too_large(headers: &HeaderMap) -> bool {
    content_length(headers).is_some_and(|length| length > MAX_FORM_BYTES)
}

/// Whether the body may be a handle, and has to be looked at before it goes on. Browsers send one in one way only.
pub fn may_be_handle(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::POST
        && content_length(headers) == Some(HANDLE_BYTES)
        && !headers.contains_key(EXPECT)
        && headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.to_str().is_ok_and(|content_type| is_of_type(content_type, URLENCODED)))
}

/// The handle that a body is. No other form looks like one.
pub fn handle_in(body: &[u8]) -> Option<FormSecret> {
    FormSecret::parse(body.strip_prefix(HANDLE_FIELD.as_bytes())?.strip_prefix(b"=")?)
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, at, headers};

    fn forms(owner: &str) -> Forms {
        Forms::new(&Keys::load(&testing::settings()).unwrap().0, owner).unwrap()
    }

    fn form() -> KeptForm {
        KeptForm {
            target: "/orders?x=%2f".to_owned(),
            content_type: "multipart/form-data; boundary=a".to_owned(),
            body: Bytes::from_static(b"--a\r\n\0\xff\r\n"),
        }
    }

    #[test]
    fn a_form_comes_back_byte_for_byte_for_its_secret_alone() {
        let forms = forms("sp");
        let (secret, other) = (forms.new_secret().unwrap(), forms.new_secret().unwrap());
        let sealed = forms.seal(&secret, &form(), at(0)).unwrap();
        assert_eq!(forms.open(&secret, &sealed, at(1)), Some(form()));
        assert_eq!(forms.open(&other, &sealed, at(1)), None);
        // The very secret, under another key.
        assert_eq!(self::forms("sp").open(&secret, &sealed, at(1)), None);
        let mut of_other = forms;
        of_other.seal.owner = "other".to_owned();
        assert_eq!(of_other.open(&secret, &sealed, at(1)), None);
    }

    #[test]
    fn a_form_waits_for_fifteen_minutes() {
        let forms = forms("sp");
        let secret = forms.new_secret().unwrap();
        let sealed = forms.seal(&secret, &form(), at(1_000)).unwrap();
        assert!(forms.open(&secret, &sealed, at(1_899)).is_some());
        assert_eq!(forms.open(&secret, &sealed, at(1_900)), None);
    }

    #[test]
    fn only_a_body_of_the_length_of_a_handle_is_looked_at() {
        let check = |method: Method, pairs: &[(&'static str, &str)], expected| {
            assert_eq!(may_be_handle(&method, &headers(pairs)), expected, "{pairs:?}");
        };
        let (length, urlencoded) = (("content-length", "59"), ("content-type", URLENCODED));
        check(Method::POST, &[length, urlencoded], true);
        check(Method::PUT, &[length, urlencoded], false);
        check(Method::POST, &[("content-length", "60"), urlencoded], false);
        check(Method::POST, &[urlencoded], false);
        check(Method::POST, &[length, ("content-type", "text/plain")], false);
        check(Method::POST, &[length, urlencoded, ("expect", "100-continue")], false);
    }

    #[test]
    fn a_handle_is_one_field_and_nothing_else() {
        let secret = forms("sp").new_secret().unwrap();
        let body = format!("{HANDLE_FIELD}={}", secret.to_text().as_str());
        assert_eq!(body.len(), HANDLE_BYTES);
        assert_eq!(handle_in(body.as_bytes()).unwrap().key(), secret.key());
        for other in [format!("{body}&a=b"), format!("a=b&{body}"), body.replace('=', "%3D"), body.replace('-', "_")] {
            assert!(handle_in(other.as_bytes()).is_none(), "{other}");
        }
    }

    #[test]
    fn each_reason_has_a_code_of_its_own() {
        for lost in Lost::ALL {
            assert_eq!(Lost::parse(lost.code()), Some(lost));
        }
        assert_eq!(Lost::parse("<b>"), None);
    }

    proptest! {
        #[test]
        fn any_form_comes_back(target in "/[ -~]{0,40}", content_type in "[ -~]{0,40}", body in prop::collection::vec(any::<u8>(), 0..300)) {
            let forms = forms("sp");
            let secret = forms.new_secret().unwrap();
            let form = KeptForm { target, content_type, body: body.into() };
            let sealed = forms.seal(&secret, &form, at(0)).unwrap();
            prop_assert_eq!(forms.open(&secret, &sealed, at(0)), Some(form));
        }
    }
}
