//! A few resources in memory that answer a plan by the plain meaning of conditions.

use super::super::{Plan, Scope, pairs, plan};
use super::{kind, options};
use crate::base::{ResourceId, Timestamp};
use crate::definitions::{Definitions, TypeId};
use crate::index::{Extractor, Related, Terms, id_of, target_of};
use crate::json::{Document, Limits};
use crate::search::Handling;
use rustc_hash::FxHashMap;
use std::sync::Arc;

pub struct World {
    pub definitions: Arc<Definitions>,
    extractor: Extractor,
    resources: Vec<(TypeId, ResourceId, Terms)>,
    by_id: FxHashMap<(TypeId, String), usize>,
    referring: FxHashMap<(u16, TypeId, String, String), Vec<usize>>,
}

impl World {
    pub fn new() -> World {
        let definitions = Definitions::core();
        let extractor = Extractor::new(definitions.clone(), options(Handling::Strict).bases);
        World {
            definitions,
            extractor,
            resources: Vec::new(),
            by_id: FxHashMap::default(),
            referring: FxHashMap::default(),
        }
    }

    pub fn add(&mut self, json: &str) {
        let document = Document::parse(json.as_bytes(), &Limits::default()).unwrap_or_else(|e| panic!("{json}: {e:?}"));
        let text = |name| document.root().get(name).and_then(|v| v.as_str()).expect("a text").into_owned();
        let kind = kind(&self.definitions, &text("resourceType"));
        let id = ResourceId::new(&text("id")).expect("an id");
        let mut terms = self.extractor.extract(kind, document.root());
        self.extractor.stamp(&mut terms, kind, &id, Timestamp(1_790_000_000_000_000));
        let number = self.resources.len();
        for term in terms.as_slice() {
            if let Some((to, target)) = target_of(term) {
                let key = (term.parameter(), kind, to.to_owned(), target.to_owned());
                self.referring.entry(key).or_default().push(number);
            }
        }
        self.by_id.insert((kind, id.to_string()), number);
        self.resources.push((kind, id, terms));
    }

    pub fn plan(&self, path: &str, query: &str) -> Plan {
        let scope: Scope = super::scope(&self.definitions, path);
        let pairs = pairs(query).expect("a query");
        plan(&self.definitions, &scope, &pairs, &options(Handling::Strict)).unwrap_or_else(|e| panic!("{query}: {e}"))
    }

    /// Ids of what matches, as stored or in the order of the plan.
    pub fn search(&self, plan: &Plan) -> Vec<&str> {
        let mut rows: Vec<_> = self
            .resources
            .iter()
            .filter(|(kind, _, _)| plan.kinds.contains(kind))
            .filter(|(kind, _, terms)| plan.condition.matches(*kind, terms, self))
            .collect();
        for sort in plan.sort.iter().rev() {
            let key = |terms: &Terms| {
                let range = terms.range(&sort.from, &sort.to);
                let term = if sort.descending { range.last() } else { range.first() };
                term.map(|t| t.0.get(sort.skip..).unwrap_or_default().to_vec())
            };
            rows.sort_by(|(_, _, a), (_, _, b)| match (key(a), key(b)) {
                (Some(a), Some(b)) if sort.descending => b.cmp(&a),
                (Some(a), Some(b)) => a.cmp(&b),
                (a, b) => b.is_some().cmp(&a.is_some()),
            });
        }
        rows.into_iter().map(|(_, id, _)| id.as_str()).collect()
    }
}

impl Related for World {
    fn referred(&self, terms: &Terms, parameter: u16, targets: &[TypeId]) -> Vec<Terms> {
        let terms = terms.as_slice().iter().filter(|t| t.parameter() == parameter);
        let found = terms.filter_map(target_of).filter_map(|(to, id)| {
            let to = self.definitions.resource(to).filter(|to| targets.contains(to))?;
            self.by_id.get(&(to, id.to_owned())).map(|number| self.resources[*number].2.clone())
        });
        found.collect()
    }

    fn referring(&self, kind: TypeId, terms: &Terms, source: TypeId, parameter: u16) -> Vec<Terms> {
        let id = terms.as_slice().iter().find_map(id_of).unwrap_or_default();
        let key = (parameter, source, self.definitions.name(kind).to_owned(), id.to_owned());
        self.referring.get(&key).into_iter().flatten().map(|number| self.resources[*number].2.clone()).collect()
    }
}
