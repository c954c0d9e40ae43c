// SPDX-License-Identifier: Apache-2.0

package slsa

// Completeness says what this provenance does not tell. Complete is true only
// if there are no gaps.
type Completeness struct {
	Complete bool  `json:"complete"`
	Gaps     []Gap `json:"gaps,omitempty"`
}

// A Gap is something that may have gone into the image and is not pinned by
// the resolved dependencies, or a parameter that is not told in full.
type Gap struct {
	Kind string `json:"kind"`
	// Name is what the kind says it is, such as an id or a URI.
	Name string `json:"name,omitempty"`
	// Steps are the build steps that it is about, in the order of the
	// Dockerfile.
	Steps []Step `json:"steps,omitempty"`
}

// A Step is an instruction of a Dockerfile. Its text is left out, because it
// may hold what is nobody's business.
type Step struct {
	// Name is as a progress log begins its line: "[build 2/5] RUN".
	Name string `json:"name,omitempty"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"` // of its first line, from 1
}

// Kinds of gap, with what Name is.
const (
	GapNetwork     = "network"      // a step could fetch anything: "sandbox" or "host"
	GapCacheMount  = "cache-mount"  // a step saw what earlier builds left in a cache: its id
	GapCacheImport = "cache-import" // steps may have been taken from a cache of the client's: its type or reference
	GapSecret      = "secret"       // a step could read a secret: its id
	GapSSH         = "ssh"          // a step could use an SSH agent: its id
	GapDevice      = "device"       // a step had a device of the host: its CDI name
	GapPrivileged  = "privileged"   // a step was not isolated from the host
	GapDependency  = "dependency"   // a dependency has no digest: its URI
	GapInput       = "input"        // another build made a part of this one: the name of the input
	GapNestedBuild = "nested-build" // a step is a build of its own
	GapParameter   = "parameter"    // a value, or a part of it, was left out: its name in masked
)
