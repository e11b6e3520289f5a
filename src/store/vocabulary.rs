//! What an engine has to know of types and terms, in one place: names of types, which terms a stored resource has,
//! and the two forms of term that engines build themselves (logical id, reference). How terms are encoded is not
//! known here.

use crate::base::{ResourceId, Timestamp};
use crate::definitions::{CustomParameters, Definitions, TypeId};
use crate::index::{self, Extractor, Leads, Term, Terms};
use crate::json::Value;
use std::sync::Arc;

/// Types and terms, as engines see them.
pub trait Vocabulary: Send + Sync {
    /// The name of a resource type; numbers are good for one process only, names are what is stored.
    fn name(&self, kind: TypeId) -> &str;
    /// The number of a resource type.
    fn kind(&self, name: &str) -> Option<TypeId>;
    /// The terms of a resource but for `_id` and `_lastUpdated`.
    fn extract(&self, kind: TypeId, resource: Value<'_>) -> Terms;
    /// Adds the terms of `_id` and `_lastUpdated`.
    fn stamp(&self, terms: &mut Terms, kind: TypeId, id: &ResourceId, updated: Timestamp);
    /// The term that [`Vocabulary::stamp`] adds for the logical id.
    fn id_term(&self, kind: TypeId, id: &str) -> Term;
    /// The logical id in a term of [`Vocabulary::id_term`].
    fn id_of<'t>(&self, term: &'t Term) -> Option<&'t str>;
    /// The term that a reference to a resource gives under a reference parameter.
    fn reference_term(&self, parameter: u16, target: TypeId, id: &str) -> Term;
    /// Collection and key of the item of the tenant 0 that says which terms resources have beyond those that they have
    /// in any case (search parameters that were added): a store shows it before it indexes anything.
    fn defined_by(&self) -> Option<(&'static str, &'static str)> {
        None
    }
    /// Takes note of the value of that item.
    fn learn(&self, item: &[u8]) {
        let _ = item;
    }
    /// A number that changes when resources get other terms than before: what was indexed with another is made again.
    fn schema(&self) -> u64 {
        0
    }
    /// The terms of a resource as by [`Vocabulary::extract`], and the [`Vocabulary::schema`] by which they were found.
    fn extract_marked(&self, kind: TypeId, resource: Value<'_>) -> (Terms, u64) {
        (self.extract(kind, resource), self.schema())
    }
    /// A number that says which list of added search parameters a value of the item is, the same in every process; 0
    /// for that of before there was one. Of lists that follow one another none comes twice.
    fn mark_of(&self, item: &[u8]) -> u64 {
        let _ = item;
        0
    }
    /// The numbers of the search parameters of a value of the item.
    fn numbers_of(&self, item: &[u8]) -> Vec<u16> {
        let _ = item;
        Vec::new()
    }
    /// The mark of the list by which resources get their terms now, and [`Vocabulary::schema`] of the same moment.
    fn taught(&self) -> (u64, u64) {
        (0, self.schema())
    }
    /// The resource that a term of [`Vocabulary::reference_term`] refers to; nothing for other terms.
    fn target_of<'t>(&self, term: &'t Term) -> Option<(TypeId, &'t str)>;
    /// By which of its search parameters a type is led to; the same for ever, whatever parameters are added.
    fn leads(&self, kind: TypeId) -> Option<&Leads> {
        let _ = kind;
        None
    }
}

/// The types and terms of FHIR.
pub struct FhirVocabulary {
    definitions: Arc<Definitions>,
    extractor: Arc<Extractor>,
    /// By type: the number of its parameter `_id`.
    ids: Vec<u16>,
    /// By type.
    leads: Vec<Leads>,
}

impl FhirVocabulary {
    /// The vocabulary of these definitions.
    pub fn new(definitions: Arc<Definitions>, extractor: Arc<Extractor>) -> FhirVocabulary {
        let number = |kind| definitions.search_parameter(kind, "_id").map_or(u16::MAX, |p| p.number);
        let ids = definitions.structures.iter().map(|s| number(s.id)).collect();
        let leads = |kind| match definitions.resources.contains(&kind) {
            true => Leads::of(&definitions, kind),
            false => Leads::default(),
        };
        let leads = definitions.structures.iter().map(|s| leads(s.id)).collect();
        FhirVocabulary { definitions, extractor, ids, leads }
    }
}

impl Vocabulary for FhirVocabulary {
    fn name(&self, kind: TypeId) -> &str {
        self.definitions.name(kind)
    }

    fn kind(&self, name: &str) -> Option<TypeId> {
        self.definitions.resource(name)
    }

    fn extract(&self, kind: TypeId, resource: Value<'_>) -> Terms {
        self.extractor.extract(kind, resource)
    }

    fn stamp(&self, terms: &mut Terms, kind: TypeId, id: &ResourceId, updated: Timestamp) {
        self.extractor.stamp(terms, kind, id, updated);
    }

    fn id_term(&self, kind: TypeId, id: &str) -> Term {
        index::id_term(self.ids.get(kind.0 as usize).copied().unwrap_or(u16::MAX), id)
    }

    fn id_of<'t>(&self, term: &'t Term) -> Option<&'t str> {
        index::id_of(term)
    }

    fn reference_term(&self, parameter: u16, target: TypeId, id: &str) -> Term {
        index::reference_term(parameter, self.name(target), id)
    }

    fn schema(&self) -> u64 {
        self.extractor.fingerprint()
    }

    fn defined_by(&self) -> Option<(&'static str, &'static str)> {
        Some(CustomParameters::PLACE)
    }

    fn learn(&self, item: &[u8]) {
        let all = CustomParameters::decode(item).unwrap_or_else(|| {
            // The service writes it anew, and what is indexed without it is made again then.
            tracing::error!("the list of added search parameters cannot be read");
            CustomParameters::default()
        });
        let mark = all.mark();
        // What searches use already they go on using.
        self.extractor.change(|now| {
            (now.custom_mark() != mark).then(|| self.definitions.with_custom(&all, |number| now.is_ready(number)))
        });
    }

    fn extract_marked(&self, kind: TypeId, resource: Value<'_>) -> (Terms, u64) {
        let found = self.extractor.extract_marked(kind, resource);
        (found.terms, found.schema)
    }

    fn mark_of(&self, item: &[u8]) -> u64 {
        CustomParameters::decode(item).unwrap_or_default().mark()
    }

    fn numbers_of(&self, item: &[u8]) -> Vec<u16> {
        let all = CustomParameters::decode(item).unwrap_or_default();
        all.parameters.iter().map(|parameter| parameter.number).collect()
    }

    fn taught(&self) -> (u64, u64) {
        self.extractor.marks()
    }

    fn target_of<'t>(&self, term: &'t Term) -> Option<(TypeId, &'t str)> {
        let (kind, id) = index::target_of(term)?;
        Some((self.definitions.resource(kind)?, id))
    }

    fn leads(&self, kind: TypeId) -> Option<&Leads> {
        self.leads.get(usize::from(kind.0))
    }
}
