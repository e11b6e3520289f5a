//! The first start: without any user there is an administrator, with a random password that is shown once and never
//! written down anywhere.

use super::{NewUser, People, secret};
use crate::access::Role;
use crate::base::{Failure, FailureKind};

/// The name of the first administrator.
pub const NAME: &str = "admin";

impl People {
    /// Makes the first administrator if there are no users; the answer is name and password, to be shown once.
    pub async fn first(&self) -> Result<Option<(String, String)>, Failure> {
        if self.any().await? {
            return Ok(None);
        }
        let password = secret::readable_password()?;
        let first = NewUser { password: Some((password.clone(), false)), ..NewUser::new(NAME, Role::Administrator) };
        match self.add(first).await {
            Ok(user) => Ok(Some((user.name, password))),
            // Another process was faster, and has shown its password.
            Err(failure) if failure.kind == FailureKind::Conflict => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}
