//! A Consent as it is read, whoever asks: whose it is, and what its provisions name. What cannot be understood is kept
//! as such, so that it can keep a permission from applying and never keeps a denial away. Judges nobody.

use crate::access::{Action, Rights};
use crate::base::{ResourceId, Timestamp};
use crate::definitions::{Definitions, TypeId};
use crate::index::Extractor;
use crate::json::Tree;
use crate::primitive::{DateTime, Reference};
use rustc_hash::FxHashSet;

/// Provisions inside each other at most; what is deeper denies.
const DEEPEST: usize = 20;

/// Codes of `policyRule` by which everything is denied to begin with (v3-ActCode).
const OPTED_OUT: [&str; 4] = ["OPTOUT", "OPTOUTE", "NODSCLCD", "NODSCLCDS"];

/// Roles of an actor by which it is the one who gets the data; by all others it may be the one they come from.
const RECEIVERS: [&str; 6] = ["PRCP", "IRCP", "humanuser", "dataprocessor", "DELEGATEE", "GRANTEE"];

/// Confidentiality, from the least to the most (v3-Confidentiality).
const CONFIDENTIALITY: [&str; 6] = ["U", "L", "M", "N", "R", "V"];

/// What a Consent says, whoever asks.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Whose data it is about.
    pub(super) patient: ResourceId,
    /// Whether all is denied to begin with.
    pub(super) denies: bool,
    pub(super) provision: Option<Provision>,
}

/// A provision.
#[derive(Clone, Debug)]
pub(super) struct Provision {
    pub effect: Effect,
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    /// Whether something that narrows it could not be read.
    pub unsure: bool,
    /// Whom it means; empty: everybody.
    pub actors: Vec<Actor>,
    /// Codes of the purposes that it means; empty: every one.
    pub purposes: Vec<String>,
    /// What must be true of a resource.
    pub asks: Vec<Ask>,
    pub inner: Vec<Provision>,
}

/// What a provision does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It permits these actions.
    Permits(Rights),
    /// It denies: whatever actions it names, since what is hidden cannot be half hidden.
    Denies,
    /// It only holds others.
    Holds,
}

/// Whom a provision means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Actor {
    /// Somebody here.
    Here(TypeId, ResourceId),
    /// Somebody at another server: nobody who could ask here.
    Elsewhere,
    /// Nobody can say.
    Unknown,
}

/// What a provision asks of a resource, with whether something of it was not understood.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    /// Security labels: those that are named, and those that a denial means as well.
    Labels { named: Vec<String>, wider: Vec<String>, unknown: bool },
    /// Types.
    Kinds { named: Vec<TypeId>, unknown: bool },
    /// Codes: system, if there is one, and code.
    Codes { named: Vec<(Option<String>, String)>, unknown: bool },
    /// Single resources.
    Data { named: Vec<(TypeId, ResourceId)>, unknown: bool },
}

impl Statement {
    /// Reads a Consent; nothing if it is none on privacy, is not active, or denies nothing to anybody.
    pub fn read(consent: &Tree, definitions: &Definitions, extractor: &Extractor) -> Option<Statement> {
        let has = |name: &str, codes: &[&str]| {
            consent.get(name).is_some_and(|concept| codings(concept).any(|(_, code)| codes.contains(&&*code)))
        };
        if consent.get("status").and_then(Tree::as_str) != Some("active") || !has("scope", &["patient-privacy"]) {
            return None;
        }
        let (kind, patient) = extractor.local(consent.get("patient")?.get("reference")?.as_str()?)?;
        let reader = Reader { definitions, extractor };
        let provision = consent.get("provision").map(|tree| reader.provision(tree, 0));
        let denies = has("policyRule", &OPTED_OUT);
        let says = denies || provision.as_ref().is_some_and(Provision::denies);
        (says && definitions.name(kind) == "Patient").then_some(Statement { patient, denies, provision })
    }

    /// Whose data it is about.
    pub fn patient(&self) -> &ResourceId {
        &self.patient
    }

