//! Secrets in the cluster, in the namespace of a run.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serin_core::analysis::{Secrets, Wanted};

use crate::cluster::answered::answered;
use crate::secrets::{Keeper, by_secret, take};

/// The Secrets of a namespace.
pub(super) struct InNamespace<'a> {
    pub(super) client: &'a Client,
    pub(super) namespace: &'a str,
}

const NOT_FOUND: u16 = 404;

impl Keeper for InNamespace<'_> {
    async fn read(
        &self,
        wanted: impl IntoIterator<Item = Wanted> + Send,
    ) -> Result<Secrets, String> {
        let api = Api::<Secret>::namespaced(self.client.clone(), self.namespace);
        let mut read = Secrets::new();
        // Each Secret once.
        for (name, wanted) in by_secret(wanted) {
            let secret = match answered(|| api.get(&name)).await {
                Ok(secret) => secret,
                Err(status)
                    if status.code == NOT_FOUND && wanted.iter().all(|one| one.optional) =>
                {
                    continue;
                }
                Err(status) => return Err(format!("Secret {name}: {}", status.message)),
            };
            take(&mut read, &secret.data.unwrap_or_default(), wanted)?;
        }
        Ok(read)
    }
}
