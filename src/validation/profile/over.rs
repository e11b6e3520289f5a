//! What a profile says of an element that its base says something of, too: it may ask for more, not for less. What would
//! loosen the base counts for nothing and is given back in words; what contradicts it makes the profile useless.

use super::element::{Bound, Discriminator, ElementRules, Rebound};
use super::expected;
use crate::definitions::BindingStrength;
use crate::json::{Document, Limits, Tree};

/// Keeps what the base says; gives what the profile would have allowed beyond.
pub(super) fn keep(base: &ElementRules, own: &mut ElementRules) -> Result<Vec<String>, String> {
    let mut lax = Vec::new();
    if own.min < base.min {
        lax.push(format!("it allows {} times at least, its base only {}", own.min, base.min));
        own.min = base.min;
    }
    if let Some(max) = base.max.filter(|max| own.max.is_none_or(|own| own > *max)) {
        let allowed = own.max.map_or("any number".to_owned(), |max| max.to_string());
        lax.push(format!("it allows {allowed} at most, its base only {max}"));
        own.max = base.max;
    }
    if let Some(length) = base.max_length.filter(|length| own.max_length.is_none_or(|own| own > *length)) {
        lax.push(format!("it allows more characters than its base, which allows {length}"));
        own.max_length = Some(length);
    }
    bindings(base, own, &mut lax);
    slicing(base, own, &mut lax);
    values(base, own)?;
    Ok(lax)
}

/// How values are divided: more may tell slices apart, an open slicing may be closed, and the order may count; not the
/// other way round.
fn slicing(base: &ElementRules, own: &mut ElementRules, lax: &mut Vec<String>) {
    let (Some(before), Some(now)) = (&base.slicing, &mut own.slicing) else { return };
    if before.closed && !now.closed {
        lax.push("it opens a slicing that its base has closed".to_owned());
        now.closed = true;
    }
    if before.open_at_end && !now.open_at_end && !now.closed {
        lax.push("it opens a slicing that its base has open at the end only".to_owned());
        now.open_at_end = true;
    }
    if before.ordered && !now.ordered {
        if own.said.ordered == Some(false) {
            lax.push("it allows the slices in any order, its base only in theirs".to_owned());
        }
        now.ordered = true;
    }
    let same = |one: &Discriminator, other: &Discriminator| one.kind == other.kind && one.path == other.path;
    let more = now.discriminators.iter().filter(|d| !before.discriminators.iter().any(|b| same(b, d)));
    now.discriminators = before.discriminators.iter().chain(more).cloned().collect();
}

/// Why no value can be of both, a slice and what it is a slice of.
pub(super) fn clash(base: &ElementRules, own: &ElementRules) -> Option<String> {
    values(base, &mut own.clone()).err()
}

/// A binding may be firmer than that of the base, and to fewer codes: where it is to another value set, both hold.
fn bindings(base: &ElementRules, own: &mut ElementRules, lax: &mut Vec<String>) {
    let (Some(before), Some(now)) = (&base.binding, &mut own.binding) else { return };
    if firmness(before.strength) > firmness(now.strength) {
        lax.push(format!("it binds less firmly to a value set than its base, which binds to {}", before.value_set));
        *now = before.clone();
        return;
    }
    let url = |bound: &Bound| crate::definitions::split_canonical(&bound.value_set).0.to_owned();
    if url(before) == url(now) {
        now.most = now.most.take().or_else(|| before.most.clone());
    } else if firmness(before.strength) >= firmness(BindingStrength::Extensible) || before.most.is_some() {
        own.more_bindings.push(before.clone());
    }
}

/// Where another value set takes the place of one that the base requires.
pub(super) fn rebound(base: &ElementRules, own: &ElementRules) -> Option<Rebound> {
    let (before, now) = (base.binding.as_ref()?, own.binding.as_ref()?);
    let other = before.strength == BindingStrength::Required && before.value_set != now.value_set;
    other.then(|| Rebound { element: own.id.clone(), own: now.value_set.clone(), base: before.value_set.clone() })
}

/// How firm a binding is: the more, the firmer.
pub(super) fn firmness(strength: BindingStrength) -> u8 {
    match strength {
        BindingStrength::Required => 3,
        BindingStrength::Extensible => 2,
        BindingStrength::Preferred => 1,
        BindingStrength::Example => 0,
    }
}

/// Fixed values and patterns: both have to hold.
fn values(base: &ElementRules, own: &mut ElementRules) -> Result<(), String> {
    let contradiction = |what: &str| Err(format!("it contradicts its base, which {what}"));
    if let (Some(before), Some(now)) = (&base.fixed, &own.fixed)
        && !with(now, |value| expected::equals(before, value))
    {
        return contradiction("fixes another value");
    }
    if let (Some(before), Some(now)) = (&base.pattern, &own.pattern) {
        match both(before, now) {
            Some(pattern) => own.pattern = Some(pattern),
            None => return contradiction("has another pattern"),
        }
    }
    let contains = |pattern: &Option<Tree>, fixed: &Option<Tree>| match (pattern, fixed) {
        (Some(pattern), Some(fixed)) => with(fixed, |value| expected::contains(pattern, value)),
        _ => true,
    };
    if !contains(&base.pattern, &own.fixed) {
        return contradiction("has a pattern that the value does not contain");
    }
    if !contains(&own.pattern, &base.fixed) {
        return contradiction("fixes a value that does not contain the pattern");
    }
    Ok(())
}

/// Asks something of a tree as a value.
fn with(tree: &Tree, ask: impl FnOnce(crate::json::Value<'_>) -> bool) -> bool {
    let text = tree.to_json();
    Document::parse(text.as_bytes(), &Limits::NONE).is_ok_and(|document| ask(document.root()))
}

/// The pattern of what contains both; none where nothing can.
fn both(one: &Tree, other: &Tree) -> Option<Tree> {
    match (one, other) {
        (Tree::Object(a), Tree::Object(b)) => {
            let mut all = Vec::with_capacity(a.len() + b.len());
            for (key, value) in a {
                let value = match other.get(key) {
                    Some(other) => both(value, other)?,
                    None => value.clone(),
                };
                all.push((key.clone(), value));
            }
            all.extend(b.iter().filter(|(key, _)| one.get(key).is_none()).cloned());
            Some(Tree::Object(all))
        }
        (Tree::Array(a), Tree::Array(b)) => {
            Some(Tree::Array(a.iter().chain(b.iter().filter(|item| !a.contains(item))).cloned().collect()))
        }
        _ => with(other, |value| expected::equals(one, value)).then(|| other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_patterns_are_one() {
        let tree = |text: &str| Tree::parse(text.as_bytes()).expect("JSON");
        let check = |one: &str, other: &str, expected: Option<&str>| {
            assert_eq!(both(&tree(one), &tree(other)).map(|t| t.to_json()).as_deref(), expected, "{one} {other}");
        };
        check(r#"{"a":1}"#, r#"{"b":{"c":2}}"#, Some(r#"{"a":1,"b":{"c":2}}"#));
        check(r#"{"a":1.0}"#, r#"{"a":1}"#, Some(r#"{"a":1}"#));
        check(r#"{"a":{"b":"x"}}"#, r#"{"a":{"b":"y"}}"#, None);
        check(r#"[{"a":1}]"#, r#"[{"b":1},{"a":1}]"#, Some(r#"[{"a":1},{"b":1}]"#));
        check(r#"{"a":[]}"#, r#"{"a":{}}"#, None);
    }
}
