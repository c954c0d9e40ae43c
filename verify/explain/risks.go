// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/policy/spec"
)

// Level is how much a risk matters.
type Level string

const (
	// Warning: the policy probably admits more, or less, than was meant.
	Warning Level = "warning"
	// Note: it does what it says; know that it does.
	Note Level = "note"
)

// A Risk is something in a policy that is easily meant otherwise.
type Risk struct {
	// Origin is file:line.
	Origin string `json:"origin"`
	Policy string `json:"policy"`
	Level  Level  `json:"level"`
	// Code is a stable name for the kind of risk.
	Code string `json:"code"`
	Text string `json:"text"`
}

// Risks looks at every policy of the set, in their order. now is for
// exceptions that expire.
func Risks(set *policy.Set, now time.Time) []Risk {
	var r risks
	for _, p := range set.Policies() {
		if p.Spec == nil {
			continue
		}
		r.policy, r.set, r.now = p.Name, set, now
		r.images(p.Spec)
		for i := range p.Spec.Authorities {
			r.authority(p.Spec, &p.Spec.Authorities[i])
		}
		r.whole(p.Spec)
	}
	slices.SortStableFunc(r.found, func(a, b Risk) int { return strings.Compare(a.Policy, b.Policy) })
	return r.found
}

type risks struct {
	set    *policy.Set
	policy string
	now    time.Time
	found  []Risk
}

func (r *risks) add(at spec.Origin, level Level, code, format string, args ...any) {
	r.found = append(r.found, Risk{string(at), r.policy, level, code, fmt.Sprintf(format, args...)})
}

// images looks at the globs.
func (r *risks) images(p *spec.ImagePolicy) {
	for _, i := range p.Images {
		if tagged(i.Glob) {
			r.add(i.At, Note, "glob-tag", "glob %q wants a tag, and whoever asks for the image chooses the tag: under another tag, or by its digest, the same image is left to other policies", i.Glob)
		}
		switch {
		case i.Glob == "*" || i.Glob == "*/*":
			r.add(i.At, Note, "glob-docker-hub", "glob %q means images of Docker Hub alone; ** is every image", i.Glob)
		case strings.ContainsAny(i.Glob, "@") || strings.HasSuffix(i.Glob, "*") || strings.Contains(i.Glob[strings.LastIndex(i.Glob, "/")+1:], ":"):
		default:
			r.add(i.At, Warning, "glob-without-tag", "glob %q matches the tag latest alone, and no digest: write %s** or %s:*", i.Glob, i.Glob, i.Glob)
		}
	}
}

// tagged reports whether a glob wants a tag that is more than any tag: what
// stands after the colon of its last component, unless that follows a digest.
func tagged(glob string) bool {
	name, _, digested := strings.Cut(glob, "@")
	_, tag, ok := strings.Cut(name[strings.LastIndex(name, "/")+1:], ":")
	return ok && !digested && strings.Trim(tag, "*") != ""
}

// whole looks at what the authorities do not say.
func (r *risks) whole(p *spec.ImagePolicy) {
	if p.Mode == string(policy.Warn) {
		r.add(p.At, Note, "mode-warn", "the policy only warns: it admits what it refuses")
	}
	if p.Match != nil {
		r.add(p.At, Warning, "needs-pod", "match needs the pod: on a node, images of this policy are undecided")
	}
	r.inner(p.Policy)
	if p.Undecided == "allow-if-verified-before" {
		r.add(p.At, Note, "undecided-allowed", "an image that was verified once is admitted when it cannot be checked")
	}
	for _, e := range p.Exceptions {
		if tagged(e.Image) {
			r.add(e.At, Note, "exception-tag", "the exception for %q goes by a tag, and whoever asks for the image chooses the tag: name a digest", e.Image)
		}
		expires, err := time.Parse(time.RFC3339, e.Expires)
		switch {
		case err != nil:
		case expires.Before(r.now):
			r.add(e.At, Note, "exception-expired", "the exception expired at %s: remove it", e.Expires)
		case expires.After(r.now.AddDate(1, 0, 0)):
			r.add(e.At, Warning, "exception-long", "the exception is for more than a year, until %s", e.Expires)
		}
	}
}

