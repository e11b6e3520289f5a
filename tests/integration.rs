//! One binary for all integration tests.

mod fuzz;
mod http;
mod primitives;
mod real_data;
mod store_contract;
mod support;
mod xml;
