// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"errors"
	"testing"

	"github.com/plombproject/plomb/verify/policy"
)

// FuzzImport: whatever the bytes, an import is refused with one of the two
// sentinels, or its policy loads.
func FuzzImport(f *testing.F) {
	key := newKey(f)
	f.Add([]byte(`{"default":[{"type":"reject"}],"transports":{"docker":{"docker.io/library":[{"type":"insecureAcceptAnything"}],"*.example":[{"type":"reject"}]}}}`))
	f.Add([]byte(`{"default":[` + sigstore(f, map[string]any{"keyData": b64(key), "rekorPublicKeyData": b64(key)}) + `]}`))
	f.Add([]byte(`{"default":[{"type":"sigstoreSigned","keyPath":"/k"}],"transports":{"docker":{"registry.example:5000/a/b:v1":[{"type":"insecureAcceptAnything"}]}}}`))
	f.Add([]byte(`{"version":"1.0","trustPolicies":[{"name":"a","registryScopes":["registry.example/acme"],"signatureVerification":{"level":"strict"},"trustStores":["ca:acme"],"trustedIdentities":["x509.subject: C=US, ST=WA, O=acme"]}]}`))
	f.Add([]byte("apiVersion: v1alpha1\nkind: ImageVerificationConfig\nrules:\n- {image: \"registry.example/*\", skip: true}\n- {image: \"*\", deny: true}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, format := range Formats() {
			src := Source{Name: "fuzz", Data: data, ReadFile: func(string) ([]byte, error) { return []byte(key), nil }}
			res, err := format.Import(src)
			if err != nil {
				if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrInexpressible) {
					t.Fatalf("%s: %v", format.Name, err)
				}
				continue
			}
			if _, err := policy.Parse("imported.yaml", res.Policy); err != nil {
				t.Fatalf("%s: %v\n%s", format.Name, err, res.Policy)
			}
		}
	})
}
