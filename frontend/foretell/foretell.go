// SPDX-License-Identifier: Apache-2.0

// Package foretell writes an image config that BuildKit's exporter leaves as
// it is, so that its digest, the image ID, is known before the export. The
// exporter fills in what is missing, lowers times that are too late and sorts
// the top-level keys; Config does all of that first.
//
// The format is https://github.com/opencontainers/image-spec/blob/main/config.md.
package foretell

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrHistory reports an image whose history does not tell as many layers as
// it has.
var ErrHistory = errors.New("history and layers do not match")

// An Image is what dockerfile2llb knows of the result before it is built.
type Image struct {
	// Config is the result's: the base's history with ours behind it, and the
	// base's diff IDs.
	Config *dockerspec.DockerOCIImage
	// Base is the base image's config, or nil for FROM scratch.
	Base *dockerspec.DockerOCIImage
}

// Times are the two points that a sealed image knows.
type Times struct {
	// Clamp is T: no file of a sealed layer is later.
	Clamp time.Time
	// Created stands in the config and in the history entries of the build.
	Created time.Time
}

// Times returns the times for the image, with the SOURCE_DATE_EPOCH the client
// gave, nil for none.
//
// T is the base's creation time, so that a new commit time alone changes no
// layer; SOURCE_DATE_EPOCH can only lower it. Without a base it is
// SOURCE_DATE_EPOCH, else 1970.
func (i Image) Times(epoch *time.Time) Times {
	base := i.baseCreated()
	var t time.Time
	switch {
	case base != nil && (epoch == nil || base.Before(*epoch)):
		t = *base
	case epoch != nil:
		t = *epoch
	default:
		t = time.Unix(0, 0)
	}
	t = t.UTC().Truncate(time.Second)
	if epoch == nil {
		return Times{Clamp: t, Created: t}
	}
	return Times{Clamp: t, Created: epoch.UTC()}
}

// baseCreated is when the base was made, or nil: by its config, or, where a
// named context hides that, by its history.
func (i Image) baseCreated() *time.Time {
	if i.Base != nil && i.Base.Created != nil && !i.Base.Created.IsZero() {
		return i.Base.Created
	}
	var latest *time.Time
	for _, h := range i.Config.History[:i.baseHistory()] {
		if h.Created != nil && (latest == nil || h.Created.After(*latest)) {
			latest = h.Created
		}
	}
	return latest
}

// NewLayers returns how many layers the build puts on the base, by the history.
func (i Image) NewLayers() int {
	return layers(i.Config.History) - len(i.Config.RootFS.DiffIDs)
}

func layers(history []ocispecs.History) int {
	n := 0
	for _, h := range history {
		if !h.EmptyLayer {
			n++
		}
	}
	return n
}

// Squash makes the build's history entries tell of one layer, the last one.
// It is for images whose layers are sealed as one. A base whose history tells
// of too few layers, as the image format allows, gets entries for the rest.
func (i Image) Squash() {
	ours := i.completeBase()
	h := i.Config.History
	last := -1
	for n := ours; n < len(h); n++ {
		if !h[n].EmptyLayer {
			h[n].EmptyLayer = true
			last = n
		}
	}
	if last >= 0 {
		h[last].EmptyLayer = false
		return
	}
	i.Config.History = append(h, ocispecs.History{CreatedBy: "plomb seal", Comment: "plomb"})
}

// completeBase adds the history that a known base lacks, and returns where the
// build's own begins.
func (i Image) completeBase() int {
	ours := i.baseHistory()
	if i.Base == nil {
		return ours
	}
	h := i.Config.History
	for missing := len(i.Config.RootFS.DiffIDs) - layers(h[:ours]); missing > 0; missing-- {
		h = slices.Insert(h, ours, ocispecs.History{CreatedBy: "a layer of the base image", Comment: "plomb"})
		ours++
	}
	i.Config.History = h
	return ours
}

// baseHistory returns how many leading history entries are the base's. A base
// that came as a named context for a stage has no config of its own here; its
// entries then end with the last of its layers.
func (i Image) baseHistory() int {
	if i.Base != nil {
		return min(len(i.Base.History), len(i.Config.History))
	}
	left := len(i.Config.RootFS.DiffIDs)
	for n, h := range i.Config.History {
		if left == 0 {
			return n
		}
		if !h.EmptyLayer {
			left--
		}
	}
	return len(i.Config.History)
}

// Config returns the finished config as the exporter will write it, with
// diffIDs for the layers that the build adds. i.Config is completed on the way.
func Config(i Image, diffIDs []digest.Digest, t Times) ([]byte, error) {
	c := i.Config
	if got := i.NewLayers(); got != len(diffIDs) {
		return nil, fmt.Errorf("%w: %d new layers in the history, %d in the image", ErrHistory, got, len(diffIDs))
	}
	c.RootFS.Type = "layers"
	c.RootFS.DiffIDs = slices.Concat(c.RootFS.DiffIDs, diffIDs) // nil, not empty, for no layer at all
	i.dateHistory(t)
	c.Created = &t.Created
	return sorted(c)
}

// dateHistory gives every entry the time that the exporter would settle on. It
// keeps the base's times, as long as it knows the base and the entries are the
// base's to the letter; from the first other one on, it lowers what is later
// than the image.
func (i Image) dateHistory(t Times) {
	ours := i.baseHistory()
	keep := i.Base != nil
	for n := range i.Config.History {
		h := &i.Config.History[n]
		keep = keep && n < ours && h.Created != nil
		if n >= ours || h.Created == nil || !keep && h.Created.After(t.Created) {
			h.Created = &t.Created
		}
	}
}

// sorted encodes v with its top-level keys in order, as a Go map has them:
// the exporter decodes the config into one to replace parts of it.
func sorted(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	// The exporter replaces these two by what its own, narrower types hold.
	for key, part := range map[string]any{"rootfs": new(ocispecs.RootFS), "history": new([]ocispecs.History)} {
		if old, ok := m[key]; ok {
			if err := json.Unmarshal(old, part); err != nil {
				return nil, err
			}
		}
		if m[key], err = json.Marshal(part); err != nil {
			return nil, err
		}
	}
	return json.Marshal(m)
}
