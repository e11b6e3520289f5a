//! Where encoded values go: as terms of a parameter, or as components of a composite. Bounded, so that no resource
//! can fill the index on its own.

use super::Term;
use super::encode::{self, head};

/// Terms of one resource at most; what comes after is not indexed.
pub(super) const MOST_TERMS: usize = 5_000;
/// Encodings of one component at most.
const MOST_COMPONENTS: usize = 200;

/// Collects encoded values.
pub(super) struct Sink {
    target: Target,
    bytes: Vec<u8>,
}

enum Target {
    Terms { parameter: u16, terms: Vec<Term> },
    Components(Vec<Vec<u8>>),
}

impl Sink {
    /// For terms.
    pub(super) fn for_terms() -> Sink {
        let target = Target::Terms { parameter: 0, terms: Vec::with_capacity(32) };
        Sink { target, bytes: Vec::with_capacity(128) }
    }

    /// For a component of a composite.
    pub(super) fn for_components() -> Sink {
        Sink { target: Target::Components(Vec::new()), bytes: Vec::new() }
    }

    /// The terms that follow are of this parameter.
    pub(super) fn begin(&mut self, of: u16) {
        if let Target::Terms { parameter, .. } = &mut self.target {
            *parameter = of;
        }
    }

    /// Whether the values are components.
    pub(super) fn is_component(&self) -> bool {
        matches!(self.target, Target::Components(_))
    }

    /// Adds a value under a form; components have no form.
    pub(super) fn put(&mut self, form: u8, write: impl FnOnce(&mut Vec<u8>)) {
        match &mut self.target {
            Target::Terms { parameter, terms } => {
                // The list of parameters comes last and is never left out.
                if terms.len() < MOST_TERMS || *parameter == encode::SHAPE {
                    self.bytes.clear();
                    self.bytes.extend_from_slice(&head(*parameter, form));
                    write(&mut self.bytes);
                    terms.push(Term(self.bytes.as_slice().into()));
                }
            }
            Target::Components(parts) => {
                if parts.len() < MOST_COMPONENTS {
                    self.bytes.clear();
                    write(&mut self.bytes);
                    parts.push(self.bytes.clone());
                }
            }
        }
    }

    /// Adds the term that the parameter has a token of this system.
    pub(super) fn put_system(&mut self, system: &str) {
        if !self.is_component() {
            self.put(encode::SYSTEM, |out| encode::push_text(system, out));
        }
    }

    /// Adds the term that these parameters, and no others, have a value.
    pub(super) fn put_shape(&mut self, parameters: impl Iterator<Item = u16>) {
        self.begin(encode::SHAPE);
        self.put(0, |out| parameters.for_each(|number| out.extend_from_slice(&number.to_be_bytes())));
    }

    /// The terms.
    pub(super) fn into_terms(self) -> Vec<Term> {
        match self.target {
            Target::Terms { terms, .. } => terms,
            Target::Components(_) => Vec::new(),
        }
    }

    /// The components.
    pub(super) fn into_components(self) -> Vec<Vec<u8>> {
        match self.target {
            Target::Components(parts) => parts,
            Target::Terms { .. } => Vec::new(),
        }
    }
}
