//! Cuts the rules of a profile down to what they say beyond the base definitions, which are checked anyway.

use super::super::rule::Rules;
use super::element::{ElementRules, Fault, Profile, Rebound, Slicing, TypeRules};
use super::over;
use crate::definitions::{
    Binding, BindingStrength, Definitions, Element, ElementType, Structure, TypeId, split_canonical,
};
use crate::primitive::Primitive;

/// Fails where the profile names elements that there are not.
pub(super) fn prune(profile: &mut Profile, definitions: &Definitions, rules: &Rules) -> Result<(), Fault> {
    for element in &mut profile.elements {
        element.rules.retain(|rule| !rules.has(rule));
    }
    let root = definitions.type_named(&profile.about);
    let mut faults = Vec::new();
    keep(profile, 0, root, None, definitions, &mut faults);
    match faults.into_iter().next() {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
}

/// Cuts an element down; whether it says anything.
fn keep(
    profile: &mut Profile,
    number: u32,
    kind: Option<TypeId>,
    base: Option<&Base<'_>>,
    definitions: &Definitions,
    faults: &mut Vec<Fault>,
) -> bool {
    let Some(rules) = profile.elements.get(number as usize) else { return false };
    let (children, slices) = (rules.children.clone(), rules.slices.clone());
    // A slice may name its type where the element leaves several.
    let kind = match rules.types.as_slice() {
        [one] => {
            definitions.type_named(&one.code).filter(|_| kind.is_none() || base.is_some_and(|b| b.choice)).or(kind)
        }
        _ => kind,
    };
    let astray = rules.slicing.as_ref().zip(kind).and_then(|(slicing, kind)| astray(slicing, kind, definitions));
    let astray = astray.map(|why| Fault::at(&rules.id, why));
    profile.lax.extend(astray);
    let structure = kind.map(|k| definitions.structure(k));
    if let Some(structure) = structure {
        long_names(profile, &children, structure);
    }
    let kept: Vec<u32> = children
        .into_iter()
        .filter(|child| {
            let Some(rules) = profile.elements.get(*child as usize) else { return false };
            let name = rules.name.clone();
            let base = structure.and_then(|s| Base::of(s, &name));
            match (structure, &base) {
                (Some(structure), None) => {
                    let why = format!("it speaks of {}.{name}, which there is not", structure.name);
                    faults.push(Fault::at(&rules.id, why));
                }
                (_, Some(base)) if rules.max.is_some_and(|max| max < base.min) => {
                    faults.push(Fault::at(&rules.id, "it forbids what the specification makes mandatory"));
                }
                (_, Some(base)) => {
                    let lax = base.loosened_by(rules).map(|why| Fault::at(&rules.id, why));
                    let rebound = base.rebound_by(rules);
                    profile.lax.extend(lax);
                    profile.rebound.extend(rebound);
                }
                _ => {}
            }
            keep(profile, *child, base.as_ref().and_then(|b| b.kind), base.as_ref(), definitions, faults)
        })
        .collect();
    for slice in slices {
        keep(profile, slice, kind, base, definitions, faults);
    }
    let Some(rules) = profile.elements.get_mut(number as usize) else { return false };
    rules.children = kept;
    let Some(base) = base else { return true };
    if rules.slice.is_none() {
        base.leave_out(rules, definitions);
    }
    let fewer = rules.max.is_some_and(|max| max != 1 || base.many);
    rules.min > base.min
        || fewer
        || !rules.children.is_empty()
        || !rules.slices.is_empty()
        || !rules.types.is_empty()
        || !rules.rules.is_empty()
        || rules.fixed.is_some()
        || rules.pattern.is_some()
        || rules.binding.is_some()
        || !rules.more_bindings.is_empty()
        || rules.without_value.is_some()
        || !rules.languages.is_empty()
        || rules.max_length.is_some()
        || rules.range.iter().any(Option::is_some)
        || rules.same_as.is_some()
}

/// Why a discriminator of an element of some type leads nowhere. Only plain steps are followed, as far as one type is meant.
fn astray(slicing: &Slicing, kind: TypeId, definitions: &Definitions) -> Option<String> {
    for discriminator in &slicing.discriminators {
        let mut structure = definitions.structure(kind);
        for step in discriminator.path.split('.') {
            if step == "$this" {
                continue;
            }
            if !step.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                break;
            }
            let Some(base) = Base::of(structure, step) else {
                let path = &discriminator.path;
                // Some name a choice with its type.
                let long = structure.element(step).is_some();
                return (!long).then(|| {
                    format!("the discriminator '{path}' leads to {}.{step}, which there is not", structure.name)
                });
            };
            match base.kind {
                Some(kind) if !base.choice => structure = definitions.structure(kind),
                _ => break,
            }
        }
    }
    None
}

