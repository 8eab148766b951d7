// One binary that is etcd, kube-apiserver or kubectl, by the name it is called with.
//
// Linked under these three names it makes a directory of the shape that KUBEBUILDER_ASSETS means, from published
// modules alone. It is for tests on one machine: its build has none of the provenance of a release.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kubectl":
		// Prints the error as kubectl does, and exits with its code: tests read both.
		kubectlutil.CheckErr(cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()))
	default:
		fmt.Fprintf(os.Stderr, "%s: must be called etcd, kube-apiserver or kubectl\n", name)
		os.Exit(2)
	}
}
