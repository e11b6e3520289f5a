//! Functions on single values: strings, numbers, conversion, and what FHIR adds. Patterns are matched in linear time.

use super::{Call, boundary};
use crate::fhirpath::eval::convert::convert;
use crate::fhirpath::eval::operators::{as_quantity, number};
use crate::fhirpath::eval::{Collection, Item, Number, Result, fail};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use regex::{Regex, RegexBuilder};
use rustc_hash::FxHashMap;
use std::cell::RefCell;

/// Bytes of a compiled pattern at most.
const PATTERN: usize = 1 << 20;
/// Compiled patterns that a thread keeps at most.
const PATTERNS: usize = 64;
/// Steps that compiling a pattern counts as.
const COMPILING: usize = 10_000;
/// Steps that asking for a value set counts as.
const ASKING: usize = 50;
/// Bytes of a string at most.
const LONGEST: usize = 10_000_000;

pub(super) fn call<'d>(call: &Call<'_, '_, 'd>, focus: &[Item<'d>], name: &str) -> Result<Collection<'d>> {
    let d = call.with.definitions;
    match name {
        "resolve" => return resolve(call, focus),
        "type" => {
            let of = |item: &Item<'d>| {
                let (namespace, name) = item.type_name(d);
                Item::Type(namespace, name.into())
            };
            return Ok(focus.iter().map(of).collect());
        }
        "join" => {
            let by = if call.arguments.is_empty() { None } else { call.with.string(&call.values(0)?, call.at)? };
            let mut texts = Vec::with_capacity(focus.len());
            let mut length = 0;
            for item in focus {
                let text = call.with.string(std::slice::from_ref(item), call.at)?;
                length += text.as_ref().map_or(0, |t| t.len()) + by.as_ref().map_or(0, |b| b.len());
                if length > LONGEST {
                    return fail(call.at, "the result is too large");
                }
                texts.extend(text);
            }
            return Ok(vec![Item::text(texts.join(by.as_deref().unwrap_or("")))]);
        }
        _ => {}
    }
    let Some(item) = call.with.single(focus, call.at)? else {
        return match name {
            "hasValue" => Ok(vec![Item::Boolean(false)]),
            _ if known(name) => Ok(vec![]),
            _ => fail(call.at, format!("there is no function {name}()")),
        };
    };
    let value = item.system(d);
    let to = name.strip_prefix("convertsTo").map(|to| (to, true)).or(name.strip_prefix("to").map(|to| (to, false)));
    if let Some((to, ask)) = to
        && matches!(to, "Boolean" | "Integer" | "Decimal" | "String" | "Date" | "DateTime" | "Time" | "Quantity")
    {
        let unit = match (to, call.arguments.is_empty()) {
            ("Quantity", false) => match call.with.string(&call.values(0)?, call.at)? {
                Some(unit) => Some(unit),
                None => return Ok(vec![]),
            },
            (_, true) => None,
            (_, false) => return fail(call.at, format!("{name}() takes no arguments")),
        };
        let converted = convert(&value, to, unit.as_deref());
        return Ok(if ask { vec![Item::Boolean(converted.is_some())] } else { converted.into_iter().collect() });
    }
    let bool = |b: bool| Ok(vec![Item::Boolean(b)]);
    match name {
        "hasValue" => bool(!matches!(value, Item::Node(_))),
        "getValue" => Ok(if matches!(value, Item::Node(_)) { vec![] } else { vec![value] }),
        "conformsTo" | "memberOf" => {
            let Some(url) = call.with.string(&call.values(0)?, call.at)? else { return Ok(vec![]) };
            let answer = match item {
                _ if name == "memberOf" => {
                    call.with.step(call.at, ASKING)?;
                    call.with.world.member_of(item, &url)
                }
                Item::Node(node) => {
                    let mut steps = call.with.steps.get();
                    let answer = call.with.world.conforms_to(node, &url, &mut steps);
                    call.with.steps.set(steps);
                    call.with.step(call.at, 0)?;
                    answer.or_else(|| {
                        let base = url.strip_prefix("http://hl7.org/fhir/StructureDefinition/")?;
                        d.type_named(base).map(|_| node.is(base, d))
                    })
                }
                _ => None,
            };
            match answer {
                Some(b) => bool(b),
                None if name == "conformsTo" => fail(call.at, format!("the profile {url} is not known")),
                None => Ok(vec![]),
            }
        }
        "htmlChecks" => {
            if let Item::String(text) = &value {
                call.with.step(call.at, text.len() / 16)?;
            }
            match call.with.world.html_checks(&value) {
                Some(legal) => bool(legal),
                None => fail(call.at, "htmlChecks() is not known here"),
            }
        }
        "lowBoundary" | "highBoundary" => {
            let digits = if call.arguments.is_empty() { None } else { call.with.integer(&call.values(0)?, call.at)? };
            Ok(boundary::boundary(&value, name == "highBoundary", digits).into_iter().collect())
        }
        "precision" => Ok(boundary::precision(&value).map(Item::Integer).into_iter().collect()),
        "comparable" => {
            let other = call.values(0)?;
            let other = call.with.single(&other, call.at)?.and_then(|o| as_quantity(&o.system(d)));
            match (as_quantity(&value), other) {
                (Some(a), Some(b)) => bool(a.compare(&b, false).is_some()),
                _ => Ok(vec![]),
            }
        }
        _ => match value {
            Item::String(text) => strings(call, &text, name),
            ref other => math(call, other, name),
        },
    }
}

