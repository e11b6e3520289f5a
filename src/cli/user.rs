//! `vesta user`: the people who may sign in. Passwords are never taken from the command line, where others on the
//! machine can read them: from standard input, or made here and shown once.

use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use crate::access::Role;
use crate::audit::Event;
use crate::authorization::people::{Lifetimes, NewUser, Outside, People, User, secret};
use crate::base::{Failure, SystemClock, TenantId, Timestamp};
use clap::{Args, Subcommand};
use std::io::Write;
use std::sync::Arc;

/// What is to be done with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user
    ///
    /// Without --password-stdin and without a provider a random password is made and shown once; the user has to
    /// change it at the first sign-in.
    Add(Added),
    /// List all users
    List,
    /// Show one user
    Show {
        /// The name it signs in with
        name: String,
    },
    /// Give a user another role, or another resource that stands for it
    Set {
        /// The name it signs in with
        name: String,
        /// administrator, doctor, nurse, pharmacist, laboratory-technician, receptionist, civil-authority, patient, auditor
        #[arg(long, value_parser = role, required_unless_present = "resource")]
        role: Option<Role>,
        /// The resource that stands for it: Practitioner/7, PractitionerRole/7, Patient/7, RelatedPerson/7, Person/7
        #[arg(long, value_name = "TYPE/ID")]
        resource: Option<String>,
    },
    /// Give a user a new password, and end its sessions
    SetPassword {
        /// The name it signs in with
        name: String,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Disable a user: it cannot sign in, its sessions and tokens end
    Disable {
        /// The name it signs in with
        name: String,
    },
    /// Enable a disabled user
    Enable {
        /// The name it signs in with
        name: String,
    },
    /// Take the second factor away from a user who has lost it, and end its sessions
    ResetSecondFactor {
        /// The name it signs in with
        name: String,
    },
    /// Delete a user (what it did stays in the audit trail)
    Delete {
        /// The name it signs in with
        name: String,
    },
}

/// A user to be added.
#[derive(Debug, Args)]
pub struct Added {
    /// The name to sign in with
    name: String,
    /// administrator, doctor, nurse, pharmacist, laboratory-technician, receptionist, civil-authority, patient, auditor
    #[arg(long, value_parser = role)]
    role: Role,
    /// What it is called, for people
    #[arg(long, value_name = "NAME")]
    display: Option<String>,
    /// The resource that stands for it: Practitioner/7, PractitionerRole/7, Patient/7, RelatedPerson/7, Person/7
    #[arg(long, value_name = "TYPE/ID")]
    resource: Option<String>,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    /// Name of the outside provider where it signs in
    #[arg(long, requires = "subject", conflicts_with = "password_stdin")]
    provider: Option<String>,
    /// Who it is there (the claim sub)
    #[arg(long, requires = "provider")]
    subject: Option<String>,
}

fn role(code: &str) -> Result<Role, String> {
    Role::from_code(code).ok_or_else(|| {
        let codes: Vec<&str> = Role::ALL.iter().map(|role| role.code()).collect();
        format!("it is one of {}", codes.join(", "))
    })
}

/// Runs a command.
pub fn run(settings: &Settings, command: UserCommand) -> Result<(), Fault> {
    let wired = wire::administered(settings)?;
    let mut event = administration(&command).map(|(done, name)| Event::administration(done, "account", &name));
    if let UserCommand::Set { name, role: Some(role), .. } = &command {
        // Who may do more or less from now on is seen without looking for the record of before.
        let people =
            People::new(wired.service.records(TenantId::default()), Arc::new(SystemClock), Lifetimes::default());
        let before = wire::wait(people.named(name))?.map_err(refused)?;
        let before = before.map_or("", |user| user.role.code());
        event = event.map(|event| event.detail("role-before", before).detail("role", role.code()));
    }
    let records = match &event {
        Some(event) => wire::telling(&wired.service, settings, event.clone()),
        None => wired.service.records(TenantId::default()),
    };
    let people = People::new(records.clone(), Arc::new(SystemClock), Lifetimes::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::Server)?;
    runtime.block_on(async {
        perform(&people, command).await?;
        let Some(event) = event else { return Ok(()) };
        wire::told(&wired.service, settings, &records, event).await
    })
}

/// What a command changes, for the audit trail.
fn administration(command: &UserCommand) -> Option<(&'static str, String)> {
    let (done, name) = match command {
        UserCommand::List | UserCommand::Show { .. } => return None,
        UserCommand::Add(added) => ("create", &added.name),
        UserCommand::Set { name, .. } => ("change", name),
        UserCommand::SetPassword { name, .. } => ("set-password", name),
        UserCommand::Disable { name } => ("disable", name),
        UserCommand::Enable { name } => ("enable", name),
        UserCommand::ResetSecondFactor { name } => ("reset-second-factor", name),
        UserCommand::Delete { name } => ("delete", name),
    };
    Some((done, name.clone()))
}

