//! How large a tree is, whether two are the same, and what a patch may cost at most, so that a small hostile patch
//! can neither fill the memory nor keep a thread busy.

use crate::base::{Failure, FailureKind, IssueCode};
use crate::json::{Limits, Tree};
use crate::primitive::Decimal;
use std::collections::HashMap;

/// Bytes of all values that a patch touches or makes.
const BYTES_MAX: u64 = 64 << 20;
/// Values that a patch touches or makes.
const NODES_MAX: u64 = 2_000_000;
/// Levels of nesting. The reader judges the result, by what is set; this only bounds the way there.
const DEPTH_MAX: usize = Limits::DEEPEST;
/// Values and keys that are looked at or moved.
const WORK_MAX: u64 = 50_000_000;

/// The size of a tree.
#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    pub nodes: u64,
    pub bytes: u64,
    pub depth: usize,
}

/// Measures a tree.
pub(super) fn size(tree: &Tree) -> Size {
    let mut sum = Size { nodes: 1, bytes: 8, depth: 0 };
    let mut add = |key: usize, inner: Size| {
        sum.nodes += inner.nodes;
        sum.bytes += inner.bytes + key as u64;
        sum.depth = sum.depth.max(inner.depth + 1);
    };
    match tree {
        Tree::Null | Tree::Bool(_) => {}
        Tree::Number(text) | Tree::String(text) => sum.bytes += text.len() as u64,
        Tree::Array(items) => items.iter().for_each(|item| add(0, size(item))),
        Tree::Object(entries) => entries.iter().for_each(|(key, value)| add(key.len(), size(value))),
    }
    sum
}

/// What a patch has cost so far. Nothing is given back for what is removed: a patch that keeps replacing a large
/// value works as hard as one that keeps adding it.
#[derive(Default)]
pub(super) struct Cost {
    nodes: u64,
    bytes: u64,
    pub work: u64,
}

impl Cost {
    /// Counts a value that is put in at a level.
    pub(super) fn put(&mut self, level: usize, value: Size) -> Result<(), Failure> {
        self.nodes += value.nodes;
        self.bytes += value.bytes;
        if level + value.depth > DEPTH_MAX {
            return Err(too_much(format!("the result would be nested more deeply than {DEPTH_MAX} levels")));
        }
        if self.nodes > NODES_MAX || self.bytes > BYTES_MAX {
            return Err(too_much("the patch would make the resource too large"));
        }
        self.check()
    }

    /// Refuses a patch that takes too long.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.work > WORK_MAX { Err(too_much("the patch takes too long to apply")) } else { Ok(()) }
    }
}

fn too_much(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Unprocessable, IssueCode::TooCostly, message)
}

/// Whether two trees are the same value (RFC 6902 section 4.6): numbers by value, objects whatever the order.
pub(super) fn same(one: &Tree, other: &Tree, work: &mut u64) -> bool {
    *work += 1;
    match (one, other) {
        (Tree::Number(a), Tree::Number(b)) => {
            a == b || Decimal::parse(a).is_some_and(|a| Decimal::parse(b).is_some_and(|b| a == b))
        }
        (Tree::Array(a), Tree::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, work)),
        (Tree::Object(a), Tree::Object(b)) => {
            *work += (a.len() + b.len()) as u64;
            if a.len() != b.len() {
                return false;
            }
            let values: HashMap<&str, &Tree> = b.iter().map(|(k, v)| (&**k, v)).collect();
            a.iter().all(|(k, a)| values.get(&**k).is_some_and(|b| same(a, b, work)))
        }
        (one, other) => one == other,
    }
}
