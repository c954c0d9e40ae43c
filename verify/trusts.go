// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/notation"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
)

// verifiers are what verifies under one trust: several where the machine trusts
// several Sigstore instances. Each counts by itself; roots are never merged.
type verifiers struct {
	sigstore []*trust.Verifier
	notation *notation.Verifier
	// known are the outcomes so far: all platforms of an image carry the same
	// bundle.
	known map[string]outcome
}

// outcome is what came of verifying one candidate under one trust.
type outcome struct {
	signed binding.Signed
	err    error
}

// believe gets the verifiers for a trust ready.
func (r *run) believe(t policy.Trust) error {
	if _, ok := r.trusts[t.ID()]; ok {
		return nil
	}
	v := &verifiers{known: map[string]outcome{}}
	var err error
	if t.Notation != nil {
		v.notation, err = r.notationVerifier(t.Notation)
	} else {
		v.sigstore, err = r.sigstoreVerifiers(t)
	}
	if err != nil {
		return err
	}
	r.trusts[t.ID()] = v
	return nil
}

func (r *run) notationVerifier(t *policy.NotationTrust) (*notation.Verifier, error) {
	stores, err := notation.LoadStores(filepath.Join(r.req.Notation, "x509"), t.TrustStores)
	if err != nil {
		return nil, err
	}
	o := notation.Options{
		Level: t.Level, VerifyTimestamp: t.VerifyTimestamp, TrustedIdentities: t.TrustedIdentities,
		CAs: stores.CAs, SigningAuthorities: stores.SigningAuthorities, TSAs: stores.TSAs,
	}
	for _, inline := range []struct {
		pem    string
		stores *map[string][]*x509.Certificate
	}{{t.Certificates, &o.CAs}, {t.TimestampCertificates, &o.TSAs}} {
		if inline.pem == "" {
			continue
		}
		certs, err := notation.ParseCertificates([]byte(inline.pem))
		if err != nil {
			return nil, err
		}
		*inline.stores = map[string][]*x509.Certificate{"policy": certs}
	}
	if o.CRLs, err = notation.LoadCRLs(filepath.Join(r.req.Notation, "crl")); err != nil {
		return nil, err
	}
	return notation.NewVerifier(o)
}

