//! JSON Pointer (RFC 6901): reading it, and finding what it points to in a tree.

use crate::json::Tree;
use std::borrow::Cow;

/// A pointer: the tokens from the outermost value on, unescaped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pointer<'t>(pub Vec<Cow<'t, str>>);

impl<'t> Pointer<'t> {
    /// Reads a pointer; `Err` says what is wrong with it.
    pub(super) fn parse(text: &'t str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Ok(Pointer(Vec::new()));
        }
        let Some(tokens) = text.strip_prefix('/') else {
            return Err("a JSON Pointer is empty or begins with '/'");
        };
        tokens.split('/').map(unescape).collect::<Result<_, _>>().map(Pointer)
    }

    /// The pointer to the parent and the last token; `None` for the whole document.
    pub(super) fn split(&self) -> Option<(&[Cow<'t, str>], &str)> {
        self.0.split_last().map(|(last, before)| (before, &**last))
    }

    /// Whether what the other points to lies inside of what this one points to.
    pub(super) fn holds(&self, other: &Pointer<'_>) -> bool {
        other.0.len() > self.0.len() && other.0.starts_with(&self.0)
    }
}

/// `~1` is '/', `~0` is '~' (in this order), and nothing else may follow a '~'.
fn unescape(token: &str) -> Result<Cow<'_, str>, &'static str> {
    if !token.contains('~') {
        return Ok(Cow::Borrowed(token));
    }
    let mut rest = token.chars();
    let mut out = String::with_capacity(token.len());
    while let Some(c) = rest.next() {
        out.push(match c {
            '~' => match rest.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err("'~' in a JSON Pointer is followed by 0 or 1"),
            },
            c => c,
        });
    }
    Ok(Cow::Owned(out))
}

/// The number of an array's item: digits without leading zeros.
pub(super) fn index(token: &str) -> Option<usize> {
    let legal = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
    if legal { token.parse().ok() } else { None }
}

/// What the tokens point to. `work` grows by what had to be looked at.
pub(super) fn find<'v>(mut value: &'v Tree, tokens: &[Cow<'_, str>], work: &mut u64) -> Result<&'v Tree, String> {
    for token in tokens {
        value = match value {
            Tree::Object(entries) => {
                *work += entries.len() as u64;
                entries.iter().find(|(k, _)| k == token).map(|(_, v)| v)
            }
            Tree::Array(items) => index(token).and_then(|i| items.get(i)),
            _ => None,
        }
        .ok_or_else(|| absent(value, token))?;
    }
    Ok(value)
}

/// The same, to be changed.
pub(super) fn find_mut<'v>(
    mut value: &'v mut Tree,
    tokens: &[Cow<'_, str>],
    work: &mut u64,
) -> Result<&'v mut Tree, String> {
    for token in tokens {
        let problem = absent(value, token);
        value = match value {
            Tree::Object(entries) => {
                *work += entries.len() as u64;
                entries.iter_mut().find(|(k, _)| k == token).map(|(_, v)| v)
            }
            Tree::Array(items) => index(token).and_then(|i| items.get_mut(i)),
            _ => None,
        }
        .ok_or(problem)?;
    }
    Ok(value)
}

/// Why a token leads nowhere.
pub(super) fn absent(value: &Tree, token: &str) -> String {
    let token: String = token.chars().take(60).collect();
    match value {
        Tree::Object(_) => format!("there is no member '{token}'"),
        Tree::Array(items) if index(&token).is_some() => {
            format!("there is no item {token}: the array has {}", items.len())
        }
        Tree::Array(_) => format!("'{token}' is not the number of an item"),
        _ => format!("'{token}' leads into a value that is neither object nor array"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let read = |text| Pointer::parse(text).map(|p| p.0.iter().map(|t| t.to_string()).collect::<Vec<_>>());
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read("/"), Ok(vec![String::new()]));
        assert_eq!(read("/a~1b/~01/m~0n"), Ok(vec!["a/b".into(), "~1".into(), "m~n".into()]));
        for wrong in ["a", "a/b", "/~", "/~2", "#/a"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn indexes() {
        assert_eq!(index("0"), Some(0));
        assert_eq!(index("10"), Some(10));
        for wrong in ["", "-", "-1", "+1", "01", "1e0", "99999999999999999999999"] {
            assert_eq!(index(wrong), None, "{wrong}");
        }
    }
}
