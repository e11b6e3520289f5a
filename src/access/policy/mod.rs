//! Policies of roles: what the users of a role may do, as a document that an administrator reads and changes. Scopes
//! say what an app was granted; the policy says what its user has to grant. Both must allow what is done.
//!
//! A policy is written as a FHIR Parameters resource:
//!
//! | parameter | value | meaning |
//! |---|---|---|
//! | `role` | code | the role, or `client` for apps without a user |
//! | `rule` | parts `type` (code, `*` for all but AuditEvent), `actions` (some of `cruds`), `criteria` (a query string, optional), `within` (code, optional) | what may be done; any rule that allows it suffices |
//! | `label` | code `R` or `V` | resources labelled so may be seen, too |
//! | `relabel` | boolean | such labels may be taken away |
//! | `break-glass` | boolean | in an emergency, with a reason, labels and Consents do not hide anything |
//! | `lift-consents` | boolean | Consents by which patients deny something may be changed for them; where it is not said, by an administrator only |
//! | `hidden` | string such as `Patient.telecom` | a top-level element that is neither shown nor searched nor written |
//!
//! `within` is `own` (the record of the patient that the user is, or whose relative the user is) or `care-team` (the
//! records of patients in whose active CareTeam the user takes part). Without it a rule is about everybody's records.

mod defaults;

use super::{Action, Rights, Role};
use crate::definitions::{Definitions, TypeId};
use crate::json::Tree;

/// The name of the policy for apps without a user.
pub const CLIENT: &str = "client";

/// Whose records a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// Everybody's.
    Everything,
    /// The user's own.
    Own,
    /// Those of the patients that the user treats.
    CareTeam,
}

impl Within {
    fn code(self) -> Option<&'static str> {
        match self {
            Within::Everything => None,
            Within::Own => Some("own"),
            Within::CareTeam => Some("care-team"),
        }
    }
}

/// What may be done with some types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRule {
    /// The types; empty: all but AuditEvent.
    pub kinds: Vec<TypeId>,
    /// What may be done.
    pub rights: Rights,
    /// Search criteria, as a query string.
    pub criteria: Option<String>,
    /// Whose records.
    pub within: Within,
}

/// What the users of a role may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The role, or [`CLIENT`].
    pub role: String,
    /// Any of these must allow what is done.
    pub rules: Vec<PolicyRule>,
    /// The guarded labels that do not hide anything.
    pub labels: Vec<String>,
    /// Whether guarded labels may be taken away.
    pub relabel: bool,
    /// Whether there is emergency access.
    pub break_glass: bool,
    /// Whether Consents that deny something may be changed on behalf of their patients.
    pub lift_consents: bool,
    /// Top-level elements that are hidden: type and FHIRPath name of the element.
    pub hidden: Vec<(TypeId, String)>,
}

/// The names of all policies.
pub fn names() -> impl Iterator<Item = &'static str> {
    Role::ALL.into_iter().map(Role::code).chain([CLIENT])
}

impl PolicyRule {
    /// Whether it is about a type. AuditEvents must be named: who may read the trail is never said by a star.
    pub fn is_about(&self, kind: TypeId, name: &str) -> bool {
        if self.kinds.is_empty() { name != "AuditEvent" } else { self.kinds.contains(&kind) }
    }

    /// Whether it allows an action on a type.
    pub fn allows(&self, kind: TypeId, name: &str, action: Action) -> bool {
        self.rights.has(action) && self.is_about(kind, name)
    }
}

impl Policy {
    /// The policy of a name that holds until an administrator writes another.
    pub fn standard(name: &str, definitions: &Definitions) -> Option<Policy> {
        defaults::policy(name, definitions)
    }

    /// The hidden elements of a type.
    pub fn hidden_of(&self, kind: TypeId) -> impl Iterator<Item = &str> {
        self.hidden.iter().filter(move |(of, _)| *of == kind).map(|(_, element)| element.as_str())
    }

