//! Tokens of an expression (FHIRPath N1, section 4 and appendix B).

use super::ast::SyntaxError;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or a word such as `and`.
    Name(String),
    /// A name in backquotes; never a word of the language.
    Quoted(String),
    /// A string, decoded.
    String(String),
    /// A number as written.
    Number(String),
    /// `@2020`
    Date(String),
    /// `@2020T`, with the `T`
    DateTime(String),
    /// `@T10:00`, without `@T`
    Time(String),
    /// `$this`, `$index`, `$total`: the word
    Dollar(String),
    /// `.`, `<=` …
    Symbol(&'static str),
    /// The end of the text.
    End,
}

/// Two-character symbols first.
const SYMBOLS: [&str; 24] = [
    "<=", ">=", "!=", "!~", ".", ",", "(", ")", "[", "]", "{", "}", "+", "-", "*", "/", "&", "|", "<", ">", "=", "~",
    "%", ":",
];

/// All tokens with the byte offset of each; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, SyntaxError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip()?;
        let at = lexer.at;
        let token = lexer.token()?;
        let end = token == Token::End;
        tokens.push((at, token));
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn error<T>(&self, at: usize, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError { at, message: message.into() })
    }

    /// Takes characters as long as they are of a sort.
    fn while_is(&mut self, sort: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !sort(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let is = self.rest().starts_with(symbol);
        if is {
            self.at += symbol.len();
        }
        is
    }

    /// White space and comments.
    fn skip(&mut self) -> Result<(), SyntaxError> {
        loop {
            self.while_is(char::is_whitespace);
            let start = self.at;
            if self.eat("//") {
                self.while_is(|c| c != '\n' && c != '\r');
            } else if self.eat("/*") {
                match self.rest().find("*/") {
                    Some(end) => self.at += end + 2,
                    None => return self.error(start, "this comment does not end"),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Token, SyntaxError> {
        let start = self.at;
        match self.peek() {
            None => Ok(Token::End),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                Ok(Token::Name(self.while_is(|c| c.is_ascii_alphanumeric() || c == '_').to_owned()))
            }
            Some('0'..='9') => Ok(Token::Number(self.number())),
            Some('\'') => self.quoted('\'').map(Token::String),
            Some('`') => self.quoted('`').map(Token::Quoted),
            Some('@') => self.moment(),
            Some('$') => {
                self.at += 1;
                match self.while_is(|c| c.is_ascii_alphabetic()) {
                    word @ ("this" | "index" | "total") => Ok(Token::Dollar(word.to_owned())),
                    word => self.error(start, format!("${word} is not known")),
                }
            }
            Some(other) => match SYMBOLS.iter().find(|symbol| self.eat(symbol)) {
                Some(symbol) => Ok(Token::Symbol(symbol)),
                None => self.error(start, format!("unexpected character {other:?}")),
            },
        }
    }

    fn number(&mut self) -> String {
        let start = self.at;
        self.while_is(|c| c.is_ascii_digit());
        // A point belongs to the number only if a digit follows: `1.toString()` has none.
        let fraction = self.rest().strip_prefix('.').is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()));
        if fraction {
            self.at += 1;
            self.while_is(|c| c.is_ascii_digit());
        }
        self.text[start..self.at].to_owned()
    }

    /// `@2020-01-01T10:00:00.000+01:00` and shorter forms.
    fn moment(&mut self) -> Result<Token, SyntaxError> {
        let start = self.at;
        self.at += 1;
        if self.eat("T") {
            let from = self.at;
            self.while_is(|c| c.is_ascii_digit() || c == ':');
            // A point without a digit after it is not of the time: `@T10:00.is(Time)`.
            if self.rest().strip_prefix('.').is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit())) {
                self.at += 1;
                self.while_is(|c| c.is_ascii_digit());
            }
            return Ok(Token::Time(self.text[from..self.at].to_owned()));
        }
        let date = self.while_is(|c| c.is_ascii_digit() || c == '-');
        if date.len() < 4 {
            return self.error(start, "a date begins with four digits of a year");
        }
        if !self.eat("T") {
            return Ok(Token::Date(date.to_owned()));
        }
        let from = start + 1;
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.while_is(|c| c.is_ascii_digit() || c == ':');
            if self.rest().strip_prefix('.').is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit())) {
                self.at += 1;
                self.while_is(|c| c.is_ascii_digit());
            }
            let zone = self.rest().as_bytes();
            if !self.eat("Z")
                && matches!(zone, [b'+' | b'-', a, b, b':', c, d, ..] if [a, b, c, d].iter().all(|x| x.is_ascii_digit()))
            {
                self.at += 6;
            }
        }
        Ok(Token::DateTime(self.text[from..self.at].to_owned()))
    }

    fn quoted(&mut self, quote: char) -> Result<String, SyntaxError> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let Some(c) = self.peek() else { return self.error(start, "this string does not end") };
            let at = self.at;
            self.at += c.len_utf8();
            match c {
                c if c == quote => return Ok(out),
                '\\' => match self.escape() {
                    Some(c) => out.push(c),
                    None => return self.error(at, "unknown escape"),
                },
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(match c {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\u{c}',
            '\'' | '"' | '`' | '\\' | '/' => c,
            'u' => {
                let first = self.unit()?;
                if !(0xD800..0xDC00).contains(&first) {
                    return char::from_u32(first);
                }
                if !self.eat("\\u") {
                    return None;
                }
                let second = self.unit()?;
                (0xDC00..0xE000)
                    .contains(&second)
                    .then(|| char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)))
                    .flatten()?
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}
