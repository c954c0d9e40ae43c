// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// imageVerification is an ImageVerificationConfig
// (https://docs.siderolabs.com/talos/latest/reference/configuration/security/imageverificationconfig).
type imageVerification struct {
	APIVersion string      `yaml:"apiVersion"`
	Kind       string      `yaml:"kind"`
	Rules      []talosRule `yaml:"rules"`
}

type talosRule struct {
	Image   string `yaml:"image"`
	Skip    bool   `yaml:"skip"`
	Deny    bool   `yaml:"deny"`
	Keyless *struct {
		Issuer       string `yaml:"issuer"`
		Subject      string `yaml:"subject"`
		SubjectRegex string `yaml:"subjectRegex"`
	} `yaml:"keyless"`
	PublicKey *struct {
		Certificate string `yaml:"certificate"`
	} `yaml:"publicKey"`
}

// Talos imports an ImageVerificationConfig: "rules are evaluated in order;
// first matching rule applies", and an image that none matches is admitted.
func Talos(src Source) (*Result, error) {
	r := &reading{src: src}
	if err := r.bounded(); err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(src.Data))
	dec.KnownFields(true)
	var config imageVerification
	if err := dec.Decode(&config); err != nil {
		return nil, fmt.Errorf("%w: %s: not one ImageVerificationConfig: %w", ErrMalformed, src.Name, err)
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %s: more than one document: give the ImageVerificationConfig alone", ErrMalformed, src.Name)
	}
	if config.APIVersion != "v1alpha1" || config.Kind != "ImageVerificationConfig" {
		r.malformed("kind", "apiVersion %q, kind %q: want v1alpha1, kind ImageVerificationConfig", config.APIVersion, config.Kind)
	}
	scopes := []scope{{place: "(no rule)", name: "no-rule", repositories: []string{"**"}}}
	// The first rule wins: it is the strongest.
	for i, rule := range slices.Backward(config.Rules) {
		place := fmt.Sprintf("rules[%d] (%q)", i, rule.Image)
		s := scope{place: place, name: "rule-" + strings.ReplaceAll(rule.Image, "*", "all"), demand: r.talosDemand(place, rule)}
		pattern, err := talosPattern(rule.Image)
		if err != nil {
			r.inexpressible(place+".image", "%v", err)
			continue
		}
		s.repositories = []string{pattern}
		scopes = append(scopes, s)
	}
	if len(scopes) > 1 && scopes[1].repositories[0] == "**" {
		scopes = scopes[1:] // nothing is left for (no rule)
	} else {
		r.note("images that no rule matches are admitted, as there: policy no-rule; without it, they would be refused")
	}
	return r.finish(scopes)
}

var talosImage = regexp.MustCompile(`\A[a-zA-Z0-9_:/*.-]+\z`)

// talosPattern is the pattern as one over repositories: there, a star is any
// run of characters at all, and Docker Hub is docker.io.
func talosPattern(image string) (string, error) {
	if len(image) > maxName || !talosImage.MatchString(image) {
		return "", fmt.Errorf("%q is not a pattern over registry and repository", image)
	}
	for _, hub := range []string{"index.docker.io/", "registry-1.docker.io/"} {
		if path, ok := strings.CutPrefix(image, hub); ok {
			image = "docker.io/" + path
		}
	}
	host, path, _ := strings.Cut(image, "/")
	if !strings.Contains(host, "*") && !domain.MatchString(host) {
		return "", fmt.Errorf("%q matches no image: patterns begin with a registry, such as docker.io/library/nginx", image)
	}
	if strings.Contains(path, ":") {
		return "", fmt.Errorf("%q matches no image: a pattern has no tag", image)
	}
	pattern := runs.ReplaceAllString(image, "**")
	// X** and then :TAG must not be confused with the X of a digest.
	if tail := pattern[strings.LastIndex(pattern, "*")+1:]; strings.Contains(pattern, "*") && tail != "" &&
		(strings.HasSuffix("@sha256", tail) || strings.HasSuffix("@sha512", tail)) {
		return "", fmt.Errorf("%q cannot be told from the beginning of a digest", image)
	}
	return pattern, nil
}

var runs = regexp.MustCompile(`\*+`)

func (r *reading) talosDemand(place string, rule talosRule) demand {
	set := 0
	for _, there := range []bool{rule.Skip, rule.Deny, rule.Keyless != nil, rule.PublicKey != nil} {
		if there {
			set++
		}
	}
	if set != 1 {
		r.malformed(place, "needs exactly one of skip, deny, keyless and publicKey")
		return demand{}
	}
	req := requirement{place: place}
	switch {
	case rule.Skip:
		return demand{}
	case rule.Deny:
		return demand{reject: true}
	case rule.PublicKey != nil:
		key := r.publicKey(place+".publicKey.certificate", []byte(rule.PublicKey.Certificate))
		req.rule = spec.Authority{Key: &spec.Key{Data: string(key)}}
	default:
		k := rule.Keyless
		if k.Issuer == "" || (k.Subject == "") == (k.SubjectRegex == "") {
			r.malformed(place+".keyless", "needs issuer, and one of subject and subjectRegex")
		}
		if k.SubjectRegex != "" {
			if _, err := regexp.Compile(k.SubjectRegex); err != nil {
				r.malformed(place+".keyless.subjectRegex", "%v", err)
			}
			r.note("%s.keyless.subjectRegex matches anywhere in the subject, as there; plomb policy check says whether it is anchored", place)
		}
		req.rule = spec.Authority{Keyless: &spec.Keyless{Identities: []spec.Identity{
			{Issuer: k.Issuer, Subject: k.Subject, SubjectRegExp: k.SubjectRegex},
		}}}
	}
	req.id = identify(req.rule)
	return demand{requirements: []requirement{req}}
}
