//! Tests of the whole room: resources in, conditions over their terms out.

mod official;
