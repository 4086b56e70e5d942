//! The story that the demo tells: who applies what, and what each is to be told. The examples are those that users
//! copy; the mistakes are the demo's own.

use anyhow::Context;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::PATIENCE;
use super::screen::Screen;

const DEFINITIONS: [&str; 2] =
    [include_str!("../../../../crds/entraappcredentials.yaml"), include_str!("../../../../crds/entratenants.yaml")];

/// One thing that somebody applies.
struct Chapter {
    /// Who does what.
    says: &'static str,
    /// What is applied.
    manifests: &'static str,
    /// As whom: a field manager each, as from repositories of their own.
    manager: &'static str,
    /// What then happens.
    then: Then,
}

enum Then {
    /// The API server refuses each manifest, with these words.
    Refused(&'static [&'static str]),
    /// These are told, by `Ready` and its reason: kind, namespace (if any), name, status, reason.
    Told(&'static [(&'static str, &'static str, &'static str, &'static str, &'static str)]),
}

const CREDENTIAL: &str = "EntraAppCredential";

const CHAPTERS: [Chapter; 7] = [
    Chapter {
        says: "The platform team opens tenant default to namespace payments, for one application",
        manifests: include_str!("../../../../examples/tenant.yaml"),
        manager: "platform-team",
        then: Then::Told(&[("EntraTenant", "", "default", "Unknown", "NotSupportedYet")]),
    },
    Chapter {
        says: "Team payments declares a client secret: the smallest resource there is",
        manifests: include_str!("../../../../examples/client-secret.yaml"),
        manager: "team-payments",
        then: Then::Told(&[(CREDENTIAL, "payments", "payments-api", "False", "NotSupportedYet")]),
    },
    Chapter {
        says: "Somebody asks for two kinds at once; somebody writes a client ID in capitals",
        manifests: include_str!("../../demo/wrong.yaml"),
        manager: "team-payments",
        then: Then::Refused(&[
            "exactly one of clientSecret, certificate and federated",
            "must be a GUID in lower case",
        ]),
    },
    Chapter {
        says: "Somebody wants a secret that lives for a day, which leaves no time for an overlap",
        manifests: include_str!("../../demo/senseless.yaml"),
        manager: "team-payments",
        then: Then::Told(&[(CREDENTIAL, "payments", "payments-daily", "False", "InvalidPolicy")]),
    },
    Chapter {
        says: "Team billing asks for an application that nobody has granted it",
        manifests: include_str!("../../demo/forbidden.yaml"),
        manager: "team-billing",
        then: Then::Told(&[(CREDENTIAL, "billing", "billing-api", "False", "NamespaceNotGranted")]),
    },
    Chapter {
        says: "Team billing names a tenant that does not exist",
        manifests: include_str!("../../demo/lost.yaml"),
        manager: "team-billing",
        then: Then::Told(&[(CREDENTIAL, "billing", "billing-lost", "False", "TenantNotFound")]),
    },
    Chapter {
        says: "The platform team grants it after all; the resource that waited is looked at again by itself",
        manifests: include_str!("../../demo/granted.yaml"),
        manager: "platform-team-billing",
        then: Then::Told(&[(CREDENTIAL, "billing", "billing-api", "False", "NotSupportedYet")]),
    },
];

/// The stage: a cluster with our kinds and two namespaces.
pub(super) struct Story {
    client: Client,
}

impl Story {
    /// Defines the kinds, and waits until they are served.
    pub(super) async fn begin(client: Client) -> anyhow::Result<Self> {
        let story = Self { client };
        let definitions: Api<CustomResourceDefinition> = Api::all(story.client.clone());
        for definition in DEFINITIONS {
            let applied = story.apply(one(definition)?, "platform-team").await?;
            let name = applied.metadata.name.unwrap_or_default();
            let served = await_condition(definitions.clone(), &name, is_crd_established());
            tokio::time::timeout(PATIENCE, served).await.with_context(|| format!("{name} is not served"))??;
        }
        for name in ["payments", "billing", "keywright"] {
            story.apply(object("v1", "Namespace", json!({"metadata": {"name": name}}))?, "platform-team").await?;
        }
        Ok(story)
    }

