//! Commits as the gate lets them through: what is written and what stood there before must both lie inside the grant,
//! and what was judged is what the commit then expects. Guards are narrowed like searches, so that nothing that may
//! not be seen can make them fail.

use super::view::View;
use super::{forbidden, refused};
use crate::access::{Access, Action, Grant, Subject, guarded};
use crate::base::Failure;
use crate::interaction::race::ATTEMPTS;
use crate::interaction::{Context, Service};
use crate::json::{Document, Limits};
use crate::store::{Body, Committed, Content, Expect, Guard, Method, StoreError, Transaction, Version, Write};
use std::sync::Arc;

fn denied(failure: Failure) -> StoreError {
    StoreError::Refused(Box::new(failure))
}

fn outside() -> Failure {
    refused("what would be written lies outside of what was granted")
}

impl Service {
    /// Commits, if the caller may.
    pub(crate) async fn commit(
        &self,
        context: &Context,
        transaction: Transaction,
    ) -> Result<Vec<Committed>, StoreError> {
        let sources = |t: &Transaction| t.writes.iter().any(|write| self.gate.sources.contains(&write.kind));
        let changes = sources(&transaction);
        let regarded = transaction.writes.iter().any(|w| self.stored.regards(self.definitions.name(w.kind)));
        let defines = transaction.writes.iter().any(|write| self.may_define(write));
        let result = match self.grant(context).await.map_err(denied)? {
            None => self.commit_recorded(context, transaction).await,
            Some(grant) => self.commit_judged(context, &grant, transaction).await,
        };
        if changes && result.is_ok() {
            self.gate.changed();
        }
        // Also after a failure: it may be of the answer and not of the commit.
        if regarded {
            self.stored.changed();
        }
        if defines && result.is_ok() {
            self.search_parameters_changed().await;
        }
        result
    }

    async fn commit_judged(
        &self,
        context: &Context,
        grant: &Arc<Grant>,
        transaction: Transaction,
    ) -> Result<Vec<Committed>, StoreError> {
        for _ in 0..ATTEMPTS {
            let inner = self.gate.store.snapshot(context.tenant).await?;
            let view = View { inner, grant: grant.clone(), definitions: self.search_definitions(), writing: true };
            let mut judged = transaction.clone();
            let mut pinned = Vec::with_capacity(judged.writes.len());
            for write in &mut judged.writes {
                pinned.push(write.expect == Expect::Any);
                self.judge(&view, write).await?;
            }
            for guard in &mut judged.guards {
                narrow(&view, guard).map_err(denied)?;
            }
            drop(view);
            match self.commit_recorded(context, judged).await {
                // What was judged is not what was there in the end: judge again.
                Err(StoreError::VersionConflict { write, .. }) if pinned.get(write) == Some(&true) => {}
                other => return other,
            }
        }
        Err(denied(crate::interaction::race::too_many_races()))
    }

    /// Judges one write and makes certain that it meets what was judged.
    async fn judge(&self, view: &View, write: &mut Write) -> Result<(), StoreError> {
        let grant = &view.grant;
        let name = self.definitions.name(write.kind);
        let newest = view.inner.read(write.kind, &write.id).await?;
        let there = newest.as_ref().is_some_and(|v| !v.is_deleted());
        let action = match write.method {
            Method::Create => Action::Create,
            Method::Update if there => Action::Update,
            Method::Update => Action::Create,
            Method::Patch => Action::Update,
            Method::Delete => Action::Delete,
        };
        let bound = grant.is_bound(write.kind, action);
        // Where some resources are out of reach, an id that is free looks like one that is not.
        let unknown = || denied(Failure::not_found(format!("there is no {name}/{}", write.id)));
        match &newest {
            Some(before) if !view.inside(before, action).await? => {
                let seen = view.inside(before, Action::Read).await?;
                return Err(if seen { denied(refused_on(grant, write, action, name)) } else { unknown() });
            }
            Some(_) => {}
            None if write.method == Method::Create => {}
            None if bound => return Err(unknown()),
            None => {}
        }
        if !grant.allows(write.kind, action) {
            return Err(denied(forbidden(action, name)));
        }
        if let Some(before) = newest.as_ref().filter(|_| there && name == "Consent") {
            self.keep_denial(grant, before).map_err(denied)?;
        }
        if let Some(content) = write.content.take() {
            let content = self.keep_hidden(view, write, newest.as_ref(), content)?;
            self.judge_content(view, write, action, newest.as_ref(), &content).await?;
            write.content = Some(content);
        }
        if write.expect == Expect::Any {
            write.expect = newest.map_or(Expect::Absent, |v| Expect::Newest(v.version));
        }
        Ok(())
    }

    /// Whoever is denied something by a Consent must not be able to take the denial away. Another Consent beside it
    /// cannot: of two the one that denies counts.
    fn keep_denial(&self, grant: &Grant, before: &Version) -> Result<(), Failure> {
        match self.consent_of(before)? {
            Some(consent) if !grant.may_lift(consent.patient()) => Err(refused(
                "by this Consent a patient denies something: only the patient changes it, or staff in an emergency",
            )),
            _ => Ok(()),
        }
    }

    /// What is written must be inside, and keep the guarded labels that were there.
    async fn judge_content(
        &self,
        view: &View,
        write: &Write,
        action: Action,
        before: Option<&Version>,
        content: &Content,
    ) -> Result<(), StoreError> {
        let json = self.whole(write, content);
        let document = Document::parse(&json, &Limits::NONE).map_err(|e| StoreError::Broken(e.to_string()))?;
        let subject = Subject { kind: write.kind, id: &write.id, updated: self.clock.now(), resource: document.root() };
        let inside = match view.grant.access(write.kind, action) {
            Access::Denied => false,
            Access::Everything => true,
            Access::Within(restriction) => restriction.holds(view.grant.extractor(), &subject),
        };
        let binary = self.definitions.name(write.kind) == "Binary";
        if !inside || (binary && !view.binary_allows(document.root(), write.kind, action).await?) {
            return Err(denied(outside()));
        }
        let Some(before) = before.filter(|v| !v.is_deleted() && !view.grant.may_relabel()) else { return Ok(()) };
        let stored = before.to_json(self.definitions.name(before.kind)).unwrap_or_default();
        let stored = Document::parse(&stored, &Limits::NONE).map_err(|e| StoreError::Broken(e.to_string()))?;
        let after = guarded(document.root());
        if guarded(stored.root()).iter().all(|label| after.contains(label)) {
            return Ok(());
        }
        Err(denied(refused("a security label that restricts who may see the resource may not be taken away")))
    }

    /// The JSON of what is written.
    pub(super) fn whole(&self, write: &Write, content: &Content) -> Vec<u8> {
        let mut json = Vec::new();
        let name = self.definitions.name(write.kind);
        Body::write_resource(&content.body.0, name, write.id.as_str(), 1, self.clock.now(), &mut json);
        json
    }
}

/// Why something that is seen may not be changed.
fn refused_on(grant: &Grant, write: &Write, action: Action, name: &str) -> Failure {
    if grant.allows(write.kind, action) { outside() } else { forbidden(action, name) }
}

/// A guard that only what may be searched can break.
fn narrow(view: &View, guard: &mut Guard) -> Result<(), Failure> {
    let asked = view.scoped(&[guard.kind], &guard.condition)?;
    guard.condition = view.narrowed(guard.kind, asked);
    Ok(())
}
