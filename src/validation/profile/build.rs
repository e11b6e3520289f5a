//! From a StructureDefinition to rules: a snapshot stands for itself; where there is only a differential, it is laid
//! over the rules of its base (`over`), so that no snapshot has to be generated. Slices and slices of slices
//! (`slice/reslice`) are found by their names, and made where the base does not have them.

use super::super::rule::Rule;
use super::element::{
    Bound, Discriminator, DiscriminatorKind, ElementRules, Fault, Languages, Profile, Said, Slicing, TypeRules,
};
use super::{over, slices};
use crate::definitions::BindingStrength;
use crate::fhirpath::parse;
use crate::json::{Kind, Tree, Value};
use std::sync::Arc;

/// Elements of a profile at most.
const MOST: usize = 20_000;

/// Reads a definition. `base` is what it is derived from, where only its differential counts.
pub(super) fn build(definition: Value<'_>, base: Option<&Profile>) -> Result<Profile, Fault> {
    let of = |name: &str| definition.get(name).and_then(Value::as_str).map(|t| t.into_owned()).unwrap_or_default();
    let (url, version, about) = (of("url"), of("version"), of("type"));
    let canonical = if version.is_empty() { url.clone() } else { format!("{url}|{version}") };
    let mut profile = Profile {
        canonical: canonical.into(),
        about: about.as_str().into(),
        elements: base.map(|b| b.elements.clone()).unwrap_or_default(),
        ..Profile::default()
    };
    profile.elements.iter_mut().for_each(|element| element.said = Said::default());
    let inherited = profile.elements.len();
    if profile.elements.is_empty() {
        profile.elements.push(ElementRules { id: about.as_str().into(), ..ElementRules::default() });
    }
    for context in definition.get("context").into_iter().flat_map(Value::items) {
        let part = |name: &str| context.get(name).and_then(Value::as_str).unwrap_or_default().into_owned();
        profile.contexts.push((part("type").into(), part("expression").into()));
    }
    for rule in definition.get("contextInvariant").into_iter().flat_map(Value::items).filter_map(Value::as_str) {
        let rule = Rule::new("context", true, &rule, "").of(&profile.canonical);
        profile.context_rules.push(Arc::new(rule));
    }
    let list = |name: &str| definition.get(name).and_then(|s| s.get("element")).filter(|e| e.kind() == Kind::Array);
    let elements = match base {
        Some(_) => list("differential"),
        None => list("snapshot").or(list("differential")),
    };
    let mut builder = Builder { profile: &mut profile, base, inherited, last: Vec::new(), added: Vec::new() };
    for element in elements.into_iter().flat_map(Value::items) {
        builder.element(element).map_err(|why| {
            let id = element.get("id").or_else(|| element.get("path")).and_then(Value::as_str);
            Fault::at(&id.unwrap_or_default(), why)
        })?;
    }
    let added = builder.added;
    for number in added {
        // Nothing can be in a slice that the base has no room for.
        let Some(slice) = profile.elements.get_mut(number as usize) else { continue };
        let fault = Fault::at(&slice.id, "it adds a slice to a slicing that its base has closed");
        if slice.min > 0 {
            return Err(fault);
        }
        slice.max = Some(0);
        profile.lax.push(fault);
    }
    for element in &profile.elements {
        if let Some(max) = element.max.filter(|max| element.min > *max) {
            let why = format!("it contradicts itself: {} times at least and {max} times at most", element.min);
            return Err(Fault::at(&element.id, why));
        }
    }
    slices::sound(&profile)?;
    profile.modifier = list("snapshot")
        .or(list("differential"))
        .and_then(|e| e.items().next())
        .and_then(|root| root.get("isModifier"))
        .and_then(Value::as_bool)
        .unwrap_or(false);
    Ok(profile)
}

struct Builder<'p> {
    profile: &'p mut Profile,
    base: Option<&'p Profile>,
    /// How many of the first elements are of the base.
    inherited: usize,
    /// Slices of what the base has closed.
    added: Vec<u32>,
    /// Path and number of the elements met last, outermost first: where an element has no id, its place follows.
    last: Vec<(String, u32)>,
}

