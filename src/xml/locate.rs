//! Lines and columns in XML of the places that issues name: the text is read once more, and where an element begins it
//! is compared with them. Only for what went wrong: nothing is kept while a resource is read that is right.

use crate::base::{Issue, TextPosition};

/// The places that are looked for, and the best found so far.
pub(super) struct Marks<'i> {
    issues: &'i mut [Issue],
    /// For each issue the length of the place that was found.
    found: Vec<usize>,
    /// Where resources begin within others: the length of the path, and the type.
    pub starts: Vec<(usize, String)>,
}

impl<'i> Marks<'i> {
    pub(super) fn of(issues: &'i mut [Issue]) -> Self {
        let found = vec![0; issues.len()];
        Marks { issues, found, starts: Vec::new() }
    }

    /// An element was met. `position` is asked for only if somebody looks for it.
    pub(super) fn met(&mut self, path: &[(&str, Option<usize>)], position: impl Fn() -> TextPosition) {
        let whole = written(path);
        // Issues of a resource within another may begin with its own type.
        let own = self.starts.last().and_then(|(length, kind)| {
            let rest = written(path.get(*length..)?);
            Some(if rest.is_empty() { kind.clone() } else { format!("{kind}.{rest}") })
        });
        let root = path.first().map_or("", |(name, _)| name);
        for (issue, found) in self.issues.iter_mut().zip(&mut self.found) {
            let Some(wanted) = &issue.expression else { continue };
            let place = if begins(wanted, root) { Some(&whole) } else { own.as_ref() };
            // Where a list is meant, its first item.
            let first = |place: &str| place.strip_suffix("[0]") == Some(wanted);
            let fits = |place: &&String| place.len() > *found && (begins(wanted, place) || first(place));
            let Some(place) = place.filter(fits) else { continue };
            *found = place.len();
            issue.position = Some(position());
        }
    }
}

/// Whether a place is another or lies in it.
fn begins(place: &str, with: &str) -> bool {
    place.strip_prefix(with).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn written(path: &[(&str, Option<usize>)]) -> String {
    let mut place = String::new();
    for (name, index) in path {
        if !place.is_empty() {
            place.push('.');
        }
        place.push_str(name);
        if let Some(index) = index {
            place.push_str(&format!("[{index}]"));
        }
    }
    place
}
