//! What BestChat is measured beside: started, and stopped with its handle. `make build-bench` has installed it.

pub mod litellm;
pub mod pgbench;
pub mod socketio;

use std::path::{Path, PathBuf};

use crate::Error;

/// The root of this checkout: where the peers' sources and `.tools` are.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where something is that `scripts/install-peers` puts into this checkout.
fn installed(path: &str) -> Result<PathBuf, Error> {
    let place = root().join(path);
    if place.is_file() { Ok(place) } else { Err(Error(format!("{path} is not there: `make build-bench` installs it"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_installed_is_told_with_what_installs_it() {
        let error = installed(".tools/nothing/of/the/kind").unwrap_err();
        assert!(error.0.contains("make build-bench"), "{error}");
        assert!(installed("Makefile").is_ok());
    }
}
