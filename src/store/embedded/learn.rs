//! Shows the vocabulary what says which terms resources have, before anything is indexed.

use super::truth::Truth;
use crate::base::TenantId;
use crate::store::{StoreError, Vocabulary};

/// Shows the item that the vocabulary names, if there is one.
pub fn learn(truth: &Truth, vocabulary: &dyn Vocabulary) -> Result<(), StoreError> {
    if let Some((collection, key)) = vocabulary.defined_by()
        && let Some(item) = truth.read()?.item(TenantId::default(), collection, key)?
    {
        vocabulary.learn(&item.value);
    }
    Ok(())
}
