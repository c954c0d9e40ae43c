// SPDX-License-Identifier: Apache-2.0

// Command systemd-run stands in for systemd's in a file system that a test made.
// It notes its arguments, a line each call, and what it sees of its privileges in
// /run/systemd/calls, does what plomb node snapshot leaves behind, and exits with
// the status in /run/systemd/status if that is there.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

func main() {
	line := strings.Join(os.Args[1:], " ")
	calls, err := os.OpenFile("/run/systemd/calls", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
	fmt.Fprintf(calls, "%s ignore-chroot=%s\n", line, os.Getenv("SYSTEMD_IGNORE_CHROOT"))
	_, command, _ := strings.Cut(line, " -- ")
	program, _, _ := strings.Cut(command, " ")
	if info, err := os.Stat(program); err != nil || info.Mode().Perm() != 0o755 {
		fmt.Fprintln(os.Stderr, program, "cannot be run on the host:", err)
		os.Exit(98)
	}
	if data, err := os.ReadFile("/run/systemd/status"); err == nil {
		status, _ := strconv.Atoi(strings.TrimSpace(string(data)))
		os.Exit(status)
	}
	if strings.HasSuffix(line, "plomb node snapshot") {
		if err := os.WriteFile("/var/lib/plomb/snapshot.json", []byte("{}"), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(97)
		}
	}
}
