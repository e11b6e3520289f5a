//! What the slices of a profile have to be together, so that anything can keep it: not more of them at least than the
//! element has room for, and nothing said of a slice of a slice that what is said of the slice rules out.

use super::element::{ElementRules, Fault, Profile};
use super::over;

/// Elements within slices that are compared at most.
const DEEPEST: u32 = 12;

/// Says where the slices contradict what they are slices of.
pub(super) fn sound(profile: &Profile) -> Result<(), Fault> {
    for element in profile.elements.iter().filter(|e| !e.slices.is_empty()) {
        let slices = || element.slices.iter().filter_map(|number| profile.elements.get(*number as usize));
        let least: u64 = slices().map(|slice| u64::from(slice.min)).sum();
        if let Some(max) = element.max.filter(|max| least > u64::from(*max)) {
            let why = format!("it contradicts itself: its slices are there {least} times at least, it {max} at most");
            return Err(Fault::at(&element.id, why));
        }
        if element.slice.is_some() {
            for slice in slices() {
                agree(profile, element, slice, 0)?;
            }
        }
    }
    Ok(())
}

/// Compares what is said of a slice of a slice with what is said of the latter, and the elements below.
fn agree(profile: &Profile, around: &ElementRules, slice: &ElementRules, depth: u32) -> Result<(), Fault> {
    if let Some(why) = over::clash(around, slice) {
        return Err(Fault::at(&slice.id, why.replace("its base", "the slice around it")));
    }
    if depth >= DEEPEST {
        return Ok(());
    }
    for inner in below(profile, slice) {
        if let Some(outer) = below(profile, around).find(|outer| outer.name == inner.name) {
            agree(profile, outer, inner, depth + 1)?;
        }
    }
    Ok(())
}

fn below<'p>(profile: &'p Profile, of: &'p ElementRules) -> impl Iterator<Item = &'p ElementRules> {
    of.children.iter().filter_map(|child| profile.elements.get(*child as usize))
}
