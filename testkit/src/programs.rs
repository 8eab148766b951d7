//! The programs of a control plane: those of `KUBEBUILDER_ASSETS`, else what `make control-plane` has built.

use std::{
    env,
    path::{Path, PathBuf},
};

/// A directory that holds `etcd`, `kube-apiserver` and `kubectl`.
#[derive(Clone, Debug)]
pub(crate) struct Assets(PathBuf);

impl Assets {
    /// None where there are none and the tests that want them may be left out.
    ///
    /// In CI they may not, nor with `E2E=require`: a test that is left out in silence is no test.
    pub(crate) fn find() -> Option<Self> {
        let named = env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty()).map(PathBuf::from);
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/control-plane");
        let assets = Self(named.unwrap_or(built));
        let missing = ["etcd", "kube-apiserver", "kubectl"].into_iter().find(|name| !assets.program(name).exists());
        let Some(missing) = missing else { return Some(assets) };
        assert!(!must_be_there(), "{}: {missing} is missing: run `make control-plane`", assets.0.display());
        None
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Whether nothing may be left out.
pub(crate) fn must_be_there() -> bool {
    env::var("CI").is_ok_and(|value| !value.is_empty()) || env::var("E2E").is_ok_and(|value| value == "require")
}
