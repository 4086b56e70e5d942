//! The rules about kinds of credential, and about the policy of one.

use serde_json::json;

use super::{Rule, VAULT, account, certificate, credential, federated, outside, publishing, spec, vaults};
use crate::manifests::{CLIENT, OTHER, merged};

pub(super) fn about_kinds() -> Vec<Rule> {
    vec![
        credential(
            "there is a kind of credential",
            spec(json!({"clientSecret": null})),
            "exactly one of clientSecret, certificate and federated, for example clientSecret: {}; found none",
            json!({}),
        ),
        credential(
            "there is only one kind of credential",
            spec(json!({"certificate": {"generate": {}}})),
            "found 2",
            certificate(json!({"generate": {}})),
        ),
        credential(
            "three kinds are counted as three",
            spec(json!({"certificate": {"generate": {}}, "federated": {"identities": [account("a", "a")]}})),
            "found 3",
            federated(json!([account("a", "a")])),
        ),
        credential(
            "a null kind is no kind",
            spec(json!({"clientSecret": null, "certificate": null})),
            "found none",
            spec(json!({"certificate": null})),
        ),
        credential(
            "a client ID is a GUID in lower case",
            spec(json!({"clientId": "8F3C2C1E-0B6A-4D5E-9C1F-2A7B3C4D5E6F"})),
            "must be a GUID in lower case, for example",
            spec(json!({"clientId": "8f3c2c1e-0b6a-4d5e-9c1f-2a7b3c4d5e6f"})),
        ),
        credential(
            "a certificate is generated or given",
            certificate(json!({"generate": {}, "secretRef": {"name": "payments-tls"}})),
            "exactly one of generate and secretRef, for example",
            certificate(json!({"secretRef": {"name": "payments-tls"}})),
        ),
        credential(
            "an RSA key has a size that Entra takes",
            certificate(json!({"generate": {"privateKey": {"size": 1024}}})),
            "privateKey.size must be 2048, 3072 or 4096, for example",
            certificate(json!({"generate": {"privateKey": {"size": 4096}}})),
        ),
        credential(
            "a source is never what is published",
            certificate(json!({"secretRef": {"name": "payments-api"}})),
            "secretRef must not name the Secret that is published",
            merged(certificate(json!({"secretRef": {"name": "payments-api"}})), &publishing(json!({"name": "other"}))),
        ),
        credential(
            "a source is never what is published under another name",
            merged(certificate(json!({"secretRef": {"name": "tls"}})), &publishing(json!({"name": "tls"}))),
            "secretRef must not name the Secret that is published",
            merged(
                certificate(json!({"secretRef": {"name": "tls"}})),
                &vaults(json!([{"vaultUrl": VAULT, "name": "a"}])),
            ),
        ),
        credential(
            "a name fits into annotations",
            json!({"metadata": {"name": "a".repeat(64)}}),
            "metadata.name must have at most 63 characters",
            json!({"metadata": {"name": "a".repeat(63)}}),
        ),
    ]
}

pub(super) fn about_identities() -> Vec<Rule> {
    vec![
        credential(
            "an identity is a ServiceAccount or external",
            federated(json!([merged(account("a", "a"), &outside("a", "s"))])),
            "exactly one of serviceAccount and external, for example",
            federated(json!([account("a", "a"), outside("b", "s")])),
        ),
        credential(
            "an issuer has a subject once",
            federated(json!([outside("a", "same"), outside("b", "same")])),
            "must not repeat an issuer with the same subject",
            federated(json!([outside("a", "one"), outside("b", "two")])),
        ),
        credential(
            "a ServiceAccount is federated once",
            federated(json!([account("a", "same"), account("b", "same")])),
            "must not repeat a serviceAccount",
            federated(json!([account("a", "one"), account("b", "two")])),
        ),
        credential(
            "an issuer is an https URL",
            federated(json!([{"name": "a", "external": {"issuer": "http://issuer.example", "subject": "s"}}])),
            "must be an https URL, for example",
            federated(json!([{"name": "a", "external": {"issuer": "https://issuer.example/", "subject": "s"}}])),
        ),
        credential(
            "a subject is not blank",
            federated(json!([outside("a", " ")])),
            "must not be blank",
            federated(json!([outside("a", "s")])),
        ),
        credential(
            "an identity's name fits into the annotation by which it is confirmed",
            federated(json!([account(&"a".repeat(54), "a")])),
            "may not be more than 53",
            federated(json!([account(&"a".repeat(53), "a")])),
        ),
        credential(
            "an identity has a plain name",
            federated(json!([account("Api", "a")])),
            "must be a name of lower-case letters, digits and '-'",
            federated(json!([account("api", "a")])),
        ),
        credential(
            "a ServiceAccount has a Kubernetes name",
            federated(json!([account("a", "Payments")])),
            "must be a Kubernetes name",
            federated(json!([account("a", "payments.api")])),
        ),
        credential(
            "what has no value is kept in no vault",
            merged(
                federated(json!([account("a", "a")])),
                &vaults(json!([{"vaultUrl": VAULT, "name": "payments-api"}])),
            ),
            "spec.publish.keyVaults keeps values of credentials, and federated credentials have none",
            merged(federated(json!([account("a", "a")])), &publishing(json!({"name": "payments-api"}))),
        ),
    ]
}

