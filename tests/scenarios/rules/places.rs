//! The rules about where a credential is published, who uses it, and what never changes about a resource.

use serde_json::{Value, json};

use super::{Rule, VAULT, account, certificate, credential, federated, outside, publishing, spec, tenant, vaults};
use crate::manifests::{OTHER, merged};

pub(super) fn about_publication() -> Vec<Rule> {
    let data = |key: &str| publishing(json!({"template": {"data": {key: "{{ clientSecret }}"}}}));
    let label = |key: &str, value: &str| publishing(json!({"template": {"metadata": {"labels": {key: value}}}}));
    vec![
        credential(
            "publishing lists something",
            spec(json!({"publish": {"keyVaults": []}})),
            "publish must list a secret or at least one of keyVaults",
            publishing(json!({})),
        ),
        credential(
            "a vault's URL has no trailing slash",
            vaults(json!([{"vaultUrl": format!("{VAULT}/"), "name": "a"}])),
            "must be the URL of a Key Vault in lower case and without a trailing slash, for example",
            vaults(json!([{"vaultUrl": VAULT, "name": "a"}])),
        ),
        credential(
            "a vault's entry has a name in lower case",
            vaults(json!([{"vaultUrl": VAULT, "name": "Payments"}])),
            "must be the name of a Key Vault object: lower-case letters, digits and '-'",
            vaults(json!([{"vaultUrl": VAULT, "name": "payments"}])),
        ),
        credential(
            "only a certificate is imported as one",
            vaults(json!([{"vaultUrl": VAULT, "name": "a", "objectType": "Certificate"}])),
            "objectType can be Certificate only with spec.certificate",
            merged(
                certificate(json!({"generate": {}})),
                &vaults(json!([{"vaultUrl": VAULT, "name": "a", "objectType": "Certificate"}])),
            ),
        ),
        credential(
            "what is imported as a certificate has no template",
            merged(
                certificate(json!({"generate": {}})),
                &vaults(json!([
                    {"vaultUrl": VAULT, "name": "a", "objectType": "Certificate", "template": "{{ credentialPem }}"},
                ])),
            ),
            "is imported as it is: remove template",
            merged(
                certificate(json!({"generate": {}})),
                &vaults(json!([
                    {"vaultUrl": VAULT, "name": "a", "objectType": "Secret", "template": "{{ credentialPem }}"},
                ])),
            ),
        ),
        credential(
            "a template writes keys that a Secret can have",
            data("app settings"),
            "has a key that a Secret cannot have",
            data("app_settings.json"),
        ),
        credential(
            "a template leaves the coherent keys alone",
            data("AZURE_CLIENT_ID"),
            "must not set the keys that Keywright itself keeps together",
            data("CLIENT_ID"),
        ),
        credential(
            "a template is not blank",
            publishing(json!({"template": {"data": {"a": " "}}})),
            "must not be blank",
            data("a"),
        ),
        credential(
            "labels of GitOps tools are reserved",
            label("argocd.argoproj.io/instance", "payments"),
            "by which GitOps tools claim an object",
            label("team", "payments"),
        ),
        credential(
            "our own annotations are reserved",
            publishing(json!({"template": {"metadata": {"annotations": {"keywright.dev/key-id": "x"}}}})),
            "must not set what belongs to Keywright",
            publishing(json!({"template": {"metadata": {"annotations": {"contoso.com/keywright": "x"}}}})),
        ),
        credential(
            "metadata has keys that Kubernetes takes",
            label("team name", "payments"),
            "metadata has a key that Kubernetes refuses",
            label("contoso.com/team_name", "payments"),
        ),
        credential(
            "a label has a value that Kubernetes takes",
            label("team", "payments team"),
            "labels has a value that Kubernetes refuses",
            label("team", ""),
        ),
        credential(
            "a Secret's type has no meaning to others",
            publishing(json!({"template": {"type": "kubernetes.io/service-account-token"}})),
            "must not be a type that Keywright or Kubernetes itself gives a meaning to",
            publishing(json!({"template": {"type": "contoso.com/entra"}})),
        ),
    ]
}

