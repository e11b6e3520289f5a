//! Identities: tenants, logical ids, and where new ids come from.

/// A tenant. Every key of the store leads with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TenantId(pub u32);

impl TenantId {
    const TRAIL: u32 = 1 << 31;

    /// Where the audit trail of this tenant is: a log beside the tenant's own, so that its numbers, its change log and
    /// what its conditional writes look at are not touched by reads.
    pub fn trail(self) -> TenantId {
        TenantId(self.0 | TenantId::TRAIL)
    }

    /// The tenant whose trail this is; none if it is no trail.
    pub fn owner(self) -> Option<TenantId> {
        self.is_trail().then_some(TenantId(self.0 & !TenantId::TRAIL))
    }

    /// Whether it is a trail, and no tenant that anybody writes to.
    pub fn is_trail(self) -> bool {
        self.0 & TenantId::TRAIL != 0
    }
}

/// A logical id (R4 datatypes.html#id): 1 to 64 of `A-Z a-z 0-9 - .`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(Box<str>);

impl ResourceId {
    /// The id, if the text is a legal one.
    pub fn new(text: &str) -> Option<Self> {
        Self::is_legal(text).then(|| ResourceId(text.into()))
    }

    /// Whether a text is a legal logical id.
    pub fn is_legal(text: &str) -> bool {
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ResourceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where new logical ids come from; passed in, so that tests own it.
pub trait IdSource: Send + Sync {
    /// A new id, never given before.
    fn next(&self) -> ResourceId;
}

/// Random ids (UUID version 4), which tell nothing about when they were made.
#[derive(Debug, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn next(&self) -> ResourceId {
        ResourceId(uuid::Uuid::new_v4().hyphenated().to_string().into())
    }
}
