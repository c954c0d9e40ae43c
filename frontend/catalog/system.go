// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bufio"
	"bytes"
	"slices"
	"strings"

	"github.com/plombproject/plomb/provenance/sbom"
)

// systemFiles are where os-release is, in the order in which it is looked for
// (os-release(5)).
var systemFiles = []string{"/etc/os-release", "/usr/lib/os-release"}

// maxOSRelease is the largest os-release in bytes. They have about 400.
const maxOSRelease = 64 << 10

// System is what os-release says; it is never nil.
func (t *tree) System() *sbom.System {
	system, _ := t.system()
	return system
}

func (t *tree) hasSystem() bool {
	_, there := t.system()
	return there
}

func (t *tree) readSystem() (*sbom.System, bool) {
	for _, p := range systemFiles {
		if data, err := t.ReadAll(p, maxOSRelease); err == nil {
			return parseOSRelease(data), true
		}
	}
	return &sbom.System{}, false
}

func parseOSRelease(data []byte) *sbom.System {
	var s sbom.System
	fields := map[string]*string{
		"ID": &s.ID, "VERSION_ID": &s.VersionID, "VERSION_CODENAME": &s.Codename, "PRETTY_NAME": &s.PrettyName,
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		key, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if field := fields[key]; field != nil {
			*field = text1(unquote(value), 256)
		}
	}
	return &s
}

// unquote undoes the shell's quotes around a value, and the backslashes that
// os-release(5) has for special characters in it.
func unquote(value string) string {
	if len(value) < 2 || value[0] != '"' && value[0] != '\'' || value[len(value)-1] != value[0] {
		return value
	}
	quote := value[0]
	value = value[1 : len(value)-1]
	if quote == '\'' {
		return value
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, `$`, "\\`", "`").Replace(value)
}

// touchesSystem reports whether a layer changed what os-release says: the file,
// or a folder or link on the way to it.
func touchesSystem(changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool {
		return slices.ContainsFunc(systemFiles, func(p string) bool {
			return c.Path == p || strings.HasPrefix(p, c.Path+"/")
		})
	})
}
