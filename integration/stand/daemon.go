// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// ErrDaemon reports a daemon that did not start or does not answer; its log
// says why.
var ErrDaemon = errors.New("daemon")

// startLimit is how long a daemon may take until it answers. A busy machine
// with two cores needs a few seconds at worst.
const startLimit = 60 * time.Second

// daemon is one program of the stand.
type daemon struct {
	name    string
	program string
	args    []string
	env     []string
	// prepare writes the daemon's files when the stand starts. One that is
	// started again finds them as they were left: tests change them.
	prepare func() error
	// probe returns nil once the daemon answers as it should.
	probe func(context.Context) error
	// grace is how long it may take to end by itself.
	grace time.Duration
}

// startFirst is start with all the daemon's files written anew.
func (s *Stand) startFirst(ctx context.Context, d daemon) error {
	if err := d.prepare(); err != nil {
		return fmt.Errorf("%w %s: %w", ErrDaemon, d.name, err)
	}
	return s.start(ctx, d)
}

// start spawns the daemon and waits until it answers.
func (s *Stand) start(ctx context.Context, d daemon) error {
	began := time.Now()
	cmd := exec.Command(d.program, d.args...)
	cmd.Dir = s.layout.dir
	cmd.Env = append(s.daemonEnv(), d.env...)
	logStart := fileSize(s.layout.logFile(d.name))
	id, err := spawn(cmd, s.layout.logFile(d.name), s.layout.pidFile(d.name))
	if err == nil {
		err = s.await(ctx, d, id)
	}
	if err != nil {
		s.say("%s failed; the end of %s:\n%s", d.name, s.layout.logFile(d.name),
			tail(s.layout.logFile(d.name), logStart, 30))
		return fmt.Errorf("%w %s: %w (log: %s)", ErrDaemon, d.name, err, s.layout.logFile(d.name))
	}
	s.say("%s answers after %.2f s", d.name, time.Since(began).Seconds())
	return nil
}

func (s *Stand) await(ctx context.Context, d daemon, id identity) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := d.probe(ctx)
		if err == nil {
			// Somebody else on its address would answer too.
			if !id.alive() {
				return errors.New("another process answers in its place")
			}
			return nil
		}
		if !id.alive() {
			return errors.New("ended before it answered")
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// daemonEnv is small on purpose: a stand must not change with the shell it
// was started from. Proxies are the exception, since builds need them. The
// stand's own bin holds the wrapper of runc.
func (s *Stand) daemonEnv() []string {
	env := []string{
		"PATH=" + s.layout.path("bin") + ":" + s.Bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + s.layout.path("home"),
		"TMPDIR=" + s.layout.path("tmp"),
		"LANG=C.UTF-8",
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// probeHTTP wants a 200 from the URL.
func probeHTTP(url string) func(context.Context) error {
	// No proxy: the address is on this machine.
	client := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}, Timeout: 2 * time.Second}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, resp.Status)
		}
		return nil
	}
}

// run executes a helper program of the stand and returns its output; the
// error carries the end of what it said.
func (s *Stand) run(ctx context.Context, env []string, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = s.layout.dir
	cmd.Env = append(s.daemonEnv(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err() // says more than "signal: killed"
		}
		return nil, fmt.Errorf("%s: %w:\n%s", filepath.Base(program), err, lastLines(stderr.Bytes(), 20))
	}
	return stdout.Bytes(), nil
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// tail returns at most n last lines of what was written after offset.
func tail(path string, offset int64, n int) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if size := fileSize(path); size-offset > 64<<10 {
		offset = size - 64<<10
	}
	data, err := io.ReadAll(io.NewSectionReader(f, offset, 64<<10))
	if err != nil {
		return err.Error()
	}
	return lastLines(data, n)
}

func lastLines(data []byte, n int) string {
	lines := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return string(bytes.Join(lines, []byte("\n")))
}
