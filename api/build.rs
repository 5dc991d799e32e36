//! Has the crate compiled again when the console was built again: the page is embedded at compile time, in every profile.

use std::path::Path;

/// What `scripts/build-web` leaves.
const DIST: &str = "../web/console/dist";
/// Changes when `DIST` comes into being; to watch a folder that is not there would mean to compile every time.
const CONSOLE: &str = "../web/console";

fn main() {
    let built = Path::new(DIST).join("index.html").is_file();
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", if built { DIST } else { CONSOLE });
    if !built {
        println!("cargo::warning=the console is not built, so this binary has none: `make web`, or see web/README.md");
    }
}
