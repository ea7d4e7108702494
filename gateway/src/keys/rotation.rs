//! A key is known to every reader before any writer uses it, and for as long afterwards as something needs it. So a
//! rotation has two steps, and every replica starts again after each: the next key is made, which all read from then
//! on; then it is the current one, and the current one is the previous.
//!
//! Whether the replicas have started again in between, nobody here can tell.

use std::path::{Path, PathBuf};

use serde::Serialize;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::KeyError;
use super::files::{self, Access, Age, Ages, KeyName};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotate {
    /// The step that comes next.
    Step,
    /// Both steps.
    AtOnce,
    /// As if nothing of what is there could be trusted: a new key, and no other.
    Anew,
    /// Nothing but the end of the previous keys.
    Retire,
}

/// What happens to one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Announced,
    /// It waits for others that are behind.
    AlreadyAnnounced,
    InUse,
    /// The others had been left half way.
    AlreadyInUse,
    /// In use without having been announced.
    InUseAtOnce,
    Replaced,
    Retired,
    NothingToRetire,
    /// There is no such key, and none is made.
    Absent,
}

/// The steps that are to be taken, for files that could all be read.
pub struct Rotation {
    directory: PathBuf,
    keys: Vec<(KeyName, Step)>,
    files: Vec<(Files, Step)>,
}

type Stage = fn(&Rotation, &Files, Step) -> Result<(), KeyError>;

/// A key that is there.
struct Files {
    name: KeyName,
    access: Access,
    current: Zeroizing<String>,
    previous: Option<Zeroizing<String>>,
    has_next: bool,
}

impl Rotation {
    /// Each for all keys, before the next one begins.
    const STAGES: [Stage; 5] = [Self::clear, Self::announce, Self::keep_current, Self::put_in_use, Self::drop_previous];

    /// Without names, of all keys that are there.
    ///
    /// # Errors
    /// A file cannot be read as the key that it should hold, or there is no such key.
    pub fn plan(directory: &Path, names: &[KeyName], rotate: Rotate) -> Result<Self, KeyError> {
        let mut files = Vec::new();
        let mut keys = Vec::new();
        for name in KeyName::ALL.into_iter().filter(|name| names.is_empty() || names.contains(name)) {
            match Files::read(directory, name)? {
                Some(found) => files.push(found),
                None if names.is_empty() => keys.push((name, Step::Absent)),
                None => return Err(KeyError::NothingToRotate { path: name.path(directory, Age::Current) }),
            }
        }
        if files.is_empty() {
            return Err(KeyError::NothingToRotate { path: directory.join("*.current") });
        }
        let steps = choose(&files, rotate);
        keys.extend(files.iter().zip(&steps).map(|(files, step)| (files.name, *step)));
        keys.sort_by_key(|(name, _)| KeyName::ALL.iter().position(|known| known == name));
        Ok(Self { directory: directory.to_owned(), keys, files: files.into_iter().zip(steps).collect() })
    }

    /// In the order of [`KeyName::ALL`].
    pub fn steps(&self) -> &[(KeyName, Step)] {
        &self.keys
    }

    /// After a crash or an error the same call finishes what was begun, and at no moment is a current key missing.
    ///
    /// # Errors
    /// A file cannot be written, or a key cannot be made.
    pub fn carry_out(&self) -> Result<(), KeyError> {
        for stage in Self::STAGES {
            for (files, step) in &self.files {
                stage(self, files, *step)?;
            }
            files::settle(&self.directory)?;
        }
        Ok(())
    }

    fn clear(&self, files: &Files, _: Step) -> Result<(), KeyError> {
        files::remove_unfinished(&self.directory, files.name)
    }

    fn announce(&self, files: &Files, step: Step) -> Result<(), KeyError> {
        match step {
            Step::Announced | Step::InUseAtOnce => self.put(files, Age::Next, &files.name.make()?),
            // First of all: no later call, whichever it is, may put it in use.
            Step::Replaced => self.remove(files, Age::Next),
            _ => Ok(()),
        }
    }

