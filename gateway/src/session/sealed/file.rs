//! `session.revocations_file`: a line for each revocation, `2026-11-26T00:30:00Z user jumpcloud:5f3c`.
//!
//! Values are percent-encoded where they are not plain ASCII. A line that cannot be read is an error: it was meant to end
//! somebody's session.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use saml_core::{IdpId, Timestamp};

use crate::session::revocation::{Revocation, Target};
use crate::session::store::Place;
use crate::session::ticket::SessionKey;

/// Read at once; more is refused.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{0}: see that the file exists and can be read")]
    Unreadable(#[from] io::Error),
    #[error(
        "line {line} behind byte {from} is none: wanted a time such as 2026-11-26T00:30:00Z, then `user IDP:ID`, `email ADDRESS`, `group NAME`, `session KEY` or `all`"
    )]
    Line { line: usize, from: u64 },
    #[error("it is longer than {MOST_BYTES} bytes: remove lines that are older than 31 days")]
    TooLong,
}

pub(super) fn append(path: &Path, revocation: &Revocation) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    file.write_all(line_of(revocation).as_bytes())?;
    file.sync_data()
}

/// What was written since `place`; all of it where the file is another one, or was written anew.
pub(super) fn read(path: &PathBuf, place: Option<&Place>) -> Result<(Place, Vec<Revocation>), FileError> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    let identity = format!("{}:{}", about.dev(), about.ino());
    let from = match place.map(|place| place.0.as_slice()) {
        Some([known, offset, last]) if *known == identity => {
            let offset = offset.parse().unwrap_or_default();
            if ends_with(&mut file, offset, last)? { offset } else { 0 }
        }
        _ => 0,
    };
    if about.len().saturating_sub(from) > MOST_BYTES {
        return Err(FileError::TooLong);
    }
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text)?;
    // Somebody may be writing the last line.
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    text.truncate(whole);
    let mut revocations = Vec::new();
    let mut last: &[u8] = &[];
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        last = line;
        let unreadable = FileError::Line { line: number + 1, from };
        let line = std::str::from_utf8(line).map(str::trim);
        match line {
            Ok("") => {}
            Ok(line) if line.starts_with('#') => {}
            Ok(line) => revocations.push(parse(line).ok_or(unreadable)?),
            Err(_) => return Err(unreadable),
        }
    }
    let last = match (last, place) {
        ([], Some(place)) if from > 0 => place.0.last().cloned().unwrap_or_default(),
        _ => String::from_utf8_lossy(last).into_owned(),
    };
    let offset = from + u64::try_from(whole).unwrap_or_default();
    Ok((Place(vec![identity, offset.to_string(), last]), revocations))
}

/// Whether what was read up to `offset` still ends with that line.
fn ends_with(file: &mut File, offset: u64, last: &str) -> io::Result<bool> {
    let Some(start) = offset.checked_sub(u64::try_from(last.len()).unwrap_or(u64::MAX)) else { return Ok(false) };
    file.seek(SeekFrom::Start(start))?;
    let mut found = Vec::with_capacity(last.len());
    Read::by_ref(file).take(offset - start).read_to_end(&mut found)?;
    Ok(found == last.as_bytes())
}

fn line_of(revocation: &Revocation) -> String {
    let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
    let target = match &revocation.target {
        Target::Session(key) => format!("session {}", key.as_text()),
        Target::User { idp, unique_id } => format!("user {idp}:{}", escaped(unique_id)),
        Target::Email(email) => format!("email {}", escaped(email)),
        Target::Group(name) => format!("group {}", escaped(name)),
        Target::All => "all".to_owned(),
    };
    // Whole seconds, as sessions have them.
    format!("{} {target}\n", Timestamp::from_unix(revocation.at.unix_seconds(), 0))
}

fn parse(line: &str) -> Option<Revocation> {
    let mut parts = line.splitn(3, ' ');
    let at = Timestamp::parse(parts.next()?).ok()?;
    let (kind, value) = (parts.next()?, parts.next().unwrap_or_default());
    let plain =
        |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().filter(|text| !text.is_empty()).map(Into::into);
    let target = match kind {
        "session" => Target::Session(SessionKey::parse(value)?),
        "user" => {
            let (idp, unique_id) = value.split_once(':')?;
            Target::User { idp: IdpId::parse(idp).ok()?, unique_id: plain(unique_id)? }
        }
        "email" => Target::Email(plain(value)?),
        "group" => Target::Group(plain(value)?),
        "all" if value.is_empty() => Target::All,
        _ => return None,
    };
    Some(Revocation { target, at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::contract::at;

    #[test]
    fn a_line_comes_back_whatever_the_name() {
        let idp = IdpId::parse("jumpcloud").unwrap();
        for target in [
            Target::Session(SessionKey::FIRST),
            Target::User { idp, unique_id: "a:b\n2026-01-01T00:00:00Z all".into() },
            Target::Email("ada@example.com".into()),
            Target::Group(" größe 50% ".into()),
            Target::All,
        ] {
            let revocation = Revocation { target, at: at(1_000) };
            let line = line_of(&revocation);
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert_eq!(parse(line.trim_end()), Some(revocation), "{line}");
        }
    }

    #[test]
    fn what_is_no_line_is_an_error_and_not_passed_over() {
        for line in [
            "all",
            "2026-11-26T00:30:00Z",
            "yesterday all",
            "2026-11-26T00:30:00Z al",
            "2026-11-26T00:30:00Z user ada",
            "2026-11-26T00:30:00Z all x",
            "2026-11-26T00:30:00Z group ",
            "2026-11-26T00:30:00Z session x",
        ] {
            assert!(parse(line).is_none(), "{line}");
        }
        assert!(parse("2026-11-26T00:30:00Z group night shift").is_some());
    }

    #[test]
    fn reads_on_where_it_was_and_anew_what_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        assert!(matches!(read(&path, None), Err(FileError::Unreadable(_))));
        std::fs::write(&path, "# begun\n2026-11-26T00:30:00Z all\n2026-11-26T00:30:0").unwrap();
        let (place, known) = read(&path, None).unwrap();
        assert_eq!(known.len(), 1, "the last line is not whole");
        std::fs::write(&path, "# begun\n2026-11-26T00:30:00Z all\n2026-11-26T00:30:01Z group a\n").unwrap();
        let (place, news) = read(&path, Some(&place)).unwrap();
        assert_eq!(news.len(), 1);
        let (place, news) = read(&path, Some(&place)).unwrap();
        assert!(news.is_empty());
        append(&path, &Revocation { target: Target::Group("b".into()), at: at(0) }).unwrap();
        let (place, news) = read(&path, Some(&place)).unwrap();
        assert_eq!(news.len(), 1);
        std::fs::write(&path, "2026-11-26T00:30:00Z group c\n").unwrap();
        let (place, news) = read(&path, Some(&place)).unwrap();
        assert_eq!(news.len(), 1, "shorter: written anew");
        std::fs::write(&path, "2026-11-26T00:30:00Z group c\nnonsense\n").unwrap();
        assert!(matches!(read(&path, Some(&place)), Err(FileError::Line { line: 1, .. })));
    }
}
