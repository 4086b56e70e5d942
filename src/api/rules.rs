//! Every rule that spans several fields, as the API server checks it (`x-kubernetes-validations`). A message names the
//! field, the rule and an example, because it is all that its reader gets. Rules of a single value are in `values`.

use kube::core::{Message, Rule};

/// A rule and what the API server says when it is broken.
#[derive(Clone, Copy)]
pub(super) struct Law {
    rule: &'static str,
    message: &'static str,
    counts: Option<&'static str>,
}

impl Law {
    const fn new(rule: &'static str, message: &'static str) -> Self {
        Self { rule, message, counts: None }
    }

    /// A message that ends with what was found: the expression must be a choice of literals, since the API server
    /// cannot bound the cost of a number printed.
    const fn counting(rule: &'static str, message: &'static str) -> Self {
        Self { rule, message: "", counts: Some(message) }
    }
}

impl From<Law> for Rule {
    fn from(law: Law) -> Self {
        Self::new(law.rule).message(match law.counts {
            Some(expression) => Message::Expression(expression.to_owned()),
            None => Message::Message(law.message.to_owned()),
        })
    }
}

/// The seconds of a duration field. CEL's own `duration` knows no days.
#[rustfmt::skip]
macro_rules! seconds {
    ($field:literal) => {
        concat!(
            "(", $field, ".indexOf('d') < 0 ? duration(", $field, ").getSeconds() : int(", $field, ".substring(0, ",
            $field, ".indexOf('d'))) * 86400 + (", $field, ".endsWith('d') ? 0 : duration(", $field, ".substring(",
            $field, ".indexOf('d') + 1)).getSeconds()))"
        )
    };
}

/// Where both fields are given, the first must be the shorter one. What is no duration is refused by its own rule; here
/// it would only end in an error about types.
#[rustfmt::skip]
macro_rules! shorter {
    ($has:literal, $short:literal, $long:literal) => {
        concat!(
            "!(", $has, ") || !", $short, ".matches('", period_pattern!(), "') || !", $long, ".matches('", period_pattern!(),
            "') || ", seconds!($short), " < ", seconds!($long)
        )
    };
}

/// The field itself never changes.
macro_rules! immutable {
    ($message:literal) => {
        Law::new("self == oldSelf", $message)
    };
}

/// How many of three optional fields are there.
macro_rules! count3 {
    ($a:literal, $b:literal, $c:literal) => {
        concat!("(has(", $a, ") ? 1 : 0) + (has(", $b, ") ? 1 : 0) + (has(", $c, ") ? 1 : 0)")
    };
}

// EntraAppCredential, the whole object

pub(super) const NAME_LENGTH: Law = Law::new(
    "self.metadata.name.size() <= 63",
    "metadata.name must have at most 63 characters, because it becomes part of annotations on workloads, for example payments-api",
);

/// A name in which '' stands for the resource's own, whose length the API server does not know and would price as endless.
macro_rules! short_name {
    ($name:literal) => {
        concat!("(", $name, " == self.metadata.name ? '' : ", $name, ")")
    };
}

/// The Secret that is published: its name as `short_name` has it, or '-' if there is none.
#[rustfmt::skip]
macro_rules! published_secret {
    ($spec:literal) => {
        concat!(
            "(has(", $spec, ".publish) ? (has(", $spec, ".publish.secret) ? (has(", $spec, ".publish.secret.name) ? ",
            "(", $spec, ".publish.secret.name == self.metadata.name ? '' : ", $spec, ".publish.secret.name)",
            " : '') : '-') : (has(", $spec, ".federated) ? '-' : ''))"
        )
    };
}

pub(super) const SOURCE_IS_NOT_PUBLISHED: Law = Law::new(
    concat!(
        "!has(self.spec.certificate) || !has(self.spec.certificate.secretRef) || ",
        published_secret!("self.spec"),
        " != ",
        short_name!("self.spec.certificate.secretRef.name")
    ),
    "spec.certificate.secretRef must not name the Secret that is published (spec.publish.secret.name, by default the resource's own name), because it is a source and would be overwritten: name the source differently, for example payments-tls",
);

