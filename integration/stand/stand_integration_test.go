// SPDX-License-Identifier: Apache-2.0

//go:build integration

package stand_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

// binWithStubs is the built programs with a verifier that refuses everything
// in the place of ours, so that this test is about the stand alone.
func binWithStubs(t *testing.T) string {
	t.Helper()
	real, err := filepath.Abs("../../.build/bin")
	require.NoError(t, err)
	bin := t.TempDir()
	for _, name := range []string{"buildkitd", "buildctl", "buildx", "containerd", "containerd-shim-runc-v2", "ctr", "registry", "sigstore"} {
		require.FileExists(t, filepath.Join(real, name), "run hack/tools")
		require.NoError(t, os.Symlink(filepath.Join(real, name), filepath.Join(bin, name)))
	}
	for _, name := range []string{"plomb-verifier", "plomb-frontend"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(bin, name), "./testdata/refuse")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	return bin
}

// in runs a program as somebody would who has sourced the stand's env.
func in(t *testing.T, s *stand.Stand, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	script := `. "$1"; shift; exec "$@"`
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", script, "sh", s.EnvFile(), name}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func must(t *testing.T, s *stand.Stand, name string, args ...string) string {
	t.Helper()
	out, err := in(t, s, name, args...)
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return out
}

// requireAnswers asks each daemon the way its users do.
func requireAnswers(t *testing.T, s *stand.Stand) {
	t.Helper()
	require.NoError(t, s.Healthy(t.Context()))
	require.Contains(t, must(t, s, "buildctl", "debug", "workers"), "linux/amd64")
	require.Contains(t, must(t, s, "buildx", "inspect"), "running")
	require.Contains(t, must(t, s, "ctr", "version"), "Server:")

	c, err := cri.Dial(s.ContainerdAddress)
	require.NoError(t, err)
	defer c.Close()
	version, err := c.Version(t.Context())
	require.NoError(t, err)
	require.Contains(t, version, "containerd")

	for _, path := range []string{"/v2/", "/v2/plomb/frontend/manifests/dev"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Registry+path, nil)
		require.NoError(t, err)
		req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode, path)
	}
	require.FileExists(t, s.TrustedRoot())
}

// requireNothingLeft looks for the folder's name where a stand could have left
// something.
func requireNothingLeft(t *testing.T, dir string) {
	t.Helper()
	require.NoDirExists(t, dir)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), dir+"/")
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range commands {
		cmdline, err := os.ReadFile(file)
		if err != nil || file == fmt.Sprintf("/proc/%d/cmdline", os.Getpid()) {
			continue
		}
		require.NotContains(t, string(cmdline), dir+"/", file)
	}
}

func TestTwoStandsSideBySide(t *testing.T) {
	bin := binWithStubs(t)
	one := standtest.Start(t, stand.Options{Bin: bin})
	two := standtest.Start(t, stand.Options{Bin: bin, Snapshotter: "native"})
	require.NotEqual(t, one.Registry, two.Registry)
	requireAnswers(t, one)
	requireAnswers(t, two)
	require.Contains(t, must(t, two, "buildctl", "debug", "workers", "-v"), "native")

	again, err := stand.Start(t.Context(), stand.Options{Dir: one.Dir, Bin: bin})
	require.NoError(t, err)
	require.True(t, again.Reused)
	pid, _ := one.PID(stand.Containerd)
	samePid, _ := again.PID(stand.Containerd)
	require.Equal(t, pid, samePid)
	_, err = stand.Start(t.Context(), stand.Options{Dir: one.Dir, Bin: bin, Snapshotter: "native"})
	require.ErrorIs(t, err, stand.ErrDifferent)

	require.NoError(t, one.Remove(t.Context()))
	requireNothingLeft(t, one.Dir)
	requireAnswers(t, two)
	require.NoError(t, two.Remove(t.Context()))
	requireNothingLeft(t, two.Dir)
	require.NoError(t, stand.Down(t.Context(), two.Dir, false, nil), "a second stop finds nothing to do")
}

