// SPDX-License-Identifier: Apache-2.0

//go:build integration

package private

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

// A node is the settings of one, without an agent.
type node struct {
	images
	t *testing.T
	// dir holds everything that plomb writes.
	dir   string
	hosts string
}

// newNode has the credentials that are given as the part of node.yaml below
// credentials:.
func newNode(t *testing.T, i images, credentials, hosts string) *node {
	t.Helper()
	n := &node{images: i, t: t, dir: t.TempDir(), hosts: hosts}
	text := "apiVersion: plombproject.github.io/node/v1\nmetrics: off\n"
	if credentials != "" {
		text += "credentials: {" + credentials + "}\n"
	}
	write(t, filepath.Join(n.dir, "node.yaml"), text)
	return n
}

func (n *node) env() []string {
	return []string{
		"PLOMB_POLICY=" + n.policy, "PLOMB_TRUSTED_ROOT=" + n.root, "PLOMB_HOSTS=" + n.hosts,
		"PLOMB_NODE_CONFIG=" + filepath.Join(n.dir, "node.yaml"), "PLOMB_STATE=" + filepath.Join(n.dir, "state"),
		"PLOMB_SOCKET=" + filepath.Join(n.dir, "absent.sock"), "PATH=" + os.Getenv("PATH"),
	}
}

// verify asks plomb-verifier as containerd does. It gives the reason, and fails
// the test if a secret is anywhere.
func (n *node) verify(host string, dgst digest.Digest) (reason string, exit int) {
	n.t.Helper()
	desc, err := json.Marshal(ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: dgst, Size: 1})
	require.NoError(n.t, err)
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(on.Bin, "plomb-verifier"),
		"-name", host+"/"+n.repository+":signed", "-digest", dgst.String(), "-stdin-media-type", ocispec.MediaTypeDescriptor)
	cmd.Stdin, cmd.Env = bytes.NewReader(desc), n.env()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	watched := watchProcesses(n.t)
	err = cmd.Run()
	watched()
	var failed *exec.ExitError
	require.True(n.t, err == nil || errors.As(err, &failed), err)
	nowhere(n.t, "standard output", stdout.Bytes())
	nowhere(n.t, "standard error", stderr.Bytes())
	nowhereIn(n.t, filepath.Join(n.dir, "state"))
	if failed != nil {
		exit = failed.ExitCode()
		// The decision has a code for people who count them.
		reason = "code " + codeOf(n.t, stderr.Bytes()) + ": "
	}
	return reason + stdout.String(), exit
}

// codeOf is the reason's code in the decision that was logged.
func codeOf(t *testing.T, log []byte) string {
	t.Helper()
	for line := range bytes.Lines(log) {
		var entry struct {
			Decision struct {
				Code string `json:"code"`
			} `json:"decision"`
		}
		if json.Unmarshal(line, &entry) == nil && entry.Decision.Code != "" {
			return entry.Decision.Code
		}
	}
	t.Logf("no code in %s", log)
	return ""
}

// admits checks what every kind of registry has to give: the signed image is
// admitted, the unsigned one is not.
func (n *node) admits(host string) {
	n.t.Helper()
	reason, exit := n.verify(host, n.signed)
	require.Zero(n.t, exit, reason)
	reason, exit = n.verify(host, n.unsigned)
	require.Equal(n.t, 1, exit, reason)
	require.Contains(n.t, reason, "signature")
	require.NotContains(n.t, reason, "code access")
}

// denied checks that neither image is admitted, and that the reason names the
// registry's refusal, and more.
func (n *node) denied(host string, more ...string) {
	n.t.Helper()
	for _, dgst := range []digest.Digest{n.signed, n.unsigned} {
		reason, exit := n.verify(host, dgst)
		require.Equal(n.t, 1, exit, reason)
		require.Contains(n.t, reason, "code access: ")
		for _, text := range more {
			require.Contains(n.t, reason, text)
		}
	}
}

// secrets are what nobody may see, in each form in which they travel.
func secrets() []string {
	var all []string
	for _, s := range []string{password, wrong} {
		all = append(all, s, base64.StdEncoding.EncodeToString([]byte(user+":"+s)))
	}
	return all
}

func nowhere(t *testing.T, where string, data []byte) {
	t.Helper()
	for _, s := range secrets() {
		require.False(t, bytes.Contains(data, []byte(s)), "a secret is in %s", where)
	}
}

func nowhereIn(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		nowhere(t, path, data)
		return err
	}))
}

// watchProcesses looks at all command lines until the function that it gives is
// called.
func watchProcesses(t *testing.T) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	found := make(chan string, 1)
	go func() {
		defer close(found)
		for ctx.Err() == nil {
			lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, path := range lines {
				line, _ := os.ReadFile(path)
				for _, s := range secrets() {
					if bytes.Contains(line, []byte(s)) {
						found <- strings.ReplaceAll(string(line), "\x00", " ")
						return
					}
				}
			}
		}
	}()
	return func() {
		cancel()
		require.Empty(t, <-found, "a secret is on a command line")
	}
}

// login is a config.json with a password for a host.
func login(t *testing.T, host, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + secret))
	write(t, path, fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, host, auth))
	return path
}
