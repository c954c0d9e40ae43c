// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
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

func namesOf(object map[string]any, known *names) error {
	for key, value := range object {
		t, exact := known.types[key]
		if !exact {
			if name, ok := known.folded[fold(key)]; ok {
				return fmt.Errorf("%w: key %q is field %q in another spelling", ErrStrict, key, name)
			}
		}
		if err := namesIn(value, t); err != nil {
			return err
		}
	}
	return nil
}

// names are those that a struct has in JSON.
type names struct {
	types  map[string]reflect.Type
	folded map[string]string // the name by what fold makes of it
}

// known has the names of the structs that were decoded into before: to find
// them anew for each object takes longer than all the rest. It is as large as
// the program has types.
var known sync.Map // by reflect.Type, *names

func fields(t reflect.Type) *names {
	if n, there := known.Load(t); there {
		return n.(*names)
	}
	n, _ := known.LoadOrStore(t, newNames(t))
	return n.(*names)
}

func newNames(t reflect.Type) *names {
	n := &names{types: map[string]reflect.Type{}, folded: map[string]string{}}
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if !f.IsExported() && !f.Anonymous || tag == "-" || f.Anonymous && name == "" {
			continue // what is embedded has its fields listed by themselves
		}
		if name == "" {
			name = f.Name
		}
		n.types[name], n.folded[fold(name)] = f.Type, name
	}
	return n
}
