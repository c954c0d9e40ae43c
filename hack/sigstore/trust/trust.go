// SPDX-License-Identifier: Apache-2.0

// Package trust writes the two files through which Sigstore clients know an
// instance: trusted_root.json (whom to believe) and signing_config.json (where
// to ask), in the protobuf JSON of sigstore/protobuf-specs.
//
// The trusted root depends on the keys alone. It stays the same, byte for
// byte, when the instance comes back on another port, so copies of it on nodes
// stay good.
package trust

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/protobuf/encoding/protojson"
)

// operator names us in the signing config: clients take one service per
// operator.
const operator = "plomb local sigstore"

// Log is a transparency log as a trusted root describes it.
type Log struct {
	// BaseURL's host is the origin of the log's checkpoints.
	BaseURL string
	ID      []byte
	Key     crypto.PublicKey
}

// Instance is what a trusted root says.
type Instance struct {
	FulcioURL string
	// Fulcio runs from the issuing certificate to the root.
	Fulcio []*x509.Certificate
	TSAURL string
	// TSA runs from the signing certificate to the root.
	TSA   []*x509.Certificate
	CTLog Log
	// Rekor are the transparency logs.
	Rekor []Log
	// Since is when the keys were made.
	Since time.Time
}

// Root encodes the trusted root.
func Root(i Instance) ([]byte, error) {
	fulcio := &root.FulcioCertificateAuthority{
		Root:                i.Fulcio[len(i.Fulcio)-1],
		Intermediates:       i.Fulcio[:len(i.Fulcio)-1],
		ValidityPeriodStart: i.Since,
		URI:                 i.FulcioURL,
	}
	tsa := &root.SigstoreTimestampingAuthority{
		Root:                i.TSA[len(i.TSA)-1],
		Intermediates:       i.TSA[1 : len(i.TSA)-1],
		Leaf:                i.TSA[0],
		ValidityPeriodStart: i.Since,
		URI:                 i.TSAURL,
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{fulcio}, i.logs(i.CTLog),
		[]root.TimestampingAuthority{tsa}, i.logs(i.Rekor...))
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	return stable(inOrder{trusted})
}

// inOrder writes a trusted root with its logs in the order of their names:
// sigstore-go keeps them in a map, and would write them in any.
type inOrder struct{ root *root.TrustedRoot }

// MarshalJSON implements json.Marshaler.
func (o inOrder) MarshalJSON() ([]byte, error) {
	raw, err := o.root.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var pb prototrustroot.TrustedRoot
	if err := protojson.Unmarshal(raw, &pb); err != nil {
		return nil, err
	}
	slices.SortFunc(pb.GetTlogs(), func(a, b *prototrustroot.TransparencyLogInstance) int {
		return strings.Compare(a.GetBaseUrl(), b.GetBaseUrl())
	})
	return protojson.Marshal(&pb)
}

func (i Instance) logs(logs ...Log) map[string]*root.TransparencyLog {
	byID := make(map[string]*root.TransparencyLog, len(logs))
	for _, l := range logs {
		byID[hex.EncodeToString(l.ID)] = &root.TransparencyLog{
			BaseURL:             l.BaseURL,
			ID:                  l.ID,
			ValidityPeriodStart: i.Since,
			HashFunc:            crypto.SHA256,
			PublicKey:           l.Key,
			SignatureHashFunc:   crypto.SHA256,
		}
	}
	return byID
}

// Endpoints are where the services answer now.
type Endpoints struct {
	Fulcio string
	Rekor  string
	// TSA is the whole URL, path included.
	TSA   string
	Since time.Time
}

// SigningConfig encodes the signing config.
func SigningConfig(e Endpoints) ([]byte, error) {
	service := func(url string, version uint32) []root.Service {
		return []root.Service{{URL: url, MajorAPIVersion: version, ValidityPeriodStart: e.Since, Operator: operator}}
	}
	anyOne := root.ServiceConfiguration{Selector: prototrustroot.ServiceSelector_ANY}
	config, err := root.NewSigningConfig(root.SigningConfigMediaType02,
		service(e.Fulcio, 1), nil, service(e.Rekor, 2), anyOne, service(e.TSA, 1), anyOne)
	if err != nil {
		return nil, fmt.Errorf("signing config: %w", err)
	}
	return stable(config)
}

// stable indents the JSON: protojson varies its white space on purpose.
func stable(v json.Marshaler) ([]byte, error) {
	raw, err := v.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
