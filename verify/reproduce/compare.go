// SPDX-License-Identifier: Apache-2.0

package reproduce

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/internal/document"
)

const (
	maxListed = 1000    // files of one layer in a report
	maxRead   = 64      // files of one layer whose content is looked at
	maxHead   = 1 << 19 // bytes of one such file: 64 MiB for both sides together
	maxValue  = 400     // bytes of a config member in a report
	// maxNesting of the members of a config that are told apart: history[3],
	// config.Env, config.Labels.name.
	maxNesting = 3
)

// An image on one of the sides, with its config.
type side struct {
	store    document.Store
	manifest *ocispec.Manifest
	digest   digest.Digest
	config   ocispec.Image
	raw      []byte // the config's bytes
}

// Compare reads the rebuilt image, puts it beside the original, and fills in
// the report.
func Compare(ctx context.Context, r *Report, o *Original, from evidence.Location, rebuilt digest.Digest, in evidence.Location) error {
	a, err := readSide(ctx, from, o.Manifest)
	if err != nil {
		return fmt.Errorf("read the image: %w", err)
	}
	img, err := image.Open(ctx, in, rebuilt, platforms.OnlyStrict(o.Manifest.Platform), image.MaxForNode)
	if err != nil {
		return fmt.Errorf("read the rebuilt image: %w", err)
	}
	m := img.Manifests[0]
	if m.Entry.Digest == "" {
		m.Entry.Digest = rebuilt
	}
	b, err := readSide(ctx, in, m)
	if err != nil {
		return fmt.Errorf("read the rebuilt image: %w", err)
	}
	r.Original, r.Rebuilt = a.describe(), b.describe()
	r.SameManifest = a.digest == b.digest
	r.SameImageID = a.manifest.Config.Digest == b.manifest.Config.Digest
	switch {
	case r.SameManifest:
		r.Verdict, r.Reason = Identical, "the platform manifest is the same, bit for bit"
		return nil
	case r.SameImageID:
		if err := sameContent(ctx, a, b); err != nil {
			return err
		}
		r.Manifest = whyManifest(a.manifest, b.manifest)
		r.Verdict, r.Reason = Identical, "the image ID is the same: every file and the config; the manifest is not, because of its compression or annotations"
		return nil
	}
	r.Verdict = Differs
	if r.Config, err = members(a.raw, b.raw); err != nil {
		return err
	}
	if r.Layers, err = layers(ctx, a, b); err != nil {
		return err
	}
	r.Reason = summary(r)
	return nil
}

func readSide(ctx context.Context, store document.Store, m image.Manifest) (*side, error) {
	s := &side{store: store, manifest: m.Manifest, digest: m.Entry.Digest}
	var err error
	if s.raw, err = document.Fetch(ctx, store, document.Blob, m.Manifest.Config.Digest, document.MaxManifest); err != nil {
		return nil, err
	}
	if err := strictjson.UnmarshalOpen(s.raw, &s.config); err != nil {
		return nil, fmt.Errorf("%w: config: %w", document.ErrMalformed, err)
	}
	if got, want := len(s.config.RootFS.DiffIDs), len(m.Manifest.Layers); got != want {
		return nil, fmt.Errorf("%w: the config tells of %d layers and the manifest of %d", document.ErrMalformed, got, want)
	}
	return s, nil
}

func (s *side) describe() *Side {
	return &Side{Manifest: s.digest, Config: s.manifest.Config.Digest, Layers: len(s.manifest.Layers)}
}

// sameContent reads the layers that the manifests name by other digests: that
// they are those of the config is so far only said.
func sameContent(ctx context.Context, a, b *side) error {
	for i := range a.manifest.Layers {
		if a.manifest.Layers[i].Digest == b.manifest.Layers[i].Digest {
			continue
		}
		for name, s := range map[string]*side{"image": a, "rebuilt image": b} {
			if err := eachFile(ctx, s.store, s.layer(i), func(*tar.Header, io.Reader) error { return nil }); err != nil {
				return fmt.Errorf("read layer %d of the %s: %w", i, name, err)
			}
		}
	}
	return nil
}

// whyManifest says in what the manifests of the same config differ.
func whyManifest(a, b *ocispec.Manifest) []string {
	var why []string
	if a.MediaType != b.MediaType {
		why = append(why, fmt.Sprintf("media type %s, rebuilt as %s", a.MediaType, b.MediaType))
	}
	for i := range a.Layers {
		x, y := a.Layers[i], b.Layers[i]
		switch {
		case x.MediaType != y.MediaType:
			why = append(why, fmt.Sprintf("layer %d: %s, rebuilt as %s", i, x.MediaType, y.MediaType))
		case x.Digest != y.Digest:
			why = append(why, fmt.Sprintf("layer %d: the same content, compressed otherwise", i))
		}
	}
	if !maps.Equal(a.Annotations, b.Annotations) {
		why = append(why, fmt.Sprintf("annotations %v, rebuilt with %v: buildx --annotation is not part of the provenance", a.Annotations, b.Annotations))
	}
	if len(why) == 0 {
		why = append(why, "the descriptors in it are annotated otherwise")
	}
	return why
}