impl Builder<'_> {
    fn element(&mut self, element: Value<'_>) -> Result<(), String> {
        let of = |name: &str| element.get(name).and_then(Value::as_str);
        let path = of("path").ok_or("an element has no path")?;
        let id = of("id").filter(|id| id.split('.').count() == path.split('.').count());
        let number = match &id {
            Some(id) => self.by_id(id)?,
            None => self.by_path(&path, of("sliceName").as_deref())?,
        };
        self.last.retain(|(p, _)| path.strip_prefix(p.as_str()).is_some_and(|rest| rest.starts_with('.')));
        self.last.push((path.to_string(), number));
        let canonical = self.profile.canonical.clone();
        let inherited = (number as usize) < self.inherited;
        let rules = self.get(number)?;
        rules.id = id.as_deref().unwrap_or(&path).into();
        let base = inherited.then(|| rules.clone());
        say(rules, element, &canonical)?;
        let Some(base) = base else { return Ok(()) };
        let lax = over::keep(&base, rules)?;
        let rebound = over::rebound(&base, rules);
        let faults: Vec<Fault> = lax.into_iter().map(|why| Fault::at(&rules.id, why)).collect();
        self.profile.lax.extend(faults);
        self.profile.rebound.extend(rebound);
        Ok(())
    }

    fn get(&mut self, number: u32) -> Result<&mut ElementRules, String> {
        self.profile.elements.get_mut(number as usize).ok_or_else(|| "an element is out of place".to_owned())
    }

    /// The element with an id, such as `Observation.component:systolic.value[x]`.
    fn by_id(&mut self, id: &str) -> Result<u32, String> {
        let mut at = 0;
        for segment in id.split('.').skip(1) {
            let (name, slice) = segment.split_once(':').map_or((segment, None), |(n, s)| (n, Some(s)));
            at = self.step(at, name, slice)?;
        }
        Ok(at)
    }

    fn by_path(&mut self, path: &str, slice: Option<&str>) -> Result<u32, String> {
        let Some((parent, name)) = path.rsplit_once('.') else { return Ok(0) };
        let parent = match self.last.iter().rev().find(|(p, _)| p == parent) {
            Some((_, number)) => *number,
            None => self.by_path(parent, None)?,
        };
        self.step(parent, name, slice)
    }

    /// The child of this name, and its slice; made if they are not there.
    fn step(&mut self, parent: u32, name: &str, slice: Option<&str>) -> Result<u32, String> {
        let choice = name.strip_suffix("[x]");
        let name = choice.unwrap_or(name);
        let child = match self.child(parent, name)? {
            Some(child) => child,
            None => {
                let new = ElementRules { name: name.into(), ..ElementRules::default() };
                let number = self.add(new)?;
                self.get(parent)?.children.push(number);
                number
            }
        };
        let Some(slice) = slice else { return Ok(child) };
        let (mut at, mut around) = (child, None);
        for slice in self.names(child, slice)? {
            let of = at;
            at = match self.slice(of, slice)? {
                Some(found) => found,
                None => self.new_slice((of, around), name, slice, choice.is_some())?,
            };
            around = Some(of);
        }
        Ok(at)
    }

    fn child(&mut self, parent: u32, name: &str) -> Result<Option<u32>, String> {
        let children = self.get(parent)?.children.clone();
        Ok(children.into_iter().find(|c| self.profile.elements.get(*c as usize).is_some_and(|e| &*e.name == name)))
    }

    fn slice(&mut self, of: u32, name: &str) -> Result<Option<u32>, String> {
        let slices = self.get(of)?.slices.clone();
        let is = |e: &ElementRules| e.slice.as_deref() == Some(name);
        Ok(slices.into_iter().find(|c| self.profile.elements.get(*c as usize).is_some_and(is)))
    }

    /// The names of the slices that a name leads through: `a/b` is a slice of the slice `a`, if there is that; otherwise
    /// the name has a stroke in it.
    fn names<'s>(&mut self, of: u32, slice: &'s str) -> Result<Vec<&'s str>, String> {
        let (mut at, mut names) = (of, Vec::new());
        for around in slice.match_indices('/').filter_map(|(end, _)| slice.get(..end)) {
            if let Some(found) = self.slice(at, around)? {
                at = found;
                names.push(around);
            }
        }
        names.push(slice);
        Ok(names)
    }

    /// A new slice of an element or slice; `around` is what the latter is itself a slice of.
    fn new_slice(
        &mut self,
        (of, around): (u32, Option<u32>),
        name: &str,
        slice: &str,
        choice: bool,
    ) -> Result<u32, String> {
        let around = match around {
            Some(around) => self.get(around)?.slicing.as_ref().map(|s| s.discriminators.clone()),
            None => None,
        };
        let again = around.is_some();
        let parent = self.get(of)?;
        if parent.slicing.is_none() {
            // What the specification says where a differential leaves it out: extensions are told apart by their
            // url, the types of a choice by the type. A slice that is divided again without a word on how is so by
            // what it is told apart by itself.
            let discriminators = around.unwrap_or_else(|| match choice {
                true => vec![discriminator(DiscriminatorKind::Type, "$this")],
                false if matches!(name, "extension" | "modifierExtension") => {
                    vec![discriminator(DiscriminatorKind::Value, "url")]
                }
                false => vec![],
            });
            parent.slicing = Some(Slicing { discriminators, ..Slicing::default() });
        }
        let mut new = ElementRules { name: name.into(), slice: Some(slice.into()), ..ElementRules::default() };
        if choice
            && !again
            && let Some(code) = slice.strip_prefix(name)
        {
            // `valueQuantity` names its type.
            let types = |code: &str| vec![TypeRules { code: code.into(), ..TypeRules::default() }];
            let lower = code.get(..1).map(|first| first.to_ascii_lowercase() + &code[1..]).unwrap_or_default();
            new.types = match crate::primitive::Primitive::named(&lower) {
                Some(_) => types(&lower),
                None => types(code),
            };
        }
        let number = self.add(new)?;
        self.get(of)?.slices.push(number);
        let before = self.base.and_then(|base| base.elements.get(of as usize)?.slicing.as_ref());
        if before.is_some_and(|slicing| slicing.closed) {
            self.added.push(number);
        }
        Ok(number)
    }

    fn add(&mut self, new: ElementRules) -> Result<u32, String> {
        if self.profile.elements.len() >= MOST {
            return Err(format!("the profile has more than {MOST} elements"));
        }
        self.profile.elements.push(new);
        Ok(self.profile.elements.len() as u32 - 1)
    }
}

