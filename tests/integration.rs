//! One binary for all integration tests.

mod audit;
mod cli;
mod fuzz;
mod http;
mod own_data;
mod primitives;
#[cfg(feature = "mongodb")]
mod processes;
mod real_data;
mod search_parameters;
mod smart;
mod store_contract;
mod support;
mod terminology;
mod us_core;
mod xml;
