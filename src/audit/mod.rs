//! Floor 7: the audit trail. What happened becomes an [`Event`]; written down it is a FHIR AuditEvent of the shapes of
//! IHE BALP (Basic Audit Log Patterns). The store appends it in the commit of what it tells about and chains it by
//! hashes; [`verify()`] follows the chain, and a signed [`Checkpoint`] lets an auditor prove later that nothing before it
//! was changed. When an event is recorded is decided in `interaction`; who may read the trail, in `access`.

mod checkpoint;
mod event;
mod level;
mod patients;
mod shape;
mod verify;

pub use checkpoint::{Checkpoint, CheckpointError, SigningKey, hex};
pub use event::{Event, Severity};
pub use level::Level;
pub use patients::Patients;
pub use verify::{Verified, verify};

use crate::access::Caller;
use crate::base::Timestamp;
use std::net::IpAddr;

/// Where a request came from and who sent it, as the trail tells it.
pub struct Origin<'r> {
    /// The base of this server as the client sees it.
    pub base: &'r str,
    /// Who asks.
    pub caller: &'r Caller,
    /// From which address.
    pub remote: Option<IpAddr>,
    /// The id of the request.
    pub request_id: &'r str,
    /// When.
    pub now: Timestamp,
}