    /// Those to whom alone it can deny anything; none where it may be anybody.
    pub fn means(&self) -> Option<FxHashSet<(TypeId, ResourceId)>> {
        match &self.provision {
            Some(provision) if !self.denies => provision.denies_to(),
            _ => None,
        }
    }
}

impl Provision {
    /// Whether it or one inside denies.
    fn denies(&self) -> bool {
        self.effect == Effect::Denies || self.inner.iter().any(Provision::denies)
    }

    /// Those to whom alone something can be denied, here or inside; none where it may be anybody.
    fn denies_to(&self) -> Option<FxHashSet<(TypeId, ResourceId)>> {
        let named = |actor: &Actor| match actor {
            Actor::Here(kind, id) => Some(Some((*kind, id.clone()))),
            Actor::Elsewhere => Some(None),
            Actor::Unknown => None,
        };
        let own = match self.actors.is_empty() {
            true => None,
            false => self.actors.iter().map(named).collect::<Option<Vec<_>>>(),
        };
        match own {
            // Whoever is not meant here is not reached by what stands inside.
            Some(own) => Some(own.into_iter().flatten().collect()),
            None if self.effect == Effect::Denies => None,
            None => {
                let inner = self.inner.iter().filter(|inner| inner.denies()).map(Provision::denies_to);
                inner.collect::<Option<Vec<_>>>().map(|all| all.into_iter().flatten().collect())
            }
        }
    }
}

struct Reader<'d> {
    definitions: &'d Definitions,
    extractor: &'d Extractor,
}

impl Reader<'_> {
    fn provision(&self, tree: &Tree, depth: usize) -> Provision {
        let mut unsure = tree.get("dataPeriod").is_some();
        let mut list = |name: &str| match tree.get(name) {
            None => &[][..],
            Some(Tree::Array(items)) => {
                unsure |= items.is_empty();
                &items[..]
            }
            Some(_) => {
                unsure = true;
                &[]
            }
        };
        let (actors, actions, purposes) = (list("actor"), list("action"), list("purpose"));
        let (labels, classes, codes, data) = (list("securityLabel"), list("class"), list("code"), list("data"));
        let provisions = list("provision");
        let effect = match tree.get("type").and_then(Tree::as_str) {
            Some("permit") => Effect::Permits(permitted(actions)),
            // Only the outermost may leave it out.
            None if depth == 0 && tree.get("type").is_none() => Effect::Holds,
            _ => Effect::Denies,
        };
        let mut bound = |name: &str| {
            let text = tree.get("period")?.get(name)?;
            let moment = text.as_str().and_then(DateTime::parse);
            unsure |= moment.is_none();
            moment
        };
        let (start, end) = (bound("start").map(|d| Timestamp(d.start())), bound("end").map(|d| Timestamp(d.end())));
        let stated: Vec<String> = purposes.iter().filter_map(|purpose| Some(coding(purpose)?.1)).collect();
        unsure |= stated.len() < purposes.len();
        let mut asks = Vec::new();
        let mut ask = |there: bool, ask: &dyn Fn() -> Ask| asks.extend(there.then(ask));
        ask(!labels.is_empty(), &|| labelled(labels));
        ask(!classes.is_empty(), &|| self.kinds(classes));
        ask(!codes.is_empty(), &|| coded(codes));
        ask(!data.is_empty(), &|| self.data(data));
        let inner = match depth {
            // Exceptions that nobody could follow are none, but what they deny is.
            DEEPEST if provisions.is_empty() => Vec::new(),
            DEEPEST => vec![Provision { effect: Effect::Denies, ..Provision::empty() }],
            _ => provisions.iter().map(|inner| self.provision(inner, depth + 1)).collect(),
        };
        Provision {
            effect,
            start,
            end,
            unsure,
            actors: actors.iter().map(|actor| self.actor(actor)).collect(),
            // Purposes without a code are in `unsure`; a denial for them is one for all.
            purposes: if stated.len() < purposes.len() { Vec::new() } else { stated },
            asks,
            inner,
        }
    }

    fn actor(&self, actor: &Tree) -> Actor {
        let role = actor.get("role");
        let receives = role.is_none_or(|role| codings(role).any(|(_, code)| RECEIVERS.contains(&&*code)));
        let text = actor.get("reference").and_then(|r| r.get("reference")).and_then(Tree::as_str);
        match (receives, text) {
            (true, Some(text)) => match self.extractor.local(text) {
                Some((kind, id)) => Actor::Here(kind, id),
                None if matches!(Reference::parse(text), Reference::Absolute { .. }) => Actor::Elsewhere,
                None => Actor::Unknown,
            },
            _ => Actor::Unknown,
        }
    }

    fn kinds(&self, classes: &[Tree]) -> Ask {
        let kind = |class: &Tree| {
            let (system, code) = coding(class)?;
            let known = system.is_none_or(|system| system == "http://hl7.org/fhir/resource-types");
            self.definitions.resource(&code).filter(|_| known)
        };
        let named: Vec<TypeId> = classes.iter().filter_map(kind).collect();
        Ask::Kinds { unknown: named.len() < classes.len(), named }
    }

    fn data(&self, data: &[Tree]) -> Ask {
        let (mut named, mut unknown) = (Vec::new(), false);
        for data in data {
            // `related`, `dependents` and `authoredby` are more than the resource itself.
            unknown |= data.get("meaning").and_then(Tree::as_str).is_some_and(|meaning| meaning != "instance");
            let text = data.get("reference").and_then(|r| r.get("reference")).and_then(Tree::as_str);
            match text.map(|text| (self.extractor.local(text), Reference::parse(text))) {
                Some((Some(found), _)) => named.push(found),
                Some((None, Reference::Absolute { .. })) => {}
                _ => unknown = true,
            }
        }
        // Who wrote something is not the same as what was written.
        let authored = |data: &Tree| data.get("meaning").and_then(Tree::as_str) == Some("authoredby");
        if data.iter().any(authored) {
            named.clear();
        }
        Ask::Data { named, unknown }
    }
}

