// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// builder is the name of the stand's buildx builder (BUILDX_BUILDER).
const builder = "stand"

// caCertificates is where Debian's ca-certificates keeps the bundle.
const caCertificates = "/etc/ssl/certs/ca-certificates.crt"

func (s *Stand) buildxEnv() []string {
	return []string{
		"DOCKER_CONFIG=" + s.layout.path("docker"),
		"BUILDX_CONFIG=" + s.layout.path("buildx"),
	}
}

// setUpBuildx makes `buildx build`, and `docker buildx build` where there is
// a docker client, use the stand's buildkitd without further ado.
func (s *Stand) setUpBuildx(ctx context.Context) error {
	plugin := s.layout.path("docker", "cli-plugins", "docker-buildx")
	if err := os.MkdirAll(filepath.Dir(plugin), 0o755); err != nil {
		return fmt.Errorf("setting up buildx: %w", err)
	}
	if err := os.Remove(plugin); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("setting up buildx: %w", err)
	}
	if err := os.Symlink(s.program("buildx"), plugin); err != nil {
		return fmt.Errorf("setting up buildx: %w", err)
	}
	if err := os.RemoveAll(s.layout.path("buildx")); err != nil {
		return fmt.Errorf("setting up buildx: %w", err)
	}
	_, err := s.run(ctx, s.buildxEnv(), s.program("buildx"),
		"create", "--name", builder, "--driver", "remote", "--use", s.BuildkitHost)
	if err != nil {
		return fmt.Errorf("setting up buildx: %w", err)
	}
	return nil
}

// pushFrontend builds Dockerfile.frontend around the program that is built
// already: the named context "build" takes the place of its build stage, so
// that no image has to be pulled.
func (s *Stand) pushFrontend(ctx context.Context) error {
	began := time.Now()
	s.say("building and pushing the frontend image")
	stage, err := s.stageFrontend()
	if err != nil {
		return fmt.Errorf("frontend image: %w", err)
	}
	name := s.Registry + "/plomb/frontend:dev"
	metadata := s.layout.path("tmp", "frontend.json")
	_, err = s.run(ctx, s.buildxEnv(), s.program("buildx"), "build",
		"--builder", builder, "--progress", "plain", "--provenance=false", "--sbom=false",
		"--file", filepath.Join(s.root, "Dockerfile.frontend"),
		"--build-context", "build="+stage,
		// Uncompressed: it never leaves this machine.
		"--output", "type=image,push=true,compression=uncompressed,name="+name,
		"--metadata-file", metadata, stage)
	if err != nil {
		return fmt.Errorf("frontend image: %w", err)
	}
	if s.Frontend, err = pushedReference(name, metadata); err != nil {
		return fmt.Errorf("frontend image: %w", err)
	}
	s.say("frontend image pushed after %.2f s", time.Since(began).Seconds())
	st, err := s.layout.load()
	if err != nil {
		return err
	}
	st.Frontend = s.Frontend
	return s.layout.save(*st)
}

// stageFrontend lays out what the build stage of Dockerfile.frontend leaves.
func (s *Stand) stageFrontend() (string, error) {
	stage := s.layout.path("tmp", "frontend")
	for path, source := range map[string]string{
		"plomb-frontend":                    s.program("plomb-frontend"),
		"etc/ssl/certs/ca-certificates.crt": caCertificates,
	} {
		data, err := os.ReadFile(source)
		if err != nil {
			return "", err
		}
		if err := writeFile(filepath.Join(stage, "out", path), data, 0o755); err != nil {
			return "", err
		}
	}
	return stage, nil
}

// pushedReference reads the digest from buildx' metadata file.
func pushedReference(name, metadata string) (string, error) {
	data, err := os.ReadFile(metadata)
	if err != nil {
		return "", err
	}
	var m struct {
		Digest string `json:"containerimage.digest"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return "", fmt.Errorf("%s: %w", metadata, err)
	}
	if m.Digest == "" {
		return "", fmt.Errorf("%s names no digest", metadata)
	}
	return name + "@" + m.Digest, nil
}
