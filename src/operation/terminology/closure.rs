//! `$closure` (R4 conceptmap-operation-closure.html): a table of which codes are above which, kept by name; each call adds
//! codes and gives the new lines. The table itself is an item of the store.

use super::super::Call;
use super::{Desk, failure, missing};
use crate::base::{Failure, FailureKind, IssueCode};
use crate::interaction::race::{ATTEMPTS, too_many_races};
use crate::interaction::{Effect, Reply, ReplyContent};
use crate::json::Tree;
use crate::store::{Item, ItemWrite};
use crate::terminology::{Coding, Library, code_system};

/// Where the tables are kept.
const COLLECTION: &str = "closure";
/// Most codes of a table.
const CODES_MAX: usize = 10_000;

/// A table: for each version the codes that came with it.
#[derive(Default)]
struct Table {
    version: u64,
    codes: Vec<(u64, String, String)>,
}

impl Table {
    fn read(bytes: &[u8]) -> Table {
        let tree = Tree::parse(bytes).unwrap_or(Tree::Null);
        let number = |t: Option<&Tree>| match t {
            Some(Tree::Number(n)) => n.parse().unwrap_or(0),
            _ => 0,
        };
        let text = |t: &Tree, key: &str| t.get(key).and_then(Tree::as_str).unwrap_or_default().to_owned();
        let codes = tree.get("codes").map_or(&[][..], Tree::items);
        Table {
            version: number(tree.get("version")),
            codes: codes.iter().map(|c| (number(c.get("at")), text(c, "system"), text(c, "code"))).collect(),
        }
    }

    fn write(&self) -> Vec<u8> {
        let codes = self.codes.iter().map(|(at, system, code)| {
            Tree::object([
                ("at", Tree::Number(at.to_string())),
                ("system", Tree::string(system)),
                ("code", Tree::string(code)),
            ])
        });
        let tree = Tree::object([
            ("version", Tree::Number(self.version.to_string())),
            ("codes", Tree::Array(codes.collect())),
        ]);
        tree.to_json().into_bytes()
    }

    /// The lines between the codes from a version on and all others.
    fn lines(&self, library: &dyn Library, since: u64) -> Result<Vec<(String, String, String)>, Failure> {
        let mut found = Vec::new();
        for (_, system_url, code) in self.codes.iter().filter(|(at, ..)| *at > since) {
            let Ok(system) = code_system(library, system_url, "") else { continue };
            system.sound().map_err(failure)?;
            let Some(number) = system.find(code) else { continue };
            let (above, below) = (system.above(number), system.below(number));
            for (other_at, other_system, other) in &self.codes {
                if other_system != system_url || other == code {
                    continue;
                }
                let Some(n) = system.find(other).map(|n| n as usize) else { continue };
                let both_new = *other_at > since;
                if above.get(n) == Some(&true) {
                    found.push((system_url.clone(), code.clone(), other.clone()));
                } else if below.get(n) == Some(&true) && !both_new {
                    found.push((system_url.clone(), other.clone(), code.clone()));
                }
            }
        }
        Ok(found)
    }
}

pub(crate) async fn perform(call: Call<'_>) -> Result<Reply, Failure> {
    let desk = Desk::of(&call, None).await?;
    let Some(name) = desk.inputs.text("name").filter(|n| n.len() <= 128).map(str::to_owned) else {
        return Err(missing("say which table by 'name' (128 characters at most)"));
    };
    let codings: Vec<Coding> = desk.inputs.all("concept").map(|i| Coding::from(&i.value)).collect();
    let since = desk.inputs.text("version").and_then(|v| v.parse::<u64>().ok());
    if since.is_some() && !codings.is_empty() {
        let message = "either codes are added, or the lines since a version are asked for";
        return Err(Failure::malformed(IssueCode::Invalid, message).at("Parameters.parameter"));
    }
    for _ in 0..ATTEMPTS {
        let read = call.service.records(call.context.tenant).get(COLLECTION, &name).await?;
        let mut table = read.as_ref().map(|item| Table::read(&item.value));
        if let Some(since) = since {
            let Some(table) = table else {
                return Err(Failure::not_found("there is no table of this name"));
            };
            let lines = desk.with(|library| table.lines(library, since))?;
            return Ok(answer(&call, &name, table.version, lines));
        }
        if codings.is_empty() {
            // A table is begun anew.
            table = None;
        }
        let mut table = table.unwrap_or_default();
        let before = table.version;
        table.version += u64::from(!codings.is_empty());
        for coding in &codings {
            let known = table.codes.iter().any(|(_, s, c)| *s == coding.system && *c == coding.code);
            if !known {
                table.codes.push((table.version, coding.system.clone(), coding.code.clone()));
            }
        }
        if table.codes.len() > CODES_MAX {
            let message = format!("a table has {CODES_MAX} codes at most");
            return Err(Failure::new(FailureKind::TooCostly, IssueCode::TooCostly, message));
        }
        let lines = desk.with(|library| table.lines(library, before))?;
        let (version, value) = (table.version, table.write());
        if keep(&call, &name, read.as_ref(), value).await? {
            return Ok(answer(&call, &name, version, lines));
        }
    }
    Err(too_many_races())
}

/// Keeps a table; false where somebody else was faster.
async fn keep(call: &Call<'_>, name: &str, read: Option<&Item>, value: Vec<u8>) -> Result<bool, Failure> {
    let write = match read {
        Some(item) => ItemWrite::replace(COLLECTION, item, value),
        None => ItemWrite::create(COLLECTION, name, value),
    };
    call.service.records(call.context.tenant).try_commit(vec![write]).await
}

fn answer(call: &Call<'_>, name: &str, version: u64, lines: Vec<(String, String, String)>) -> Reply {
    let mut groups: Vec<(String, Vec<Tree>)> = Vec::new();
    for (system, below, above) in lines {
        let target = Tree::object([("code", Tree::string(above)), ("equivalence", Tree::string("subsumes"))]);
        let element = Tree::object([("code", Tree::string(below)), ("target", Tree::Array(vec![target]))]);
        match groups.iter_mut().find(|(s, _)| *s == system) {
            Some((_, elements)) => elements.push(element),
            None => groups.push((system, vec![element])),
        }
    }
    let mut map = Tree::object([
        ("resourceType", Tree::string("ConceptMap")),
        ("version", Tree::string(version.to_string())),
        ("name", Tree::string(name)),
        ("status", Tree::string("active")),
        ("experimental", Tree::Bool(true)),
        ("date", Tree::string(call.service.clock.now().to_instant())),
    ]);
    if !groups.is_empty() {
        let groups = groups.into_iter().map(|(system, elements)| {
            Tree::object([
                ("source", Tree::string(&system)),
                ("target", Tree::string(&system)),
                ("element", Tree::Array(elements)),
            ])
        });
        map.set("group", Tree::Array(groups.collect()));
    }
    Reply::of(Effect::Ok, ReplyContent::Json(map.to_json().into_bytes()))
}