/// Some definitions write a choice with its type in its name: `contentString` means `content` of the type string.
fn long_names(profile: &mut Profile, children: &[u32], structure: &Structure) {
    let choice = |name: &str| structure.element(name).filter(|e| e.choice.is_some());
    let named: Vec<(u32, &Element)> = children
        .iter()
        .filter_map(|child| Some((*child, choice(&profile.elements.get(*child as usize)?.name)?)))
        .collect();
    for (child, element) in &named {
        let alone = named.iter().filter(|(_, other)| other.choice == element.choice).count() == 1;
        let Some(rules) = profile.elements.get_mut(*child as usize) else { continue };
        rules.name = element.fhirpath.clone();
        if !alone {
            // Each is one of several: what is said holds for values of its type only, which is not told apart here.
            *rules = ElementRules { name: rules.name.clone(), id: rules.id.clone(), ..ElementRules::default() };
        } else if rules.types.is_empty() {
            rules.types = vec![TypeRules { code: element.type_name.clone(), ..TypeRules::default() }];
        }
    }
}

/// What the base definitions say of an element.
struct Base<'d> {
    elements: Vec<&'d Element>,
    kind: Option<TypeId>,
    choice: bool,
    min: u32,
    many: bool,
}

impl<'d> Base<'d> {
    fn of(structure: &'d Structure, name: &str) -> Option<Base<'d>> {
        let elements: Vec<&Element> = structure.elements.iter().filter(|e| &*e.fhirpath == name).collect();
        let first = *elements.first()?;
        let choice = first.choice.and_then(|c| structure.choices.get(c as usize));
        let kind = match (elements.as_slice(), first.kind) {
            ([_], ElementType::Complex(id)) => Some(id),
            _ => None,
        };
        let min = choice.map_or(first.min, |c| c.min);
        Some(Base { choice: choice.is_some(), kind, min, many: first.many, elements })
    }

    /// What a definition allows that the specification does not. It is checked anyway.
    fn loosened_by(&self, rules: &ElementRules) -> Option<String> {
        if let Some(min) = rules.said.min.filter(|min| *min < self.min) {
            return Some(format!("it allows {min} times at least, the specification only {}", self.min));
        }
        if let (Some(base), Some(own)) = (self.binding(), &rules.binding)
            && over::firmness(base.strength) > over::firmness(own.strength)
        {
            let set = &base.value_set;
            return Some(format!("it binds less firmly to a value set than the specification, which binds to {set}"));
        }
        let more = rules.said.max.is_some_and(|max| max.is_none_or(|max| max > 1));
        (more && !self.many).then(|| "it allows more than one, the specification only one".to_owned())
    }

    /// Its binding, if all its types have the same.
    fn binding(&self) -> Option<&'d Binding> {
        let mut all = self.elements.iter().map(|e| e.binding.as_ref());
        let first = all.next()??;
        all.all(|b| b.is_some_and(|b| b.value_set == first.value_set && b.strength == first.strength)).then_some(first)
    }

    /// Where another value set takes the place of one that the specification requires.
    fn rebound_by(&self, rules: &ElementRules) -> Option<Rebound> {
        let (base, own) = (self.binding()?, rules.binding.as_ref()?);
        let other = split_canonical(&own.value_set).0 != split_canonical(&base.value_set).0;
        (base.strength == BindingStrength::Required && other).then(|| Rebound {
            element: rules.id.clone(),
            own: own.value_set.clone(),
            base: base.value_set.clone(),
        })
    }

    /// Leaves out what the base says too.
    fn leave_out(&self, rules: &mut ElementRules, definitions: &Definitions) {
        let same_binding = |e: &&Element| {
            let (Some(own), Some(base)) = (&rules.binding, &e.binding) else { return false };
            own.strength == base.strength
                && own.most.is_none()
                && crate::definitions::split_canonical(&own.value_set).0 == &*base.value_set
        };
        if self.elements.first().is_some_and(same_binding) {
            rules.binding = None;
        }
        if rules.types.iter().all(|t| self.says_nothing(t, definitions))
            && (!self.choice || rules.types.len() >= self.elements.len())
        {
            rules.types.clear();
        }
    }

    fn says_nothing(&self, own: &TypeRules, definitions: &Definitions) -> bool {
        let code = own.code.strip_prefix("http://hl7.org/fhirpath/System.");
        let same_type = |e: &&Element| {
            *e.type_name == *own.code
                || code.is_some_and(|code| matches!(e.kind, ElementType::Primitive(_)) && !code.is_empty())
        };
        if !self.elements.iter().any(same_type) {
            return false;
        }
        let targets = |e: &&&Element| {
            *e.type_name == *own.code && {
                let mut base = e.targets.iter().map(|t| definitions.name(*t));
                let named = |t: &str| own.targets.iter().any(|o| o.rsplit('/').next() == Some(t) && is_core(o));
                own.targets.is_empty() || e.targets.len() == own.targets.len() && base.all(named)
            }
        };
        let any = own.targets.iter().any(|t| &**t == "http://hl7.org/fhir/StructureDefinition/Resource");
        let no_targets = own.targets.is_empty() || any || self.elements.iter().any(|e| targets(&e));
        own.profiles.is_empty() && no_targets
    }
}

fn is_core(canonical: &str) -> bool {
    let name = canonical.strip_prefix("http://hl7.org/fhir/StructureDefinition/").unwrap_or_default();
    !name.is_empty() && Primitive::named(name).is_none()
}
