//! Where encoded values go: as terms of a parameter, or as components of a composite. Bounded, so that no resource
//! can fill the index on its own; whatever is left out is noted, so that whoever writes it can be told.

use super::Term;
use super::encode::{self, head};
use rustc_hash::FxHashMap;

/// Terms of one resource at most, those of what it contains included.
pub(super) const MOST_TERMS: usize = 100_000;
/// Terms of one parameter at most, so that one of them does not take the room of the others.
pub(super) const MOST_OF_ONE: usize = 50_000;
/// Terms of all composites at most: their values multiply, so that a small resource could have very many.
const MOST_COMPOSITES: usize = 10_000;
/// Encodings of one component at most.
const MOST_COMPONENTS: usize = 500;

/// What was left out of the terms of a resource, and under which parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The number of the parameter; none where it is all contained resources beyond those that are found.
    pub parameter: Option<u16>,
    /// What was left out.
    pub what: Omitted,
}

/// What can be left out of the terms of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Omitted {
    /// Values beyond a bound: the resource is not found by them.
    Values,
    /// Words beyond a bound.
    Words,
    /// What comes after the beginning of a long text.
    Rest,
    /// Contained resources beyond a bound.
    Contained,
}

/// Collects encoded values.
pub(super) struct Sink {
    target: Target,
    bytes: Vec<u8>,
    /// Terms that there may be.
    room: usize,
    cut: Vec<Cut>,
    /// Terms of composites.
    composites: usize,
    /// Terms by parameter: counted only once there are so many that one of them may have too many.
    counts: FxHashMap<u16, usize>,
}

enum Target {
    Terms { parameter: u16, terms: Vec<Term> },
    Components(Vec<Vec<u8>>),
}

impl Sink {
    /// For terms.
    pub(super) fn for_terms() -> Sink {
        Sink::with_room(MOST_TERMS)
    }

    /// For so many terms at most.
    pub(super) fn with_room(room: usize) -> Sink {
        let target = Target::Terms { parameter: 0, terms: Vec::with_capacity(32) };
        Sink::of(target, room)
    }

    /// For a component of a composite.
    pub(super) fn for_components() -> Sink {
        Sink::of(Target::Components(Vec::new()), 0)
    }

    fn of(target: Target, room: usize) -> Sink {
        let counts = FxHashMap::default();
        Sink { target, bytes: Vec::with_capacity(128), room, cut: Vec::new(), composites: 0, counts }
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
        if self.is_full(form) {
            let what = if form == encode::WORD { Omitted::Words } else { Omitted::Values };
            return self.leave_out(what);
        }
        match &mut self.target {
            Target::Terms { parameter, terms } => {
                self.bytes.clear();
                self.bytes.extend_from_slice(&head(*parameter, form));
                write(&mut self.bytes);
                terms.push(Term(self.bytes.as_slice().into()));
            }
            Target::Components(parts) => {
                self.bytes.clear();
                write(&mut self.bytes);
                parts.push(self.bytes.clone());
            }
        }
    }

    /// Whether there is no room for one more value of the parameter.
    fn is_full(&mut self, form: u8) -> bool {
        match &self.target {
            Target::Components(parts) => parts.len() >= MOST_COMPONENTS,
            // The list of parameters comes last and is never left out.
            Target::Terms { parameter: encode::SHAPE, .. } => false,
            Target::Terms { parameter, terms } => {
                if terms.len() >= self.room {
                    return true;
                }
                if form == encode::COMPOSITE {
                    self.composites += 1;
                    return self.composites > MOST_COMPOSITES;
                }
                if terms.len() < MOST_OF_ONE {
                    return false;
                }
                if self.counts.is_empty() {
                    terms.iter().for_each(|term| *self.counts.entry(term.parameter()).or_default() += 1);
                }
                let count = self.counts.entry(*parameter).or_default();
                *count += 1;
                *count > MOST_OF_ONE
            }
        }
    }

    /// Notes that something of the parameter is left out.
    pub(super) fn leave_out(&mut self, what: Omitted) {
        let parameter = match &self.target {
            Target::Terms { parameter, .. } => Some(*parameter),
            Target::Components(_) => None,
        };
        self.note(Cut { parameter, what });
    }

    /// Notes what was left out elsewhere.
    pub(super) fn note(&mut self, cut: Cut) {
        // Few are different; what is left out a thousand times is noted once.
        if !self.cut.contains(&cut) {
            self.cut.push(cut);
        }
    }

    /// What was left out.
    pub(super) fn cut(&mut self) -> Vec<Cut> {
        std::mem::take(&mut self.cut)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_parameter_does_not_take_the_room_of_others() {
        let mut sink = Sink::for_terms();
        for number in 0..MOST_OF_ONE + 10 {
            sink.begin(1);
            sink.put(encode::TOKEN, |out| out.extend_from_slice(&number.to_be_bytes()));
            sink.begin(2);
            if number < 3 {
                sink.put(encode::TOKEN, |out| out.extend_from_slice(&number.to_be_bytes()));
            }
        }
        sink.begin(2);
        sink.put(encode::TOKEN, |out| out.push(b'x'));
        assert_eq!(sink.cut(), [Cut { parameter: Some(1), what: Omitted::Values }]);
        let terms = sink.into_terms();
        let of = |parameter| terms.iter().filter(|term| term.parameter() == parameter).count();
        assert_eq!((of(1), of(2)), (MOST_OF_ONE, 4));
    }

    #[test]
    fn all_have_a_bound_together() {
        let mut sink = Sink::with_room(10);
        for number in 0..20_u8 {
            sink.begin(number.into());
            sink.put(encode::WORD, |out| out.push(number));
        }
        let cut: Vec<_> = sink.cut().iter().map(|cut| (cut.parameter, cut.what)).collect();
        assert_eq!(cut, (10..20).map(|number| (Some(number), Omitted::Words)).collect::<Vec<_>>());
        sink.put_shape([1].into_iter());
        assert_eq!(sink.into_terms().len(), 11);
    }
}
