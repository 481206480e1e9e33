//! Taste that is executable: the invariants of ARCHITECTURE.md, checked.
//!
//! A rule is a function over a file's path and text ([`rules`], [`documents`]) or over the
//! dependency graph ([`walls`]), so that each is tested with a planted violation and none needs the
//! real tree. [`check`] feeds them the tree and prints everything it found, with what to do.

mod check;
mod documents;
mod rules;
mod source;
mod walls;

pub(crate) use check::run;
