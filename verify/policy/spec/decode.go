// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder writes YAML nodes into the structs of this package and collects the
// faults it meets, each with file, line and the path of the field. The tags of
// a field are its rules:
//
//	yaml:"name"       what it is called; ",inline" for the fields of a struct
//	required:"true"   it must be there and not empty
//	enum:"a,b"        it must be one of these
//	only:"Kind"       it is known in documents of that kind
//	refused:"why"     the schema has it and nothing enforces it
//	of:"a,b"          for Lines: the fields that may hold the text
type decoder struct {
	file string
	// text are the lines of the file.
	text []string
	// kind is that of the document that is being read.
	kind   string
	faults []error
}

var (
	originType  = reflect.TypeFor[Origin]()
	linesType   = reflect.TypeFor[Lines]()
	ignoredType = reflect.TypeFor[Ignored]()
)

func (d *decoder) at(n *yaml.Node) Origin { return Origin(fmt.Sprintf("%s:%d", d.file, n.Line)) }

func (d *decoder) fault(kind error, n *yaml.Node, format string, args ...any) {
	d.faults = append(d.faults, fmt.Errorf("%w: %s: %s", kind, d.at(n), fmt.Sprintf(format, args...)))
}

// plain demands that a document is JSON with comments: no anchors, aliases,
// merges or tags, and no key twice. Then every parser reads the same.
func (d *decoder) plain(path string, n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.fault(ErrInvalid, n, "%s: anchors and aliases are not read: write it out", orDocument(path))
		return
	case n.Style&yaml.TaggedStyle != 0:
		d.fault(ErrInvalid, n, "%s: tags such as %s are not read", orDocument(path), n.Tag)
		return
	case n.Kind != yaml.MappingNode:
		for _, element := range n.Content {
			d.plain(path, element)
		}
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0 {
			d.fault(ErrInvalid, key, "%s: a key must be a plain string", orDocument(path))
			continue
		}
		if seen[key.Value] {
			d.fault(ErrInvalid, key, "%s is given twice", join(path, key.Value))
		}
		seen[key.Value] = true
		d.plain(join(path, key.Value), n.Content[i+1])
	}
}

// value writes n into v, whatever the type of v.
func (d *decoder) value(path string, n *yaml.Node, v reflect.Value) {
	switch {
	case v.Type() == ignoredType:
		return
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(path, n, v.Elem())
	case v.Kind() == reflect.Struct:
		d.object(path, n, v)
	case v.Kind() == reflect.Slice:
		d.list(path, n, v)
	case v.Kind() == reflect.Map:
		d.texts(path, n, v)
	case v.Kind() == reflect.Bool:
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
			d.fault(ErrInvalid, n, "%s must be true or false", path)
			return
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case v.Kind() == reflect.String:
		// Numbers and booleans are not strings: YAML and JSON would spell them
		// differently.
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
			d.fault(ErrInvalid, n, "%s must be a string%s", path, quotes(n))
			return
		}
		v.SetString(n.Value)
	default:
		panic("spec has a field of type " + v.Type().String())
	}
}

// quotes is the remedy where YAML takes for something else what was meant as
// text, such as a date.
func quotes(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		return ""
	}
	return fmt.Sprintf(": write %q, with the quotes", n.Value)
}

// object writes a mapping into a struct. A field that the struct does not have
// is a fault: a typing error must not switch a rule off.
func (d *decoder) object(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.fault(ErrInvalid, n, "%s must be an object", orDocument(path))
		return
	}
	known := map[string]field{}
	d.fields(n, v, known)
	given := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		sub := join(path, key.Value)
		f, ok := known[key.Value]
		switch refused, only := f.tag.Get("refused"), f.tag.Get("only"); {
		case !ok:
			d.fault(ErrInvalid, key, "unknown field %s%s", sub, d.near(key.Value, known))
		case refused != "":
			d.fault(ErrUnsupported, key, "%s is not supported: %s", sub, refused)
		case only != "" && only != d.kind:
			d.fault(ErrInvalid, key, "%s is a field of %s, not of %s", sub, only, d.kind)
		default:
			d.value(sub, value, f.value)
			d.oneOf(sub, value, f)
		}
		given[key.Value] = true
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		f := known[name]
		if f.tag.Get("required") != "" && (!given[name] || isEmpty(f.value)) {
			d.fault(ErrInvalid, n, "%s is missing or empty", join(path, name))
		}
	}
}

type field struct {
	value reflect.Value
	tag   reflect.StructTag
}

// fields collects the fields of a struct and of those inlined in it, and notes
// where they were written.
func (d *decoder) fields(n *yaml.Node, v reflect.Value, known map[string]field) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case f.Type == originType:
			v.Field(i).SetString(string(d.at(n)))
		case f.Type == linesType:
			v.Field(i).Set(reflect.ValueOf(d.lines(n, strings.Split(f.Tag.Get("of"), ","))))
		case options == "inline":
			d.fields(n, v.Field(i), known)
		default:
			known[name] = field{value: v.Field(i), tag: f.Tag}
		}
	}
}

func (d *decoder) oneOf(path string, n *yaml.Node, f field) {
	enum := f.tag.Get("enum")
	if enum == "" || n.Kind != yaml.ScalarNode {
		return
	}
	if allowed := strings.Split(enum, ","); !slices.Contains(allowed, f.value.String()) {
		d.fault(ErrInvalid, n, "%s is %q, want %s", path, f.value.String(), strings.Join(allowed, " or "))
	}
}

func (d *decoder) list(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.fault(ErrInvalid, n, "%s must be a list", path)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, element := range n.Content {
		at := path
		if element.Kind != yaml.MappingNode { // the fields of an element are told apart by their lines
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		d.value(at, element, v.Index(i))
	}
}

// texts writes a mapping of strings to strings.
func (d *decoder) texts(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.fault(ErrInvalid, n, "%s must be an object", path)
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		text := reflect.New(v.Type().Elem()).Elem()
		d.value(join(path, n.Content[i].Value), n.Content[i+1], text)
		v.SetMapIndex(reflect.ValueOf(n.Content[i].Value), text)
	}
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return v.Len() == 0
	default:
		return false
	}
}

func join(path, name string) string { return strings.TrimPrefix(path+"."+name, ".") }

func orDocument(path string) string {
	if path == "" {
		return "the document"
	}
	return path
}
