// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/policy/spec"
)

// sigstoreSigned is a requirement of that type. Files are paths, the others
// base64 of what would be in them.
type sigstoreSigned struct {
	Type     string   `json:"type"`
	KeyPath  string   `json:"keyPath"`
	KeyPaths []string `json:"keyPaths"`
	KeyData  []byte   `json:"keyData"`
	KeyDatas [][]byte `json:"keyDatas"`

	Fulcio *fulcio         `json:"fulcio"`
	PKI    json.RawMessage `json:"pki"`

	RekorPublicKeyPath  string   `json:"rekorPublicKeyPath"`
	RekorPublicKeyPaths []string `json:"rekorPublicKeyPaths"`
	RekorPublicKeyData  []byte   `json:"rekorPublicKeyData"`
	RekorPublicKeyDatas [][]byte `json:"rekorPublicKeyDatas"`

	SignedIdentity *signedIdentity `json:"signedIdentity"`
}

type fulcio struct {
	CAPath       string `json:"caPath"`
	CAData       []byte `json:"caData"`
	OIDCIssuer   string `json:"oidcIssuer"`
	SubjectEmail string `json:"subjectEmail"`
}

type signedIdentity struct {
	Type             string `json:"type"`
	DockerReference  string `json:"dockerReference"`
	DockerRepository string `json:"dockerRepository"`
	Prefix           string `json:"prefix"`
	SignedPrefix     string `json:"signedPrefix"`
}

func (r *reading) sigstoreSigned(place string, raw []byte) (requirement, bool) {
	var s sigstoreSigned
	if err := strictjson.Unmarshal(raw, &s); err != nil {
		r.malformed(place, "%v", err)
		return requirement{}, false
	}
	before := len(r.faults)
	if s.PKI != nil {
		r.inexpressible(place+".pki", "certificates of one's own authority without an OpenID Connect issuer are not verified as Sigstore signatures")
	}
	keys := r.material(place, "key", s.KeyPath, s.KeyPaths, s.KeyData, s.KeyDatas)
	logs := r.material(place, "rekorPublicKey", s.RekorPublicKeyPath, s.RekorPublicKeyPaths, s.RekorPublicKeyData, s.RekorPublicKeyDatas)
	req := requirement{place: place, identity: r.signedIdentity(place+".signedIdentity", s.SignedIdentity)}
	switch {
	case s.PKI != nil:
	case (len(keys) > 0) == (s.Fulcio != nil):
		r.malformed(place, "needs exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio and pki")
	case s.Fulcio != nil:
		req.rule = r.fulcio(place, s.Fulcio, logs)
	default:
		req.rule = r.keyed(place, keys, logs)
	}
	if len(r.faults) > before {
		return requirement{}, false
	}
	req.id = identify([]any{req.rule, req.identity})
	return req, true
}

// blob is a piece of PEM and where it came from.
type blob struct {
	place string
	data  []byte
}

// material gathers the four spellings of a list of keys, of which one may be
// there.
func (r *reading) material(place, name, path string, paths []string, data []byte, datas [][]byte) []blob {
	var blobs []blob
	spellings := 0
	add := func(field string, n int, read func(place string, i int) ([]byte, bool)) {
		if n == 0 {
			return
		}
		spellings++
		for i := range n {
			at := fmt.Sprintf("%s.%s", place, field)
			if n > 1 {
				at = fmt.Sprintf("%s[%d]", at, i)
			}
			if content, ok := read(at, i); ok {
				blobs = append(blobs, blob{at, content})
			}
		}
	}
	one := func(set bool) int {
		if set {
			return 1
		}
		return 0
	}
	add(name+"Path", one(path != ""), func(at string, _ int) ([]byte, bool) { return r.file(at, path) })
	add(name+"Paths", len(paths), func(at string, i int) ([]byte, bool) { return r.file(at, paths[i]) })
	add(name+"Data", one(data != nil), func(string, int) ([]byte, bool) { return data, true })
	add(name+"Datas", len(datas), func(_ string, i int) ([]byte, bool) { return datas[i], true })
	if spellings > 1 {
		r.malformed(place, "has several of %sPath, %sPaths, %sData and %sDatas", name, name, name, name)
	}
	return blobs
}

// keyed wants a signature by any of the keys, and an entry in one of the logs
// if there are any.
func (r *reading) keyed(place string, keys, logs []blob) spec.Authority {
	var data []byte
	for _, k := range keys {
		data = append(data, r.publicKey(k.place, k.data)...)
	}
	a := spec.Authority{Key: &spec.Key{Data: string(data)}}
	if len(logs) > 0 {
		a.CTLog = &spec.CTLog{TrustRootRef: r.rootFor(place, spec.SigstoreKeys{TLogs: r.logs(logs)})}
	}
	return a
}

