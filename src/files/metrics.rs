//! Metrics of files that are reloaded on change.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Metrics of files that are reloaded on change.
pub struct ReloadMetrics {
    unusable: Family<FileLabels, Gauge>,
    certificate_reloads: Family<ReloadLabels, Counter>,
    client_ca_reloads: Family<ReloadLabels, Counter>,
    config_reloads: Family<ReloadLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FileLabels {
    file: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

/// A file that is reloaded on change.
#[derive(Clone, Copy, Debug)]
pub enum File {
    /// The serving certificate and its key.
    Certificate,
    /// The CA bundle for client certificates.
    ClientCa,
    /// The configuration file.
    Config,
}

impl File {
    const ALL: [Self; 3] = [Self::Certificate, Self::ClientCa, Self::Config];

    fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::ClientCa => "client_ca",
            Self::Config => "config",
        }
    }
}

impl ReloadMetrics {
    /// Registers the metrics, with every series at zero.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            unusable: Family::default(),
            certificate_reloads: Family::default(),
            client_ca_reloads: Family::default(),
            config_reloads: Family::default(),
        };
        let reloads = [
            ("certificate_reloads", "Number of reloads of the serving certificate, by result"),
            ("client_ca_reloads", "Number of reloads of the client CA bundle, by result"),
            ("config_reloads", "Number of reloads of the configuration file, by result"),
        ];
        for (file, (name, help)) in File::ALL.into_iter().zip(reloads) {
            registry.register(name, help, metrics.reloads(file).clone());
            for is_used in [true, false] {
                drop(metrics.reloads(file).get_or_create(&ReloadLabels::of(is_used)));
            }
            metrics.set_unusable(file, false);
        }
        registry.register(
            "file_unusable",
            "1 if the file is invalid and its last valid content stays in use, 0 otherwise, by file",
            metrics.unusable.clone(),
        );
        metrics
    }

    /// Counts a reload, and whether the new content is used.
    pub fn count_reload(&self, file: File, is_used: bool) {
        self.reloads(file).get_or_create(&ReloadLabels::of(is_used)).inc();
    }

    /// Sets whether a file is invalid.
    pub fn set_unusable(&self, file: File, is_unusable: bool) {
        self.unusable.get_or_create(&FileLabels { file: file.name() }).set(i64::from(is_unusable));
    }

    fn reloads(&self, file: File) -> &Family<ReloadLabels, Counter> {
        match file {
            File::Certificate => &self.certificate_reloads,
            File::ClientCa => &self.client_ca_reloads,
            File::Config => &self.config_reloads,
        }
    }
}

impl ReloadLabels {
    fn of(is_used: bool) -> Self {
        Self { result: if is_used { "success" } else { "failure" } }
    }
}
