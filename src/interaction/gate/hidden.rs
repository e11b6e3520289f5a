//! Writes by those from whom elements are hidden: what they do not see stays as it was, and they write none of it, also in
//! the resources inside another. Which elements these are is a matter of the policy.

use super::refused;
use super::view::{View, denied, holds_resources};
use crate::base::Failure;
use crate::interaction::Service;
use crate::json::{Document, Limits, SyntaxError, Tree};
use crate::store::{Content, StoreError, Version, Write};

impl Service {
    /// Elements that are hidden from the caller stay as they were, and may not be written.
    pub(super) fn keep_hidden(
        &self,
        view: &View,
        write: &Write,
        before: Option<&Version>,
        content: Content,
    ) -> Result<Content, StoreError> {
        let own = view.grant.hidden(write.kind);
        let within = |body: &Vec<u8>| !view.grant.policy().hidden.is_empty() && holds_resources(body);
        let stored = before.and_then(|version| version.body.as_ref());
        if own.is_none() && !within(&content.body.0) && !stored.is_some_and(within) {
            return Ok(content);
        }
        let broken = |e: SyntaxError| StoreError::Broken(e.to_string());
        let mut after = Tree::parse(&self.whole(write, &content)).map_err(broken)?;
        let element = own.and_then(|hidden| hidden.shown_in(&after)).or_else(|| view.shown_within(&after));
        if let Some(element) = element {
            let element = element.trim_start_matches('_');
            return Err(denied(refused(format!("'{element}' is hidden from your role, which may not write it"))));
        }
        let Some(before) = before.and_then(|v| v.to_json(self.definitions.name(v.kind))) else { return Ok(content) };
        let before = Tree::parse(&before).map_err(broken)?;
        let mut kept = own.is_some_and(|hidden| hidden.keep(&before, &mut after));
        kept |= view.keep_within(before, &mut after).map_err(denied)?;
        if !kept {
            return Ok(content);
        }
        let text = after.to_json();
        let document = Document::parse(text.as_bytes(), &Limits::NONE).map_err(broken)?;
        self.content(write.kind, document.root()).map(|(content, _)| content).map_err(denied)
    }
}

impl View {
    /// A hidden element that is there in a resource inside another.
    fn shown_within<'v>(&'v self, tree: &Tree) -> Option<&'v str> {
        let inner: Box<dyn Iterator<Item = &Tree>> = match tree {
            Tree::Object(members) => Box::new(members.iter().map(|(_, value)| value)),
            Tree::Array(items) => Box::new(items.iter()),
            _ => return None,
        };
        let shown = |value: &Tree| {
            let hidden = self.hidden_of(value);
            hidden.and_then(|hidden| hidden.shown_in(value)).or_else(|| self.shown_within(value))
        };
        inner.into_iter().find_map(shown)
    }

    /// Puts back what is hidden in contained resources; they are the same by type and id. Of what lies elsewhere, or is
    /// not there any more, nobody could say where it belongs: the write that would lose it is refused.
    fn keep_within(&self, mut before: Tree, after: &mut Tree) -> Result<bool, Failure> {
        let mut kept = false;
        if let (Some(Tree::Array(stored)), Some(Tree::Array(written))) =
            (before.get_mut("contained"), after.get_mut("contained"))
        {
            for one in written {
                let named = |tree: &Tree, name: &str| tree.get(name).and_then(Tree::as_str).map(str::to_owned);
                let same = |other: &&mut Tree| {
                    let equal = |name: &str| named(other, name).is_some() && named(other, name) == named(one, name);
                    equal("resourceType") && equal("id")
                };
                let Some(hidden) = self.hidden_of(one) else { continue };
                if let Some(other) = stored.iter_mut().find(same) {
                    kept |= hidden.keep(other, one);
                    // What is left after this is lost.
                    hidden.strip(other);
                }
            }
        }
        if self.strip_within(&mut before) {
            return Err(refused(
                "a resource inside this one has elements that are hidden from your role and would be lost; contained \
                 resources keep them where they stay, with their ids",
            ));
        }
        Ok(kept)
    }
}