/// The type that the published Secret has. (`orValue` would be shorter, but the API server prices its result as endless.)
#[rustfmt::skip]
macro_rules! secret_type {
    ($spec:literal) => {
        concat!(
            "(has(", $spec, ".publish) && has(", $spec, ".publish.secret) && has(", $spec, ".publish.secret.template) && has(",
            $spec, ".publish.secret.template.type) ? ", $spec, ".publish.secret.template.type : 'Opaque')"
        )
    };
}

/// Whether a Secret that somebody else may have made is taken over or added to.
#[rustfmt::skip]
macro_rules! is_shared {
    ($spec:literal) => {
        concat!(
            "(has(", $spec, ".publish) && has(", $spec, ".publish.secret) && has(", $spec, ".publish.secret.creationPolicy) && ",
            $spec, ".publish.secret.creationPolicy != 'Owner')"
        )
    };
}

pub(super) const SECRET_TYPE_FIXED: Law = Law::new(
    concat!(
        // Whoever takes over or adds to a Secret that exists must be able to name its type.
        is_shared!("self.spec"),
        " || ",
        published_secret!("self.spec"),
        " == '-' || ",
        published_secret!("self.spec"),
        " != ",
        published_secret!("oldSelf.spec"),
        " || ",
        secret_type!("self.spec"),
        " == ",
        secret_type!("oldSelf.spec")
    ),
    "spec.publish.secret.template.type cannot change, because Kubernetes fixes the type of a Secret when it is created: publish under a new name instead, for example spec.publish.secret.name: payments-api-2",
);

pub(super) const WHAT_WAS_MERGED_STAYS_SHARED: Law = Law::new(
    concat!(
        "!",
        is_shared!("oldSelf.spec"),
        " || oldSelf.spec.publish.secret.creationPolicy != 'Merge' || ",
        is_shared!("self.spec"),
        " || ",
        published_secret!("self.spec"),
        " == '-' || ",
        published_secret!("self.spec"),
        " != ",
        published_secret!("oldSelf.spec")
    ),
    "spec.publish.secret.creationPolicy cannot change from Merge to Owner, because what others keep in that Secret would be overwritten: publish under a new name instead, for example spec.publish.secret.name: payments-api-2, or take over all of it with creationPolicy: Adopt",
);

// EntraAppCredential.spec

pub(super) const ONE_KIND: Law = Law::counting(
    concat!(count3!("self.clientSecret", "self.certificate", "self.federated"), " == 1"),
    concat!(
        "'spec must have exactly one of clientSecret, certificate and federated, for example clientSecret: {}; found ' + (",
        count3!("self.clientSecret", "self.certificate", "self.federated"),
        " == 0 ? 'none' : ",
        count3!("self.clientSecret", "self.certificate", "self.federated"),
        " == 2 ? '2' : '3')"
    ),
);

pub(super) const TENANT_FIXED: Law = immutable!(
    "spec.tenantRef cannot change, because an application lives in one tenant: create a second resource, for example payments-api-2, with the other tenantRef, and delete this one when its consumers have moved"
);

pub(super) const CLIENT_FIXED: Law = immutable!(
    "spec.clientId cannot change, because what was minted belongs to one application: create a second resource, for example payments-api-2, with the other clientId, and delete this one when its consumers have moved"
);

pub(super) const RENEWAL_NEEDS_AN_EXPIRY: Law = Law::new(
    "!has(self.rotation) || !has(self.rotation.renewBefore) || has(self.clientSecret) || (has(self.certificate) && has(self.certificate.generate))",
    "spec.rotation.renewBefore applies only to what Keywright itself renews, clientSecret and certificate.generate: remove it, or for example set renewBefore in the cert-manager Certificate behind certificate.secretRef",
);

pub(super) const RENEWAL_WITHIN_SECRET: Law = Law::new(
    shorter!(
        "has(self.rotation) && has(self.rotation.renewBefore) && has(self.clientSecret) && has(self.clientSecret.validity)",
        "self.rotation.renewBefore",
        "self.clientSecret.validity"
    ),
    "spec.rotation.renewBefore must be shorter than spec.clientSecret.validity, for example renewBefore: 30d with validity: 90d",
);

