//! A compiled condition over the versions of one type: what can be asked of it is the next version that fulfils it
//! and whether one does. Whether a version is visible at a position is asked elsewhere.

use super::chain::Chain;
use super::collector::Collector;
use super::meter::Meter;
use super::part::{Hits, Spread};
use super::postings::{Bits, gallop};
use super::type_index::{TypeIndex, passes};
use crate::index::Range;
use std::ops::Deref;

/// Work, in units of about a nanosecond: looking at one version's terms for a range,
const VERIFY: usize = 40;
/// stepping to the next term of a range,
const STEP: usize = 20;
/// testing a term,
const TEST: usize = 30;
/// and collecting one ordinal.
const COLLECT: usize = 3;

/// The index of a type as one search sees it.
#[derive(Clone, Copy)]
pub struct Look<'i> {
    /// The index.
    pub index: &'i TypeIndex,
    /// What the search has cost.
    pub meter: &'i Meter<'i>,
}

impl Deref for Look<'_> {
    type Target = TypeIndex;

    fn deref(&self) -> &TypeIndex {
        self.index
    }
}

/// What will be asked of a node.
#[derive(Clone, Copy, PartialEq)]
pub enum Goal {
    /// All versions.
    All,
    /// The first versions, until a page is full.
    Page,
}

impl Goal {
    /// What making a set for the leading node may cost. Where a range is so large that its set would cost more, a
    /// page is soon full of what is tried.
    fn for_lead(self, index: Look<'_>) -> usize {
        match self {
            Goal::All => usize::MAX,
            Goal::Page => 20_000.max(index.len() as usize / 4),
        }
    }

    /// What making a set may cost where versions from a leading node can be tried instead.
    fn for_others(self, steps: usize) -> usize {
        let all = steps.saturating_mul(VERIFY);
        if self == Goal::All { all } else { all.min(20_000) }
    }
}