impl Provision {
    fn empty() -> Provision {
        Provision {
            effect: Effect::Holds,
            start: None,
            end: None,
            unsure: false,
            actors: Vec::new(),
            purposes: Vec::new(),
            asks: Vec::new(),
            inner: Vec::new(),
        }
    }
}

/// What the actions of a permission let somebody do; to disclose is not to see.
fn permitted(actions: &[Tree]) -> Rights {
    if actions.is_empty() {
        return Rights::ALL;
    }
    let of = |code: &str| match code {
        "access" | "use" => Rights::of(&[Action::Read, Action::Search]),
        "collect" => Rights::of(&[Action::Create]),
        "correct" => Rights::of(&[Action::Update, Action::Delete]),
        _ => Rights::NONE,
    };
    let codes = actions.iter().flat_map(codings);
    codes.fold(Rights::NONE, |rights, (_, code)| rights.with(of(&code)))
}

fn labelled(labels: &[Tree]) -> Ask {
    let named: Vec<String> = labels.iter().filter_map(|label| Some(coding(label)?.1)).collect();
    let mut wider = named.clone();
    for code in &named {
        // Whoever may not see what is confidential may not see what is more so.
        let more = CONFIDENTIALITY.iter().skip_while(|level| *level != code).skip(1);
        wider.extend(more.map(|level| (*level).to_owned()));
    }
    Ask::Labels { unknown: named.len() < labels.len(), named, wider }
}

fn coded(concepts: &[Tree]) -> Ask {
    let unknown = concepts.iter().any(|concept| codings(concept).next().is_none());
    Ask::Codes { named: concepts.iter().flat_map(codings).collect(), unknown }
}

fn coding(tree: &Tree) -> Option<(Option<String>, String)> {
    let text = |name: &str| tree.get(name).and_then(Tree::as_str).map(str::to_owned);
    Some((text("system"), text("code")?))
}

/// The codings of a CodeableConcept.
fn codings(concept: &Tree) -> impl Iterator<Item = (Option<String>, String)> {
    concept.get("coding").map_or(&[][..], Tree::items).iter().filter_map(coding)
}
