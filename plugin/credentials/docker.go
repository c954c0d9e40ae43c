// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
)

// ErrExposed reports a file with secrets that others can read.
var ErrExposed = errors.New("file can be read by others")

// NewDocker is the chain of somebody at a terminal: what docker login stored
// below the folder DOCKER_CONFIG, or else ~/.docker, with the helpers found in
// their own PATH.
func NewDocker(getenv func(string) string) *Chain {
	chain := &Chain{Lent: NewLent()}
	dir := getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return chain
		}
		dir = filepath.Join(home, ".docker")
	}
	helpers := userHelpers(programs{timeout: DefaultTimeout})
	chain.sources = []source{&dockerFile{path: filepath.Join(dir, "config.json"), helpers: helpers, optional: true}}
	return chain
}

// dockerConfig is the part of a config.json that is about credentials.
// https://docs.docker.com/reference/cli/docker/login/#credential-stores
type dockerConfig struct {
	Auths       map[string]dockerAuth `json:"auths"`
	CredHelpers map[string]string     `json:"credHelpers"`
	CredsStore  string                `json:"credsStore"`
}

type dockerAuth struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
}

// A dockerFile is one config.json of Docker or kubelet.
type dockerFile struct {
	path    string
	helpers helpers
	// private refuses the file if others than root and its owner can read it.
	private bool
	// optional: whoever has no file has no credentials.
	optional bool
}

// lookup asks as Docker does, the helper for the host before the store, and
// then, as kubelet does, the entries by their longest match.
func (f *dockerFile) lookup(ctx context.Context, t target) (secret, error) {
	config, err := f.read()
	if err != nil {
		return secret{}, fmt.Errorf("%w: %w", ErrSource, err)
	}
	found, fault := config.ask(ctx, f.helpers, t)
	if !found.empty() {
		return found, nil
	}
	keys, err := config.keyring()
	if found := keys.find(t); !found.empty() {
		return found, nil
	}
	if fault = errors.Join(fault, err); fault != nil {
		fault = fmt.Errorf("%w: %s: %w", ErrSource, f.path, fault)
	}
	return secret{}, fault
}

func (f *dockerFile) read() (dockerConfig, error) {
	if f.private {
		if err := checkPrivate(f.path); err != nil {
			return dockerConfig{}, err
		}
	}
	data, err := limit.ReadFile(f.path, maxConfig)
	if f.optional && errors.Is(err, fs.ErrNotExist) {
		return dockerConfig{}, nil
	}
	if err != nil {
		return dockerConfig{}, err
	}
	config, err := parseDocker(data)
	if err != nil {
		return dockerConfig{}, fmt.Errorf("%s: %w", f.path, err)
	}
	return config, nil
}

// errDocker has no details: they could quote a secret.
var errDocker = errors.New(`not JSON of the form {"auths": {HOST: {"auth": base64 of USER:PASSWORD}}}`)

func parseDocker(data []byte) (dockerConfig, error) {
	var c dockerConfig
	if err := strictjson.UnmarshalOpen(data, &c); err != nil {
		return dockerConfig{}, errDocker
	}
	return c, nil
}

// ask asks the helper that is configured for the host.
func (c dockerConfig) ask(ctx context.Context, h helpers, t target) (secret, error) {
	names := []string{t.host, "https://" + t.host}
	if t.host == hub {
		// docker login stores the password of Docker's registry under this name.
		names = []string{"https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io", hub}
	}
	for _, name := range names {
		if helper := c.CredHelpers[name]; helper != "" {
			return h.get(ctx, helper, name)
		}
	}
	if c.CredsStore == "" {
		return secret{}, nil
	}
	return h.get(ctx, c.CredsStore, names[0])
}

// keyring is the entries that hold a secret. One that cannot be understood does
// not hide the others.
func (c dockerConfig) keyring() (keyring, error) {
	keys := keyring{}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(c.Auths)) {
		key, auth := keyOf(name), c.Auths[name]
		if key == "" {
			continue
		}
		s, err := auth.secret()
		if err != nil {
			faults = append(faults, fmt.Errorf("auths[%q]: %w", name, err))
			continue
		}
		// Two names for one key: the one that holds something.
		if keys[key].empty() {
			keys[key] = s
		}
	}
	return keys, errors.Join(faults...)
}

var errAuth = errors.New("auth is not base64 of USER:PASSWORD")

func (a dockerAuth) secret() (secret, error) {
	if a.IdentityToken != "" {
		return secret{"", a.IdentityToken}, nil
	}
	if a.Auth == "" {
		return userSecret(a.Username, a.Password), nil
	}
	// kubelet reads both with and without padding.
	plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(a.Auth), "="))
	if err != nil {
		return secret{}, errAuth
	}
	user, password, ok := strings.Cut(string(plain), ":")
	if !ok {
		return secret{}, errAuth
	}
	// Docker pads passwords with NUL.
	return userSecret(user, strings.Trim(password, "\x00")), nil
}

// userSecret is a user with a password. One without the other is nothing that a
// registry could be given: containerd takes a secret without a user for an
// identity token.
func userSecret(user, password string) secret {
	if user == "" || password == "" {
		return secret{}
	}
	return secret{user, password}
}