fn known(name: &str) -> bool {
    const NAMES: &str = " getValue htmlChecks conformsTo memberOf lowBoundary highBoundary precision comparable abs ceiling exp \
        floor ln log power round sqrt truncate indexOf substring startsWith endsWith contains upper lower replace \
        matches matchesFull replaceMatches length toChars encode decode escape unescape trim split ";
    name.starts_with("to") || name.starts_with("convertsTo") || NAMES.contains(&format!(" {name} "))
}

fn resolve<'d>(call: &Call<'_, '_, 'd>, focus: &[Item<'d>]) -> Result<Collection<'d>> {
    let mut out = Vec::new();
    for item in focus {
        let text = match item {
            Item::Node(node) if node.is("Reference", call.with.definitions) => {
                node.value.and_then(|v| v.get("reference")).and_then(|r| r.as_str()).map(|r| r.into_owned())
            }
            other => match other.system(call.with.definitions) {
                Item::String(s) => Some(s.to_string()),
                _ => None,
            },
        };
        let Some(text) = text else { continue };
        call.with.step(call.at, text.len() / 16)?;
        let from = match item {
            Item::Node(node) => node.value,
            _ => None,
        };
        let inside = match text.strip_prefix('#') {
            Some(id) => contained(call, id)?,
            None => None,
        };
        out.extend(inside.or_else(|| call.with.world.resolve(&text, from).map(Item::Node)));
    }
    Ok(out)
}

fn contained<'d>(call: &Call<'_, '_, 'd>, id: &str) -> Result<Option<Item<'d>>> {
    let Item::Node(root) = &call.with.root else { return Ok(None) };
    if id.is_empty() {
        return Ok(Some(call.with.root.clone()));
    }
    let mut all = Vec::new();
    call.with.wide(root, call.at)?;
    root.children(Some("contained"), call.with.definitions, &mut all);
    call.with.step(call.at, all.len())?;
    Ok(all.into_iter().find(|item| match item {
        Item::Node(node) => node.value.and_then(|v| v.get("id")).and_then(|v| v.as_str()).as_deref() == Some(id),
        _ => false,
    }))
}

