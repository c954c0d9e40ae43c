// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Paths of the plugins that image verification hangs on.
const (
	images   = "io.containerd.cri.v1.images"
	runtime  = "io.containerd.cri.v1.runtime"
	cri      = "io.containerd.grpc.v1.cri"
	transfer = "io.containerd.transfer.v1.local"
	bindir   = "io.containerd.image-verifier.v1.bindir"
	nri      = "io.containerd.nri.v1.nri"
	grpc     = "io.containerd.server.v1.grpc"
)

// tree is a TOML document as maps.
type tree map[string]any

func readTree(data []byte) (tree, error) {
	if len(data) > maxConfig {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrConfig, len(data), maxConfig)
	}
	var t tree
	if err := toml.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return t, nil
}

// at is the value at a path, or nil.
func (t tree) at(path ...string) any {
	var v any = map[string]any(t)
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

// plugin is the value at a path below a plugin's section, or nil.
func (t tree) plugin(id string, path ...string) any {
	return t.at(append([]string{"plugins", id}, path...)...)
}

func (t tree) has(id string) bool {
	_, ok := t.plugin(id).(map[string]any)
	return ok
}

func (t tree) text(path ...string) string {
	s, _ := t.at(path...).(string)
	return s
}

// strings are the strings of a list.
func (t tree) strings(path ...string) []string {
	list, _ := t.at(path...).([]any)
	var out []string
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func (t tree) flag(path ...string) bool {
	b, _ := t.at(path...).(bool)
	return b
}

// number is the integer at a path; ok is false where there is none.
func (t tree) number(path ...string) (n int, ok bool) {
	v, ok := t.at(path...).(int64)
	return int(v), ok
}

// keys are the names in a table, sorted.
func (t tree) keys(path ...string) []string {
	m, _ := t.at(path...).(map[string]any)
	return slices.Sorted(maps.Keys(m))
}

// span is a duration as containerd writes it. Without one it is 0, as for
// containerd.
func (t tree) span(path ...string) time.Duration {
	d, _ := time.ParseDuration(t.text(path...))
	return d
}

// setting writes a path as an administrator would look for it.
func setting(path ...string) string {
	var b strings.Builder
	for i, name := range path {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(key(name))
	}
	return b.String()
}

// key is a TOML key, bare where it can be: "A-Za-z0-9_-" (TOML 1.0.0, Keys).
func key(name string) string {
	bare := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
	}
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !bare(r) }) < 0 {
		return name
	}
	return quote(name)
}

// quote is a basic string (TOML 1.0.0, String): quotation mark, backslash and
// control characters are escaped.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// value writes a value on one line. Of what may hold secrets only the names are
// shown: see secretive.
func value(v any) string {
	switch v := v.(type) {
	case nil:
		return "not set"
	case string:
		return quote(v)
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, value(e))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, key(name))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

func list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