    /// From here until it is replaced the current key is the previous one as well, which is how `choose` knows that
    /// the second step was begun.
    fn keep_current(&self, files: &Files, step: Step) -> Result<(), KeyError> {
        match step {
            Step::InUse | Step::InUseAtOnce => self.put(files, Age::Previous, &files.current),
            _ => Ok(()),
        }
    }

    fn put_in_use(&self, files: &Files, step: Step) -> Result<(), KeyError> {
        let path = |age| files.name.path(&self.directory, age);
        match step {
            Step::InUse | Step::InUseAtOnce => files::rename(&path(Age::Next), &path(Age::Current)),
            Step::Replaced => self.put(files, Age::Current, &files.name.make()?),
            _ => Ok(()),
        }
    }

    fn drop_previous(&self, files: &Files, step: Step) -> Result<(), KeyError> {
        match step {
            Step::Retired | Step::Replaced => self.remove(files, Age::Previous),
            _ => Ok(()),
        }
    }

    fn put(&self, files: &Files, age: Age, text: &str) -> Result<(), KeyError> {
        files::put(&files.name.path(&self.directory, age), text, files.access)
    }

    fn remove(&self, files: &Files, age: Age) -> Result<(), KeyError> {
        files::remove(&files.name.path(&self.directory, age))
    }
}

impl Files {
    fn read(directory: &Path, name: KeyName) -> Result<Option<Self>, KeyError> {
        let ages = Ages::read(directory, name, |path, text| name.check(path, &text).map(|()| text))?;
        let Some(current) = ages.current else { return Ok(None) };
        let access = Access::of(&name.path(directory, Age::Current))?;
        Ok(Some(Self { name, access, current, previous: ages.previous, has_next: ages.next.is_some() }))
    }

    /// Only our own step leaves it so.
    fn is_half_way(&self) -> bool {
        let is_current = |text: &Zeroizing<String>| bool::from(text.as_bytes().ct_eq(self.current.as_bytes()));
        self.has_next && self.previous.as_ref().is_some_and(is_current)
    }
}

