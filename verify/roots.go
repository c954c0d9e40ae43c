// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/notation"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/policy/spec"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/trust/tuf"
)

// ownRoots are the roots that count where a policy names none.
func (r *run) ownRoots() ([]*trust.Root, error) {
	loaded, err := r.req.Trust.Own(r.req.Now())
	if len(loaded) == 0 {
		if err == nil {
			err = fmt.Errorf("%w: none was given", ErrTrustRoot)
		}
		return nil, err
	}
	// What is left may still admit the image.
	r.unusable = err
	var roots []*trust.Root
	for _, l := range loaded {
		if l == nil || l.Root == nil {
			return nil, fmt.Errorf("%w: none was given", ErrTrustRoot)
		}
		roots = append(roots, r.rely(l))
	}
	return roots, nil
}

// namedRoot is the root of a TrustRoot document of the policy, or what is
// installed under the name. What a document says to fetch is looked for among
// the installed: nothing is fetched here.
func (r *run) namedRoot(name string) (*trust.Root, error) {
	doc, ok := r.req.Policy.TrustRoot(name)
	if ok && doc.Remote == nil {
		root, err := fromDocument(doc, r.req.Now())
		if err != nil {
			return nil, fmt.Errorf("TrustRoot %s (%s): %w", name, doc.At, err)
		}
		return r.rely(&trust.Loaded{Root: root}), nil
	}
	var initial []byte
	var target string
	if ok {
		var err error
		if initial, err = decode("root", doc.Remote.Root); err != nil {
			return nil, fmt.Errorf("TrustRoot %s (%s): %w", name, doc.At, err)
		}
		target = targetOf(doc.Remote.TrustedRootTarget)
	}
	l, err := r.req.Trust.Instance(name, initial, target, r.req.Now())
	if err != nil {
		return nil, err
	}
	return r.rely(l), nil
}

// targetOf is the name of the trusted root in a repository.
func targetOf(name string) string {
	if name == "" {
		return "trusted_root.json"
	}
	return name
}

// rely notes a root that the verdict rests on.
func (r *run) rely(l *trust.Loaded) *trust.Root {
	r.d.Basis.TrustRoots = appendNew(r.d.Basis.TrustRoots, l.Root.Digest())
	r.d.Basis.TrustRoot = r.d.Basis.TrustRoots[0]
	if l.State != nil {
		r.usableUntil = sooner(r.usableUntil, l.State.UsableUntil())
	}
	for _, warning := range l.Warnings {
		r.d.Warnings = append(r.d.Warnings, decision.OneLine(warning))
	}
	return l.Root
}

// CheckTrust reads what a set trusts, keys and TrustRoot documents, as Verify
// would, and says what is the matter with each.
func CheckTrust(set *policy.Set, now time.Time) []error {
	var faults []error
	for _, name := range set.TrustRoots() {
		doc, _ := set.TrustRoot(name)
		if doc.Remote != nil {
			continue // not here
		}
		if _, err := fromDocument(doc, now); err != nil {
			faults = append(faults, fmt.Errorf("%s: TrustRoot %s: %w", doc.At, name, err))
		}
	}
	for _, p := range set.Policies() {
		for _, t := range p.Trusts() {
			if err := checkMaterial(t); err != nil {
				faults = append(faults, fmt.Errorf("%s: policy %s: %w", p.Origin, p.Name, err))
			}
		}
	}
	return faults
}

// checkMaterial reads the keys and certificates that stand in a policy.
func checkMaterial(t policy.Trust) error {
	if t.Key != nil {
		_, err := trust.ParseKeys([]byte(t.Key.PEM), t.Key.Hash)
		return err
	}
	if t.Notation == nil {
		return nil
	}
	return checkNotation(t.Notation)
}

// checkNotation says what would make notationVerifier fail on every machine,
// whatever trust stores it has.
func checkNotation(t *policy.NotationTrust) error {
	if err := notation.CheckIdentities(t.TrustedIdentities); err != nil {
		return err
	}
	if err := notation.CheckStoreNames(t.TrustStores); err != nil {
		return err
	}
	for _, inline := range []struct{ pem, kind string }{
		{t.Certificates, notation.TypeCA}, {t.TimestampCertificates, notation.TypeTSA},
	} {
		if inline.pem == "" {
			continue
		}
		certs, err := notation.ParseCertificates([]byte(inline.pem))
		if err != nil {
			return err
		}
		if err := notation.CheckCertificates(inline.kind, certs); err != nil {
			return err
		}
	}
	vouches := func(store string) bool { return !strings.HasPrefix(store, notation.TypeTSA+":") }
	if t.Certificates == "" && !slices.ContainsFunc(t.TrustStores, vouches) {
		return fmt.Errorf("%w: neither a trust store ca:NAME or signingAuthority:NAME nor certificates; nobody could be trusted", notation.ErrOptions)
	}
	return nil
}

// sooner is the earlier of two times of which zero means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func fromDocument(doc *spec.TrustRoot, now time.Time) (*trust.Root, error) {
	if repo := doc.Repository; repo != nil {
		initial, err := decode("root", repo.Root)
		if err != nil {
			return nil, err
		}
		mirror, err := decode("mirrorFS", repo.MirrorFS)
		if err != nil {
			return nil, err
		}
		return tuf.FromRepositoryAt(initial, mirror, repo.Targets, repo.TrustedRootTarget, now)
	}
	if doc.SigstoreKeys == nil {
		return nil, fmt.Errorf("%w: it has neither sigstoreKeys nor repository", ErrTrustRoot)
	}
	parts, err := partsOf(doc.SigstoreKeys)
	if err != nil {
		return nil, err
	}
	return trust.FromParts(parts)
}

func partsOf(k *spec.SigstoreKeys) (p trust.Parts, err error) {
	for _, group := range []struct {
		from []spec.CertificateAuthority
		to   *[]trust.PartAuthority
	}{{k.CertificateAuthorities, &p.CertificateAuthorities}, {k.TimestampAuthorities, &p.TimestampAuthorities}} {
		for _, ca := range group.from {
			chain, err := decode("certChain", ca.CertChain)
			if err != nil {
				return p, err
			}
			*group.to = append(*group.to, trust.PartAuthority{
				URI: ca.URI, Organization: ca.Subject.Organization, CommonName: ca.Subject.CommonName, Chain: chain,
			})
		}
	}
	for _, group := range []struct {
		from []spec.TransparencyLog
		to   *[]trust.PartLog
	}{{k.TLogs, &p.TLogs}, {k.CTLogs, &p.CTLogs}} {
		for _, log := range group.from {
			key, err := decode("publicKey", log.PublicKey)
			if err != nil {
				return p, err
			}
			*group.to = append(*group.to, trust.PartLog{BaseURL: log.BaseURL, HashAlgorithm: log.HashAlgorithm, Key: key})
		}
	}
	return p, nil
}

// decode reads base64, which YAML may have broken into lines. PEM as it is, is
// taken too: that is what people write first.
func decode(field, text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "-----BEGIN ") {
		return []byte(text), nil
	}
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not base64: %w", ErrTrustRoot, field, err)
	}
	return data, nil
}