// publicKey is the one public key of a PEM file, written anew. The containers
// libraries take the first block and leave the rest unread; here every block
// would count.
func (r *reading) publicKey(place string, data []byte) []byte {
	block, rest := pem.Decode(data)
	if block == nil {
		r.malformed(place, "is no PEM public key")
		return nil
	}
	if next, _ := pem.Decode(rest); next != nil {
		r.inexpressible(place, "has several PEM blocks, of which only the first is read there and each would count here; leave one")
		return nil
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		r.malformed(place, "PEM block %q is no public key: %v", block.Type, err)
		return nil
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		r.malformed(place, "%v", err)
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// logs are transparency logs of which nothing but the key is known.
func (r *reading) logs(keys []blob) []spec.TransparencyLog {
	var logs []spec.TransparencyLog
	for i, k := range keys {
		logs = append(logs, spec.TransparencyLog{
			BaseURL:       fmt.Sprintf("https://log-%d.imported.invalid", i+1),
			HashAlgorithm: "sha-256",
			PublicKey:     base64.StdEncoding.EncodeToString(r.publicKey(k.place, k.data)),
		})
	}
	return logs
}

// fulcio wants a certificate of that authority, and an entry in one of the
// logs: "mandatory if fulcio is specified". Certificate transparency is not
// looked at there.
func (r *reading) fulcio(place string, f *fulcio, logs []blob) spec.Authority {
	if f.OIDCIssuer == "" || f.SubjectEmail == "" {
		r.malformed(place+".fulcio", "oidcIssuer and subjectEmail are both required")
	}
	if len(logs) == 0 {
		r.malformed(place, "fulcio needs a rekorPublicKey")
	}
	ca := r.material(place+".fulcio", "ca", f.CAPath, nil, f.CAData, nil)
	if len(ca) != 1 {
		r.malformed(place+".fulcio", "needs one of caPath and caData")
		return spec.Authority{}
	}
	authorities, err := authorities(ca[0].data)
	if err != nil {
		r.inexpressible(ca[0].place, "%v", err)
		return spec.Authority{}
	}
	if len(authorities) == 1 && !authorities[0].intermediate {
		r.note("%s has root certificates alone: add the intermediate ones, since chains that come with a signature are not believed", ca[0].place)
	}
	r.note("%s: certificates need no entry in a certificate transparency log, as there (insecureIgnoreSCT)", place)
	keys := spec.SigstoreKeys{TLogs: r.logs(logs)}
	for i, a := range authorities {
		a.spec.URI = fmt.Sprintf("https://ca-%d.imported.invalid", i+1)
		keys.CertificateAuthorities = append(keys.CertificateAuthorities, a.spec)
	}
	name := r.rootFor(place, keys)
	return spec.Authority{
		Keyless: &spec.Keyless{
			Identities:        []spec.Identity{{Issuer: f.OIDCIssuer, Subject: f.SubjectEmail}},
			TrustRootRef:      name,
			InsecureIgnoreSCT: true,
		},
		CTLog: &spec.CTLog{TrustRootRef: name},
	}
}

// An authority is a chain that ends in a root.
type authority struct {
	spec         spec.CertificateAuthority
	intermediate bool
}

var errChain = errors.New("certificates do not form chains that end in self-signed ones")

// authorities sorts certificates into chains, one for each that issued none of
// the others.
func authorities(data []byte) ([]authority, error) {
	var certs []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("PEM block %q is no certificate: %w", block.Type, err)
		}
		if certs = append(certs, cert); len(certs) > 20 {
			return nil, errors.New("has more than 20 certificates")
		}
	}
	if len(certs) == 0 {
		return nil, errors.New("holds no PEM certificate")
	}
	var out []authority
	for _, leaf := range certs {
		if issuedAnother(leaf, certs) {
			continue
		}
		chain, err := chainOf(leaf, certs)
		if err != nil {
			return nil, err
		}
		out = append(out, chain)
	}
	if len(out) == 0 {
		return nil, errChain
	}
	return out, nil
}

func issuedAnother(ca *x509.Certificate, certs []*x509.Certificate) bool {
	for _, c := range certs {
		if !c.Equal(ca) && c.CheckSignatureFrom(ca) == nil {
			return true
		}
	}
	return false
}

func chainOf(leaf *x509.Certificate, certs []*x509.Certificate) (authority, error) {
	var text []byte
	cert := leaf
	for range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
		if cert.CheckSignatureFrom(cert) == nil {
			subject := spec.DistinguishedName{CommonName: cert.Subject.CommonName}
			if len(cert.Subject.Organization) > 0 {
				subject.Organization = cert.Subject.Organization[0]
			}
			return authority{intermediate: cert != leaf, spec: spec.CertificateAuthority{
				Subject: subject, CertChain: base64.StdEncoding.EncodeToString(text),
			}}, nil
		}
		var issuer *x509.Certificate
		for _, c := range certs {
			if !c.Equal(cert) && cert.CheckSignatureFrom(c) == nil {
				issuer = c
			}
		}
		if issuer == nil {
			return authority{}, fmt.Errorf("%w: %s is neither, and who issued it is missing", errChain, cert.Subject)
		}
		cert = issuer
	}
	return authority{}, errChain
}

// signedIdentity is how the signed name is compared: "if the signedIdentity
// field is missing, it is treated as matchRepoDigestOrExact".
func (r *reading) signedIdentity(place string, s *signedIdentity) *spec.SignedIdentity {
	if s == nil {
		s = &signedIdentity{Type: "matchRepoDigestOrExact"}
	}
	wants := map[string][4]bool{
		"matchExact": {}, "matchRepoDigestOrExact": {}, "matchRepository": {},
		"exactReference":  {true, false, false, false},
		"exactRepository": {false, true, false, false},
		"remapIdentity":   {false, false, true, true},
	}
	want, ok := wants[s.Type]
	if !ok {
		r.malformed(place, "unknown type %q", s.Type)
		return nil
	}
	if got := [4]bool{s.DockerReference != "", s.DockerRepository != "", s.Prefix != "", s.SignedPrefix != ""}; got != want {
		r.malformed(place, "type %s with the members of another type", s.Type)
		return nil
	}
	return &spec.SignedIdentity{
		Type: s.Type, DockerReference: s.DockerReference, DockerRepository: s.DockerRepository,
		Prefix: s.Prefix, SignedPrefix: s.SignedPrefix,
	}
}
