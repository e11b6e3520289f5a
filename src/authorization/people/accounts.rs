//! Accounts: adding, listing and changing users. One name belongs to one user, also if two add it at once. Signing in
//! is `sign_in`.

use super::book::{self, Entry, NAMES, OUTSIDE, USERS};
use super::password::{self, Weakness};
use super::user::{KINDS, Outside, User, compared};
use super::{People, secret};
use crate::access::Role;
use crate::base::{Failure, FailureKind, IssueCode, ResourceId};

/// A user that is to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The name to sign in with.
    pub name: String,
    /// What it is called, for people.
    pub display: Option<String>,
    /// Its role.
    pub role: Role,
    /// The resource that stands for it, such as `Practitioner/7`.
    pub resource: Option<String>,
    /// Its password, and whether it has to be changed; none for those who sign in elsewhere.
    pub password: Option<(String, bool)>,
    /// Who it is at an outside provider.
    pub outside: Option<Outside>,
}

impl NewUser {
    /// A user with a name and a role only.
    pub fn new(name: impl Into<String>, role: Role) -> NewUser {
        NewUser { name: name.into(), display: None, role, resource: None, password: None, outside: None }
    }
}

/// How often a change is tried if others change the same user.
const TRIES: usize = 8;

impl People {
    /// Adds a user.
    pub async fn add(&self, new: NewUser) -> Result<User, Failure> {
        let name = compared(&new.name).ok_or_else(bad_name)?;
        if let Some(resource) = &new.resource {
            check_resource(resource)?;
        }
        if new.role == Role::Patient && new.resource.is_none() {
            return Err(no_patient());
        }
        let (hash, must_change) = match &new.password {
            None => (None, false),
            Some((password, must_change)) => {
                check_password(password, &name)?;
                (Some(self.passwords.hash(password).await?), *must_change)
            }
        };
        let user = User {
            id: uuid::Uuid::new_v4().to_string(),
            name: new.name.trim().to_owned(),
            display: new.display,
            role: new.role,
            resource: new.resource,
            disabled: false,
            password: hash,
            must_change,
            totp: None,
            recovery: Vec::new(),
            passkeys: Vec::new(),
            outside: new.outside,
            created: self.clock.now().0,
            epoch: 0,
        };
        let mut writes = vec![book::create(USERS, &user.id, &user)?, book::create(NAMES, &name, &user.id)?];
        if let Some(outside) = &user.outside {
            writes.push(book::create(OUTSIDE, &outside_key(outside), &user.id)?);
        }
        match self.told.write(writes).await? {
            true => Ok(user),
            false => Err(Failure::new(
                FailureKind::Conflict,
                IssueCode::Duplicate,
                format!("there is a user named '{}' already", user.name),
            )),
        }
    }

    /// All users, by name.
    pub async fn all(&self) -> Result<Vec<User>, Failure> {
        let mut users: Vec<User> = self.book.all(USERS).await?.into_iter().map(|entry| entry.value).collect();
        users.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(users)
    }

    /// Whether there is any user.
    pub async fn any(&self) -> Result<bool, Failure> {
        self.book.any(USERS).await
    }

    /// The user of an id.
    pub async fn user(&self, id: &str) -> Result<Option<User>, Failure> {
        Ok(self.book.get(USERS, id).await?.map(|entry| entry.value))
    }

    /// The user of a name.
    pub async fn named(&self, name: &str) -> Result<Option<User>, Failure> {
        Ok(self.entry_named(name).await?.map(|entry| entry.value))
    }

    pub(super) async fn entry_named(&self, name: &str) -> Result<Option<Entry<User>>, Failure> {
        let Some(name) = compared(name) else { return Ok(None) };
        let Some(id) = self.book.get::<String>(NAMES, &name).await? else { return Ok(None) };
        self.book.get(USERS, &id.value).await
    }

    /// The user that somebody at an outside provider is.
    pub async fn outside(&self, outside: &Outside) -> Result<Option<User>, Failure> {
        match self.book.get::<String>(OUTSIDE, &outside_key(outside)).await? {
            Some(id) => self.user(&id.value).await,
            None => Ok(None),
        }
    }