// layers compares the layers one by one, from the bottom.
func layers(ctx context.Context, a, b *side) ([]Layer, error) {
	var out []Layer
	made := instructions(a.config)
	if len(a.manifest.Layers) < len(b.manifest.Layers) {
		made = instructions(b.config)
	}
	for i := range max(len(a.manifest.Layers), len(b.manifest.Layers)) {
		l := Layer{Index: i, Files: []File{}}
		if i < len(made) {
			l.Instruction = decision.OneLine(made[i])
		}
		if i < len(a.manifest.Layers) {
			l.Original = a.config.RootFS.DiffIDs[i]
		}
		if i < len(b.manifest.Layers) {
			l.Rebuilt = b.config.RootFS.DiffIDs[i]
		}
		if l.Original == l.Rebuilt {
			continue
		}
		if l.Original == "" || l.Rebuilt == "" {
			l.Note = "only one of the images has this layer"
		} else if err := compareLayer(ctx, &l, a, b); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// instructions are what made the layers, from the history.
func instructions(config ocispec.Image) []string {
	var made []string
	for _, h := range config.History {
		if !h.EmptyLayer {
			made = append(made, h.CreatedBy)
		}
	}
	return made
}

func compareLayer(ctx context.Context, l *Layer, a, b *side) error {
	x, err := files(ctx, a.store, a.layer(l.Index))
	if err != nil {
		return fmt.Errorf("read layer %d of the image: %w", l.Index, err)
	}
	y, err := files(ctx, b.store, b.layer(l.Index))
	if err != nil {
		return fmt.Errorf("read layer %d of the rebuilt image: %w", l.Index, err)
	}
	l.list(x, y)
	if l.Differences == 0 {
		l.Note = "the same files, written in another order or format by another version of the builder"
		return nil
	}
	return l.explain(ctx, a, b)
}

// list finds the files that differ.
func (l *Layer) list(x, y map[string]node) {
	paths := maps.Clone(x)
	maps.Copy(paths, y)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		before, was := x[path]
		after, is := y[path]
		f := File{Path: path, Change: changed}
		switch {
		case !is:
			f.Change = onlyOriginal
		case !was:
			f.Change = onlyRebuilt
		default:
			if f.Differs = before.differs(after); len(f.Differs) == 0 {
				continue
			}
		}
		l.Differences++
		if len(l.Files) < maxListed {
			l.Files = append(l.Files, f)
		}
	}
}

// explain looks into the files for the likely causes.
func (l *Layer) explain(ctx context.Context, a, b *side) error {
	want := map[string]bool{}
	for _, f := range l.Files {
		if len(want) < maxRead && slices.Contains(f.Differs, "content") {
			want[f.Path] = true
		}
	}
	var before, after map[string][]byte
	if len(want) > 0 {
		var err error
		if before, err = heads(ctx, a.store, a.layer(l.Index), want); err != nil {
			return err
		}
		if after, err = heads(ctx, b.store, b.layer(l.Index), want); err != nil {
			return err
		}
	}
	peers := l.peers(before, after)
	for i := range l.Files {
		f := &l.Files[i]
		row := explain(pair{file: f, original: before[f.Path], rebuilt: after[f.Path], instruction: l.Instruction, layer: peers})
		f.Cause, f.Rule, f.Detail = row.Cause, row.ID, row.Detail
	}
	return nil
}

// members compares two configs member by member.
func members(x, y []byte) ([]Member, error) {
	a, b := map[string]string{}, map[string]string{}
	for _, s := range []struct {
		data []byte
		into map[string]string
	}{{x, a}, {y, b}} {
		if err := flatten("", s.data, s.into, maxNesting); err != nil {
			return nil, fmt.Errorf("%w: config: %w", document.ErrMalformed, err)
		}
	}
	names := maps.Clone(a)
	maps.Copy(names, b)
	var out []Member
	for _, name := range slices.Sorted(maps.Keys(names)) {
		// That the layers differ is said layer by layer.
		if a[name] != b[name] && name != "rootfs.diff_ids" {
			out = append(out, Member{Name: name, Original: short(a[name]), Rebuilt: short(b[name])})
		}
	}
	return out, nil
}

func flatten(prefix string, data []byte, into map[string]string, depth int) error {
	var object map[string]json.RawMessage
	var list []json.RawMessage
	if prefix == "history" && json.Unmarshal(data, &list) == nil {
		for i, entry := range list {
			into[fmt.Sprintf("%s[%d]", prefix, i)] = string(entry)
		}
		return nil
	}
	if depth == 0 || json.Unmarshal(data, &object) != nil || object == nil {
		into[prefix] = string(data)
		return nil
	}
	for name, value := range object {
		if prefix != "" {
			name = prefix + "." + name
		}
		if err := flatten(name, value, into, depth-1); err != nil {
			return err
		}
	}
	return nil
}

func short(s string) string {
	s = decision.OneLine(s)
	if len(s) > maxValue {
		return s[:maxValue] + "…"
	}
	return s
}

func summary(r *Report) string {
	n, causes := 0, map[Cause]bool{}
	for _, l := range r.Layers {
		n += l.Differences
		for _, f := range l.Files {
			causes[f.Cause] = true
		}
	}
	if len(r.Layers) == 0 {
		return "every layer is the same; the image config differs"
	}
	return fmt.Sprintf("%d files in %d layers differ; likely causes: %v", n, len(r.Layers), slices.Sorted(maps.Keys(causes)))
}