    /// Tells every chapter; ends with an error at the first that does not go as it should.
    pub(super) async fn tell(&self, screen: &Screen) -> anyhow::Result<()> {
        for chapter in &CHAPTERS {
            screen.chapter(chapter.says)?;
            match chapter.then {
                Then::Refused(words) => self.is_refused(chapter, words, screen).await?,
                Then::Told(expected) => {
                    for manifest in all(chapter.manifests)? {
                        self.apply(manifest, chapter.manager).await?;
                    }
                    for (kind, namespace, name, status, reason) in expected {
                        self.is_told(kind, namespace, name, (status, reason), screen).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn is_refused(&self, chapter: &Chapter, words: &[&str], screen: &Screen) -> anyhow::Result<()> {
        for (manifest, expected) in all(chapter.manifests)?.into_iter().zip(words) {
            let name = manifest.metadata.name.clone().unwrap_or_default();
            let answer = match self.apply(manifest, chapter.manager).await {
                Ok(_) => anyhow::bail!("{name} should have been refused by the API server, and was not"),
                Err(error) => format!("{:#}", error.root_cause()),
            };
            anyhow::ensure!(answer.contains(expected), "{name} was refused, but not with {expected:?}: {answer}");
            screen.refused(&name, &answer)?;
        }
        Ok(())
    }

    /// Waits until `Ready` of an object says what it should, and shows it.
    async fn is_told(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        expected: (&str, &str),
        screen: &Screen,
    ) -> anyhow::Result<()> {
        let subject =
            object("keywright.dev/v1alpha1", kind, json!({"metadata": {"name": name, "namespace": namespace}}))?;
        let api = self.api(&subject)?;
        let says = |object: Option<&DynamicObject>| {
            ready(object).is_some_and(|ready| {
                (ready["status"].as_str(), ready["reason"].as_str()) == (Some(expected.0), Some(expected.1))
            })
        };
        let whole = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
        let Ok(told) = tokio::time::timeout(PATIENCE, await_condition(api.clone(), name, says)).await else {
            let last = ready(api.get_opt(name).await?.as_ref()).unwrap_or_default();
            anyhow::bail!("{whole} should have been told {expected:?} within {PATIENCE:?}; last it was told {last}")
        };
        let ready = ready(told?.as_ref()).unwrap_or_default();
        screen.told(&whole, expected.0, expected.1, ready["message"].as_str().unwrap_or_default())
    }

    async fn apply(&self, manifest: DynamicObject, manager: &str) -> anyhow::Result<DynamicObject> {
        let name = manifest.metadata.name.clone().unwrap_or_default();
        let applied = self.api(&manifest)?.patch(&name, &PatchParams::apply(manager), &Patch::Apply(&manifest)).await;
        match applied {
            // What the API server says is said for people; its struct is not.
            Err(kube::Error::Api(status)) => Err(anyhow::anyhow!("{}", status.message)),
            other => Ok(other?),
        }
        .with_context(|| format!("could not apply {name}"))
    }

    fn api(&self, object: &DynamicObject) -> anyhow::Result<Api<DynamicObject>> {
        let types = object.types.as_ref().context("a manifest without apiVersion and kind")?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(types)?);
        Ok(match object.metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        })
    }
}

/// The condition `Ready`.
fn ready(object: Option<&DynamicObject>) -> Option<Value> {
    let conditions = object?.data.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready").cloned()
}

fn all(manifests: &str) -> anyhow::Result<Vec<DynamicObject>> {
    serde_saphyr::from_multiple(manifests).context("could not read a manifest of the demo")
}

fn one(manifest: &str) -> anyhow::Result<DynamicObject> {
    all(manifest)?.into_iter().next().context("an empty manifest")
}

fn object(api_version: &str, kind: &str, mut content: Value) -> anyhow::Result<DynamicObject> {
    content["apiVersion"] = json!(api_version);
    content["kind"] = json!(kind);
    serde_json::from_value(content).context("could not make an object of the demo")
}
