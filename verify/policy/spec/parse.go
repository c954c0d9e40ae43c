// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// kinds are the documents that are read, by their kind, with the API versions
// that mean the same.
var kinds = []struct {
	kind     string
	versions []string
	read     func(*decoder, *yaml.Node) Document
}{
	{KindClusterImagePolicy, []string{"policy.sigstore.dev/v1beta1", "policy.sigstore.dev/v1alpha1"}, func(d *decoder, n *yaml.Node) Document {
		doc := read[ClusterImagePolicy](d, n)
		return Document{At: doc.At, Name: doc.Metadata.Name, ClusterImagePolicy: &doc.Spec}
	}},
	{KindTrustRoot, []string{"policy.sigstore.dev/v1alpha1"}, func(d *decoder, n *yaml.Node) Document {
		doc := read[TrustRoot](d, n)
		return Document{At: doc.At, Name: doc.Metadata.Name, TrustRoot: &doc.Spec}
	}},
	{KindImagePolicy, []string{VersionImagePolicy}, func(d *decoder, n *yaml.Node) Document {
		doc := read[ImagePolicy](d, n)
		return Document{At: doc.At, Name: doc.Metadata.Name, ImagePolicy: &doc.Spec}
	}},
}

// resource is what all kinds have in common.
type resource[T any] struct {
	At         Origin   `yaml:"-"`
	APIVersion string   `yaml:"apiVersion" required:"true"`
	Kind       string   `yaml:"kind" required:"true"`
	Metadata   Metadata `yaml:"metadata" required:"true"`
	Spec       T        `yaml:"spec" required:"true"`
	// Status is what a cluster found out about the resource.
	Status Ignored `yaml:"status,omitempty"`
}

func read[T any](d *decoder, n *yaml.Node) resource[T] {
	var doc resource[T]
	d.object("", n, reflect.ValueOf(&doc).Elem())
	return doc
}

// Parse reads the documents of one file, YAML or JSON; empty ones, as a
// trailing `---` leaves them, are none. It reports every fault it finds, each
// with file, line and field: ErrInvalid, or ErrUnsupported for a field that the
// schema has and nothing enforces.
func Parse(file string, data []byte) ([]Document, error) {
	d := &decoder{file: file, text: strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")}
	var docs []Document
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		err := dec.Decode(&n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			d.faults = append(d.faults, d.broken(err))
			break
		}
		docs = append(docs, d.document(&n)...)
	}
	if len(d.faults) > 0 {
		return nil, errors.Join(d.faults...)
	}
	return docs, nil
}

func (d *decoder) document(n *yaml.Node) []Document {
	if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
		n = n.Content[0]
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return nil
	}
	before := len(d.faults)
	d.plain("", n)
	if n.Kind != yaml.MappingNode {
		d.fault(ErrInvalid, n, "a policy document must be an object")
	}
	if len(d.faults) > before {
		return nil
	}
	return d.resource(n)
}

// resource reads one document of the kind that it says it is.
func (d *decoder) resource(n *yaml.Node) []Document {
	version, kind := member(n, "apiVersion"), member(n, "kind")
	if version == "v1" && kind == "List" {
		return d.items(n)
	}
	var wanted []string
	for _, k := range kinds {
		if k.kind == kind && slices.Contains(k.versions, version) {
			d.kind = kind
			return []Document{k.read(d, n)}
		}
		wanted = append(wanted, k.kind+" ("+strings.Join(k.versions, " or ")+")")
	}
	d.fault(ErrInvalid, n, "apiVersion %q, kind %q: want %s", version, kind, strings.Join(wanted, ", "))
	return nil
}

// items reads what `kubectl get -o yaml` prints for several resources.
func (d *decoder) items(n *yaml.Node) []Document {
	var docs []Document
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch key, value := n.Content[i], n.Content[i+1]; {
		case key.Value == "items" && value.Kind == yaml.SequenceNode:
			for _, item := range value.Content {
				if item.Kind != yaml.MappingNode || member(item, "kind") == "List" {
					d.fault(ErrInvalid, item, "items must be policy documents")
					continue
				}
				docs = append(docs, d.resource(item)...)
			}
		case !slices.Contains([]string{"apiVersion", "kind", "metadata"}, key.Value):
			d.fault(ErrInvalid, key, "unknown field %s", key.Value)
		}
	}
	return docs
}

// member is the text under a key of a mapping, empty if it is not text.
func member(n *yaml.Node, name string) string {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if value := n.Content[i+1]; n.Content[i].Value == name && value.ShortTag() == "!!str" {
			return value.Value
		}
	}
	return ""
}
