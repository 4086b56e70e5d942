//! Other people's controllers in a town, started for the first who needs them, and what they take care of in a firm.

use k8s_openapi::api::core::v1::Service;
use keywright_sandbox::{
    azure,
    controllers::{ARGO_ROLLOUTS, CERT_MANAGER, certificates, issuers, renew},
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::{Firm, RESOURCE, Town, chain};

impl Town {
    /// A firm where Argo Rollouts is at work, whose operator looks at Rollouts.
    pub async fn firm_with_rollouts(&self, name: &str) -> Result<Firm, Failed> {
        self.plane.run(&ARGO_ROLLOUTS).await.map_err(chain)?;
        let values = json!({"watchNamespaces": [name], "argoRollouts": true});
        let place = self.place_with(name, &values).await?;
        self.firm_in(place, azure::Options { scale: 0.02, ..azure::Options::default() }).await
    }

    /// A firm where cert-manager is at work.
    pub async fn firm_with_cert_manager(&self, name: &str) -> Result<Firm, Failed> {
        self.plane.run(&CERT_MANAGER).await.map_err(chain)?;
        self.firm(name).await
    }
}

impl Firm {
    /// A Rollout whose pods take the published Secret as their variables. One that is blue-green has its Service.
    pub async fn run_rollout(&self, name: &str, replicas: usize, strategy: &Value) -> Result<(), Failed> {
        if let Some(service) = strategy.pointer("/blueGreen/activeService").and_then(Value::as_str) {
            let spec = json!({"selector": {"app": name}, "ports": [{"port": 80}]});
            let service: Service = serde_json::from_value(json!({"metadata": {"name": service}, "spec": spec}))?;
            let services: Api<Service> = Api::namespaced(self.admin(), &self.name);
            services.create(&PostParams::default(), &service).await?;
        }
        let spec = json!({"strategy": strategy, "template": {"spec": self.reader(RESOURCE)}});
        let rollout = json!({"apiVersion": "argoproj.io/v1alpha1", "spec": spec});
        self.run_with("Rollout", name, replicas, &rollout).await
    }

    /// A Certificate of cert-manager's that signs itself, in a Secret of its name.
    pub async fn ask_cert_manager_for(&self, name: &str) -> Result<(), Failed> {
        let (post, meta) = (PostParams::default(), json!({"name": name}));
        let issuer =
            json!({"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": meta, "spec": {"selfSigned": {}}});
        issuers(self.admin(), &self.name).create(&post, &serde_json::from_value(issuer)?).await?;
        let spec = json!({
            "secretName": name, "commonName": name, "duration": "2160h", "issuerRef": {"name": name},
            "privateKey": {"algorithm": "RSA", "size": 2048, "rotationPolicy": "Always"},
        });
        let asked = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": meta, "spec": spec});
        certificates(self.admin(), &self.name).create(&post, &serde_json::from_value(asked)?).await?;
        Ok(())
    }

    /// Have cert-manager renew one.
    pub async fn have_renewed(&self, name: &str) -> Result<(), Failed> {
        renew(&certificates(self.admin(), &self.name), name).await.map_err(chain)
    }

    /// Its Rollouts.
    pub fn rollouts(&self) -> Api<DynamicObject> {
        let rollout = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Rollout");
        Api::namespaced_with(self.admin(), &self.name, &ApiResource::from_gvk(&rollout))
    }

    /// Change the status of a Rollout, as `kubectl argo rollouts` does: promote it, abort it, try again.
    pub async fn tell_argo(&self, name: &str, status: &Value) -> Result<(), Failed> {
        let patch = Patch::Merge(json!({"status": status}));
        self.rollouts().patch_status(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }
}
