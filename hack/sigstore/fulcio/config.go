// SPDX-License-Identifier: Apache-2.0

package fulcio

import (
	_ "embed"
	"errors"
	"fmt"

	"github.com/sigstore/fulcio/pkg/config"
	"go.yaml.in/yaml/v3"
)

// production is config/identity/config.yaml of sigstore/fulcio, byte for byte;
// a test compares it with the module in go.mod.
//
//go:generate sh -c "cp $(go list -m -f {{.Dir}} github.com/sigstore/fulcio)/config/identity/config.yaml production.yaml && chmod 644 production.yaml"
//go:embed production.yaml
var production []byte

// ErrUnknownIssuer is returned for an issuer that production Fulcio does not
// accept tokens from.
var ErrUnknownIssuer = errors.New("issuer is not in Fulcio's production configuration")

// Config returns a copy of the identity configuration of the public Fulcio
// instance. It does not use Fulcio's own reader, which asks every issuer for
// its keys over the network.
func Config() (*config.FulcioConfig, error) {
	var cfg config.FulcioConfig
	if err := yaml.Unmarshal(production, &cfg); err != nil {
		return nil, fmt.Errorf("read Fulcio's production configuration: %w", err)
	}
	return &cfg, nil
}

// IssuerKind says what claims Fulcio expects from an issuer: its CI provider
// ("github-workflow", "gitlab-pipeline", ...) or, for others, its type
// ("email", "kubernetes", ...).
func IssuerKind(issuer string) (string, error) {
	cfg, err := Config()
	if err != nil {
		return "", err
	}
	found, ok := cfg.GetIssuer(issuer)
	switch {
	case !ok:
		return "", fmt.Errorf("%w: %q", ErrUnknownIssuer, issuer)
	case found.Type == config.IssuerTypeCIProvider:
		return found.CIProvider, nil
	default:
		return found.Type.String(), nil
	}
}
