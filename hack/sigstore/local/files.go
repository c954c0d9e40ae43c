// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"path/filepath"

	"github.com/plombproject/plomb/hack/sigstore/idtoken"
	"github.com/plombproject/plomb/hack/sigstore/keys"
	"github.com/plombproject/plomb/hack/sigstore/trust"
	"github.com/plombproject/plomb/hack/sigstore/tsa"
)

// Hosts in the checkpoints of the two logs. They and the other names in the
// trusted root do not depend on the port, so that a restart does not change
// them; `.localhost` is reserved for such use by RFC 6761.
const (
	rekorHost   = "rekor.localhost"
	rekorV1Host = "rekor-v1.localhost"
)

// writeFiles writes what clients read, each file whole or not at all.
func writeFiles(dir, url string, id identity, p parts) error {
	since := id.fulcio.Chain[len(id.fulcio.Chain)-1].NotBefore
	trusted, err := trust.Root(trust.Instance{
		FulcioURL: "http://fulcio.localhost",
		Fulcio:    id.fulcio.Chain,
		TSAURL:    "http://tsa.localhost" + tsa.Path,
		TSA:       p.tsa.Chain(),
		CTLog:     trust.Log{BaseURL: "http://ctlog.localhost", ID: p.ctlog.ID(), Key: p.ctlog.PublicKey()},
		Rekor: []trust.Log{
			{BaseURL: "http://" + rekorHost, ID: p.rekor.ID(), Key: p.rekor.PublicKey()},
			{BaseURL: "http://" + rekorV1Host, ID: p.rekorV1.ID(), Key: p.rekorV1.PublicKey()},
		},
		Since: since,
	})
	if err != nil {
		return err
	}
	// New signatures go to Rekor v2; who wants the old log names it.
	signing, err := trust.SigningConfig(trust.Endpoints{
		Fulcio: url + fulcioPath,
		Rekor:  url + rekorPath,
		TSA:    url + tsaPath + tsa.Path,
		Since:  since,
	})
	if err != nil {
		return err
	}
	// Only the last one is a secret.
	if err := keys.Replace(filepath.Join(dir, TrustedRootFile), trusted, 0o644); err != nil {
		return err
	}
	if err := keys.Replace(filepath.Join(dir, SigningConfigFile), signing, 0o644); err != nil {
		return err
	}
	return keys.Replace(filepath.Join(dir, GitHubEnvFile), gitHubEnv(url, id.requestToken), 0o600)
}

// gitHubEnv is the environment of a job with `id-token: write`, for a shell to
// source.
func gitHubEnv(url, requestToken string) []byte {
	return fmt.Appendf(nil, "export ACTIONS_ID_TOKEN_REQUEST_URL='%s%s?%s'\nexport ACTIONS_ID_TOKEN_REQUEST_TOKEN='%s'\n",
		url, idtoken.GitHubPath, idtoken.GitHubQuery, requestToken)
}
