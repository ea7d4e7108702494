//! Instants as SAML writes them (SAML Core 2.0 §1.3.3), stricter: UTC only, no leap second, no `24:00`.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// An instant in UTC, to the nanosecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

/// Text that is not an instant of the accepted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time is not of the form YYYY-MM-DDThh:mm:ss(.d{{1,9}})?(Z|+00:00)")]
pub struct TimeError;

impl Timestamp {
    /// `nanos` of a second or more count as the last nanosecond.
    pub const fn from_unix(seconds: i64, nanos: u32) -> Self {
        let nanos = if nanos > 999_999_999 { 999_999_999 } else { nanos };
        Self { seconds, nanos }
    }

    pub const fn unix_seconds(self) -> i64 {
        self.seconds
    }

    /// Saturates at the ends of what fits.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self { seconds: self.seconds.saturating_add(seconds), nanos: self.nanos }
    }

    /// `YYYY-MM-DDThh:mm:ss(.d{1,9})?(Z|+00:00)`, seconds 00 to 59, hours 00 to 23, a day that exists.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        parse(text.as_bytes()).ok_or(TimeError)
    }
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let (head, rest) = text.split_at_checked(19)?;
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1] = head else {
        return None;
    };
    let year = number(&[y0, y1, y2, y3])?;
    let month = number(&[m0, m1])?;
    let day = number(&[d0, d1])?;
    let (hour, minute, second) = (number(&[h0, h1])?, number(&[n0, n1])?, number(&[s0, s1])?);
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_in_month(year, month)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let (nanos, zone) = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, zone) = fraction.split_at_checked(digits)?;
            if !(1..=9).contains(&digits) {
                return None;
            }
            let scale = 10_i64.checked_pow(9_u32.checked_sub(u32::try_from(digits).ok()?)?)?;
            (u32::try_from(number(fraction)?.checked_mul(scale)?).ok()?, zone)
        }
        zone => (0, zone),
    };
    if zone != b"Z" && zone != b"+00:00" {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Timestamp { seconds, nanos })
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (years 0 to 9999),
/// counted in eras of 400 years that begin on 1 March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos()),
            Err(before) => Self::from_unix(-i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX), 0),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.seconds.div_euclid(86_400));
        let second = self.seconds.rem_euclid(86_400);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let millis = self.nanos / 1_000_000;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(i64, u32)>) {
        let expected = expected.map(|(seconds, nanos)| Timestamp::from_unix(seconds, nanos));
        assert_eq!(Timestamp::parse(text).ok(), expected, "{text}");
    }

    #[test]
    fn reads_instants_in_utc() {
        check("1970-01-01T00:00:00Z", Some((0, 0)));
        check("2026-11-23T14:44:31.931Z", Some((1_795_445_071, 931_000_000)));
        check("2026-11-23T14:44:31.9+00:00", Some((1_795_445_071, 900_000_000)));
        check("2024-02-29T23:59:59.123456789Z", Some((1_709_251_199, 123_456_789)));
        check("1969-12-31T23:59:59Z", Some((-1, 0)));
        check("9999-12-31T23:59:59Z", Some((253_402_300_799, 0)));
    }

    #[test]
    fn refuses_every_other_form() {
        for text in [
            "",
            "2026-11-23",
            "2026-11-23T14:44:31",
            "2026-11-23T14:44:31z",
            "2026-11-23t14:44:31Z",
            "2026-11-23 14:44:31Z",
            "2026-11-23T14:44:31+01:00",
            "2026-11-23T14:44:31-00:00",
            "2026-11-23T14:44:60Z",
            "2026-11-23T24:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-11-23T14:44:31.Z",
            "2026-11-23T14:44:31.1234567890Z",
            "+2026-11-23T14:44:31Z",
            "2026-11-23T14:44:31Z ",
            " 2026-11-23T14:44:31Z",
            "2026-11-23T14:44:3\u{661}Z",
            "20261-11-23T14:44:31Z",
            "-026-11-23T14:44:31Z",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for days in (-719_528_i64..2_932_896).step_by(97) {
            let instant = Timestamp::from_unix(days * 86_400 + days.rem_euclid(86_400), 5_000_000);
            assert_eq!(Timestamp::parse(&instant.to_string()), Ok(instant));
        }
    }
}
