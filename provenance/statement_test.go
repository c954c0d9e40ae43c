// SPDX-License-Identifier: Apache-2.0

package provenance_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
)

var zeros = strings.Repeat("0", 64)

func statement(subject string) string {
	return `{"_type":"https://in-toto.io/Statement/v1","subject":[` + subject + `],"predicateType":"https://slsa.dev/provenance/v1","predicate":{"a":1}}`
}

func TestParseStatement(t *testing.T) {
	s, err := provenance.ParseStatement([]byte(statement(
		`{"name":"image-id","digest":{"sha256":"` + zeros + `","sha512":"x"},"annotations":{"platform":"linux/amd64"}},{"name":"","digest":{"sha256":"` + zeros + `"}}`)))
	require.NoError(t, err)
	require.Equal(t, provenance.PredicateSLSA1, s.PredicateType)
	require.Len(t, s.Subject, 2)
	require.Equal(t, provenance.SubjectImageID, s.Subject[0].Name)
	require.Equal(t, "linux/amd64", s.Subject[0].Annotations[provenance.AnnotationPlatform])
	require.Equal(t, zeros, s.Subject[0].Digest["sha256"])
	require.JSONEq(t, `{"a":1}`, string(s.Predicate))
}

func TestParseStatementRefuses(t *testing.T) {
	good := statement(`{"name":"n","digest":{"sha256":"` + zeros + `"}}`)
	_, err := provenance.ParseStatement([]byte(good))
	require.NoError(t, err, "the text that the rows below spoil")
	replace := func(from, to string) string {
		require.Contains(t, good, from)
		return strings.Replace(good, from, to, 1)
	}
	for name, row := range map[string]struct{ text, says string }{
		"nothing":                {"", "EOF"},
		"null":                   {"null", "_type is"},
		"another type":           {replace("Statement/v1", "Statement/v0.1"), `want "https://in-toto.io/Statement/v1"`},
		"no type":                {replace(`"_type":"https://in-toto.io/Statement/v1",`, ""), `_type is ""`},
		"type in other case":     {replace(`"_type"`, `"_Type"`), "spelling"},
		"no predicate type":      {replace("https://slsa.dev/provenance/v1", ""), "predicateType is empty"},
		"no subject":             {statement(""), "no subject"},
		"subjects are null":      {replace(`[{"name":"n","digest":{"sha256":"`+zeros+`"}}]`, "null"), "no subject"},
		"subject without digest": {statement(`{"name":"n"}`), `subject 0 ("n")`},
		"only sha512":            {replace(`"sha256"`, `"sha512"`), "no valid sha256"},
		"short digest":           {replace(zeros, zeros[1:]), "no valid sha256"},
		"upper-case digest":      {replace(zeros, zeros[1:]+"A"), "no valid sha256"},
		"digest with a newline":  {replace(zeros, zeros+`\n`), "no valid sha256"},
		"digest with its name":   {replace(zeros, "sha256:"+zeros), "no valid sha256"},
		"second subject broken":  {statement(`{"name":"n","digest":{"sha256":"` + zeros + `"}},{"name":"m","digest":{}}`), `subject 1 ("m")`},
		"second digest of a name": {replace(`"sha256":"`+zeros+`"`, `"sha256":"`+zeros+`","sha256":"`+strings.Repeat("1", 64)+`"`),
			"repeated key"},
		"second subject list": {replace(`"predicateType"`, `"subject":[],"predicateType"`), "repeated key"},
		"unknown field":       {replace(`"predicateType"`, `"extra":1,"predicateType"`), "unknown field"},
		"two statements":      {good + good, "trailing data"},
		"invalid UTF-8":       {replace(`"n"`, "\"\xff\""), "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := provenance.ParseStatement([]byte(row.text))
			require.ErrorIs(t, err, provenance.ErrStatement)
			require.ErrorContains(t, err, row.says)
			require.Nil(t, s)
		})
	}
}

// FuzzParseStatement checks that whatever is accepted is what it promises to
// be, and stays the same when it is written and read again.
func FuzzParseStatement(f *testing.F) {
	f.Add([]byte(statement(`{"name":"image-id","digest":{"sha256":"` + zeros + `"},"annotations":{"platform":"linux/arm64/v8"}}`)))
	f.Add([]byte(statement(`{"name":"n","digest":{"sha256":"` + zeros + `"}},{"name":"m","digest":{"sha256":"` + zeros + `"}}`)))
	f.Add([]byte(statement(``)))
	f.Add([]byte(strings.ToUpper(statement(``))))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := provenance.ParseStatement(data)
		if err != nil {
			require.ErrorIs(t, err, provenance.ErrStatement)
			return
		}
		require.Equal(t, provenance.StatementType, s.Type)
		require.NotEmpty(t, s.Subject)
		for _, sub := range s.Subject {
			require.Regexp(t, `\A[0-9a-f]{64}\z`, sub.Digest["sha256"])
		}
		once, err := json.Marshal(s)
		require.NoError(t, err)
		back, err := provenance.ParseStatement(once)
		require.NoError(t, err)
		twice, err := json.Marshal(back)
		require.NoError(t, err)
		require.Equal(t, string(once), string(twice))
	})
}
