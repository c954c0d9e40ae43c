// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"
)

// An expression is one table header or one key with its value, and the lines
// of a file that it takes.
type expression struct {
	// path is where it stands: the table's name, and the key's below it.
	path []string
	// table tells a header from a key.
	table bool
	// start and end bound its lines, in bytes, the last line break included.
	start, end int
	// line counts from 1.
	line int
	// items are the strings of a list, inline the names in an inline table.
	items  []string
	inline bool
}

// expressions takes a file apart. That it is TOML has been checked.
func expressions(data []byte) (out []expression, err error) {
	defer func() {
		// The parser is marked unstable, and a node is no place to crash.
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("%w: %v", ErrConfig, p)
		}
	}()
	var p unstable.Parser
	p.Reset(data)
	var table []string
	for p.NextExpression() {
		n := p.Expression()
		var e expression
		var names []string
		first, last := -1, -1
		for it := n.Key(); it.Next(); {
			k := it.Node()
			names = append(names, string(k.Data))
			if first < 0 {
				first = int(k.Raw.Offset)
			}
			last = int(k.Raw.Offset + k.Raw.Length)
		}
		if n.Kind == unstable.KeyValue {
			e.path = append(slices.Clone(table), names...)
			last = int(n.Raw.Offset + n.Raw.Length)
			e.items, e.inline = contents(n.Value())
		} else {
			table = names
			e.path, e.table = slices.Clone(names), true
		}
		e.start = bytes.LastIndexByte(data[:first], '\n') + 1
		e.end = len(data)
		if i := bytes.IndexByte(data[last:], '\n'); i >= 0 {
			e.end = last + i + 1
		}
		e.line = bytes.Count(data[:e.start], []byte{'\n'}) + 1
		out = append(out, e)
	}
	if err := p.Error(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return out, nil
}

func contents(v *unstable.Node) (items []string, inline bool) {
	if v.Kind == unstable.Array {
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.String {
				items = append(items, string(it.Node().Data))
			}
		}
	}
	return items, v.Kind == unstable.InlineTable
}

// below tells that the expression is at a path or somewhere below it.
func (e expression) below(path []string) bool {
	return len(e.path) >= len(path) && slices.Equal(e.path[:len(path)], path)
}

// above tells that it is an inline table in which the path may be.
func (e expression) above(path []string) bool {
	return e.inline && len(e.path) < len(path) && slices.Equal(e.path, path[:len(e.path)])
}