// inner looks at a rule in CUE or Rego.
func (r *risks) inner(p *spec.Policy) {
	if p != nil && (p.IncludeSpec || p.IncludeObjectMeta || p.IncludeTypeMeta) {
		r.add(p.At, Warning, "needs-pod", "includeSpec, includeObjectMeta and includeTypeMeta need the pod: on a node, images of this policy are undecided")
	}
}

func (r *risks) authority(p *spec.ImagePolicy, a *spec.Authority) {
	switch {
	case a.Static != nil:
		r.static(p, a)
	case a.Keyless != nil:
		r.keyless(a.Keyless)
	case a.Notation != nil:
		r.notation(a.Notation)
	case a.Key != nil && a.CTLog == nil && a.RFC3161Timestamp == nil:
		r.add(a.At, Note, "key-without-time", "a signature by this key needs no trusted time: if the key leaks, deny.keys refuses old signatures as well")
	}
	for _, s := range a.Sources {
		if s.SignaturePullSecrets != nil {
			r.add(s.At, Warning, "needs-pod", "signaturePullSecrets are in the pod's namespace: on a node, images of this policy are undecided")
		}
	}
	for _, at := range a.Attestations {
		r.inner(at.Policy)
		if at.Policy == nil && len(p.Rules) == 0 && p.Policy == nil {
			r.add(at.At, Note, "attestation-unread", "attestation %s only has to be there: nothing looks at what it says", at.Name)
		}
	}
	if a.CTLog != nil {
		r.root(a.CTLog.At, a.CTLog.TrustRootRef)
	}
	if a.RFC3161Timestamp != nil {
		r.root(a.RFC3161Timestamp.At, a.RFC3161Timestamp.TrustRootRef)
	}
}

func (r *risks) static(p *spec.ImagePolicy, a *spec.Authority) {
	if a.Static.Action != "pass" {
		return
	}
	if len(p.Authorities) > 1 {
		r.add(a.At, Warning, "static-pass-beside", "authorities are alternatives: beside a static pass the others are never asked")
	}
	for _, i := range p.Images {
		if strings.Trim(i.Glob, "*/") == "" && strings.Contains(i.Glob, "**") {
			r.add(a.At, Warning, "static-pass-all", "every image passes this policy without evidence; only other policies that match can refuse one")
		}
	}
}

func (r *risks) keyless(k *spec.Keyless) {
	for _, id := range k.Identities {
		r.expression(id.At, "issuerRegExp", id.IssuerRegExp)
		r.expression(id.At, "subjectRegExp", id.SubjectRegExp)
	}
	if k.InsecureIgnoreSCT {
		r.add(k.At, Warning, "no-sct", "insecureIgnoreSCT: a certificate authority could issue certificates that nobody ever sees")
	}
	if k.URL == "" && k.TrustRootRef == "" && k.CACert == nil {
		r.add(k.At, Note, "any-authority", "without url, any certificate authority of the machine's trusted root may have issued the certificate")
	}
	r.root(k.At, k.TrustRootRef)
}

func (r *risks) expression(at spec.Origin, field, expr string) {
	if expr == "" {
		return
	}
	begins, ends, everything := anchors(expr)
	switch {
	case everything:
		r.add(at, Warning, "regexp-everything", "%s %q matches everything", field, expr)
	case !begins || !ends:
		r.add(at, Warning, "regexp-unanchored", "%s %q matches anywhere in the value: begin it with ^ and end it with $", field, expr)
	}
	if dotted.MatchString(expr) {
		r.add(at, Warning, "regexp-dot", "%s %q: an unescaped dot stands for any character: write \\.", field, expr)
	}
}

func (r *risks) notation(n *spec.Notation) {
	if n.Level == "audit" {
		r.add(n.At, Warning, "notation-audit", "level audit admits a signature by anybody: authenticity is not enforced")
	}
	if slices.Contains(n.TrustedIdentities, "*") {
		r.add(n.At, Note, "notation-anybody", "anybody with a certificate of the trust stores may sign")
	}
}

// root looks at a reference to a TrustRoot document.
func (r *risks) root(at spec.Origin, name string) {
	if name == "" {
		return
	}
	root, ok := r.set.TrustRoot(name)
	switch {
	case !ok:
		r.add(at, Warning, "no-trust-root", "there is no TrustRoot %q beside this policy: its images are undecided", name)
	case root.Remote != nil:
		r.add(at, Note, "remote-trust-root", "TrustRoot %q is remote: plomb trust update has to have brought it to the node", name)
	}
}
