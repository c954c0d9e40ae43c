// SPDX-License-Identifier: Apache-2.0

package dpkg

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/provenance/sbom"
)

const (
	diversions = "/var/lib/dpkg/diversions"
	// maxList is the largest list of the files of one package in bytes: some
	// packages of documentation have 50,000.
	maxList = 32 << 20
)

// Ownings are the rows of the catalogue's table of owners.
func Ownings() []ecosystem.Owning {
	return []ecosystem.Owning{{
		Name: "dpkg's lists of files",
		Wants: func(p string) bool {
			return path.Dir(p)+"/" == listDir && strings.HasSuffix(p, ".list") ||
				path.Dir(p)+"/" == statusDir && strings.HasSuffix(p, ".md5sums")
		},
		Read: readOwners,
	}}
}

func readOwners(ctx context.Context, t ecosystem.Tree, lists []string, own func(p, key string)) error {
	keys := installedKeys(t)
	moved := readDiversions(t)
	var failed error
	for _, list := range lists {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := t.ReadAll(list, maxList)
		if err != nil {
			failed = err
			continue
		}
		if path.Dir(list)+"/" == statusDir {
			ownSums(t, list, data, own)
			continue
		}
		name := strings.TrimSuffix(path.Base(list), ".list") // NAME or NAME:ARCH
		key, there := keys[name]
		if !there {
			continue
		}
		pkg, _, _ := strings.Cut(name, ":")
		for line := range bytes.Lines(data) {
			p := string(bytes.TrimRight(line, "\n"))
			if d, there := moved[p]; there && d.by != pkg {
				p = d.to
			}
			own(p, key)
		}
	}
	return failed
}

// ownSums reads NAME.md5sums of distroless images: a digest, two spaces and the
// path without a leading slash, beside the file about the package.
func ownSums(t ecosystem.Tree, list string, data []byte, own func(p, key string)) {
	control, err := t.ReadAll(strings.TrimSuffix(list, ".md5sums"), maxControl)
	if err != nil {
		return
	}
	for _, s := range stanzas(control) {
		key := keyOf(s)
		for line := range bytes.Lines(data) {
			if _, p, ok := strings.Cut(string(bytes.TrimRight(line, "\n")), "  "); ok {
				own("/"+strings.TrimPrefix(p, "./"), key)
			}
		}
		return
	}
}

// installedKeys maps the names of lists to packages: with the architecture for
// those that can be installed for several at once, else without.
func installedKeys(t ecosystem.Tree) map[string]string {
	keys := map[string]string{}
	data, err := t.ReadAll(statusFile, maxStatus)
	if err != nil {
		return keys // told by the reader
	}
	for _, s := range stanzas(data) {
		words := strings.Fields(s.get("Status"))
		if s.err != nil || len(words) != 3 || absent[words[2]] {
			continue
		}
		keys[s.get("Package")] = keyOf(s)
		keys[s.get("Package")+":"+s.get("Architecture")] = keyOf(s)
	}
	return keys
}

func keyOf(s stanza) string {
	return sbom.Package{Type: "deb", Name: s.get("Package"), Arch: s.get("Architecture")}.Key()
}

// A diversion is a path at which another package's file is kept out of the way.
type diversion struct{ to, by string }

// readDiversions reads groups of three lines: the path, where it is now, and
// the package whose own file stays at the path, or ":" for none
// (dpkg-divert(1)).
func readDiversions(t ecosystem.Tree) map[string]diversion {
	moved := map[string]diversion{}
	data, err := t.ReadAll(diversions, maxList)
	if err != nil {
		return moved
	}
	lines := strings.Split(string(data), "\n")
	for ; len(lines) >= 3; lines = lines[3:] {
		moved[lines[0]] = diversion{to: lines[1], by: lines[2]}
	}
	return moved
}
