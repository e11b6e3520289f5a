//! One binary for all integration tests.

mod fuzz;
mod primitives;
mod store_contract;
mod xml;
