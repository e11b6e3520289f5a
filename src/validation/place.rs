//! Where the walk is: a chain of path segments on the stack. It becomes a text only when there is an issue.

use std::fmt::Write;

/// One segment of a FHIRPath expression and the segments before it.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    before: Option<&'p Place<'p>>,
    name: &'p str,
    index: Option<u32>,
    /// Whether a resource begins here.
    resource: bool,
}

impl<'p> Place<'p> {
    /// The outermost place: the name of the resource type.
    pub(super) fn root(name: &'p str) -> Place<'p> {
        Place { before: None, name, index: None, resource: true }
    }

    /// A property or element of this place.
    pub(super) fn child<'q>(&'q self, name: &'q str) -> Place<'q>
    where
        'p: 'q,
    {
        Place { before: Some(self), name, index: None, resource: false }
    }

    /// The item with this number, where the place is an array.
    pub(super) fn item(self, index: usize) -> Place<'p> {
        Place { index: Some(index as u32), ..self }
    }

    /// The place that this is in.
    pub(super) fn parent(&self) -> Option<Place<'p>> {
        self.before.copied()
    }

    /// The same place, where a resource begins.
    pub(super) fn starting(self) -> Place<'p> {
        Place { resource: true, ..self }
    }

    /// The segments after the resource that this is in, outermost first.
    pub(super) fn within_resource(&self) -> Vec<(&'p str, Option<u32>)> {
        let mut segments = Vec::new();
        let mut at = Some(self);
        while let Some(place) = at.filter(|p| !p.resource) {
            segments.push((place.name, place.index));
            at = place.before;
        }
        segments.reverse();
        segments
    }

    /// The FHIRPath expression.
    pub(super) fn expression(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        if let Some(before) = self.before {
            before.write(out);
            out.push('.');
        }
        out.push_str(self.name);
        if let Some(index) = self.index {
            let _ = write!(out, "[{index}]");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn written_as_fhirpath() {
        let patient = Place::root("Patient");
        let contact = patient.child("contact").item(0);
        assert_eq!(contact.child("gender").expression(), "Patient.contact[0].gender");
        assert_eq!(patient.expression(), "Patient");
    }
}
