//! batch and transaction: reading the Bundle (R4 http.html#transaction, bundle.html). What an entry asks is read in
//! `entry`; what is done with them is in `batch` and `transaction`.

use super::entry::{Entry, entry, join};
use super::{Context, Media, Payload, Reply, Request, Service, batch, incoming, transaction};
use crate::base::{Failure, IssueCode};
use crate::json::{Kind, Value};

/// Answers a batch or transaction.
pub(super) async fn perform(service: &Service, context: &Context, request: &Request) -> Result<Reply, Failure> {
    let Payload { media, bytes } = incoming::payload(request)?;
    if *media != Media::Json {
        return Err(incoming::unsupported(media));
    }
    let document = incoming::parse(bytes, &service.settings.limits)?;
    let bundle = document.root();
    let kind = service.definitions.resource("Bundle").ok_or_else(|| Failure::internal("Bundle is not defined"))?;
    service.check_type(kind, bundle)?;
    let entries = bundle.get("entry");
    if entries.is_some_and(|e| e.kind() != Kind::Array) {
        return Err(Failure::malformed(IssueCode::Structure, "'entry' must be an array").at("Bundle.entry"));
    }
    let read = entries.into_iter().flat_map(Value::items).enumerate();
    let read = read.map(|(index, value)| entry(service, context, request, index, value));
    match bundle.get("type").and_then(Value::as_plain) {
        // Every entry is for itself: each write gets a Provenance of its own.
        Some("batch") => {
            let entries = read.map(|entry| {
                entry.map(|mut entry| {
                    entry.request.provenance.clone_from(&request.provenance);
                    entry
                })
            });
            batch::perform(service, context, entries.collect()).await
        }
        Some("transaction") => transaction::perform(service, context, request, all(read)?).await,
        other => {
            let said = other.map_or_else(|| "no type".to_owned(), |t| format!("the type '{t:.32}'"));
            Err(Failure::malformed(
                IssueCode::Value,
                format!("the Bundle has {said}; only those of type batch and transaction are processed here"),
            )
            .at("Bundle.type"))
        }
    }
}

/// All entries, or everything that is wrong with them.
fn all<'d>(read: impl Iterator<Item = Result<Entry<'d>, Failure>>) -> Result<Vec<Entry<'d>>, Failure> {
    let mut entries = Vec::new();
    let mut failures = Vec::new();
    for entry in read {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(failure) => failures.push(failure),
        }
    }
    match join(failures) {
        None => Ok(entries),
        Some(failure) => Err(failure),
    }
}
