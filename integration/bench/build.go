// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Names of the ways to build that others are compared with.
const (
	plain = "plain"
	stock = "stock reproducible"
)

// A way is one manner of building the same application.
type way struct {
	name       string
	repo       string
	dockerfile string
	epoch      bool // takes SOURCE_DATE_EPOCH
	output     string
	sign       bool
	args       []string
}

var ways = []way{
	{name: plain, repo: "bench/plain", dockerfile: "Dockerfile.stock"},
	{name: stock, repo: "bench/stock", dockerfile: "Dockerfile.stock", epoch: true, output: ",rewrite-timestamp=true"},
	{name: "plomb, bare", repo: "bench/bare", dockerfile: "Dockerfile.plomb", epoch: true,
		args: []string{"--build-arg", "PLOMB_SIGN=off", "--build-arg", "PLOMB_SBOM=off"}},
	{name: "plomb, signed", repo: "bench/signed", dockerfile: "Dockerfile.plomb", epoch: true, sign: true,
		args: []string{"--build-arg", "PLOMB_SBOM=off"}},
	{name: "plomb, signed, SBOM", repo: "bench/sbom", dockerfile: "Dockerfile.plomb", epoch: true, sign: true},
}

// A scenario is what happened since the last build.
type scenario struct {
	name string
	warm bool // needs a build before the first measured one
	// change is called before each build; id is new each time, so that no way
	// profits from what another one has just built.
	change func(ctx context.Context, b *bench, id string) error
}

var scenarios = []scenario{
	{name: "cold build", change: func(ctx context.Context, b *bench, _ string) error {
		_, err := b.output(ctx, b.stand.Bin+"/buildctl", "prune", "--all")
		return err
	}},
	{name: "change in the last layer", warm: true, change: func(_ context.Context, b *bench, id string) error {
		return os.WriteFile(filepath.Join(b.context, "revision"), []byte(id+"\n"), 0o644)
	}},
	{name: "change in the application", warm: true, change: func(_ context.Context, b *bench, id string) error {
		return appendTo(filepath.Join(b.context, "app", "guestbook.py"), "\n# "+id+"\n")
	}},
	{name: "new commit time only", warm: true, change: func(_ context.Context, b *bench, _ string) error {
		b.epoch += 3600
		return nil
	}},
	{name: "change in the last layer, 32 MB", warm: true, change: func(_ context.Context, b *bench, id string) error {
		return os.WriteFile(filepath.Join(b.context, "revision"), noise(id, 32<<20), 0o644)
	}},
}

// A sample is one measured build.
type sample struct {
	wall            time.Duration
	changed, layers int
	pushed          int64
}

// A cell of the table.
type cell struct{ scenario, way string }

// measure takes all samples of one scenario. The ways take turns, so that
// whatever else the machine does falls on all of them.
func (b *bench) measure(ctx context.Context, s scenario) error {
	if s.warm {
		for _, w := range ways {
			if _, err := b.build(ctx, w); err != nil {
				return err
			}
		}
	}
	for run := range b.Runs {
		for i, w := range ways {
			id := fmt.Sprintf("%s-%d-%d", strings.ReplaceAll(s.name, " ", "-"), run, i)
			if err := s.change(ctx, b, id); err != nil {
				return err
			}
			got, err := b.build(ctx, w)
			if err != nil {
				return err
			}
			b.say("%s, %s, run %d of %d: %.2f s, %d of %d layers changed, %d bytes pushed",
				s.name, w.name, run+1, b.Runs, got.wall.Seconds(), got.changed, got.layers, got.pushed)
			at := cell{s.name, w.name}
			b.samples[at] = append(b.samples[at], got)
		}
	}
	return nil
}

// build builds and pushes once.
func (b *bench) build(ctx context.Context, w way) (sample, error) {
	ref := b.registry.address + "/" + w.repo + ":latest"
	args := []string{"build", "--progress=plain", "-f", filepath.Join(b.context, w.dockerfile),
		"--build-arg", "BASE=" + b.base, "--build-arg", "http_proxy=" + b.mirror,
		"--output", "type=image,push=true,name=" + ref + w.output}
	if w.epoch {
		args = append(args, "--build-arg", "SOURCE_DATE_EPOCH="+strconv.FormatInt(b.epoch, 10))
	}
	if w.sign {
		token, err := b.token(ctx)
		if err != nil {
			return sample{}, err
		}
		args = append(args, "--secret", "id=plomb-id-token,src="+token, "--build-context", "plomb="+b.stand.Sigstore)
	}
	args = append(append(args, w.args...), b.context)

	before, began := b.registry.pushed(), time.Now()
	if _, err := b.output(ctx, b.stand.Bin+"/buildx", args...); err != nil {
		return sample{}, fmt.Errorf("%s: %w", w.name, err)
	}
	got := sample{wall: time.Since(began), pushed: b.registry.pushed() - before}
	layers, err := b.registry.layers(ctx, w.repo)
	if err != nil {
		return sample{}, err
	}
	got.layers, got.changed = len(layers), changed(b.last[w.name], layers)
	b.last[w.name] = layers
	return got, nil
}

// changed counts what is in is and was not in was.
func changed(was, is []string) int {
	had := map[string]bool{}
	for _, d := range was {
		had[d] = true
	}
	n := 0
	for _, d := range is {
		if !had[d] {
			n++
		}
	}
	return n
}

// writeContext copies the demo application, with a Dockerfile for each kind of
// frontend. A file in a layer of its own comes last: what changes in the cheapest
// of rebuilds, and, made large, where an application's program would be.
func writeContext(from, to, frontend string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(from, "Dockerfile"))
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(data), "\n") // after the syntax line
	rest += "COPY revision /srv/guestbook/revision\n"
	for name, content := range map[string]string{
		"Dockerfile.stock": rest,
		"Dockerfile.plomb": "# syntax=" + frontend + "\n" + rest,
		".dockerignore":    "Dockerfile*\n",
		"revision":         "first\n",
	} {
		if err := os.WriteFile(filepath.Join(to, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// noise is what compiled programs are to gzip: hard to make smaller. It is the
// same for the same id.
func noise(id string, size int) []byte {
	data := make([]byte, size)
	rng := rand.NewChaCha8(sha256.Sum256([]byte(id)))
	_, _ = rng.Read(data) // never fails
	return data
}

func appendTo(file, text string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
