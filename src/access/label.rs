//! Security labels of a resource (R4 security-labels.html). Which of them hide it from whom is written in the policies.

use crate::json::Value;
use std::borrow::Cow;

/// The confidentiality codes that hide a resource from all who are not given them: restricted and very restricted
/// (v3-Confidentiality). They count in whatever system they stand: a label that is misspelt must not open anything.
pub const GUARDED: [&str; 2] = ["R", "V"];

/// The codes of the labels of a resource.
pub(super) fn codes(resource: Value<'_>) -> impl Iterator<Item = Cow<'_, str>> {
    let labels = resource.get("meta").and_then(|meta| meta.get("security")).into_iter().flat_map(Value::items);
    labels.filter_map(|label| label.get("code").and_then(Value::as_str))
}

/// The guarded codes of a resource.
pub fn guarded(resource: Value<'_>) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = Vec::new();
    for code in codes(resource) {
        found.extend(GUARDED.into_iter().find(|guarded| *guarded == code).filter(|guarded| !found.contains(guarded)));
    }
    found
}
