//! The tree of an expression (FHIRPath N1, grammar in appendix B). Knows neither types nor documents.

/// Why a text is not an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Byte offset into the text.
    pub at: usize,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at position {}", self.message, self.at)
    }
}

impl std::error::Error for SyntaxError {}

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// What it is.
    pub kind: ExpressionKind,
    /// Byte offset of its decisive token (name, operator, literal).
    pub at: usize,
}

/// The forms of expressions. Where `of` is missing, the context (or, in an argument, the item) is meant.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpressionKind {
    /// A literal.
    Literal(Literal),
    /// `%name`
    External(String),
    /// `$this`
    This,
    /// `$index`
    Index,
    /// `$total`
    Total,
    /// `name` or `of.name`
    Member {
        /// What it is taken from.
        of: Option<Box<Expression>>,
        /// Name of the element or type.
        name: String,
    },
    /// `function(…)` or `of.function(…)`
    Call {
        /// What it is called on.
        of: Option<Box<Expression>>,
        /// Name of the function.
        name: String,
        /// The arguments.
        arguments: Vec<Expression>,
    },
    /// `of[index]`
    Indexer {
        /// The collection.
        of: Box<Expression>,
        /// The index.
        index: Box<Expression>,
    },
    /// `-of`
    Negate(Box<Expression>),
    /// `+of`
    Plus(Box<Expression>),
    /// Two operands.
    Binary {
        /// The operator.
        operator: BinaryOperator,
        /// Left operand.
        left: Box<Expression>,
        /// Right operand.
        right: Box<Expression>,
    },
    /// `of is type`
    Is {
        /// The value.
        of: Box<Expression>,
        /// The type.
        specifier: TypeSpecifier,
    },
    /// `of as type`
    As {
        /// The value.
        of: Box<Expression>,
        /// The type.
        specifier: TypeSpecifier,
    },
}

/// A literal. Numbers, dates and times keep their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `{}`
    Empty,
    /// `true`, `false`
    Boolean(bool),
    /// `'text'`, decoded
    String(String),
    /// `5` or `5.0`
    Number(String),
    /// `@2020-01`
    Date(String),
    /// `@2020-01T`, `@2020-01-01T10:00`
    DateTime(String),
    /// `@T10:00`
    Time(String),
    /// `5 'mg'`, `4 days`
    Quantity {
        /// The number.
        value: String,
        /// UCUM code, or the word for a calendar duration.
        unit: String,
        /// Whether the unit is a word and not a UCUM code.
        calendar: bool,
    },
}

/// A type, such as `Patient`, `FHIR.Patient`, `System.String`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeSpecifier {
    /// What stands before the point.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BinaryOperator {
    Multiply,
    Divide,
    Div,
    Mod,
    Add,
    Subtract,
    Concatenate,
    Union,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    In,
    Contains,
    And,
    Or,
    Xor,
    Implies,
}

impl Drop for Expression {
    /// Takes deep trees apart without deep recursion: a long chain of operators is a deep tree on its left side.
    fn drop(&mut self) {
        let mut pending = Vec::new();
        self.take_children(&mut pending);
        while let Some(mut next) = pending.pop() {
            next.take_children(&mut pending);
        }
    }
}

impl Expression {
    /// An expression at a place.
    pub(super) fn new(kind: ExpressionKind, at: usize) -> Expression {
        Expression { kind, at }
    }

    fn take_children(&mut self, into: &mut Vec<Expression>) {
        use ExpressionKind as K;
        match std::mem::replace(&mut self.kind, K::This) {
            K::Member { of: Some(of), .. } | K::Is { of, .. } | K::As { of, .. } => into.push(*of),
            K::Negate(of) | K::Plus(of) => into.push(*of),
            K::Call { of, arguments, .. } => {
                into.extend(of.map(|of| *of));
                into.extend(arguments);
            }
            K::Indexer { of, index } => into.extend([*of, *index]),
            K::Binary { left, right, .. } => into.extend([*left, *right]),
            K::Literal(_) | K::External(_) | K::This | K::Index | K::Total | K::Member { of: None, .. } => {}
        }
    }
}
