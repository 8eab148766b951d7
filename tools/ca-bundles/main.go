// What Go makes of CA data, as a consumer of a ClusterProfile does: client-go hands the decoded data to AppendCertsFromPEM and
// fails where that finds no certificate.
//
// Reads a line of CA data after the other, and writes a line of JSON for each.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
)

type verdict struct {
	// Whether it is base64, as the CRD and Go's JSON take it.
	Base64 bool `json:"base64"`
	// Whether AppendCertsFromPEM finds a certificate.
	Usable bool `json:"usable"`
	// When each certificate that it finds expires, in Unix seconds.
	Expiries []int64 `json:"expiries"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := out.Encode(judge(lines.Text())); err != nil {
			fail(err)
		}
	}
	if err := lines.Err(); err != nil {
		fail(err)
	}
}

func judge(data string) verdict {
	bundle, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return verdict{Expiries: []int64{}}
	}
	found := verdict{Base64: true, Usable: x509.NewCertPool().AppendCertsFromPEM(bundle), Expiries: []int64{}}
	// The loop of AppendCertsFromPEM, which does not return how many it finds.
	for len(bundle) > 0 {
		var block *pem.Block
		block, bundle = pem.Decode(bundle)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			continue
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			found.Expiries = append(found.Expiries, certificate.NotAfter.Unix())
		}
	}
	if found.Usable != (len(found.Expiries) > 0) {
		fail(fmt.Errorf("AppendCertsFromPEM finds a certificate: %v, its loop: %d", found.Usable, len(found.Expiries)))
	}
	return found
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "ca-bundles: %v\n", err)
	os.Exit(1)
}
