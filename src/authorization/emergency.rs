//! Access in an emergency ("break the glass"): whose role's policy knows of it may state a reason when an app is let in,
//! and neither security labels nor Consents hide anything from that app then, for as long as its one access token holds.
//! What that opens is decided in `access`.

use super::Authorization;
use crate::base::Failure;

/// Longest reason, in characters.
pub(super) const LONGEST: usize = 500;

impl Authorization {
    /// Whether the policy of a role knows of emergencies.
    pub(super) async fn knows_emergencies(&self, role: &str) -> Result<bool, Failure> {
        Ok(self.service.policy(self.records.tenant(), role).await?.break_glass)
    }

    /// The reason that counts, out of what was stated; none where the policy of the role knows of no emergencies.
    pub(super) async fn emergency(&self, role: &str, stated: Option<&str>) -> Result<Option<String>, Failure> {
        let stated = stated.map(str::trim).filter(|reason| !reason.is_empty());
        match stated {
            Some(reason) if self.knows_emergencies(role).await? => Ok(Some(reason.chars().take(LONGEST).collect())),
            _ => Ok(None),
        }
    }
}
