//! Sealed parts of the index: immutable files, each with the terms of the versions of one tenant from one number to
//! another. `write` makes them, `file` opens and verifies them, `section` reads what is of one type, `terms`, `lists`
//! and `column` are its three parts: sorted terms, the versions of each term, the terms of each version; `ordered` has
//! the versions of terms of many in the order of their dates.
//! Which segments there are, when they are made and merged, is not known here.

mod column;
mod digits;
mod file;
mod lists;
mod ordered;
mod section;
mod terms;
mod write;

#[cfg(test)]
use file::Bytes;
pub use file::{Info, Segment, Unfit, file_name, info_of_name};
pub use lists::{List, Stored};
pub use ordered::Ordered;
pub use section::{Run, Section, Stream};
pub use write::{SectionHead, SegmentWriter};

#[cfg(test)]
mod tests;
