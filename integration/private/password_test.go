// SPDX-License-Identifier: Apache-2.0

//go:build integration

package private

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPasswords(t *testing.T) {
	i := push(t)
	host := withPasswords(t, "")
	newNode(t, i, "", "").denied(host)
	newNode(t, i, "static: "+login(t, host, password), "").admits(host)
	newNode(t, i, "dockerConfigs: ["+login(t, host, password)+"]", "").admits(host)
	newNode(t, i, "static: "+login(t, host, wrong), "").denied(host)
	// The path in the key is kubelet's; another path's is none.
	newNode(t, i, "dockerConfigs: ["+login(t, host+"/t", password)+"]", "").admits(host)
	newNode(t, i, "dockerConfigs: ["+login(t, host+"/other", password)+"]", "").denied(host)
	// Another host's password is not tried here.
	newNode(t, i, "static: "+login(t, on.Registry, password), "").denied(host)
	// The first that has one counts.
	both := fmt.Sprintf("dockerConfigs: [%s], static: %s", login(t, host, wrong), login(t, host, password))
	newNode(t, i, both, "").denied(host)

	exposed := login(t, host, password)
	require.NoError(t, os.Chmod(exposed, 0o644))
	newNode(t, i, "static: "+exposed, "").denied(host, "chmod 600")
	newNode(t, i, "static: /nonexistent.json", "").denied(host, "/nonexistent.json")
	// With a place that fails before it, the next one still counts.
	newNode(t, i, "dockerConfigs: [/nonexistent.json], static: "+login(t, host, password), "").admits(host)
	// A registry that is open to all needs none of it.
	newNode(t, i, "static: /nonexistent.json", "").admits(on.Registry)
}

func TestHeaderOfHostsToml(t *testing.T) {
	i := push(t)
	host := withPasswords(t, "")
	header := func(secret string) string {
		auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + secret))
		return hosts(t, map[string]string{host: fmt.Sprintf("[host.\"http://%s\"]\n  [host.\"http://%s\".header]\n    Authorization = [\"Basic %s\"]\n", host, host, auth)})
	}
	newNode(t, i, "", header(password)).admits(host)
	newNode(t, i, "", header(wrong)).denied(host)
}

// provider is a folder with the fake provider, and its configuration.
func provider(t *testing.T, match, answer string) (part string, asked func() string) {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "fake"), "./testdata/provider")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	write(t, filepath.Join(dir, "answer"), answer)
	log := filepath.Join(dir, "asked")
	write(t, filepath.Join(dir, "config.yaml"), fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: fake
  matchImages: [%q]
  defaultCacheDuration: 1m
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  env: [{name: FAKE_ANSWER, value: %q}, {name: FAKE_ASKED, value: %q}]
`, match, filepath.Join(dir, "answer"), log))
	return fmt.Sprintf("kubeletProviderConfig: %s, kubeletProviderDir: %s", filepath.Join(dir, "config.yaml"), bin),
		func() string { data, _ := os.ReadFile(log); return string(data) }
}

func answerFor(host, secret string) string {
	return fmt.Sprintf(`{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","auth":{%q:{"username":%q,"password":%q}}}`, host, user, secret)
}

func TestKubeletsProvider(t *testing.T) {
	i := push(t)
	host := withPasswords(t, "")
	right, asked := provider(t, host, answerFor(host, password))
	newNode(t, i, right, "").admits(host)
	require.Equal(t, strings.Repeat(host+"/"+i.repository+"\n", 2), asked())

	bad, _ := provider(t, host, answerFor(host, wrong))
	newNode(t, i, bad, "").denied(host)
	broken, _ := provider(t, host, "no JSON, and "+password)
	newNode(t, i, broken, "").denied(host, "provider fake")
	newNode(t, i, broken+", static: "+login(t, host, password), "").admits(host)
	// It is not asked about a host that it does not match, however the image
	// there is called.
	other, asked := provider(t, "registry.example", answerFor(host, password))
	newNode(t, i, other, "").denied(host)
	require.Empty(t, asked())
}
