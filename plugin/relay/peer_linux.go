// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// ErrPeer reports a caller that may not ask.
var ErrPeer = errors.New("caller is neither root nor the agent's user")

// CheckPeer demands that the process at the other end is root's or this user's.
func CheckPeer(conn net.Conn) error {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return fmt.Errorf("%w: %T has no file", ErrPeer, conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var cred *syscall.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if credErr != nil {
		return fmt.Errorf("%w: %w", ErrPeer, credErr)
	}
	return mayAsk(cred.Uid)
}

func mayAsk(uid uint32) error {
	if uid != 0 && int(uid) != os.Geteuid() {
		return fmt.Errorf("%w: it is user %d", ErrPeer, uid)
	}
	return nil
}

// passes tells that accepting failed for a moment.
func passes(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) ||
		errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ECONNABORTED)
}
