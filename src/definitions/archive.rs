//! Packages of implementation guides: `.tgz` (or `.tar.zst`, or a folder) in, conformance resources out. What an archive
//! may hold is bounded, and nothing of it is ever written to a path that it names.

use super::registry::{Conformance, PackageInfo};
use crate::json::{Document, Limits, Value};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Component, Path};
use std::sync::Arc;

/// Bytes of all files of an archive, unpacked.
const LARGEST: u64 = 512 << 20;
/// Bytes of one file.
const LARGEST_FILE: u64 = 64 << 20;
/// Files of an archive.
const MOST: usize = 50_000;

/// The types of resources that are kept.
const KINDS: [&str; 13] = [
    "CapabilityStatement",
    "CodeSystem",
    "CompartmentDefinition",
    "ConceptMap",
    "ImplementationGuide",
    "Library",
    "Measure",
    "NamingSystem",
    "OperationDefinition",
    "Questionnaire",
    "SearchParameter",
    "StructureDefinition",
    "ValueSet",
];

/// A package that was read.
pub struct Package {
    /// Name, version and size.
    pub info: PackageInfo,
    /// Its conformance resources.
    pub resources: Vec<Conformance>,
}

/// The files of a package that matter, by name.
#[derive(Default)]
struct Files {
    manifest: Option<Vec<u8>>,
    json: BTreeMap<String, Vec<u8>>,
    bytes: u64,
    count: usize,
}

impl Files {
    /// Counts a file, and keeps it if it may be a resource or the manifest.
    fn take(&mut self, name: &Path, mut content: impl Read, length: u64) -> Result<(), String> {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(length);
        if self.count > MOST {
            return Err(format!("it has more than {MOST} files"));
        }
        if length > LARGEST_FILE || self.bytes > LARGEST {
            return Err(format!("it is larger than {LARGEST} bytes unpacked, or a file larger than {LARGEST_FILE}"));
        }
        let text = name.to_string_lossy();
        let file = name.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        // Examples and what other tools need lie in folders of their own.
        let aside = |part: &str| matches!(part, "example" | "examples" | "other" | "openapi" | "xml" | "tests");
        if !file.ends_with(".json") || file.starts_with('.') || text.split('/').any(aside) {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(length as usize);
        content.read_to_end(&mut bytes).map_err(|e| format!("{text}: {e}"))?;
        if file == "package.json" {
            self.manifest.get_or_insert(bytes);
        } else {
            self.json.insert(text.into_owned(), bytes);
        }
        Ok(())
    }
}

impl Package {
    /// Reads an archive or a folder.
    pub fn read(path: &Path) -> Result<Package, String> {
        let place = |why: String| format!("{}: {why}", path.display());
        let meta = std::fs::metadata(path).map_err(|e| place(e.to_string()))?;
        if meta.is_dir() {
            let mut files = Files::default();
            folder(path, path, &mut files, 0).map_err(place)?;
            return Package::of(files).map_err(place);
        }
        let file = std::fs::File::open(path).map_err(|e| place(e.to_string()))?;
        Package::read_archive(BufReader::new(file)).map_err(place)
    }

    /// Reads an archive: tar, packed by gzip or Zstandard or not at all.
    pub fn read_archive(mut reader: impl BufRead) -> Result<Package, String> {
        let start = reader.fill_buf().map_err(|e| e.to_string())?;
        // One byte more than is allowed is enough to see that it is too much.
        let most = LARGEST + (MOST as u64) * 1024;
        if start.starts_with(&[0x1f, 0x8b]) {
            unpack(flate2::bufread::MultiGzDecoder::new(reader).take(most))
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let mut decoder = zstd::Decoder::with_buffer(reader).map_err(|e| e.to_string())?;
            decoder.window_log_max(27).map_err(|e| e.to_string())?;
            unpack(decoder.take(most))
        } else {
            unpack(reader.take(most))
        }
    }

