// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reader walks the nodes of one file and collects the faults it meets, each
// with its line. YAML is read as JSON with comments: no anchors, no merges, no
// tags, no repeated keys.
type reader struct {
	file   string
	faults []error
}

// fields says how each field of an object is read; a nil reader ignores it.
type fields map[string]func(path string, n *yaml.Node)

func (r *reader) fault(kind error, n *yaml.Node, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%w: %s: %s", kind, r.origin(n), fmt.Sprintf(format, args...)))
}

func (r *reader) origin(n *yaml.Node) string { return fmt.Sprintf("%s:%d", r.file, n.Line) }

// object reads a mapping. A field that is neither known nor refused by name is
// an error: a typing error must not switch a rule off.
func (r *reader) object(path string, n *yaml.Node, known fields) {
	if n.Kind != yaml.MappingNode {
		r.fault(ErrInvalid, n, "%s must be an object", path)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		sub := strings.TrimPrefix(path+"."+key.Value, ".")
		read, ok := known[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			r.fault(ErrInvalid, key, "%s: a key must be a plain string", path)
		case seen[key.Value]:
			r.fault(ErrInvalid, key, "%s is given twice", sub)
		case !ok && unsupported(sub):
			r.fault(ErrUnsupported, key, "%s is not yet supported, and ignoring it could admit what it keeps out", sub)
		case !ok:
			r.fault(ErrInvalid, key, "unknown field %s", sub)
		case read != nil:
			read(sub, value)
		}
		seen[key.Value] = true
	}
}

// list reads a sequence, element by element.
func (r *reader) list(path string, n *yaml.Node, read func(path string, n *yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		r.fault(ErrInvalid, n, "%s must be a list", path)
		return
	}
	for _, element := range n.Content {
		read(path, element)
	}
}

// text reads a string into to. Numbers and booleans are not strings: YAML and
// JSON would spell them differently.
func (r *reader) text(to *string) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" || n.Anchor != "" {
			r.fault(ErrInvalid, n, "%s must be a string", path)
			return
		}
		*to = n.Value
	}
}
