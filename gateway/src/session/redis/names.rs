//! What things are called in Redis. Who reads the names there learns of no person: users, IdP names and addresses are
//! HMACs under the key `index`.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use saml_core::{NameId, ReplayKey};

use crate::keys::{Key, KeyRing};
use crate::session::pending::network;
use crate::session::ticket::{BindingHash, FormKey, SessionKey};

pub(super) struct Names {
    prefix: String,
    index: Arc<KeyRing>,
}

impl Names {
    pub(super) fn new(prefix: &str, index: Arc<KeyRing>) -> Self {
        Self { prefix: prefix.to_owned(), index }
    }

    pub(super) fn session(&self, key: &SessionKey) -> String {
        self.of("s", &encoded(key.as_bytes()))
    }

    /// All sessions are spread over 256 sets, by the first byte of their keys.
    pub(super) fn bucket(&self, number: u8) -> String {
        self.of("x", &format!("{number:02x}"))
    }

    pub(super) fn bucket_of(&self, key: &SessionKey) -> String {
        self.bucket(key.as_bytes()[0])
    }

    /// By each key of the ring, the current one first: a set stays where it was begun.
    pub(super) fn user(&self, idp: &str, unique_id: &str) -> Vec<String> {
        self.tagged("u", &[idp.as_bytes(), unique_id.as_bytes()])
    }

    /// What single logout compares, as [`user`](Self::user). The Format is not compared.
    pub(super) fn name(&self, idp: &str, name_id: &NameId) -> Vec<String> {
        let qualifiers = [name_id.name_qualifier.as_deref(), name_id.sp_name_qualifier.as_deref()];
        let [one, other] = qualifiers.map(|text| text.map_or(b"-".to_vec(), |text| [b"+", text.as_bytes()].concat()));
        self.tagged("n", &[idp.as_bytes(), name_id.value.as_bytes(), &one, &other])
    }

    pub(super) fn login(&self, request_id: &str) -> String {
        self.of("p", request_id)
    }

    /// Holds the request IDs of all open logins.
    pub(super) fn logins(&self) -> String {
        self.of("w", "all")
    }

    /// Holds the request IDs of a browser's open logins.
    pub(super) fn browser(&self, binding: &BindingHash) -> String {
        self.of("b", &encoded(binding.as_bytes()))
    }

    /// Holds the request IDs of the open logins, or logouts, of an address, or counts the bytes of its forms.
    pub(super) fn address(&self, kind: &str, client: IpAddr) -> String {
        let address = network(client).to_string();
        self.tagged(kind, &[address.as_bytes()]).swap_remove(0)
    }

    pub(super) fn logout(&self, request_id: &str) -> String {
        self.of("o", request_id)
    }

    pub(super) fn claim(&self, key: &ReplayKey) -> String {
        self.of("c", &encoded(key.as_bytes()))
    }

    pub(super) fn form(&self, key: &FormKey) -> String {
        self.of("f", &encoded(key.as_bytes()))
    }

    /// Counts the bytes of everybody's forms.
    pub(super) fn forms(&self) -> String {
        self.of("g", "all")
    }

    /// Two streams beside each other (of one slot of a cluster): sessions that ended, revocations of many.
    pub(super) fn streams(&self) -> [String; 2] {
        ["ended", "revoked"].map(|stream| format!("{}:{{events}}:{stream}", self.prefix))
    }

    fn of(&self, kind: &str, rest: &str) -> String {
        format!("{}:{kind}:{rest}", self.prefix)
    }

    fn tagged(&self, kind: &str, parts: &[&[u8]]) -> Vec<String> {
        self.index.all().map(|key| self.of(kind, &tag(key, kind, parts))).collect()
    }
}

fn tag(key: &Key, kind: &str, parts: &[&[u8]]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(b"samlgate redis ");
    for part in [kind.as_bytes()].iter().chain(parts) {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let whole = context.sign();
    encoded(whole.as_ref().first_chunk::<16>().map_or(&[][..], |half| half))
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
