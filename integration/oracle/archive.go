// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"context"
	"debug/elf"
	"encoding/json"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
)

// pomProperties lists what Maven wrote into the jars of a root, and into the
// jars inside them (https://maven.apache.org/shared/maven-archiver/).
func pomProperties(_ context.Context, root string) ([]Package, error) {
	var list []Package
	err := files(root, func(path string) error {
		if !isJar(path) {
			return nil
		}
		z, err := zip.OpenReader(path)
		if err != nil {
			return err
		}
		defer z.Close()
		found, err := inJar(&z.Reader)
		list = append(list, found...)
		return err
	})
	return list, err
}

func isJar(path string) bool {
	switch filepath.Ext(path) {
	case ".jar", ".war", ".ear":
		return true
	}
	return false
}

func inJar(z *zip.Reader) (list []Package, err error) {
	for _, entry := range z.File {
		properties := strings.HasPrefix(entry.Name, "META-INF/maven/") && strings.HasSuffix(entry.Name, "/pom.properties")
		if !properties && !isJar(entry.Name) {
			continue
		}
		data, err := content(entry)
		if err != nil {
			return nil, err
		}
		if properties {
			list = append(list, fromProperties(string(data)))
			continue
		}
		inner, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return nil, err
		}
		found, err := inJar(inner)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

func content(entry *zip.File) ([]byte, error) {
	r, err := entry.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func fromProperties(text string) Package {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, "=")
		values[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return Package{Type: "maven", Name: values["groupId"] + ":" + values["artifactId"], Version: values["version"]}
}

// auditable lists the crates in programs that cargo-auditable built: JSON,
// packed by zlib, in the section .dep-v0
// (https://github.com/rust-secure-code/cargo-auditable). What was needed for
// building alone is not in the program.
func auditable(_ context.Context, root string) ([]Package, error) {
	var list []Package
	err := files(root, func(path string) error {
		f, err := elf.Open(path)
		if err != nil {
			return nil // no ELF file
		}
		defer f.Close()
		section := f.Section(".dep-v0")
		if section == nil {
			return nil
		}
		unpacked, err := zlib.NewReader(section.Open())
		if err != nil {
			return err
		}
		var info struct {
			Packages []struct{ Name, Version, Kind string }
		}
		if err := json.NewDecoder(unpacked).Decode(&info); err != nil {
			return err
		}
		for _, p := range info.Packages {
			if p.Kind != "build" {
				list = append(list, Package{Type: "cargo", Name: p.Name, Version: p.Version})
			}
		}
		return nil
	})
	return list, err
}

// files calls what for every regular file.
func files(root string, what func(path string) error) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return what(path)
	})
}