async fn perform(people: &People, command: UserCommand) -> Result<(), Fault> {
    match command {
        UserCommand::Add(added) => add(people, added).await,
        UserCommand::List => {
            for user in people.all().await.map_err(refused)? {
                print(&line(&user))?;
            }
            Ok(())
        }
        UserCommand::Show { name } => print(&details(&named(people, &name).await?)),
        UserCommand::Set { name, role, resource } => {
            let user = named(people, &name).await?;
            people.set(&user, role, resource.as_deref()).await.map(drop).map_err(refused)
        }
        UserCommand::SetPassword { name, password_stdin } => {
            let user = named(people, &name).await?;
            let (password, made) = password(password_stdin)?;
            people.set_password(&user, &password, made).await.map_err(refused)?;
            shown_once(&user, made.then_some(&password))
        }
        UserCommand::Disable { name } => {
            let user = named(people, &name).await?;
            people.set_disabled(&user, true).await.map(drop).map_err(refused)
        }
        UserCommand::Enable { name } => {
            let user = named(people, &name).await?;
            people.set_disabled(&user, false).await.map(drop).map_err(refused)
        }
        UserCommand::ResetSecondFactor { name } => {
            let user = named(people, &name).await?;
            people.reset_second_factor(&user).await.map(drop).map_err(refused)
        }
        UserCommand::Delete { name } => {
            let user = named(people, &name).await?;
            people.delete(&user).await.map_err(refused)
        }
    }
}

async fn add(people: &People, added: Added) -> Result<(), Fault> {
    let mut new = NewUser { display: added.display, resource: added.resource, ..NewUser::new(added.name, added.role) };
    let mut show = false;
    match (added.provider, added.subject) {
        (Some(provider), Some(subject)) => new.outside = Some(Outside { provider, subject }),
        _ => {
            new.password = Some(password(added.password_stdin)?);
            show = !added.password_stdin;
        }
    }
    let password = new.password.as_ref().map(|(password, _)| password.clone()).filter(|_| show);
    let user = people.add(new).await.map_err(refused)?;
    shown_once(&user, password.as_ref())
}

/// The password of standard input, or a new one; and whether it has to be changed.
fn password(stdin: bool) -> Result<(String, bool), Fault> {
    if !stdin {
        return Ok((secret::readable_password().map_err(refused)?, true));
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(Fault::Server)?;
    Ok((line.trim_end_matches(['\r', '\n']).to_owned(), false))
}

fn shown_once(user: &User, password: Option<&String>) -> Result<(), Fault> {
    match password {
        None => Ok(()),
        Some(password) => {
            print(&format!("{} may sign in with this password, and then has to choose another:\n{password}", user.name))
        }
    }
}

async fn named(people: &People, name: &str) -> Result<User, Fault> {
    let found = people.named(name).await.map_err(refused)?;
    found.ok_or_else(|| Fault::Settings(format!("there is no user named '{name}'; vesta user list shows all")))
}

fn line(user: &User) -> String {
    let resource = user.resource.as_deref().unwrap_or("-");
    let state = if user.disabled { "disabled" } else { "enabled" };
    format!("{}\t{}\t{resource}\t{state}", user.name, user.role.code())
}

fn details(user: &User) -> String {
    let known = match (&user.password, &user.outside) {
        (_, Some(outside)) => format!("at {} as {}", outside.provider, outside.subject),
        (Some(_), None) if user.must_change => "by password, which has to be changed".to_owned(),
        (Some(_), None) => "by password".to_owned(),
        (None, None) => "not at all".to_owned(),
    };
    let second = if user.has_second_factor() { "authenticator app" } else { "none" };
    format!(
        "name           {}\ndisplay        {}\nrole           {}\nresource       {}\nstate          {}\nsigns in       \
         {known}\nsecond factor  {second}\nid             {}\nsince          {}",
        user.name,
        user.display.as_deref().unwrap_or("-"),
        user.role.code(),
        user.resource.as_deref().unwrap_or("-"),
        if user.disabled { "disabled" } else { "enabled" },
        user.id,
        Timestamp(user.created).to_instant()
    )
}

fn print(text: &str) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}") {
        Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => Err(Fault::Server(why)),
        _ => Ok(()),
    }
}

fn refused(failure: Failure) -> Fault {
    let why: Vec<&str> = failure.issues.iter().map(|issue| issue.diagnostics.as_str()).collect();
    Fault::Settings(why.join("; "))
}
