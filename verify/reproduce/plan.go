// SPDX-License-Identifier: Apache-2.0

package reproduce

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/provenance/slsa"
)

// A Plan is what a builder has to be told to build the image again.
type Plan struct {
	// Flags are arguments of `buildx build`: all but the context, the
	// Dockerfile, the folders of named contexts, and where the result goes.
	Flags []string
	// Remote is the context to give to the builder where it fetches the
	// context itself, at the commit that was built.
	Remote string
	// Dockerfile has to have this name and content.
	Dockerfile slsa.Dockerfile
	// Folders have to be given by the caller, by the name of their context;
	// the main one is called "context".
	Folders map[string]Folder
	// Source is the commit that the client said the context is.
	Source *slsa.Source
	// Policy pins what the Dockerfile refers to by name: a BuildKit source
	// policy.
	Policy []byte
	// Notes are what the provenance does not tell, and what may therefore
	// differ.
	Notes []string
}

// Given is what the caller adds to the provenance, which holds no secrets.
type Given struct {
	Args map[string]string // build arguments that the provenance left out
}

// mainContext is the name of the main context's folder.
const mainContext = "context"

// NewPlan reads the provenance of a build for one of its platforms.
func NewPlan(p *slsa.Provenance, platform string, given Given) (*Plan, error) {
	def := p.BuildDefinition
	ext := def.ExternalParameters
	plan := &Plan{Dockerfile: ext.Dockerfile, Folders: map[string]Folder{}, Source: ext.Source}
	if ext.Context == nil {
		return nil, fmt.Errorf("%w: it does not tell where the build context came from; it was written by an older plomb frontend (%s)", ErrProvenance, def.InternalParameters.Frontend.Version)
	}
	if def.InternalParameters.Frontend.Image == "" {
		return nil, fmt.Errorf("%w: it does not name the image of the frontend", ErrProvenance)
	}
	if !filepath.IsLocal(ext.Dockerfile.Name) || strings.Contains(ext.Dockerfile.Name, ":") {
		return nil, fmt.Errorf("%w: the Dockerfile's name %q leads out of the context", ErrProvenance, ext.Dockerfile.Name)
	}
	plan.Flags = []string{"--platform=" + platform, "--provenance=false", "--sbom=false", "--no-cache"}
	if ext.Target != "" {
		plan.Flags = append(plan.Flags, "--target="+ext.Target)
	}
	plan.arguments(def, given)
	for _, name := range slices.Sorted(maps.Keys(ext.Labels)) {
		plan.Flags = append(plan.Flags, "--label="+name+"="+ext.Labels[name])
	}
	if err := plan.options(ext.Options); err != nil {
		return nil, err
	}
	if err := plan.contexts(def); err != nil {
		return nil, err
	}
	plan.remarks(def)
	var err error
	plan.Policy, err = sourcePolicy(def.ResolvedDependencies)
	return plan, err
}

// arguments are the recorded ones, what the caller gave, and plomb's own.
func (p *Plan) arguments(def slsa.BuildDefinition, given Given) {
	args := maps.Clone(def.ExternalParameters.Args)
	if args == nil {
		args = map[string]string{}
	}
	maps.Copy(args, given.Args)
	in := def.InternalParameters
	args["BUILDKIT_SYNTAX"] = in.Frontend.Image
	args["PLOMB_SIGN"] = "off"
	args["PLOMB_LAYERS"], args["PLOMB_SCRUB"] = in.Sealing.Layers, in.Sealing.Scrub
	if in.Sealing.SourceDateEpoch != nil {
		args["SOURCE_DATE_EPOCH"] = strconv.FormatInt(*in.Sealing.SourceDateEpoch, 10)
	}
	if host := def.ExternalParameters.Options["hostname"]; host != "" {
		args["BUILDKIT_SANDBOX_HOSTNAME"] = host
	}
	for _, name := range slices.Sorted(maps.Keys(args)) {
		p.Flags = append(p.Flags, "--build-arg="+name+"="+args[name])
	}
	for _, masked := range def.ExternalParameters.Masked {
		name, ok := strings.CutPrefix(masked, "args.")
		if _, have := given.Args[name]; !ok || have {
			continue
		}
		p.note("the value of build argument %s, or a part of it, is a secret and not in the provenance; give it with --build-arg %s=VALUE if a step depends on it", name, name)
	}
}

// optionFlags are those of the recorded options that buildx has a flag for.
// Every part of a list becomes a flag of its own.
var optionFlags = []struct {
	name, flag string
	list       bool
}{
	{"addHosts", "--add-host", true},
	{"cgroupParent", "--cgroup-parent", false},
	{"network", "--network", false},
	{"shmSize", "--shm-size", false},
	{"ulimits", "--ulimit", true},
}

func (p *Plan) options(options map[string]string) error {
	for _, o := range optionFlags {
		value := options[o.name]
		if value == "" {
			continue
		}
		parts := []string{value}
		if o.list {
			parts = strings.Split(value, ",")
		}
		for _, part := range parts {
			p.Flags = append(p.Flags, o.flag+"="+part)
		}
	}
	if options["network"] == "host" {
		p.note("the build had the builder's own network; the builder must allow network.host: --allow network.host")
	}
	return nil
}

