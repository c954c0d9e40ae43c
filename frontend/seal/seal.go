// SPDX-License-Identifier: Apache-2.0

// Package seal turns what one build step changed into a layer that is the same
// bytes on every machine and every day: times are clamped, files that differ
// on every build though nobody reads them are left out, and everything else
// is carried over as it is.
//
// Its two halves meet in the build graph. Step (step.go) is the frontend's
// half: an exec of the frontend's own image over the snapshots below and above
// the step. Layer is the half that runs in that exec, as `plomb-frontend seal`.
//
// The layer's tar is written by BuildKit's exporter later. Layer foretells its
// digest: it gives the library that the exporter uses (containerd's
// archive.ChangeWriter) the changes that the exporter will find. The layer
// format is https://github.com/opencontainers/image-spec/blob/main/layer.md.
package seal

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
)

// Dirs are the directories one Layer call works on.
type Dirs struct {
	Lower string // the root filesystem before the step, as the step saw it
	Upper string // the root filesystem after the step
	Out   string // the sealed root filesystem below, writable; becomes the layer
}

// Rules say how a layer is normalised.
type Rules struct {
	// Time is T: later modification times become T, which is truncated to
	// whole seconds. Earlier ones stay, truncated too.
	Time time.Time
	// Scrub turns the scrub table on. It is meant for RUN steps only: what a
	// COPY or ADD put there is never scrubbed.
	Scrub bool
	// Compress asks for the digest of the compressed layer as well. It costs
	// several times what everything else does.
	Compress bool
}

// Report is what Layer found out, as it travels from the helper to the frontend.
type Report struct {
	// DiffID is the digest of the uncompressed layer tar.
	DiffID digest.Digest `json:"diffID"`
	// Size is the length of that tar in bytes.
	Size int64 `json:"size"`
	// Gzip is the layer as BuildKit compresses it by default: gzip at Go's
	// default level. It is nil unless asked for.
	Gzip *Blob `json:"gzip,omitempty"`
	// Changes counts the paths that the step added, modified or deleted.
	Changes int `json:"changes"`
	// Lower and Upper name the snapshots around the step. A step that ran once
	// more has another one.
	Lower string `json:"lower,omitempty"`
	Upper string `json:"upper,omitempty"`
	// Scrubbed lists what the scrub table left out or rewrote, sorted by path.
	Scrubbed []Scrubbed `json:"scrubbed,omitempty"`
}

// A Blob is content by digest and length in bytes.
type Blob struct {
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
}

// Scrubbed is one path that a scrub rule touched.
type Scrubbed struct {
	Path string `json:"path"`
	Rule string `json:"rule"`
}

// A Change is one path, absolute in the image, that the sealed layer writes or
// deletes. In their order they are what a differ finds between the layers below
// and this one, because nothing is written that is there already.
type Change struct {
	Path    string
	Deleted bool
}

// A Look is what somebody does with the sealed layer while its digest is
// computed. It must not change anything in the tree.
type Look func(ctx context.Context, changes []Change) error

// Layer applies everything that differs between d.Lower and d.Upper to d.Out,
// normalised by rules, and reports the digest of the resulting layer. look may
// be nil.
func Layer(ctx context.Context, d Dirs, rules Rules, look Look) (*Report, error) {
	rules.Time = rules.Time.Truncate(time.Second)
	a, err := newApplier(d, rules)
	if err != nil {
		return nil, err
	}
	defer a.close()
	if err := walk(ctx, d.Lower, d.Upper, a.change); err != nil {
		return nil, fmt.Errorf("carry over the changes of the step: %w", err)
	}
	if err := a.settleDirs(); err != nil {
		return nil, fmt.Errorf("set directory times: %w", err)
	}
	report := a.report
	sort.Slice(report.Scrubbed, func(i, j int) bool { return report.Scrubbed[i].Path < report.Scrubbed[j].Path })
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := a.foretell(ctx, &report); err != nil {
			return fmt.Errorf("foretell the layer digest: %w", err)
		}
		return nil
	})
	if look != nil {
		g.Go(func() error { return look(ctx, a.written) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return &report, nil
}
