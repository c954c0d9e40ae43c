// SPDX-License-Identifier: Apache-2.0

// Package schema writes the JSON schemas of policy documents
// (https://json-schema.org, draft 2020-12) from the types that the strict reader
// fills: names, descriptions, required fields and allowed words come from one
// place. Editors use the schemas; the reader remains the judge, and refuses more
// than a schema can say. It is in no program.
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// Module is the import path that sources are found under.
const Module = "github.com/plombproject/plomb"

// base is where the schemas are published.
const base = "https://plombproject.github.io/schema/"

// A document is a kind of policy document and the type of its spec.
type document struct {
	file, kind string
	versions   []any
	spec       reflect.Type
}

var documents = []document{
	{"imagepolicy-v1.schema.json", spec.KindImagePolicy, []any{spec.VersionImagePolicy}, reflect.TypeFor[spec.ImagePolicy]()},
	{"clusterimagepolicy.schema.json", spec.KindClusterImagePolicy,
		[]any{"policy.sigstore.dev/v1beta1", "policy.sigstore.dev/v1alpha1"}, reflect.TypeFor[spec.ClusterImagePolicy]()},
	{"trustroot.schema.json", spec.KindTrustRoot, []any{"policy.sigstore.dev/v1alpha1"}, reflect.TypeFor[spec.TrustRoot]()},
}

// Generate returns the schemas by the names of their files. at is the import
// path of the working directory, and source the folder of package spec from
// there: the descriptions are the comments in it.
func Generate(at, source string) (map[string][]byte, error) {
	comments := &jsonschema.Reflector{}
	if err := comments.AddGoComments(at, source, jsonschema.WithFullComment()); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	files := map[string][]byte{}
	for _, d := range documents {
		data, err := d.generate(comments.CommentMap)
		if err != nil {
			return nil, fmt.Errorf("schema of %s: %w", d.kind, err)
		}
		files[d.file] = data
	}
	return files, nil
}

func (d document) generate(comments map[string]string) ([]byte, error) {
	w := &writer{kind: d.kind, comments: comments, definitions: jsonschema.Definitions{}}
	root := &jsonschema.Schema{
		Version: jsonschema.Version, ID: jsonschema.ID(base + d.file), Title: d.kind, Type: "object",
		Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema,
		Required: []string{"apiVersion", "kind", "metadata", "spec"},
	}
	root.Description = w.comment(d.spec, "")
	root.Properties.Set("apiVersion", &jsonschema.Schema{Type: "string", Enum: d.versions})
	root.Properties.Set("kind", &jsonschema.Schema{Const: d.kind})
	root.Properties.Set("metadata", w.of(reflect.TypeFor[spec.Metadata]()))
	root.Properties.Set("spec", w.of(d.spec))
	if d.kind != spec.KindImagePolicy {
		root.Properties.Set("status", jsonschema.TrueSchema)
	}
	root.Definitions = w.definitions
	if w.err != nil {
		return nil, w.err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(root)
	return out.Bytes(), err
}

// A writer makes the definitions of one kind of document. It walks the types
// itself, because what the tags of package spec say decides which fields there
// are: `only` and `refused` are not of JSON schema.
type writer struct {
	kind        string
	comments    map[string]string
	definitions jsonschema.Definitions
	err         error
}

// of is the schema of a type.
func (w *writer) of(t reflect.Type) *jsonschema.Schema {
	switch t.Kind() {
	case reflect.Pointer:
		return w.of(t.Elem())
	case reflect.Slice:
		return &jsonschema.Schema{Type: "array", Items: w.of(t.Elem())}
	case reflect.Map:
		return &jsonschema.Schema{Type: "object", AdditionalProperties: w.of(t.Elem())}
	case reflect.Interface:
		return jsonschema.TrueSchema
	case reflect.Bool:
		return &jsonschema.Schema{Type: "boolean"}
	case reflect.String:
		return &jsonschema.Schema{Type: "string"}
	case reflect.Struct:
		return w.object(t)
	}
	w.err = fmt.Errorf("package spec has a field of type %s", t)
	return nil
}

func (w *writer) object(t reflect.Type) *jsonschema.Schema {
	if t == reflect.TypeFor[spec.Ignored]() {
		return jsonschema.TrueSchema
	}
	ref := &jsonschema.Schema{Ref: "#/$defs/" + t.Name()}
	if _, done := w.definitions[t.Name()]; done {
		return ref
	}
	s := &jsonschema.Schema{
		Type: "object", Description: w.comment(t, ""),
		Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema,
	}
	w.definitions[t.Name()] = s
	w.fields(s, t)
	return ref
}

// fields adds the fields of t, and of what is inlined in it.
func (w *writer) fields(s *jsonschema.Schema, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		only := f.Tag.Get("only")
		switch {
		case options == "inline":
			w.fields(s, f.Type)
		case name == "" || name == "-" || f.Tag.Get("refused") != "" || only != "" && only != w.kind:
		default:
			s.Properties.Set(name, w.field(t, f))
			if f.Tag.Get("required") != "" {
				s.Required = append(s.Required, name)
			}
		}
	}
}

func (w *writer) field(t reflect.Type, f reflect.StructField) *jsonschema.Schema {
	s := w.of(f.Type)
	comment := w.comment(t, f.Name)
	if s == jsonschema.TrueSchema && comment == "" {
		return s
	}
	one := uint64(1)
	if f.Tag.Get("required") != "" {
		switch s.Type {
		case "string":
			s.MinLength = &one
		case "array":
			s.MinItems = &one
		}
	}
	if words := f.Tag.Get("enum"); words != "" {
		for word := range strings.SplitSeq(words, ",") {
			s.Enum = append(s.Enum, word)
		}
	}
	s.Description = comment
	return s
}

// comment is that of a type or of one of its fields, on one line.
func (w *writer) comment(t reflect.Type, field string) string {
	key := t.PkgPath() + "." + t.Name()
	if field != "" {
		key += "." + field
	}
	return strings.Join(strings.Fields(w.comments[key]), " ")
}
