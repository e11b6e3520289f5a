//! Real data through the real server: the Synthea patients by transactions and by `vesta import`, the searches
//! whose totals were computed from the bundles by another program, and the official examples, which come back as
//! they were sent. All of it is third-party data beside the checkout; where it is missing, the tests say so.

mod archive;
pub use archive::json_files;
mod examples;
mod synthea;
