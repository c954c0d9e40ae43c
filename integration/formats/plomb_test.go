// SPDX-License-Identifier: Apache-2.0

//go:build integration

package formats

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/verify/decision"
)

// Exit statuses of plomb verify.
const (
	allowed   = 0
	denied    = 1
	undecided = 2
)

// verified asks plomb about ref and demands an exit status. The attestations
// that nobody asked for are left where they are, so that requests are counted
// which the verdict needs.
func verified(t *testing.T, status int, ref string, args ...string) *decision.Decision {
	t.Helper()
	args = append([]string{"verify", "--output", "json", "--attestations=false"}, args...)
	p := harness.Command{On: on, Name: "plomb", Args: append(args, ref)}.Run(t)
	require.Equal(t, status, p.Status, "plomb %s %s\n%s", strings.Join(args, " "), ref, p.All)
	var d decision.Decision
	require.NoError(t, json.Unmarshal([]byte(p.Out), &d), p.All)
	return &d
}

// An authority is one way to satisfy a policy, as YAML.
type authority string

func keyAuthority(t *testing.T, signer string) authority {
	t.Helper()
	data, err := os.ReadFile(byKey(signer)[1])
	require.NoError(t, err)
	return authority("key:\n  data: |\n" + indent(string(data), 4))
}

func keylessAuthority(more ...string) authority {
	text := "keyless:\n  identities:\n  - issuer: " + issuer + "\n    subject: " + identity + "\n"
	for _, line := range more {
		text += "  " + line + "\n"
	}
	return authority(text)
}

// with adds lines to the authority.
func (a authority) with(lines string) authority { return a + authority(lines) }

// policy writes a ClusterImagePolicy for every image, with one authority, and
// beside it the TrustRoot that it may name as local. It returns the flags of
// plomb verify.
func policy(t *testing.T, a authority) []string {
	t.Helper()
	return policyOf(t, "  authorities:\n  - name: "+mine+"\n"+indent(string(a), 4))
}

// policyOf is policy with all of the spec but the images.
func policyOf(t *testing.T, spec string) []string {
	t.Helper()
	dir := harness.Folder(t, map[string]string{
		"policy.yaml": "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata:\n  name: formats\n" +
			"spec:\n  images:\n  - glob: \"**\"\n" + spec,
		"root.yaml": trustRoot(t),
	})
	return []string{"--policy", dir}
}

func indent(text string, by int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.Repeat(" ", by) + line)
	}
	return b.String()
}

// trustRoot is the stand's trusted root as a TrustRoot document. The log of
// Rekor v2 is left out: its id is not the hash of its key, as that of all logs
// in such a document is.
func trustRoot(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(on.TrustedRoot())
	require.NoError(t, err)
	type chain struct {
		URI   string `json:"uri"`
		Chain struct {
			Certificates []struct{ RawBytes []byte }
		} `json:"certChain"`
	}
	type log struct {
		BaseURL   string
		PublicKey struct{ RawBytes []byte }
	}
	var root struct {
		CertificateAuthorities, TimestampAuthorities []chain
		Tlogs, Ctlogs                                []log
	}
	require.NoError(t, json.Unmarshal(data, &root))

	text := "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata:\n  name: local\nspec:\n  sigstoreKeys:\n"
	chains := func(name string, list []chain) {
		text += "    " + name + ":\n"
		for _, c := range list {
			var certs []byte
			for _, cert := range c.Chain.Certificates {
				certs = append(certs, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.RawBytes})...)
			}
			text += "    - uri: " + c.URI + "\n      subject: {organization: plomb, commonName: local}\n" +
				"      certChain: " + base64.StdEncoding.EncodeToString(certs) + "\n"
		}
	}
	logs := func(name string, list []log) {
		text += "    " + name + ":\n"
		for _, l := range list {
			if strings.Contains(l.BaseURL, "//rekor.localhost") {
				continue
			}
			key := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: l.PublicKey.RawBytes})
			text += "    - baseURL: " + l.BaseURL + "\n      hashAlgorithm: sha-256\n" +
				"      publicKey: " + base64.StdEncoding.EncodeToString(key) + "\n"
		}
	}
	chains("certificateAuthorities", root.CertificateAuthorities)
	chains("timestampAuthorities", root.TimestampAuthorities)
	logs("tLogs", root.Tlogs)
	logs("ctLogs", root.Ctlogs)
	return text
}

// predicateFile is a predicate of one of cosign's kinds.
func predicateFile(kind string) string { return filepath.Join(work, kind+".predicate.json") }

func writePredicates() error {
	for kind, text := range map[string]string{
		"vuln": `{"invocation":{},"scanner":{"uri":"https://scanner.example","version":"1.0","db":{},"result":{"critical":0}},` +
			`"metadata":{"scanStartedOn":"2026-01-01T00:00:00Z","scanFinishedOn":"2026-01-01T00:00:01Z"}}`,
		"spdxjson": `{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","name":"app","dataLicense":"CC0-1.0",` +
			`"documentNamespace":"https://example.com/app","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: x"]},"packages":[]}`,
		"slsaprovenance1": `{"buildDefinition":{"buildType":"https://example.com/build","externalParameters":{"ref":"main"},` +
			`"internalParameters":{},"resolvedDependencies":[]},"runDetails":{"builder":{"id":"https://builder.example"},"metadata":{}}}`,
		"custom": `{"approved":true,"by":"ann"}`,
	} {
		if err := os.WriteFile(predicateFile(kind), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
