//! Codes that nothing here decides, and what somebody else said of them. Validation itself waits for nobody: a first pass
//! notes its questions in an [`Inquiry`], whoever began it asks them, and a second pass judges with the answers. What is
//! asked is a code with its system and version, in a value set or in its system, and nothing else of the resource. Who is
//! asked, and how, is no business of this file.

use super::walk::Walk;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Answers that are kept at most; then it begins again.
const KEPT: usize = 20_000;
/// Questions that one inquiry notes at most.
const NOTED: usize = 1_000;
/// Bytes of a code, a system or a canonical that is asked about at most.
const LONGEST: usize = 400;

/// A code in an element that is validated.
pub(super) struct Coded<'c> {
    /// Its system: none where only codes are written (the system follows from the value set), empty where it is missing.
    pub system: Option<Cow<'c, str>>,
    /// The version of the system.
    pub version: Option<Cow<'c, str>>,
    pub code: Cow<'c, str>,
}

impl<'c> Coded<'c> {
    /// A code without a system.
    pub(super) fn bare(code: &'c str) -> Coded<'c> {
        Coded { system: None, version: None, code: Cow::Borrowed(code) }
    }
}

/// Something to ask: whether a code is in a value set, or, without one, whether it is one of its system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The canonical of the value set, with a version or without.
    pub value_set: Option<Box<str>>,
    /// The code system; without one any system of the value set is meant.
    pub system: Option<Box<str>>,
    /// The version of the code system.
    pub version: Option<Box<str>>,
    /// The code.
    pub code: Box<str>,
}

/// What somebody else says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is so, or it is not.
    Is(bool),
    /// There is no answer, for this reason.
    Open(Arc<str>),
}

/// Answers that are kept for a time, by question. What a question means depends on the value sets that a validator
/// knows, so that each has its own.
#[derive(Debug, Default)]
pub struct Kept(RwLock<FxHashMap<Question, (Instant, Answer)>>);

impl Kept {
    /// Keeps an answer until a moment.
    pub fn keep(&self, question: Question, answer: Answer, until: Instant) {
        let mut kept = self.0.write();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(question, (until, answer));
    }

    fn find(&self, question: &Question) -> Option<Answer> {
        let kept = self.0.read();
        kept.get(question).filter(|(until, _)| *until > Instant::now()).map(|(_, answer)| answer.clone())
    }
}

/// The questions of some validations that belong together, and the answers to them.
#[derive(Debug)]
pub struct Inquiry {
    kept: Arc<Kept>,
    answers: Arc<Mutex<FxHashMap<Question, Answer>>>,
    /// None: nothing more is asked.
    open: Option<Mutex<Vec<Question>>>,
    /// How often an answer was missed.
    missed: AtomicUsize,
}

impl Inquiry {
    /// One that looks first at what is kept.
    pub fn over(kept: Arc<Kept>) -> Inquiry {
        Inquiry { kept, answers: Arc::default(), open: Some(Mutex::default()), missed: AtomicUsize::new(0) }
    }

    /// The same for the second pass, in which nothing more is asked.
    pub fn closed(&self) -> Inquiry {
        let (kept, answers) = (self.kept.clone(), self.answers.clone());
        Inquiry { kept, answers, open: None, missed: AtomicUsize::new(0) }
    }

    /// Whether there are questions that were not taken yet.
    pub fn is_open(&self) -> bool {
        self.open.as_ref().is_some_and(|open| !open.lock().is_empty())
    }

    /// How often an answer was missed until now, whether or not the question had been noted before.
    pub fn missed(&self) -> usize {
        self.missed.load(Ordering::Relaxed)
    }

    /// The questions that are open. They count as asked from now on.
    pub fn take(&self) -> Vec<Question> {
        self.open.as_ref().map(|open| std::mem::take(&mut *open.lock())).unwrap_or_default()
    }

    /// Says what the answer to a question is.
    pub fn tell(&self, question: Question, answer: Answer) {
        self.answers.lock().insert(question, answer);
    }

