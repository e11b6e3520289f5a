//! Which requests may need the processor for long. They are performed on a thread of their own, where they do not hold up
//! the worker's other connections, and where the work ends when the client goes away: a worker that is busy does not
//! notice. Errs on both sides: what is misjudged is only slower.

use crate::interaction::{Request, Verb};
use crate::search;

/// Whether a request may take long.
pub fn may_take_long(request: &Request) -> bool {
    let bundle = request.path.is_empty() && request.body.is_some();
    let criteria = request.preconditions.if_none_exist.as_deref();
    // A patch may be small, and the resource or the work of its expressions not.
    bundle
        || request.verb == Verb::Patch
        || request.path.ends_with("_search")
        || request.path.contains('$')
        || gathers(&request.query)
        || criteria.is_some_and(gathers)
}

/// Parameters that say how the answer looks, and cost little.
const LOOKS: [&str; 9] =
    ["_format", "_pretty", "_count", "_total", "_summary", "_elements", "_page", "_type", "_contained"];
/// Parameters of which a value leads to few resources.
const NARROW: [&str; 6] = ["_id", "identifier", "url", "patient", "subject", "encounter"];

/// Whether a search may look at many resources: it joins, sorts or tests each term of many, or it has several criteria
/// none of which is narrow, and counts what fulfils all.
fn gathers(query: &str) -> bool {
    if query.is_empty() {
        return false;
    }
    // What cannot be read is refused soon.
    let Ok(pairs) = search::pairs(query) else { return false };
    let (mut narrow, mut broad, mut counts) = (false, 0, true);
    for (name, value) in &pairs {
        match name.as_str() {
            "_contained" if value != "false" => return true,
            "_total" => counts = value != "none",
            name if LOOKS.contains(&name) => {}
            name if NARROW.contains(&name) => narrow = true,
            // A modifier, a chain, or one of those that are searches of their own; `_id`, `_tag` and the like are not.
            name if name.contains([':', '.']) => return true,
            "_tag" | "_profile" | "_security" | "_source" | "_lastUpdated" => broad += 1,
            name if name.starts_with('_') || name == "near" => return true,
            _ => broad += 1,
        }
    }
    counts && broad > 1 && !narrow
}

#[cfg(test)]
mod tests {
    use super::may_take_long;
    use crate::interaction::{Media, Payload, Request, Verb};

    #[test]
    fn long_and_short() {
        for (query, long) in [
            ("", false),
            ("name=Family7", false),
            ("_id=1,2,3", false),
            ("code=http://loinc.org|8867-4&_summary=count", false),
            ("patient=p7&code=c&_count=20", false),
            ("code=c&date=ge2015&_total=none", false),
            ("_tag=x", false),
            ("_contained=false&code=a", false),
            ("code=c&date=ge2015-03-01&_count=20", true),
            ("name:contains=y", true),
            ("name%3Acontains=y", true),
            ("gender:not=male", true),
            ("code:in=http://v", true),
            ("birthdate:missing=true", true),
            ("subject.name=x", true),
            ("subject:Patient=p1", true),
            ("_filter=name%20co%20%22x%22", true),
            ("%5ffilter=name%20co%20%22x%22", true),
            ("_content=bone", true),
            ("_text=bone", true),
            ("_list=l1", true),
            ("_contained=true&code=a", true),
            ("_has:Observation:patient:code=x", true),
            ("_not-referenced=*:*", true),
            ("_sort=date", true),
            ("_include=*", true),
            ("_revinclude=*", true),
            ("near=1|2|3", true),
            ("_explain=true", true),
        ] {
            let request = Request { query: query.to_owned(), ..Request::new(Verb::Get, "Observation") };
            assert_eq!(may_take_long(&request), long, "{query}");
        }
        let mut create = Request::new(Verb::Post, "Patient");
        create.body = Some(Payload { media: Media::Json, bytes: b"{}".to_vec() });
        assert!(!may_take_long(&create));
        create.preconditions.if_none_exist = Some("name:contains=x".to_owned());
        assert!(may_take_long(&create));
        assert!(may_take_long(&Request::new(Verb::Patch, "Patient/1")));
        for path in ["Patient/_search", "Patient/1/$everything"] {
            assert!(may_take_long(&Request::new(Verb::Post, path)));
        }
    }
}
