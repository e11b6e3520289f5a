//! Vesta: a FHIR R4 server in one binary.
//!
//! The floors, from the lowest (each uses only lower ones; `docs/architecture.md` says why):
//!
//! 0. [`base`]: issues, failures, time, ids
//! 1. [`json`], [`xml`], [`primitive`]: documents and values, without any FHIR type table
//! 2. [`definitions`], [`ucum`]: what FHIR R4 says, read from `fhir-schemas/`; units of measure
//! 3. [`fhirpath`], [`terminology`]: path expressions on borrowed documents; what codes mean
//! 4. [`validation`], [`patch`], [`index`]: is it legal, how to change it, how to find it
//! 5. [`store`]: the storage contract and its engines
//! 6. [`search`], [`access`]: from query string to condition; who may see and do what
//! 7. [`interaction`], [`operation`], [`audit`]: what the RESTful API does, and what the trail tells of it
//! 8. [`authorization`]: who is asking: the SMART App Launch and OAuth 2 server
//! 9. [`http`], [`cli`]: routes, negotiation, configuration, commands

#![deny(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod access;
pub mod audit;
pub mod authorization;
pub mod base;
pub mod cli;
pub mod definitions;
pub mod fhirpath;
pub mod http;
pub mod index;
pub mod interaction;
pub mod json;
pub mod operation;
pub mod patch;
pub mod primitive;
pub mod search;
pub mod store;
pub mod terminology;
pub mod ucum;
pub mod validation;
pub mod xml;
