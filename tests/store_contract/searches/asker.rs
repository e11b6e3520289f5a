//! Makes searches: every type of parameter, modifier and prefix, chains both ways, `_filter`, order, pages and scopes.

use super::Question;
use super::maker::*;

/// What is searched.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    Type(&'static str),
    /// Several types: `_type`.
    System,
    /// A patient's compartment: one type in it, or all.
    Compartment(String, Option<&'static str>),
}

impl Maker {
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

    /// Codes by what terminology says of them.
    fn by_codes(&mut self, code: &str) -> (String, String) {
        let modifier = self.pick(&["in", "not-in", "below", "above"]);
        let of = if modifier.ends_with("in") { self.pick(&VALUE_SETS) } else { self.pick(&HIERARCHIES) };
        (format!("{code}:{modifier}"), of.to_owned())
    }

    /// A criterion on a type: name and value.
    fn criterion(&mut self, kind: &str, depth: u32) -> (String, String) {
        let token = |m: &mut Maker, code: &str| match m.dice.below(10) {
            8 if m.codes => m.by_codes(code),
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
            "Observation" => match self.dice.below(10) {
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
                8 if self.some() => self.referred("subject"),
                8 => ("component-code-value-quantity".into(), format!("{}${}", self.token(), self.quantity_value())),
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
            "RiskAssessment" => match self.dice.below(4) {
                0 => self.referred("subject"),
                1 => token(self, "method"),
                _ => (
                    "probability".into(),
                    self.list(&mut |m| {
                        let number = m.pick(&PROBABILITIES);
                        m.ordered(number)
                    }),
                ),
            },
            "ValueSet" => match self.dice.below(5) {
                0 => string(self, "name"),
                1 => ("reference".into(), self.pick(&URLS).to_owned()),
                2 => ("url:missing".into(), self.pick(&["true", "false"]).to_owned()),
                _ => (
                    format!("url{}", self.pick(&["", ":above", ":below"])),
                    self.list(&mut |m| m.pick(&URLS).to_owned()),
                ),
            },
            "QuestionnaireResponse" => match self.dice.below(5) {
                0 => self.referred("subject"),
                1 => ("authored".into(), {
                    let d = self.pick(&DATES);
                    self.ordered(d)
                }),
                _ => {
                    let modifier = self.pick(&["", ":above", ":below"]);
                    // Hierarchies of references need their type; only a canonical is meant here.
                    let some = if modifier.is_empty() { &CANONICALS[..] } else { &CANONICALS[..5] };
                    (format!("questionnaire{modifier}"), self.list(&mut |m| m.pick(some).to_owned()))
                }
            },
            _ => match self.dice.below(2) {
                0 => token(self, "code"),
                _ => ("status".into(), self.pick(&["active", "inactive"]).to_owned()),
            },
        }
    }

    /// A reference by the identifier in it.
    fn referred(&mut self, code: &str) -> (String, String) {
        match self.dice.below(4) {
            0 => (format!("{code}:missing"), self.pick(&["true", "false"]).to_owned()),
            1 => (code.to_owned(), self.local("Patient")),
            _ => (format!("{code}:identifier"), self.list(&mut Maker::token)),
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
            "Patient" => match m.dice.below(5) {
                0 => format!("family {} \"{}\"", m.pick(&["eq", "ne", "co", "sw", "ew"]), m.pick(&WORDS)),
                1 => {
                    format!("birthdate {} {}", m.pick(&["eq", "ne", "gt", "le", "po", "ap", "sa"]), m.pick(&DATES[..4]))
                }
                2 => format!("link re \"{}\"", m.local("Patient")),
                3 => format!("{} pr {}", m.pick(&["family", "link", "_tag"]), m.pick(&["true", "false"])),
                _ => format!("gender {} {}", m.pick(&["eq", "ne"]), m.pick(&["male", "female"])),
            },
            "Observation" => match m.dice.below(6) {
                0 => format!(
                    "value-quantity {} {}",
                    m.pick(&["eq", "ne", "gt", "lt", "po", "eb"]),
                    m.pick(&NUMBERS[..4])
                ),
                1 => format!("subject:Patient.family {} \"{}\"", m.pick(&["eq", "co", "ne"]), m.pick(&WORDS)),
                2 => format!("subject {} \"{}\"", m.pick(&["re", "eq"]), m.local("Patient")),
                3 if m.codes => match m.pick(&["in", "ni", "ss", "sb"]) {
                    among @ ("in" | "ni") => format!("code {among} \"{}\"", m.pick(&VALUE_SETS)),
                    order => format!("code {order} \"{}\"", m.pick(&HIERARCHIES)),
                },
                4 => format!("{} pr {}", m.pick(&["encounter", "value-quantity"]), m.pick(&["true", "false"])),
                _ => format!(
                    "code-value-quantity[code eq {}].value-quantity ge {}",
                    m.pick(&CODES),
                    m.pick(&["1", "5.4"])
                ),
            },
            "ValueSet" => format!("url {} \"{}\"", m.pick(&["eq", "ne", "co", "sw", "ew"]), m.pick(&URLS)),
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

    /// What narrows a search over several types.
    fn common(&mut self) -> (String, String) {
        match self.dice.below(3) {
            0 => ("_id".to_owned(), self.list(&mut Maker::id)),
            1 => ("_tag".to_owned(), self.token()),
            _ => ("_content".to_owned(), "bone or ann*".to_owned()),
        }
    }

    /// A search: where, and its parameters.
    pub fn search(&mut self) -> Question {
        let kind = self.pick(&TYPES);
        let place = match self.dice.below(10) {
            0 => Place::System,
            1 => Place::Compartment(self.id(), None),
            2 if IN_COMPARTMENT.contains(&kind) => Place::Compartment(self.id(), Some(kind)),
            _ => Place::Type(kind),
        };
        let several = matches!(place, Place::System | Place::Compartment(_, None));
        let mut parameters = Vec::new();
        for _ in 0..self.dice.below(4) {
            let criterion = if several { self.common() } else { self.criterion(kind, 3) };
            parameters.push(criterion);
        }
        let keys: &[&str] = match kind {
            _ if several => &["_id", "_lastUpdated"],
            "Patient" => &["family", "-name", "birthdate", "-birthdate", "gender", "-_id"],
            "Observation" => {
                &["date", "-date", "value-quantity", "-value-quantity", "code", "subject", "-_lastUpdated"]
            }
            "Encounter" => &["date", "-date", "class"],
            "RiskAssessment" => &["probability", "-probability", "-subject", "method"],
            "ValueSet" => &["url", "-url", "-status", "name"],
            "QuestionnaireResponse" => &["questionnaire", "-questionnaire", "-authored"],
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
        let alone = place == Place::Type("Medication") && !parameters.iter().any(|(n, v)| joins(n, v));
        if alone && self.some() {
            parameters.push(("_contained".to_owned(), self.pick(&["true", "both", "false"]).to_owned()));
            if self.some() {
                parameters.push(("_containedType".to_owned(), self.pick(&["container", "contained"]).to_owned()));
            }
        }
        if self.dice.below(8) == 0 {
            let total = self.pick(&["none", "estimate", "accurate"]);
            parameters.push(("_total".to_owned(), total.to_owned()));
        }
        match self.dice.below(16) {
            0 => parameters.push(("_summary".to_owned(), "count".to_owned())),
            1 => parameters.push(("_count".to_owned(), "0".to_owned())),
            _ => parameters.push(("_count".to_owned(), self.pick(&["1", "3", "10", "1000"]).to_owned())),
        }
        if place == Place::System || (several && self.some()) {
            parameters.push(("_type".to_owned(), "Patient,Observation,List".to_owned()));
        }
        Question { place, parameters }
    }

    /// An `_include` or `_revinclude` that fits a type.
    pub fn include(&mut self, kind: &str) -> (String, String) {
        let again = self.pick(&["", "", ":iterate"]);
        let forward: &[&str] = match kind {
            "Patient" => &["Patient:link"],
            "Observation" => &["Observation:subject", "Observation:encounter", "Observation:has-member", "*"],
            "Encounter" => &["Encounter:subject:Patient", "Encounter:part-of", "Encounter:location"],
            "Location" => &["Location:partof"],
            "List" => &["List:item", "List:item:Patient", "*"],
            _ => &["*"],
        };
        let back: &[&str] = match kind {
            "Patient" => &["Observation:subject", "Encounter:patient", "List:item", "*", "Patient:link"],
            "Location" => &["Encounter:location", "Location:partof"],
            "Encounter" => &["Observation:encounter", "Encounter:part-of"],
            _ => &["List:item", "*"],
        };
        let (name, values) = if self.some() { ("_include", forward) } else { ("_revinclude", back) };
        (format!("{name}{again}"), (*self.dice.pick(values)).to_owned())
    }
}
