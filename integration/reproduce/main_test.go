// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package reproduce tests plomb reproduce on real daemons: signed images are
// built again, from folders and from Git, and attackers try what they can.
package reproduce

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/reproduce"
)

// on is the stand of all tests in this package; base is its busybox image.
var (
	on   *stand.Stand
	base string
)

func TestMain(m *testing.M) {
	os.Exit(standtest.Main(m, func(shared *standtest.Shared) (err error) {
		if on, err = shared.Start(stand.Options{}); err != nil {
			return err
		}
		base, err = harness.Hack(context.Background(), on, "base", "busybox")
		return err
	}))
}

// sources writes a build context. ${BASE} in a Dockerfile is the base image.
func sources(t *testing.T, dockerfile string, files map[string]string) string {
	t.Helper()
	dir := harness.Folder(t, files)
	harness.Write(t, dir, "Dockerfile", "# syntax="+on.Frontend+"\n"+strings.ReplaceAll(dockerfile, "${BASE}", base))
	return dir
}

// signed builds, signs and pushes an image, and returns its reference.
func signed(t *testing.T, context string, args ...string) string {
	t.Helper()
	return exported(t, nil, context, args...)
}

// exported is signed with attributes of the exporter.
func exported(t *testing.T, attributes []string, context string, args ...string) string {
	t.Helper()
	ref := on.Registry + "/re/" + harness.Name(t) + ":v1"
	harness.Command{On: on, Args: slices.Concat(harness.Push(ref, attributes...), harness.Signed(t, on), args, []string{context})}.Must(t)
	return ref
}

// An outcome is what plomb reproduce said.
type outcome struct {
	status int
	report reproduce.Report
	log    string
}

// again runs plomb reproduce.
func again(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	p := harness.Command{On: on, Name: "plomb", Env: env, Args: append([]string{"reproduce", "--output", "json"}, args...)}.Run(t)
	o := outcome{status: p.Status, log: p.All}
	require.NoError(t, json.Unmarshal([]byte(p.Out), &o.report), p.All)
	require.Equal(t, reproduce.Schema, o.report.Schema)
	return o
}

func (o outcome) identical(t *testing.T) {
	t.Helper()
	require.Equal(t, reproduce.Identical, o.report.Verdict, o.log)
	require.Equal(t, 0, o.status)
	require.True(t, o.report.SameManifest, o.log)
	require.True(t, o.report.Verified)
}

// undecided demands that nothing was built.
func (o outcome) undecided(t *testing.T, says ...string) {
	t.Helper()
	require.Equal(t, reproduce.Undecided, o.report.Verdict, o.log)
	require.Equal(t, 2, o.status)
	for _, s := range says {
		require.Contains(t, o.report.Reason, s)
	}
	require.NotContains(t, o.log, "building it again")
}

// statement is the signed one of an image, and its raw bytes.
func statement(t *testing.T, ref string) (*slsa.Provenance, string) {
	t.Helper()
	b := dissect.Pull(t, ref).Bundle
	require.NotNil(t, b)
	return b.Provenance(t), string(b.Payload)
}
