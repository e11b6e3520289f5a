//! From text to tree: precedence climbing over the grammar of FHIRPath N1 (operators in section 6.8). The depth of
//! nesting is bounded, as expressions also come from outside.

use super::ast::{BinaryOperator, Expression, ExpressionKind, Literal, SyntaxError, TypeSpecifier};
use super::lexer::{Token, tokens};

/// Levels of parentheses, arguments and signs.
const DEEPEST: usize = 100;
/// Bytes of an expression.
const LONGEST: usize = 100_000;

/// Reads an expression.
pub fn parse(text: &str) -> Result<Expression, SyntaxError> {
    if text.len() > LONGEST {
        return Err(SyntaxError { at: LONGEST, message: format!("longer than {LONGEST} bytes") });
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let expression = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(expression),
        _ => parser.unexpected("an operator or the end"),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
}

/// Binding powers: a larger one binds tighter. Types (`is`, `as`) stand between sums and unions.
const TYPE_POWER: u8 = 8;

fn binary(token: &Token) -> Option<(BinaryOperator, u8)> {
    use BinaryOperator as B;
    Some(match token {
        Token::Symbol("*") => (B::Multiply, 10),
        Token::Symbol("/") => (B::Divide, 10),
        Token::Symbol("+") => (B::Add, 9),
        Token::Symbol("-") => (B::Subtract, 9),
        Token::Symbol("&") => (B::Concatenate, 9),
        Token::Symbol("|") => (B::Union, 7),
        Token::Symbol("<") => (B::Less, 6),
        Token::Symbol(">") => (B::Greater, 6),
        Token::Symbol("<=") => (B::LessOrEqual, 6),
        Token::Symbol(">=") => (B::GreaterOrEqual, 6),
        Token::Symbol("=") => (B::Equal, 5),
        Token::Symbol("!=") => (B::NotEqual, 5),
        Token::Symbol("~") => (B::Equivalent, 5),
        Token::Symbol("!~") => (B::NotEquivalent, 5),
        Token::Name(word) => match word.as_str() {
            "div" => (B::Div, 10),
            "mod" => (B::Mod, 10),
            "in" => (B::In, 4),
            "contains" => (B::Contains, 4),
            "and" => (B::And, 3),
            "or" => (B::Or, 2),
            "xor" => (B::Xor, 2),
            "implies" => (B::Implies, 1),
            _ => return None,
        },
        _ => return None,
    })
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |(at, _)| *at)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        // The end stays, so that looking on is always possible.
        if token != Token::End {
            self.next += 1;
        }
        token
    }

    fn eat(&mut self, symbol: &'static str) -> bool {
        let is = *self.peek() == Token::Symbol(symbol);
        if is {
            self.next += 1;
        }
        is
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), SyntaxError> {
        if self.eat(symbol) { Ok(()) } else { self.unexpected(&format!("'{symbol}'")) }
    }

    fn unexpected<T>(&self, expected: &str) -> Result<T, SyntaxError> {
        Err(SyntaxError { at: self.at(), message: format!("{expected} is expected") })
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, SyntaxError>) -> Result<T, SyntaxError> {
        if self.depth >= DEEPEST {
            return Err(SyntaxError { at: self.at(), message: "nested too deeply".to_owned() });
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// An expression whose operators bind at least as tightly as `least`.
    fn expression(&mut self, least: u8) -> Result<Expression, SyntaxError> {
        let mut left = self.unary()?;
        loop {
            let at = self.at();
            if let Token::Name(word) = self.peek()
                && matches!(word.as_str(), "is" | "as")
                && least <= TYPE_POWER
            {
                let is = word == "is";
                self.next += 1;
                let specifier = self.specifier()?;
                let of = Box::new(left);
                let kind = if is { ExpressionKind::Is { of, specifier } } else { ExpressionKind::As { of, specifier } };
                left = Expression::new(kind, at);
                continue;
            }
            let Some((operator, power)) = binary(self.peek()).filter(|(_, power)| *power >= least) else {
                return Ok(left);
            };
            self.next += 1;
            let right = Box::new(self.deeper(|p| p.expression(power + 1))?);
            left = Expression::new(ExpressionKind::Binary { operator, left: Box::new(left), right }, at);
        }
    }

    fn unary(&mut self) -> Result<Expression, SyntaxError> {
        let at = self.at();
        if self.eat("-") {
            let of = Box::new(self.deeper(Self::unary)?);
            return Ok(Expression::new(ExpressionKind::Negate(of), at));
        }
        if self.eat("+") {
            let of = Box::new(self.deeper(Self::unary)?);
            return Ok(Expression::new(ExpressionKind::Plus(of), at));
        }
        self.postfix()
    }

    /// A term and what follows it with `.` and `[…]`.
    fn postfix(&mut self) -> Result<Expression, SyntaxError> {
        let mut of = self.term()?;
        loop {
            let at = self.at();
            if self.eat(".") {
                of = self.invocation(Some(of))?;
            } else if self.eat("[") {
                let index = Box::new(self.deeper(|p| p.expression(0))?);
                self.expect("]")?;
                of = Expression::new(ExpressionKind::Indexer { of: Box::new(of), index }, at);
            } else {
                return Ok(of);
            }
        }
    }

    fn term(&mut self) -> Result<Expression, SyntaxError> {
        let at = self.at();
        let literal = |literal| Ok(Expression::new(ExpressionKind::Literal(literal), at));
        match self.peek().clone() {
            Token::Symbol("(") => {
                self.next += 1;
                let inner = self.deeper(|p| p.expression(0))?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Symbol("{") => {
                self.next += 1;
                self.expect("}")?;
                literal(Literal::Empty)
            }
            Token::Symbol("%") => {
                self.next += 1;
                match self.take() {
                    Token::Name(name) | Token::Quoted(name) | Token::String(name) => {
                        Ok(Expression::new(ExpressionKind::External(name), at))
                    }
                    _ => self.unexpected("a name after '%'"),
                }
            }
            Token::Name(word) if word == "true" || word == "false" => {
                self.next += 1;
                literal(Literal::Boolean(word == "true"))
            }
            Token::Name(_) | Token::Quoted(_) | Token::Dollar(_) => self.invocation(None),
            Token::String(text) => {
                self.next += 1;
                literal(Literal::String(text))
            }
            Token::Number(value) => {
                self.next += 1;
                literal(self.quantity(value))
            }
            Token::Date(text) => {
                self.next += 1;
                literal(Literal::Date(text))
            }
            Token::DateTime(text) => {
                self.next += 1;
                literal(Literal::DateTime(text))
            }
            Token::Time(text) => {
                self.next += 1;
                literal(Literal::Time(text))
            }
            _ => self.unexpected("a value, a name or '('"),
        }
    }

    /// A number, with its unit where one follows.
    fn quantity(&mut self, value: String) -> Literal {
        const WORDS: [&str; 8] = ["year", "month", "week", "day", "hour", "minute", "second", "millisecond"];
        match self.peek().clone() {
            Token::String(unit) => {
                self.next += 1;
                Literal::Quantity { value, unit, calendar: false }
            }
            Token::Name(word) if WORDS.contains(&word.strip_suffix('s').unwrap_or(&word)) => {
                self.next += 1;
                Literal::Quantity { value, unit: word, calendar: true }
            }
            _ => Literal::Number(value),
        }
    }

    /// A name, a call, or `$this`, `$index`, `$total`.
    fn invocation(&mut self, of: Option<Expression>) -> Result<Expression, SyntaxError> {
        let at = self.at();
        let of = of.map(Box::new);
        let name = match self.take() {
            Token::Name(name) | Token::Quoted(name) => name,
            Token::Dollar(word) if of.is_none() => {
                let kind = match word.as_str() {
                    "this" => ExpressionKind::This,
                    "index" => ExpressionKind::Index,
                    _ => ExpressionKind::Total,
                };
                return Ok(Expression::new(kind, at));
            }
            _ => return Err(SyntaxError { at, message: "a name is expected".to_owned() }),
        };
        if !self.eat("(") {
            return Ok(Expression::new(ExpressionKind::Member { of, name }, at));
        }
        let mut arguments = Vec::new();
        if !self.eat(")") {
            loop {
                arguments.push(self.deeper(|p| p.expression(0))?);
                if !self.eat(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        Ok(Expression::new(ExpressionKind::Call { of, name, arguments }, at))
    }

    fn specifier(&mut self) -> Result<TypeSpecifier, SyntaxError> {
        let first = self.name()?;
        if self.eat(".") {
            return Ok(TypeSpecifier { namespace: Some(first), name: self.name()? });
        }
        Ok(TypeSpecifier { namespace: None, name: first })
    }

    fn name(&mut self) -> Result<String, SyntaxError> {
        let at = self.at();
        match self.take() {
            Token::Name(name) | Token::Quoted(name) => Ok(name),
            _ => Err(SyntaxError { at, message: "the name of a type is expected".to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// The tree with all parentheses.
    fn show(e: &Expression) -> String {
        use ExpressionKind as K;
        let prefix = |of: &Option<Box<Expression>>| of.as_ref().map_or(String::new(), |of| format!("{}.", show(of)));
        match &e.kind {
            K::Literal(Literal::Empty) => "{}".into(),
            K::Literal(Literal::Boolean(b)) => b.to_string(),
            K::Literal(Literal::String(s)) => format!("'{s}'"),
            K::Literal(Literal::Number(n)) => n.clone(),
            K::Literal(Literal::Date(d)) => format!("D{d}"),
            K::Literal(Literal::DateTime(d)) => format!("DT{d}"),
            K::Literal(Literal::Time(t)) => format!("T{t}"),
            K::Literal(Literal::Quantity { value, unit, calendar }) => {
                if *calendar {
                    format!("{value}_{unit}")
                } else {
                    format!("{value}_'{unit}'")
                }
            }
            K::External(name) => format!("%{name}"),
            K::This => "$this".into(),
            K::Index => "$index".into(),
            K::Total => "$total".into(),
            K::Member { of, name } => format!("{}{name}", prefix(of)),
            K::Call { of, name, arguments } => {
                let arguments: Vec<_> = arguments.iter().map(show).collect();
                format!("{}{name}({})", prefix(of), arguments.join(","))
            }
            K::Indexer { of, index } => format!("{}[{}]", show(of), show(index)),
            K::Negate(of) => format!("-({})", show(of)),
            K::Plus(of) => format!("+({})", show(of)),
            K::Binary { operator, left, right } => format!("({} {operator:?} {})", show(left), show(right)),
            K::Is { of, specifier } | K::As { of, specifier } => {
                let mut out = format!("({} {} ", show(of), if matches!(e.kind, K::Is { .. }) { "is" } else { "as" });
                if let Some(namespace) = &specifier.namespace {
                    let _ = write!(out, "{namespace}.");
                }
                out + &specifier.name + ")"
            }
        }
    }

    #[test]
    fn trees() {
        for (text, tree) in [
            ("Patient.name.given", "Patient.name.given"),
            ("a.b[0].c", "a.b[0].c"),
            ("(Observation.value as Quantity) | x", "((Observation.value as Quantity) Union x)"),
            ("a | b | c", "((a Union b) Union c)"),
            ("a.where(resolve() is Patient)", "a.where((resolve() is Patient))"),
            ("a is FHIR.Patient", "(a is FHIR.Patient)"),
            ("x.as(Quantity)", "x.as(Quantity)"),
            ("1 + 2 * 3 - 4", "((1 Add (2 Multiply 3)) Subtract 4)"),
            ("-1.abs() + 2", "(-(1.abs()) Add 2)"),
            ("a and b or c implies d", "(((a And b) Or c) Implies d)"),
            ("a = b and c != d", "((a Equal b) And (c NotEqual d))"),
            ("1 < 2 = true", "((1 Less 2) Equal true)"),
            ("'a' in x | y", "('a' In (x Union y))"),
            ("a as b | c", "((a as b) Union c)"),
            ("1 + a as b", "((1 Add a) as b)"),
            ("a.contains('x') and contains contains is", "(a.contains('x') And (contains Contains is))"),
            ("`div`.`a b`", "div.a b"),
            ("%resource.x & %'us-zip' & %`vs-a`", "((%resource.x Concatenate %us-zip) Concatenate %vs-a)"),
            ("$this.x[$index] + $total", "($this.x[$index] Add $total)"),
            ("{} ~ {}", "({} Equivalent {})"),
            (
                "@2020-01 = @2020-01T and @T10:30 > @2020-01-01T10:00:00.5+01:00",
                "((D2020-01 Equal DT2020-01T) And (T10:30 Greater DT2020-01-01T10:00:00.5+01:00))",
            ),
            ("@2015.is(Date)", "D2015.is(Date)"),
            ("4 'mg' + 2 days", "(4_'mg' Add 2_days)"),
            ("1.5.toString()", "1.5.toString()"),
            ("'it\\'s \\u0041\\ud83d\\ude00'", "'it's A😀'"),
            ("a // comment\n /* b */ .c", "a.c"),
            ("a div b mod c", "((a Div b) Mod c)"),
            ("iif(a, b, c).d", "iif(a,b,c).d"),
        ] {
            assert_eq!(parse(text).map(|e| show(&e)), Ok(tree.to_owned()), "{text}");
        }
    }

    #[test]
    fn refused_with_position() {
        for (text, at) in [
            ("", 0),
            ("a.", 2),
            ("a b", 2),
            ("(a", 2),
            ("a[", 2),
            ("'abc", 0),
            ("a.b(1,)", 6),
            ("a ? b", 2),
            ("$that", 0),
            ("a.'b'", 2),
            ("'\\q'", 1),
            ("a is 5", 5),
            ("/* x", 0),
            ("@20", 0),
            ("a.$this", 2),
            ("'\\ud800'", 1),
        ] {
            assert_eq!(parse(text).map_err(|e| e.at).map(|e| show(&e)), Err(at), "{text}");
        }
    }

    #[test]
    fn hostile() {
        assert!(parse(&"(".repeat(50_000)).is_err());
        assert!(parse(&"-".repeat(50_000)).is_err());
        assert!(parse(&"a[".repeat(30_000)).is_err());
        assert!(parse(&"a.".repeat(60_000)).is_err());
        let long = vec!["a"; 30_000].join("|");
        assert!(parse(&long).is_ok(), "long chains are no nesting");
        let path = vec!["a"; 30_000].join(".");
        assert!(parse(&path).is_ok());
    }
}
