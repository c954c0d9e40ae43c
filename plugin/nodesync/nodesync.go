// SPDX-License-Identifier: Apache-2.0

// Package nodesync puts what a cluster delivers on a node: programs from an
// image, and policy, trusted root and node configuration from mounted
// ConfigMaps.
//
// What is delivered is checked as plomb policy check does before it replaces
// anything, and each file is replaced whole. Whatever goes wrong, what was in
// force stays in force: a ConfigMap that is missing, empty, broken or half
// mounted neither opens the node nor locks it.
//
// It installs nothing in containerd and starts no agent: that is package node,
// which it runs as a program of the host.
package nodesync

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/plombproject/plomb/internal/durable"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/trust"
)

var (
	// ErrRefused reports a delivery that may not replace what is there.
	ErrRefused = errors.New("the delivery is refused, what was there stays")
	// ErrHost reports a host that cannot be used.
	ErrHost = errors.New("the host")
)

// The folder that is delivered has these; what is not there is left alone on
// the host. Names with a dot in front are Kubernetes' own.
const (
	// PolicyFolder has the policy files.
	PolicyFolder = "policy"
	// TrustFile is the trusted_root.json.
	TrustFile = "trust/trusted_root.json"
	// NodeFile is the node.yaml.
	NodeFile = "node/node.yaml"
)

// PolicyName is the one file of the policy folder that is delivered. All other
// files there are the node's own.
const PolicyName = "kubernetes.yaml"

// NodeConfiguration is what a Change of node.yaml is. The agent reads that once,
// as the unit AgentUnit.
const (
	NodeConfiguration = "node configuration"
	AgentUnit         = "plomb-agent.service"
)

// A Sync is one delivery to one host.
type Sync struct {
	// From is the delivered folder. It is a root, so that it can be read after
	// the process has gone into the host's file system.
	From *os.Root
	// Settings say where the files belong.
	Settings settings.Settings
	// Strict also refuses policies that plomb policy check warns of.
	Strict bool
	// Now is the clock.
	Now func() time.Time
}

// A Change is one file that is to be written.
type Change struct {
	// Path is the file on the host, What it is, for people.
	Path, What string
	Data       []byte
}

// Pending are the changes that would be made, in their order: the trusted root
// before the policy that may rest on it. With an error nothing is to be changed.
func (s *Sync) Pending() ([]Change, error) {
	var changes []Change
	for _, read := range []func() (*Change, error){s.trust, s.policy, s.node} {
		c, err := read()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		if c == nil {
			continue
		}
		now, err := os.ReadFile(c.Path)
		if err == nil && bytes.Equal(now, c.Data) {
			continue
		}
		changes = append(changes, *c)
	}
	return changes, nil
}

// Once makes the changes that are pending and returns those that it made.
func (s *Sync) Once() ([]Change, error) {
	pending, err := s.Pending()
	if err != nil {
		return nil, err
	}
	for i, c := range pending {
		if err := os.MkdirAll(filepath.Dir(c.Path), 0o755); err != nil {
			return pending[:i], fmt.Errorf("%w: %w", ErrHost, err)
		}
		if err := durable.WriteFile(c.Path, c.Data, 0o644); err != nil {
			return pending[:i], fmt.Errorf("%w: %w", ErrHost, err)
		}
	}
	return pending, nil
}

// maxFile bounds a delivered file, in bytes. No ConfigMap is larger than 1 MiB.
const maxFile = 1 << 20

func (s *Sync) trust() (*Change, error) {
	data, err := s.file(TrustFile)
	if data == nil || err != nil {
		return nil, err
	}
	if _, err := trust.Parse(data); err != nil {
		return nil, fmt.Errorf("%s: %w", TrustFile, err)
	}
	path := s.Settings.TrustedRoot
	if path == "" {
		path = settings.DefaultTrustedRoot
	}
	return &Change{Path: path, What: "trusted root", Data: data}, nil
}

// node checks a configuration by reading it as the agent will: from a file.
func (s *Sync) node() (_ *Change, err error) {
	data, err := s.file(NodeFile)
	if data == nil || err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "plomb-sync-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, filepath.Base(NodeFile))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return nil, err
	}
	if _, err := settings.ReadNode(path); err != nil {
		return nil, err
	}
	return &Change{Path: s.Settings.Config, What: NodeConfiguration, Data: data}, nil
}

// file reads one delivered file; nil if it is not delivered.
func (s *Sync) file(name string) ([]byte, error) {
	data, err := s.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && len(bytes.TrimSpace(data)) == 0 {
		return nil, fmt.Errorf("%s is empty", name)
	}
	return data, err
}
