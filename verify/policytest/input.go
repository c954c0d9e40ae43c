// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"time"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	"go.yaml.in/yaml/v3"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/policy"
)

// input is an input.yaml. docs/policy-test.md says what each field means.
type input struct {
	Image  string `yaml:"image"`
	Digest string `yaml:"digest"`
	Now    string `yaml:"now"`
	// VerifiedBefore: the digest was allowed before.
	VerifiedBefore bool       `yaml:"verifiedBefore"`
	Manifests      []manifest `yaml:"manifests"`
	// manifest stands for the only element of Manifests.
	manifest `yaml:",inline"`

	dir string
	now time.Time
	// cases and evidence are what the manifests become.
	cases []policy.Case
	kept  []*evidence
}

// manifest is one that the node could run, and what is known about it.
type manifest struct {
	Manifest    string      `yaml:"manifest"`
	ImageID     string      `yaml:"imageID"`
	Platform    string      `yaml:"platform"`
	Lazy        bool        `yaml:"lazy"`
	Config      yaml.Node   `yaml:"config"`
	Claims      []said      `yaml:"claims"`
	Byproducts  []byproduct `yaml:"byproducts"`
	Materials   []material  `yaml:"materials"`
	Unreachable string      `yaml:"unreachable"`
}

// byproduct is a document that the image carries.
type byproduct struct {
	PredicateType string    `yaml:"predicateType"`
	Predicate     yaml.Node `yaml:"predicate"`
	PredicateFile string    `yaml:"predicateFile"`
	// Swapped: it is not the one that the provenance names.
	Swapped bool `yaml:"swapped"`

	data []byte
}

// material is another image, and what the named policy says of it.
type material struct {
	Name    string `yaml:"name"`
	Digest  string `yaml:"digest"`
	Policy  string `yaml:"policy"`
	Verdict string `yaml:"verdict"`
}

// decode reads one YAML document strictly: a field that is not known is an
// error, since a typing error must not switch part of a test off.
func decode(path string, v any) error {
	data, err := limit.ReadFile(path, maxFile)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCase, err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(v); err != nil {
		return misread(path, err)
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %s: more than one document", ErrCase, path)
	}
	return nil
}

var (
	atLine       = regexp.MustCompile(`\A(?:yaml: )?line (\d+): (?s:(.*))\z`)
	unknownField = regexp.MustCompile(`\Afield (.+) not found in type .*\z`)
)

// misread says what a file has that is no part of a case, each fault with its
// line: the decoder names types of this package, which nobody knows.
func misread(path string, err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %s: the file is empty", ErrCase, path)
	}
	texts := []string{err.Error()}
	if several := new(yaml.TypeError); errors.As(err, &several) {
		texts = several.Errors
	}
	var faults []error
	for _, text := range texts {
		place := path
		if m := atLine.FindStringSubmatch(text); m != nil {
			place, text = path+":"+m[1], m[2]
		}
		text = unknownField.ReplaceAllString(text, "unknown field $1")
		faults = append(faults, fmt.Errorf("%w: %s: %s", ErrCase, place, text))
	}
	return errors.Join(faults...)
}

func readInput(dir string) (*input, error) {
	in := &input{dir: dir}
	path := filepath.Join(dir, inputFile)
	if err := decode(path, in); err != nil {
		return nil, err
	}
	if err := in.complete(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCase, path, err)
	}
	return in, nil
}

// complete fills in what was left out, and reads the files that are named.
func (in *input) complete() error {
	var err error
	if in.Image == "" {
		return errors.New("image is missing")
	}
	if in.Digest, err = digestOr(in.Digest, in.Image); err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	if in.Now == "" {
		return errors.New("now is missing: say when the decision is made, as in 2026-01-01T00:00:00Z")
	}
	if in.now, err = time.Parse(time.RFC3339, in.Now); err != nil {
		return fmt.Errorf("now: %w", err)
	}
	if in.Manifests == nil {
		in.Manifests = []manifest{in.manifest}
	} else if in.manifest.given() {
		return errors.New("give manifests, or the fields of one, not both")
	}
	for i := range in.Manifests {
		if err := in.add(&in.Manifests[i]); err != nil {
			return fmt.Errorf("manifest %d: %w", i, err)
		}
	}
	return nil
}

// given reports whether any field is set.
func (m manifest) given() bool {
	return m.Manifest+m.ImageID+m.Platform+m.Unreachable != "" || m.Lazy ||
		!m.Config.IsZero() || m.Claims != nil || m.Byproducts != nil || m.Materials != nil
}

// add makes a case and its evidence of one manifest.
func (in *input) add(m *manifest) error {
	c := policy.Case{
		Name: in.Image, Digest: digest.Digest(in.Digest), Now: in.now,
		Lazy: m.Lazy, VerifiedBefore: in.VerifiedBefore,
	}
	c.Manifest = c.Digest
	var err error
	if m.Manifest != "" {
		if c.Manifest, err = digest.Parse(m.Manifest); err != nil {
			return fmt.Errorf("manifest: %w", err)
		}
		c.Indexes = []digest.Digest{c.Digest}
	}
	id, err := digestOr(m.ImageID, in.Image+" config "+m.Platform)
	if err != nil {
		return fmt.Errorf("imageID: %w", err)
	}
	c.ImageID = digest.Digest(id)
	if m.Platform == "" {
		m.Platform = "linux/amd64"
	}
	if c.Platform, err = platforms.Parse(m.Platform); err != nil {
		return fmt.Errorf("platform: %w", err)
	}
	e, err := in.evidence(m, c)
	if err != nil {
		return err
	}
	in.cases, in.kept = append(in.cases, c), append(in.kept, e)
	return nil
}

// digestOr checks a digest, or makes one up from a text.
func digestOr(text, from string) (string, error) {
	if text == "" {
		return digest.FromString(from).String(), nil
	}
	d, err := digest.Parse(text)
	return d.String(), err
}

// content is what stands inline, or in a file beside input.yaml, as JSON.
func (in *input) content(inline yaml.Node, file string) ([]byte, error) {
	switch {
	case file != "" && !inline.IsZero():
		return nil, errors.New("give predicate or predicateFile, not both")
	case file != "":
		data, err := in.file(file)
		if err == nil && !json.Valid(data) {
			err = fmt.Errorf("%s is not JSON", file)
		}
		return data, err
	case inline.IsZero():
		return nil, nil
	}
	var v any
	if err := inline.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// file reads a file that is named relative to the case.
func (in *input) file(name string) ([]byte, error) {
	if filepath.IsAbs(name) {
		return nil, fmt.Errorf("%s: name files relative to the case", name)
	}
	return limit.ReadFile(filepath.Join(in.dir, filepath.FromSlash(name)), maxFile)
}

func (in *input) supposition(set *policy.Set) verify.Supposition {
	s := verify.Supposition{Name: in.Image, Digest: digest.Digest(in.Digest), Policy: set, Now: in.now, VerifiedBefore: in.VerifiedBefore}
	for i, c := range in.cases {
		s.Manifests = append(s.Manifests, verify.SupposedManifest{Case: c, Evidence: in.kept[i], Err: in.kept[i].unreachable})
	}
	return s
}
