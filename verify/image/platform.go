// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// maxOthers bounds how many platforms a refusal lists, and maxPlatform how
	// long each may be, in bytes: whoever wrote the index chose them.
	maxOthers   = 8
	maxPlatform = 40
)

// usual are the platforms that images are made for. A matcher does not say what
// it wants; which of these it likes best tells.
var usual = []string{
	"linux/amd64", "linux/arm64", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5", "linux/386", "linux/riscv64",
	"linux/ppc64le", "linux/s390x", "linux/loong64", "linux/mips64le", "windows/amd64", "windows/arm64", "freebsd/amd64", "darwin/arm64", "darwin/amd64",
}

// wanted is the platform that a matcher looks for, empty if it does not say.
func wanted(matcher platforms.Matcher) string {
	if s, ok := matcher.(fmt.Stringer); ok {
		return s.String()
	}
	order, ok := matcher.(platforms.MatchComparer)
	if !ok {
		return "" // any of several
	}
	var best *ocispec.Platform
	for _, name := range usual {
		p := platforms.Normalize(platforms.MustParse(name))
		if order.Match(p) && (best == nil || order.Less(p, *best)) {
			best = &p
		}
	}
	if best == nil {
		return ""
	}
	return platforms.Format(*best)
}

// another notes a platform that an index has and that is not wanted.
func (w *walk) another(p ocispec.Platform) {
	if p.OS == "unknown" || p.Architecture == "unknown" {
		return // an attestation manifest
	}
	name := platforms.Format(platforms.Normalize(p))
	if len(name) > maxPlatform {
		name = strings.ToValidUTF8(name[:maxPlatform], "") + "…"
	}
	if len(w.others) <= maxOthers && !slices.Contains(w.others, name) {
		w.others = append(w.others, name)
	}
}

// none is the refusal of an index without a manifest for the platform.
func (w *walk) none() error {
	want := wanted(w.matcher)
	if want != "" {
		want = ", wanted " + want
	}
	has := "no platform at all"
	switch {
	case len(w.others) > maxOthers:
		has = strings.Join(w.others[:maxOthers], ", ") + " and others"
	case len(w.others) > 0:
		has = strings.Join(w.others, ", ")
	}
	return fmt.Errorf("%w%s: index %s has %s", ErrNoPlatform, want, w.image.Digest, has)
}
