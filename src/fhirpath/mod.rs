//! Floor 3: FHIRPath (hl7.org/fhirpath/N1): expressions are read once into a tree ([`parse`]); path expressions, as
//! search parameters have them, are compiled against the definitions ([`compile()`]) and put together into a [`Plan`]
//! that walks a document once and borrows all values from it. Whole expressions are evaluated in [`eval`].

mod ast;
mod compile;
pub mod eval;
mod lexer;
mod parser;
mod plan;

pub use ast::{BinaryOperator, Expression, ExpressionKind, Literal, SyntaxError, TypeSpecifier};
pub use compile::{Branch, CompileError, Start, compile};
pub use parser::parse;
pub use plan::{Found, Plan, Predicate, Step};

#[cfg(test)]
mod tests;