pub(super) const RENEWAL_WITHIN_CERTIFICATE: Law = Law::new(
    shorter!(
        "has(self.rotation) && has(self.rotation.renewBefore) && has(self.certificate) && has(self.certificate.generate) && has(self.certificate.generate.validity)",
        "self.rotation.renewBefore",
        "self.certificate.generate.validity"
    ),
    "spec.rotation.renewBefore must be shorter than spec.certificate.generate.validity, for example renewBefore: 30d with validity: 90d",
);

pub(super) const OVERLAP_WITHIN_RENEWAL: Law = Law::new(
    shorter!(
        "has(self.rotation) && has(self.rotation.renewBefore) && has(self.retirement) && has(self.retirement.minOverlap)",
        "self.retirement.minOverlap",
        "self.rotation.renewBefore"
    ),
    "spec.retirement.minOverlap must be shorter than spec.rotation.renewBefore, or the old credential would expire during the overlap, for example minOverlap: 24h with renewBefore: 30d",
);

pub(super) const CERTIFICATE_IN_VAULT: Law = Law::new(
    "has(self.certificate) || !has(self.publish) || !has(self.publish.keyVaults) || !self.publish.keyVaults.exists(v, has(v.objectType) && v.objectType == 'Certificate')",
    "spec.publish.keyVaults[].objectType can be Certificate only with spec.certificate: write objectType: Secret",
);

pub(super) const VAULT_HAS_A_VALUE: Law = Law::new(
    "!has(self.federated) || !has(self.publish) || !has(self.publish.keyVaults) || self.publish.keyVaults.size() == 0",
    "spec.publish.keyVaults keeps values of credentials, and federated credentials have none: remove it, and for a Secret that says where to sign in, and as what, write for example publish: {secret: {name: payments-api}}",
);

pub(super) const ADOPTION_HAS_A_VALUE: Law = Law::new(
    "!has(self.adopt) || !has(self.federated)",
    "spec.adopt takes over a value, and federated credentials have none: remove spec.adopt; an existing federated credential with the same issuer, subject and audience, for example one made by Terraform, is used as it is",
);

pub(super) const OUTSIDERS_CONFIRM: Law = Law::new(
    "!has(self.federated) || !has(self.retirement) || !has(self.retirement.foreignKeyIds) || self.retirement.foreignKeyIds.size() == 0 || self.federated.identities.exists(i, has(i.serviceAccount)) || (has(self.consumers) && has(self.consumers.external) && self.consumers.external.size() > 0)",
    "spec.retirement.foreignKeyIds with external identities only needs a holder in spec.consumers.external that confirms, because Keywright cannot sign in for outside issuers itself, for example {name: github, confirm: Manual}",
);

// The kinds of credential

pub(super) const GENERATED_OR_GIVEN: Law = Law::new(
    "has(self.generate) != has(self.secretRef)",
    "spec.certificate must have exactly one of generate and secretRef, for example generate: {validity: 90d}",
);

pub(super) const RSA_SIZE: Law = Law::new(
    "self in [2048, 3072, 4096]",
    "spec.certificate.generate.privateKey.size must be 2048, 3072 or 4096, for example size: 2048",
);

pub(super) const ONE_SUBJECT: Law = Law::new(
    "has(self.serviceAccount) != has(self.external)",
    "an entry of spec.federated.identities must have exactly one of serviceAccount and external, for example serviceAccount: {name: payments-api}",
);

pub(super) const SUBJECTS_DIFFER: Law = Law::new(
    "self.all(i, !has(i.external) || self.exists_one(j, has(j.external) && j.external.issuer == i.external.issuer && j.external.subject == i.external.subject))",
    "spec.federated.identities must not repeat an issuer with the same subject, because Entra allows each pair once per application: remove one of them, for example the second github entry",
);

