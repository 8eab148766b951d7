//! Environment variables that change the code, credentials or servers of a program.

/// The variables of one kind of program.
struct Family {
    /// URL of the manual that documents the variables. The rule's page links to it.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers, and for the test that holds the page to it"))]
    source: &'static str,
    names: &'static [&'static str],
    prefixes: &'static [&'static str],
    suffixes: &'static [&'static str],
}

/// Whether a variable of this name loads code, configuration, credentials, a proxy, an endpoint or trust from
/// elsewhere.
///
/// Ignores case, because Windows does and because programs read proxy variables in both cases. Ignores what follows an `=`:
/// client-go joins name and value by one, so the program sees a shorter name.
pub(in crate::rules::access) fn takes_over(name: &str) -> bool {
    let name = name.split('=').next().unwrap_or_default().as_bytes();
    let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
    let begins =
        |prefix: &&str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()));
    let ends = |suffix: &&str| {
        let start = name.len().checked_sub(suffix.len());
        start.and_then(|start| name.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes()))
    };
    FAMILIES.iter().any(|family| {
        family.names.iter().any(is) || family.prefixes.iter().any(begins) || family.suffixes.iter().any(ends)
    })
}

/// All variables that [`takes_over`] knows.
///
/// The list omits variables that choose from the consumer's own configuration (`AWS_PROFILE`, `AWS_REGION`,
/// `CLOUDSDK_CORE_PROJECT`) or name the client (`AZURE_CLIENT_ID`).
const FAMILIES: &[Family] = &[
    // The variables that the dynamic linker and the C library ignore in privileged programs.
    Family {
        source: "https://man7.org/linux/man-pages/man8/ld.so.8.html",
        names: &[
            "GCONV_PATH",
            "GETCONF_DIR",
            "GLIBC_TUNABLES",
            "HOSTALIASES",
            "LOCALDOMAIN",
            "LOCPATH",
            "MALLOC_TRACE",
            "NLSPATH",
            "RESOLV_HOST_CONF",
            "RES_OPTIONS",
        ],
        prefixes: &["LD_", "DYLD_"],
        suffixes: &[],
    },
    // Shells, and the paths of programs and of the user's configuration.
    Family {
        source: "https://www.gnu.org/software/bash/manual/html_node/Bash-Variables.html",
        names: &[
            "APPDATA",
            "BASHOPTS",
            "BASH_ENV",
            "BROWSER",
            "CDPATH",
            "COMSPEC",
            "EDITOR",
            "ENV",
            "HOME",
            "IFS",
            "LOCALAPPDATA",
            "PAGER",
            "PATH",
            "PATHEXT",
            "PROMPT_COMMAND",
            "PS4",
            "PSMODULEPATH",
            "SHELL",
            "SHELLOPTS",
            "USERPROFILE",
            "VISUAL",
            "ZDOTDIR",
        ],
        prefixes: &["BASH_FUNC_", "XDG_CONFIG_", "XDG_DATA_"],
        suffixes: &[],
    },
    Family {
        source: "https://docs.python.org/3/using/cmdline.html#environment-variables",
        names: &[
            "PYTHONBREAKPOINT",
            "PYTHONEXECUTABLE",
            "PYTHONHOME",
            "PYTHONHTTPSVERIFY",
            "PYTHONINSPECT",
            "PYTHONPATH",
            "PYTHONPLATLIBDIR",
            "PYTHONPYCACHEPREFIX",
            "PYTHONSTARTUP",
            "PYTHONUSERBASE",
            "PYTHONWARNINGS",
            "PYTHON_PRESITE",
            "VIRTUAL_ENV",
        ],
        prefixes: &["PIP_"],
        suffixes: &[],
    },
    Family {
        source: "https://nodejs.org/api/cli.html#environment-variables",
        names: &[
            "NODE_COMPILE_CACHE",
            "NODE_EXTRA_CA_CERTS",
            "NODE_OPTIONS",
            "NODE_PATH",
            "NODE_REPL_EXTERNAL_MODULE",
            "NODE_TLS_REJECT_UNAUTHORIZED",
            "NODE_USE_ENV_PROXY",
            "NODE_USE_SYSTEM_CA",
        ],
        prefixes: &["NPM_CONFIG_"],
        suffixes: &[],
    },
    Family {
        source: "https://github.com/ruby/ruby/blob/master/man/ruby.1",
        names: &["GEM_HOME", "GEM_PATH", "RUBYGEMS_GEMDEPS", "RUBYLIB", "RUBYOPT", "RUBYPATH", "RUBYSHELL"],
        prefixes: &["BUNDLE_"],
        suffixes: &[],
    },
    Family {
        source: "https://perldoc.perl.org/perlrun#ENVIRONMENT",
        names: &["PERLLIB", "PERLIO"],
        prefixes: &["PERL5"],
        suffixes: &[],
    },
    Family {
        source: "https://docs.oracle.com/en/java/javase/25/docs/specs/man/java.html",
        names: &[
            "CLASSPATH",
            "JAVA_HOME",
            "JAVA_OPTS",
            "JAVA_OPTIONS",
            "JAVA_TOOL_OPTIONS",
            "JDK_JAVA_OPTIONS",
            "JRE_HOME",
            "_JAVA_OPTIONS",
        ],
        prefixes: &[],
        suffixes: &[],
    },
    Family {
        source: "https://learn.microsoft.com/dotnet/core/tools/dotnet-environment-variables",
        names: &[
            "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES",
            "DOTNET_ADDITIONAL_DEPS",
            "DOTNET_BUNDLE_EXTRACT_BASE_DIR",
            "DOTNET_DIAGNOSTICPORTS",
            "DOTNET_GCNAME",
            "DOTNET_GCPATH",
            "DOTNET_HOST_PATH",
            "DOTNET_SHARED_STORE",
            "DOTNET_STARTUP_HOOKS",
        ],
        prefixes: &["COMPLUS_", "CORECLR_", "COR_ENABLE_", "COR_PROFILER", "DOTNET_ROOT"],
        suffixes: &[],
    },
    // The go command (`go help environment`), and Go's runtime and libraries. GODEBUG can disable certificate checks.
    Family {
        source: "https://go.dev/doc/godebug",
        names: &[
            "GOAUTH",
            "GOCACHEPROG",
            "GODEBUG",
            "GOENV",
            "GOFLAGS",
            "GOINSECURE",
            "GOPROXY",
            "GOROOT",
            "GOSUMDB",
            "GOTOOLCHAIN",
            "ZONEINFO",
        ],
        prefixes: &[],
        suffixes: &[],
    },
    Family {
        source: "https://git-scm.com/docs/git#_environment_variables",
        names: &[
            "GIT_ALLOW_PROTOCOL",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            "GIT_ASKPASS",
            "GIT_COMMON_DIR",
            "GIT_DIR",
            "GIT_EDITOR",
            "GIT_EXEC_PATH",
            "GIT_EXTERNAL_DIFF",
            "GIT_OBJECT_DIRECTORY",
            "GIT_PAGER",
            "GIT_SEQUENCE_EDITOR",
            "GIT_TEMPLATE_DIR",
            "GIT_WORK_TREE",
        ],
        prefixes: &["GIT_CONFIG", "GIT_HTTP_", "GIT_PROXY_", "GIT_SSH", "GIT_SSL_"],
        suffixes: &[],
    },
    Family {
        source: "https://man.openbsd.org/ssh.1#ENVIRONMENT",
        names: &["SSH_AUTH_SOCK", "SSH_PKCS11_HELPER"],
        prefixes: &["SSH_ASKPASS", "SSH_SK_"],
        suffixes: &[],
    },
    // Proxies and trusted CAs of curl, OpenSSL and programs built on them.
    Family {
        source: "https://curl.se/docs/manpage.html#ENVIRONMENT",
        names: &[
            "CURL_HOME",
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
            "KRB5_CONFIG",
            "KRB5CCNAME",
            "NETRC",
            "NIX_SSL_CERT_FILE",
            "SSLKEYLOGFILE",
        ],
        prefixes: &["OPENSSL_", "SSL_CERT_"],
        suffixes: &["_CA_BUNDLE", "_PROXY"],
    },
    // kubectl reads the variables on this page. client-go and its plugins read the others.
    Family {
        source: "https://kubernetes.io/docs/reference/kubectl/kubectl/#environment-variables",
        names: &[
            "KUBECACHEDIR",
            "KUBECONFIG",
            "KUBECTL_EXTERNAL_DIFF",
            "KUBERC",
            "KUBE_EDITOR",
            "KUBERNETES_EXEC_INFO",
            "KUBERNETES_MASTER",
            "KUBERNETES_SERVICE_HOST",
            "KUBERNETES_SERVICE_PORT",
        ],
        prefixes: &[],
        suffixes: &[],
    },
    Family {
        source: "https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html",
        names: &[
            "AWS_ACCESS_KEY_ID",
            "AWS_CLI_HISTORY_FILE",
            "AWS_CONFIG_FILE",
            "AWS_DATA_PATH",
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
            "AWS_LOGIN_CACHE_DIRECTORY",
            "AWS_PAGER",
            "AWS_ROLE_ARN",
            "AWS_SDK_LOAD_CONFIG",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SECURITY_TOKEN",
            "AWS_SESSION_TOKEN",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "BOTO_CONFIG",
            "BOTO_PATH",
        ],
        prefixes: &["AWS_CONTAINER_", "AWS_EC2_METADATA_", "AWS_ENDPOINT_URL"],
        suffixes: &[],
    },
    Family {
        source: "https://docs.cloud.google.com/sdk/docs/properties",
        names: &[
            "CLOUDSDK_ACTIVE_CONFIG_NAME",
            "CLOUDSDK_CONFIG",
            "CLOUDSDK_CORE_ACCOUNT",
            "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
            "CLOUDSDK_CORE_UNIVERSE_DOMAIN",
            "CLOUDSDK_GSUTIL_PYTHON",
            "CLOUDSDK_ROOT_DIR",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_CLOUD_UNIVERSE_DOMAIN",
            "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES",
            "GOOGLE_GHA_CREDS_PATH",
        ],
        prefixes: &[
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_",
            "CLOUDSDK_AUTH_",
            "CLOUDSDK_COMPONENT_MANAGER_",
            "CLOUDSDK_CONTEXT_AWARE_",
            "CLOUDSDK_PROXY_",
            "CLOUDSDK_PYTHON",
            "GCE_METADATA_",
            "GOOGLE_API_",
        ],
        suffixes: &[],
    },
    Family {
        source: "https://learn.microsoft.com/dotnet/api/azure.identity.environmentcredential",
        names: &[
            "ADAL_PYTHON_SSL_NO_VERIFY",
            "AZURE_ACCESS_TOKEN_FILE",
            "AZURE_AUTHORITY_HOST",
            "AZURE_CONFIG_DIR",
            "AZURE_EXTENSION_DIR",
            "AZURE_FEDERATED_TOKEN_FILE",
            "AZURE_PASSWORD",
            "AZURE_POD_IDENTITY_AUTHORITY_HOST",
            "AZURE_TOKEN_CREDENTIALS",
            "AZURE_USERNAME",
            "IMDS_ENDPOINT",
        ],
        prefixes: &[
            "AZURE_CLIENT_CERTIFICATE_",
            "AZURE_CLIENT_SECRET",
            "AZURE_CLI_",
            "AZURE_KUBERNETES_",
            "IDENTITY_ENDPOINT",
            "IDENTITY_HEADER",
            "IDENTITY_SERVER_",
            "MSI_",
        ],
        suffixes: &[],
    },
    // kubelogin, the credential plugin of AKS.
    Family {
        source: "https://azure.github.io/kubelogin/concepts/login-modes/sp.html",
        names: &["AAD_LOGIN_METHOD"],
        prefixes: &["AAD_SERVICE_PRINCIPAL_", "AAD_USER_PRINCIPAL_"],
        suffixes: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::{FAMILIES, takes_over};

    #[test]
    fn each_family_is_found_in_any_case() {
        for family in FAMILIES {
            for name in family.names.iter().chain(family.prefixes).chain(family.suffixes) {
                assert!(takes_over(name) && takes_over(&name.to_lowercase()), "{name}");
                assert_eq!(*name, name.to_uppercase());
            }
        }
        for name in [
            "https_proxy",
            "Aws_Endpoint_Url_Sts",
            "LD_PRELOAD",
            "requests_ca_bundle",
            "PERL5OPT",
            "PATH=/x:",
            "HTTPS_PROXY=http://x/?",
        ] {
            assert!(takes_over(name), "{name}");
        }
    }

    #[test]
    fn variables_of_the_plugin_are_not() {
        let own =
            ["", "CLIENT_ID", "HOMEPAGE", "MY_PATH", "AWS_PROFILE", "AWS_REGION", "AZURE_CLIENT_ID", "AZURE_TENANT_ID"];
        let more =
            ["CLOUDSDK_CORE_PROJECT", "GIT_COMMIT", "PYTHONUNBUFFERED", "SSH_CONNECTION", "LANG", "TZ", "ENVIRONMENT"];
        for name in own.into_iter().chain(more) {
            assert!(!takes_over(name), "{name}");
        }
    }

    #[test]
    fn the_page_names_each_source() {
        let page = include_str!("../../docs/access-exec.md");
        for family in FAMILIES {
            assert!(page.contains(family.source), "{}", family.source);
        }
    }
}
