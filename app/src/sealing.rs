//! The key-encryption keys of this installation: those of the settings, else those that `up` keeps in its data folder.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use store::sealing::{Sealing, new_kek};
use zeroize::Zeroizing;

use crate::config::Settings;
use crate::wire::Error;

/// Where `up` keeps them: a line for each, its version and the key in base64. The highest version seals. Whoever loses the
/// file loses every key that people have saved.
const FILE: &str = "sealing-keys";

/// The keys; none where the settings have none and no `up` has run with this data folder.
pub(crate) fn of(settings: &Settings) -> Result<Option<Arc<Sealing>>, Error> {
    let configured = &settings.sealing;
    if let Some(current) = configured.current {
        // Loading has seen to it that versions are numbers.
        let keys = configured.keys.iter().filter_map(|(version, key)| Some((version.parse().ok()?, key.expose())));
        return Sealing::new(keys, current).map(Arc::new).map(Some).map_err(Error::other);
    }
    let path = path(&settings.data);
    match fs::read_to_string(&path).map(Zeroizing::new) {
        Ok(text) => read(&text).map(|sealing| Some(Arc::new(sealing))).map_err(|error| unreadable(&path, error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&path, error)),
    }
}

/// Makes a key in the data folder of `up`, unless there is one or the settings have one.
pub(crate) fn keep(settings: &Settings) -> Result<(), Error> {
    let path = path(&settings.data);
    if settings.sealing.current.is_some() || path.exists() {
        return Ok(());
    }
    let key = new_kek().map_err(Error::other)?;
    write(&path, &key).map_err(|error| Error::other(format!("cannot write {}: {error}", path.display())))
}

fn path(data: &Path) -> PathBuf {
    data.join(FILE)
}

fn unreadable(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::other(format!("{} cannot be used: {error}", path.display()))
}

fn read(text: &str) -> Result<Sealing, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let keys = lines.map(|text| line(text).ok_or("a line has a version, a space and a key"));
    let keys = keys.collect::<Result<Vec<(u32, &str)>, _>>()?;
    let current = keys.iter().map(|(version, _)| *version).max().ok_or("it is empty")?;
    Sealing::new(keys, current).map_err(|error| error.to_string())
}

/// The version in a line, and its key; which is not copied, for nobody would wipe the copy.
fn line(text: &str) -> Option<(u32, &str)> {
    let (version, key) = text.split_once(' ')?;
    Some((version.parse().ok()?, key.trim()))
}

/// There as a whole and to stay, or not there.
fn write(path: &Path, key: &str) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    writeln!(file, "1 {key}")?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_key_is_read_again_and_the_highest_version_seals() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path());
        write(&path, &new_kek().unwrap()).unwrap();
        let kept = fs::read_to_string(&path).unwrap();
        assert_eq!(read(&kept).unwrap().current(), 1);
        let more = format!("{kept}10 {}\n\n2 {}\n", *new_kek().unwrap(), *new_kek().unwrap());
        assert_eq!(read(&more).unwrap().current(), 10);
    }

    #[test]
    fn what_is_no_key_is_named_and_not_shown() {
        for text in ["", "1", "one c2VjcmV0", "1 c2VjcmV0"] {
            let error = read(text).unwrap_err();
            assert!(!error.contains("c2VjcmV0"), "{error}");
        }
    }
}
