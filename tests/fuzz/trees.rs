//! Mutations that leave a document legal JSON, so that they reach the rooms behind the reader.

use super::Random;
use super::seeds::{JSON, JSON_WORDS, SCALARS};
use vesta::json::Tree;

/// Changes a place of a tree.
pub fn mutate(random: &mut Random, tree: &mut Tree, donors: &[Tree]) {
    match tree {
        Tree::Object(entries) if !entries.is_empty() => {
            let at = random.below(entries.len());
            match random.below(12) {
                0 => drop(entries.remove(at)),
                1 => {
                    let value = entries[at].1.clone();
                    add(entries, name(random), value);
                }
                2 => add(entries, format!("_{}", entries[at].0), part(random, donors)),
                3 => add(entries, name(random), part(random, donors)),
                4 => entries[at].1 = part(random, donors),
                _ => mutate(random, &mut entries[at].1, donors),
            }
        }
        Tree::Array(items) if !items.is_empty() => {
            let at = random.below(items.len());
            match random.below(10) {
                0 => drop(items.remove(at)),
                1 => items.insert(at, items[at].clone()),
                2 => items.push(Tree::Null),
                3 => *tree = items.remove(at),
                4 => items[at] = part(random, donors),
                _ => mutate(random, &mut items[at], donors),
            }
        }
        Tree::String(text) if random.below(2) == 0 => {
            let word = JSON_WORDS[random.below(JSON_WORDS.len())];
            let at = (0..=text.len())
                .rev()
                .filter(|i| text.is_char_boundary(*i))
                .nth(random.below(text.chars().count() + 1));
            text.insert_str(at.unwrap_or(0), word);
        }
        other => {
            *other = match random.below(6) {
                0 => Tree::Array(vec![other.clone()]),
                1 => Tree::object([("extension", other.clone())]),
                _ => scalar(random),
            }
        }
    }
}

/// Adds an entry, or changes the one that is there.
fn add(entries: &mut Vec<(String, Tree)>, name: String, value: Tree) {
    match entries.iter_mut().find(|(n, _)| *n == name) {
        Some((_, old)) => *old = value,
        None => entries.push((name, value)),
    }
}

/// A name of a property that stands in one of the seeds.
fn name(random: &mut Random) -> String {
    let text = JSON[random.below(JSON.len())];
    let names: Vec<&str> = text.match_indices("\":").filter_map(|(i, _)| text[..i].rsplit('"').next()).collect();
    names.get(random.below(names.len())).map_or_else(String::new, |n| (*n).to_owned())
}

/// Some part of a seed, or a scalar.
fn part(random: &mut Random, donors: &[Tree]) -> Tree {
    let mut tree = &donors[random.below(donors.len())];
    loop {
        tree = match tree {
            Tree::Object(entries) if !entries.is_empty() && random.below(4) > 0 => {
                &entries[random.below(entries.len())].1
            }
            Tree::Array(items) if !items.is_empty() => &items[random.below(items.len())],
            _ => break,
        };
    }
    if random.below(3) == 0 { scalar(random) } else { tree.clone() }
}

fn scalar(random: &mut Random) -> Tree {
    match random.below(8) {
        0 => Tree::Null,
        1 => Tree::Bool(random.below(2) == 0),
        2 => Tree::Number(
            ["0", "-0", "1.50", "1e400", "-7", "99999999999", "1E-10000", "0.1e1"][random.below(8)].to_owned(),
        ),
        _ => Tree::string(SCALARS[random.below(SCALARS.len())]),
    }
}