// buildBusybox builds from no base image and returns what was built.
func buildBusybox(t *testing.T, s *stand.Stand, output string, steps ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	busybox, err := os.ReadFile("/bin/busybox")
	require.NoError(t, err, "busybox-static is missing: run hack/tools")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "busybox"), busybox, 0o755))
	dockerfile := "FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/sleep\n" + strings.Join(steps, "\n")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644))
	return in(t, s, "buildx", "build", "--progress=plain", "--provenance=false", "--output", output, dir)
}

func TestContainerdAsksTheVerifier(t *testing.T) {
	s := standtest.Start(t, stand.Options{Bin: binWithStubs(t), SkipFrontend: true})
	ref := s.Registry + "/test/busybox:1"
	out, err := buildBusybox(t, s, "type=image,push=true,name="+ref)
	require.NoError(t, err, out)

	reason := fmt.Sprintf("policy %s root %s hosts %s", s.Policy, s.TrustedRoot(), s.Env()["PLOMB_HOSTS"])
	out, err = in(t, s, "ctr", "images", "pull", ref)
	require.Error(t, err, out)
	require.Contains(t, out, reason)

	c, err := cri.Dial(s.ContainerdAddress)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.PullImage(t.Context(), ref)
	require.Error(t, err)
	require.Contains(t, cri.Reason(err), reason)
	_, err = c.ImageStatus(t.Context(), ref)
	require.ErrorIs(t, err, cri.ErrNoImage)
	require.NoError(t, c.RemoveImage(t.Context(), ref))
}

