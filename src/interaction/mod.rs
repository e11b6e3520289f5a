//! Floor 7: the RESTful interactions (R4 http.html). The gate: nothing above can name the store.

mod request;

pub use request::{
    Context, Effect, Handling, Interaction, Media, Payload, Preconditions, Prefer, Reply, ReplyContent, Request,
    Return, Verb,
};