/// Takes over what an element says.
fn say(rules: &mut ElementRules, element: Value<'_>, canonical: &str) -> Result<(), String> {
    let text = |of: Value<'_>, name: &str| of.get(name).and_then(Value::as_str).map(|t| t.into_owned());
    if let Some(min) = element.get("min").and_then(Value::as_number).and_then(|n| n.parse().ok()) {
        rules.min = min;
        rules.said.min = Some(min);
    }
    if let Some(max) = text(element, "max") {
        rules.max = max.parse().ok();
        rules.said.max = Some(rules.max);
    }
    let strings = |of: Value<'_>, name: &str| -> Vec<Box<str>> {
        of.get(name).into_iter().flat_map(Value::items).filter_map(|v| Some(v.as_str()?.into())).collect()
    };
    if let Some(types) = element.get("type") {
        rules.types = types
            .items()
            .map(|t| TypeRules {
                code: text(t, "code").unwrap_or_default().into(),
                profiles: strings(t, "profile"),
                targets: strings(t, "targetProfile"),
            })
            .collect();
    }
    for (key, value) in element.entries() {
        if key.starts_with("fixed") {
            rules.fixed = Some(Tree::from(value));
        } else if key.starts_with("pattern") {
            rules.pattern = Some(Tree::from(value));
        } else if key.starts_with("minValue") {
            rules.range[0] = Some(Tree::from(value));
        } else if key.starts_with("maxValue") {
            rules.range[1] = Some(Tree::from(value));
        }
    }
    if let Some(length) = element.get("maxLength").and_then(Value::as_number).and_then(|n| n.parse().ok()) {
        rules.max_length = Some(length);
    }
    later(rules, element);
    if let Some(reference) = text(element, "contentReference") {
        rules.same_as = reference.rsplit('#').next().map(Into::into);
    }
    if let Some(binding) = element.get("binding") {
        rules.binding = bound(binding).or(rules.binding.take());
        rules.more_bindings.extend(additional(binding));
    }
    for constraint in element.get("constraint").into_iter().flat_map(Value::items) {
        let (key, expression) = (text(constraint, "key"), text(constraint, "expression"));
        let (Some(key), Some(expression)) = (key, expression) else { continue };
        if rules.rules.iter().any(|r| *r.key == *key && *r.expression == *expression) {
            continue;
        }
        let error = constraint.get("severity").and_then(Value::as_plain) != Some("warning");
        let words = text(constraint, "human").unwrap_or_default();
        let source = text(constraint, "source").unwrap_or_default();
        let mut rule = Rule::new(&key, error, &expression, &words).of(canonical);
        rule.copied = source.starts_with("http://hl7.org/fhir/StructureDefinition/");
        rules.rules.push(Arc::new(rule));
    }
    if let Some(slicing) = element.get("slicing") {
        rules.slicing = Some(slicing_of(slicing));
        rules.said.ordered = slicing.get("ordered").and_then(Value::as_bool);
    }
    Ok(())
}

