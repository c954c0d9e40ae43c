// SPDX-License-Identifier: Apache-2.0

package strictjson_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/strictjson"
)

// FuzzUnmarshal holds what is accepted against a second decoder: one that
// keeps keys as they are written, takes the first of repeated ones, and leaves
// broken escapes alone. Both must have read the same.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{
		`{"_type":"t","count":3,"parts":[{"name":"a"}],"extra":{"a":"b"},"raw":[1],"inner":null,"version":1}`,
		`{"_type":"a","_TYPE":"b"}`, `{"_TYPE":"b"}`, `{"_type":"a","_type":"b"}`,
		`{"parts":[{"name":"a"},{"Name":"b"}]}`, `{"part\u017f":[{"name":"a"}]}`,
		`{"_type":"\ud800"}`, `{"extra":{"\ud800":"1","\udfff":"2"}}`,
		`null`, `[]`, `{}{}`, "{\"_type\":\"\xff\"}", strings.Repeat("[", 100),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var d document
		if err := strictjson.Unmarshal(data, &d); err != nil {
			require.ErrorIs(t, err, strictjson.ErrStrict)
			return
		}
		require.NoError(t, strictjson.Check(data))
		require.True(t, json.Valid(data))
		require.True(t, utf8.Valid(data))
		var open document
		require.NoError(t, strictjson.UnmarshalOpen(data, &open))
		require.Empty(t, cmp.Diff(d, open, cmp.AllowUnexported(document{}, embedded{})))

		var loose map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(data, &loose))
		again := rewrite(t, data, false)
		require.Equal(t, again, rewrite(t, data, true), "the first and the last of repeated keys differ")
		var reread document
		require.NoError(t, json.Unmarshal([]byte(again), &reread))
		require.Equal(t, d.Type, reread.Type)
		require.Empty(t, cmp.Diff(d.Extra, reread.Extra))
		require.Empty(t, cmp.Diff(d.Parts, reread.Parts))
		if d.Type != "" {
			require.Contains(t, loose, "_type")
		}
		if len(d.Parts) > 0 {
			require.Contains(t, loose, "parts")
		}
		if d.Version != 0 {
			require.Contains(t, loose, "version")
		}
	})
}

// rewrite encodes data anew; of keys that are equal it keeps the first or the
// last one.
func rewrite(t *testing.T, data []byte, first bool) string {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	out, err := json.Marshal(readValue(t, dec, first))
	require.NoError(t, err)
	return string(out)
}

func readValue(t *testing.T, dec *json.Decoder, first bool) any {
	tok, err := dec.Token()
	require.NoError(t, err)
	switch tok {
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			list = append(list, readValue(t, dec, first))
		}
		_, err = dec.Token()
		require.NoError(t, err)
		return list
	case json.Delim('{'):
		object := map[string]any{}
		for dec.More() {
			key, err := dec.Token()
			require.NoError(t, err)
			value := readValue(t, dec, first)
			if _, there := object[key.(string)]; !there || !first {
				object[key.(string)] = value
			}
		}
		_, err = dec.Token()
		require.NoError(t, err)
		return object
	}
	return tok
}
