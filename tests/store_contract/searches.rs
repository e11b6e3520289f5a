//! Generated resources, generated searches over every feature: the embedded engine, or the one on MongoDB where only that
//! is asked for, answers as the naive one does, page by page, at every position. A failing case is made small before it
//! is told.
//!
//! `VESTA_SEARCH_CASES` says how many searches are tried; without it 10,000 are, and 500 on MongoDB.

use super::world::{Dice, Hands, TENANT, only_mongodb, wait};
use std::fmt::Write as _;
use std::sync::Arc;
use vesta::base::{ResourceId, Timestamp};
use vesta::definitions::Definitions;
use vesta::index::Extractor;
use vesta::json::{Document, Limits};
use vesta::search::{Handling, Options, Plan, Scope, pairs, plan};
use vesta::store::embedded::{self, EmbeddedStore};
use vesta::store::memory::MemoryStore;
use vesta::store::{Body, Budget, Content, Expect, Method, Store, Transaction, Write};

/// A write: type, id, and the resource, or nothing for a delete.
#[derive(Clone, Debug)]
struct Change {
    kind: &'static str,
    id: String,
    json: Option<String>,
}

const TYPES: [&str; 8] =
    ["Patient", "Observation", "Encounter", "Condition", "Location", "List", "MedicationRequest", "Medication"];
const WORDS: [&str; 8] = ["Anna", "ann", "Ärzte", "arzt", "Bo", "bone liver", "Łódź", "straße"];
const CODES: [&str; 4] = ["a", "b", "c", "A"];
const SYSTEMS: [&str; 3] = ["http://s/1", "http://s/2", ""];
const DATES: [&str; 8] = [
    "2019",
    "2020",
    "2020-02",
    "2020-02-29",
    "2020-03-01T08:00:00Z",
    "2020-03-01T10:30:00+02:00",
    "2021-12-31",
    "1999",
];
const NUMBERS: [&str; 8] = ["1", "1.0", "5.4", "5400", "-3", "0", "100", "0.0054"];
const UNITS: [&str; 5] = ["mmol/L", "umol/L", "mg", "g", "made-up"];
const DEGREES: [&str; 6] = ["0", "48.85", "48.86", "-17.7", "89.9", "-48.85"];

struct Maker {
    dice: Dice,
    ids: u64,
}

