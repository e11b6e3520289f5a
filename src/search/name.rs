//! The name side of a filter: `code`, `code:modifier`, chains and `_has` (R4 search.html#modifiers, #chaining,
//! #has). Grammar only: whether the parameters exist is asked elsewhere.

/// A name, taken apart by one step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name<'n> {
    /// `code` or `code:modifier`
    Plain { code: &'n str, modifier: Option<&'n str> },
    /// `code.rest` or `code:Type.rest`
    Chain { code: &'n str, target: Option<&'n str>, rest: &'n str },
    /// `_has:Type:code:rest`
    Has { source: &'n str, code: &'n str, rest: &'n str },
}

impl<'n> Name<'n> {
    /// Takes a name apart; the error says how it should look.
    pub fn parse(name: &'n str) -> Result<Name<'n>, &'static str> {
        if let Some(has) = name.strip_prefix("_has:") {
            let mut parts = has.splitn(3, ':');
            return match (parts.next(), parts.next(), parts.next()) {
                (Some(source), Some(code), Some(rest))
                    if !source.is_empty() && !code.is_empty() && !rest.is_empty() =>
                {
                    Ok(Name::Has { source, code, rest })
                }
                _ => Err("'_has' is written as _has:[type]:[reference parameter]:[parameter]"),
            };
        }
        let (head, rest) = name.split_once('.').map_or((name, None), |(head, rest)| (head, Some(rest)));
        let (code, modifier) = head.split_once(':').map_or((head, None), |(code, modifier)| (code, Some(modifier)));
        if modifier == Some("") {
            return Err("a modifier is missing after the ':'");
        }
        match rest {
            Some("") => Err("a parameter is missing after the '.'"),
            Some(rest) => Ok(Name::Chain { code, target: modifier, rest }),
            None => Ok(Name::Plain { code, modifier }),
        }
    }

    /// The parameter that a type must have for the name to make sense on it; none for `_has`.
    pub fn head(name: &str) -> Option<&str> {
        (!name.starts_with("_has:")).then(|| name.split(['.', ':']).next().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart() {
        let plain = |code, modifier| Ok(Name::Plain { code, modifier });
        for (name, expected) in [
            ("name", plain("name", None)),
            ("", plain("", None)),
            ("name:exact", plain("name", Some("exact"))),
            ("name:a:b", plain("name", Some("a:b"))),
            ("subject.name", Ok(Name::Chain { code: "subject", target: None, rest: "name" })),
            (
                "subject:Patient.name:exact",
                Ok(Name::Chain { code: "subject", target: Some("Patient"), rest: "name:exact" }),
            ),
            ("a.b.c", Ok(Name::Chain { code: "a", target: None, rest: "b.c" })),
            ("_has:Observation:patient:code", Ok(Name::Has { source: "Observation", code: "patient", rest: "code" })),
            (
                "_has:Observation:patient:_has:AuditEvent:entity:agent:missing",
                Ok(Name::Has { source: "Observation", code: "patient", rest: "_has:AuditEvent:entity:agent:missing" }),
            ),
            (
                "_has:Observation:patient:performer.name",
                Ok(Name::Has { source: "Observation", code: "patient", rest: "performer.name" }),
            ),
        ] {
            assert_eq!(Name::parse(name), expected, "{name}");
        }
        for name in ["name:", "name.", "name:.x", "_has:", "_has:X", "_has:X:y", "_has:X:y:", "_has::y:z", "_has:X::z"]
        {
            assert!(Name::parse(name).is_err(), "{name}");
        }
    }
}
