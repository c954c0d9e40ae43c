// SPDX-License-Identifier: Apache-2.0

// Package importer brings images in an archive onto a node without a registry:
// it reads an OCI image layout in a tar
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md),
// decides about each image in it by the node's policy and from nothing but the
// archive, writes the receipts, and only then gives containerd what was
// admitted. Either all images of an archive are loaded or none.
//
// archive.go reads, decide.go decides, load.go loads. It opens no network
// connection, and a name in an archive proves nothing: a policy that admits by
// name alone admits nothing here.
package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/judge"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
)

// Schema identifies the JSON form of a Report. Added members do not change it.
const Schema = "https://plombproject.github.io/import/v1"

var (
	// ErrArchive reports a file that is no OCI image layout in a tar, or not a
	// whole one.
	ErrArchive = errors.New("not an OCI archive that can be imported")

	// ErrLoad reports a containerd that did not take the images.
	ErrLoad = errors.New("containerd did not load the archive")
)

// A Loader takes an OCI archive; containerd does.
type Loader func(ctx context.Context, archive io.Reader) error

// An Agent remembers verdicts; control.Client asks one.
type Agent interface {
	Verify(ctx context.Context, q control.Question) (control.Answer, error)
}

// A Request is one archive, and what the node has for it.
type Request struct {
	// Path is the archive.
	Path string
	// Name is that of the one image in it, over the archive's own; empty: the
	// archive has to say.
	Name string
	// Settings are the node's.
	Settings settings.Settings
	// Recorder settles what becomes of an image, and writes the receipt first.
	Recorder bindir.Recorder
	// Load gives containerd what was admitted.
	Load Loader
	// Agent is told what was loaded, so that containers of it start at once.
	// Nil: there is none.
	Agent Agent
}

// A Report is what became of an archive.
type Report struct {
	Schema  string `json:"schema"`
	Archive string `json:"archive"`
	// Loaded tells that containerd has all of the images now.
	Loaded bool    `json:"loaded"`
	Images []Image `json:"images"`
	// Agent is why containers of what was loaded may be refused for now.
	Agent string `json:"agent,omitempty"`
}

// Admitted tells that all images were.
func (r Report) Admitted() bool {
	for _, img := range r.Images {
		if !img.Admitted {
			return false
		}
	}
	return len(r.Images) > 0
}

// An Image is one of the archive, and what the node makes of it.
type Image struct {
	Name     string             `json:"name"`
	Digest   digest.Digest      `json:"digest"`
	Admitted bool               `json:"admitted"`
	By       admission.By       `json:"by"`
	Mode     admission.Mode     `json:"mode"`
	Line     string             `json:"line"`
	Decision *decision.Decision `json:"decision"`
	Faults   []string           `json:"faults,omitempty"`
}

// Import verifies the archive and, if all of it is admitted, loads it. What was
// refused is in the report; an error is one of the archive or of containerd.
func Import(ctx context.Context, r Request) (Report, error) {
	report := Report{Schema: Schema, Archive: r.Path, Images: []Image{}}
	dir, err := os.MkdirTemp("", "plomb-import-")
	if err != nil {
		return report, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	defer os.RemoveAll(dir)
	a, err := read(ctx, r.Path, dir)
	if err != nil {
		return report, err
	}
	defer a.file.Close()
	chosen, err := a.images(r.Name)
	if err != nil {
		return report, err
	}
	j := &judge.Judge{Settings: r.Settings}
	for _, c := range chosen {
		report.Images = append(report.Images, r.settle(ctx, a, j, c))
	}
	if !report.Admitted() {
		return report, nil
	}
	if err := a.load(ctx, chosen, r.Load); err != nil {
		return report, err
	}
	report.Loaded = true
	report.Agent = r.tell(ctx, report.Images)
	return report, nil
}

// settle decides about one image, and has a receipt of it on disk.
func (r Request) settle(ctx context.Context, a *archive, j *judge.Judge, c choice) Image {
	deciding, cancel := context.WithTimeout(ctx, r.Settings.Timeout)
	d := decide(deciding, a, j, c)
	cancel()
	recording, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out := r.Recorder.Settle(recording, receipt.Import, bindir.Judgement{Decision: d}, "")
	img := Image{
		Name: c.name, Digest: c.desc.Digest, Admitted: out.Admitted, By: out.By, Mode: out.Mode,
		Line: out.Line(), Decision: out.Decision,
	}
	for _, fault := range out.Faults {
		img.Faults = append(img.Faults, decision.OneLine(fault.Error()))
	}
	return img
}

// tell has the agent look at what was loaded. It decides by itself: nobody who
// can reach its socket can make it remember what is not so.
func (r Request) tell(ctx context.Context, images []Image) string {
	if r.Agent == nil {
		return ""
	}
	for _, img := range images {
		answer, err := r.Agent.Verify(ctx, control.Question{Point: receipt.Import, Name: img.Name, Digest: img.Digest, Stored: true})
		switch {
		case err != nil:
			return decision.OneLine(err.Error())
		case !answer.Admitted:
			return decision.OneLine("the agent refuses what was loaded: " + answer.Line)
		}
	}
	return ""
}
