//! What a maintainer runs: test, vectors.
fn main() {}