    fn of(files: Files) -> Result<Package, String> {
        let manifest = files.manifest.as_deref().map(head).transpose()?.unwrap_or_default();
        let mut found = Vec::new();
        let mut guide = None;
        for (name, bytes) in &files.json {
            let document = Document::parse(bytes, &Limits::default()).map_err(|e| format!("{name}: {e}"))?;
            let root = document.root();
            let of = |key: &str| root.get(key).and_then(Value::as_str).map(|t| t.into_owned()).unwrap_or_default();
            let kind = of("resourceType");
            if kind == "ImplementationGuide" && guide.is_none() {
                guide = Some((of("packageId"), of("version")));
            }
            if KINDS.contains(&kind.as_str()) && !of("url").is_empty() {
                found.push((kind, of("url"), of("version"), about(root), bytes));
            }
        }
        let (name, version) = match (manifest, guide) {
            ((name, version), _) if !name.is_empty() => (name, version),
            (_, Some(guide)) => guide,
            _ => return Err("it has neither a package.json nor an ImplementationGuide that names it".into()),
        };
        let word = |text: &str| {
            !text.is_empty()
                && text.len() <= 100
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
        };
        if !word(&name) || !word(&version) {
            return Err("the name or version of the package is missing or has odd characters".into());
        }
        if found.is_empty() {
            return Err("no conformance resource is in it".into());
        }
        let label: Arc<str> = format!("{name}#{version}").into();
        let guides =
            found.iter().filter(|f| f.0 == "ImplementationGuide").map(|(_, url, version, ..)| match &**version {
                "" => url.clone(),
                version => format!("{url}|{version}"),
            });
        let info = PackageInfo { guides: guides.collect(), resources: found.len(), name, version };
        let resources = found
            .into_iter()
            .map(|(kind, url, version, about, json)| {
                let (url, version) = (super::split_canonical(&url).0.to_owned(), version);
                Conformance::new(&kind, &url, &version, &about, label.clone(), json)
            })
            .collect();
        Ok(Package { info, resources })
    }

    /// The package as it is kept: a line for each resource before its packed text.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = format!("vesta-package 1\t{}\t{}\n", self.info.name, self.info.version).into_bytes();
        for resource in &self.resources {
            let packed = resource.packed();
            let fields = [&*resource.kind, &*resource.url, &*resource.version, &*resource.about];
            out.extend(format!("{}\t{}\n", fields.map(plain).join("\t"), packed.len()).bytes());
            out.extend(packed.iter());
        }
        out
    }

    /// What [`Package::encode`] gave.
    pub fn decode(mut bytes: &[u8]) -> Option<Package> {
        let first = line(&mut bytes)?;
        let mut fields = first.split('\t');
        if fields.next() != Some("vesta-package 1") {
            return None;
        }
        let (name, version) = (fields.next()?.to_owned(), fields.next()?.to_owned());
        let label: Arc<str> = format!("{name}#{version}").into();
        let mut resources = Vec::new();
        while !bytes.is_empty() {
            let head = line(&mut bytes)?;
            let fields: Vec<&str> = head.split('\t').collect();
            let [kind, url, version, about, length] = fields.as_slice() else { return None };
            let (packed, rest) = bytes.split_at_checked(length.parse().ok()?)?;
            resources.push(Conformance::packed_as(kind, url, version, about, label.clone(), packed));
            bytes = rest;
        }
        let guides = resources.iter().filter(|r| &*r.kind == "ImplementationGuide").map(Conformance::canonical);
        let info = PackageInfo { guides: guides.collect(), resources: resources.len(), name, version };
        Some(Package { info, resources })
    }
}

fn line<'b>(bytes: &mut &'b [u8]) -> Option<&'b str> {
    let end = bytes.iter().position(|b| *b == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end)?;
    *bytes = rest.get(1..)?;
    std::str::from_utf8(line).ok()
}