/// A compiled condition.
pub enum Node<'i> {
    /// No version.
    Nothing,
    /// Every version.
    All,
    /// The versions of one term.
    Term(Hits<'i>),
    /// These versions, ascending; and the place of the last one that was asked for.
    List(Vec<u32>, usize),
    /// These versions, and how many they are.
    Bits(Bits, usize),
    /// Versions with a term in a range, found by their own terms; about how many they are, and how many terms.
    Range(&'i Range, Spread<'i>, (usize, usize)),
    /// Versions that refer to a resource that fulfils a condition.
    Chain(Box<Chain<'i>>),
    /// All others.
    Not(Box<Node<'i>>),
    /// Those in all; the first leads.
    And(Vec<Node<'i>>),
    /// Those in one at least.
    Or(Vec<Node<'i>>),
}

impl<'i> Node<'i> {
    /// The versions of a term.
    pub fn of_term(index: Look<'i>, bytes: &[u8]) -> Node<'i> {
        index.index.find(bytes).map_or(Node::Nothing, Node::Term)
    }

    /// The versions with a term in a range: a list if it is clear that there are few.
    pub fn of_range(index: Look<'i>, range: &'i Range) -> Node<'i> {
        let spread = index.index.spread(&range.from, &range.to);
        few(index, range, &spread).unwrap_or_else(|| Node::spread(range, spread))
    }

    /// The versions with a term in a range, to be found by their own terms.
    pub fn open_range(index: Look<'i>, range: &'i Range) -> Node<'i> {
        Node::spread(range, index.index.spread(&range.from, &range.to))
    }

    fn spread(range: &'i Range, spread: Spread<'i>) -> Node<'i> {
        let (versions, terms) = spread.estimate();
        if terms == 0 { Node::Nothing } else { Node::Range(range, spread, (versions, terms)) }
    }

    /// A set of versions in any order.
    pub fn of_set(mut found: Vec<u32>) -> Node<'i> {
        found.sort_unstable();
        found.dedup();
        if found.is_empty() { Node::Nothing } else { Node::List(found, 0) }
    }

    /// All of them; the one with the fewest versions leads.
    pub fn and(index: Look<'i>, nodes: Vec<Node<'i>>, goal: Goal) -> Node<'i> {
        let mut all = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Node::All => {}
                Node::Nothing => return Node::Nothing,
                Node::And(inner) => all.extend(inner),
                other => all.push(other),
            }
        }
        if all.len() < 2 {
            return all.pop().unwrap_or(Node::All);
        }
        all.sort_by_cached_key(|n| n.estimate(index));
        let lead = all.remove(0).leading(index, goal);
        let steps = lead.estimate(index);
        let mut rest: Vec<_> = all.into_iter().map(|n| n.settled(index, goal.for_others(steps))).collect();
        rest.sort_by_cached_key(|n| n.estimate(index));
        let lead = if goal == Goal::All { lead.narrowed(index, &mut rest) } else { lead };
        if rest.is_empty() {
            return lead;
        }
        rest.insert(0, lead);
        Node::And(rest)
    }

    /// Where all of a large set will be walked: the set, as bits, less what other large sets lack, which are removed.
    fn narrowed(self, index: Look<'_>, rest: &mut Vec<Node<'i>>) -> Node<'i> {
        let size = self.estimate(index);
        let fits = |n: &Node<'i>| n.is_set() && n.estimate(index) <= size.saturating_mul(8);
        if size < index.len() as usize / 32 || !self.is_set() || !rest.iter().any(fits) {
            return self;
        }
        let mut bits = self.into_bits();
        rest.retain_mut(|node| {
            let fits = fits(node);
            if fits {
                bits.intersect(&std::mem::replace(node, Node::Nothing).into_bits());
            }
            !fits
        });
        let count = bits.len();
        Node::Bits(bits, count)
    }

    /// A set as bits.
    fn into_bits(self) -> Bits {
        match self {
            Node::Bits(bits, _) => bits,
            Node::Term(hits) => hits.bits(),
            Node::List(list, _) => list.iter().copied().collect(),
            _ => Bits::default(),
        }
    }

    /// At least one of them.
    pub fn or(nodes: Vec<Node<'i>>) -> Node<'i> {
        let mut any = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Node::Nothing => {}
                Node::All => return Node::All,
                Node::Or(inner) => any.extend(inner),
                other => any.push(other),
            }
        }
        if any.len() < 2 { any.pop().unwrap_or(Node::Nothing) } else { Node::Or(any) }
    }

    /// Not this one.
    pub fn not(node: Node<'i>) -> Node<'i> {
        match node {
            Node::Nothing => Node::All,
            Node::All => Node::Nothing,
            Node::Not(inner) => *inner,
            other => Node::Not(Box::new(other)),
        }
    }

    /// About how many versions it can be at most.
    pub fn estimate(&self, index: Look<'_>) -> usize {
        let all = index.len() as usize;
        match self {
            Node::Nothing => 0,
            Node::All | Node::Not(_) => all,
            Node::Term(hits) => hits.len(),
            Node::List(list, _) => list.len(),
            Node::Bits(_, count) => *count,
            Node::Range(_, _, (about, _)) => (*about).min(all),
            Node::Chain(_) => all,
            Node::And(nodes) => nodes.iter().map(|n| n.estimate(index)).min().unwrap_or(all),
            Node::Or(nodes) => nodes.iter().map(|n| n.estimate(index)).sum::<usize>().min(all),
        }
    }

    /// The same, fit to lead: one that finds its versions without trying others. Ranges that would cost more than
    /// the goal allows are left to be tried version by version.
    pub fn leading(self, index: Look<'i>, goal: Goal) -> Node<'i> {
        match self {
            Node::Range(..) | Node::Not(_) => self.settled(index, goal.for_lead(index)),
            Node::Chain(chain) if goal == Goal::Page && chain.is_broad() => Node::Chain(chain),
            Node::Chain(chain) => chain.set(index),
            Node::Or(nodes) => {
                // An Or leads only as well as the worst of its parts: one range left open makes it try every version.
                let nodes: Vec<_> = nodes.into_iter().map(|n| n.leading(index, goal)).collect();
                if nodes.len() > 4 && nodes.iter().all(Node::is_set) { union(index, &nodes) } else { Node::Or(nodes) }
            }
            other => other,
        }
    }

    /// The same, its ranges turned into sets where that costs less than the budget.
    fn settled(self, index: Look<'i>, budget: usize) -> Node<'i> {
        match self {
            Node::Range(range, spread, size) => {
                // What is clearly too much is not begun.
                let (versions, terms) = size;
                let test = if range.test.is_some() { TEST } else { 0 };
                let cost = terms.saturating_mul(STEP + test).saturating_add(versions.saturating_mul(COLLECT) / 2);
                let set = if cost <= budget { collect(index, range, &spread, budget) } else { None };
                set.unwrap_or(Node::Range(range, spread, size))
            }
            Node::Chain(chain) if chain.cost() <= budget => chain.set(index),
            Node::Not(inner) => Node::not(inner.settled(index, budget)),
            Node::Or(nodes) => {
                let nodes: Vec<_> = nodes.into_iter().map(|n| n.settled(index, budget)).collect();
                let large = nodes.iter().all(Node::is_set) && nodes.iter().any(|n| matches!(n, Node::Bits(..)));
                if large { union(index, &nodes) } else { Node::or(nodes) }
            }
            other => other,
        }
    }

    fn is_set(&self) -> bool {
        matches!(self, Node::Nothing | Node::Term(..) | Node::List(..) | Node::Bits(..))
    }

    /// Goes through all versions of a set; whether it is one.
    pub fn for_each_of_set(&self, tell: &mut impl FnMut(u32)) -> bool {
        match self {
            Node::Term(hits) => hits.for_each(tell),
            Node::List(list, _) => list.iter().for_each(|o| tell(*o)),
            Node::Bits(bits, _) => bits.iter().for_each(tell),
            _ => return false,
        }
        true
    }

    /// The first version that fulfils it and is not below `from`.
    pub fn seek(&mut self, index: Look<'_>, from: u32) -> Option<u32> {
        match self {
            Node::Nothing => None,
            Node::All => (from < index.len()).then_some(from),
            Node::Term(hits) => hits.seek(from),
            Node::List(list, at) => seek_list(list, at, from),
            Node::Bits(bits, _) => bits.seek(from),
            Node::Range(range, spread, _) => first(index, from, |o| passes(spread, o, range)),
            Node::Chain(chain) => first(index, from, |o| chain.holds(index, o)),
            Node::Not(inner) => first(index, from, |o| !inner.contains(index, o)),
            Node::And(nodes) => {
                let (lead, rest) = nodes.split_first_mut()?;
                let mut candidate = lead.seek(index, from)?;
                'next: loop {
                    if index.meter.spend(1) {
                        return None;
                    }
                    for node in rest.iter_mut() {
                        let next = match node {
                            Node::List(..) | Node::Bits(..) => node.seek(index, candidate)?,
                            other => candidate + u32::from(!other.contains(index, candidate)),
                        };
                        if next != candidate {
                            candidate = lead.seek(index, next)?;
                            continue 'next;
                        }
                    }
                    return Some(candidate);
                }
            }
            Node::Or(nodes) => nodes.iter_mut().filter_map(|n| n.seek(index, from)).min(),
        }
    }

    /// Keeps those of some versions, ascending, that fulfil it: cheaper than asking for each.
    pub fn sift(&mut self, index: Look<'_>, ordinals: &mut Vec<u32>) {
        match self {
            Node::Range(range, spread, _) if range.test.is_none() => spread.sift(ordinals),
            Node::And(nodes) => nodes.iter_mut().for_each(|n| n.sift(index, ordinals)),
            Node::Or(nodes) => {
                let mut found = Vec::new();
                for node in nodes {
                    let mut own = ordinals.clone();
                    node.sift(index, &mut own);
                    let mut taken = own.iter().peekable();
                    ordinals.retain(|o| taken.next_if(|t| *t == o).is_none());
                    found.append(&mut own);
                }
                found.sort_unstable();
                *ordinals = found;
            }
            other => ordinals.retain(|o| other.contains(index, *o)),
        }
    }

    /// Whether a version fulfils it. Cheapest if asked in ascending order.
    pub fn contains(&mut self, index: Look<'_>, ordinal: u32) -> bool {
        match self {
            Node::Nothing => false,
            Node::All => true,
            Node::Term(hits) => hits.contains(ordinal),
            Node::List(..) => self.seek(index, ordinal) == Some(ordinal),
            Node::Bits(bits, _) => bits.contains(ordinal),
            Node::Range(range, spread, _) => passes(spread, ordinal, range),
            Node::Chain(chain) => chain.holds(index, ordinal),
            Node::Not(inner) => !inner.contains(index, ordinal),
            Node::And(nodes) => nodes.iter_mut().all(|n| n.contains(index, ordinal)),
            Node::Or(nodes) => nodes.iter_mut().any(|n| n.contains(index, ordinal)),
        }
    }
}

/// The first version from one on that holds, tried one by one; none once the search must end.
fn first(index: Look<'_>, from: u32, mut holds: impl FnMut(u32) -> bool) -> Option<u32> {
    (from..index.len()).find(|ordinal| index.meter.spend(1) || holds(*ordinal)).filter(|_| !index.meter.is_over())
}

fn seek_list(list: &[u32], at: &mut usize, from: u32) -> Option<u32> {
    if *at > 0 && list[*at - 1] >= from {
        *at = 0;
    }
    *at = gallop(list, *at, from);
    list.get(*at).copied()
}

/// The versions with a term in a range as a list; `None` where terms or versions are not few.
fn few<'i>(index: Look<'i>, range: &Range, spread: &Spread<'i>) -> Option<Node<'i>> {
    const TERMS: usize = 48;
    const FEW: usize = 1024;
    if spread.is_empty() {
        return Some(Node::Nothing);
    }
    if spread.sealed_terms() > TERMS {
        return None;
    }
    let (mut terms, mut found) = (0, Vec::new());
    for (base, mut stream) in spread.streams(false) {
        while stream.advance() {
            terms += 1;
            let stored = stream.stored()?;
            if terms > TERMS || found.len() + stored.len() > FEW {
                return None;
            }
            if range.test.as_ref().is_none_or(|test| test.accepts(stream.term())) {
                if index.meter.spend(1 + stored.len() as u32 / 8) {
                    return Some(Node::Nothing);
                }
                stored.for_each(|ordinal| found.push(base + ordinal));
            }
        }
    }
    Some(Node::of_set(found))
}

/// The versions with a term in a range as a set; `None` if it costs more than the budget.
fn collect<'i>(index: Look<'_>, range: &Range, spread: &Spread<'_>, budget: usize) -> Option<Node<'i>> {
    let mut set = Collector::new(index.len());
    let mut cost = 0_usize;
    for (base, mut stream) in spread.streams(false) {
        while stream.advance() {
            cost += STEP;
            if let Some(test) = &range.test {
                cost += TEST;
                if !test.accepts(stream.term()) {
                    continue;
                }
            }
            let Some(stored) = stream.stored() else { continue };
            cost += COLLECT * stored.len();
            if cost > budget || index.meter.spend(1 + stored.len() as u32 / 8) {
                return if cost > budget { None } else { Some(Node::Nothing) };
            }
            set.extend(base, stored);
        }
    }
    Some(set.into_node())
}

/// The union of sets.
fn union<'i>(index: Look<'_>, nodes: &[Node<'i>]) -> Node<'i> {
    let mut set = Collector::new(index.len());
    for node in nodes {
        match node {
            Node::Term(hits) => set.extend_hits(hits),
            Node::List(list, _) => set.extend_list(list),
            Node::Bits(bits, _) => set.extend_bits(bits),
            _ => {}
        }
    }
    set.into_node()
}
