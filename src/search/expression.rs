//! The grammar of `_filter` (R4 search_filter.html): tests on paths, joined by `and` and `or` from left to right, with
//! `not` and parentheses. What a test means is in `filter_test`; parameters are not known here.

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Test(Test),
}

/// `path operator value`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Test {
    pub path: Vec<Segment>,
    pub operator: String,
    pub value: String,
    /// Whether the value stood in quotes.
    pub quoted: bool,
}

/// A step of a path: a parameter, `parameter:Type` or `_has:Type:parameter:parameter`, with a filter on what it leads to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Segment {
    pub name: String,
    pub filter: Option<Expression>,
}

/// What is wrong with a filter, and where (in characters).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub at: usize,
    pub why: &'static str,
}

/// Levels of parentheses and brackets at most.
const DEEPEST: usize = 30;
/// Tests of one filter at most.
const MOST_TESTS: usize = 1_000;

/// Reads a filter.
pub(super) fn parse(text: &str) -> Result<Expression, Wrong> {
    let characters: Vec<char> = text.chars().collect();
    let mut reader = Reader { text: &characters, at: 0, tests: 0 };
    let expression = reader.expression(0)?;
    reader.spaces();
    if reader.at < characters.len() {
        return reader.wrong("'and', 'or' or the end is expected");
    }
    Ok(expression)
}

struct Reader<'t> {
    text: &'t [char],
    at: usize,
    tests: usize,
}

