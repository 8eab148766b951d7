//! What is told of files that are read again when they change.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Metrics of files.
pub struct Files {
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

/// What is read again when it changes.
#[derive(Clone, Copy, Debug)]
pub enum File {
    /// Certificate and key of the server.
    Certificate,
    /// Who may call.
    ClientCa,
    /// What an administrator chooses.
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

impl Files {
    /// Metrics that have counted nothing. Every series is there from the start.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            unusable: Family::default(),
            certificate_reloads: Family::default(),
            client_ca_reloads: Family::default(),
            config_reloads: Family::default(),
        };
        let reloads = [
            ("certificate_reloads", "Times that another certificate pair was to be served, by result"),
            ("client_ca_reloads", "Times that a changed client CA was read, by result"),
            ("config_reloads", "Times that a changed configuration file was read, by result"),
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
            "1 while a file holds what cannot be used, and the last good content is, by file",
            metrics.unusable.clone(),
        );
        metrics
    }

    /// Counts that a changed file was read, and is used from now on, or cannot be.
    pub fn count_reload(&self, file: File, is_used: bool) {
        self.reloads(file).get_or_create(&ReloadLabels::of(is_used)).inc();
    }

    /// Tells whether a file holds what cannot be used.
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
