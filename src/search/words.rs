//! The texts that `_text` and `_content` are asked for: words, of which all must be there, and between them `and`, `or`,
//! `not` and parentheses, as in `(bone OR liver) and metastases`. A word that ends with a star stands for all that
//! begin so.

/// What is asked of the words of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// All of these words.
    Have(String),
    All(Vec<Words>),
    Any(Vec<Words>),
    Not(Box<Words>),
}

/// Levels of parentheses at most.
const DEEPEST: usize = 30;

impl Words {
    /// Reads a text; `None` where parentheses or operators do not fit together.
    pub fn parse(text: &str) -> Option<Words> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let pieces: Vec<&str> = spaced.split_whitespace().collect();
        let mut reader = Reader { pieces: &pieces };
        let words = reader.any(0)?;
        reader.pieces.is_empty().then_some(words)
    }
}

struct Reader<'t> {
    pieces: &'t [&'t str],
}

impl Reader<'_> {
    fn takes(&mut self, word: &str) -> bool {
        match self.pieces {
            [first, rest @ ..] if first.eq_ignore_ascii_case(word) => {
                self.pieces = rest;
                true
            }
            _ => false,
        }
    }

    fn any(&mut self, depth: usize) -> Option<Words> {
        let mut any = vec![self.all(depth)?];
        while self.takes("or") {
            any.push(self.all(depth)?);
        }
        Some(if any.len() == 1 { any.remove(0) } else { Words::Any(any) })
    }

    fn all(&mut self, depth: usize) -> Option<Words> {
        let mut all = vec![self.one(depth)?];
        loop {
            let joined = self.takes("and");
            match self.pieces.first() {
                None if joined => return None,
                None => break,
                Some(next) if *next == ")" || next.eq_ignore_ascii_case("or") => {
                    if joined {
                        return None;
                    }
                    break;
                }
                Some(_) => all.push(self.one(depth)?),
            }
        }
        Some(if all.len() == 1 { all.remove(0) } else { Words::All(all) })
    }

    fn one(&mut self, depth: usize) -> Option<Words> {
        if depth > DEEPEST {
            return None;
        }
        if self.takes("not") {
            return Some(Words::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.takes("(") {
            let inner = self.any(depth + 1)?;
            return self.takes(")").then_some(inner);
        }
        let (first, rest) = self.pieces.split_first()?;
        if matches!(*first, ")") || first.eq_ignore_ascii_case("or") || first.eq_ignore_ascii_case("and") {
            return None;
        }
        self.pieces = rest;
        Some(Words::Have((*first).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    fn shown(words: &Words) -> String {
        let list = |all: &[Words], with: &str| all.iter().map(shown).collect::<Vec<_>>().join(with);
        match words {
            Words::Have(word) => word.clone(),
            Words::All(all) => format!("({})", list(all, "&")),
            Words::Any(any) => format!("({})", list(any, "|")),
            Words::Not(inner) => format!("!{}", shown(inner)),
        }
    }

    #[test]
    fn texts_are_read() {
        for (text, expected) in [
            ("bone", "bone"),
            ("bone liver", "(bone&liver)"),
            ("(bone OR liver) and metastases", "((bone|liver)&metastases)"),
            ("a or b c", "(a|(b&c))"),
            ("not (a or b) c*", "(!(a|b)&c*)"),
        ] {
            assert_eq!(Words::parse(text).map(|w| shown(&w)).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "(", "a)", "or", "a or", "a and", "and b", "not", &"(".repeat(100_000)] {
            assert_eq!(Words::parse(text), None, "{text}");
        }
    }
}