pub(super) const ACCOUNTS_DIFFER: Law = Law::new(
    "self.all(i, !has(i.serviceAccount) || self.exists_one(j, has(j.serviceAccount) && j.serviceAccount.name == i.serviceAccount.name))",
    "spec.federated.identities must not repeat a serviceAccount, because Entra allows each subject once per application: remove one of them, for example the second payments-api entry",
);

// Publication

pub(super) const PUBLISHES_SOMETHING: Law = Law::new(
    "has(self.secret) || (has(self.keyVaults) && self.keyVaults.size() > 0)",
    "spec.publish must list a secret or at least one of keyVaults, for example secret: {name: payments-api}; leave spec.publish out for a Secret of the resource's own name",
);

pub(super) const IMPORTED_AS_IT_IS: Law = Law::new(
    "!has(self.template) || !has(self.objectType) || self.objectType != 'Certificate'",
    "an entry of spec.publish.keyVaults with objectType: Certificate is imported as it is: remove template, or write objectType: Secret",
);

pub(super) const SECRET_KEYS: Law = Law::new(
    "self.all(k, k.size() <= 253 && k.matches(r'^([-_a-zA-Z0-9]|\\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$'))",
    "spec.publish.secret.template.data has a key that a Secret cannot have: use letters, digits, '-', '_' and '.', for example appsettings.json",
);

pub(super) const COHERENT_KEYS: Law = Law::new(
    "self.all(k, !(k in ['AZURE_AUTHORITY_HOST', 'AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_CLIENT_SECRET', 'AZURE_CLIENT_CERTIFICATE_PATH', 'tls.crt', 'tls.key', 'credential.pem']))",
    "spec.publish.secret.template.data must not set the keys that Keywright itself keeps together (AZURE_*, tls.crt, tls.key, credential.pem): use another key, for example client-id",
);

pub(super) const RESERVED_METADATA: Law = Law::new(
    "self.all(k, !k.startsWith('keywright.dev/') && !k.startsWith('argocd.argoproj.io/') && !k.startsWith('kustomize.toolkit.fluxcd.io/') && !k.startsWith('helm.toolkit.fluxcd.io/') && !k.startsWith('meta.helm.sh/') && k != 'app.kubernetes.io/instance' && k != 'app.kubernetes.io/managed-by' && k != 'kubectl.kubernetes.io/last-applied-configuration')",
    "spec.publish.secret.template.metadata must not set what belongs to Keywright (keywright.dev/) or by which GitOps tools claim an object (argocd.argoproj.io/, kustomize.toolkit.fluxcd.io/, app.kubernetes.io/instance, …), or they would prune the Secret: use a key of your own, for example team: payments",
);

pub(super) const METADATA_KEYS: Law = Law::new(
    "self.all(k, k.size() <= 317 && k.matches(r'^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$'))",
    "spec.publish.secret.template.metadata has a key that Kubernetes refuses: write an optional prefix and a name of at most 63 characters, for example contoso.com/team",
);

pub(super) const LABEL_VALUES: Law = Law::new(
    "self.all(k, self[k].matches(r'^([a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)?$'))",
    "spec.publish.secret.template.metadata.labels has a value that Kubernetes refuses: at most 63 letters, digits, '-', '_' and '.', for example payments",
);

pub(super) const SECRET_TYPE: Law = Law::new(
    "!self.startsWith('keywright.dev/') && self != 'kubernetes.io/service-account-token' && self != 'bootstrap.kubernetes.io/token'",
    "spec.publish.secret.template.type must not be a type that Keywright or Kubernetes itself gives a meaning to (keywright.dev/…, kubernetes.io/service-account-token, bootstrap.kubernetes.io/token), for example Opaque",
);

// Consumers, rotation, retirement

pub(super) const AFTER_NEEDS_A_PERIOD: Law = Law::new(
    "self.confirm == 'SignInReport' || has(self.after) == (self.confirm == 'After')",
    "spec.consumers.external[].after is needed with confirm: After, is allowed with confirm: SignInReport, and goes with no other, for example {name: batch, confirm: After, after: 7d}",
);

