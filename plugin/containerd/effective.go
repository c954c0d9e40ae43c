// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"context"
	"errors"
)

// A Daemon is a running containerd.
type Daemon struct {
	// Program is its executable and Config its main configuration.
	Program, Config string
	// PID is the process.
	PID int
}

// Running finds the containerd that listens on a socket.
func Running(ctx context.Context, address string) (Daemon, error) {
	return Daemon{}, errors.New("not implemented")
}

// Effective is the configuration that the containerd on address runs with after
// its next restart, as TOML: what `containerd --config X config dump` prints.
// program and configPath are those of the running one if empty.
func Effective(ctx context.Context, address, program, configPath string) ([]byte, error) {
	return nil, errors.New("not implemented")
}