pub(super) fn about_policy() -> Vec<Rule> {
    vec![
        credential(
            "a duration has its units",
            spec(json!({"clientSecret": {"validity": "90"}})),
            "must be a duration of days, hours, minutes and seconds in this order, for example 90d, 36h or 1d12h",
            spec(json!({"clientSecret": {"validity": "2160h0m0s"}})),
        ),
        credential(
            "what is no duration is not compared with others",
            spec(json!({"clientSecret": {"validity": "90"}, "rotation": {"renewBefore": "soon"}})),
            "must be a duration of days, hours, minutes and seconds in this order",
            spec(json!({"clientSecret": {"validity": "90d"}, "rotation": {"renewBefore": "30d"}})),
        ),
        credential(
            "a secret is renewed within its validity",
            spec(json!({"clientSecret": {"validity": "30d"}, "rotation": {"renewBefore": "720h"}})),
            "renewBefore must be shorter than spec.clientSecret.validity, for example",
            spec(json!({"clientSecret": {"validity": "30d"}, "rotation": {"renewBefore": "29d23h"}})),
        ),
        credential(
            "a certificate is renewed within its validity",
            merged(
                certificate(json!({"generate": {"validity": "1d12h"}})),
                &spec(json!({"rotation": {"renewBefore": "36h"}})),
            ),
            "renewBefore must be shorter than spec.certificate.generate.validity, for example",
            merged(
                certificate(json!({"generate": {"validity": "1d12h"}})),
                &spec(json!({"rotation": {"renewBefore": "1d"}})),
            ),
        ),
        credential(
            "only what Keywright renews has a time of renewal",
            merged(federated(json!([account("a", "a")])), &spec(json!({"rotation": {"renewBefore": "1d"}}))),
            "renewBefore applies only to what Keywright itself renews",
            merged(
                federated(json!([account("a", "a")])),
                &spec(json!({"rotation": {"issuedAfter": "2026-11-21T00:00:00Z"}})),
            ),
        ),
        credential(
            "an overlap ends before the old one expires",
            spec(json!({"rotation": {"renewBefore": "1d"}, "retirement": {"minOverlap": "24h"}})),
            "minOverlap must be shorter than spec.rotation.renewBefore",
            spec(json!({"rotation": {"renewBefore": "1d"}, "retirement": {"minOverlap": "23h"}})),
        ),
        credential(
            "a proof fits into its time",
            spec(json!({"verification": {"interval": "15m", "timeout": "15m"}})),
            "interval must be shorter than spec.verification.timeout",
            spec(json!({"verification": {"interval": "5s", "timeout": "15m"}})),
        ),
        credential(
            "a scope is one of client credentials",
            spec(json!({"verification": {"scope": "https://graph.microsoft.com/User.Read"}})),
            "must be a scope that ends in /.default, for example",
            spec(json!({"verification": {"scope": "https://graph.microsoft.com/.default"}})),
        ),
        credential(
            "a schedule has five fields",
            spec(json!({"rotation": {"windows": [{"schedule": "@daily", "duration": "1h"}]}})),
            "must be a schedule of five fields",
            spec(json!({"rotation": {"windows": [{"schedule": "0 2 * * 1-5", "duration": "1h"}]}})),
        ),
        credential(
            "a time zone is IANA's",
            spec(
                json!({"rotation": {"windows": [{"schedule": "0 2 * * *", "duration": "1h", "timeZone": "Berlin, DE"}]}}),
            ),
            "must be an IANA time zone, for example Europe/Berlin",
            spec(
                json!({"rotation": {"windows": [{"schedule": "0 2 * * *", "duration": "1h", "timeZone": "Europe/Berlin"}]}}),
            ),
        ),
        credential(
            "a credential is foreign or compromised, not both",
            spec(json!({"retirement": {"foreignKeyIds": [OTHER], "compromisedKeyIds": [OTHER]}})),
            "foreignKeyIds and compromisedKeyIds must not share a key ID",
            spec(json!({"retirement": {"foreignKeyIds": [OTHER], "compromisedKeyIds": [CLIENT]}})),
        ),
        credential(
            "what is adopted comes from one place",
            spec(json!({"adopt": {"keyId": OTHER, "valueFrom": {}}})),
            "exactly one of secretKeyRef and keyVaultRef, for example",
            spec(json!({"adopt": {"keyId": OTHER, "valueFrom": {"secretKeyRef": {"name": "old", "key": "password"}}}})),
        ),
        credential(
            "what has no value is not adopted",
            merged(
                federated(json!([account("a", "a")])),
                &spec(json!({"adopt": {"keyId": OTHER, "valueFrom": {"secretKeyRef": {"name": "old", "key": "k"}}}})),
            ),
            "spec.adopt takes over a value, and federated credentials have none",
            federated(json!([account("a", "a")])),
        ),
    ]
}
