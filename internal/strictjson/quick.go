// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"bytes"
	"encoding/json"
	"reflect"
	"sync"
	"unicode/utf8"
)

// maxKeys is how many keys of one object are compared with each other in turn.
const maxKeys = 32

// harmless reports that Check and, for a v with these spellings, checkNames have
// nothing against data. It answers in one pass, and no wherever it would have to
// think: keys with escapes or beyond ASCII, large objects, great depth. The no is
// then up to Check and checkNames, which also know the reason; they take several
// times as long as encoding/json.
func harmless(data []byte, s spellings) bool {
	if !utf8.Valid(data) || !json.Valid(data) {
		return false
	}
	w := walk{data: data, spellings: s}
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			if len(w.open) == MaxDepth {
				return false
			}
			w.open = append(w.open, container{object: data[i] == '{', keys: len(w.keys)})
			w.atKey = data[i] == '{'
		case '}', ']':
			last := len(w.open) - 1
			w.keys = w.keys[:w.open[last].keys]
			w.open, w.atKey = w.open[:last], false
		case ',':
			w.atKey = w.open[len(w.open)-1].object
		case '"':
			end := closingQuote(data, i+1)
			if w.atKey && !w.key(data[i+1:end]) {
				return false
			}
			w.atKey, i = false, end
		}
	}
	return checkEscapes(data) == nil
}

// closingQuote finds the end of a string of valid JSON that begins at i.
func closingQuote(data []byte, i int) int {
	for ; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i
}

// walk is where harmless is in a valid document.
type walk struct {
	data      []byte
	spellings spellings
	open      []container
	// keys are those of all objects that are open, folded.
	keys [][]byte
	// atKey: the next string is a key.
	atKey bool
}

// A container is an object or an array that is open.
type container struct {
	object bool
	keys   int // how many of walk.keys belong to others
}

// key reports whether a key differs from all others of its object, and is the
// only spelling of a name that v has.
func (w *walk) key(key []byte) bool {
	mixed := false
	for _, c := range key {
		if c == '\\' || c >= utf8.RuneSelf {
			return false
		}
		mixed = mixed || 'A' <= c && c <= 'Z'
	}
	folded := key
	if mixed {
		folded = bytes.ToLower(key)
	}
	others := w.keys[w.open[len(w.open)-1].keys:]
	if len(others) == maxKeys {
		return false
	}
	for _, other := range others {
		if bytes.Equal(other, folded) {
			return false
		}
	}
	if name, known := w.spellings[string(folded)]; known && name != string(key) {
		return false
	}
	w.keys = append(w.keys, folded)
	return true
}

// spellings are the names of all structs that a type leads to, by what fold makes
// of them; empty where two are spelled differently.
type spellings map[string]string

// spelled has the spellings of the types that were decoded into before.
var spelled sync.Map // by reflect.Type, spellings

func spellingsOf(v any) spellings {
	t := reflect.TypeOf(v)
	if t == nil {
		return nil
	}
	if s, there := spelled.Load(t); there {
		return s.(spellings)
	}
	s := spellings{}
	s.add(t, map[reflect.Type]bool{})
	spelled.Store(t, s)
	return s
}

func (s spellings) add(t reflect.Type, seen map[reflect.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		s.add(t.Elem(), seen)
	case reflect.Struct:
		for name, of := range fields(t).types {
			folded := fold(name)
			if other, there := s[folded]; there && other != name {
				name = ""
			}
			s[folded] = name
			s.add(of, seen)
		}
	}
}
