// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/plombproject/plomb/internal/limit"
)

// maxDockerConfig bounds Docker's config.json, in bytes.
const maxDockerConfig = 1 << 20

// dockerConfig is the part of Docker's config.json that holds passwords in the
// clear. Credential helpers are programs, and are not run.
type dockerConfig struct {
	Auths map[string]struct {
		Auth          string `json:"auth"`
		IdentityToken string `json:"identitytoken"`
	} `json:"auths"`
}

// dockerCredentials finds the credentials that `docker login` stored, in
// DOCKER_CONFIG or ~/.docker. Whoever has none is anonymous.
func dockerCredentials(getenv func(string) string) func(host string) (user, secret string, err error) {
	return func(host string) (string, string, error) {
		dir := getenv("DOCKER_CONFIG")
		if dir == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", "", nil
			}
			dir = filepath.Join(home, ".docker")
		}
		path := filepath.Join(dir, "config.json")
		data, err := limit.ReadFile(path, maxDockerConfig)
		if errors.Is(err, fs.ErrNotExist) {
			return "", "", nil
		}
		if err != nil {
			return "", "", err
		}
		var config dockerConfig
		if err := json.Unmarshal(data, &config); err != nil {
			return "", "", fmt.Errorf("%s: %w", path, err)
		}
		return config.find(path, host)
	}
}

func (c *dockerConfig) find(path, host string) (user, secret string, err error) {
	names := []string{host, "https://" + host}
	if host == "registry-1.docker.io" {
		names = append(names, "https://index.docker.io/v1/", "docker.io")
	}
	for _, name := range names {
		entry, ok := c.Auths[name]
		if !ok {
			continue
		}
		if entry.IdentityToken != "" {
			return "", entry.IdentityToken, nil
		}
		plain, err := base64.StdEncoding.DecodeString(entry.Auth)
		if err != nil {
			return "", "", fmt.Errorf("%s: auths[%q]: %w", path, name, err)
		}
		user, secret, _ = strings.Cut(string(plain), ":")
		return user, secret, nil
	}
	return "", "", nil
}