fn strings<'d>(call: &Call<'_, '_, 'd>, text: &str, name: &str) -> Result<Collection<'d>> {
    let bool = |b: bool| Ok(vec![Item::Boolean(b)]);
    let is = |s: String| Ok(vec![Item::text(s)]);
    call.with.step(call.at, text.len() / 16)?;
    match name {
        "length" => return Ok(vec![Item::Integer(text.chars().count() as i64)]),
        "upper" => return is(text.to_uppercase()),
        "lower" => return is(text.to_lowercase()),
        "trim" => return is(text.trim().to_owned()),
        "toChars" => {
            call.with.step(call.at, text.len())?;
            return Ok(text.chars().map(|c| Item::text(c.to_string())).collect());
        }
        "substring" => {
            let Some(from) = call.with.integer(&call.values(0)?, call.at)? else { return Ok(vec![]) };
            let length = match call.arguments.len() {
                1 => None,
                _ => call.with.integer(&call.values(1)?, call.at)?,
            };
            let Some(from) = usize::try_from(from).ok().filter(|f| *f < text.chars().count()) else {
                return Ok(vec![]);
            };
            let length = length.map_or(usize::MAX, |l| usize::try_from(l).unwrap_or(0));
            return is(text.chars().skip(from).take(length).collect());
        }
        _ if !known(name) => return fail(call.at, format!("there is no function {name}()")),
        _ => {}
    }
    let Some(argument) = call.with.string(&call.values(0)?, call.at)? else { return Ok(vec![]) };
    let pattern = || {
        let pattern = if name == "matchesFull" { format!("^(?:{argument})$") } else { argument.to_string() };
        // To compile a pattern takes much longer than a step, to look for it some times as long as the text.
        call.with.step(call.at, text.len())?;
        let (regex, made) = compiled(&pattern).map_or_else(|| fail(call.at, "the pattern cannot be read"), Ok)?;
        call.with.step(call.at, if made { COMPILING + pattern.len() } else { 0 })?;
        Ok(regex)
    };
    let second = |call: &Call<'_, '_, 'd>| call.with.string(&call.values(1)?, call.at);
    match name {
        "indexOf" => Ok(vec![Item::Integer(match text.find(&*argument) {
            Some(at) => text.chars().zip(text.char_indices()).take_while(|(_, (i, _))| *i < at).count() as i64,
            None => -1,
        })]),
        "startsWith" => bool(text.starts_with(&*argument)),
        "endsWith" => bool(text.ends_with(&*argument)),
        "contains" => bool(text.contains(&*argument)),
        "matches" | "matchesFull" => bool(pattern()?.is_match(text)),
        "split" => {
            call.with.step(call.at, text.len())?;
            Ok(text.split(&*argument).map(Item::text).collect())
        }
        "replace" | "replaceMatches" => {
            let Some(by) = second(call)? else { return Ok(vec![]) };
            if by.len().saturating_mul(text.len() + 1) > LONGEST {
                return fail(call.at, "the result is too large");
            }
            match name {
                "replace" => is(text.replace(&*argument, &by)),
                _ if argument.is_empty() => is(text.to_owned()),
                _ => is(pattern()?.replace_all(text, &*by).into_owned()),
            }
        }
        "encode" | "decode" | "escape" | "unescape" => {
            Ok(coded(text, name, &argument).map(Item::text).into_iter().collect())
        }
        _ => fail(call.at, format!("{name}() is not for strings")),
    }
}

/// A pattern, compiled at its first use in this thread: invariants use few of them again and again. Says whether it was
/// compiled now.
fn compiled(pattern: &str) -> Option<(Regex, bool)> {
    thread_local! {
        static KNOWN: RefCell<FxHashMap<String, Regex>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        if let Some(regex) = known.get(pattern) {
            return Some((regex.clone(), false));
        }
        let regex = RegexBuilder::new(pattern).dot_matches_new_line(true).size_limit(PATTERN).build().ok()?;
        if known.len() >= PATTERNS {
            known.clear();
        }
        known.insert(pattern.to_owned(), regex.clone());
        Some((regex, true))
    })
}

