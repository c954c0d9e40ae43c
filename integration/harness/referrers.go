// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/plombproject/plomb/integration/stand"
)

// readyLimit bounds the start of a program that only has to listen.
const readyLimit = 10 * time.Second

// Referrers starts hack/referrers, a registry with the referrers API, which
// the registry of s has not. It returns host:port and what stops it. dir has
// to be there and keeps what it prints.
func Referrers(s *stand.Stand, dir string) (address string, stop func(), err error) {
	ready := filepath.Join(dir, "referrers.ready")
	cmd := exec.Command(filepath.Join(s.Bin, "referrers"), "--ready-file", ready)
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("registry with the referrers API: %w: run hack/tools", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	stop = func() {
		_ = cmd.Process.Kill() // it keeps nothing
		<-ended
	}
	for deadline := time.Now().Add(readyLimit); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if data, err := os.ReadFile(ready); err == nil {
			return string(data), stop, nil
		}
		select {
		case <-ended:
			return "", nil, fmt.Errorf("registry with the referrers API ended at once: %s", printed.String())
		default:
		}
	}
	stop()
	return "", nil, errors.New("registry with the referrers API did not get ready: " + printed.String())
}
