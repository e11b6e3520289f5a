//! Slicing (R4 profiling.html#slicing): the values of an element are divided into slices, each slice has its number and
//! rules, and what belongs to none is refused where the slicing is closed. A slice may be divided again (re-slicing,
//! `slice/reslice`): its members are then divided by its own slicing, within all that is said of the slice. To which slice
//! a value belongs is told in `belonging`; where that is not known, nothing is concluded from it, and it is said.

use super::super::place::Place;
use super::super::walk::{Scope, Walk};
use super::belonging::Belongs;
use super::check::{Within, from};
use super::element::{ElementRules, Profile};
use crate::base::{IssueCode, Severity};
use crate::fhirpath::eval::Node;

/// One of the values that are divided.
#[derive(Clone, Copy)]
pub(super) struct Member<'d> {
    /// Its place among the values of the element.
    pub at: usize,
    pub node: Node<'d>,
    /// Whether it is known to belong to what is divided; if not, it is only counted as one that may.
    pub certain: bool,
}

/// What came of one slice.
#[derive(Default)]
struct Filled<'d> {
    members: Vec<Member<'d>>,
    certain: usize,
}

impl<'d> Walk<'_, 'd> {
    /// Divides the values of an element, or the members of a slice.
    pub(super) fn slices(
        &mut self,
        of: Within<'_>,
        rules: &ElementRules,
        values: &[Member<'d>],
        many: bool,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) {
        let Some(slicing) = &rules.slicing else { return };
        let mut filled: Vec<Filled<'d>> = rules.slices.iter().map(|_| Filled::default()).collect();
        let mut latest = 0;
        let mut unmatched: Option<usize> = None;
        let what = rules.called();
        for value in values {
            let inner = place.child(&rules.name);
            let inner = if many { inner.item(value.at) } else { inner };
            let mut found = None;
            let mut perhaps = Vec::new();
            for (s, number) in rules.slices.iter().enumerate() {
                match self.in_slice(of.with(*number), &slicing.discriminators, value.node, &inner, scope) {
                    Belongs::Yes => {
                        found = Some(s);
                        break;
                    }
                    Belongs::No => {}
                    Belongs::Unknown(why) => perhaps.push((s, why)),
                }
            }
            let certain = value.certain && found.is_some();
            let member = Member { certain, ..*value };
            match found {
                Some(s) => filled[s].members.push(member),
                None => perhaps.iter().for_each(|(s, _)| filled[*s].members.push(member)),
            }
            if !value.certain {
                continue;
            }
            let Some(s) = found else {
                if perhaps.is_empty() {
                    unmatched.get_or_insert(value.at);
                    if slicing.closed {
                        let message = format!(
                            "the value belongs to no slice of {what}, and the slicing is closed{}",
                            from(of.profile)
                        );
                        self.report(IssueCode::Structure, &inner, message);
                    }
                } else {
                    let names = perhaps.iter().filter_map(|(s, _)| of.with(rules.slices[*s]).rules()?.slice.as_deref());
                    self.unclear(of.profile, &what, &names.collect::<Vec<_>>(), &perhaps[0].1, &inner);
                }
                continue;
            };
            filled[s].certain += 1;
            if slicing.ordered && s < latest {
                let message = format!("the slices of {what} stand in their order{}", from(of.profile));
                self.report(IssueCode::Structure, &inner, message);
            }
            latest = latest.max(s);
            if let Some(before) = unmatched.filter(|_| slicing.open_at_end) {
                let other = place.child(&rules.name);
                let other = if many { other.item(before) } else { other };
                let message = format!("what belongs to no slice of {what} stands at the end{}", from(of.profile));
                self.report(IssueCode::Structure, &other, message);
            }
            let slice = of.with(rules.slices[s]);
            let Some(slice_rules) = slice.rules() else { continue };
            self.types(slice, slice_rules, value.node, &inner, scope);
            self.node(slice, value.node, &inner, scope);
        }
        for (number, filled) in rules.slices.iter().zip(filled) {
            let slice = of.with(*number);
            let Some(slice_rules) = slice.rules() else { continue };
            self.number(slice, slice_rules, filled.certain..=filled.members.len(), place);
            if !slice_rules.slices.is_empty() {
                self.slices(slice, slice_rules, &filled.members, many, place, scope);
            }
        }
    }

    /// Says once that it is not known to which slice a value belongs, and why.
    fn unclear(&mut self, profile: &Profile, of: &str, slices: &[&str], why: &str, place: &Place<'_>) {
        let slices = slices.join("' or '");
        let message = format!(
            "it is not known whether the value belongs to the slice '{slices}' of {of}, so that nothing said of that was \
             held against it: {why}{}",
            from(profile)
        );
        if self.undecided.insert(message.clone()) {
            self.note(Severity::Warning, IssueCode::Processing, place, message);
        }
    }
}
