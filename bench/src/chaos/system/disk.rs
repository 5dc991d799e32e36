//! The disk of NATS: a small file system in memory that can be filled. Mounting one needs root on Linux.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;
use crate::fleet::Fleet;

/// How large it is.
const SIZE: &str = "size=64m";
/// How much is written at a time to fill it.
const CHUNK: usize = 1024 * 1024;

/// A mounted file system; dropping it unmounts it.
#[derive(Debug)]
pub(super) struct Disk {
    at: PathBuf,
}

/// Where NATS keeps its streams.
pub(super) fn store(fleet: &Fleet) -> PathBuf {
    fleet.folder().join("nats").join("store")
}

/// Removes all that is in a folder, which must be there: else something else would be kept than is believed to be lost.
pub(super) fn empty(folder: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
    }
    Ok(())
}

impl Disk {
    /// Puts the streams of NATS onto a disk of their own; the reason, where that cannot be done.
    pub(super) async fn beneath(fleet: &mut Fleet) -> Result<Self, String> {
        if !cfg!(target_os = "linux") {
            return Err("a disk in memory can be mounted on Linux only".to_owned());
        }
        fleet.nats.stop().await;
        let mounted = Self::mount(store(fleet));
        fleet.nats.restart().await.map_err(|error| error.to_string())?;
        mounted
    }

    fn mount(at: PathBuf) -> Result<Self, String> {
        std::fs::create_dir_all(&at).map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(&at).stdin(Stdio::null());
        let said = mount.output().map_err(|error| error.to_string())?;
        if said.status.success() {
            return Ok(Self { at });
        }
        Err(format!("mounting needs root: {}", String::from_utf8_lossy(&said.stderr).trim()))
    }

    /// Writes until nothing more fits.
    pub(super) fn fill(&self) -> Result<(), Error> {
        let mut filler = std::fs::File::create(self.filler())?;
        let mut chunk = vec![0; CHUNK];
        while !chunk.is_empty() {
            match filler.write(&chunk) {
                // The last corners, too.
                Ok(0) => chunk.truncate(chunk.len() / 2),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => chunk.truncate(chunk.len() / 2),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Makes room again.
    pub(super) fn free(&self) -> Result<(), Error> {
        match std::fs::remove_file(self.filler()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still has files open there keeps them.
        let _ = Command::new("umount").arg("-l").arg(&self.at).stdin(Stdio::null()).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_emptied_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        assert!(empty(&store).is_err());
        std::fs::create_dir_all(store.join("jetstream")).unwrap();
        empty(&store).unwrap();
        assert_eq!(std::fs::read_dir(&store).unwrap().count(), 0);
    }
}