fn extensions<'v>(of: Value<'v>, urls: &'v [&str]) -> impl Iterator<Item = Value<'v>> {
    let all = of.get("extension").into_iter().flat_map(Value::items);
    all.filter(|e| e.get("url").and_then(Value::as_plain).is_some_and(|url| urls.contains(&url)))
}

/// What later versions of FHIR say of an element, in the extensions by which they say it in R4.
fn later(rules: &mut ElementRules, element: Value<'_>) {
    const VALUE: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.mustHaveValue";
    const OTHERS: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.valueAlternatives";
    const LANGUAGES: &str = "http://hl7.org/fhir/StructureDefinition/narrative-language-control";
    if extensions(element, &[VALUE]).any(|e| e.get("valueBoolean").and_then(Value::as_bool) == Some(true)) {
        rules.without_value = Some(Vec::new());
    }
    let others = extensions(element, &[OTHERS]).filter_map(|e| e.get("valueCanonical")?.as_str());
    let others: Vec<Box<str>> = others.map(Into::into).collect();
    if !others.is_empty() && rules.without_value.is_none() {
        rules.without_value = Some(others);
    }
    for language in extensions(element, &[LANGUAGES]).filter_map(|e| e.get("valueCode")?.as_str()) {
        let language = match &*language {
            "_yes" => Languages::Sections,
            "_no" => Languages::NoSections,
            "_resource" => Languages::OfResource,
            code => Languages::One(code.into()),
        };
        if !rules.languages.contains(&language) {
            rules.languages.push(language);
        }
    }
}

/// Bindings beside the one of an element, as far as they hold for everybody and each value.
fn additional(binding: Value<'_>) -> Vec<Bound> {
    const URLS: [&str; 2] = [
        "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.binding.additional",
        "http://hl7.org/fhir/tools/StructureDefinition/additional-binding",
    ];
    let made = |e: Value<'_>| {
        let part = |name: &str| {
            let mut parts = e.get("extension").into_iter().flat_map(Value::items);
            parts.find(|p| p.get("url").and_then(Value::as_plain) == Some(name))
        };
        if part("usage").is_some() || part("any").is_some() {
            return None;
        }
        let strength = match part("purpose")?.get("valueCode").and_then(Value::as_plain)? {
            "required" | "maximum" => BindingStrength::Required,
            "extensible" => BindingStrength::Extensible,
            "preferred" => BindingStrength::Preferred,
            _ => return None,
        };
        let set = part("valueSet")?;
        let value_set = set.get("valueCanonical").or_else(|| set.get("valueUri"))?.as_str()?.into();
        Some(Bound { strength, value_set, most: None })
    };
    extensions(binding, &URLS).filter_map(made).collect()
}

fn bound(binding: Value<'_>) -> Option<Bound> {
    const MAXIMUM: &str = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet";
    let strength = match binding.get("strength").and_then(Value::as_plain)? {
        "required" => BindingStrength::Required,
        "extensible" => BindingStrength::Extensible,
        "preferred" => BindingStrength::Preferred,
        _ => BindingStrength::Example,
    };
    let mut extensions = binding.get("extension").into_iter().flat_map(Value::items);
    let most = extensions.find(|e| e.get("url").and_then(Value::as_plain) == Some(MAXIMUM));
    let most = most.and_then(|e| e.get("valueCanonical").or_else(|| e.get("valueUri"))?.as_str()).map(Into::into);
    Some(Bound { strength, value_set: binding.get("valueSet")?.as_str()?.into(), most })
}

fn slicing_of(slicing: Value<'_>) -> Slicing {
    let rules = slicing.get("rules").and_then(Value::as_plain);
    let discriminators = slicing.get("discriminator").into_iter().flat_map(Value::items).filter_map(|d| {
        let kind = match d.get("type").and_then(Value::as_plain)? {
            "exists" => DiscriminatorKind::Exists,
            "type" => DiscriminatorKind::Type,
            "profile" => DiscriminatorKind::Profile,
            _ => DiscriminatorKind::Value,
        };
        Some(discriminator(kind, &d.get("path")?.as_str()?))
    });
    Slicing {
        discriminators: discriminators.collect(),
        closed: rules == Some("closed"),
        open_at_end: rules == Some("openAtEnd"),
        ordered: slicing.get("ordered").and_then(Value::as_bool).unwrap_or(false),
    }
}

fn discriminator(kind: DiscriminatorKind, path: &str) -> Discriminator {
    // Some definitions name a choice as the element table does.
    let path = &path.replace("[x]", "");
    Discriminator { kind, path: path.as_str().into(), expression: parse(path).ok().map(Arc::new) }
}
