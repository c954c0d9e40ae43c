// SPDX-License-Identifier: Apache-2.0

package foretell_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

// An exporter is a model, in our own words, of what BuildKit v0.33.1 does to
// an image config on its way out (exporter/containerimage/writer.go). Three
// things happen: history is made to tell of every layer, times are filled in
// and lowered, and the result is encoded from a map.
type exporter struct {
	layers []digest.Digest
	epoch  *time.Time                 // source-date-epoch
	base   *dockerspec.DockerOCIImage // containerimage.base.config
	// cached is when the daemon's cache got the layers: what no frontend knows.
	cached time.Time
}

func (e exporter) export(t *testing.T, config []byte) []byte {
	t.Helper()
	top := map[string]json.RawMessage{}
	require.NoError(t, json.Unmarshal(config, &top))
	var old struct {
		History []ocispecs.History `json:"history"`
	}
	require.NoError(t, json.Unmarshal(config, &old))

	history := e.cover(old.History)
	e.fill(history)
	if e.epoch != nil {
		e.lower(history)
	}
	rootfs := ocispecs.RootFS{Type: "layers"}
	rootfs.DiffIDs = append(rootfs.DiffIDs, e.layers...)
	top["rootfs"] = encode(t, rootfs)
	top["history"] = encode(t, history)
	top["created"] = e.created(t, top["created"], history)
	return encode(t, top)
}

// cover makes the history tell of as many layers as there are.
func (e exporter) cover(history []ocispecs.History) []ocispecs.History {
	told := 0
	for i := range history {
		if history[i].EmptyLayer {
			continue
		}
		if told == len(e.layers) {
			history[i].EmptyLayer = true
			continue
		}
		told++
	}
	for ; told < len(e.layers); told++ {
		history = append(history, ocispecs.History{Created: &e.cached, CreatedBy: "whatever the daemon knows", Comment: "buildkit.exporter.image.v0"})
	}
	return history
}

// fill gives every entry a time: to a layer that of the cache, to others that
// of a neighbour.
func (e exporter) fill(history []ocispecs.History) {
	var gap bool
	var neighbour *time.Time
	for i := range history {
		if history[i].Created == nil && !history[i].EmptyLayer {
			history[i].Created = &e.cached
		}
	}
	for _, h := range history {
		if h.Created == nil {
			gap = true
			continue
		}
		neighbour = h.Created
		if gap {
			break
		}
	}
	gap = false
	for i := range history {
		if history[i].Created == nil {
			gap = true
			history[i].Created = neighbour
		} else if gap {
			neighbour = history[i].Created
		}
	}
}

// lower brings late entries down to the epoch. The leading entries that are
// the base's own keep their times.
func (e exporter) lower(history []ocispecs.History) {
	own := 0
	for e.base != nil && own < len(history) && own < len(e.base.History) && cmp.Equal(history[own], e.base.History[own]) {
		own++
	}
	for i := own; i < len(history); i++ {
		if h := &history[i]; h.Created == nil || h.Created.After(*e.epoch) {
			h.Created = e.epoch
		}
	}
}

func (e exporter) created(t *testing.T, have json.RawMessage, history []ocispecs.History) json.RawMessage {
	if have == nil {
		var last *time.Time
		for _, h := range history {
			if h.Created != nil {
				last = h.Created
			}
		}
		return encode(t, last)
	}
	var when time.Time
	require.NoError(t, json.Unmarshal(have, &when))
	if e.epoch != nil && when.After(*e.epoch) {
		return encode(t, e.epoch)
	}
	return have
}

func encode(t *testing.T, v any) json.RawMessage {
	var b bytes.Buffer
	require.NoError(t, json.NewEncoder(&b).Encode(v))
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// The model itself must be able to say no.
func TestExporterModelChangesWhatIsNotFinished(t *testing.T) {
	e := exporter{layers: []digest.Digest{"sha256:a"}, cached: time.Unix(5, 0).UTC()}
	out := e.export(t, []byte(`{"rootfs":{},"os":"linux","a":"<"}`))
	require.Equal(t, `{"a":"\u003c","created":"1970-01-01T00:00:05Z","history":[{"created":"1970-01-01T00:00:05Z","created_by":"whatever the daemon knows","comment":"buildkit.exporter.image.v0"}],"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:a"]}}`, string(out))
	require.Equal(t, string(out), string(e.export(t, out)))

	epoch := time.Unix(1, 0).UTC()
	e.epoch = &epoch
	require.Contains(t, string(e.export(t, out)), `"history":[{"created":"1970-01-01T00:00:01Z"`)
}
