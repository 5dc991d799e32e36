//! A new migration is a reason to compile again, which the macro that embeds them cannot say itself.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