/// Several keys go in step. A call that was cut off has done some of them; so what was left half way is finished and
/// the others wait, else those that are behind catch up first. That never puts a key in use which this call, or the
/// one that was cut off, has announced a moment ago.
fn choose(files: &[Files], rotate: Rotate) -> Vec<Step> {
    let finishes = files.iter().any(Files::is_half_way);
    let announces = !files.iter().all(|files| files.has_next);
    let choose = |files: &Files| match (rotate, files.has_next) {
        (Rotate::Anew, _) => Step::Replaced,
        (Rotate::Retire, _) if files.previous.is_some() => Step::Retired,
        (Rotate::Retire, _) => Step::NothingToRetire,
        (_, false) if finishes => Step::AlreadyInUse,
        (_, true) if finishes => Step::InUse,
        (Rotate::AtOnce, false) => Step::InUseAtOnce,
        (Rotate::Step, false) => Step::Announced,
        (Rotate::Step, true) if announces => Step::AlreadyAnnounced,
        (_, true) => Step::InUse,
    };
    files.iter().map(choose).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use config::{Settings, StoreSettings};
    use tempfile::TempDir;

    use super::*;
    use crate::keys::{Keys, generate};
    use crate::testing;

    /// Those that are made in no time.
    const QUICK: [KeyName; 3] = [KeyName::Seal, KeyName::Index, KeyName::Jwt];
    const ALL_ROTATIONS: [Rotate; 4] = [Rotate::Step, Rotate::AtOnce, Rotate::Anew, Rotate::Retire];

    struct Dir(TempDir);

    /// What each file holds, by its name.
    type Content = BTreeMap<String, String>;

    impl Dir {
        fn with(names: &[KeyName]) -> Self {
            let dir = Self(tempfile::tempdir().unwrap());
            for name in names {
                dir.write(&format!("{}.current", name.as_str()), &name.make().unwrap());
            }
            dir
        }

        fn write(&self, file: &str, text: &str) {
            files::create(&self.0.path().join(file), text).unwrap();
        }

        fn chmod(&self, file: &str, mode: u32) {
            fs::set_permissions(self.0.path().join(file), fs::Permissions::from_mode(mode)).unwrap();
        }

        fn mode(&self, file: &str) -> u32 {
            fs::metadata(self.0.path().join(file)).unwrap().permissions().mode() & 0o7777
        }

        fn plan(&self, names: &[KeyName], rotate: Rotate) -> Result<Rotation, KeyError> {
            Rotation::plan(self.0.path(), names, rotate)
        }

        fn rotate(&self, names: &[KeyName], rotate: Rotate) -> Vec<(KeyName, Step)> {
            let rotation = self.plan(names, rotate).unwrap();
            rotation.carry_out().unwrap();
            rotation.steps().to_vec()
        }

        fn content(&self) -> Content {
            let entries = fs::read_dir(self.0.path()).unwrap().map(Result::unwrap);
            entries
                .map(|entry| {
                    (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap_or_default())
                })
                .collect()
        }

        fn load(&self) -> Keys {
            let mut settings = Settings { keys_dir: Some(self.0.path().to_owned()), ..testing::settings() };
            settings.session.store = StoreSettings::Redis(testing::redis());
            Keys::load(&settings).unwrap().0
        }
    }

    fn all(step: Step) -> Vec<(KeyName, Step)> {
        QUICK.map(|name| (name, step)).to_vec()
    }

    /// Current, previous and next of a key.
    fn ages(content: &Content, name: KeyName) -> [Option<&String>; 3] {
        ["current", "previous", "next"].map(|age| content.get(&format!("{}.{age}", name.as_str())))
    }

    #[test]
    fn a_key_is_announced_then_in_use_and_a_third_call_begins_anew() {
        let dir = Dir::with(&QUICK);
        let before = dir.content();
        assert_eq!(dir.rotate(&QUICK, Rotate::Step), all(Step::Announced));
        let announced = dir.content();
        assert_eq!(dir.rotate(&QUICK, Rotate::Step), all(Step::InUse));
        let in_use = dir.content();
        assert_eq!(dir.rotate(&QUICK, Rotate::Step), all(Step::Announced));
        let anew = dir.content();
        for name in QUICK {
            let [old, ..] = ages(&before, name);
            let [current, previous, new] = ages(&announced, name);
            assert_eq!((current, previous), (old, None));
            assert!(new.is_some() && new != old);
            assert_eq!(ages(&in_use, name), [new, old, None]);
            let [current, previous, newest] = ages(&anew, name);
            assert_eq!((current, previous), (new, old));
            assert!(newest.is_some() && newest != new && newest != old);
        }
        dir.rotate(&QUICK, Rotate::Step);
        assert_eq!(ages(&dir.content(), KeyName::Jwt)[1], ages(&in_use, KeyName::Jwt)[0], "the former previous goes");
    }

    #[test]
    fn all_five_keys_load_after_each_step_and_are_told_before_they_are_used() {
        let dir = Dir(tempfile::tempdir().unwrap());
        generate(dir.0.path()).unwrap();
        let told = |keys: &Keys| {
            let saml = keys.saml();
            [saml.signing_certificates(), saml.encryption_certificates()]
                .map(|certificates| certificates.iter().map(|found| found.base64().to_owned()).collect::<Vec<_>>())
        };
        let before = told(&dir.load());
        dir.rotate(&[], Rotate::Step);
        let keys = dir.load();
        let announced = told(&keys);
        for (before, announced) in before.iter().zip(&announced) {
            assert_eq!((announced.len(), &announced[..1]), (2, &before[..]));
        }
        assert_eq!(keys.saml().signing().unwrap().certificate().base64(), before[0][0]);
        assert_eq!((keys.saml().decryption().all().count(), keys.jwt().all().count()), (2, 2));
        let steps = dir.rotate(&[], Rotate::Step);
        assert_eq!(steps, KeyName::ALL.map(|name| (name, Step::InUse)));
        let keys = dir.load();
        let in_use = told(&keys);
        for (announced, in_use) in announced.iter().zip(&in_use) {
            assert_eq!(in_use[..], announced[1..]);
        }
        assert_eq!(keys.saml().signing().unwrap().certificate().base64(), in_use[0][0]);
        assert_eq!((keys.saml().decryption().all().count(), keys.jwt().all().count()), (2, 2));
        for file in dir.content().keys() {
            assert_eq!(dir.mode(file), 0o600, "{file}");
        }
    }

    /// Every call is cut off after each of its operations.
    #[test]
    fn what_a_crash_leaves_can_be_loaded_and_the_same_call_finishes_it() {
        let states: [fn(&Dir); 3] = [
            |_| {},
            |dir| drop(dir.rotate(&QUICK, Rotate::Step)),
            |dir| (0..3).for_each(|_| drop(dir.rotate(&QUICK, Rotate::Step))),
        ];
        for (state, prepare) in states.iter().enumerate() {
            for rotate in ALL_ROTATIONS {
                for operations in 0..Rotation::STAGES.len() * QUICK.len() {
                    let dir = Dir::with(&QUICK);
                    prepare(&dir);
                    let before = dir.content();
                    let rotation = dir.plan(&QUICK, rotate).unwrap();
                    let whole =
                        Rotation::STAGES.iter().flat_map(|stage| rotation.files.iter().map(move |of| (stage, of)));
                    for (stage, (files, step)) in whole.take(operations) {
                        stage(&rotation, files, *step).unwrap();
                    }
                    let keys = dir.load();
                    let held = keys.jwt().all().map(|key| key.bytes()).collect::<Vec<_>>();
                    assert!(held.iter().skip(1).all(|key| *key != held[0]), "nothing is published twice");
                    if !is_done(&before, &dir.content(), rotate) {
                        dir.rotate(&QUICK, rotate);
                    }
                    let case = format!("state {state}, {rotate:?}, cut off after {operations}");
                    assert!(is_done(&before, &dir.content(), rotate), "{case}: {:?}", dir.content().keys());
                }
            }
        }
    }

    fn is_done(before: &Content, after: &Content, rotate: Rotate) -> bool {
        QUICK.into_iter().all(|name| {
            let (before, after) = (ages(before, name), ages(after, name));
            let [current, previous, next] = before;
            match (rotate, next) {
                (Rotate::Step, None) => after[..2] == before[..2] && after[2].is_some(),
                (Rotate::Step | Rotate::AtOnce, Some(_)) => after == [next, current, None],
                (Rotate::AtOnce, None) => after[1..] == [current, None] && ![current, previous].contains(&after[0]),
                (Rotate::Anew, _) => after[1..] == [None, None] && !before.contains(&after[0]),
                (Rotate::Retire, _) => after == [current, None, next],
            }
        })
    }

    #[test]
    fn what_was_half_written_goes() {
        let dir = Dir::with(&QUICK);
        dir.write(".jwt.next.tmp.1", "-----BEGIN PRIV");
        dir.load();
        dir.rotate(&[KeyName::Seal], Rotate::Step);
        assert!(dir.content().contains_key(".jwt.next.tmp.1"), "another key's is left alone");
        dir.rotate(&[KeyName::Jwt], Rotate::Step);
        assert_eq!(dir.content().keys().filter(|file| file.starts_with('.')).count(), 0);
    }

    #[test]
    fn keys_that_are_behind_catch_up_first() {
        let dir = Dir::with(&QUICK);
        assert_eq!(dir.rotate(&[KeyName::Jwt], Rotate::Step), [(KeyName::Jwt, Step::Announced)]);
        let next = dir.content()["jwt.next"].clone();
        let expected = [
            (KeyName::Seal, Step::Announced),
            (KeyName::Index, Step::Announced),
            (KeyName::Jwt, Step::AlreadyAnnounced),
        ];
        assert_eq!(dir.rotate(&QUICK, Rotate::Step), expected);
        assert_eq!(dir.content()["jwt.next"], next);
        assert_eq!(dir.rotate(&QUICK, Rotate::Step), all(Step::InUse));
    }

    #[test]
    fn a_key_that_is_not_there_is_not_made() {
        let dir = Dir::with(&QUICK);
        let steps = dir.rotate(&[], Rotate::Step);
        let absent = [KeyName::SpSigning, KeyName::SpDecryption].map(|name| (name, Step::Absent));
        assert_eq!(steps, [all(Step::Announced), absent.to_vec()].concat());
        let refused = |dir: &Dir, names: &[KeyName]| dir.plan(names, Rotate::Step).err().unwrap();
        assert!(matches!(refused(&dir, &[KeyName::SpSigning]), KeyError::NothingToRotate { .. }));
        assert!(matches!(refused(&Dir::with(&[]), &[]), KeyError::NothingToRotate { .. }));
        let lost = Dir::with(&[KeyName::Seal]);
        lost.write("jwt.next", &KeyName::Jwt.make().unwrap());
        assert!(matches!(refused(&lost, &[]), KeyError::NoCurrent { .. }));
    }

    #[test]
    fn refuses_whole_where_one_key_cannot_be_read() {
        let key = KeyName::Jwt.make().unwrap();
        for file in ["jwt.current", "jwt.previous", "jwt.next"] {
            for rotate in ALL_ROTATIONS {
                let malformed = Dir::with(&[KeyName::Seal, KeyName::Index]);
                malformed.write("jwt.current", &key);
                let _ = fs::remove_file(malformed.0.path().join(file));
                malformed.write(file, "no key");
                let before = malformed.content();
                let refused = malformed.plan(&[], rotate).err().unwrap();
                assert!(matches!(&refused, KeyError::Malformed { path, .. } if path.ends_with(file)), "{refused}");
                assert_eq!(malformed.content(), before);

                let exposed = Dir::with(&QUICK);
                if file != "jwt.current" {
                    exposed.write(file, &key);
                }
                exposed.chmod(file, 0o644);
                let refused = exposed.plan(&[], rotate).err().unwrap();
                assert!(matches!(&refused, KeyError::Exposed { path, .. } if path.ends_with(file)), "{refused}");
            }
        }
        let folder = Dir::with(&QUICK);
        fs::create_dir(folder.0.path().join("jwt.next")).unwrap();
        folder.chmod("jwt.next", 0o700);
        assert!(matches!(folder.plan(&[], Rotate::Step).err(), Some(KeyError::Unreadable { .. })));
    }

    #[test]
    fn a_plan_writes_nothing() {
        let dir = Dir::with(&QUICK);
        dir.rotate(&QUICK, Rotate::AtOnce);
        dir.write(".jwt.next.tmp.1", "");
        let before = dir.content();
        for rotate in ALL_ROTATIONS {
            assert_eq!(dir.plan(&QUICK, rotate).unwrap().steps().len(), 3);
        }
        assert_eq!(dir.content(), before);
    }

    #[test]
    fn previous_keys_are_removed_where_there_are_any() {
        let dir = Dir::with(&QUICK);
        assert_eq!(dir.rotate(&QUICK, Rotate::Retire), all(Step::NothingToRetire));
        dir.rotate(&[KeyName::Jwt], Rotate::AtOnce);
        let steps = dir.rotate(&[KeyName::Seal, KeyName::Jwt], Rotate::Retire);
        assert_eq!(steps, [(KeyName::Seal, Step::NothingToRetire), (KeyName::Jwt, Step::Retired)]);
        assert_eq!(dir.content().len(), 3);
    }

    #[test]
    fn whoever_reads_the_current_key_reads_the_new_one() {
        for (mode, expected) in [(0o600, 0o600), (0o400, 0o600), (0o640, 0o640), (0o440, 0o640)] {
            let dir = Dir::with(&[KeyName::Jwt]);
            dir.chmod("jwt.current", mode);
            dir.rotate(&[], Rotate::Step);
            assert_eq!((dir.mode("jwt.current"), dir.mode("jwt.next")), (mode, expected));
            dir.rotate(&[], Rotate::Step);
            assert_eq!((dir.mode("jwt.current"), dir.mode("jwt.previous")), (expected, expected));
        }
    }
}
