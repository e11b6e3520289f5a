//! (being written)