pub(super) fn about_people() -> Vec<Rule> {
    let holder = |holder: Value| spec(json!({"consumers": {"external": [holder]}}));
    let retiring = spec(json!({"retirement": {"foreignKeyIds": [OTHER]}}));
    vec![
        credential(
            "a holder counts as confirmed after a period that is said",
            holder(json!({"name": "batch", "confirm": "After"})),
            "after is needed with confirm: After, is allowed with confirm: SignInReport, and goes with no other, for example",
            holder(json!({"name": "batch", "confirm": "After", "after": "7d"})),
        ),
        credential(
            "a period goes with those for whom it means something",
            holder(json!({"name": "sso", "confirm": "Manual", "after": "7d"})),
            "after is needed with confirm: After, is allowed with confirm: SignInReport, and goes with no other",
            holder(json!({"name": "sso", "confirm": "SignInReport", "after": "7d"})),
        ),
        credential(
            "a holder's name fits into the annotation by which it confirms",
            holder(json!({"name": "a".repeat(54), "confirm": "Manual"})),
            "may not be more than 53",
            holder(json!({"name": "a".repeat(53), "confirm": "Manual"})),
        ),
        credential(
            "a holder has a plain name",
            holder(json!({"name": "Braintrust SSO", "confirm": "Manual"})),
            "must be a name of lower-case letters, digits and '-', for example braintrust-sso",
            holder(json!({"name": "braintrust-sso", "confirm": "Manual"})),
        ),
        credential(
            "where only outsiders sign in, somebody confirms before foreign credentials go",
            merged(federated(json!([outside("github", "s")])), &retiring),
            "with external identities only needs a holder in spec.consumers.external that confirms",
            merged(federated(json!([outside("github", "s"), account("api", "api")])), &retiring),
        ),
        credential(
            "a copy is in a key that a Secret can have",
            spec(json!({"consumers": {"syncedSecrets": [{"name": "copy", "key": "client secret"}]}})),
            "must be a key of a Secret",
            spec(json!({"consumers": {"syncedSecrets": [{"name": "copy", "key": "client-secret"}]}})),
        ),
    ]
}

pub(super) fn about_changes() -> Vec<Rule> {
    let typed = |type_: &str| publishing(json!({"template": {"type": type_}}));
    vec![
        credential(
            "a tenant is not changed",
            spec(json!({"tenantRef": {"name": "other"}})),
            "spec.tenantRef cannot change, because an application lives in one tenant: create a second resource",
            spec(json!({"tenantRef": {"name": "default"}})),
        )
        .after(json!({})),
        credential(
            "an application is not changed",
            spec(json!({"clientId": OTHER})),
            "spec.clientId cannot change, because what was minted belongs to one application: create a second resource",
            spec(json!({"suspend": true})),
        )
        .after(json!({})),
        credential(
            "a Secret's type is not changed",
            typed("contoso.com/entra"),
            "template.type cannot change, because Kubernetes fixes the type of a Secret when it is created",
            merged(typed("contoso.com/entra"), &publishing(json!({"name": "payments-api-2"}))),
        )
        .after(json!({})),
        credential(
            "a Secret's type is not changed, but that of one to be taken over can be named",
            typed("kubernetes.io/basic-auth"),
            "template.type cannot change",
            merged(typed("kubernetes.io/basic-auth"), &publishing(json!({"creationPolicy": "Adopt"}))),
        )
        .after(json!({})),
        credential(
            "what was merged into somebody else's Secret is not made ours unasked",
            publishing(json!({"creationPolicy": "Owner"})),
            "creationPolicy cannot change from Merge to Owner, because what others keep",
            publishing(json!({"creationPolicy": "Adopt"})),
        )
        .after(publishing(json!({"creationPolicy": "Merge"}))),
        credential(
            "what was merged is not made ours by leaving the policy out",
            publishing(json!({"creationPolicy": null})),
            "creationPolicy cannot change from Merge to Owner",
            publishing(json!({"creationPolicy": null, "name": "payments-api-2"})),
        )
        .after(publishing(json!({"creationPolicy": "Merge"}))),
        tenant(
            "a tenant's ID is not changed",
            spec(json!({"tenantId": OTHER})),
            "spec.tenantId cannot change, because resources refer to this tenant by name: create another EntraTenant",
            spec(json!({"suspend": true})),
        )
        .after(json!({})),
        tenant(
            "a tenant's cloud is not changed",
            spec(json!({"cloud": "China"})),
            "spec.cloud cannot change, because a tenant lives in one cloud: create another EntraTenant",
            spec(json!({"cloud": "Public"})),
        )
        .after(json!({})),
    ]
}