func (p *Plan) contexts(def slsa.BuildDefinition) error {
	ext := def.ExternalParameters
	remote, err := p.place(def, mainContext, *ext.Context)
	if err != nil {
		return err
	}
	p.Remote = remote
	for _, name := range slices.Sorted(maps.Keys(ext.Contexts)) {
		if name == "" || name == mainContext || strings.Contains(name, "=") {
			return fmt.Errorf("%w: %q is no name of a build context", ErrProvenance, name)
		}
		value, err := p.place(def, name, ext.Contexts[name])
		if err != nil {
			return err
		}
		if value != "" {
			p.Flags = append(p.Flags, "--build-context="+name+"="+value)
		}
	}
	return nil
}

// place says where the builder finds a context: "" for a folder that the
// caller gives. Everything else comes from the image and goes on a command
// line, where a path would make the builder read this machine's files.
func (p *Plan) place(def slsa.BuildDefinition, name string, c slsa.Context) (string, error) {
	switch c.Kind {
	case slsa.ContextLocal:
		f, err := folder(def.ResolvedDependencies, c.URI)
		if err != nil {
			return "", fmt.Errorf("build context %q: %w", name, err)
		}
		p.Folders[name] = f
		return "", nil
	case slsa.ContextImage:
		if strings.HasPrefix(c.URI, "docker-image://") {
			return c.URI, nil
		}
	case slsa.ContextGit:
		commit := c.Digest["gitCommit"]
		if commit == "" {
			return "", fmt.Errorf("%w: build context %q is %s, and the commit is not recorded", ErrProvenance, name, c.URI)
		}
		if remote(c.URI) {
			return atCommit(c.URI, commit)
		}
	case slsa.ContextHTTP:
		if strings.HasPrefix(c.URI, "http://buildkit-session/") {
			return "", fmt.Errorf("%w: build context %q was an archive that the client sent through a pipe, and no copy of it is known", ErrProvenance, name)
		}
		if strings.HasPrefix(c.URI, "http://") || strings.HasPrefix(c.URI, "https://") {
			return c.URI, nil
		}
	}
	return "", fmt.Errorf("%w: build context %q is of the kind %q (%s), which plomb cannot get again", ErrProvenance, name, c.Kind, c.URI)
}

// remote reports whether a Git URL leads to another machine, in one of the
// forms that BuildKit knows.
func remote(uri string) bool {
	for _, scheme := range []string{"https://", "http://", "git://", "ssh://", "git@", "github.com/"} {
		if strings.HasPrefix(uri, scheme) {
			return true
		}
	}
	return false
}

// atCommit replaces the reference in a Git URL, in its fragment (#ref:folder)
// or its query (?branch=…&subdir=…).
func atCommit(uri, commit string) (string, error) {
	base, fragment, _ := strings.Cut(uri, "#")
	base, rawQuery, _ := strings.Cut(base, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return "", fmt.Errorf("%w: Git URL %q: %w", ErrProvenance, uri, err)
	}
	for _, key := range []string{"ref", "tag", "branch", "commit", "checksum"} {
		query.Del(key)
	}
	_, folder, _ := strings.Cut(fragment, ":")
	if folder == "" {
		folder = query.Get("subdir")
	}
	query.Del("subdir")
	if len(query) > 0 {
		base += "?" + query.Encode()
	}
	base += "#" + commit
	if folder != "" {
		base += ":" + folder
	}
	return base, nil
}

// remarks notes what may make a difference and cannot be set.
func (p *Plan) remarks(def slsa.BuildDefinition) {
	ext := def.ExternalParameters
	if len(ext.Secrets) > 0 {
		p.note("build steps mount secrets (%s); pass those that they need with --secret", strings.Join(ext.Secrets, ", "))
	}
	for _, masked := range ext.Masked {
		if strings.HasPrefix(masked, "context") {
			p.note("the address of %s was recorded without its credentials; the builder needs its own", masked)
		}
	}
	if !strings.Contains(def.InternalParameters.Frontend.Image, "@sha256:") {
		p.note("the frontend's image is recorded by tag only: %s may be another program now", def.InternalParameters.Frontend.Image)
	}
	for _, d := range def.ResolvedDependencies {
		if d.Annotations[slsa.AnnotationIncomplete] == true {
			p.note("%s is not pinned by the provenance and may be another one now", d.URI)
		}
	}
}

func (p *Plan) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// Compression is what `buildx build --output` has to be told for the rebuilt
// layers to be compressed as those of the original.
func Compression(layers []ocispec.Descriptor) string {
	if len(layers) == 0 {
		return ""
	}
	// Layers of the base keep theirs; the last one is the build's own.
	switch last := layers[len(layers)-1].MediaType; {
	case strings.HasSuffix(last, "+zstd") || strings.HasSuffix(last, ".zstd"):
		return "compression=zstd"
	case strings.HasSuffix(last, ".tar"):
		return "compression=uncompressed"
	}
	return ""
}
