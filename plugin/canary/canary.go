// SPDX-License-Identifier: Apache-2.0

// Package canary is what plomb node doctor and the verifier agree on: for a few
// minutes, images below a name that only this machine can serve are judged by
// one throwaway key and nothing else, so that the proof that enforcement is on
// depends on nobody's policy.
//
// It can make no other image pass: the name is fixed to a port of loopback and a
// folder there, the file that names the key is root's alone, and it is not
// opened for other names. It neither serves images nor asks containerd: see
// package doctor.
package canary

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/plombproject/plomb/internal/durable"
	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/policy"
)

const (
	// MaxAge is how long a canary may be believed.
	MaxAge = 5 * time.Minute

	// Folder is the repository prefix of canaries, on Host and some port.
	Folder = "/plomb-canary/"
	// Host is the only one that serves them.
	Host = "127.0.0.1"

	// PolicyName is the policy's in decisions and receipts.
	PolicyName = "plomb-canary"

	// maxFile bounds the file, in bytes: a prefix, a public key and two times.
	maxFile = 16 << 10
)

// ErrCanary reports a file that is there and cannot be believed.
var ErrCanary = errors.New("canary")

// A Canary is the agreement.
type Canary struct {
	// Prefix begins the names that it is about: 127.0.0.1:PORT/plomb-canary/.
	Prefix string `json:"prefix"`
	// Key is the public key, PEM, that signs what has to pass.
	Key string `json:"key"`
	// Since and Until bound the time in which it is believed.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
}

// Prefix is that of a registry at a port of loopback.
func Prefix(port int) string { return Host + ":" + strconv.Itoa(port) + Folder }

// Check refuses a canary that is about other names than loopback's, has no
// usable key, or lasts too long.
func (c Canary) Check() error {
	if !named(c.Prefix) || !strings.HasSuffix(c.Prefix, Folder) || strings.Count(c.Prefix, "/") != 2 {
		return fmt.Errorf("%w: prefix is %q, want %s:PORT%s", ErrCanary, c.Prefix, Host, Folder)
	}
	switch {
	case !c.Since.Before(c.Until):
		return fmt.Errorf("%w: it ends before it begins", ErrCanary)
	case c.Until.Sub(c.Since) > MaxAge:
		return fmt.Errorf("%w: it lasts %s, want at most %s", ErrCanary, c.Until.Sub(c.Since), MaxAge)
	}
	_, err := c.policy()
	return err
}

// named tells that a name could be a canary's: it says nothing about whether
// there is one.
func named(name string) bool {
	host, _, found := strings.Cut(name, "/")
	if !found || !strings.HasPrefix(name[len(host):], Folder) {
		return false
	}
	address, port, err := net.SplitHostPort(host)
	if err != nil || address != Host {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == port
}

// Write makes a canary known to the verifier. The folder must be there.
func Write(path string, c Canary) error {
	if err := c.Check(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("%w: %w", ErrCanary, err)
	}
	return nil
}

// Read returns the canary, or nil where there is none.
func Read(path string) (*Canary, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCanary, err)
	}
	if err := ownedAlone(info); err != nil {
		return nil, fmt.Errorf("%w: %s: %w: remove it", ErrCanary, path, err)
	}
	data, err := limit.ReadFile(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCanary, err)
	}
	c, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: remove it", path, err)
	}
	return c, nil
}

func parse(data []byte) (*Canary, error) {
	var c Canary
	if err := strictjson.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCanary, err)
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	return &c, nil
}

// ownedAlone demands a regular file that is this user's and that nobody else
// can write or read.
func ownedAlone(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("it is no regular file but %s", info.Mode().Type())
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("its mode is %#o", info.Mode().Perm())
	case !ok || int(stat.Uid) != os.Geteuid():
		return errors.New("it is not owned by the user that decides")
	}
	return nil
}

// Policy is what an image of that name is judged by, and true, if a canary is
// about it now. It replaces the node's policy for that one name. With an error,
// which only a name that could be a canary's has, the image must be refused.
func Policy(path, name string, now time.Time) (*policy.Set, bool, error) {
	if !named(name) {
		return nil, false, nil
	}
	c, err := Read(path)
	if err != nil {
		return nil, false, err
	}
	if c == nil || !strings.HasPrefix(name, c.Prefix) || now.Before(c.Since) || !now.Before(c.Until) {
		return nil, false, nil
	}
	set, err := c.policy()
	return set, err == nil, err
}

// policy is a ClusterImagePolicy (policy.sigstore.dev) of one key.
func (c Canary) policy() (*policy.Set, error) {
	document := map[string]any{
		"apiVersion": "policy.sigstore.dev/v1beta1",
		"kind":       "ClusterImagePolicy",
		"metadata":   map[string]any{"name": PolicyName},
		"spec": map[string]any{
			"mode":        "enforce",
			"images":      []any{map[string]any{"glob": c.Prefix + "**"}},
			"authorities": []any{map[string]any{"name": "throwaway", "key": map[string]any{"data": c.Key}}},
		},
	}
	data, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	set, err := policy.FromFiles("the canary", []policy.File{{Name: "canary.json", Data: data}})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCanary, err)
	}
	return set, nil
}
