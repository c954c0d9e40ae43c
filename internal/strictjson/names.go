// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// checkNames refuses a key that encoding/json takes for a field of v although
// it is spelled in another case: other decoders would not.
func checkNames(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var doc any
	if err := dec.Decode(&doc); err != nil {
		return fmt.Errorf("%w: %w", ErrStrict, err)
	}
	return namesIn(doc, reflect.TypeOf(v))
}

// namesIn follows doc along t as far as t has fields of its own to say.
func namesIn(doc any, t reflect.Type) error {
	if t == nil || t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return namesIn(doc, t.Elem())
	case reflect.Slice, reflect.Array:
		list, _ := doc.([]any)
		for _, item := range list {
			if err := namesIn(item, t.Elem()); err != nil {
				return err
			}
		}
	case reflect.Map:
		object, _ := doc.(map[string]any)
		for _, item := range object {
			if err := namesIn(item, t.Elem()); err != nil {
				return err
			}
		}
	case reflect.Struct:
		object, _ := doc.(map[string]any)
		return namesOf(object, fields(t))
	}
	return nil
}

func namesOf(object map[string]any, known map[string]reflect.Type) error {
	folded := make(map[string]string, len(known))
	for name := range known {
		folded[fold(name)] = name
	}
	for key, value := range object {
		t, exact := known[key]
		if name, ok := folded[fold(key)]; ok && !exact {
			return fmt.Errorf("%w: key %q is field %q in another spelling", ErrStrict, key, name)
		}
		if err := namesIn(value, t); err != nil {
			return err
		}
	}
	return nil
}

// fields maps the names that a struct has in JSON to their types.
func fields(t reflect.Type) map[string]reflect.Type {
	known := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if !f.IsExported() && !f.Anonymous || tag == "-" || f.Anonymous && name == "" {
			continue // what is embedded has its fields listed by themselves
		}
		if name == "" {
			name = f.Name
		}
		known[name] = f.Type
	}
	return known
}
