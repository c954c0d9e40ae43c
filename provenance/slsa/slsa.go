// SPDX-License-Identifier: Apache-2.0

// Package slsa holds the SLSA provenance v1 predicate as plomb writes it
// (https://slsa.dev/spec/v1.0/provenance), and the parameters of plomb's own
// build type. Plain structs and not the in-toto protobuf types, because their
// JSON encoding is not stable to the byte; a test holds the two together.
//
// It gathers nothing: the frontend fills it in.
package slsa

import "time"

// BuildType names what external and internal parameters mean; docs/build-type.md
// defines each of them.
const BuildType = "https://plombproject.github.io/build/v1"

// Provenance is the predicate.
type Provenance struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition is what was asked for and what went in.
type BuildDefinition struct {
	BuildType            string               `json:"buildType"`
	ExternalParameters   ExternalParameters   `json:"externalParameters"`
	InternalParameters   InternalParameters   `json:"internalParameters"`
	ResolvedDependencies []ResourceDescriptor `json:"resolvedDependencies"`
}

// ExternalParameters are under the control of whoever started the build.
type ExternalParameters struct {
	Dockerfile Dockerfile        `json:"dockerfile"`
	Target     string            `json:"target,omitempty"`
	Platforms  []string          `json:"platforms"`
	Args       map[string]string `json:"args,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	// Options are those of the client that can change what a step does, by
	// their names in docs/build-type.md.
	Options map[string]string `json:"options,omitempty"`
	// Context is the main build context; Contexts are the named ones.
	Context  *Context           `json:"context,omitempty"`
	Contexts map[string]Context `json:"contexts,omitempty"`
	// Secrets are the ids, never the values, of secrets that steps mount.
	Secrets []string `json:"secrets,omitempty"`
	// Masked are the parameters, such as args.HTTP_PROXY, of which the value
	// or a part of it was left out.
	Masked []string `json:"masked,omitempty"`
	Source *Source  `json:"source,omitempty"`
	// Repository is the registry name given as PLOMB_REPOSITORY.
	Repository string `json:"repository,omitempty"`
}

// Dockerfile is the build's recipe. SHA256 is lower-case hex.
type Dockerfile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	// From is the kind of context that it came out of.
	From string `json:"from,omitempty"`
}

// Kinds of context.
const (
	ContextLocal  = "local"      // a folder of the client's
	ContextGit    = "git"        // BuildKit fetched it
	ContextHTTP   = "http"       // an archive or a Dockerfile, downloaded
	ContextImage  = "image"      // a container image
	ContextLayout = "oci-layout" // an image in a folder of the client's
	ContextInput  = "input"      // the result of another build
)

// Context is where files came from. Digest is what pins a context that
// BuildKit fetched: gitCommit or sha256. A local context is pinned by the
// resolved dependency local://URI.
type Context struct {
	Kind   string            `json:"kind"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
}

// Source is where the build context came from, as the client told it.
type Source struct {
	Repository string `json:"repository,omitempty"`
	Revision   string `json:"revision,omitempty"`
	Ref        string `json:"ref,omitempty"`
	// Context and Dockerfile are the folders of both in the repository.
	Context    string `json:"context,omitempty"`
	Dockerfile string `json:"dockerfile,omitempty"`
}

// Annotations of resolved dependencies.
const (
	// AnnotationIncomplete marks one whose content no digest pins.
	AnnotationIncomplete = "https://plombproject.github.io/incomplete"
	// AnnotationContents holds the contents.Summary of a local context.
	AnnotationContents = "https://plombproject.github.io/contents"
	// AnnotationFilter holds the Filter of a local context.
	AnnotationFilter = "https://plombproject.github.io/filter"
)

// Names of byproducts: the other attestations in the image index, each of which
// the signature over this predicate covers by its digest.
const (
	ByproductSBOM      = "sbom"       // packages
	ByproductSBOMFiles = "sbom-files" // every file
)

// Annotations of byproducts.
const (
	// AnnotationPredicateType is the predicate type of the attestation.
	AnnotationPredicateType = "https://plombproject.github.io/predicate-type"
	// AnnotationPlatform is the platform of the image that it is about, as
	// os/architecture[/variant].
	AnnotationPlatform = "https://plombproject.github.io/platform"
)

// Filter is what the build asked the client for, in BuildKit's patterns.
type Filter struct {
	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
	Follow  []string `json:"follow,omitempty"`
}

// InternalParameters are set by the builder.
type InternalParameters struct {
	Frontend Frontend `json:"frontend"`
	Sealing  Sealing  `json:"sealing"`
	// BuildPlatform is the machine's, as os/architecture[/variant].
	BuildPlatform string            `json:"buildPlatform,omitempty"`
	WorkerLabels  map[string]string `json:"workerLabels,omitempty"`
	// BuildKit is what the daemon tells of itself.
	BuildKit BuildKit `json:"buildkit,omitzero"`
	// Completeness is nil in the provenance of frontends that did not tell.
	Completeness *Completeness `json:"completeness,omitempty"`
}

// Frontend is the plomb frontend that ran the build.
type Frontend struct {
	Image   string `json:"image,omitempty"`
	Version string `json:"version"`
}

// BuildKit is the daemon, as far as it tells a frontend. Its version and the
// compatibility-version of the build are not among that.
type BuildKit struct {
	Product string `json:"product,omitempty"`
	// AtLeast is the version whose capabilities it has.
	AtLeast string `json:"atLeast,omitempty"`
}

// Sealing tells how the layers were made reproducible.
type Sealing struct {
	Layers string `json:"layers"`
	Scrub  string `json:"scrub"`
	// Subjects and SBOM are what the image got besides.
	Subjects string `json:"subjects,omitempty"`
	SBOM     string `json:"sbom,omitempty"`
	// SourceDateEpoch in seconds since 1970, if the client gave one.
	SourceDateEpoch *int64 `json:"sourceDateEpoch,omitempty"`
	// Scrubbed lists, per platform, the paths that were left out of the layers
	// or rewritten, with the rule that did it, sorted.
	Scrubbed map[string][]Scrubbed `json:"scrubbed,omitempty"`
}

// Scrubbed is one path that a scrub rule left out or rewrote.
type Scrubbed struct {
	Path string `json:"path"`
	Rule string `json:"rule"`
}

// RunDetails is about this one run.
type RunDetails struct {
	Builder    Builder              `json:"builder"`
	Metadata   Metadata             `json:"metadata"`
	Byproducts []ResourceDescriptor `json:"byproducts,omitempty"`
}

// Builder is who vouches for the run. ID is the build signer URI of the
// signing identity; consumers trust the certificate and not this field.
type Builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// Metadata identifies the run. The times are left out where SOURCE_DATE_EPOCH
// asks for a reproducible result.
type Metadata struct {
	InvocationID string     `json:"invocationId,omitempty"`
	StartedOn    *time.Time `json:"startedOn,omitempty"`
	FinishedOn   *time.Time `json:"finishedOn,omitempty"`
}

// ResourceDescriptor points to an artifact
// (https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md).
type ResourceDescriptor struct {
	Name        string            `json:"name,omitempty"`
	URI         string            `json:"uri,omitempty"`
	Digest      map[string]string `json:"digest,omitempty"`
	MediaType   string            `json:"mediaType,omitempty"`
	Annotations map[string]any    `json:"annotations,omitempty"`
}
