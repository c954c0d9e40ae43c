// SPDX-License-Identifier: Apache-2.0

package verifybench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// cosignEnv keeps cosign away from the network and from the user's files.
func (b *bench) cosignEnv() []string {
	return []string{"HOME=" + b.work, "TUF_ROOT=" + b.path("tuf"), "COSIGN_PASSWORD="}
}

// cosigned builds an image and has cosign sign it with a certificate.
func (b *bench) cosigned(how func() ([]string, error)) func(context.Context, string) (string, error) {
	return func(ctx context.Context, name string) (string, error) {
		ref, err := b.plain(ctx, name)
		if err != nil {
			return "", err
		}
		args, err := how()
		if err != nil {
			return "", err
		}
		args = append([]string{
			"sign", "--yes", "--allow-http-registry", "--trusted-root", b.stand.TrustedRoot(), "--identity-token", b.path("token"),
		}, args...)
		_, _, err = b.do(ctx, command{path: b.Cosign, args: append(args, ref), env: b.cosignEnv()})
		return ref, err
	}
}

// cosignBundle is what cosign does if not told otherwise: a bundle in an OCI
// referrer, with a log entry and a timestamp.
func (b *bench) cosignBundle() ([]string, error) {
	return []string{"--signing-config", filepath.Join(b.stand.Sigstore, "signing_config.json")}, nil
}

// cosignOldForm is a layer with annotations under a tag, with an entry in the
// old log.
func (b *bench) cosignOldForm() ([]string, error) {
	sigstore, err := b.sigstoreURL()
	if err != nil {
		return nil, err
	}
	return []string{
		"--use-signing-config=false", "--new-bundle-format=false", "--fulcio-url", sigstore + "/fulcio", "--rekor-url", sigstore + "/rekor-v1",
	}, nil
}

// sigstoreURL is where the local Sigstore's services are.
func (b *bench) sigstoreURL() (string, error) {
	data, err := os.ReadFile(filepath.Join(b.stand.Sigstore, "signing_config.json"))
	if err != nil {
		return "", err
	}
	var config struct {
		Authorities []struct {
			URL string `json:"url"`
		} `json:"caUrls"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return "", err
	}
	if len(config.Authorities) == 0 {
		return "", fmt.Errorf("%s/signing_config.json names no certificate authority", b.stand.Sigstore)
	}
	return strings.TrimSuffix(config.Authorities[0].URL, "/fulcio"), nil
}

// notationFolder has notation's trust stores, which have the layout of plomb's.
func (b *bench) notationFolder() string { return b.path("config/notation/truststore") }

func (b *bench) hasNotation() bool {
	_, err := os.Stat(b.Notation)
	return err == nil
}

func (b *bench) notationCommand(args ...string) command {
	return command{path: b.Notation, args: args, env: []string{"HOME=" + b.work, "XDG_CONFIG_HOME=" + b.path("config")}}
}

func (b *bench) notationVerify(ref string) command {
	return b.notationCommand("verify", "--insecure-registry", ref)
}

// notarized builds an image and has notation sign it with a certificate of its
// own making.
func (b *bench) notarized(ctx context.Context, name string) (string, error) {
	if err := b.write("notation.yaml", notationPolicy); err != nil {
		return "", err
	}
	if err := b.write("config/notation/trustpolicy.json", notationTrustPolicy); err != nil {
		return "", err
	}
	ref, err := b.plain(ctx, name)
	if err != nil {
		return "", err
	}
	for _, c := range []command{
		b.notationCommand("cert", "generate-test", "--default", testCertificate),
		b.notationCommand("sign", "--insecure-registry", ref),
	} {
		if _, _, err := b.do(ctx, c); err != nil {
			return "", err
		}
	}
	return ref, nil
}

// testCertificate is the name of notation's certificate and of its trust store.
const testCertificate = "bench"

const notationIdentity = "x509.subject: C=US, ST=WA, O=Notary, CN=" + testCertificate

const notationPolicy = `apiVersion: plombproject.github.io/v1
kind: ImagePolicy
metadata:
  name: bench
spec:
  images:
  - glob: "**"
  authorities:
  - name: release
    notation:
      trustStores: ["ca:` + testCertificate + `"]
      trustedIdentities: ["` + notationIdentity + `"]
`

const notationTrustPolicy = `{"version": "1.0", "trustPolicies": [{
  "name": "bench", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
  "trustStores": ["ca:` + testCertificate + `"], "trustedIdentities": ["` + notationIdentity + `"]
}]}
`
