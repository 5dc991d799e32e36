//! A server's folder: its lock, its secrets, its log, and a free port.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::Error;

/// A log that has grown beyond this is begun anew at the next start.
const LOG_LIMIT: u64 = 16 * 1024 * 1024;

/// An open folder: while it lives, no other process opens the same one.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder when it is missing, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .and_then(|()| path.canonicalize())
            .map_err(Error::io(format!("cannot make the folder {}", path.display())))
            .and_then(Self::lock)
    }

    fn lock(path: PathBuf) -> Result<Self, Error> {
        let lock = private().write(true).create(true).truncate(false).open(path.join("lock"));
        let lock = lock.map_err(Error::io(format!("cannot open {}/lock", path.display())))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { folder: path }),
            Err(TryLockError::Error(e)) => Err(Error::io("cannot lock the folder")(e)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The password kept under this name, made on first use, readable by its owner alone.
    ///
    /// It begins with a letter, because nats-server would read a leading digit as a number.
    pub(super) fn password(&self, name: &str) -> Result<String, Error> {
        let file = self.join(name);
        if let Ok(password) = fs::read_to_string(&file)
            && !password.is_empty()
        {
            return Ok(password);
        }
        let password = format!("p{}", Uuid::new_v4().simple());
        let draft = self.join(&format!("{name}.new"));
        private()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&draft)
            .and_then(|mut file| file.write_all(password.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&draft, &file))
            .map_err(Error::io(format!("cannot write {}", file.display())))?;
        Ok(password)
    }

    /// The server's log, opened for appending.
    pub(super) fn log(&self) -> Result<File, Error> {
        let path = self.join("log");
        if path.metadata().is_ok_and(|meta| meta.len() > LOG_LIMIT) {
            let _ = fs::remove_file(&path);
        }
        let file = private().append(true).create(true).open(&path);
        file.map_err(Error::io(format!("cannot open {}", path.display())))
    }

    /// The last lines of the server's log, for an error message.
    pub(super) fn last_words(&self) -> String {
        let mut text = Vec::new();
        if let Ok(mut file) = File::open(self.join("log")) {
            let from = file.metadata().map_or(0, |meta| meta.len().saturating_sub(4096));
            let _ = file.seek(SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut text));
        }
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

/// Removes a folder and all in it; one that is not there is fine.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("cannot remove {}", path.display()))(e))
        }
        _ => Ok(()),
    }
}

/// Makes a folder for its owner alone.
pub(super) fn make(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o700)))
        .map_err(Error::io(format!("cannot make the folder {}", path.display())))
}

/// A loopback port that nobody listens on at this moment.
pub(super) fn free_port() -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(Error::io("cannot find a free port"))
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}