impl Maker {
    fn pick(&mut self, of: &[&'static str]) -> &'static str {
        self.dice.pick::<&'static str>(of)
    }

    fn some(&mut self) -> bool {
        self.dice.below(2) == 0
    }

    fn id(&mut self) -> String {
        format!("r{}", self.dice.below(self.ids))
    }

    fn coding(&mut self) -> String {
        let (system, code, word) = (self.pick(&SYSTEMS), self.pick(&CODES), self.pick(&WORDS));
        let system = if system.is_empty() { String::new() } else { format!("\"system\":\"{system}\",") };
        format!("{{{system}\"code\":\"{code}\",\"display\":\"{word}\"}}")
    }

    fn concept(&mut self) -> String {
        let codings: Vec<_> = (0..self.dice.below(3)).map(|_| self.coding()).collect();
        format!("{{\"coding\":[{}],\"text\":\"{}\"}}", codings.join(","), self.pick(&WORDS))
            .replace("\"coding\":[],", "")
    }

    fn reference(&mut self, kinds: &[&'static str]) -> String {
        let kind = self.pick(kinds);
        let id = self.id();
        let text = match self.dice.below(10) {
            0 => format!("{kind}/{id}/_history/2"),
            1 => format!("http://here/fhir/{kind}/{id}"),
            2 => format!("http://far/fhir/{kind}/{id}"),
            _ => format!("{kind}/{id}"),
        };
        format!("{{\"reference\":\"{text}\"}}")
    }

    fn quantity(&mut self) -> String {
        let (number, unit) = (self.pick(&NUMBERS), self.pick(&UNITS));
        let system = if self.some() { ",\"system\":\"http://unitsofmeasure.org\"" } else { "" };
        let comparator = if self.dice.below(6) == 0 { ",\"comparator\":\">\"" } else { "" };
        format!("{{\"value\":{number},\"unit\":\"{unit}\",\"code\":\"{unit}\"{system}{comparator}}}")
    }

    fn period(&mut self) -> String {
        let mut ends = [self.pick(&DATES), self.pick(&DATES)];
        ends.sort_unstable();
        match self.dice.below(3) {
            0 => format!("{{\"start\":\"{}\"}}", ends[0]),
            1 => format!("{{\"end\":\"{}\"}}", ends[1]),
            _ => format!("{{\"start\":\"{}\",\"end\":\"{}\"}}", ends[0], ends[1]),
        }
    }

    /// A resource: each element is there now and then.
    fn resource(&mut self, kind: &'static str, id: &str) -> String {
        let mut out = format!("{{\"resourceType\":\"{kind}\",\"id\":\"{id}\"");
        if self.some() {
            let tag = self.coding();
            let _ = write!(out, ",\"meta\":{{\"tag\":[{tag}]}}");
        }
        let mut elements: Vec<String> = Vec::new();
        match kind {
            "Patient" => {
                elements.push(format!(
                    "\"name\":[{{\"family\":\"{}\",\"given\":[\"{}\"]}}]",
                    self.pick(&WORDS),
                    self.pick(&WORDS)
                ));
                elements.push(format!("\"gender\":\"{}\"", self.pick(&["male", "female"])));
                elements.push(format!("\"birthDate\":\"{}\"", self.pick(&["2019", "2020-02", "2020-02-29", "1999"])));
                let (system, code) = (self.pick(&SYSTEMS), self.pick(&CODES));
                let kind = self.concept();
                let system = if system.is_empty() { String::new() } else { format!("\"system\":\"{system}\",") };
                elements.push(format!("\"identifier\":[{{{system}\"value\":\"{code}\",\"type\":{kind}}}]"));
                elements
                    .push(format!("\"link\":[{{\"type\":\"seealso\",\"other\":{}}}]", self.reference(&["Patient"])));
                let div = format!(
                    "<div xmlns=\\\"http://www.w3.org/1999/xhtml\\\">{} <b>{}</b></div>",
                    self.pick(&WORDS),
                    self.pick(&WORDS)
                );
                elements.push(format!("\"text\":{{\"status\":\"generated\",\"div\":\"{div}\"}}"));
            }
            "Observation" => {
                elements.push(format!("\"status\":\"{}\"", self.pick(&["final", "amended"])));
                elements.push(format!("\"code\":{}", self.concept()));
                elements.push(format!("\"subject\":{}", self.reference(&["Patient", "Location"])));
                elements.push(format!("\"encounter\":{}", self.reference(&["Encounter"])));
                elements.push(format!("\"valueQuantity\":{}", self.quantity()));
                elements.push(format!("\"effectiveDateTime\":\"{}\"", self.pick(&DATES)));
                elements.push(format!(
                    "\"hasMember\":[{},{}]",
                    self.reference(&["Observation"]),
                    self.reference(&["Observation"])
                ));
                elements.push(format!("\"note\":[{{\"text\":\"{}\"}}]", self.pick(&WORDS)));
            }
            "Encounter" => {
                elements.push(format!("\"class\":{}", self.coding()));
                elements.push(format!("\"subject\":{}", self.reference(&["Patient"])));
                elements.push(format!("\"period\":{}", self.period()));
                elements.push(format!("\"partOf\":{}", self.reference(&["Encounter"])));
                elements.push(format!("\"location\":[{{\"location\":{}}}]", self.reference(&["Location"])));
            }
            "Condition" => {
                elements.push(format!("\"code\":{}", self.concept()));
                elements.push(format!("\"subject\":{}", self.reference(&["Patient"])));
                elements.push(format!("\"onsetPeriod\":{}", self.period()));
            }
            "Location" => {
                elements.push(format!("\"name\":\"{}\"", self.pick(&WORDS)));
                let place = (self.pick(&DEGREES), self.pick(&DEGREES));
                elements.push(format!("\"position\":{{\"latitude\":{},\"longitude\":{}}}", place.0, place.1));
                elements.push(format!("\"partOf\":{}", self.reference(&["Location"])));
            }
            "List" => {
                elements.push("\"status\":\"current\"".to_owned());
                elements.push(format!(
                    "\"entry\":[{{\"item\":{}}},{{\"item\":{}}}]",
                    self.reference(&TYPES),
                    self.reference(&TYPES)
                ));
            }
            "MedicationRequest" => {
                elements.push(format!("\"subject\":{}", self.reference(&["Patient"])));
                let (a, b) = (self.concept(), self.concept());
                let (s, t) = (self.pick(&["active", "inactive"]), self.pick(&["active", "inactive"]));
                elements.push(format!(
                    "\"contained\":[{{\"resourceType\":\"Medication\",\"id\":\"x\",\"code\":{a},\"status\":\"{s}\"}},{{\"resourceType\":\"Medication\",\"id\":\"y\",\"code\":{b},\"status\":\"{t}\"}}]"
                ));
            }
            _ => {
                elements.push(format!("\"code\":{}", self.concept()));
                elements.push(format!("\"status\":\"{}\"", self.pick(&["active", "inactive"])));
            }
        }
        for element in elements {
            if self.dice.below(5) > 0 {
                out.push(',');
                out.push_str(&element);
            }
        }
        out.push('}');
        out
    }

    fn change(&mut self) -> Change {
        let (kind, id) = (self.pick(&TYPES), self.id());
        let json = (self.dice.below(8) > 0).then(|| self.resource(kind, &id));
        Change { kind, id, json }
    }

    fn token(&mut self) -> String {
        let (system, code) = (self.pick(&SYSTEMS), self.pick(&CODES));
        match self.dice.below(4) {
            0 => code.to_owned(),
            1 => format!("{system}|{code}"),
            2 => format!("|{code}"),
            _ => format!("http://s/1|{}", if self.some() { "" } else { code }),
        }
    }

    fn ordered(&mut self, value: &str) -> String {
        let prefix = self.pick(&["", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]);
        format!("{prefix}{value}")
    }

    fn quantity_value(&mut self) -> String {
        let (number, unit) = (self.pick(&NUMBERS), self.pick(&UNITS));
        let tail = match self.dice.below(3) {
            0 => String::new(),
            1 => format!("||{unit}"),
            _ => format!("|http://unitsofmeasure.org|{unit}"),
        };
        self.ordered(&format!("{number}{tail}"))
    }

    fn local(&mut self, kind: &str) -> String {
        let id = self.id();
        match self.dice.below(6) {
            0 => format!("{kind}/{id}/_history/2"),
            1 => format!("http://here/fhir/{kind}/{id}"),
            2 => format!("http://far/fhir/{kind}/{id}"),
            3 => id,
            _ => format!("{kind}/{id}"),
        }
    }

    fn list(&mut self, one: &mut dyn FnMut(&mut Maker) -> String) -> String {
        (0..1 + self.dice.below(8).saturating_sub(5)).map(|_| one(self)).collect::<Vec<_>>().join(",")
    }

    /// A criterion on a type: name and value.
    fn criterion(&mut self, kind: &str, depth: u32) -> (String, String) {
        let token = |m: &mut Maker, code: &str| match m.dice.below(8) {
            0 => (format!("{code}:not"), m.list(&mut Maker::token)),
            1 => (format!("{code}:text"), m.pick(&WORDS).to_owned()),
            2 => (format!("{code}:missing"), m.pick(&["true", "false"]).to_owned()),
            _ => (code.to_owned(), m.list(&mut Maker::token)),
        };
        let string = |m: &mut Maker, code: &str| {
            let modifier = m.pick(&["", "", ":exact", ":contains"]);
            (
                format!("{code}{modifier}"),
                m.list(&mut |m| {
                    let length = 2 + m.dice.below(2) as usize;
                    m.pick(&WORDS).chars().take(length).collect::<String>()
                }),
            )
        };
        match self.dice.below(12) {
            0 => return ("_id".into(), self.list(&mut Maker::id)),
            1 => return token(self, "_tag"),
            2 => return ("_list".into(), self.id()),
            3 => {
                return (
                    "_content".into(),
                    self.pick(&["bone", "liver and bone", "ann*", "not bone", "(bo or arzt) anna"]).to_owned(),
                );
            }
            4 => return ("_not-referenced".into(), self.pick(&["*:*", "List:item", "Observation:*"]).to_owned()),
            5 if depth > 0 => return self.reverse(kind, depth),
            6 if depth > 0 => return ("_filter".into(), self.filter(kind, depth - 1)),
            _ => {}
        }
        match kind {
            "Patient" => match self.dice.below(8) {
                0 => string(self, "family"),
                1 => string(self, "name"),
                2 => token(self, "gender"),
                3 => (
                    "birthdate".into(),
                    self.list(&mut |m| {
                        let d = m.pick(&DATES);
                        m.ordered(d)
                    }),
                ),
                4 => ("identifier:of-type".into(), format!("http://s/1|{}|{}", self.pick(&CODES), self.pick(&CODES))),
                5 => ("_text".into(), self.pick(&["bone", "ann*", "arzt or bo"]).to_owned()),
                6 if depth > 0 => self.chain("link", "Patient", depth),
                _ => token(self, "identifier"),
            },
            "Observation" => match self.dice.below(9) {
                0 => token(self, "code"),
                1 => ("value-quantity".into(), self.list(&mut Maker::quantity_value)),
                2 => ("code-value-quantity".into(), format!("{}${}", self.token(), self.quantity_value())),
                3 => (
                    "date".into(),
                    self.list(&mut |m| {
                        let d = m.pick(&DATES);
                        m.ordered(d)
                    }),
                ),
                4 => ("subject".into(), self.list(&mut |m| m.local("Patient"))),
                5 if depth > 0 => self.chain("subject:Patient", "Patient", depth),
                6 if depth > 0 => self.chain("encounter", "Encounter", depth),
                7 if depth > 0 => self.chain("has-member", "Observation", depth),
                _ => ("code-value-date".into(), format!("{}${}", self.token(), self.pick(&DATES))),
            },
            "Encounter" => match self.dice.below(6) {
                0 => token(self, "class"),
                1 => ("date".into(), {
                    let d = self.pick(&DATES);
                    self.ordered(d)
                }),
                2 => (format!("part-of:{}", self.pick(&["below", "above"])), self.id()),
                3 => ("location:below".into(), self.id()),
                4 if depth > 0 => self.chain("location", "Location", depth),
                _ => ("subject".into(), self.local("Patient")),
            },
            "Condition" => match self.dice.below(4) {
                0 => token(self, "code"),
                1 => ("onset-date".into(), {
                    let d = self.pick(&DATES);
                    self.ordered(d)
                }),
                2 if depth > 0 => self.chain("patient", "Patient", depth),
                _ => ("subject:Patient".into(), self.id()),
            },
            "Location" => match self.dice.below(4) {
                0 => string(self, "name"),
                1 => ("partof:below".into(), self.id()),
                2 => ("partof:missing".into(), self.pick(&["true", "false"]).to_owned()),
                _ => (
                    "near".into(),
                    format!(
                        "{}|{}|{}|{}",
                        self.pick(&DEGREES),
                        self.pick(&DEGREES),
                        self.pick(&["1", "2", "9000", "0"]),
                        self.pick(&["m", "km", "[mi_i]"])
                    ),
                ),
            },
            "List" => match self.dice.below(2) {
                0 => ("item".into(), self.local("Patient")),
                _ => ("item:Observation".into(), self.id()),
            },
            "MedicationRequest" => ("subject".into(), self.local("Patient")),
            _ => match self.dice.below(2) {
                0 => token(self, "code"),
                _ => ("status".into(), self.pick(&["active", "inactive"]).to_owned()),
            },
        }
    }

    fn chain(&mut self, code: &str, target: &str, depth: u32) -> (String, String) {
        loop {
            let (name, value) = self.criterion(target, depth - 1);
            if !matches!(&*name, "_list" | "_filter" | "_not-referenced") {
                return (format!("{code}.{name}"), value);
            }
        }
    }

    fn reverse(&mut self, kind: &str, depth: u32) -> (String, String) {
        let (source, code) = match kind {
            "Patient" => *self.dice.pick(&[
                ("Observation", "patient"),
                ("Encounter", "subject"),
                ("Condition", "patient"),
                ("Patient", "link"),
            ]),
            "Encounter" => ("Observation", "encounter"),
            "Location" => *self.dice.pick(&[("Encounter", "location"), ("Location", "partof")]),
            "Observation" => ("Observation", "has-member"),
            _ => ("List", "item"),
        };
        loop {
            let (name, value) = self.criterion(source, depth - 1);
            if !matches!(&*name, "_list" | "_filter" | "_not-referenced") {
                return (format!("_has:{source}:{code}:{name}"), value);
            }
        }
    }

    fn filter(&mut self, kind: &str, depth: u32) -> String {
        let test = |m: &mut Maker| match kind {
            "Patient" => match m.dice.below(3) {
                0 => format!("family {} \"{}\"", m.pick(&["eq", "ne", "co", "sw", "ew"]), m.pick(&WORDS)),
                1 => {
                    format!("birthdate {} {}", m.pick(&["eq", "ne", "gt", "le", "po", "ap", "sa"]), m.pick(&DATES[..4]))
                }
                _ => format!("gender {} {}", m.pick(&["eq", "ne"]), m.pick(&["male", "female"])),
            },
            "Observation" => match m.dice.below(3) {
                0 => format!(
                    "value-quantity {} {}",
                    m.pick(&["eq", "ne", "gt", "lt", "po", "eb"]),
                    m.pick(&NUMBERS[..4])
                ),
                1 => format!("subject:Patient.family {} \"{}\"", m.pick(&["eq", "co", "ne"]), m.pick(&WORDS)),
                _ => format!(
                    "code-value-quantity[code eq {}].value-quantity ge {}",
                    m.pick(&CODES),
                    m.pick(&["1", "5.4"])
                ),
            },
            _ => format!("_tag {} {}", m.pick(&["eq", "ne"]), m.pick(&CODES)),
        };
        if depth == 0 {
            return test(self);
        }
        match self.dice.below(4) {
            0 => format!("not ({})", self.filter(kind, depth - 1)),
            1 => format!("({}) and ({})", self.filter(kind, depth - 1), self.filter(kind, depth - 1)),
            2 => format!("{} or {}", test(self), self.filter(kind, depth - 1)),
            _ => test(self),
        }
    }

    /// A search: a type (none: several) and its parameters.
    fn search(&mut self) -> (Option<&'static str>, Vec<(String, String)>) {
        let kind = self.pick(&TYPES);
        let mut parameters = Vec::new();
        let several = self.dice.below(8) == 0;
        for _ in 0..self.dice.below(4) {
            let criterion = if several {
                match self.dice.below(3) {
                    0 => ("_id".to_owned(), self.list(&mut Maker::id)),
                    1 => ("_tag".to_owned(), self.token()),
                    _ => ("_content".to_owned(), "bone or ann*".to_owned()),
                }
            } else {
                self.criterion(kind, 3)
            };
            parameters.push(criterion);
        }
        let keys: &[&str] = match kind {
            _ if several => &["_id", "_lastUpdated"],
            "Patient" => &["family", "-name", "birthdate", "-birthdate", "gender", "-_id"],
            "Observation" => {
                &["date", "-date", "value-quantity", "-value-quantity", "code", "subject", "-_lastUpdated"]
            }
            "Encounter" => &["date", "-date", "class"],
            _ => &["_id", "-_lastUpdated"],
        };
        let sorts: Vec<_> = (0..self.dice.below(3)).map(|_| *self.dice.pick(keys)).collect();
        if !sorts.is_empty() {
            parameters.push(("_sort".to_owned(), sorts.join(",")));
        }
        let joins = |name: &str, value: &str| {
            name.contains('.')
                || ["_has", "_list", "_not-ref", ":below", ":above"].iter().any(|j| name.contains(j))
                || value.contains("Patient.")
        };
        if kind == "Medication" && !several && self.some() && !parameters.iter().any(|(n, v)| joins(n, v)) {
            parameters.push(("_contained".to_owned(), self.pick(&["true", "both", "false"]).to_owned()));
        }
        parameters.push(("_count".to_owned(), self.pick(&["1", "3", "10", "1000"]).to_owned()));
        if several {
            parameters.push(("_type".to_owned(), "Patient,Observation,List".to_owned()));
        }
        ((!several).then_some(kind), parameters)
    }
}

struct Words {
    definitions: Arc<Definitions>,
    extractor: Arc<Extractor>,
}

/// Both engines with the same changes.
struct Pair {
    stores: [Arc<dyn Store>; 2],
    _directory: Option<tempfile::TempDir>,
    #[cfg(feature = "mongodb")]
    _database: Option<crate::support::mongodb::TestDatabase>,
}

impl Pair {
    fn new(naive: MemoryStore, other: Arc<dyn Store>) -> Pair {
        Pair {
            stores: [Arc::new(naive), other],
            _directory: None,
            #[cfg(feature = "mongodb")]
            _database: None,
        }
    }
}

impl Words {
    fn open(&self, clock: &Arc<Hands>) -> Pair {
        let (definitions, extractor, clock) = (self.definitions.clone(), self.extractor.clone(), clock.clone());
        let naive = MemoryStore::new(definitions.clone(), extractor.clone(), clock.clone());
        #[cfg(feature = "mongodb")]
        if only_mongodb() {
            let database = crate::support::mongodb::TestDatabase::new().expect("VESTA_TEST_MONGODB_URI names a set");
            let other = vesta::store::mongodb::MongoStore::open(database.uri(), definitions, extractor, clock);
            return Pair { _database: Some(database), ..Pair::new(naive, Arc::new(other.expect("opened"))) };
        }
        let directory = tempfile::tempdir().expect("a directory");
        let options = embedded::Options::default();
        let other = EmbeddedStore::open(directory.path(), definitions, extractor, clock, &options, &mut |_, _| {});
        Pair { _directory: Some(directory), ..Pair::new(naive, Arc::new(other.expect("opened"))) }
    }

    async fn build(&self, changes: &[Change]) -> Pair {
        let clock = Arc::new(Hands::default());
        let pair = self.open(&clock);
        for store in &pair.stores {
            // In one go: the order is that of the list, whatever the group.
            for (moment, group) in changes.chunks(8).enumerate() {
                clock.set(moment as i64 * 10_000);
                let mut seen = std::collections::HashSet::new();
                let mut writes = Vec::new();
                for change in group.iter().filter(|c| seen.insert((c.kind, c.id.clone()))) {
                    writes.push(self.write(change));
                }
                let transaction = Transaction { writes, ..Transaction::default() };
                store.commit(TENANT, transaction).await.expect("committed");
            }
        }
        pair
    }

    fn write(&self, change: &Change) -> Write {
        let kind = self.definitions.resource(change.kind).expect("a type");
        let id = ResourceId::new(&change.id).expect("an id");
        let content = change.json.as_ref().map(|json| {
            let document =
                Document::parse(json.as_bytes(), &Limits::default()).unwrap_or_else(|e| panic!("{json}: {e:?}"));
            let (terms, schema) = self.extractor.extract_marked(kind, document.root());
            Content { body: Body::of(document.root()), terms, schema }
        });
        let method = if content.is_some() { Method::Update } else { Method::Delete };
        Write { kind, id, method, expect: Expect::Any, content }
    }

    fn plan(&self, kind: Option<&str>, parameters: &[(String, String)]) -> Result<Plan, String> {
        let scope = match kind {
            Some(kind) => Scope::Type(self.definitions.resource(kind).expect("a type")),
            None => Scope::System,
        };
        let options = Options {
            handling: Handling::Strict,
            bases: vec!["http://here/fhir".to_owned()],
            now: Timestamp(1_600_000_000_000_000),
            ..Options::default()
        };
        plan(&self.definitions, &scope, parameters, &options).map_err(|e| e.to_string())
    }

    /// What both say: all pages, one after the other, as text; at most twenty.
    async fn answers(
        &self,
        pair: &Pair,
        kind: Option<&str>,
        parameters: &[(String, String)],
        at: Option<u64>,
    ) -> [String; 2] {
        let mut texts = [String::new(), String::new()];
        for (store, text) in pair.stores.iter().zip(&mut texts) {
            let mut asked = parameters.to_vec();
            let mut position = at;
            for _ in 0..20 {
                let plan = self.plan(kind, &asked).unwrap_or_else(|e| panic!("{parameters:?}: {e}"));
                let snapshot = match position {
                    Some(position) => store.snapshot_at(TENANT, position).await.expect("a snapshot"),
                    None => store.snapshot(TENANT).await.expect("a snapshot"),
                };
                position = Some(snapshot.position());
                let page = snapshot.search(&plan.query(Budget::default())).await.expect("an answer");
                let total = plan.cursor.and_then(|c| c.total).or(page.total);
                let rows: Vec<_> =
                    page.rows.iter().map(|v| format!("{}:{}/{}v{}", v.number, v.kind.0, v.id, v.version)).collect();
                let _ = writeln!(text, "{total:?} {} {}", page.more, rows.join(" "));
                let reached = vesta::search::Reached {
                    position: snapshot.position(),
                    rows: page.rows.len(),
                    last: page.rows.last().map(|v| v.number),
                    more: page.more,
                    total,
                };
                match plan.links(&reached).next {
                    Some(next) => asked = pairs(&next).expect("a link"),
                    None => break,
                }
            }
        }
        texts
    }

    async fn differs(
        &self,
        changes: &[Change],
        kind: Option<&str>,
        parameters: &[(String, String)],
    ) -> Option<[String; 2]> {
        let pair = self.build(changes).await;
        let texts = self.answers(&pair, kind, parameters, None).await;
        (texts[0] != texts[1]).then_some(texts)
    }

    /// Takes away what is not needed for the difference, and tells what is left.
    async fn shrink(
        &self,
        mut changes: Vec<Change>,
        kind: Option<&str>,
        mut parameters: Vec<(String, String)>,
        seed: u64,
    ) {
        let mut i = 0;
        while i < parameters.len() {
            let mut fewer = parameters.clone();
            fewer.remove(i);
            match self.differs(&changes, kind, &fewer).await {
                Some(_) => parameters = fewer,
                None => i += 1,
            }
        }
        let mut step = changes.len() / 2;
        while step > 0 {
            let mut start = 0;
            while start < changes.len() {
                let end = (start + step).min(changes.len());
                let fewer: Vec<_> = changes[..start].iter().chain(&changes[end..]).cloned().collect();
                match self.differs(&fewer, kind, &parameters).await {
                    Some(_) => changes = fewer,
                    None => start = end,
                }
            }
            step /= 2;
        }
        let left = self.differs(&changes, kind, &parameters).await;
        let told: Vec<_> =
            changes.iter().map(|c| format!("{} {} {}", c.kind, c.id, c.json.as_deref().unwrap_or("deleted"))).collect();
        panic!("seed {seed}: {kind:?} {parameters:?}\n{}\n{left:#?}", told.join("\n"));
    }
}

#[test]
fn engines_find_the_same() {
    let asked = std::env::var("VESTA_SEARCH_CASES").ok().and_then(|n| n.parse().ok());
    let (cases, of_one_world): (u64, u64) =
        if only_mongodb() { (asked.unwrap_or(500), 100) } else { (asked.unwrap_or(10_000), 500) };
    let definitions = Definitions::core();
    let extractor = Arc::new(Extractor::new(definitions.clone(), vec!["http://here/fhir".to_owned()]));
    let words = Words { definitions, extractor };
    let (mut tried, mut refused, mut found) = (0, 0, 0);
    for seed in 0..cases.div_ceil(of_one_world) {
        wait(async {
            let mut maker = Maker { dice: Dice(seed), ids: 6 };
            let count = 60 + maker.dice.below(60);
            let changes: Vec<_> = (0..count).map(|_| maker.change()).collect();
            let pair = words.build(&changes).await;
            let last = pair.stores[0].snapshot(TENANT).await.expect("a snapshot").position();
            for _ in 0..of_one_world.min(cases) {
                let (kind, parameters) = maker.search();
                if let Err(why) = words.plan(kind, &parameters) {
                    // A generated value may break a rule; that must stay rare, or nothing is tried.
                    assert!(why.len() < 20_000);
                    refused += 1;
                    if refused < 5 {
                        println!("refused: {parameters:?}: {why}");
                    }
                    continue;
                }
                let at = (maker.dice.below(4) == 0).then(|| maker.dice.below(last + 1));
                let texts = words.answers(&pair, kind, &parameters, at).await;
                tried += 1;
                found += u64::from(texts[0].contains('/'));
                if texts[0] != texts[1] {
                    words.shrink(changes.clone(), kind, parameters.clone(), seed).await;
                    panic!("seed {seed} at {at:?}: {kind:?} {parameters:?}\n{texts:#?}");
                }
            }
        });
    }
    println!("{tried} searches tried, {found} of them found something, {refused} were refused");
    assert!(tried * 10 > cases * 9, "{tried} of {cases} tried");
    assert!(found * 5 > tried, "{found} of {tried} found anything");
}
