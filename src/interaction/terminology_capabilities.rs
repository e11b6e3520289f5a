//! TerminologyCapabilities (R4 terminologycapabilities.html): what `metadata?mode=terminology` answers. Says what the
//! operations read; nothing is declared that is not served.

use super::{Effect, Reply, ReplyContent};
use crate::json::Tree;

/// When what this file declares was last changed.
const DATE: &str = "2026-11-26";

/// Parameters of `$expand` that are read.
const EXPANSION: [&str; 19] = [
    "activeOnly",
    "check-system-version",
    "count",
    "default-valueset-version",
    "designation",
    "displayLanguage",
    "excludeNested",
    "excludeNotForUI",
    "filter",
    "force-system-version",
    "includeDefinition",
    "includeDesignations",
    "offset",
    "property",
    "system-version",
    "tx-resource",
    "url",
    "useSupplement",
    "valueSet",
];

/// The answer.
pub(super) fn reply(base: &str) -> Reply {
    let flag = |name: &str, value: bool| (name.to_owned(), Tree::Bool(value));
    let named = EXPANSION.iter().map(|name| Tree::object([("name", Tree::string(*name))]));
    let expansion = Tree::Object(vec![
        flag("hierarchical", true),
        flag("paging", true),
        flag("incomplete", false),
        ("parameter".to_owned(), Tree::Array(named.collect())),
        ("textFilter".to_owned(), Tree::string("Each word of the filter begins a word of the display or of the code.")),
    ]);
    let software =
        Tree::object([("name", Tree::string("Vesta")), ("version", Tree::string(env!("CARGO_PKG_VERSION")))]);
    let resource = Tree::object([
        ("resourceType", Tree::string("TerminologyCapabilities")),
        ("version", Tree::string(env!("CARGO_PKG_VERSION"))),
        ("name", Tree::string("Vesta")),
        ("title", Tree::string("Terminology of a Vesta server")),
        ("status", Tree::string("active")),
        ("date", Tree::string(DATE)),
        ("kind", Tree::string("instance")),
        ("software", software),
        ("implementation", Tree::object([("description", Tree::string("Vesta")), ("url", Tree::string(base))])),
        ("codeSystem", Tree::Array(vec![Tree::object([("uri", Tree::string(crate::ucum::SYSTEM))])])),
        ("expansion", expansion),
        ("codeSearch", Tree::string("all")),
        ("validateCode", Tree::Object(vec![flag("translations", true)])),
        ("translation", Tree::Object(vec![flag("needsMap", true)])),
        ("closure", Tree::Object(vec![flag("translation", false)])),
    ]);
    Reply::of(Effect::Ok, ReplyContent::Json(resource.to_json().into_bytes()))
}