pub(super) const KEY_IDS_DISJOINT: Law = Law::new(
    "!has(self.foreignKeyIds) || !has(self.compromisedKeyIds) || !self.foreignKeyIds.exists(k, k in self.compromisedKeyIds)",
    "spec.retirement.foreignKeyIds and compromisedKeyIds must not share a key ID, because one waits for proof and the other does not: list each key once, for example under compromisedKeyIds",
);

pub(super) const ADOPTED_FROM_ONE_PLACE: Law = Law::new(
    "has(self.secretKeyRef) != has(self.keyVaultRef)",
    "spec.adopt.valueFrom must have exactly one of secretKeyRef and keyVaultRef, for example secretKeyRef: {name: old, key: password}",
);

pub(super) const PROOF_FITS_ITS_TIME: Law = Law::new(
    shorter!("has(self.interval) && has(self.timeout)", "self.interval", "self.timeout"),
    "spec.verification.interval must be shorter than spec.verification.timeout, for example interval: 5s with timeout: 15m",
);

// EntraTenant.spec

pub(super) const TENANT_ID_FIXED: Law = immutable!(
    "spec.tenantId cannot change, because resources refer to this tenant by name: create another EntraTenant, for example contoso-test, and point the resources to it"
);

pub(super) const CLOUD_FIXED: Law = immutable!(
    "spec.cloud cannot change, because a tenant lives in one cloud: create another EntraTenant, for example contoso-gov, with the other cloud"
);

pub(super) const ENDPOINTS_WITH_CUSTOM: Law = Law::new(
    "has(self.endpoints) == (has(self.cloud) && self.cloud == 'Custom')",
    "spec.endpoints goes with cloud: Custom and only with it: remove endpoints, or for example write cloud: Custom",
);

pub(super) const ONE_IDENTITY: Law = Law::new(
    "(has(self.workloadIdentity) ? 1 : 0) + (has(self.managedIdentity) ? 1 : 0) + (has(self.clientSecret) ? 1 : 0) + (has(self.certificate) ? 1 : 0) == 1",
    "spec.identity must have exactly one of workloadIdentity, managedIdentity, clientSecret and certificate, for example workloadIdentity: {}; leave spec.identity out for workloadIdentity",
);

pub(super) const DEFAULT_RENEWAL_WITHIN_VALIDITY: Law = Law::new(
    shorter!("has(self.renewBefore) && has(self.validity)", "self.renewBefore", "self.validity"),
    "spec.defaults.renewBefore must be shorter than spec.defaults.validity, for example renewBefore: 30d with validity: 90d",
);

pub(super) const DEFAULT_OVERLAP_WITHIN_RENEWAL: Law = Law::new(
    shorter!("has(self.minOverlap) && has(self.renewBefore)", "self.minOverlap", "self.renewBefore"),
    "spec.defaults.minOverlap must be shorter than spec.defaults.renewBefore, for example minOverlap: 24h with renewBefore: 30d",
);

pub(super) const NAMES_OR_SELECTOR: Law = Law::new(
    "has(self.names) != has(self.selector)",
    "spec.grants[].namespaces must have exactly one of names and selector, for example names: [payments]",
);

pub(super) const SELECTS_SOMETHING: Law = Law::new(
    "(has(self.matchLabels) && self.matchLabels.size() > 0) || (has(self.matchExpressions) && self.matchExpressions.size() > 0)",
    "spec.grants[].namespaces.selector must not be empty, because it would select every namespace, for example matchLabels: {team: payments}",
);

pub(super) const OPERATOR_HAS_VALUES: Law = Law::new(
    "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
    "spec.grants[].namespaces.selector.matchExpressions[].values goes with In and NotIn and only with them, for example {key: team, operator: In, values: [payments]}",
);

pub(super) const ISSUERS_WITH_SUBJECTS: Law = Law::new(
    "(has(self.externalIssuers) && self.externalIssuers.size() > 0) == (has(self.externalSubjects) && self.externalSubjects.size() > 0)",
    "spec.grants[].federation must have externalIssuers and externalSubjects together, because an issuer such as GitHub serves everybody, for example externalSubjects: [\"repo:contoso/*\"]",
);
