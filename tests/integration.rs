//! One binary for all integration tests.

mod primitives;
mod xml;
