// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kubernetes

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// Values that somebody mistyped are refused before anything reaches a cluster,
// above all those that would quietly mean another mode, no policy or any image.
func TestValuesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		set  []string
		says string
	}{
		"no digest":                 {[]string{"--set", "image.digest="}, "digest"},
		"a tag":                     {[]string{"--set", "image.digest=v1.0.0"}, "digest"},
		"a tag in the name":         {[]string{"--set", "image.repository=registry.example/plomb/node:v1"}, "repository"},
		"a misspelt mode":           {[]string{"--set", "pools[0].mode=enforced"}, "mode"},
		"no mode":                   {[]string{"--set", "pools[0].mode=null"}, "mode"},
		"a misspelt field":          {[]string{"--set", "pools[0].moed=audit"}, "moed"},
		"a misspelt section":        {[]string{"--set", "updates.nodes=3"}, "updates"},
		"a misspelt self":           {[]string{"--set", "self.identities.issuer=https://x"}, "identities"},
		"an issuer alone":           {[]string{"--set", "self.identity.issuer=https://x"}, "subject"},
		"no pool":                   {[]string{"--set-json", "pools=[]"}, "pools"},
		"a pool twice":              {[]string{"--set-json", `pools=[{"name":"a","mode":"audit"},{"name":"a","mode":"enforce"}]`}, "twice"},
		"a policy that is not read": {[]string{"--set-json", `policy={"shop.yaml.disabled":"x"}`}, "shop.yaml.disabled"},
		"the chart's own policy":    {[]string{"--set-json", `policy={"plomb-self.yaml":"x"}`}, "plomb-self.yaml"},
		"every node at once":        {[]string{"--set", "update.nodes=100%"}, "nodes"},
		"no node at a time":         {[]string{"--set", "update.nodes=0"}, "nodes"},
		"metrics for everybody":     {[]string{"--set", "node.metrics=0.0.0.0:9469"}, "metrics"},
		"another environment":       {[]string{"--set", "environment.LD_PRELOAD=/x.so"}, "LD_PRELOAD"},
		"another policy folder":     {[]string{"--set", "environment.PLOMB_POLICY=/tmp"}, "PLOMB_POLICY"},
		"a way out of a folder":     {[]string{"--set", "hostPaths.programs=opt"}, "programs"},
		"a monitor of nothing":      {[]string{"--set", "monitor.enabled=true"}, "metrics.enabled"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := helm(ci("plain"), c.set...)
			require.Error(t, err)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// The schemas see what they are there to see.
func TestManifestsAreRefused(t *testing.T) {
	sound, err := helm(ci("fleet"))
	require.NoError(t, err)
	require.NoError(t, conform(t, sound))
	for name, c := range map[string]struct{ old, new string }{
		"a field of a container":      {"readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true"},
		"a field of a pod":            {"hostNetwork: true", "hostNetworks: true"},
		"a type":                      {"minReadySeconds: 900", "minReadySeconds: soon"},
		"a field of a monitor":        {"relabelings:", "relabelling:"},
		"a field of an alert":         {"expr: plomb_break_glass == 1", "expression: plomb_break_glass == 1"},
		"a field of an update":        {"maxUnavailable: 0", "maxUnavaillable: 0"},
		"a version that is not there": {"apiVersion: apps/v1", "apiVersion: apps/v1beta1"},
		"a field of a probe":          {"failureThreshold: 60", "failureTreshold: 60"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := bytes.Replace(sound, []byte(c.old), []byte(c.new), 1)
			require.NotEqual(t, sound, broken)
			require.Error(t, conform(t, broken))
		})
	}
}
