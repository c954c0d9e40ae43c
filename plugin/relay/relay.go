// SPDX-License-Identifier: Apache-2.0

// Package relay carries one call of plomb-verifier to the agent and the answer
// back, over a Unix socket: the program that containerd starts for each pull is
// a messenger as long as an agent is there to be asked.
//
//	agent   → program  0x01, at once: somebody is there
//	program → agent    "PLOMB1\n", the number of arguments, each argument, standard input
//	agent   → program  the exit status, standard output
//
// Numbers and lengths are 32 bits, the highest byte first; the exit status is
// one byte. Everything has a bound that both ends know. The other end is
// package early.
//
// It understands neither arguments nor answers: package bindir does. What is
// wrong with a call ends its connection without an answer, and the program
// decides by itself; so does what is wrong with the agent.
package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// Magic begins a request. Another protocol gets another one.
	Magic = "PLOMB1\n"
	// Ack is what the agent sends as soon as it has accepted.
	Ack = 0x01

	// MaxArgs is how many arguments there are at most; containerd passes six.
	MaxArgs = 64
	// MaxArg bounds an argument, in bytes. Image names end far below.
	MaxArg = 64 << 10
	// MaxStdin bounds standard input, in bytes: package bindir's bound for a
	// descriptor, which it would refuse to exceed anyway.
	MaxStdin = 1 << 20
	// MaxStdout bounds the answer, in bytes: a reason, which has 300.
	MaxStdout = 4 << 10
	// MaxStatus is the highest exit status that means one thing to everybody:
	// 126 and up are a shell's, and 256 is 0.
	MaxStatus = 125
)

// ErrProtocol reports bytes that are no request, or an answer that cannot be
// passed on.
var ErrProtocol = errors.New("not spoken to as an agent")

// A Request is one call of the program.
type Request struct {
	// Args are its arguments, without its name.
	Args []string
	// Stdin is all of its standard input.
	Stdin []byte
}

// ReadRequest reads one, and nothing after it. It takes memory for what has
// arrived, not for what a length promises.
func ReadRequest(r io.Reader) (Request, error) {
	var req Request
	magic := make([]byte, len(Magic))
	if _, err := io.ReadFull(r, magic); err != nil {
		return req, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if string(magic) != Magic {
		return req, fmt.Errorf("%w: it begins with %q, want %q", ErrProtocol, magic, Magic)
	}
	n, err := readLength(r, MaxArgs, "number of arguments")
	if err != nil {
		return req, err
	}
	for range n {
		arg, err := readBytes(r, MaxArg, "argument")
		if err != nil {
			return req, err
		}
		req.Args = append(req.Args, string(arg))
	}
	req.Stdin, err = readBytes(r, MaxStdin, "standard input")
	return req, err
}

// AppendRequest appends a request as it is sent. ReadRequest refuses what is
// over a bound.
func AppendRequest(b []byte, req Request) []byte {
	b = append(b, Magic...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(req.Args)))
	for _, arg := range req.Args {
		b = binary.BigEndian.AppendUint32(b, uint32(len(arg)))
		b = append(b, arg...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(req.Stdin)))
	return append(b, req.Stdin...)
}

// appendReply appends an answer as it is sent.
func appendReply(b []byte, status int, stdout []byte) ([]byte, error) {
	if status < 0 || status > MaxStatus {
		return b, fmt.Errorf("%w: exit status %d, want 0 to %d", ErrProtocol, status, MaxStatus)
	}
	if len(stdout) > MaxStdout {
		return b, fmt.Errorf("%w: an answer of %d bytes, want at most %d", ErrProtocol, len(stdout), MaxStdout)
	}
	b = append(b, byte(status))
	b = binary.BigEndian.AppendUint32(b, uint32(len(stdout)))
	return append(b, stdout...), nil
}

func readLength(r io.Reader, most uint32, what string) (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, fmt.Errorf("%w: %s: %w", ErrProtocol, what, err)
	}
	n := binary.BigEndian.Uint32(b[:])
	if n > most {
		return 0, fmt.Errorf("%w: %s is %d, want at most %d", ErrProtocol, what, n, most)
	}
	return n, nil
}

func readBytes(r io.Reader, most uint32, what string) ([]byte, error) {
	n, err := readLength(r, most, "length of "+what)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && len(b) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrProtocol, what, err)
	}
	return b, nil
}