    /// Reads a policy; the error says what is wrong with it.
    pub fn parse(parameters: &Tree, definitions: &Definitions) -> Result<Policy, String> {
        let text = |tree: &Tree, name: &str| tree.get(name).and_then(Tree::as_str).map(str::to_owned);
        if text(parameters, "resourceType").as_deref() != Some("Parameters") {
            return Err("a policy is written as a Parameters resource".to_owned());
        }
        // One that was stored before there was this parameter means what the standard one of its role does.
        let mut lifts = None;
        let mut policy = Policy {
            role: String::new(),
            rules: Vec::new(),
            labels: Vec::new(),
            relabel: false,
            break_glass: false,
            lift_consents: false,
            hidden: Vec::new(),
        };
        for parameter in parameters.get("parameter").map_or(&[][..], Tree::items) {
            let code = || text(parameter, "valueCode").ok_or("a valueCode is missing");
            let flag = || match parameter.get("valueBoolean") {
                Some(Tree::Bool(flag)) => Ok(*flag),
                _ => Err("a valueBoolean is missing"),
            };
            match text(parameter, "name").as_deref() {
                Some("role") => policy.role = code()?,
                Some("rule") => policy.rules.push(rule(parameter, definitions)?),
                Some("label") => match code()? {
                    label if super::label::GUARDED.contains(&label.as_str()) => policy.labels.push(label),
                    _ => return Err("'label' is R or V".to_owned()),
                },
                Some("relabel") => policy.relabel = flag()?,
                Some("break-glass") => policy.break_glass = flag()?,
                Some("lift-consents") => lifts = Some(flag()?),
                Some("hidden") => {
                    let path = text(parameter, "valueString").ok_or("'hidden' has no valueString")?;
                    policy.hidden.push(hidden(&path, definitions)?);
                }
                _ => {
                    let why = "parameters are role, rule, label, relabel, break-glass, lift-consents and hidden";
                    return Err(why.to_owned());
                }
            }
        }
        if !names().any(|name| name == policy.role) {
            return Err(format!("'role' is one of {}", names().collect::<Vec<_>>().join(", ")));
        }
        policy.lift_consents = lifts.unwrap_or_else(|| defaults::lifts_consents(&policy.role));
        Ok(policy)
    }

