// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"sort"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/policy/spec"
)

// remedies say, by reason code, what would let an image pass. A code without a
// row, such as a digest that does not match, has no remedy but another image.
var remedies = map[string]string{
	"unsigned":            "it were signed, and the signature lay in the image index, in a referrer or under one of cosign's tags",
	"too-many-candidates": "there were fewer signatures beside it",
	"unwanted-form":       "it were signed in a form that the policy asks for: with a key, a certificate or for the Notary Project",
	"keyed":               "it were signed with a certificate, or the policy had an authority with this key",
	"keyless":             "it were signed with the key, or the policy had a keyless authority",
	"no-signature":        "the signer had signed the image itself or its provenance, and not only stated something about it; or the authority listed the attestation",
	"attestation":         "a welcome signer had attested what is missing",
	"inner-policy":        "what was attested agreed with the policy",
	"signature-format":    "the signature were of the format that signatureFormat names, or the authority named none",
	"notation-untrusted":  "the certificate led to one in the trust stores: do the store's folders have the right names?",
	"notation-identity":   "the certificate named one of trustedIdentities",
	"notation-expired":    "it were signed again",
	"notation-revoked":    "it were signed again with a certificate that is not revoked",
	"needs-pod":           "the policy did without what only a cluster knows: match, includeSpec, includeObjectMeta, includeTypeMeta, signaturePullSecrets",
	"trust-stale":         "the trusted root had been renewed lately; see `plomb trust update`",
	"trust-store":         "the trust store could be read; see --notation-dir",
	"log-entry":           "the signature were in a transparency log that the trusted root has",
	"timestamp":           "a log, or a timestamp authority of the trusted root, vouched for the time of signing",
	"certificate":         "the certificate led to an authority of the trusted root that was in force at the time of signing; see `plomb trust show`",
	"sct":                 "a certificate transparency log of the trusted root had seen the certificate",
	"subject":             "the signature were about this digest: was the image built or pushed again after it was signed?",
	"platform":            "the signature were about this platform",
	"lazy-layer":          "the manifest digest were signed, or the layers were not lazily loaded",
	"authority":           "the certificate came from the authority that keyless.url names",
	"no-match":            "a policy were about this name",
	"no-policy":           "there were a policy",
	"name":                "the name were a valid image reference",
	"not-found":           "what the registry does not have were there",
	"access":              "the credentials were good for this repository; see `docker login`",
	"unreachable":         "the registry answered",
	"timeout":             "there were more time: --timeout",
	"offline":             "the network could be asked, or the image were given with its digest",
	"clock":               "the clocks of signer and verifier agreed",
	"trust-root":          "the trusted root could be read; see `plomb trust update` and --trusted-root",
	"policy-unsupported":  "the policy did without the field that is named",
	"policy-invalid":      "the policy were sound; see `plomb policy check`",
	"not-examined":        "the other policies were satisfied first",
}

// globs are the policies whose globs are closest to the name of an image that
// none is about.
func globs(img decision.Image, set *policy.Set) []Hint {
	const most = 3
	spellings, err := policy.Spellings(img.Name, img.Digest)
	if err != nil {
		return nil
	}
	type near struct {
		hint Hint
		far  int
	}
	var all []near
	for _, p := range set.Policies() {
		if p.Spec == nil {
			continue
		}
		for _, image := range p.Spec.Images {
			n := near{hint: Hint{Policy: p.Name, Origin: string(image.At), Text: fmt.Sprintf("glob %q does not match", image.Glob)}, far: 1 << 20}
			for _, s := range spellings {
				n.far = min(n.far, distance(image.Glob, s))
			}
			for _, better := range []string{image.Glob + "**", image.Glob + ":*", "**/" + image.Glob, image.Glob + "/**"} {
				if matches(better, img) {
					n.hint.Pass, n.far = fmt.Sprintf("the glob were %q", better), 0
					break
				}
			}
			all = append(all, n)
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].far < all[j].far })
	var hints []Hint
	for _, n := range all[:min(len(all), most)] {
		hints = append(hints, n.hint)
	}
	return hints
}

// matches reports whether a glob would be about the image.
func matches(glob string, img decision.Image) bool {
	doc := map[string]any{
		"apiVersion": "policy.sigstore.dev/v1beta1", "kind": spec.KindClusterImagePolicy, "metadata": map[string]any{"name": "try"},
		"spec": map[string]any{"images": []any{map[string]any{"glob": glob}}, "authorities": []any{map[string]any{"static": map[string]any{"action": "pass"}}}},
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return false
	}
	set, err := policy.FromFiles("try", []policy.File{{Name: "try.json", Data: data}})
	if err != nil {
		return false
	}
	_, err = set.Select(img.Name, img.Digest)
	return err == nil
}

// fingerprints are the SHA-256 of the public keys in PEM.
func fingerprints(text string) []string {
	var out []string
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		sum := sha256.Sum256(block.Bytes)
		out = append(out, "sha256:"+hex.EncodeToString(sum[:]))
	}
	return out
}
