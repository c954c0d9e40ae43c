// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package provenance tests what signed images say of their builds, on real
// daemons: that all of it is there, that what is not known is told, and that
// no secret is.
package provenance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"

	slsav1 "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
	"github.com/plombproject/plomb/provenance/slsa"
)

// on is the stand of all tests in this package; base is its busybox image.
var (
	on   *stand.Stand
	base string
)

func TestMain(m *testing.M) {
	os.Exit(standtest.Main(m, func(shared *standtest.Shared) (err error) {
		if on, err = shared.Start(stand.Options{Only: []string{stand.Registry, stand.Sigstore, stand.Buildkitd}}); err != nil {
			return err
		}
		base, err = harness.Hack(context.Background(), on, "base", "busybox")
		return err
	}))
}

// build builds, signs and pushes an image named name, and returns what buildx
// printed. The last of args is the context.
func build(t *testing.T, name string, env []string, args ...string) (ref, log string) {
	t.Helper()
	ref = on.Registry + "/pr/" + name + ":v1"
	p := harness.Command{On: on, Env: env, Args: slices.Concat(harness.Push(ref), harness.Signed(t, on), args)}.Must(t)
	return ref, p.All
}

// signed is the statement of an image, which the in-toto library has found to
// be valid, and its predicate.
func signed(t *testing.T, ref string) (string, *slsa.Provenance) {
	t.Helper()
	b := dissect.Pull(t, ref).Bundle
	require.NotNil(t, b)
	requireInToto(t, b.Payload)
	var p slsa.Provenance
	decoder := json.NewDecoder(bytes.NewReader(b.Statement.Predicate))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&p))
	return string(b.Payload), &p
}

func requireInToto(t *testing.T, statement []byte) {
	t.Helper()
	var st intoto.Statement
	require.NoError(t, protojson.Unmarshal(statement, &st))
	require.NoError(t, st.Validate())
	predicate, err := protojson.Marshal(st.Predicate)
	require.NoError(t, err)
	var p slsav1.Provenance
	require.NoError(t, protojson.Unmarshal(predicate, &p))
	require.NoError(t, p.Validate())
}

// serve answers every path with a text that holds it.
func serve(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "file", r.URL.Path) }))
	t.Cleanup(server.Close)
	return server.URL
}
