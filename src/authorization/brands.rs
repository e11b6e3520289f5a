//! The brand of this server for people who look for it in an app (SMART user-access brands): a Bundle with the
//! organisation and its endpoint. What it is called comes from the settings.

use super::Authorization;
use crate::interaction::{Endpoints, origin};
use serde_json::{Value, json};

const PROFILES: &str = "http://hl7.org/fhir/smart-app-launch/StructureDefinition/";

impl Authorization {
    /// `brands.json`
    pub(super) fn brands(&self, base: &str) -> Value {
        let root = origin(base);
        let identifier = json!({"system": "urn:ietf:rfc:3986", "value": root});
        let organization = format!("{base}/Organization/vesta");
        let endpoint = format!("{base}/Endpoint/vesta");
        let profile = |name: &str| json!({"profile": [format!("{PROFILES}{name}")]});
        json!({
            "resourceType": "Bundle",
            "meta": profile("user-access-brands-bundle"),
            "type": "collection",
            "timestamp": self.began.to_instant(),
            "entry": [
                {
                    "fullUrl": organization,
                    "resource": {
                        "resourceType": "Organization",
                        "id": "vesta",
                        "meta": profile("user-access-brand"),
                        "identifier": [identifier],
                        "active": true,
                        "name": self.settings.organization,
                        "telecom": [{"system": "url", "value": root}],
                        "endpoint": [{"reference": "Endpoint/vesta"}],
                        "extension": [{
                            "url": format!("{PROFILES}organization-portal"),
                            "extension": [
                                {"url": "portalName", "valueString": self.settings.organization},
                                {"url": "portalUrl", "valueUrl": Endpoints::of(base).manage},
                                {"url": "portalEndpoint", "valueReference": {"reference": "Endpoint/vesta"}}
                            ]
                        }]
                    }
                },
                {
                    "fullUrl": endpoint,
                    "resource": {
                        "resourceType": "Endpoint",
                        "id": "vesta",
                        "meta": profile("user-access-endpoint"),
                        "extension": [{
                            "url": "http://hl7.org/fhir/StructureDefinition/endpoint-fhir-version",
                            "valueCode": "4.0.1"
                        }],
                        "status": "active",
                        "connectionType": {
                            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
                            "code": "hl7-fhir-rest"
                        },
                        "name": self.settings.organization,
                        "managingOrganization": {"reference": "Organization/vesta"},
                        "contact": [{"system": "url", "value": root}],
                        "payloadType": [{
                            "coding": [{
                                "system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type",
                                "code": "none"
                            }]
                        }],
                        "address": base
                    }
                }
            ]
        })
    }
}
