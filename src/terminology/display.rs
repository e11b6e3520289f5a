//! Displays: which is the best in the languages that are wanted, and whether one that is given is right.

use super::code_system::{Concept, Designation};
use super::tree::{each, strings, text};
use super::value_set::Named;
use super::{CodeSystem, Library, Problem, Rules};
use crate::json::Tree;
use std::sync::Arc;

/// Everything that names a concept.
pub(super) struct Names<'n> {
    /// Language and words, the display of the code system first.
    all: Vec<(Option<&'n str>, &'n str)>,
    default: Option<&'n str>,
}

/// The supplements that add to a code system: those that the value set or the request names, and those whose language
/// is asked for.
pub(super) fn supplements(library: &dyn Library, system: &CodeSystem, wanted: &[Box<str>]) -> Vec<Arc<CodeSystem>> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let named = |s: &CodeSystem| {
        wanted.iter().any(|w| {
            let (url, version) = super::tree::split(w);
            *s.url == *url && (version.is_empty() || *s.version == *version)
        })
    };
    library.supplements(&system.url).into_iter().filter(|s| named(s)).collect()
}

/// Whether designations of this use are names.
fn is_name(designation: &Designation) -> bool {
    match &designation.purpose {
        None => true,
        Some(purpose) => matches!(
            text(purpose, "code"),
            "display" | "preferredForLanguage" | "900000000000013009" | "900000000000003001"
        ),
    }
}

impl<'n> Names<'n> {
    pub(super) fn of(
        system: &'n CodeSystem,
        concept: &'n Concept,
        supplements: &'n [Arc<CodeSystem>],
        named: Option<&'n Named>,
    ) -> Names<'n> {
        let mut all = Vec::new();
        let language = system.language.as_deref();
        let default = concept.display.as_deref();
        if let Some(display) = default {
            all.push((language, display));
        }
        let added = supplements.iter().filter_map(|s| s.concept(s.find(&concept.code)?).map(|c| (s, c)));
        let mut take = |designations: &'n [Designation]| {
            for designation in designations.iter().filter(|d| is_name(d)) {
                all.push((designation.language.as_deref(), &*designation.value));
            }
        };
        take(&concept.designations);
        for (supplement, concept) in added {
            take(&concept.designations);
            let _ = supplement;
        }
        if let Some(named) = named {
            for designation in each(&named.whole, "designation") {
                let language = designation.get("language").and_then(Tree::as_str);
                all.push((language, text(designation, "value")));
            }
            if let Some(display) = named.display.as_deref() {
                all.push((language, display));
            }
        }
        Names { all, default }
    }

    /// The best in the languages that are wanted.
    pub(super) fn best(&self, wanted: Option<&str>) -> Option<&'n str> {
        for language in wanted.map(languages).unwrap_or_default() {
            if language == "*" {
                break;
            }
            let exact = self.all.iter().find(|(l, _)| l.is_some_and(|l| l.eq_ignore_ascii_case(&language)));
            let found = exact.or_else(|| self.all.iter().find(|(l, _)| l.is_some_and(|l| speaks(l, &language))));
            if let Some((_, words)) = found {
                return Some(words);
            }
        }
        if wanted.is_some_and(refuses_others) {
            return None;
        }
        self.default.or_else(|| self.all.first().map(|(_, words)| *words))
    }

    /// What is wrong with a display that is given.
    pub(super) fn check(&self, given: &str, what: &str, rules: &Rules) -> Option<Problem> {
        let wanted = rules.language.as_deref().map(languages).filter(|l| !l.is_empty());
        let fits = |language: &Option<&str>| match (&wanted, language) {
            (None, _) => true,
            (Some(_), None) => true,
            (Some(wanted), Some(l)) => wanted.iter().any(|w| w == "*" || speaks(l, w)),
        };
        let mut valid: Vec<(Option<&str>, &str)> = Vec::new();
        for (language, words) in self.all.iter().filter(|(l, _)| fits(l)) {
            if !valid.iter().any(|(l, w)| w == words && l == language) {
                valid.push((*language, words));
            }
        }
        let same = |a: &str, b: &str| {
            a.split_whitespace().eq(b.split_whitespace())
                || a.to_lowercase().split_whitespace().eq(b.to_lowercase().split_whitespace())
        };
        if valid.iter().any(|(_, words)| same(words, given)) {
            return None;
        }
        let asked = rules.language.as_deref().unwrap_or("--");
        if valid.is_empty() {
            let default = self.default.unwrap_or_default();
            let usual = self.all.first().and_then(|(l, _)| *l);
            let as_usual = self.all.iter().any(|(l, words)| (l.is_none() || *l == usual) && same(words, given));
            return Some(if as_usual {
                let text = format!(
                    "There are no valid display names found for the code {what} for language(s) '{asked}'. The display is '{given}' which is a valid display for the default language"
                );
                let note = Problem::note("invalid", "invalid-display", "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_OK", text);
                Problem { told: true, ..note }
            } else {
                let text = format!(
                    "Wrong Display Name '{given}' for {what}. There are no valid display names found for language(s) '{asked}'. Default display is '{default}'"
                );
                self.wrong("NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_ERR", text, rules)
            });
        }
        let shown: Vec<String> = valid
            .iter()
            .map(|(language, words)| match language {
                Some(language) => format!("'{words}' ({language})"),
                None => format!("'{words}'"),
            })
            .collect();
        let choice = match shown.as_slice() {
            [one] => one.clone(),
            many => format!("one of {} choices: {}", many.len(), many.join(" or ")),
        };
        let text = format!(
            "Wrong Display Name '{given}' for {what}. Valid display is {choice} (for the language(s) '{asked}')"
        );
        Some(self.wrong("Display_Name_for__should_be_one_of__instead_of", text, rules))
    }

    fn wrong(&self, id: &'static str, text: String, rules: &Rules) -> Problem {
        let problem = Problem::error("invalid", "invalid-display", id, text);
        if rules.lenient { Problem { severity: "warning", ..problem } } else { problem }
    }
}

/// The languages of an `Accept-Language`, the most wanted first; those with a weight of zero are left out.
pub(super) fn languages(header: &str) -> Vec<String> {
    let mut all: Vec<(f32, String)> = header
        .split(',')
        .filter_map(|part| {
            let mut pieces = part.split(';');
            let language = pieces.next()?.trim();
            let weight = pieces.find_map(|p| p.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            (!language.is_empty() && weight > 0.0).then(|| (weight, language.to_owned()))
        })
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().map(|(_, language)| language).collect()
}

/// Whether no other language will do: `*` with a weight of zero.
fn refuses_others(header: &str) -> bool {
    header.split(',').any(|part| {
        let mut pieces = part.split(';').map(str::trim);
        pieces.next() == Some("*") && pieces.any(|p| p.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0f32)))
    })
}

/// Whether a language is the one that is wanted, or one of its regions.
pub(super) fn speaks(language: &str, wanted: &str) -> bool {
    let (language, wanted) = (language.to_lowercase(), wanted.to_lowercase());
    language == wanted || language.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('-'))
}

/// The display of a value set's concept in its own words.
pub(super) fn own(named: &Named) -> Option<Box<str>> {
    strings(&named.whole, "display")
}
