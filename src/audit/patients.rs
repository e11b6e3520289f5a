//! Which patients a piece of JSON tells about: those it is a record of, and those it refers to. Looks at the text as the
//! store keeps and sends it (no white space between tokens), without reading it as a document: this is done for every
//! answer.

use crate::base::ResourceId;
use memchr::memmem::Finder;
use std::collections::BTreeSet;
use std::sync::LazyLock;

static REFERENCE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"reference\":\""));
static RESOURCE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"{\"resourceType\":\"Patient\",\"id\":\""));

/// The logical ids of patients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patients(BTreeSet<String>);

impl Patients {
    /// One patient, or none.
    pub fn one(id: Option<&ResourceId>) -> Patients {
        Patients(id.map(|id| id.as_str().to_owned()).into_iter().collect())
    }

    /// Adds those that a text tells about.
    pub fn add_from(&mut self, json: &[u8]) {
        for at in RESOURCE.find_iter(json) {
            self.add(up_to_quote(json, at + RESOURCE.needle().len()));
        }
        for at in REFERENCE.find_iter(json) {
            self.add_reference(up_to_quote(json, at + REFERENCE.needle().len()));
        }
    }

    /// Adds the patient that a reference means, if it means one.
    pub fn add_reference(&mut self, reference: &[u8]) {
        let mut parts = reference.split(|b| *b == b'/').skip_while(|part| *part != b"Patient").skip(1);
        if let Some(id) = parts.next() {
            self.add(id);
        }
    }

    fn add(&mut self, id: &[u8]) {
        if let Some(id) = std::str::from_utf8(id).ok().filter(|id| ResourceId::is_legal(id))
            && !self.0.contains(id)
        {
            self.0.insert(id.to_owned());
        }
    }

    /// Adds others.
    pub fn extend(&mut self, others: Patients) {
        self.0.extend(others.0);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The ids in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

fn up_to_quote(json: &[u8], from: usize) -> &[u8] {
    let rest = json.get(from..).unwrap_or_default();
    let end = memchr::memchr(b'"', rest).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Vec<String> {
        let mut patients = Patients::default();
        patients.add_from(json.as_bytes());
        patients.iter().map(str::to_owned).collect()
    }

    #[test]
    fn patients_are_found_in_the_text() {
        assert_eq!(of(r#"{"resourceType":"Patient","id":"p1","meta":{}}"#), ["p1"]);
        let seen = r#"{"subject":{"reference":"Patient/a"},"performer":[{"reference":"http://x.test/r4/Patient/b/_history/2"}],
            "other":{"reference":"Practitioner/c"},"note":"Patient/d","group":{"reference":"Group/Patient"}}"#;
        assert_eq!(of(seen), ["a", "b"]);
        assert_eq!(
            of(r#"{"reference":"Patient/a?x"},{"reference":"Patient/"},{"reference":"Patient/not closed"#),
            [""; 0]
        );
    }
}
