// SPDX-License-Identifier: Apache-2.0

package cel

import (
	"fmt"
	"reflect"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// adapter turns what encoding/json makes into values of CEL, part by part as
// they are looked at.
var adapter = types.DefaultTypeAdapter

// A recordType is a type of an object with fields that are known when a rule is
// compiled, so that a typing error is found then. cel-go has types made by
// reflection; they would give a time that is not there as 1970.
type recordType struct {
	cel    *cel.Type
	fields map[string]field
}

type field struct {
	cel *cel.Type
	get func(any) ref.Val
}

func newRecordType(name string, fields map[string]field) *recordType {
	return &recordType{cel: cel.ObjectType(name), fields: fields}
}

// of is a field of a T; text is one that holds a string.
func of[T any](t *cel.Type, get func(*T) ref.Val) field {
	return field{cel: t, get: func(v any) ref.Val { return get(v.(*T)) }}
}

func text[T any](get func(*T) string) field {
	return of(cel.StringType, func(v *T) ref.Val { return types.String(get(v)) })
}

// A record is an object of a recordType: a pointer to a Go struct.
type record struct {
	kind *recordType
	of   any
}

func list[T any](kind *recordType, elements []T) ref.Val {
	values := make([]ref.Val, len(elements))
	for i := range elements {
		values[i] = &record{kind, &elements[i]}
	}
	return types.NewRefValList(adapter, values)
}

// Get, IsSet, Equal and the conversions make a record a value of CEL.
func (r *record) Get(name ref.Val) ref.Val {
	if f, ok := r.kind.fields[fmt.Sprint(name.Value())]; ok {
		return f.get(r.of)
	}
	return types.NewErr("no such field: %v", name.Value())
}

// IsSet reports whether a field has another value than its type's empty one.
func (r *record) IsSet(name ref.Val) ref.Val {
	f, ok := r.kind.fields[fmt.Sprint(name.Value())]
	if !ok {
		return types.NewErr("no such field: %v", name.Value())
	}
	return types.Bool(f.isSet(r.of))
}

func (f field) isSet(v any) bool {
	value := f.get(v)
	if zero, ok := value.(interface{ IsZeroValue() bool }); ok {
		return !zero.IsZeroValue()
	}
	return !types.IsError(value)
}

// ConvertToNative is for callers of cel-go; there are none.
func (r *record) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s cannot become %s", r.kind.cel, t)
}

// ConvertToType knows the type itself only.
func (r *record) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return r.kind.cel
	}
	return types.NewErr("%s cannot become %s", r.kind.cel, t.TypeName())
}

// Equal compares identity: records are not made for comparing.
func (r *record) Equal(other ref.Val) ref.Val {
	o, ok := other.(*record)
	return types.Bool(ok && o.kind == r.kind && o.of == r.of)
}

// Type is the type in CEL.
func (r *record) Type() ref.Type { return r.kind.cel }

// Value is the record itself.
func (r *record) Value() any { return r }

// provider tells the type checker of the records, beside CEL's own types.
// Nothing can be constructed.
type provider struct{ types.Provider }

func (provider) FindStructType(name string) (*types.Type, bool) {
	t, ok := recordTypes[name]
	if !ok {
		return nil, false
	}
	return types.NewTypeTypeWithParam(t.cel), true
}

func (provider) FindStructFieldNames(name string) ([]string, bool) {
	t, ok := recordTypes[name]
	if !ok {
		return nil, false
	}
	var names []string
	for f := range t.fields {
		names = append(names, f)
	}
	return names, true
}

func (provider) FindStructFieldType(name, fieldName string) (*types.FieldType, bool) {
	t, ok := recordTypes[name]
	if !ok {
		return nil, false
	}
	f, ok := t.fields[fieldName]
	if !ok {
		return nil, false
	}
	return &types.FieldType{
		Type: f.cel,
		IsSet: func(target any) bool {
			r, ok := target.(*record)
			return ok && r.kind == t && f.isSet(r.of)
		},
		GetFrom: func(target any) (any, error) {
			r, ok := target.(*record)
			if !ok || r.kind != t {
				return nil, fmt.Errorf("no such field: %s", fieldName)
			}
			value := f.get(r.of)
			if e, failed := value.(*types.Err); failed {
				return nil, e
			}
			return value, nil
		},
	}, true
}

func (provider) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("%s cannot be made", name)
}
