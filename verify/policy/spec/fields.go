// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"reflect"
	"slices"
	"strings"
)

// Refused are the fields of ClusterImagePolicy and TrustRoot that are refused
// by name, by their path in the document.
func Refused() []string { return tagged("refused") }

// NeedPod are the fields of a ClusterImagePolicy whose meaning depends on a
// pod. A policy that uses one is undecided on a node. The policy of an
// attestation sees the statement alone, and may not have them at all.
func NeedPod() []string {
	return slices.DeleteFunc(tagged("pod"), func(path string) bool {
		return strings.HasPrefix(path, "spec.authorities.attestations.")
	})
}

// Paths are all fields of ClusterImagePolicy and TrustRoot.
func Paths() []string { return tagged("yaml") }

func tagged(tag string) []string {
	return append(walk("spec", reflect.TypeFor[ClusterImagePolicy](), tag), walk("spec", reflect.TypeFor[TrustRoot](), tag)...)
}

// walk lists the paths of the fields of t, and of what they are made of, that
// have the tag.
func walk(path string, t reflect.Type, tag string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var paths []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" || f.Tag.Get("only") != "" {
			continue
		}
		if _, ok := f.Tag.Lookup(tag); ok {
			paths = append(paths, path+"."+name)
		}
		// What lies below a refused field is refused with it.
		if f.Tag.Get("refused") == "" {
			paths = append(paths, walk(path+"."+name, f.Type, tag)...)
		}
	}
	return paths
}
