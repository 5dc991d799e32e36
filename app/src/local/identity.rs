//! As whom a server runs.
//!
//! Postgres refuses to run as root, so root hands it to the user `postgres`, or `nobody` where that does not
//! exist. That user may not be able to walk down to the data: a checkout below `/root` or in a `mktemp -d` folder
//! is closed to it. Moving the data elsewhere would break the promise that everything lies under one folder, and
//! opening root's folders to others is not ours to do; so the server gets, in that case only, the one capability
//! that lets it pass closed folders. It still is not root: it owns and can change nothing but its own data.

use std::{
    ffi::OsStr,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Error, binary};

/// The capabilities that let a process pass a closed folder. The first allows no writing; containers
/// usually grant only the second.
const PASS_CLOSED_FOLDERS: [&str; 2] = ["+dac_read_search", "+dac_override"];

/// As whom a server runs, and how its programs are begun.
#[derive(Debug, Clone, Default)]
pub(super) struct Identity {
    /// `None`: as we are.
    user: Option<User>,
    capability: Option<&'static str>,
    setpriv: Option<PathBuf>,
}

#[derive(Debug, Clone)]
struct User {
    name: String,
    uid: u32,
    gid: u32,
}

impl Identity {
    /// As whoever runs this process.
    pub(super) fn current() -> Self {
        Self { setpriv: setpriv(), ..Self::default() }
    }

    /// Someone who is not root: the owner of `data` where it exists already, so that its files keep one owner.
    pub(super) fn not_root(data: &Path) -> Result<Self, Error> {
        let mut identity = Self::current();
        if current_uid() == Some(0) {
            identity.user = User::owning(data).or_else(|| ["postgres", "nobody"].into_iter().find_map(User::named));
            if identity.user.is_none() {
                let what = "Postgres refuses to run as root, and there is neither a user `postgres` nor `nobody`";
                return Err(Error::Failed { what: what.into(), said: String::new() });
            }
        }
        Ok(identity)
    }

    /// Hands a file or an empty folder over.
    pub(super) fn give(&self, path: &Path) -> Result<(), Error> {
        let Some(user) = &self.user else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid)).map_err(Error::io(format!(
            "cannot give {} to {}",
            path.display(),
            user.name
        )))
    }

    /// Makes sure that programs begun as this identity can work in `folder`, which must be theirs.
    pub(super) fn reach(&mut self, folder: &Path) -> Result<(), Error> {
        let Some(user) = &self.user else { return Ok(()) };
        let name = user.name.clone();
        for capability in [None].into_iter().chain(PASS_CLOSED_FOLDERS.map(Some)) {
            self.capability = capability;
            // A real look: access(2), which `test` asks, pays no heed to capabilities.
            let mut probe = self.command("ls", None);
            probe.arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
            if probe.status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
        }
        Err(Error::Unreachable { folder: folder.to_owned(), user: name })
    }

    /// A command that runs as this identity. With a `death` signal it gets that signal when the thread that
    /// spawned it ends (Linux; elsewhere there is no such thing).
    pub(super) fn command(&self, program: impl AsRef<OsStr>, death: Option<&str>) -> Command {
        let Some(setpriv) = &self.setpriv else {
            let mut command = Command::new(program);
            if let Some(user) = &self.user {
                command.uid(user.uid).gid(user.gid);
            }
            return command;
        };
        let mut command = Command::new(setpriv);
        if let Some(user) = &self.user {
            command.arg(format!("--reuid={}", user.uid)).arg(format!("--regid={}", user.gid)).arg("--clear-groups");
        }
        if let Some(capability) = self.capability {
            command.arg(format!("--inh-caps={capability}")).arg(format!("--ambient-caps={capability}"));
        }
        if let Some(signal) = death {
            command.arg("--pdeathsig").arg(signal);
        }
        command.arg("--").arg(program);
        command
    }
}

impl User {
    fn named(name: &str) -> Option<Self> {
        Some(Self { name: name.into(), uid: id(&["-u", name])?, gid: id(&["-g", name])? })
    }

    fn owning(path: &Path) -> Option<Self> {
        let meta = path.metadata().ok().filter(|meta| meta.uid() != 0)?;
        Some(Self { name: format!("#{}", meta.uid()), uid: meta.uid(), gid: meta.gid() })
    }
}

/// The user id that this process acts with.
pub(super) fn current_uid() -> Option<u32> {
    id(&["-u"])
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// util-linux's `setpriv`; busybox has one by the same name that lacks `--pdeathsig`.
fn setpriv() -> Option<PathBuf> {
    let program = binary::in_path("setpriv")?;
    let works = Command::new(&program)
        .args(["--pdeathsig", "TERM", "--", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    works.then_some(program)
}
