//! Clocks of single processes that can be set: by libfaketime, where it is installed (a Debian package). The machine's own
//! clock stays; so does the monotonic one, which no clock step moves.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::chaos::schedule::Member;

/// Where Debian puts the library, under a folder for each architecture.
const LIBRARIES: &str = "/usr/lib";

/// The environment under which a process has a clock that can be set; empty where there is no library.
pub(super) fn environment(folder: &Path, member: Member) -> Result<Vec<(&'static str, String)>, Error> {
    let Some(library) = library() else { return Ok(Vec::new()) };
    set(folder, member, 0)?;
    Ok(vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file(folder, member).display().to_string()),
        // How long it believes the file, in seconds.
        ("FAKETIME_CACHE_DURATION", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ])
}

/// Sets a clock so many seconds off; gives why that cannot be done, when it cannot.
pub(super) fn set(folder: &Path, member: Member, by: i32) -> Result<Option<String>, Error> {
    if library().is_none() {
        return Ok(Some("libfaketime is not installed".to_owned()));
    }
    let (path, draft) = (file(folder, member), folder.join("clock.new"));
    std::fs::write(&draft, format!("{by:+}\n"))?;
    std::fs::rename(draft, path)?;
    Ok(None)
}

fn file(folder: &Path, member: Member) -> PathBuf {
    folder.join(format!("{member}.clock").replace(' ', "-"))
}

fn library() -> Option<PathBuf> {
    let architectures = std::fs::read_dir(LIBRARIES).ok()?.flatten();
    architectures.map(|entry| entry.path().join("faketime/libfaketime.so.1")).find(|path| path.is_file())
}
