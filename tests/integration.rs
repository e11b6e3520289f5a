//! One binary for all integration tests.

mod fuzz;
mod http;
mod primitives;
mod store_contract;
mod support;
mod xml;
