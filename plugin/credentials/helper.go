// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/docker/docker-credential-helpers/client"
	helper "github.com/docker/docker-credential-helpers/credentials"

	"github.com/plombproject/plomb/internal/limit"
)

// safePath is where a node looks for helpers, whatever PATH is: folders that
// root alone can write to.
var safePath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// maxRequest bounds what a helper is sent, in bytes.
const maxRequest = 1 << 16

// tokenUser is the user name with which a helper says that the secret is an
// identity token.
const tokenUser = "<token>"

var helperName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// helpers runs Docker's credential helpers, docker-credential-NAME.
// https://github.com/docker/docker-credential-helpers#development
type helpers struct {
	programs programs
	find     func(program string) (path string, err error)
}

// nodeHelpers are those in folders that root alone can write to.
func nodeHelpers(p programs) helpers {
	return helpers{programs: p, find: func(program string) (string, error) {
		for _, dir := range safePath {
			path := filepath.Join(dir, program)
			if checkProgram(path) == nil {
				return path, nil
			}
		}
		return "", fmt.Errorf("%w: %s is not in %v", ErrProgram, program, safePath)
	}}
}

// userHelpers are those in the user's own PATH, as with Docker.
func userHelpers(p programs) helpers {
	return helpers{programs: p, find: func(program string) (string, error) {
		path, err := exec.LookPath(program)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrProgram, err)
		}
		return path, nil
	}}
}

// get asks one helper about one server.
func (h helpers) get(ctx context.Context, name, server string) (secret, error) {
	if !helperName.MatchString(name) {
		return secret{}, fmt.Errorf("%w: %q is no name of a credential helper", ErrProgram, name)
	}
	path, err := h.find("docker-credential-" + name)
	if err != nil {
		return secret{}, err
	}
	call := &helperCall{ctx: ctx, programs: h.programs, path: path}
	got, err := client.Get(call.start, server)
	switch {
	case helper.IsErrCredentialsNotFound(err):
		return secret{}, nil
	case call.err != nil:
		return secret{}, call.err
	case err != nil:
		// The client's error can hold what the helper printed.
		return secret{}, fmt.Errorf("%w: %s: its answer is not understood", ErrProgram, path)
	case got.Username == tokenUser:
		return secret{"", got.Secret}, nil
	}
	return userSecret(got.Username, got.Secret), nil
}

// helperCall is the client's Program: one run, bounded.
type helperCall struct {
	ctx      context.Context
	programs programs
	path     string
	args     []string
	stdin    io.Reader
	err      error
}

func (c *helperCall) start(args ...string) client.Program {
	c.args = args
	return c
}

// Input implements client.Program.
func (c *helperCall) Input(in io.Reader) { c.stdin = in }

// Output implements client.Program.
func (c *helperCall) Output() ([]byte, error) {
	stdin, err := limit.ReadAll(c.stdin, maxRequest)
	if err != nil {
		c.err = errors.Join(ErrProgram, err)
		return nil, c.err
	}
	var out []byte
	out, c.err = c.programs.run(c.ctx, command{path: c.path, args: c.args, stdin: stdin})
	return out, c.err
}
