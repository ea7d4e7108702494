//! `session.revocations_file`: a line for each revocation, `2026-11-26T00:30:00Z user jumpcloud:5f3c`.
//!
//! Values are percent-encoded where they are not plain ASCII. A line that cannot be read is an error: it was meant to end
//! somebody's session.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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

/// A line of its own, also behind a last one that somebody left unfinished. Where the disk takes a part of it alone, that
/// part is taken back: it would be read as another line, or stop every reader.
pub(super) fn append(path: &Path, revocation: &Revocation) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).open(path)?;
    let before = file.metadata()?.len();
    let line = line_of(revocation);
    let text = if ends_with(&mut file, before, "\n")? || before == 0 { line } else { format!("\n{line}") };
    // One write, so that no other process's line comes between.
    let written = file.write(text.as_bytes())?;
    if written < text.len() {
        if before.checked_add(u64::try_from(written).unwrap_or_default()) == Some(file.metadata()?.len()) {
            file.set_len(before)?;
        }
        return Err(io::ErrorKind::WriteZero.into());
    }
    file.sync_data()
}

/// What was written since `place`; all of it where the file is another one, or was written anew. A last line without an end
/// may be half written: it is taken where the next look finds no more of it.
pub(super) fn read(path: &Path, place: Option<&Place>) -> Result<(Place, Vec<Revocation>), FileError> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    let identity = format!("{}:{}", about.dev(), about.ino());
    let (from, last, waited) = match place.map(|place| place.0.as_slice()) {
        Some([known, offset, last, waited]) if *known == identity => {
            let offset = offset.parse().unwrap_or_default();
            let is_where_it_was = ends_with(&mut file, offset, last)? && goes_on_behind(&mut file, offset, last)?;
            if is_where_it_was { (offset, last.as_str(), waited.as_str()) } else { (0, "", "") }
        }
        _ => (0, "", ""),
    };
    if about.len().saturating_sub(from) > MOST_BYTES {
        return Err(FileError::TooLong);
    }
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text)?;
    let ended = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end.saturating_add(1));
    let unfinished = String::from_utf8_lossy(text.get(ended..).unwrap_or_default()).into_owned();
    let is_all = ended == 0 && unfinished == waited;
    if !is_all {
        text.truncate(ended);
    }
    let revocations = lines(&text, from)?;
    let last = text.split_inclusive(|byte| *byte == b'\n').next_back().map_or(last.into(), String::from_utf8_lossy);
    let offset = from.saturating_add(u64::try_from(text.len()).unwrap_or_default());
    let waiting = if is_all { String::new() } else { unfinished };
    Ok((Place(vec![identity, offset.to_string(), last.into_owned(), waiting]), revocations))
}

fn lines(text: &[u8], from: u64) -> Result<Vec<Revocation>, FileError> {
    let mut revocations = Vec::new();
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let unreadable = FileError::Line { line: number + 1, from };
        match std::str::from_utf8(line).map(str::trim) {
            Ok("") => {}
            Ok(line) if line.starts_with('#') => {}
            Ok(line) => revocations.push(parse(line).ok_or(unreadable)?),
            Err(_) => return Err(unreadable),
        }
    }
    Ok(revocations)
}

/// Whether what was read up to `offset` still ends with that line.
fn ends_with(file: &mut File, offset: u64, last: &str) -> io::Result<bool> {
    let Some(start) = offset.checked_sub(u64::try_from(last.len()).unwrap_or(u64::MAX)) else { return Ok(false) };
    file.seek(SeekFrom::Start(start))?;
    let mut found = Vec::with_capacity(last.len());
    Read::by_ref(file).take(offset - start).read_to_end(&mut found)?;
    Ok(found == last.as_bytes())
}

/// Whether a line that was taken unfinished is still the whole of it.
fn goes_on_behind(file: &mut File, offset: u64, last: &str) -> io::Result<bool> {
    if last.is_empty() || last.ends_with('\n') {
        return Ok(true);
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut next = [0];
    Ok(file.read(&mut next)? == 0 || matches!(next, [b'\n' | b'\r']))
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
    use std::path::PathBuf;

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

    /// What a reader that looks again and again finds.
    struct Reader {
        path: PathBuf,
        place: Option<Place>,
    }

    impl Reader {
        fn groups(&mut self) -> Vec<String> {
            let (place, news) = read(&self.path, self.place.as_ref()).unwrap();
            self.place = Some(place);
            let name = |revocation: Revocation| match revocation.target {
                Target::Group(name) => name.to_string(),
                other => panic!("{other:?}"),
            };
            news.into_iter().map(name).collect()
        }
    }

    fn revoke(path: &Path, group: &str) {
        append(path, &Revocation { target: Target::Group(group.into()), at: at(0) }).unwrap();
    }

    #[test]
    fn a_last_line_without_an_end_is_taken_at_the_second_look() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let mut reader = Reader { path: path.clone(), place: None };
        std::fs::write(&path, "2026-11-26T00:30:00Z group a\n2026-11-26T00:30:00Z group b").unwrap();
        assert_eq!(reader.groups(), ["a"]);
        assert_eq!(reader.groups(), ["b"]);
        assert_eq!(reader.groups(), [""; 0]);
        revoke(&path, "c");
        assert_eq!(reader.groups(), ["c"]);
        assert_eq!(reader.groups(), [""; 0]);
    }

    #[test]
    fn a_line_that_is_being_written_is_awaited() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let mut reader = Reader { path: path.clone(), place: None };
        for (written, found) in [
            ("2026-11-26T00:30:00Z group ni", &[][..]),
            ("2026-11-26T00:30:00Z group night", &[]),
            ("2026-11-26T00:30:00Z group night shift\n", &["night shift"]),
            ("2026-11-26T00:30:00Z group night shift\n2026-11-26T00:30:00Z group b", &[]),
            ("2026-11-26T00:30:00Z group night shift\n2026-11-26T00:30:00Z group b\n", &["b"]),
        ] {
            std::fs::write(&path, written).unwrap();
            assert_eq!(reader.groups(), found, "{written}");
        }
    }

    #[test]
    fn a_line_that_grew_after_it_was_taken_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let mut reader = Reader { path: path.clone(), place: None };
        std::fs::write(&path, "2026-11-26T00:30:00Z group night").unwrap();
        assert_eq!((reader.groups().len(), reader.groups()), (0, vec!["night".to_owned()]));
        std::fs::write(&path, "2026-11-26T00:30:00Z group night shift\n").unwrap();
        assert_eq!(reader.groups(), ["night shift"]);
    }

    #[test]
    fn each_revocation_has_a_line_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        for (before, lines) in [("", 1), ("# a\n", 2), ("2026-11-26T00:30:00Z group a", 2), ("# a", 2)] {
            std::fs::write(&path, before).unwrap();
            revoke(&path, "b");
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count(), lines, "{text}");
            assert!(text.starts_with(before) && text.ends_with(" group b\n"), "{text}");
        }
    }
}
