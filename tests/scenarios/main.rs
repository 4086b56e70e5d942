//! The scenarios, in the words of the promises.
fn main() {}
