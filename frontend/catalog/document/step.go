// SPDX-License-Identifier: Apache-2.0

package document

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/frontend/internal/output"
	"github.com/plombproject/plomb/internal/strictjson"
)

// Command is the sub-command of the helper in the frontend's binary.
const Command = "document"

// Mount points in the helper's container.
const (
	specDir    = "/spec"
	reportsDir = "/reports"
	outDir     = "/out"
)

const (
	specFile    = "spec.json"
	summaryFile = "summary.json"

	maxSummary = 1 << 16 // bytes
	maxSpec    = 8 << 20 // bytes
)

// Names of the documents in the helper's result.
const (
	PackagesFile = "sbom.spdx.json"
	FilesFile    = "sbom-files.spdx.json"
)

// A Summary says what the helper wrote.
type Summary struct {
	Packages digest.Digest `json:"packages,omitempty"`
	Files    digest.Digest `json:"files,omitempty"` // "" if nobody asked for that document
	// Refused is why there are no documents that anybody could attach.
	Refused string `json:"refused,omitempty"`
}

// A Helper is the image that carries this package's binary.
type Helper struct {
	Image    llb.State
	Binary   string            // its path in the image
	Platform ocispecs.Platform // where the helper runs, whatever the target is
}

// Write puts the helper into the build graph, and returns the state with the
// documents. reports are the states with what the looks found.
func (h Helper) Write(spec Spec, reports []llb.State) (llb.State, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return llb.State{}, err
	}
	described := llb.Scratch().File(llb.Mkfile("/"+specFile, 0o644, data), llb.WithCustomName("[plomb] describe the image"))
	options := []llb.RunOption{
		llb.Args([]string{h.Binary, Command}),
		llb.Network(llb.NetModeNone),
		llb.Platform(h.Platform),
		llb.ReadonlyRootFS(),
		llb.AddMount(specDir, described, llb.Readonly),
		llb.WithCustomName("[plomb] write the SBOM"),
	}
	for i, r := range reports {
		options = append(options, llb.AddMount(path.Join(reportsDir, strconv.Itoa(i)), r, llb.Readonly))
	}
	return h.Image.Run(options...).AddMount(outDir, llb.Scratch()), nil
}

// Read reads what the helper says it wrote of what spec asked for.
func Read(ctx context.Context, ref client.Reference, spec Spec) (*Summary, error) {
	data, err := output.Read(ctx, ref, summaryFile, maxSummary)
	if err != nil {
		return nil, err
	}
	return readSummary(data, spec)
}

func readSummary(data []byte, spec Spec) (*Summary, error) {
	var s Summary
	if err := strictjson.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("read the helper's report: %w", err)
	}
	if s.Refused != "" {
		return nil, errors.New(s.Refused)
	}
	wanted := []digest.Digest{s.Packages}
	if spec.Files {
		wanted = append(wanted, s.Files)
	}
	for _, d := range wanted {
		if err := d.Validate(); err != nil {
			return nil, fmt.Errorf("read the helper's report: digest %q: %w", d, err)
		}
	}
	return &s, nil
}