// A container outlives containerd by design, and a killed buildkitd leaves its
// build containers; both have to be gone after a stop.
func TestStopFindsWhatOutlivesItsDaemon(t *testing.T) {
	s := standtest.Start(t, stand.Options{Bin: binWithStubs(t), SkipFrontend: true})
	tar := filepath.Join(t.TempDir(), "image.tar")
	out, err := buildBusybox(t, s, "type=oci,name=example.test/busybox:1,dest="+tar)
	require.NoError(t, err, out)
	must(t, s, "ctr", "images", "import", "--local", tar)
	must(t, s, "ctr", "run", "--detach", "example.test/busybox:1", "c1", "sleep", "86401")

	built := make(chan error, 1)
	go func() {
		_, err := buildBusybox(t, s, "type=cacheonly", "RUN sleep 86402")
		built <- err
	}()
	require.Eventually(t, func() bool { return runs("86401") && runs("86402") }, time.Minute, 10*time.Millisecond)

	require.NoError(t, s.KillDaemon(t.Context(), stand.Containerd))
	require.NoError(t, s.KillDaemon(t.Context(), stand.Buildkitd))
	require.Error(t, <-built)
	require.True(t, runs("86401"), "the container does not need containerd")
	require.Error(t, s.Healthy(t.Context()))

	require.NoError(t, s.Remove(t.Context()))
	require.False(t, runs("86401"))
	require.False(t, runs("86402"))
	requireNothingLeft(t, s.Dir)
	for _, pattern := range []string{"/sys/fs/cgroup/default/c1", "/sys/fs/cgroup/*/default/c1", "/run/containerd/runc/default/c1"} {
		left, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

func TestStopRemovesPodsAndTheirNetwork(t *testing.T) {
	s := standtest.Start(t, stand.Options{Bin: binWithStubs(t), SkipFrontend: true})
	tar := filepath.Join(t.TempDir(), "pause.tar")
	out, err := buildBusybox(t, s, "type=oci,name="+s.Registry+"/base/pause:stand,dest="+tar, `ENTRYPOINT ["sleep", "86403"]`)
	require.NoError(t, err, out)
	must(t, s, "ctr", "--namespace", "k8s.io", "images", "import", "--local", tar)

	c, err := cri.Dial(s.ContainerdAddress)
	require.NoError(t, err)
	defer c.Close()
	pod, err := c.RunPod(t.Context(), "p1")
	require.NoError(t, err)
	ip, err := c.PodIP(t.Context(), pod)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(ip, "10."), ip)
	require.True(t, runs("86403"))
	require.Contains(t, routes(t), ip)

	require.NoError(t, s.Remove(t.Context()))
	require.False(t, runs("86403"))
	require.Eventually(t, func() bool { return !strings.Contains(routes(t), ip) },
		10*time.Second, 10*time.Millisecond, "the kernel takes a dead network apart in the background")
	left, err := filepath.Glob("/var/lib/cni/results/*" + pod + "*")
	require.NoError(t, err)
	require.Empty(t, left)
	requireNothingLeft(t, s.Dir)
}

func routes(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("ip", "route").CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// runs reports whether some process has exactly these arguments: sleep N.
func runs(n string) bool {
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range commands {
		cmdline, _ := os.ReadFile(file)
		if strings.HasSuffix(string(cmdline), "sleep\x00"+n+"\x00") && !strings.Contains(string(cmdline), "ctr\x00") {
			return true
		}
	}
	return false
}

func TestHalfStandIsMadeWhole(t *testing.T) {
	bin := binWithStubs(t)
	s := standtest.Start(t, stand.Options{Bin: bin})
	ref := s.Registry + "/test/busybox:1"
	out, err := buildBusybox(t, s, "type=image,push=true,name="+ref)
	require.NoError(t, err, out)
	require.NoError(t, s.KillDaemon(t.Context(), stand.Registry))

	again, err := stand.Start(t.Context(), stand.Options{Dir: s.Dir, Bin: bin})
	require.NoError(t, err)
	require.False(t, again.Reused)
	require.Equal(t, s.Registry, again.Registry, "names of images contain the port")
	requireAnswers(t, again)
	must(t, again, "buildx", "imagetools", "inspect", ref)
}

func TestFailedStartLeavesNothingRunning(t *testing.T) {
	bin := binWithStubs(t)
	require.NoError(t, os.Remove(filepath.Join(bin, "sigstore")))
	failing := "#!/bin/sh\necho 'the reason is here' >&2\nexit 1\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "sigstore"), []byte(failing), 0o755))
	dir, err := os.MkdirTemp("/tmp", "plomb-stand-")
	require.NoError(t, err)
	var log strings.Builder
	_, err = stand.Start(t.Context(), stand.Options{Dir: dir, Bin: bin, Log: &log})
	require.ErrorIs(t, err, stand.ErrDaemon)
	require.ErrorContains(t, err, "sigstore")
	require.Contains(t, log.String(), "the reason is here")
	require.NoError(t, stand.Down(t.Context(), dir, false, nil))
	requireNothingLeft(t, dir)
}

func TestSecondBuildkitdBesideAStand(t *testing.T) {
	bin := binWithStubs(t)
	first := standtest.Start(t, stand.Options{Bin: bin})
	second := standtest.Start(t, stand.Options{
		Bin: bin, Snapshotter: "native", Only: []string{stand.Buildkitd}, Beside: first,
	})
	require.Equal(t, first.Registry, second.Registry)
	require.Equal(t, first.Frontend, second.Frontend)
	require.NotEqual(t, first.BuildkitHost, second.BuildkitHost)
	ref := first.Registry + "/test/native:1"
	out, err := buildBusybox(t, second, "type=image,push=true,name="+ref)
	require.NoError(t, err, out)
	must(t, first, "buildx", "imagetools", "inspect", ref)

	require.NoError(t, second.StopDaemon(t.Context(), stand.Buildkitd))
	require.Error(t, second.Healthy(t.Context()))
	require.NoError(t, second.StartDaemon(t.Context(), stand.Buildkitd))
	require.NoError(t, second.Healthy(t.Context()))
}