    /// Writes the policy as a Parameters resource.
    pub fn to_tree(&self, definitions: &Definitions) -> Tree {
        let named = |name: &str, value: (&'static str, Tree)| Tree::object([("name", Tree::string(name)), value]);
        let code = |name: &str, value: &str| named(name, ("valueCode", Tree::string(value)));
        let mut all = vec![code("role", &self.role)];
        for rule in &self.rules {
            let mut parts: Vec<Tree> = rule.kinds.iter().map(|kind| code("type", definitions.name(*kind))).collect();
            if parts.is_empty() {
                parts.push(code("type", "*"));
            }
            parts.push(code("actions", &rule.rights.to_string()));
            parts.extend(rule.criteria.as_ref().map(|c| named("criteria", ("valueString", Tree::string(c.as_str())))));
            parts.extend(rule.within.code().map(|within| code("within", within)));
            all.push(named("rule", ("part", Tree::Array(parts))));
        }
        all.extend(self.labels.iter().map(|label| code("label", label)));
        all.push(named("relabel", ("valueBoolean", Tree::Bool(self.relabel))));
        all.push(named("break-glass", ("valueBoolean", Tree::Bool(self.break_glass))));
        // A program that does not know of it can read what says nothing of it.
        if self.lift_consents != defaults::lifts_consents(&self.role) {
            all.push(named("lift-consents", ("valueBoolean", Tree::Bool(self.lift_consents))));
        }
        for (kind, element) in &self.hidden {
            let path = format!("{}.{element}", definitions.name(*kind));
            all.push(named("hidden", ("valueString", Tree::string(path))));
        }
        Tree::object([("resourceType", Tree::string("Parameters")), ("parameter", Tree::Array(all))])
    }
}

fn rule(parameter: &Tree, definitions: &Definitions) -> Result<PolicyRule, String> {
    let (mut kinds, mut star) = (Vec::new(), false);
    let (mut rights, mut criteria, mut within) = (None, None, Within::Everything);
    for part in parameter.get("part").map_or(&[][..], Tree::items) {
        let text = |name: &str| part.get(name).and_then(Tree::as_str);
        let code = || text("valueCode").ok_or("a valueCode is missing");
        match text("name") {
            Some("type") => match code()? {
                "*" => star = true,
                name => kinds.push(definitions.resource(name).ok_or(format!("'{name:.64}' is no resource type"))?),
            },
            Some("actions") => {
                rights = Some(Rights::parse(code()?).ok_or("'actions' is some of 'cruds', in that order")?);
            }
            Some("criteria") => criteria = Some(text("valueString").ok_or("'criteria' has no valueString")?.to_owned()),
            Some("within") => {
                within = match code()? {
                    "own" => Within::Own,
                    "care-team" => Within::CareTeam,
                    _ => return Err("'within' is own or care-team".to_owned()),
                };
            }
            _ => return Err("parts of a rule are type, actions, criteria and within".to_owned()),
        }
    }
    match (star, kinds.is_empty()) {
        (true, false) => return Err("'*' stands alone as a type, or other types do".to_owned()),
        (false, true) => return Err("a rule names at least one type, or '*'".to_owned()),
        _ => {}
    }
    let rights = rights.ok_or("a rule has no 'actions'")?;
    if let Some(criteria) = &criteria {
        for kind in if star { &definitions.resources } else { &kinds } {
            super::grant::criteria(definitions, *kind, criteria)
                .map_err(|why| format!("'criteria' on {}: {why}", definitions.name(*kind)))?;
        }
    }
    Ok(PolicyRule { kinds, rights, criteria, within })
}

/// A top-level element of a resource that may be hidden: what is mandatory may not, because what is left would be no
/// resource.
fn hidden(path: &str, definitions: &Definitions) -> Result<(TypeId, String), String> {
    let wrong = || format!("'{path:.100}' is no top-level element such as Patient.telecom that may be left out");
    let (name, element) = path.split_once('.').ok_or_else(wrong)?;
    let kind = definitions.resource(name).ok_or_else(wrong)?;
    let structure = definitions.structure(kind);
    let mut found = structure.elements.iter().filter(|e| *e.fhirpath == *element).peekable();
    let fixed = matches!(element, "id" | "meta" | "resourceType");
    if fixed || found.peek().is_none() {
        return Err(wrong());
    }
    let mandatory = |choice: u16| structure.choices.get(usize::from(choice)).is_some_and(|c| c.min > 0);
    if found.any(|e| e.min > 0 || e.choice.is_some_and(mandatory)) {
        return Err(wrong());
    }
    Ok((kind, element.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_written_and_read() {
        let definitions = Definitions::core();
        for name in names() {
            let policy = Policy::standard(name, &definitions).expect(name);
            let tree = policy.to_tree(&definitions);
            assert_eq!(Policy::parse(&tree, &definitions).expect(name), policy);
        }
        assert_eq!(Policy::standard("nobody", &definitions), None);
    }

    #[test]
    fn what_a_policy_does_not_say_of_consents_is_as_by_the_standard() {
        let definitions = Definitions::core();
        let lifts = |role: &str, more: &str| {
            let role = format!(r#"{{"name":"role","valueCode":"{role}"}}"#);
            let text = format!(r#"{{"resourceType":"Parameters","parameter":[{role}{more}]}}"#);
            let policy = Policy::parse(&Tree::parse(text.as_bytes()).expect("JSON"), &definitions).expect("a policy");
            assert_eq!(Policy::parse(&policy.to_tree(&definitions), &definitions).as_ref(), Ok(&policy));
            policy.lift_consents
        };
        let said = |flag: bool| format!(r#",{{"name":"lift-consents","valueBoolean":{flag}}}"#);
        assert_eq!(["administrator", "doctor"].map(|role| lifts(role, "")), [true, false]);
        assert_eq!(["administrator", "doctor"].map(|role| lifts(role, &said(false))), [false, false]);
        assert_eq!(["administrator", "doctor"].map(|role| lifts(role, &said(true))), [true, true]);
    }

    #[test]
    fn what_is_no_policy() {
        let definitions = Definitions::core();
        let role = r#"{"name":"role","valueCode":"nurse"}"#;
        for parameters in [
            "",
            r#"{"name":"role","valueCode":"king"}"#,
            &format!(r#"{role},{{"name":"other"}}"#),
            &format!(r#"{role},{{"name":"label","valueCode":"N"}}"#),
            &format!(r#"{role},{{"name":"hidden","valueString":"Observation.code"}}"#),
            &format!(r#"{role},{{"name":"hidden","valueString":"Patient.name.family"}}"#),
            &format!(r#"{role},{{"name":"hidden","valueString":"Patient.id"}}"#),
            &format!(r#"{role},{{"name":"rule","part":[{{"name":"type","valueCode":"Patient"}}]}}"#),
            &format!(r#"{role},{{"name":"rule","part":[{{"name":"actions","valueCode":"rs"}}]}}"#),
            &format!(
                r#"{role},{{"name":"rule","part":[{{"name":"type","valueCode":"Patient"}},{{"name":"actions","valueCode":"sr"}}]}}"#
            ),
            &format!(
                r#"{role},{{"name":"rule","part":[{{"name":"type","valueCode":"Patient"}},{{"name":"actions","valueCode":"rs"}},{{"name":"criteria","valueString":"nothing=1"}}]}}"#
            ),
            &format!(
                r#"{role},{{"name":"rule","part":[{{"name":"type","valueCode":"Observation"}},{{"name":"actions","valueCode":"rs"}},{{"name":"criteria","valueString":"subject.name=x"}}]}}"#
            ),
        ] {
            let text = format!(r#"{{"resourceType":"Parameters","parameter":[{parameters}]}}"#);
            let tree = Tree::parse(text.as_bytes()).expect("JSON");
            assert!(Policy::parse(&tree, &definitions).is_err(), "{text}");
        }
    }
}