// sigstoreVerifiers makes a verifier for each root that the trust could mean.
func (r *run) sigstoreVerifiers(t policy.Trust) ([]*trust.Verifier, error) {
	choices, err := r.choices(t)
	if err != nil {
		return nil, err
	}
	var list []*trust.Verifier
	var faults []error
	for _, o := range choices {
		v, err := trust.NewVerifier(o)
		if errors.Is(err, trust.ErrRoot) && len(choices) > 1 {
			// An instance without a part that this trust needs is none for it.
			faults = append(faults, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if len(list) == 0 {
		return nil, errors.Join(faults...)
	}
	return list, nil
}

// choices are the options of the verifiers. Where the trust names no root, each
// of the machine's own is a choice, for all purposes alike.
func (r *run) choices(t policy.Trust) ([]trust.Options, error) {
	own := []*trust.Root{nil}
	if needsOwnRoot(t) {
		roots, err := r.ownRoots()
		if err != nil {
			return nil, err
		}
		own = roots
	}
	var list []trust.Options
	for _, root := range own {
		o, err := r.options(t, root)
		if err != nil {
			return nil, err
		}
		if root != nil && o.Root == root && o.CACert == nil && !root.HasCTLogs() {
			// An instance without certificate transparency, such as GitHub's for
			// private repositories. A file that should have it and has not is
			// refused when it is read. It says nothing of the certificates of
			// another authority, which the policy has.
			o.IgnoreSCT = true
		}
		list = append(list, o)
	}
	return list, nil
}

// needsOwnRoot reports whether some part of the trust is the machine's root.
func needsOwnRoot(t policy.Trust) bool {
	return t.Keyless != nil && t.Keyless.Root == "" ||
		t.Log != nil && t.Log.Root == "" || t.Timestamp != nil && t.Timestamp.Root == ""
}

func (r *run) options(t policy.Trust, own *trust.Root) (o trust.Options, err error) {
	named := func(name string) (root *trust.Root) {
		if name == "" || err != nil {
			return own
		}
		root, err = r.namedRoot(name)
		return root
	}
	switch {
	case t.Keyless != nil:
		o.Root, o.IgnoreSCT = named(t.Keyless.Root), t.Keyless.IgnoreSCT
		if t.Keyless.CACert != "" {
			o.CACert = []byte(t.Keyless.CACert)
		}
	case t.Key != nil:
		if o.Keys, err = trust.ParseKeys([]byte(t.Key.PEM), t.Key.Hash); err != nil {
			return o, err
		}
	default:
		return o, fmt.Errorf("%w: a policy trusts neither certificates nor keys", ErrRequest)
	}
	if t.Log != nil {
		o.Log = &trust.LogRule{Root: named(t.Log.Root), URL: t.Log.URL}
	}
	if t.Timestamp != nil {
		o.Timestamp = &trust.TimestampRule{Root: named(t.Timestamp.Root)}
	}
	return o, err
}

// verify verifies a candidate for one manifest under a trust. A good signature
// over a document counts for every manifest, one over a bare digest only for
// the one that has it.
func (r *run) verify(ctx context.Context, c evidence.Candidate, t policy.Trust, target binding.Target) (binding.Signed, error) {
	v := r.trusts[t.ID()]
	general := identify(c)
	particular := general + " " + target.Manifest.String()
	for _, key := range []string{general, particular} {
		if known, ok := v.known[key]; ok {
			known.signed.Where = c.Where
			return known.signed, known.err
		}
	}
	signed, err := v.verify(ctx, r, c, target)
	r.check("trust", string(form(c))+" "+c.Digest.String(), err)
	if err == nil && signed.Payload != nil {
		v.known[general] = outcome{signed, err}
	} else {
		v.known[particular] = outcome{signed, err}
	}
	return signed, err
}

func (v *verifiers) verify(ctx context.Context, r *run, c evidence.Candidate, target binding.Target) (binding.Signed, error) {
	if form(c) == evidence.JWS || form(c) == evidence.COSE {
		return v.verifyNotation(ctx, r, c)
	}
	var worstErr error
	for _, s := range v.sigstore {
		res, err := s.Verify(trust.Input{Bundle: c.Bundle, Payload: c.Payload, Digests: target.Digests()}, r.req.Now())
		if err == nil {
			format := claim.Bundle
			if form(c) == evidence.Legacy {
				format = claim.Legacy
			}
			if res.Payload != nil {
				res.Digest = ""
			}
			return binding.Signed{
				Format: format, PayloadType: res.PayloadType, Payload: res.Payload, Digest: res.Digest,
				Signer: res.Signer, SignedAt: res.SignedAt, SignedAfter: res.SignedAfter, Logged: res.Logged, Evidence: c.Digest, Where: c.Where,
			}, nil
		}
		if worstErr == nil || rank(err) > rank(worstErr) {
			worstErr = err
		}
	}
	return binding.Signed{}, worstErr
}

func (v *verifiers) verifyNotation(ctx context.Context, r *run, c evidence.Candidate) (binding.Signed, error) {
	res, err := v.notation.Verify(ctx, c.Bundle, string(form(c)), r.req.Now())
	if err != nil {
		return binding.Signed{}, err
	}
	for _, fault := range res.Unenforced {
		r.check("trust", "not enforced at this level: "+c.Digest.String(), fault)
	}
	return binding.Signed{
		Format: claim.Notation, Digest: res.Target.Digest, Annotations: res.Annotations,
		Signer: res.Signer, SignedAt: res.SignedAt, SignedAfter: res.SignedAfter, Evidence: c.Digest, Where: c.Where,
	}, nil
}

// form is how a candidate is written.
func form(c evidence.Candidate) evidence.Form {
	if c.Form == "" {
		return evidence.Bundle
	}
	return c.Form
}

// wants reports whether a candidate of that form can be one for the trust: the
// Notary Project and Sigstore do not read each other.
func wants(t policy.Trust, form evidence.Form) bool {
	notary := form == evidence.JWS || form == evidence.COSE
	return notary == (t.Notation != nil)
}
