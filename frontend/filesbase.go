// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"slices"
	"strings"

	"github.com/moby/buildkit/client/llb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/frontend/foretell"
	"github.com/plombproject/plomb/frontend/lineage"
)

// filesAsLayer makes a step of a base that is no image. FROM may name a build
// context that is a folder, a git repository or a download; its files are then
// the first layer of the image, and the Dockerfile's history does not tell of it.
func filesAsLayer(line *lineage.Lineage, image foretell.Image) {
	if line.BaseSource == "" || isImage(line.BaseSource) {
		return
	}
	first := lineage.Step{Kind: lineage.File, State: line.Base, Name: "FROM a build context"}
	line.Steps = slices.Insert(line.Steps, 0, first)
	line.Base, line.BaseSource = llb.Scratch(), ""
	image.Config.History = slices.Insert(image.Config.History, 0, ocispecs.History{CreatedBy: first.Name, Comment: "plomb"})
}

// isImage tells whether a source has layers of its own.
func isImage(source string) bool {
	scheme, _, _ := strings.Cut(source, "://")
	return scheme == "docker-image" || scheme == "oci-layout"
}
