//! What most searches begin with: a patient, a code, both, or a date. For each resource type a table says under which
//! of its search parameters they stand; from it follow short numbers (*digests*) by which a store finds a patient's
//! resources of a code in one step, and the outer limits of the type's main date. All of it is only necessary, never
//! sufficient: whoever looks up by it asks the whole condition besides.

use super::encode::{DATE, LOCAL, TOKEN, after, head};
use super::{Condition, Range, Term, Terms, Test, target_of};
use crate::definitions::{Definitions, SearchKind, TypeId};

/// Codes of the parameters that say what a resource is about, the most telling first.
const CODES: [&str; 5] = ["code", "vaccine-code", "type", "category", "class"];
/// Codes of the parameter that says when it was, the first that a type has.
const DATES: [&str; 28] = [
    "authoredon",
    "date",
    "onset-date",
    "authored",
    "authored-on",
    "created",
    "recorded",
    "started",
    "period",
    "start",
    "start-date",
    "birthdate",
    "identified",
    "issued",
    "occurrence",
    "collected",
    "sent",
    "whenhandedover",
    "effective-time",
    "effective",
    "datetime",
    "datewritten",
    "entered-date",
    "timestamp",
    "expiry",
    "expiration-date",
    "modified",
    "end",
];
/// Digests of one resource at most; of one that has more, none is given.
const MOST: usize = 2_000;
/// Digests that one question asks for at most.
const MOST_ASKED: usize = 200;
/// In place of a digest of something: the resource is one of its type.
pub const ANY: i64 = 0;
/// In place of all digests: the resource has too many.
pub const TOO_MANY: i64 = 1;

/// By which of its search parameters a resource type is led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leads {
    /// Those that refer to a patient; and whether to nothing else than patients and groups, so that an id without a type
    /// leads, too.
    patients: Vec<(u16, bool)>,
    /// Those that say what it is about, the most telling first.
    codes: Vec<u16>,
    /// That of its main date.
    date: Option<u16>,
}

/// The outer limits of the main date of a resource, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The least start.
    pub first_start: i64,
    /// The greatest start.
    pub last_start: i64,
    /// The greatest end, which is out.
    pub last_end: i64,
}

/// What the limits of whatever fulfils a condition have to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The greatest end is not before.
    pub end_from: Option<i64>,
    /// The least start is before.
    pub start_below: Option<i64>,
}

/// What a part of a condition says of patients, codes or the main date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lead {
    /// It refers to one of these patients.
    Patients(Vec<Box<[u8]>>),
    /// It has one of these codes, each under a parameter of this place in the order of how telling they are.
    Codes(usize, Vec<Box<[u8]>>),
    /// Its main date is within these bounds.
    Dates(Bounds),
}

impl Leads {
    /// By which parameters of the specification a type is led to.
    pub fn of(definitions: &Definitions, kind: TypeId) -> Leads {
        let number = |code: &str, of: SearchKind| {
            let parameter = definitions.core_search_parameter(kind, code).filter(|p| p.kind == of)?;
            Some(parameter.number)
        };
        let patient = definitions.resource("Patient");
        let group = definitions.resource("Group");
        let refers = |number: u16| {
            let targets = &definitions.search_parameters.get(usize::from(number))?.targets;
            let to_nothing_else = targets.iter().all(|target| Some(*target) == patient || Some(*target) == group);
            // Where the table names no targets, anything may be referred to.
            let to_patients = targets.is_empty() || patient.is_some_and(|patient| targets.contains(&patient));
            to_patients.then_some((number, to_nothing_else && !targets.is_empty()))
        };
        let members = definitions.compartment("Patient").and_then(|c| c.members.get(&kind));
        let members = members.into_iter().flatten().map(|code| &**code);
        let references = members.chain(["patient", "subject"]).filter_map(|code| number(code, SearchKind::Reference));
        let mut patients: Vec<(u16, bool)> = references.filter_map(refers).collect();
        patients.sort_unstable();
        patients.dedup();
        let codes = match patients.is_empty() {
            true => Vec::new(),
            false => CODES.iter().filter_map(|code| number(code, SearchKind::Token)).collect(),
        };
        let date = DATES.iter().find_map(|code| number(code, SearchKind::Date));
        Leads { patients, codes, date }
    }

