// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below Linux' default range for outgoing connections
// (32768 and up, ip(7)), so that no connection sits on one between the moment
// it is chosen and the moment the daemon listens.
const (
	firstPort = 20000
	lastPort  = 32700
)

// freePorts returns n loopback addresses nobody listens on.
func freePorts(n int) ([]string, error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	var addrs []string
	for try := 0; len(addrs) < n; try++ {
		if try > 1000 {
			return nil, fmt.Errorf("no free port between %d and %d on 127.0.0.1", firstPort, lastPort)
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		addr := joinPort(port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		held = append(held, l)
		addrs = append(addrs, addr)
	}
	return addrs, nil
}

// isFree reports whether a daemon could listen there now.
func isFree(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	l.Close()
	return true
}

func joinPort(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
