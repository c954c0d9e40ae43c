// SPDX-License-Identifier: Apache-2.0

package strictjson_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/strictjson"
)

// document has a bit of everything that the project's own types are made of.
type document struct {
	Type  string            `json:"_type"`
	Count int               `json:"count,omitempty"`
	Parts []part            `json:"parts"`
	Extra map[string]string `json:"extra"`
	Raw   json.RawMessage   `json:"raw"`
	Inner *part             `json:"inner"`
	embedded
}

type embedded struct {
	Version int `json:"version"`
}

type part struct {
	Name string `json:"name"`
}

func TestCheckAcceptsOneValue(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `null`, `true`, `"text"`, `-1.5e3`, " {\n} \t",
		`{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}]}`,
		`{"":1," ":2}`,
		`"😀"`, `"\ud83d\ude00"`, `"\\ud800"`,
		`{"é":1,"è":2}`,
	} {
		require.NoError(t, strictjson.Check([]byte(text)), text)
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                      ``,
		"spaces only":                  ` `,
		"half an object":               `{"a":1`,
		"half an array":                `[1,`,
		"comma at the end":             `[1,]`,
		"comma at the end of object":   `{"a":1,}`,
		"no comma":                     `[1 2]`,
		"no quotes":                    `{a:1}`,
		"single quotes":                `{'a':1}`,
		"comment":                      `{/**/}`,
		"not a number":                 `NaN`,
		"leading zero":                 `01`,
		"a second value":               `{}{}`,
		"a second value after space":   "{} \n 1",
		"a stray bracket":              `{}]`,
		"a zero byte behind":           "{}\x00",
		"a byte order mark":            "\ufeff{}",
		"repeated key":                 `{"a":1,"a":2}`,
		"repeated key, same value":     `{"a":1,"a":1}`,
		"repeated key, escaped":        `{"a":1,"\u0061":2}`,
		"repeated key, far below":      `[{"x":[{"a":1,"b":2,"a":3}]}]`,
		"keys that differ in case":     `{"subject":1,"Subject":2}`,
		"keys with the Kelvin sign":    `{"k":1,"\u212a":2}`,
		"keys with the long s":         `{"s":1,"\u017f":2}`,
		"keys that are both broken":    `{"\ud800":1,"\udfff":2}`,
		"half a surrogate pair":        `"\ud800"`,
		"half a surrogate pair in key": `{"\udc00":1}`,
		"a pair the wrong way round":   `"\ude00\ud83d"`,
		"half a pair before an escape": `"\ud83d\n"`,
		"invalid UTF-8":                "\"\xff\"",
		"invalid UTF-8 in a key":       "{\"\xc3\x28\":1}",
		"a surrogate in UTF-8":         "\"\xed\xa0\x80\"",
		"a raw control character":      "\"\n\"",
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, strictjson.Check([]byte(text)), strictjson.ErrStrict)
			var v any
			require.ErrorIs(t, strictjson.Unmarshal([]byte(text), &v), strictjson.ErrStrict)
			require.ErrorIs(t, strictjson.UnmarshalOpen([]byte(text), &v), strictjson.ErrStrict)
		})
	}
}

func TestCheckBoundsDepth(t *testing.T) {
	nest := func(n int, open, shut string) []byte {
		return []byte(strings.Repeat(open, n) + "1" + strings.Repeat(shut, n))
	}
	require.NoError(t, strictjson.Check(nest(strictjson.MaxDepth, "[", "]")))
	require.NoError(t, strictjson.Check(nest(strictjson.MaxDepth, `{"a":`, "}")))
	for _, n := range []int{strictjson.MaxDepth + 1, 1 << 20} {
		require.ErrorIs(t, strictjson.Check(nest(n, "[", "]")), strictjson.ErrStrict)
		require.ErrorIs(t, strictjson.Check(nest(n, `{"a":`, "}")), strictjson.ErrStrict)
	}
}

// encoding/json takes any spelling of a field's name, by simple folding of
// every rune. Whatever it takes for the same name must be a repeated key.
func TestCheckFoldsAsEncodingJSONDoes(t *testing.T) {
	for r := rune(1); r <= unicode.MaxRune; r++ {
		other := unicode.SimpleFold(r)
		if other == r || r >= 0xd800 && r < 0xe000 {
			continue
		}
		a, err := json.Marshal(string(r))
		require.NoError(t, err)
		b, err := json.Marshal(string(other))
		require.NoError(t, err)
		text := `{` + string(a) + `:1,` + string(b) + `:2}`
		require.ErrorIs(t, strictjson.Check([]byte(text)), strictjson.ErrStrict, "%U and %U", r, other)
	}
}

func TestUnmarshal(t *testing.T) {
	var d document
	require.NoError(t, strictjson.Unmarshal([]byte(
		`{"_type":"t","count":3,"parts":[{"name":"a"}],"extra":{"ANY":"Key","name":"x"},"raw":{"Free":[{"_TYPE":1}]},"inner":{"name":"b"},"version":2}`), &d))
	require.Equal(t, "t", d.Type)
	require.Equal(t, []part{{Name: "a"}}, d.Parts)
	require.Equal(t, map[string]string{"ANY": "Key", "name": "x"}, d.Extra)
	require.Equal(t, 2, d.Version)
	require.JSONEq(t, `{"Free":[{"_TYPE":1}]}`, string(d.Raw))
}

func TestUnmarshalRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"unknown field":            `{"nobody":1}`,
		"unknown field below":      `{"parts":[{"name":"a","nobody":1}]}`,
		"another kind of value":    `{"count":"3"}`,
		"number out of range":      `{"count":1e400}`,
		"name in other case":       `{"_TYPE":"t"}`,
		"name in other case below": `{"parts":[{"Name":"a"}]}`,
		"behind a pointer":         `{"inner":{"NAME":"a"}}`,
		"of an embedded field":     `{"Version":1}`,
		"with the long s":          `{"part\u017f":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			var d document
			require.ErrorIs(t, strictjson.Unmarshal([]byte(text), &d), strictjson.ErrStrict)
		})
	}
}

func TestUnmarshalOpenLetsUnknownFieldsPass(t *testing.T) {
	var d document
	require.NoError(t, strictjson.UnmarshalOpen([]byte(`{"_type":"t","nobody":{"x":1},"parts":[{"name":"a","new":1}]}`), &d))
	require.Equal(t, "t", d.Type)
	require.Equal(t, []part{{Name: "a"}}, d.Parts)

	// It is as strict as Unmarshal about what could be read in two ways.
	for _, text := range []string{`{"_TYPE":"t"}`, `{"parts":[{"NAME":"a"}]}`, `{"nobody":1,"nobody":2}`} {
		require.ErrorIs(t, strictjson.UnmarshalOpen([]byte(text), &d), strictjson.ErrStrict, text)
	}
}

func TestErrorsTellWhere(t *testing.T) {
	err := strictjson.Check([]byte(`{"a":1,"a":2}`))
	require.ErrorContains(t, err, `repeated key "a" at byte 10`)
	err = strictjson.Check([]byte(`{} x`))
	require.ErrorContains(t, err, "trailing data")
}
