//! Contained resources as the answer of a search (`_containedType=contained`, R4 search.html#contained): which of the
//! resources inside a match are meant.

use super::Service;
use super::incoming::parse;
use crate::base::Failure;
use crate::index::Alone;
use crate::json::Limits;
use crate::search::Contained;
use crate::store::Version;

/// What of a match is shown.
pub(super) struct Inside {
    /// Whether the match itself is meant.
    pub itself: bool,
    /// The contained resources that are meant: id and JSON.
    pub resources: Vec<(String, Vec<u8>)>,
}

/// What is meant of a match.
pub(super) fn of(service: &Service, contained: &Contained, version: &Version) -> Result<Inside, Failure> {
    let json = version.to_json(service.definitions.name(version.kind)).unwrap_or_default();
    let document = parse(&json, &Limits::NONE)?;
    let extractor = &service.extractor;
    let itself = contained.both && version.kind == contained.kind && {
        let mut terms = extractor.extract(version.kind, document.root());
        extractor.stamp(&mut terms, version.kind, &version.id, version.last_updated);
        contained.condition.matches(version.kind, &terms, &Alone)
    };
    let mut resources = Vec::new();
    for (kind, inner) in extractor.contained(document.root()) {
        let meant = kind == contained.kind
            && contained.condition.matches(kind, &extractor.extract_contained(kind, inner), &Alone);
        if meant {
            let id = inner.get("id").and_then(|id| id.as_str()).unwrap_or_default().into_owned();
            resources.push((id, inner.raw().as_bytes().to_vec()));
        }
    }
    Ok(Inside { itself, resources })
}
