//! Makes resources: each element is there now and then, and its values are few, so that searches find something.

use super::Change;
use crate::store_contract::world::Dice;
use std::fmt::Write as _;

pub const TYPES: [&str; 11] = [
    "Patient",
    "Observation",
    "Encounter",
    "Condition",
    "Location",
    "List",
    "MedicationRequest",
    "Medication",
    "RiskAssessment",
    "ValueSet",
    "QuestionnaireResponse",
];
pub const WORDS: [&str; 8] = ["Anna", "ann", "Ärzte", "arzt", "Bo", "bone liver", "Łódź", "straße"];
pub const CODES: [&str; 4] = ["a", "b", "c", "A"];
pub const SYSTEMS: [&str; 3] = ["http://s/1", "http://s/2", ""];
pub const DATES: [&str; 8] = [
    "2019",
    "2020",
    "2020-02",
    "2020-02-29",
    "2020-03-01T08:00:00Z",
    "2020-03-01T10:30:00+02:00",
    "2021-12-31",
    "1999",
];
pub const NUMBERS: [&str; 8] = ["1", "1.0", "5.4", "5400", "-3", "0", "100", "0.0054"];
pub const UNITS: [&str; 5] = ["mmol/L", "umol/L", "mg", "g", "made-up"];
pub const DEGREES: [&str; 6] = ["0", "48.85", "48.86", "-17.7", "89.9", "-48.85"];
/// Value sets and hierarchies of which the searcher knows the codes.
pub const VALUE_SETS: [&str; 2] = ["http://v/1", "http://v/none"];
pub const HIERARCHIES: [&str; 3] = ["http://s/1|a", "http://s/2|b", "c"];
/// Types of the patient compartment.
pub const IN_COMPARTMENT: [&str; 8] = [
    "Patient",
    "Observation",
    "Encounter",
    "Condition",
    "List",
    "MedicationRequest",
    "RiskAssessment",
    "QuestionnaireResponse",
];
pub const PROBABILITIES: [&str; 6] = ["0.1", "0.10", "0.25", "0.5", "50", "1e0"];
pub const URLS: [&str; 6] =
    ["http://u/a", "http://u/a/b", "http://u/a/b/c", "http://u/ab", "urn:oid:1.2.3", "http://u/A"];
pub const CANONICALS: [&str; 6] =
    ["http://q/a", "http://q/a|1", "http://q/a|1.2", "http://q/a/b|1", "http://q/ab|2", "Questionnaire/r1"];

/// Makes resources and, in `asker`, searches.
pub struct Maker {
    pub dice: Dice,
    ids: u64,
    /// Whether searches may ask what terminology says.
    pub codes: bool,
}

impl Maker {
    /// One that makes the same from the same seed.
    pub fn new(seed: u64) -> Maker {
        Maker { dice: Dice(seed), ids: 6, codes: true }
    }

    pub fn pick(&mut self, of: &[&'static str]) -> &'static str {
        self.dice.pick::<&'static str>(of)
    }

    pub fn some(&mut self) -> bool {
        self.dice.below(2) == 0
    }

    pub fn id(&mut self) -> String {
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
        match self.dice.below(6) {
            0 => format!("{{\"reference\":\"{text}\",\"identifier\":{}}}", self.identifier()),
            1 => format!("{{\"identifier\":{}}}", self.identifier()),
            _ => format!("{{\"reference\":\"{text}\"}}"),
        }
    }

    fn identifier(&mut self) -> String {
        let (system, code) = (self.pick(&SYSTEMS), self.pick(&CODES));
        let system = if system.is_empty() { String::new() } else { format!("\"system\":\"{system}\",") };
        format!("{{{system}\"value\":\"{code}\"}}")
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
                let components: Vec<_> = (0..self.dice.below(3))
                    .map(|_| format!("{{\"code\":{},\"valueQuantity\":{}}}", self.concept(), self.quantity()))
                    .collect();
                if !components.is_empty() {
                    elements.push(format!("\"component\":[{}]", components.join(",")));
                }
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
            "RiskAssessment" => {
                elements.push(format!("\"subject\":{}", self.reference(&["Patient"])));
                elements.push(format!("\"method\":{}", self.concept()));
                let mut ends = [self.pick(&["0.1", "0.25"]), self.pick(&["0.25", "0.5", "50"])];
                ends.sort_unstable();
                let probability = match self.dice.below(4) {
                    0 => format!(
                        "\"probabilityRange\":{{\"low\":{{\"value\":{}}},\"high\":{{\"value\":{}}}}}",
                        ends[0], ends[1]
                    ),
                    1 => format!("\"probabilityRange\":{{\"low\":{{\"value\":{}}}}}", ends[0]),
                    _ => format!("\"probabilityDecimal\":{}", self.pick(&PROBABILITIES)),
                };
                elements.push(format!("\"prediction\":[{{{probability}}}]"));
            }
            "ValueSet" => {
                elements.push(format!("\"url\":\"{}\"", self.pick(&URLS)));
                elements.push(format!("\"name\":\"{}\"", self.pick(&WORDS)));
                elements.push(format!("\"status\":\"{}\"", self.pick(&["active", "draft"])));
                elements.push(format!("\"compose\":{{\"include\":[{{\"system\":\"{}\"}}]}}", self.pick(&URLS)));
            }
            "QuestionnaireResponse" => {
                elements.push(format!("\"questionnaire\":\"{}\"", self.pick(&CANONICALS)));
                elements.push(format!("\"status\":\"{}\"", self.pick(&["completed", "amended"])));
                elements.push(format!("\"subject\":{}", self.reference(&["Patient"])));
                elements.push(format!("\"authored\":\"{}\"", self.pick(&DATES)));
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

    pub fn change(&mut self) -> Change {
        let (kind, id) = (self.pick(&TYPES), self.id());
        let json = (self.dice.below(8) > 0).then(|| self.resource(kind, &id));
        Change { kind, id, json }
    }
}
