//! Measures BestChat beside its peers.

fn main() {}
