// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/distribution/reference"

	"github.com/plombproject/plomb/frontend/credential"
)

// ErrOption reports a PLOMB_* build argument that does not exist or has a
// value that it does not take.
var ErrOption = errors.New("invalid build argument")

// optionPrefix marks build arguments that are for plomb and not for the
// Dockerfile.
const optionPrefix = "PLOMB_"

// SignMode is when to sign.
type SignMode string

const (
	SignAuto    SignMode = "auto"    // sign if there is a credential, else warn
	SignKeyless SignMode = "keyless" // sign with an identity token, or fail
	SignKey     SignMode = "key"     // sign with a key, or fail
	SignOff     SignMode = "off"     // do not look for a credential
)

// kind is what the mode looks for. What it does not look for, it does not even
// ask the client for.
func (m SignMode) kind() credential.Kind {
	switch m {
	case SignKeyless:
		return credential.TokenKind
	case SignKey:
		return credential.KeyKind
	}
	return credential.AnyKind
}

// SBOMLevel is what an SBOM lists.
type SBOMLevel string

const (
	SBOMPackages SBOMLevel = "packages" // every package
	SBOMFiles    SBOMLevel = "files"    // every file, in a second document
	SBOMOff      SBOMLevel = "off"      // there is none
)

// level is what the catalogue is told, "" for not to look.
func (l SBOMLevel) level() string {
	if l == SBOMOff {
		return ""
	}
	return string(l)
}

// Options are the build arguments that steer plomb.
type Options struct {
	Sign       SignMode
	Squash     bool // PLOMB_LAYERS=squash: one layer above the base
	Scrub      bool // leave out what differs on every build
	SBOM       SBOMLevel
	SBOMAsked  bool   // PLOMB_SBOM was given
	Manifests  bool   // PLOMB_SUBJECTS=manifest: foretell manifests as well
	Repository string // registry/name that the image is meant for, "" if not told
}

// An option is a row of the table below: its allowed values, the first of
// which is the default, or, without any, a parser for free text.
type option struct {
	name   string
	values []string
	set    func(*Options, string) error
}

var options = []option{
	{"PLOMB_LAYERS", []string{"keep", "squash"}, func(o *Options, v string) error { o.Squash = v == "squash"; return nil }},
	{"PLOMB_REPOSITORY", nil, setRepository},
	{"PLOMB_SBOM", []string{"packages", "files", "off"}, func(o *Options, v string) error { o.SBOM = SBOMLevel(v); return nil }},
	{"PLOMB_SCRUB", []string{"on", "off"}, func(o *Options, v string) error { o.Scrub = v == "on"; return nil }},
	{"PLOMB_SIGN", []string{"auto", "keyless", "key", "off"}, func(o *Options, v string) error { o.Sign = SignMode(v); return nil }},
	{"PLOMB_SUBJECTS", []string{"image-id", "manifest"}, func(o *Options, v string) error { o.Manifests = v == "manifest"; return nil }},
}

// takeOptions reads the PLOMB_* arguments and removes them from args, so that
// they reach no build step and invalidate no cache.
func takeOptions(args map[string]string) (Options, error) {
	var o Options
	_, o.SBOMAsked = args["PLOMB_SBOM"]
	for _, opt := range options {
		value, given := args[opt.name]
		delete(args, opt.name)
		if !given && len(opt.values) > 0 {
			value = opt.values[0]
		}
		if err := opt.apply(&o, value, given); err != nil {
			return o, err
		}
	}
	return o, unknownOption(args)
}

func (opt option) apply(o *Options, value string, given bool) error {
	if opt.values == nil {
		if !given {
			return nil
		}
		return opt.set(o, value)
	}
	for _, allowed := range opt.values {
		if value == allowed {
			return opt.set(o, value)
		}
	}
	return fmt.Errorf("%w: %s=%q: allowed values are %s", ErrOption, opt.name, value, strings.Join(opt.values, ", "))
}

func unknownOption(args map[string]string) error {
	var unknown []string
	for name := range args {
		if strings.HasPrefix(name, optionPrefix) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	sort.Strings(unknown)
	names := make([]string, len(options))
	for i, opt := range options {
		names[i] = opt.name
	}
	return fmt.Errorf("%w: %s is not known to plomb; the arguments that start with %s are %s",
		ErrOption, strings.Join(unknown, ", "), optionPrefix, strings.Join(names, ", "))
}

func setRepository(o *Options, v string) error {
	named, err := reference.ParseNormalizedNamed(v)
	if err != nil {
		return fmt.Errorf("%w: PLOMB_REPOSITORY=%q: %w; allowed is a name like registry.example.com/team/app", ErrOption, v, err)
	}
	if !reference.IsNameOnly(named) {
		return fmt.Errorf("%w: PLOMB_REPOSITORY=%q: leave out the tag and the digest", ErrOption, v)
	}
	o.Repository = named.Name()
	return nil
}