    /// The patient that a term refers to, by its id.
    fn patient<'t>(&self, term: &'t Term) -> Option<&'t [u8]> {
        let (kind, id) = target_of(term)?;
        let number = term.parameter();
        let (_, to_nothing_else) = self.patients.iter().find(|(of, _)| *of == number)?;
        (*to_nothing_else || kind == "Patient").then_some(id.as_bytes())
    }

    /// The patient that a condition asks for; without a type where nothing else can be meant.
    fn asked_patient<'c>(&self, condition: &'c Condition) -> Option<&'c [u8]> {
        match condition {
            Condition::Term(term) => self.patient(term),
            Condition::Range(Range { from, to, .. }) => {
                let (number, rest) = from.split_first_chunk()?;
                let number = u16::from_be_bytes(*number);
                let id = rest.strip_prefix(&[LOCAL])?.strip_suffix(&[0])?;
                let alone = self.patients.contains(&(number, true)) && !id.contains(&0);
                // All that begins with the id and its end.
                (alone && *to == after(from)).then_some(id)
            }
            _ => None,
        }
    }

    /// The place of a term's parameter among those of codes, and the code.
    fn code<'t>(&self, term: &'t [u8]) -> Option<(usize, &'t [u8])> {
        let (number, rest) = term.split_first_chunk()?;
        let number = u16::from_be_bytes(*number);
        let value = rest.strip_prefix(&[TOKEN])?;
        let place = self.codes.iter().position(|code| *code == number)?;
        Some((place, &value[..memchr::memchr(0, value)?]))
    }

    /// The digests of a resource with these terms; where it has too many, [`TOO_MANY`] in their place.
    pub fn digests(&self, terms: &Terms) -> Vec<i64> {
        let mut patients: Vec<&[u8]> = terms.as_slice().iter().filter_map(|term| self.patient(term)).collect();
        patients.sort_unstable();
        patients.dedup();
        // In order of the terms: what differs in the system only stands together.
        let mut codes: Vec<_> = terms.as_slice().iter().filter_map(|term| self.code(&term.0)).collect();
        codes.dedup();
        let mut digests: Vec<i64> = self.date.map(|_| ANY).into_iter().collect();
        if (patients.len() + 1).saturating_mul(codes.len() + 1) > MOST {
            digests.push(TOO_MANY);
            return digests;
        }
        for patient in &patients {
            digests.push(self.digest(Some(patient), None));
            digests.extend(codes.iter().map(|code| self.digest(Some(patient), Some(*code))));
        }
        digests.extend(codes.iter().map(|code| self.digest(None, Some(*code))));
        digests.sort_unstable();
        digests.dedup();
        digests
    }

    /// The outer limits of the main date of a resource with these terms.
    pub fn limits(&self, terms: &Terms) -> Option<Limits> {
        let head = head(self.date?, DATE);
        let intervals = terms.range(&head, &after(&head)).iter().filter_map(|term| {
            // Behind the head stands a class.
            Some((time(term.0.get(4..12)?)?, time(term.0.get(12..20)?)?))
        });
        let limits = |(start, end)| Limits { first_start: start, last_start: start, last_end: end };
        intervals.map(limits).reduce(|a, b| Limits {
            first_start: a.first_start.min(b.first_start),
            last_start: a.last_start.max(b.last_start),
            last_end: a.last_end.max(b.last_end),
        })
    }

    /// Whether sort keys from `from` to `to` without their first `skip` bytes are those of the main date.
    pub fn is_main_date(&self, from: &[u8], to: &[u8], skip: usize) -> bool {
        self.date.map(|date| head(date, DATE)).is_some_and(|head| from == head && *to == *after(&head) && skip == 4)
    }

    /// What it means for a resource that one of these conditions is fulfilled; nothing where that is not about
    /// patients, codes or the main date alone, or about too many of them.
    pub fn lead(&self, any: &[&Condition]) -> Option<Lead> {
        let first = any.first()?;
        if any.len() > MOST_ASKED {
            return None;
        }
        if self.asked_patient(first).is_some() {
            let each = any.iter().map(|condition| self.asked_patient(condition).map(Box::from));
            return each.collect::<Option<Vec<_>>>().map(once_each).map(Lead::Patients);
        }
        if let Some((place, _)) = self.asked_code(first) {
            let each = any.iter().map(|condition| match self.asked_code(condition) {
                Some((of, code)) if of == place => Some(Box::from(code)),
                _ => None,
            });
            return each.collect::<Option<Vec<_>>>().map(once_each).map(|codes| Lead::Codes(place, codes));
        }
        let all: Option<Vec<Bounds>> = any.iter().map(|condition| self.bounds(condition)).collect();
        let bounds = all?.into_iter().reduce(|a, b| Bounds {
            end_from: a.end_from.zip(b.end_from).map(|(a, b)| a.min(b)),
            start_below: a.start_below.zip(b.start_below).map(|(a, b)| a.max(b)),
        })?;
        (bounds != Bounds::default()).then_some(Lead::Dates(bounds))
    }

    /// The code that a condition asks for, in any system or in one.
    fn asked_code<'c>(&self, condition: &'c Condition) -> Option<(usize, &'c [u8])> {
        match condition {
            Condition::Term(term) => self.code(&term.0),
            Condition::Range(Range { from, to, .. }) => {
                let found = self.code(from)?;
                // All that begins with the code and its end.
                (from.len() == 3 + found.1.len() + 1 && *to == after(from)).then_some(found)
            }
            _ => None,
        }
    }

    /// The limits that a range of intervals of the main date asks for, as `criteria::date` makes it.
    fn bounds(&self, condition: &Condition) -> Option<Bounds> {
        let Condition::Range(Range { from, to, test }) = condition else { return None };
        let head = head(self.date?, DATE);
        let class = *from.strip_prefix(&head)?.first()?;
        let above = to.strip_prefix(&head)?;
        let within_class = above.first() == Some(&class) || above == [class.wrapping_add(1)];
        if !within_class {
            return None;
        }
        let start_from = from.get(4..12).and_then(time);
        let start_below = above.get(1..9).and_then(time);
        let (end_from, end_below) = match test {
            None => (None, None),
            Some(Test::Within { skip: 12, from, below }) => (time(from), time(below)),
            Some(_) => return None,
        };
        // No interval is empty: it ends after its start and starts before its end.
        let after_start = start_from.map(|start| start.saturating_add(1));
        let end_from = [end_from, after_start].into_iter().flatten().max();
        let start_below = [end_below, start_below].into_iter().flatten().min();
        Some(Bounds { end_from, start_below })
    }

    /// The digests of what is about one of these patients and has one of these codes; nothing where they are too many.
    /// Without patients it is that of the codes, without both [`ANY`].
    pub fn asked(&self, patients: Option<&[Box<[u8]>]>, codes: Option<&(usize, Vec<Box<[u8]>>)>) -> Option<Vec<i64>> {
        let count = patients.map_or(1, <[_]>::len).saturating_mul(codes.map_or(1, |(_, codes)| codes.len()));
        if count > MOST_ASKED {
            return None;
        }
        let digests = match (patients, codes) {
            (None, None) => vec![ANY],
            (None, Some((place, codes))) => codes.iter().map(|code| self.digest(None, Some((*place, code)))).collect(),
            (Some(patients), None) => patients.iter().map(|patient| self.digest(Some(patient), None)).collect(),
            (Some(patients), Some((place, codes))) => {
                let pairs = patients.iter().flat_map(|patient| codes.iter().map(move |code| (patient, code)));
                pairs.map(|(patient, code)| self.digest(Some(patient), Some((*place, code)))).collect()
            }
        };
        Some(digests)
    }

    /// 62 bits of a hash (FNV-1a, mixed), so that none is one of the numbers that stand for something else. Two things
    /// may have the same: what is found by it is looked at.
    fn digest(&self, patient: Option<&[u8]>, code: Option<(usize, &[u8])>) -> i64 {
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        let mut add = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
            }
        };
        if let Some(patient) = patient {
            add(&[LOCAL]);
            add(patient);
            add(&[0]);
        }
        if let Some((place, code)) = code {
            add(&[TOKEN]);
            add(&self.codes.get(place).copied().unwrap_or_default().to_be_bytes());
            add(code);
        }
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        hash ^= hash >> 33;
        ((hash >> 2) | (1 << 61)) as i64
    }
}

fn once_each(mut all: Vec<Box<[u8]>>) -> Vec<Box<[u8]>> {
    all.sort_unstable();
    all.dedup();
    all
}

/// The time of eight bytes of a term.
fn time(bytes: &[u8]) -> Option<i64> {
    let bytes: [u8; 8] = bytes.try_into().ok()?;
    Some((u64::from_be_bytes(bytes) ^ (1 << 63)) as i64)
}