    /// Changes a user, in whichever revision it is.
    pub async fn change(&self, id: &str, change: impl Fn(&mut User)) -> Result<User, Failure> {
        for _ in 0..TRIES {
            let Some(read) = self.book.get::<User>(USERS, id).await? else {
                return Err(Failure::not_found("there is no such user"));
            };
            let mut next = read.value.clone();
            change(&mut next);
            if self.told.write(vec![book::replace(USERS, &read, &next)?]).await? {
                return Ok(next);
            }
        }
        Err(Failure::new(FailureKind::Conflict, IssueCode::Conflict, "others change this user all the time"))
    }

    /// Gives a user a new password; its sessions end.
    pub async fn set_password(&self, user: &User, password: &str, must_change: bool) -> Result<User, Failure> {
        check_password(password, &user.name)?;
        let hash = self.passwords.hash(password).await?;
        self.change(&user.id, |user| {
            user.password = Some(hash.clone());
            user.must_change = must_change;
            user.epoch += 1;
        })
        .await
    }

    /// Gives a user another role or another resource that stands for it; what is not given stays. What it may do is
    /// judged by them from then on, also with tokens and sessions that it has.
    pub async fn set(&self, user: &User, role: Option<Role>, resource: Option<&str>) -> Result<User, Failure> {
        if let Some(resource) = resource {
            check_resource(resource)?;
        }
        if role.unwrap_or(user.role) == Role::Patient && resource.or(user.resource.as_deref()).is_none() {
            return Err(no_patient());
        }
        self.change(&user.id, |user| {
            user.role = role.unwrap_or(user.role);
            if let Some(resource) = resource {
                user.resource = Some(resource.to_owned());
            }
        })
        .await
    }

    /// Disables or enables a user; a disabled one's sessions end.
    pub async fn set_disabled(&self, user: &User, disabled: bool) -> Result<User, Failure> {
        self.change(&user.id, |user| {
            user.disabled = disabled;
            user.epoch += 1;
        })
        .await
    }

    /// Takes app, recovery codes and passkeys away, for one who has lost them; its sessions end.
    pub async fn reset_second_factor(&self, user: &User) -> Result<User, Failure> {
        self.change(&user.id, |user| {
            user.totp = None;
            user.recovery.clear();
            user.passkeys.clear();
            user.epoch += 1;
        })
        .await
    }

    /// Deletes a user.
    pub async fn delete(&self, user: &User) -> Result<(), Failure> {
        let mut writes = vec![book::forget(USERS, &user.id)];
        writes.extend(compared(&user.name).map(|name| book::forget(NAMES, &name)));
        writes.extend(user.outside.as_ref().map(|outside| book::forget(OUTSIDE, &outside_key(outside))));
        self.told.write(writes).await.map(drop)
    }
}

pub(super) fn outside_key(outside: &Outside) -> String {
    secret::hashed(&outside.provider, &outside.subject)
}

/// Refuses a reference that no user can stand behind.
pub fn check_resource(resource: &str) -> Result<(), Failure> {
    match resource.split_once('/') {
        Some((kind, id)) if KINDS.contains(&kind) && ResourceId::is_legal(id) => Ok(()),
        _ => Err(refused(&format!("'{resource}' is no reference to one of {}; try Practitioner/7", KINDS.join(", ")))),
    }
}

/// Refuses a weak password.
pub fn check_password(password: &str, name: &str) -> Result<(), Failure> {
    match password::weakness(password, name) {
        None => Ok(()),
        Some(Weakness::Short) => {
            Err(refused(&format!("the password needs at least {} characters", password::SHORTEST)))
        }
        Some(Weakness::Long) => Err(refused(&format!("the password may have {} bytes at most", password::LONGEST))),
        Some(Weakness::Named) => Err(refused("the password is too easy to guess: it contains the name of the account")),
        Some(Weakness::Popular) => {
            Err(refused("the password is too easy to guess: it is hardly more than a word that is tried first"))
        }
        Some(Weakness::Repeated) => {
            Err(refused("the password is too easy to guess: it is one character again and again"))
        }
    }
}

fn no_patient() -> Failure {
    refused("a user in the role of a patient needs the Patient that it is (or a RelatedPerson)")
}

fn bad_name() -> Failure {
    refused("a name has 1 to 100 letters, digits, spaces and . - _ @ + '")
}

fn refused(why: &str) -> Failure {
    Failure::new(FailureKind::Unprocessable, IssueCode::Invalid, why)
}
