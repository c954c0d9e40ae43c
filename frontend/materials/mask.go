// SPDX-License-Identifier: Apache-2.0

package materials

import (
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/plombproject/plomb/provenance/slsa"
)

// A Mask keeps secrets out of what is published about a build, and remembers
// where it left something out. A build argument is a secret by its name: that
// of a secret which a step mounts, or one that speaks of credentials.
//
// The values of mounted secrets themselves are nowhere to be masked: BuildKit
// gives them to build steps only, and the frontend never has them.
type Mask struct {
	names  map[string]bool // of secrets, folded
	args   map[string]string
	values *strings.Replacer // of arguments that are secrets
	masked map[string]bool
}

// minSecret is how long, in bytes, the value of a secret argument has to be to
// be looked for everywhere. A short one stands in too many words.
const minSecret = 8

// proxySettings are arguments that BuildKit takes for itself. They tell of the
// builder's network, often with a password, and change no result.
var proxySettings = []string{"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"}

// secretName is a name that speaks of credentials: that of BuildKit's lint rule
// SecretsUsedInArgOrEnv, and a few more.
var secretName = regexp.MustCompile(`(?i)(?:^|[_.-])(?:apikey|auth|authorization|bearer|credentials?|key|passw(?:or)?ds?|passphrase|pword|pw|pwd|secrets?|tokens?)(?:$|[_.-])`)

// publicName is the same rule's exception.
var publicName = regexp.MustCompile(`(?i)(?:^|[_.-])public(?:$|[_.-])`)

// NewMask makes a mask for a build with these secrets, by id or by the variable
// or file that a step sees them as, and these build arguments.
func NewMask(secrets []string, args map[string]string) *Mask {
	m := &Mask{names: map[string]bool{}, args: map[string]string{}, masked: map[string]bool{}}
	for _, name := range proxySettings {
		m.names[fold(name)] = true
	}
	for _, name := range secrets {
		m.names[fold(name)] = true
	}
	maps.Copy(m.args, args)
	var pairs []string
	for _, value := range m.secretValues() {
		pairs = append(pairs, value, hiddenText)
	}
	m.values = strings.NewReplacer(pairs...)
	return m
}

// secretValues are those to look for everywhere: of the arguments that are
// secrets, as they are, escaped, and as BuildKit tidies paths, and the passwords
// in them. The longest come first, since one may begin with another.
func (m *Mask) secretValues() []string {
	var values []string
	add := func(value string) {
		if len(value) >= minSecret {
			values = append(values, value, url.QueryEscape(value), url.PathEscape(value), path.Clean(value))
		}
	}
	for name, value := range m.args {
		if !m.hides(name) {
			continue
		}
		if !slices.Contains(proxySettings, strings.ToLower(name)) {
			add(value)
		}
		_, rest, _ := strings.Cut(value, "://")
		if at := strings.LastIndexByte(rest, '@'); at >= 0 {
			user, password, _ := strings.Cut(rest[:at], ":")
			add(user)
			add(password)
		}
	}
	slices.Sort(values)
	slices.SortStableFunc(values, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(values)
}

// fold makes one name of npm-token, NPM_TOKEN and npm.token.
func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "").Replace(name))
}

func (m *Mask) hides(name string) bool {
	words := camel.ReplaceAllString(name, "${1}_${2}")
	return m.names[fold(name)] || secretName.MatchString(words) && !publicName.MatchString(words)
}

// camel finds where a word begins in accessToken.
var camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// Text is value without what lets somebody in. where is the parameter that it
// belongs to.
func (m *Mask) Text(where, value string) string {
	public := m.values.Replace(WithoutCredentials(value))
	if public != value {
		m.masked[m.Public(where)] = true
	}
	return public
}

// Public is Text for what is no parameter.
func (m *Mask) Public(text string) string { return m.values.Replace(WithoutCredentials(text)) }

// Values masks all values, and the names. prefix comes before the names in
// what Masked returns.
func (m *Mask) Values(prefix string, all map[string]string) map[string]string {
	public := map[string]string{}
	for name, value := range all {
		public[m.Public(name)] = m.Text(prefix+name, value)
	}
	return public
}

// Args are the build arguments that may be published.
func (m *Mask) Args() map[string]string {
	public := map[string]string{}
	for name, value := range m.args {
		if m.hides(name) {
			m.masked["args."+m.Public(name)] = true
			continue
		}
		public[m.Public(name)] = m.Text("args."+name, value)
	}
	return public
}

// List masks each of a list.
func (m *Mask) List(where string, all []string) []string {
	var public []string
	for _, value := range all {
		public = append(public, m.Text(where, value))
	}
	return public
}

// Dependencies masks what Of returns: a Dockerfile can put the value of a
// build argument into an address or a path.
func (m *Mask) Dependencies(list []slsa.ResourceDescriptor) []slsa.ResourceDescriptor {
	const where = "dependencies"
	for i, d := range list {
		list[i].URI = m.Text(where, d.URI)
		if f, ok := d.Annotations[slsa.AnnotationFilter].(slsa.Filter); ok {
			d.Annotations[slsa.AnnotationFilter] = slsa.Filter{
				Include: m.List(where, f.Include), Exclude: m.List(where, f.Exclude), Follow: m.List(where, f.Follow),
			}
		}
	}
	return list
}

// assignment is NAME=value, with quotes or without.
var assignment = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.-]*)=("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"']+)`)

// Instruction is the text of a Dockerfile's instruction, as an image's history
// or a progress log has it, without what lets somebody in. Those hold the
// values of build arguments:
//
//	RUN |1 NPM_TOKEN=… /bin/sh -c npm ci # buildkit
func (m *Mask) Instruction(text string) string {
	// First by value, because the history does not quote them.
	for _, name := range slices.Sorted(maps.Keys(m.args)) {
		if value := m.args[name]; value != "" && m.hides(name) {
			text = strings.ReplaceAll(text, name+"="+value, name+"="+hiddenText)
		}
	}
	text = assignment.ReplaceAllStringFunc(text, func(found string) string {
		name, _, _ := strings.Cut(found, "=")
		if !m.hides(name) {
			return found
		}
		return name + "=" + hiddenText
	})
	return m.Public(text)
}

// Masked names the parameters of which the value, or a part of it, was left
// out, sorted.
func (m *Mask) Masked() []string {
	return slices.Sorted(maps.Keys(m.masked))
}
