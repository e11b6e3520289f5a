//! Reads a package of FHIR definitions, as far as the tables need it.

use flate2::read::GzDecoder;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// What a package holds, each by its canonical, so that the order of the archive does not matter.
#[derive(Default)]
pub struct Package {
    pub structures: BTreeMap<String, StructureDefinition>,
    /// Profiles and extensions, whole.
    pub constraints: BTreeMap<String, serde_json::Value>,
    pub parameters: BTreeMap<String, SearchParameter>,
    pub compartments: BTreeMap<String, CompartmentDefinition>,
    pub operations: BTreeMap<String, OperationDefinition>,
    pub value_sets: BTreeMap<String, ValueSet>,
    pub code_systems: BTreeMap<String, CodeSystem>,
    /// Code systems and value sets with their facts only, by type and canonical.
    pub terminology: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StructureDefinition {
    pub url: String,
    pub name: String,
    pub kind: String,
    #[serde(rename = "abstract")]
    pub is_abstract: bool,
    pub derivation: Option<String>,
    pub base_definition: Option<String>,
    pub snapshot: Option<Snapshot>,
}

#[derive(Deserialize)]
pub struct Snapshot {
    pub element: Vec<ElementDefinition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ElementDefinition {
    pub path: String,
    pub min: u32,
    pub max: String,
    #[serde(default, rename = "type")]
    pub types: Vec<TypeReference>,
    #[serde(default)]
    pub is_summary: bool,
    #[serde(default)]
    pub is_modifier: bool,
    #[serde(default)]
    pub representation: Vec<String>,
    pub content_reference: Option<String>,
    pub binding: Option<Binding>,
    #[serde(default)]
    pub constraint: Vec<Constraint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypeReference {
    pub code: String,
    #[serde(default)]
    pub profile: Vec<String>,
    #[serde(default)]
    pub target_profile: Vec<String>,
    #[serde(default)]
    pub extension: Vec<Extension>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Extension {
    pub url: String,
    pub value_url: Option<String>,
    pub value_string: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    pub strength: String,
    pub value_set: Option<String>,
}

#[derive(Deserialize)]
pub struct Constraint {
    pub key: String,
    pub severity: String,
    #[serde(default)]
    pub expression: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchParameter {
    pub url: String,
    pub code: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub base: Vec<String>,
    #[serde(default)]
    pub expression: String,
    #[serde(default)]
    pub target: Vec<String>,
    #[serde(default)]
    pub component: Vec<Component>,
    pub multiple_or: Option<bool>,
    pub multiple_and: Option<bool>,
    #[serde(default)]
    pub comparator: Vec<String>,
    #[serde(default)]
    pub modifier: Vec<String>,
    #[serde(default)]
    pub chain: Vec<String>,
}

#[derive(Deserialize)]
pub struct Component {
    pub definition: String,
    pub expression: String,
}

#[derive(Deserialize)]
pub struct CompartmentDefinition {
    pub url: String,
    pub code: String,
    #[serde(default)]
    pub resource: Vec<CompartmentMember>,
}

#[derive(Deserialize)]
pub struct CompartmentMember {
    pub code: String,
    #[serde(default)]
    pub param: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationDefinition {
    pub url: String,
    pub code: String,
    pub system: bool,
    #[serde(rename = "type")]
    pub on_type: bool,
    pub instance: bool,
    pub affects_state: Option<bool>,
    #[serde(default)]
    pub resource: Vec<String>,
}

#[derive(Deserialize)]
pub struct ValueSet {
    pub url: String,
    pub compose: Option<Compose>,
}

#[derive(Deserialize)]
pub struct Compose {
    #[serde(default)]
    pub include: Vec<ConceptSet>,
    #[serde(default)]
    pub exclude: Vec<ConceptSet>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConceptSet {
    pub system: Option<String>,
    #[serde(default)]
    pub concept: Vec<Concept>,
    #[serde(default)]
    pub filter: Vec<Filter>,
    #[serde(default)]
    pub value_set: Vec<String>,
}

#[derive(Deserialize)]
pub struct Filter {
    pub property: String,
    pub op: String,
    pub value: String,
}

#[derive(Deserialize)]
pub struct CodeSystem {
    pub url: String,
    pub content: String,
    #[serde(default)]
    pub concept: Vec<Concept>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Concept {
    pub code: String,
    #[serde(default)]
    pub property: Vec<Property>,
    #[serde(default)]
    pub concept: Vec<Concept>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Property {
    pub code: String,
    pub value_boolean: Option<bool>,
}

impl Concept {
    /// Whether it only groups others and is never a value itself.
    pub fn is_abstract(&self) -> bool {
        self.property.iter().any(|p| p.code == "notSelectable" && p.value_boolean == Some(true))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    resource_type: Option<String>,
}

impl Package {
    /// Reads a `.tgz` whose resources lie in `package/`.
    pub fn read(path: &Path) -> Result<Package, String> {
        let place = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let file = std::fs::File::open(path).map_err(|e| place(&e))?;
        let mut archive = tar::Archive::new(GzDecoder::new(file));
        let mut package = Package::default();
        let mut text = Vec::new();
        for entry in archive.entries().map_err(|e| place(&e))? {
            let mut entry = entry.map_err(|e| place(&e))?;
            let name = entry.path().map_err(|e| place(&e))?.to_string_lossy().into_owned();
            // The examples and the OpenAPI files lie in folders below; `.index.json` and `package.json` are no resources.
            let inside = name.strip_prefix("package/").unwrap_or("/");
            if !inside.ends_with(".json") || inside.contains('/') || inside.starts_with('.') {
                continue;
            }
            text.clear();
            entry.read_to_end(&mut text).map_err(|e| place(&e))?;
            package.add(&text).map_err(|e| format!("{name}: {e}"))?;
        }
        if package.structures.is_empty() {
            return Err(format!("{}: no StructureDefinition is in it", path.display()));
        }
        Ok(package)
    }

    fn add(&mut self, text: &[u8]) -> Result<(), serde_json::Error> {
        let head: Head = serde_json::from_slice(text)?;
        self.terminology.extend(super::codes::facts(text));
        match head.resource_type.as_deref() {
            Some("StructureDefinition") => {
                let whole: serde_json::Value = serde_json::from_slice(text)?;
                let of =
                    |name: &str| whole.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
                if of("derivation") == "constraint" && of("kind") != "logical" {
                    self.constraints.insert(of("url"), whole);
                }
                insert(&mut self.structures, text, |r: &StructureDefinition| &r.url)
            }
            Some("SearchParameter") => insert(&mut self.parameters, text, |r: &SearchParameter| &r.url),
            Some("CompartmentDefinition") => insert(&mut self.compartments, text, |r: &CompartmentDefinition| &r.url),
            Some("OperationDefinition") => insert(&mut self.operations, text, |r: &OperationDefinition| &r.url),
            Some("ValueSet") => insert(&mut self.value_sets, text, |r: &ValueSet| &r.url),
            Some("CodeSystem") => insert(&mut self.code_systems, text, |r: &CodeSystem| &r.url),
            _ => Ok(()),
        }
    }

    /// The structure that a type name or a canonical of HL7 stands for.
    pub fn structure(&self, name: &str) -> Option<&StructureDefinition> {
        let url = match name.contains(':') {
            true => name.to_owned(),
            false => format!("http://hl7.org/fhir/StructureDefinition/{name}"),
        };
        self.structures.get(&url)
    }

    /// The regular expression that the package gives for a primitive type.
    pub fn pattern(&self, primitive: &str) -> Option<&str> {
        const REGEX: &str = "http://hl7.org/fhir/StructureDefinition/regex";
        let elements = &self.structure(primitive)?.snapshot.as_ref()?.element;
        let value = elements.iter().find(|e| e.path.strip_prefix(primitive) == Some(".value"))?;
        let extension = value.types.iter().flat_map(|t| &t.extension).find(|x| x.url == REGEX);
        extension?.value_string.as_deref()
    }
}

fn insert<'t, T: Deserialize<'t>>(
    map: &mut BTreeMap<String, T>,
    text: &'t [u8],
    url: impl Fn(&T) -> &String,
) -> Result<(), serde_json::Error> {
    let resource: T = serde_json::from_slice(text)?;
    map.insert(url(&resource).clone(), resource);
    Ok(())
}
