//! Shows the vocabulary the resources that say which terms resources have, before anything is indexed.

use super::dictionary::Codec;
use super::record::{Header, version_key};
use super::truth::{Look, Truth, damaged};
use super::types::Types;
use crate::store::{Body, StoreError, Vocabulary};

/// Shows the current resources of the defining types.
pub fn learn(truth: &Truth, types: &Types, codec: &Codec, vocabulary: &dyn Vocabulary) -> Result<(), StoreError> {
    let kinds = vocabulary.defining().iter().filter_map(|name| vocabulary.kind(name));
    let stored: Vec<_> = kinds.filter_map(|kind| Some((kind, types.stored(kind)?))).collect();
    if stored.is_empty() {
        return Ok(());
    }
    let reading = truth.read()?;
    for (tenant, _) in reading.tenants()? {
        for (kind, stored_type) in &stored {
            for newest in reading.newest_of(tenant, *stored_type)? {
                if newest.deleted {
                    continue;
                }
                let (header, body): (Header, _) = reading.version(tenant, newest.number)?;
                let told = |e: StoreError| damaged(tenant, header.number, &format!("is damaged: {e}"));
                let packed = truth.opened(&version_key(tenant, header.number), body).map_err(told)?;
                let body = codec.decompress(header.dictionary, &packed).map_err(told)?;
                let mut text = Vec::new();
                let name = vocabulary.name(*kind);
                Body::write_resource(&body, name, header.id.as_str(), header.version, header.last_updated, &mut text);
                vocabulary.learn(tenant, &text);
            }
        }
    }
    Ok(())
}
