// SPDX-License-Identifier: Apache-2.0

// Package plomb seals container images while they are built and checks the
// seal on every node that pulls them. This package holds no code: it tells
// the two flows, folder by folder, in the order in which they run.
//
// # Build: a Dockerfile becomes a sealed and signed image
//
//	cmd/plomb-frontend     what BuildKit starts; also the helper in build containers
//	frontend               Build: the steps in order; options; the provenance predicate
//	frontend/credential    is there a signing identity? the token itself, when the steps are done
//	frontend/lineage       build graph → the ordered steps that make layers
//	frontend/seal          layer below, layer above → the same layer, normalised, and its digest
//	frontend/foretell      image config as the exporter will write it, hence the image ID
//	frontend/catalog       root filesystem, or what a layer changed → packages
//	frontend/catalog/ecosystem  a row per kind of file, and a view no link leads out of
//	frontend/catalog/document   what was found → SPDX documents
//	frontend/basesbom      the SBOM that a base image brings
//	frontend/materials     sources of the build graph → resolved dependencies
//	frontend/attach        statement about the image IDs; bundle and SBOM → image index
//	frontend/internal/output    what a helper wrote in its container, bounded
//
// # The neck
//
// Frontend and verify share what is below provenance, and nothing else.
//
//	provenance             in-toto statement, subjects, where the bundle travels
//	provenance/slsa        SLSA v1 predicate and the parameters of plomb's build type
//	provenance/contents    digest of a folder: what a local build context was
//	provenance/sbom        packages, and the layer that brought each; no document format
//	provenance/spdx        the model as an SPDX 2.3 document, and back
//	provenance/sign        statement and token → Sigstore bundle
//
// # Node: a digest becomes a decision
//
//	cmd/plomb-verifier     what containerd starts before it pulls
//	plugin                 the edge to containerd
//	plugin/relay/early     the same program asks the agent first, before Go has initialised the rest
//	plugin/bindir          one call in, one decision, exit status and reason out
//	plugin/settings        where things are on a node
//	plugin/judge           one call of verify, with the node's policy, roots and registries
//	plugin/credentials     what kubelet, docker login and the administrator have for a registry
//	plugin/admission       decision, mode, snapshot, break-glass → what containerd is told
//	verify/receipt         the proof of it: one line each, chained
//	verify                 Verify: the steps in order; errors.go has every refusal
//	verify/image           digest → the manifests that a node could run
//	verify/evidence        where images and bundles are, and the bytes of them
//	verify/trust           bundle → payload and signer
//	verify/notation        Notary Project envelope → payload and signer
//	verify/binding         what was signed → a claim about this very manifest
//	verify/claim           what policies see of verified evidence
//	verify/policy          are the claims enough? Its documents (spec), its languages
//	                       (cel, cue, rego), its importers
//	verify/byproducts      which attestations beside the image the provenance names
//	verify/decision        the outcome, as data
//
// The agent puts one memory of verdicts behind every point where a node asks:
//
//	plugin/agent           the gate, its metrics, its sockets, its watch on policy and roots
//	plugin/verdicts        verdicts that outlive a restart
//	plugin/relay           plomb-verifier ↔ agent
//	plugin/nri             a container is to be created: is there a verdict?
//	plugin/store           images and their evidence in containerd's own stores
//	plugin/imageservice    between kubelet and containerd: pull secrets, lent for one pull
//	plugin/control         plomb node ↔ agent
//	plugin/builtin         the verifier inside containerd, for custom builds
//
// An administrator installs it, and proves that it is on:
//
//	plugin/containerd      a configuration → what turns verification off, and what mends it
//	plugin/node            install, modes, snapshot, break-glass, uninstall
//	plugin/nodesync        a folder of policies and roots → the node's, whole or not at all
//	plugin/canary          the key of a self-test, for some minutes
//	plugin/doctor          an unsigned image must be refused here, a signed one must not
//	plugin/importer        an archive, verified, into containerd's store
//
// An operator's command line asks the same library:
//
//	cmd/plomb              plomb verify, inspect, policy, trust, sbom, provenance, …
//	verify/policytest      a policy judges claims out of files
//	verify/explain         what would make a refused image pass
//	verify/trust/tuf       a TUF repository → trusted root, by command alone
//	verify/inspect         what an image carries, without judging
//	verify/documents       its signed provenance, and the SBOMs that it names
//	verify/attach          its bundle, published once more as an OCI referrer
//	verify/reproduce       provenance → what to tell a builder; two images → what differs, and why
//
// # Around them
//
//	verify/internal/document  bytes by digest, parsed once
//	verify/verifytest         a Sigstore in memory, images, and a registry that lies, for tests
//	internal/durable          a file is the old one or the new one, never half of it
//	internal/limit            no more bytes than one was told to read
//	internal/shortlived       no garbage is collected before it is worth it
//	internal/strictjson       JSON that can be read in one way only
//	integration               the stories on real daemons, with their harness:
//	integration/daemons       the same sources on many versions of BuildKit
//	integration/evidence      SBOM and provenance, as plomb, buildx and cosign read them
//	integration/dockerfiles   the Dockerfiles that several of them build
//	integration/stand         registry, buildkitd, containerd and Sigstore under one folder
//	integration/stand/standtest  a stand that ends with its test, or with a package's tests
//	integration/harness       builds and other programs on a stand, and what they are given
//	integration/dissect       an image in a registry or an OCI layout, taken apart
//	integration/cri           a small client of the Container Runtime Interface
//	integration/nodebench     what plomb costs a node, behind hack/bench node
//	integration/agent         pulls through the agent; what becomes of them without it
//	integration/nri           containers created with the NRI plugin in the way
//	integration/node          nodes that are installed, switched and cleaned again
//	integration/doctor        settings that turn verification off, and the proof that they did
//	integration/private       registries with passwords, certificates, tokens and mirrors
//	integration/importer      archives, verified without a network
//	integration/builtin       a containerd of one's own with the verifier in it
//	integration/kubernetes    the chart, rendered and held against Kubernetes' schemas
//	integration/relay         verifier and agent meet users they must not trust
//	integration/systemd       a real systemd, and plomb installed on it
//	integration/faults        everything that can break, and that nothing gets through
//	integration/tamper        a signed image, tampered with as an attacker would
//	hack                      one command per need; hack/stand is behind hack/up and
//	                          hack/down; hack/daemons, hack/sigstore and hack/checks are
//	                          modules of their own
//	docs                      architecture, guides, wire formats, threat model, decisions
//
// docs/architecture.md says why the cut is where it is, and imports_test.go
// holds the parts to it.
package plomb