fn coded(text: &str, name: &str, form: &str) -> Option<String> {
    let utf8 = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
    const HTML: [(&str, &str); 5] = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];
    match (name, form) {
        ("encode", "hex") => Some(text.bytes().map(|b| format!("{b:02x}")).collect()),
        ("encode", "base64") => Some(STANDARD.encode(text)),
        ("encode", "urlbase64") => Some(URL_SAFE.encode(text)),
        ("decode", "base64") => utf8(STANDARD.decode(text).ok()?),
        ("decode", "urlbase64") => utf8(URL_SAFE.decode(text).ok()?),
        ("decode", "hex") if text.is_ascii() && text.len().is_multiple_of(2) => utf8(
            (0..text.len())
                .step_by(2)
                .map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok())
                .collect::<Option<_>>()?,
        ),
        ("escape", "html") => Some(HTML.iter().fold(text.to_owned(), |t, (from, to)| t.replace(from, to))),
        ("unescape", "html") => Some(HTML.iter().rev().fold(text.to_owned(), |t, (from, to)| t.replace(to, from))),
        ("escape", "json") => {
            let mut out = String::new();
            crate::json::escape_into(text, &mut out);
            Some(out.strip_prefix('"').and_then(|o| o.strip_suffix('"')).map(str::to_owned).unwrap_or(out))
        }
        ("unescape", "json") => Some(crate::json::unescape(text).into_owned()),
        _ => None,
    }
}

fn math<'d>(call: &Call<'_, '_, 'd>, value: &Item<'d>, name: &str) -> Result<Collection<'d>> {
    const NAMES: [&str; 10] = ["abs", "ceiling", "exp", "floor", "ln", "log", "power", "round", "sqrt", "truncate"];
    if !NAMES.contains(&name) {
        let why = if known(name) { "is not for this type" } else { "is no function" };
        return fail(call.at, format!("{name}() {why}"));
    }
    let Some(n) = number(value) else {
        return match (name, value) {
            ("abs", Item::Quantity(q)) if q.value.mantissa < 0 => {
                let value = q.value.negated();
                Ok(vec![Item::Quantity(crate::fhirpath::eval::Quantity { value, ..q.clone() })])
            }
            ("abs", Item::Quantity(_)) => Ok(vec![value.clone()]),
            _ => fail(call.at, "a number is expected"),
        };
    };
    let whole = |i: i128| i64::try_from(i).ok().map(Item::Integer);
    let float = |f: f64| Number::of_float(f).map(Item::Decimal);
    let integer = matches!(value, Item::Integer(_));
    let argument = || -> Result<Option<Number>> {
        let values = call.values(0)?;
        Ok(call.with.single(&values, call.at)?.and_then(|v| number(&v.system(call.with.definitions))))
    };
    let result = match name {
        "abs" if n.mantissa >= 0 => Some(value.clone()),
        "abs" if integer => whole(n.negated().mantissa),
        "abs" => Some(Item::Decimal(n.negated())),
        "ceiling" => whole(-n.negated().floor()),
        "floor" => whole(n.floor()),
        "truncate" => whole(n.truncate()),
        "exp" => float(n.float().exp()),
        "ln" => float(n.float().ln()),
        "sqrt" => float(n.float().sqrt()),
        "log" => argument()?.and_then(|base| float(n.float().ln() / base.float().ln())),
        "round" if call.arguments.is_empty() => whole(n.round(0).truncate()),
        "round" => argument()?.and_then(|d| u32::try_from(d.truncate()).ok()).map(|d| Item::Decimal(n.round(d))),
        _ => argument()?.and_then(|exponent| power(n, exponent, integer)),
    };
    Ok(result.into_iter().collect())
}

fn power<'d>(base: Number, exponent: Number, integer: bool) -> Option<Item<'d>> {
    let exact = exponent.short();
    if exact.scale == 0
        && let Ok(times) = u32::try_from(exact.mantissa)
        && times <= 1_000
    {
        let mut result = Number::whole(1);
        for _ in 0..times {
            result = result.multiply(base)?;
        }
        return if integer {
            i64::try_from(result.mantissa).ok().map(Item::Integer)
        } else {
            Some(Item::Decimal(result))
        };
    }
    Number::of_float(base.float().powf(exponent.float())).map(Item::Decimal)
}
