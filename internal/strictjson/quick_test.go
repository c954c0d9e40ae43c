// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree has names that differ in case only between types, and one that repeats
// itself.
type tree struct {
	Type     string `json:"_type"`
	Name     string `json:"name"`
	Plain    int
	Children []tree          `json:"children"`
	Other    *leaf           `json:"other"`
	By       map[string]leaf `json:"by"`
	Raw      json.RawMessage `json:"raw"`
	Any      any             `json:"any"`
}

type leaf struct {
	NAME string `json:"NAME"`
	Size int    `json:"ſize"`
	base
}

type base struct {
	ID string `json:"id"`
}

func slowly(data []byte, v any) error {
	if err := checkSlowly(data); err != nil {
		return err
	}
	return checkNames(data, v)
}

func TestHarmless(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(`,"` + strings.Repeat("k", i+1) + `":{"n":1}`)
		}
		return "{" + b.String()[1:] + "}"
	}
	for document, want := range map[string]bool{
		`{"_type":"t","children":[{"_type":"u","children":[]}],"raw":{"x":[1,{"y":2}]}}`: true,
		` { "a" : "b,\"c\":{" , "d" : [ "e" , "e" ] } `:                                  true,
		`{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}`:                                      true,
		`null`: true, `"x"`: true, `-1e5`: true, deep(MaxDepth): true, many(maxKeys): true,
		`{"Plain":1}`: true, `{"id":"x"}`: true,

		`{"a":1,"a":2}`: false, `{"a":1,"A":2}`: false, `{"b":[{"a":1,"x":{},"a":2}]}`: false,
		`{"plain":1}`: false, `{"ID":"x"}`: false, `{"other":{"name":1}}`: false, `{"NAME":1}`: false, `{"size":1}`: false,
		`{"\u0061":1}`: false, `{"ſ":1}`: false, `{"a":"\ud800"}`: false, `{"a":"` + "\xff" + `"}`: false,
		`{}{}`: false, `{"a":1,}`: false, ``: false, deep(MaxDepth + 1): false, many(maxKeys + 1): false,
	} {
		require.Equal(t, want, harmless([]byte(document), spellingsOf(&tree{})), document)
		if want {
			require.NoError(t, slowly([]byte(document), &tree{}), document)
		}
	}
	require.True(t, harmless([]byte(`{"other":{"name":1}}`), nil), "no names, no other spelling")
}

// FuzzHarmless: what passes quickly would have passed the checks that take long.
func FuzzHarmless(f *testing.F) {
	for _, seed := range []string{
		`{"_type":"t","name":"n","Plain":1,"children":[{"name":"a","name":"b"}],"other":{"NAME":"x","ſize":1,"id":"i"},"by":{"k":{"id":"1"},"K":{}}}`,
		`{"by":{"a":{"ID":1}}}`, `{"any":{"NAME":1}}`, `{"size":1,"\u0073ize":2}`, `{"a":"\\","a\"":"\ud834\udd1e"}`,
		"{\"a\":\"\\u\"}", "[[[[[[[[[]]]]]]]]]", `{"a":{"b":[{"c":1,"C":2}]}}`, " \t\r\n1", `{"":0,"":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []any{&tree{}, &leaf{}, &[]tree{}, &map[string]leaf{}, nil} {
			if harmless(data, spellingsOf(v)) {
				require.NoError(t, slowly(data, v))
			}
		}
	})
}
