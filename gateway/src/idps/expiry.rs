//! Certificates that end while the process runs: one line in the log at 60, 30, 7 and 1 days, and at the end.
//!
//! It is a warning and no more: a pinned key is trusted for being pinned, and an IdP may sign past the date.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use config::{EXPIRY_WARNING_DAYS, ExpiredCertificates};
use saml_core::{Certificate, Fingerprint, IdpId, Timestamp};

use crate::live::Live;

/// Often enough that a line comes on its day.
const EVERY: Duration = Duration::from_secs(60 * 60);
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Runs as long as the process.
pub async fn watch(live: Arc<Live>) {
    let mut said = Said::default();
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        let now = SystemTime::now().into();
        for idp in &live.current().idps {
            let Some(live) = idp.live() else { continue };
            let id = &idp.settings.id;
            for crossing in said.look(id, live.trusted.certificates(), now) {
                tracing::warn!(idp.id = id.as_str(), "{}", crossing.told(idp.settings.expired_certificates));
            }
        }
    }
}

/// The last threshold that was spoken of, for each certificate.
#[derive(Default)]
struct Said(HashMap<(IdpId, Fingerprint), usize>);

/// A certificate that has come nearer to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Crossing {
    fingerprint: Fingerprint,
    end: Timestamp,
    /// `None`: it has ended.
    within_days: Option<i64>,
}

impl Said {
    fn look(&mut self, idp: &IdpId, certificates: &[Certificate], now: Timestamp) -> Vec<Crossing> {
        certificates
            .iter()
            .filter_map(|certificate| {
                let (fingerprint, end) = (certificate.fingerprint(), certificate.not_after());
                let passed = passed(end, now);
                let before = self.0.insert((idp.clone(), fingerprint), passed).unwrap_or(0);
                let nearest = EXPIRY_WARNING_DAYS.into_iter().find(|days| is_within(end, now, *days));
                let within_days = nearest.filter(|_| now < end);
                (passed > before).then_some(Crossing { fingerprint, end, within_days })
            })
            .collect()
    }
}

/// How many thresholds lie behind, the end itself among them.
fn passed(end: Timestamp, now: Timestamp) -> usize {
    EXPIRY_WARNING_DAYS.into_iter().chain([0]).filter(|days| is_within(end, now, *days)).count()
}

fn is_within(end: Timestamp, now: Timestamp, days: i64) -> bool {
    end <= now.plus_seconds(days.saturating_mul(DAY_SECONDS))
}

impl Crossing {
    fn told(&self, policy: ExpiredCertificates) -> String {
        let Self { fingerprint, end, within_days } = self;
        let consequence = match policy {
            ExpiredCertificates::Accept => "it is accepted after that too",
            ExpiredCertificates::Refuse => "logins signed with its key are refused from then on",
        };
        let when = match within_days {
            Some(1) => format!("ends within a day, at {end}"),
            Some(days) => format!("ends within {days} days, at {end}"),
            None => format!("ended at {end}"),
        };
        format!(
            "the certificate {fingerprint} {when}; {consequence}: have the IdP make a new one, and pin it beside this one until it signs"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, idp};

    const END: i64 = 1_000 * DAY_SECONDS;

    fn certificate() -> Certificate {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["idp.example".to_owned()]).unwrap();
        params.not_before = time::OffsetDateTime::from_unix_timestamp(0).unwrap();
        params.not_after = time::OffsetDateTime::from_unix_timestamp(END).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Certificate::parse_all(pem.as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn one_line_for_each_threshold_that_is_crossed() {
        let (mut said, certificate, id) = (Said::default(), certificate(), idp("jumpcloud"));
        let mut look = |days_before: i64| {
            let now = at(END - days_before * DAY_SECONDS);
            let found = said.look(&id, std::slice::from_ref(&certificate), now);
            assert!(found.len() <= 1);
            found.first().map(|crossing| crossing.within_days)
        };
        for (days_before, expected) in [
            (61, None),
            (60, Some(Some(60))),
            (59, None),
            (31, None),
            (30, Some(Some(30))),
            (8, None),
            // The process slept over the week.
            (1, Some(Some(1))),
            (1, None),
            (0, Some(None)),
            (-1, None),
        ] {
            assert_eq!(look(days_before), expected, "{days_before} days before");
        }
    }

    #[test]
    fn each_idp_and_certificate_is_spoken_of_for_itself() {
        let (mut said, one, other) = (Said::default(), certificate(), certificate());
        let now = at(END - DAY_SECONDS);
        assert_eq!(said.look(&idp("a"), std::slice::from_ref(&one), now).len(), 1);
        assert_eq!(said.look(&idp("a"), &[one.clone(), other], now).len(), 1);
        assert_eq!(said.look(&idp("b"), &[one], now).len(), 1);
    }

    #[test]
    fn the_line_says_what_the_end_means() {
        let fingerprint = certificate().fingerprint();
        let crossing = Crossing { fingerprint, end: at(END), within_days: Some(7) };
        assert!(crossing.told(ExpiredCertificates::Accept).contains("within 7 days"));
        assert!(crossing.told(ExpiredCertificates::Accept).contains("accepted after that"));
        assert!(crossing.told(ExpiredCertificates::Refuse).contains("are refused"));
    }
}