    /// The answer, if it is known. If not, the question is noted.
    fn answer(&self, question: Question) -> Option<Answer> {
        let mut answers = self.answers.lock();
        if let Some(known) = answers.get(&question) {
            return Some(known.clone());
        }
        if let Some(known) = self.kept.find(&question) {
            // The second look must see what the first saw, whatever is kept by then.
            answers.insert(question, known.clone());
            return Some(known);
        }
        drop(answers);
        let Some(open) = &self.open else {
            return Some(Answer::Open("is not asked about more than was seen at first".into()));
        };
        let mut open = open.lock();
        if !open.contains(&question) {
            if open.len() >= NOTED {
                return Some(Answer::Open("is not asked so many questions".into()));
            }
            open.push(question);
        }
        self.missed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Walk<'_, '_> {
    /// Whether a code is in a value set: as what is here says, and where that does not know, as was said elsewhere.
    pub(super) fn member(&self, set: &str, coded: &Coded<'_>) -> Option<bool> {
        self.member_here(set, coded).or_else(|| match self.said_of_member(set, coded)? {
            Answer::Is(member) => Some(member),
            Answer::Open(_) => None,
        })
    }

    /// The same as far as it is known here.
    pub(super) fn member_here(&self, set: &str, coded: &Coded<'_>) -> Option<bool> {
        self.validator.codes.contains(set, coded.system.as_deref(), None, &coded.code)
    }

    /// Whether a code of a system that is not known here is one of it.
    pub(super) fn stands_elsewhere(&self, system: &str, version: Option<&str>, code: &str) -> Option<Answer> {
        let system = Some(Cow::Borrowed(system));
        let coded = Coded { system, version: version.map(Cow::Borrowed), code: Cow::Borrowed(code) };
        self.asked.elsewhere.as_ref()?.answer(question(None, &coded)?)
    }

    /// What was said elsewhere of a code in a value set, where nothing here decides it.
    fn said_of_member(&self, set: &str, coded: &Coded<'_>) -> Option<Answer> {
        let inquiry = self.asked.elsewhere.as_ref()?;
        let unfit = self.validator.codes.undecided(set, coded.system.as_deref(), &coded.code)?;
        if !unfit.missing {
            return None;
        }
        inquiry.answer(question(Some(set), coded)?)
    }

    /// Words for a message on codes that are not in a value set, where others than this server say so.
    pub(super) fn by_whom(&self, set: &str, all: &[Coded<'_>]) -> &'static str {
        // Without anybody to ask it is this server.
        let elsewhere = self.asked.elsewhere.is_some()
            && all.iter().any(|coded| {
                self.member_here(set, coded).is_none() && matches!(self.said_of_member(set, coded), Some(Answer::Is(_)))
            });
        if elsewhere { ", says the outside terminology server" } else { "" }
    }

    /// Words for a message on codes of which nothing is known: why not even elsewhere.
    pub(super) fn not_even_elsewhere(&self, set: &str, all: &[Coded<'_>]) -> String {
        let said = || all.iter().filter_map(|coded| self.said_of_member(set, coded));
        match self.asked.elsewhere.as_ref().and_then(|_| said().find(|answer| matches!(answer, Answer::Open(_)))) {
            Some(Answer::Open(why)) => format!("; the outside terminology server {why}"),
            _ => String::new(),
        }
    }
}

/// The question for a code; none where nobody could answer it: a coding without a system, what a resource contains.
fn question(value_set: Option<&str>, coded: &Coded<'_>) -> Option<Question> {
    let system = coded.system.as_deref();
    let texts = [value_set, system, coded.version.as_deref(), Some(&*coded.code)];
    let asked = |text: &str| !text.is_empty() && !text.starts_with('#') && text.len() <= LONGEST;
    texts.into_iter().flatten().all(asked).then(|| Question {
        value_set: value_set.map(Box::from),
        system: system.map(Box::from),
        version: coded.version.as_deref().map(Box::from),
        code: Box::from(&*coded.code),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn of(code: &str) -> Question {
        let coded = Coded { system: Some("s:s".into()), ..Coded::bare(code) };
        question(Some("s:set"), &coded).expect("a question")
    }

    #[test]
    fn asked_once_and_kept_for_a_time() {
        let kept = Arc::new(Kept::default());
        let inquiry = Inquiry::over(kept.clone());
        assert_eq!((inquiry.answer(of("a")), inquiry.answer(of("a")), inquiry.answer(of("b"))), (None, None, None));
        assert_eq!((inquiry.missed(), inquiry.take(), inquiry.is_open()), (3, vec![of("a"), of("b")], false));
        inquiry.tell(of("a"), Answer::Is(true));
        kept.keep(of("b"), Answer::Is(false), Instant::now() + Duration::from_secs(60));
        kept.keep(of("c"), Answer::Is(false), Instant::now());
        let second = inquiry.closed();
        assert_eq!(second.answer(of("a")), Some(Answer::Is(true)));
        // What the first look saw holds in the second, though it is not kept any more.
        assert_eq!(inquiry.answer(of("b")), Some(Answer::Is(false)));
        kept.keep(of("b"), Answer::Is(true), Instant::now());
        assert_eq!(second.answer(of("b")), Some(Answer::Is(false)));
        kept.keep(of("b"), Answer::Is(false), Instant::now() + Duration::from_secs(60));
        assert!(matches!(second.answer(of("c")), Some(Answer::Open(_))));
        // Another one knows what is kept.
        let other = Inquiry::over(kept);
        assert_eq!(
            (other.answer(of("b")), other.answer(of("a")), other.is_open()),
            (Some(Answer::Is(false)), None, true)
        );
    }

    #[test]
    fn what_nobody_could_answer_is_no_question() {
        let with = |set: &str, system: Option<&'static str>, code: &'static str| {
            question(Some(set), &Coded { system: system.map(Cow::Borrowed), ..Coded::bare(code) }).is_some()
        };
        assert!(with("s:set", Some("s:s"), "a") && with("s:set|1", None, "a"));
        assert!(!with("s:set", Some(""), "a") && !with("#set", None, "a") && !with("s:set", None, ""));
    }
}