impl Reader<'_> {
    fn wrong<T>(&self, why: &'static str) -> Result<T, Wrong> {
        Err(Wrong { at: self.at, why })
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn spaces(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        self.at > start
    }

    fn takes(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    /// Takes a word, if it stands here and ends here.
    fn word(&mut self, word: &str) -> bool {
        let end = self.at + word.len();
        let same = self.text.get(self.at..end).is_some_and(|piece| piece.iter().copied().eq(word.chars()));
        let ends = self.text.get(end).is_none_or(|c| c.is_whitespace() || *c == '(');
        if same && ends {
            self.at = end;
        }
        same && ends
    }

    fn expression(&mut self, depth: usize) -> Result<Expression, Wrong> {
        if depth > DEEPEST {
            return self.wrong("this is nested too deeply");
        }
        let mut left = self.one(depth)?;
        loop {
            self.spaces();
            let and = self.word("and");
            if !and && !self.word("or") {
                return Ok(left);
            }
            let right = self.one(depth)?;
            left = match (left, and) {
                (Expression::And(mut all), true) => {
                    all.push(right);
                    Expression::And(all)
                }
                (Expression::Or(mut any), false) => {
                    any.push(right);
                    Expression::Or(any)
                }
                (left, true) => Expression::And(vec![left, right]),
                (left, false) => Expression::Or(vec![left, right]),
            };
        }
    }

    fn one(&mut self, depth: usize) -> Result<Expression, Wrong> {
        self.spaces();
        let start = self.at;
        if self.word("not") {
            self.spaces();
            if self.peek() == Some('(') {
                return Ok(Expression::Not(Box::new(self.group(depth)?)));
            }
            // A parameter may have this name.
            self.at = start;
        }
        if self.peek() == Some('(') {
            // A group stays one, so that what follows is not joined into it.
            return Ok(match self.group(depth)? {
                Expression::And(all) => Expression::And(vec![Expression::And(all)]),
                Expression::Or(any) => Expression::Or(vec![Expression::Or(any)]),
                other => other,
            });
        }
        self.test(depth).map(Expression::Test)
    }

    fn group(&mut self, depth: usize) -> Result<Expression, Wrong> {
        self.takes('(');
        let inner = self.expression(depth + 1)?;
        self.spaces();
        if self.takes(')') { Ok(inner) } else { self.wrong("')' is expected") }
    }

    fn test(&mut self, depth: usize) -> Result<Test, Wrong> {
        self.tests += 1;
        if self.tests > MOST_TESTS {
            return self.wrong("the filter has too many tests");
        }
        let path = self.path(depth)?;
        if !self.spaces() {
            return self.wrong("a space and an operator are expected");
        }
        let operator = self.run(char::is_alphabetic);
        if operator.is_empty() {
            return self.wrong("an operator is expected");
        }
        if !self.spaces() {
            return self.wrong("a space and a value are expected");
        }
        let quoted = self.peek() == Some('"');
        let value = if quoted { self.string()? } else { self.run(|c| !c.is_whitespace() && c != ')' && c != ']') };
        if value.is_empty() && !quoted {
            return self.wrong("a value is expected");
        }
        Ok(Test { path, operator, value, quoted })
    }

    fn path(&mut self, depth: usize) -> Result<Vec<Segment>, Wrong> {
        let mut path = Vec::new();
        loop {
            let name = self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':'));
            if name.is_empty() || path.len() > 50 {
                return self.wrong("the name of a search parameter is expected");
            }
            let filter = if self.takes('[') {
                let inner = self.expression(depth + 1)?;
                self.spaces();
                if !self.takes(']') {
                    return self.wrong("']' is expected");
                }
                if self.peek() != Some('.') {
                    return self.wrong("'.' and a parameter are expected after ']'");
                }
                Some(inner)
            } else {
                None
            };
            path.push(Segment { name, filter });
            if !self.takes('.') {
                return Ok(path);
            }
        }
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&belongs) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default().iter().collect()
    }

    /// A string of JSON.
    fn string(&mut self) -> Result<String, Wrong> {
        let start = self.at;
        self.takes('"');
        loop {
            match self.peek() {
                None => return self.wrong("the string does not end"),
                Some('\\') => self.at += 2,
                Some('"') => break,
                Some(_) => self.at += 1,
            }
        }
        self.takes('"');
        let text: String = self.text.get(start..self.at).unwrap_or_default().iter().collect();
        match crate::json::Tree::parse(text.as_bytes()) {
            Ok(crate::json::Tree::String(text)) => Ok(text),
            _ => Err(Wrong { at: start, why: "this is no string of JSON" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(expression: &Expression) -> String {
        let list = |all: &[Expression], word: &str| {
            format!("({})", all.iter().map(shown).collect::<Vec<_>>().join(&format!(" {word} ")))
        };
        match expression {
            Expression::And(all) => list(all, "and"),
            Expression::Or(any) => list(any, "or"),
            Expression::Not(inner) => format!("not {}", shown(inner)),
            Expression::Test(test) => {
                let segment = |s: &Segment| match &s.filter {
                    Some(filter) => format!("{}[{}]", s.name, shown(filter)),
                    None => s.name.clone(),
                };
                let path: Vec<_> = test.path.iter().map(segment).collect();
                format!("{} {} <{}>", path.join("."), test.operator, test.value)
            }
        }
    }

    #[test]
    fn filters_are_read() {
        for (text, expected) in [
            ("name co \"pet\"", "name co <pet>"),
            ("given eq \"peter\" and birthdate ge 2014-10-10", "(given eq <peter> and birthdate ge <2014-10-10>)"),
            ("code eq http://loinc.org|1234-5", "code eq <http://loinc.org|1234-5>"),
            ("subject.name co \"p\\\"e)t\\u0041\"", "subject.name co <p\"e)tA>"),
            ("related[type eq has-component].target pr true", "related[type eq <has-component>].target pr <true>"),
            ("a eq 1 and b eq 2 or c eq 3", "((a eq <1> and b eq <2>) or c eq <3>)"),
            ("a eq 1 or (b eq 2 and c eq 3)", "(a eq <1> or ((b eq <2> and c eq <3>)))"),
            ("not (a eq 1) and not(b eq 2)", "(not a eq <1> and not b eq <2>)"),
            ("( (a eq 1) )", "a eq <1>"),
            ("_has:Observation:patient:code eq x", "_has:Observation:patient:code eq <x>"),
        ] {
            assert_eq!(parse(text).map(|e| shown(&e)).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "a",
            "a eq",
            "a eq ",
            "a eq 1 and",
            "(a eq 1",
            "a eq 1)",
            "a[b eq 1] eq 2",
            "a[b eq 1.c eq 2",
            "a..b eq 1",
            "a eq \"x",
            "a eq \"\\x\"",
            "eq 1",
            "a eq 1 b eq 2",
            &"(".repeat(10_000),
            &"a[".repeat(10_000),
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
