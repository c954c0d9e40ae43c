// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"encoding/json"
	"strings"
	"testing"

	provenancev1 "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/plombproject/plomb/frontend/attach"
	"github.com/plombproject/plomb/provenance"
)

// statementOf is what would be signed about the build.
func statementOf(t *testing.T, b *build, c *collection) []byte {
	require.NoError(t, b.resolveSources(t.Context()))
	p, err := b.provenance(c, "https://example.com/signer")
	require.NoError(t, err)
	statement, err := attach.Statement(c.images(), *p)
	require.NoError(t, err)
	return statement
}

// requireInToto demands that the in-toto library knows every field of a
// statement and of its predicate, and finds nothing missing.
func requireInToto(t *testing.T, data []byte) {
	var statement intoto.Statement
	require.NoError(t, protojson.Unmarshal(data, &statement))
	require.NoError(t, statement.Validate())
	s, err := provenance.ParseStatement(data)
	require.NoError(t, err)
	var predicate provenancev1.Provenance
	require.NoError(t, protojson.Unmarshal(s.Predicate, &predicate))
	require.NoError(t, predicate.Validate())
}

// marker stands for a secret: nothing of it may be published.
const marker = "s3cr3tm4rk3r"

// shapes are secrets as they come, whole or inside something else.
var shapes = map[string]string{
	"a URL's user":             "https://" + marker + "@example.com/repo.git#main",
	"a URL's password":         "https://user:" + marker + "@example.com/repo.git",
	"a password unescaped":     "https://user:1/#" + marker + "@example.com/repo.git",
	"without scheme":           "user:" + marker + "@proxy.example:3128",
	"percent-encoded":          "https://example.com/?to=https%3A%2F%2Fu%3A" + marker + "%40h.example",
	"a signed URL":             "https://s3.example/c.tar?X-Amz-Signature=" + marker,
	"a header":                 "Authorization: Basic " + marker,
	"a bearer":                 "bearer " + marker,
	"a setting":                "--password=" + marker,
	"in JSON":                  `{"api_key":"` + marker + `"}`,
	"a token":                  "gh" + "p_" + marker + strings.Repeat("x", 36),
	"the value of an argument": marker, // beside build-arg:NPM_TOKEN with the same value
	"it in an address":         "https://example.com/" + marker + "/x.tar",
}

// places are where a client can put something. % is the secret; a % in a name
// is one in a name.
var places = []string{
	"build-arg:VERSION=%", "build-arg:NPM_TOKEN=%", "build-arg:MINE=%", "build-arg:Authorization=%", "build-arg:HTTP_PROXY=%", "build-arg:no_proxy=%",
	"build-arg:%=x", "label:a=%", "label:%=x", "hostname=%", "cgroup-parent=%",
	"context:other=docker-image://%", "context:other=input:%", "context:other=local:%", "context:other=oci-layout://%", "context:other=%", "context:%=local:x", "context:plomb=%",
	"vcs:source=%", "vcs:revision=%", "vcs:ref=%", "vcs:localdir:context=%", "vcs:localdir:dockerfile=%",
	"cache-from=%",
}

// talkative is a Dockerfile with a secret in every instruction.
const talkative = `# %
ARG BASE=base
FROM ${BASE} AS one
ARG VERSION="%"
ARG NPM_TOKEN
ENV X="%"
LABEL y="%"
RUN --mount=type=secret,id=mine curl "%" $NPM_TOKEN
RUN --mount=type=cache,target=/c <<EOT
%
EOT
ADD https://example.com/$NPM_TOKEN/x.tar /x
COPY a x$NPM_TOKEN /b/
FROM one
CMD ["%"]
`

// wordy is a BuildKit whose worker says too much.
type wordy struct {
	*gateway
	text string
}

func (w wordy) BuildOpts() client.BuildOpts {
	opts := w.gateway.BuildOpts()
	opts.Workers[0].Labels = map[string]string{"proxy": w.text, w.text: "x"}
	return opts
}

// A secret is in no statement, wherever and however a client puts it there.
func TestNoStatementHoldsASecret(t *testing.T) {
	for shape, text := range shapes {
		// In a Dockerfile, the argument's value is a secret as well.
		file := strings.ReplaceAll(talkative, "%", strings.ReplaceAll(text, `"`, `\"`))
		for _, place := range places {
			t.Run(shape+" in "+place, func(t *testing.T) {
				g := newGateway(t, file, "build-arg:NPM_TOKEN="+marker)
				name, value, _ := strings.Cut(place, "=")
				g.opts[strings.ReplaceAll(name, "%", text)] = strings.ReplaceAll(value, "%", text)
				b, c := preparedOn(t, wordy{g, text})
				statement := statementOf(t, b, c)
				require.NotContains(t, string(statement), marker)
				requireInToto(t, statement)
				if place == "build-arg:VERSION=%" {
					require.Contains(t, string(statement), `"args.VERSION"`, "that something was left out is told")
				}
			})
		}
	}
}

// Every shape of a build makes a valid SLSA v1 statement.
func TestStatementsAreValid(t *testing.T) {
	for name, opts := range map[string][]string{
		"plain":       nil,
		"platforms":   {"platform=linux/amd64,linux/arm64"},
		"an epoch":    {"build-arg:SOURCE_DATE_EPOCH=1000000000"},
		"manifests":   {"build-arg:PLOMB_REPOSITORY=example.com/a/b", "build-arg:PLOMB_LAYERS=squash", "build-arg:PLOMB_SCRUB=off"},
		"options":     {"force-network-mode=host", "add-hosts=db=10.0.0.1", "shm-size=64000000", "ulimit=nofile=10:20", "label:a=<&>\u2028"},
		"git context": {"context=https://example.com/repo.git#main", "dockerfilekey=dockerfile", "vcs:revision=abc-dirty"},
	} {
		t.Run(name, func(t *testing.T) {
			b, c := prepared(t, newGateway(t, dockerfile, opts...))
			statement := statementOf(t, b, c)
			requireInToto(t, statement)
			var again json.RawMessage
			require.NoError(t, json.Unmarshal(statement, &again))
			same, err := json.Marshal(again)
			require.NoError(t, err)
			require.Equal(t, string(statement), string(same), "an encoder that goes over it once more leaves it alone")
		})
	}
}
