//! Breaks BestChat on purpose and proves that nothing was lost.

fn main() {}
