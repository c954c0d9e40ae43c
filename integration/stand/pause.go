// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// PauseImage is what containerd makes pods of. It is in containerd's store from
// the start, so that pods need no registry and no policy to admit it.
func (s *Stand) PauseImage() string { return s.Registry + "/base/pause:stand" }

// importPause puts the pause image there as ctr images import does.
func (s *Stand) importPause(ctx context.Context) error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("pause image: busybox is not in PATH: run hack/tools")
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return fmt.Errorf("pause image: %w", err)
	}
	archive, err := pauseArchive(s.PauseImage(), program)
	if err != nil {
		return fmt.Errorf("pause image: %w", err)
	}
	file := s.layout.path("tmp", "pause.tar")
	defer os.Remove(file)
	if err := writeFile(file, archive, 0o644); err != nil {
		return err
	}
	_, err = s.run(ctx, nil, s.program("ctr"), "--address", s.ContainerdAddress, "--namespace", "k8s.io", "images", "import", file)
	if err != nil {
		return fmt.Errorf("pause image: %w", err)
	}
	return nil
}

// pauseArchive is an OCI layout in a tar (image-spec, image-layout.md) with one
// image: busybox, which sleeps.
func pauseArchive(name string, busybox []byte) ([]byte, error) {
	var layer, archive bytes.Buffer
	if err := addFiles(&layer, file{"bin/busybox", busybox, 0o755}); err != nil {
		return nil, err
	}
	platform := ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	config, err := json.Marshal(ocispec.Image{
		Platform: platform,
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/bin/busybox", "sleep", "2147483647"}},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer.Bytes())}},
	})
	if err != nil {
		return nil, err
	}
	of := func(mediaType string, data []byte) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	}
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: of(ocispec.MediaTypeImageConfig, config),
		Layers: []ocispec.Descriptor{of(ocispec.MediaTypeImageLayer, layer.Bytes())},
	})
	if err != nil {
		return nil, err
	}
	entry := of(ocispec.MediaTypeImageManifest, manifest)
	entry.Platform, entry.Annotations = &platform, map[string]string{"io.containerd.image.name": name}
	index, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{entry}})
	if err != nil {
		return nil, err
	}
	blob := func(data []byte) file {
		return file{"blobs/sha256/" + digest.FromBytes(data).Encoded(), data, 0o644}
	}
	err = addFiles(&archive, file{ocispec.ImageLayoutFile, []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644},
		file{ocispec.ImageIndexFile, index, 0o644}, blob(manifest), blob(config), blob(layer.Bytes()))
	return archive.Bytes(), err
}

type file struct {
	name string
	data []byte
	mode int64
}

func addFiles(out *bytes.Buffer, files ...file) error {
	w := tar.NewWriter(out)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		if _, err := w.Write(f.data); err != nil {
			return err
		}
	}
	return w.Close()
}
