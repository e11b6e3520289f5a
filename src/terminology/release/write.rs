//! Writes the concepts of a release as FHIR JSON, in parts.

use super::Release;
use crate::json::{Tree, escape_into};

/// Bytes of a part before it is compressed, roughly: the next concept begins another.
const PART: usize = 1 << 20;
/// Bytes of a part before it is compressed, at most.
pub const PART_MAX: usize = 16 << 20;

/// Collects concepts.
#[derive(Default)]
pub struct Parts {
    text: String,
    parts: Vec<Vec<u8>>,
    concepts: usize,
}

/// A designation: language, code of its use (with the system), words.
pub struct Named<'n> {
    /// Language; empty where it is not known.
    pub language: &'n str,
    /// System and code of its use.
    pub purpose: Option<(&'n str, &'n str)>,
    /// The words.
    pub value: &'n str,
}

/// The value of a property.
pub enum Said<'s> {
    /// `valueCode`
    Code(&'s str),
    /// `valueString`
    Text(&'s str),
    /// `valueBoolean`
    Flag(bool),
}

/// A concept of a release.
#[derive(Default)]
pub struct Entry<'e> {
    /// Its code.
    pub code: &'e str,
    /// Its display.
    pub display: &'e str,
    /// Other names.
    pub designations: Vec<Named<'e>>,
    /// Properties.
    pub properties: Vec<(&'e str, Said<'e>)>,
}

impl Parts {
    /// Adds a concept.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        if self.text.len() >= PART {
            self.close()?;
        }
        let out = &mut self.text;
        out.push(if out.is_empty() { '[' } else { ',' });
        let quoted = |name: &str, value: &str, out: &mut String| {
            out.push_str(name);
            escape_into(value, out);
        };
        quoted("{\"code\":", entry.code, out);
        if !entry.display.is_empty() {
            quoted(",\"display\":", entry.display, out);
        }
        for (i, named) in entry.designations.iter().enumerate() {
            out.push_str(if i == 0 { ",\"designation\":[{" } else { ",{" });
            if !named.language.is_empty() {
                quoted("\"language\":", named.language, out);
                out.push(',');
            }
            if let Some((system, code)) = named.purpose {
                quoted("\"use\":{\"system\":", system, out);
                quoted(",\"code\":", code, out);
                out.push_str("},");
            }
            quoted("\"value\":", named.value, out);
            out.push_str(if i + 1 == entry.designations.len() { "}]" } else { "}" });
        }
        for (i, (code, said)) in entry.properties.iter().enumerate() {
            quoted(if i == 0 { ",\"property\":[{\"code\":" } else { ",{\"code\":" }, code, out);
            match said {
                Said::Code(value) => quoted(",\"valueCode\":", value, out),
                Said::Text(value) => quoted(",\"valueString\":", value, out),
                Said::Flag(value) => {
                    out.push_str(if *value { ",\"valueBoolean\":true" } else { ",\"valueBoolean\":false" })
                }
            }
            out.push_str(if i + 1 == entry.properties.len() { "}]" } else { "}" });
        }
        out.push('}');
        self.concepts += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        if self.text.is_empty() {
            return Ok(());
        }
        self.text.push(']');
        if self.text.len() > PART_MAX {
            return Err("a concept is too long".to_owned());
        }
        let packed = zstd::bulk::compress(self.text.as_bytes(), 6).map_err(|e| format!("compression: {e}"))?;
        self.parts.push(packed);
        self.text.clear();
        Ok(())
    }

    /// Ends: the whole release.
    pub fn finish(mut self, of: &Whose<'_>) -> Result<Release, String> {
        self.close()?;
        if self.concepts == 0 {
            return Err("the files hold no concept".to_owned());
        }
        let declared = |(code, kind): &(String, &str)| {
            let mut entries = vec![("code".to_owned(), Tree::string(code))];
            if matches!(code.as_str(), "parent" | "child" | "inactive" | "status") {
                let uri = format!("http://hl7.org/fhir/concept-properties#{code}");
                entries.push(("uri".to_owned(), Tree::string(uri)));
            }
            entries.push(("type".to_owned(), Tree::string(*kind)));
            Tree::Object(entries)
        };
        let header = Tree::object([
            ("resourceType", Tree::string("CodeSystem")),
            ("url", Tree::string(of.url)),
            ("version", Tree::string(of.version)),
            ("name", Tree::string(of.name)),
            ("status", Tree::string("active")),
            ("caseSensitive", Tree::Bool(of.case_sensitive)),
            ("content", Tree::string("complete")),
            ("property", Tree::Array(of.properties.iter().map(declared).collect())),
        ]);
        Ok(Release {
            url: of.url.to_owned(),
            version: of.version.to_owned(),
            concepts: self.concepts,
            header: header.to_json().into_bytes(),
            parts: self.parts,
        })
    }
}

/// What is said of a code system besides its concepts.
pub struct Whose<'w> {
    /// Canonical.
    pub url: &'w str,
    /// Version.
    pub version: &'w str,
    /// Name.
    pub name: &'w str,
    /// Whether case matters in its codes.
    pub case_sensitive: bool,
    /// Properties and their types.
    pub properties: Vec<(String, &'w str)>,
}
