module clusterprofile-webhook/ca-bundles

go 1.26.0