/// A field without the characters that separate fields.
fn plain(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

/// Name and version in a `package.json`.
fn head(bytes: &[u8]) -> Result<(String, String), String> {
    let document = Document::parse(bytes, &Limits::default()).map_err(|e| format!("package.json: {e}"))?;
    let of = |key: &str| document.root().get(key).and_then(Value::as_str).map(|t| t.into_owned()).unwrap_or_default();
    Ok((of("name"), of("version")))
}

/// What a resource is about: the type of a profile, the bases of a search parameter.
fn about(root: Value<'_>) -> String {
    let words = |key: &str| -> Vec<String> {
        root.get(key).into_iter().flat_map(Value::each).filter_map(|v| Some(v.as_str()?.into_owned())).collect()
    };
    match root.get("resourceType").and_then(Value::as_plain) {
        Some("StructureDefinition") => words("type").join(" "),
        Some("SearchParameter") => words("base").join(" "),
        _ => String::new(),
    }
}

fn unpack(reader: impl Read) -> Result<Package, String> {
    let mut archive = tar::Archive::new(reader);
    let mut files = Files::default();
    for entry in archive.entries().map_err(|e| e.to_string())? {
        let entry = entry.map_err(|e| e.to_string())?;
        let name = entry.path().map_err(|e| e.to_string())?.into_owned();
        let kind = entry.header().entry_type();
        if kind.is_symlink() || kind.is_hard_link() {
            return Err(format!("{} is a link, which no package needs", name.display()));
        }
        let inside = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
        if !name.components().all(inside) || name.to_string_lossy().contains('\\') {
            return Err(format!("{} leads out of the package", name.display()));
        }
        if kind.is_dir() || kind.is_pax_global_extensions() || kind.is_pax_local_extensions() {
            continue;
        }
        if !kind.is_file() {
            return Err(format!("{} is no plain file", name.display()));
        }
        let length = entry.header().size().map_err(|e| e.to_string())?;
        files.take(&name, entry, length)?;
    }
    Package::of(files)
}

/// The files of a folder; links in it are left alone.
fn folder(root: &Path, path: &Path, files: &mut Files, depth: usize) -> Result<(), String> {
    if depth > 8 {
        return Ok(());
    }
    let mut entries: Vec<_> = std::fs::read_dir(path).map_err(|e| e.to_string())?.flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(|e| e.to_string())?;
        if kind.is_dir() {
            folder(root, &entry.path(), files, depth + 1)?;
        } else if kind.is_file() {
            let length = entry.metadata().map_err(|e| e.to_string())?.len();
            let path = entry.path();
            let file = std::fs::File::open(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            files.take(path.strip_prefix(root).unwrap_or(&path), file, length)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn packed(entries: &[(&str, &str, tar::EntryType)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, text, kind) in entries {
            let mut header = tar::Header::new_gnu();
            // Written by hand, as the crate refuses to write what we want to refuse to read.
            header.as_gnu_mut().expect("gnu").name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(text.len() as u64);
            header.set_entry_type(*kind);
            header.set_cksum();
            builder.append(&header, text.as_bytes()).expect("tar");
        }
        let tar = builder.into_inner().expect("tar");
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar).expect("gzip");
        gz.finish().expect("gzip")
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;
    const MANIFEST: (&str, &str, tar::EntryType) =
        ("package/package.json", r#"{"name":"a.b","version":"1.0.0"}"#, FILE);
    const SET: (&str, &str, tar::EntryType) =
        ("package/ValueSet-v.json", r#"{"resourceType":"ValueSet","url":"http://x/v","version":"1"}"#, FILE);

    #[test]
    fn read_and_kept() {
        let example = ("package/example/Patient-p.json", "no JSON", FILE);
        let package = Package::read_archive(&packed(&[MANIFEST, SET, example])[..]).expect("legal");
        assert_eq!((package.info.name.as_str(), package.info.resources), ("a.b", 1));
        let again = Package::decode(&package.encode()).expect("what was encoded");
        assert_eq!(again.info, package.info);
        assert_eq!(again.resources[0].json(), package.resources[0].json());
        assert!(Package::decode(b"vesta-package 2\ta\tb\n").is_none());
    }

    #[test]
    fn refused() {
        let refuse = |entries: &[(&str, &str, tar::EntryType)], why: &str| {
            let found = Package::read_archive(&packed(entries)[..]).map(|p| p.info).expect_err("refused");
            assert!(found.contains(why), "{found}");
        };
        refuse(&[MANIFEST, SET, ("package/../../etc/x.json", "{}", FILE)], "leads out");
        refuse(&[MANIFEST, SET, ("/etc/x.json", "{}", FILE)], "leads out");
        refuse(&[MANIFEST, SET, ("package/x.json", "", tar::EntryType::Symlink)], "is a link");
        refuse(&[MANIFEST, SET, ("package/x.json", "", tar::EntryType::Link)], "is a link");
        refuse(&[MANIFEST, SET, ("package/x", "", tar::EntryType::Fifo)], "no plain file");
        refuse(&[SET], "neither a package.json");
        refuse(&[MANIFEST], "no conformance resource");
        refuse(&[("package/package.json", r#"{"name":"a/../b","version":"1"}"#, FILE), SET], "odd characters");
        refuse(&[MANIFEST, ("package/ValueSet-v.json", "{", FILE)], "ValueSet-v.json");
        assert!(Package::read_archive(&b"nothing"[..]).is_err());
    }

    #[test]
    fn bombs_are_refused() {
        let mut files = Files::default();
        assert!(files.take(Path::new("a.json"), &b""[..], LARGEST_FILE + 1).is_err());
        let mut files = Files { bytes: LARGEST, ..Files::default() };
        assert!(files.take(Path::new("a.txt"), &b""[..], 1).is_err());
        let mut files = Files { count: MOST, ..Files::default() };
        assert!(files.take(Path::new("a.txt"), &b""[..], 1).is_err());
    }
}
