//! The chains of a condition, answered one after the other from within: each becomes the set of those terms or
//! resources that fulfil it at the position. There is no bound on how many they are.

use super::Shared;
use super::document::{name_of, terms_of};
use super::filter::Settled;
use super::lead::Mark;
use super::snapshot::{Spending, Visible};
use crate::base::TenantId;
use crate::definitions::TypeId;
use crate::index::Condition;
use crate::store::{Budget, StoreError};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use mongodb::action::Action;
use mongodb::bson::{Document, doc};
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Of which state, and at which cost, something is asked.
#[derive(Clone, Copy)]
pub struct Asked<'s> {
    pub shared: &'s Shared,
    pub tenant: TenantId,
    pub position: u64,
    /// How far versions have what leads to them.
    pub mark: Mark,
    pub budget: &'s Budget,
}

/// Answers the chains of a condition that is asked of resources of some types.
pub fn settle<'s>(
    asked: Asked<'s>,
    kinds: &'s [TypeId],
    condition: &'s Condition,
) -> BoxFuture<'s, Result<Settled, StoreError>> {
    async move {
        let shared = asked.shared;
        let many = |conditions: &'s [Condition]| async move {
            let mut settled = Vec::with_capacity(conditions.len());
            for condition in conditions {
                settled.push(settle(asked, kinds, condition).await?);
            }
            Ok::<_, StoreError>(settled)
        };
        Ok(match condition {
            Condition::Not(inner) => Settled::Not(Box::new(settle(asked, kinds, inner).await?)),
            Condition::And(all) => Settled::And(many(all).await?),
            Condition::Or(any) => Settled::Or(many(any).await?),
            Condition::Nothing => Settled::Or(Vec::new()),
            Condition::Chain { parameter, targets, condition } => {
                let mut terms = FxHashSet::default();
                for target in targets {
                    let kinds = std::slice::from_ref(target);
                    each(asked, kinds, condition, false, |found| {
                        let (kind, id) = name_of(found, &*shared.vocabulary)?;
                        terms.insert(shared.vocabulary.reference_term(*parameter, kind, id.as_str()));
                        Ok(())
                    })
                    .await?;
                }
                Settled::OneOf(Arc::new(terms))
            }
            Condition::Reverse { source, parameter, condition } => {
                let mut referred = FxHashSet::default();
                let sources = std::slice::from_ref(source);
                each(asked, sources, condition, true, |found| {
                    for term in terms_of(found)?.as_slice().iter().filter(|t| t.parameter() == *parameter) {
                        if let Some((kind, id)) = shared.vocabulary.target_of(term)
                            && kinds.contains(&kind)
                            && let Some(id) = crate::base::ResourceId::new(id)
                        {
                            referred.insert((kind, id));
                        }
                    }
                    Ok(())
                })
                .await?;
                Settled::Among(Arc::new(referred))
            }
            plain => Settled::Plain(plain.clone()),
        })
    }
    .boxed()
}

/// Gives every current resource of some types that fulfils a condition; with its terms, if they are wanted.
async fn each(
    asked: Asked<'_>,
    kinds: &[TypeId],
    condition: &Condition,
    terms: bool,
    mut take: impl FnMut(&Document) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let Asked { shared, tenant, position, mark, budget } = asked;
    let settled = settle(asked, kinds, condition).await?;
    let filter = settled.filter(&*shared.vocabulary);
    let mut fields = doc! { "k": 1, "i": 1 };
    if terms || !filter.exact {
        fields.insert("x", 1);
    }
    let visible = Visible { shared, tenant, position, mark };
    let query = visible.filter(kinds, None, visible.led(kinds, &settled, &[]).as_ref(), filter.document);
    let find = shared.versions.find(query).projection(fields);
    let mut rows = find.optional(budget.left(), |find, left| find.max_time(left)).await?;
    let mut spending = Spending::of(budget);
    while let Some(found) = rows.try_next().await? {
        spending.row()?;
        if !filter.exact {
            let (kind, id) = name_of(&found, &*shared.vocabulary)?;
            if !settled.matches(kind, &id, &terms_of(&found)?) {
                continue;
            }
        }
        take(&found)?;
    }
    Ok(())
}
