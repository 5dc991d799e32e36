//! Finding the server programs on this machine.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Error, identity};

const POSTGRES_AT_LEAST: (u32, u32) = (15, 0);
const NATS_AT_LEAST: (u32, u32) = (2, 14);

/// The folder that holds `postgres` and `initdb`: of the major version that made `data` where it exists already,
/// because no other can read it; else the first that is new enough.
pub(super) fn postgres(data: &Path) -> Result<PathBuf, Error> {
    postgres_in(path().chain(debian()).chain(homebrew()), data)
}

fn postgres_in(folders: impl Iterator<Item = PathBuf>, data: &Path) -> Result<PathBuf, Error> {
    let made_by = fs::read_to_string(data.join("PG_VERSION")).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let mut found = None;
    for folder in folders {
        if !folder.join("initdb").is_file() {
            continue;
        }
        match version(&folder.join("postgres")) {
            Some((version, _)) if made_by.map_or(version >= POSTGRES_AT_LEAST, |major| version.0 == major) => {
                return Ok(folder);
            }
            Some((_, text)) => found = Some(text),
            None => {}
        }
    }
    match made_by {
        Some(major) => Err(Error::PostgresOther { major, data: data.to_owned() }),
        None => Err(Error::PostgresMissing { found }),
    }
}

/// The `nats-server` program, version 2.14 or newer: from the PATH, beside this program, or from `.tools/bin`
/// of the checkout that this program or the working folder lies in.
pub(super) fn nats() -> Result<PathBuf, Error> {
    nats_in(path().chain(beside()).chain(tools()))
}

fn nats_in(folders: impl Iterator<Item = PathBuf>) -> Result<PathBuf, Error> {
    let mut found = None;
    for program in folders.map(|folder| folder.join("nats-server")) {
        match version(&program) {
            Some((version, _)) if version >= NATS_AT_LEAST => return Ok(program),
            Some((_, text)) => found = Some(text),
            None => {}
        }
    }
    Err(Error::NatsMissing { found })
}

/// The program of this name in the PATH.
pub(super) fn in_path(name: &str) -> Option<PathBuf> {
    path().map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn path() -> impl Iterator<Item = PathBuf> {
    // An empty entry would mean the working folder.
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).filter(|p| p.is_absolute()).collect::<Vec<_>>().into_iter()
}

/// Debian keeps every major version in its own folder, outside of the PATH; the newest first.
fn debian() -> impl Iterator<Item = PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, folder)| folder)
}

/// Homebrew does not link versioned packages into the PATH.
fn homebrew() -> impl Iterator<Item = PathBuf> {
    ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"].into_iter().flat_map(|opt| {
        (15..=20)
            .rev()
            .map(move |major| PathBuf::from(opt).join(format!("postgresql@{major}/bin")))
            .chain([PathBuf::from(opt).join("postgresql/bin")])
    })
}

fn beside() -> impl Iterator<Item = PathBuf> {
    env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)).into_iter()
}

/// `.tools/bin` in the folders above this program (`target/debug/…` of a checkout) and above the working folder.
/// Only programs of our own or of root count: someone else's `/tmp/.tools/bin` must not be run.
fn tools() -> impl Iterator<Item = PathBuf> {
    let uid = identity::current_uid();
    let starts = [env::current_exe().ok(), env::current_dir().ok()];
    starts
        .into_iter()
        .flatten()
        .flat_map(|start| start.ancestors().map(|folder| folder.join(".tools/bin")).collect::<Vec<_>>())
        .filter(move |folder| {
            let owner = |path: &Path| path.metadata().map(|meta| meta.uid());
            owner(&folder.join("nats-server")).is_ok_and(|owner| owner == 0 || Some(owner) == uid)
        })
}

/// What a program answers to `--version`: its number, and the whole line.
fn version(program: &Path) -> Option<((u32, u32), String)> {
    if !program.is_file() {
        return None;
    }
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    Some((number(&text)?, text))
}

/// The first number in the line: `postgres (PostgreSQL) 15.18 (Debian …)`, `nats-server: v2.15.1`, `… 18beta1`.
fn number(text: &str) -> Option<(u32, u32)> {
    let word = text
        .split_whitespace()
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = word.split(|c: char| !c.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with programs that say no more than their version.
    fn programs(versions: &[(&str, &str)]) -> tempfile::TempDir {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        for (name, version) in versions {
            let file = folder.path().join(name);
            fs::write(&file, format!("#!/bin/sh\necho '{version}'\n")).unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder
    }

    #[test]
    fn without_servers_it_is_said_what_to_install() {
        let empty = programs(&[]);
        let old = programs(&[
            ("initdb", ""),
            ("postgres", "postgres (PostgreSQL) 14.9"),
            ("nats-server", "nats-server: v2.10.0"),
        ]);
        let nowhere = |folder: &tempfile::TempDir| std::iter::once(folder.path().to_owned());
        for (folder, passed_over) in [(&empty, ["", ""]), (&old, ["14.9", "v2.10.0"])] {
            let postgres = postgres_in(nowhere(folder), &folder.path().join("data")).unwrap_err().to_string();
            for words in ["15 or newer", "apt-get install postgresql", "brew install", "DATABASE_URL", passed_over[0]] {
                assert!(postgres.contains(words), "{words}: {postgres}");
            }
            let nats = nats_in(nowhere(folder)).unwrap_err().to_string();
            for words in ["nats-server 2.14 or newer", "make setup", "PATH", "NATS_URL", passed_over[1]] {
                assert!(nats.contains(words), "{words}: {nats}");
            }
        }
        let of_another = programs(&[("PG_VERSION", "")]);
        fs::write(of_another.path().join("PG_VERSION"), "99\n").unwrap();
        let other = postgres_in(nowhere(&empty), of_another.path()).unwrap_err().to_string();
        assert!(other.contains("apt-get install postgresql-99"), "{other}");
    }

    #[test]
    fn numbers_are_read_from_version_lines() {
        assert_eq!(number("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some((15, 18)));
        assert_eq!(number("postgres (PostgreSQL) 18beta1"), Some((18, 1)).map(|(major, _)| (major, 0)));
        assert_eq!(number("nats-server: v2.15.1"), Some((2, 15)));
        assert_eq!(number("nothing"), None);
    }
}
