// SPDX-License-Identifier: Apache-2.0

// Command schemas makes JSON schemas of Kubernetes' objects, for kubeconform:
//
//	schemas --kubernetes VERSION --operator VERSION DIR
//
// They come from the OpenAPI document in the Go module k8s.io/kubernetes and from
// the custom resource definitions in that of the Prometheus operator, so nothing
// is fetched but modules, whose sums are checked. Objects have no members but
// those that are named: a misspelt one is a fault.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("schemas", flag.ContinueOnError)
	kubernetes := flags.String("kubernetes", "", "version of k8s.io/kubernetes")
	operator := flags.String("operator", "", "version of the Prometheus operator")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *kubernetes == "" || *operator == "" {
		return errors.New("usage: schemas --kubernetes VERSION --operator VERSION DIR")
	}
	out := flags.Arg(0)
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	dir, err := module("k8s.io/kubernetes", *kubernetes)
	if err != nil {
		return err
	}
	if err := builtIn(filepath.Join(dir, "api/openapi-spec/swagger.json"), out); err != nil {
		return err
	}
	if dir, err = module("github.com/prometheus-operator/prometheus-operator", *operator); err != nil {
		return err
	}
	return custom(filepath.Join(dir, "example/prometheus-operator-crd"), out)
}

// module is the folder of a module, downloaded if need be.
func module(path, version string) (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", path+"@"+version)
	cmd.Stderr = os.Stderr
	data, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s@%s: %w\n%s", path, version, err, data)
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(data, &m); err != nil {
		return "", err
	}
	return m.Dir, nil
}

// A kind is one that an object may be of.
type kind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

// file is the name that kubeconform looks for:
// {{.ResourceKind}}{{.KindSuffix}}.json.
func (k kind) file() string {
	parts := []string{strings.ToLower(k.Kind)}
	if k.Group != "" {
		group, _, _ := strings.Cut(k.Group, ".")
		parts = append(parts, group)
	}
	return strings.Join(append(parts, strings.ToLower(k.Version)), "-") + ".json"
}

// builtIn writes a schema for each kind of Kubernetes' OpenAPI document, each with
// what it refers to.
func builtIn(path, out string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var document struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	const quantity, either = "io.k8s.apimachinery.pkg.api.resource.Quantity", "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
	for name, d := range document.Definitions {
		tighten(d)
		if name == quantity || name == either {
			delete(d, "type")
			delete(d, "format")
			d["oneOf"] = []any{map[string]any{"type": "string"}, map[string]any{"type": "number"}}
		}
	}
	for name, d := range document.Definitions {
		raw, err := json.Marshal(d["x-kubernetes-group-version-kind"])
		if err != nil {
			return err
		}
		var kinds []kind
		if err := json.Unmarshal(raw, &kinds); err != nil {
			return err
		}
		for _, k := range kinds {
			if len(kinds) > 1 && k.Group != "" {
				continue // options and statuses, which every group has
			}
			if err := write(filepath.Join(out, k.file()), rooted(name, k, document.Definitions)); err != nil {
				return err
			}
		}
	}
	return nil
}

// rooted is the schema of one kind with only the definitions that it needs.
func rooted(name string, k kind, all map[string]map[string]any) map[string]any {
	needed := map[string]any{}
	var follow func(v any)
	follow = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				target := strings.TrimPrefix(ref, "#/definitions/")
				if _, seen := needed[target]; !seen {
					needed[target] = all[target]
					follow(all[target])
				}
			}
			for _, child := range v {
				follow(child)
			}
		case []any:
			for _, child := range v {
				follow(child)
			}
		}
	}
	needed[name] = all[name]
	follow(all[name])
	apiVersion := strings.TrimPrefix(k.Group+"/"+k.Version, "/")
	return map[string]any{
		"$schema": "http://json-schema.org/draft-07/schema#",
		"allOf": []any{
			map[string]any{"$ref": "#/definitions/" + name},
			map[string]any{"required": []any{"apiVersion", "kind"}, "properties": map[string]any{
				"apiVersion": map[string]any{"const": apiVersion}, "kind": map[string]any{"const": k.Kind},
			}},
		},
		"definitions": needed,
	}
}

// tighten closes every object that lists its members, as a strict API server does,
// except those that are there to hold anything.
func tighten(v any) {
	switch v := v.(type) {
	case map[string]any:
		_, lists := v["properties"].(map[string]any)
		_, open := v["additionalProperties"]
		_, keeps := v["x-kubernetes-preserve-unknown-fields"]
		if lists && !open && !keeps {
			v["additionalProperties"] = false
		}
		if v["x-kubernetes-int-or-string"] == true {
			delete(v, "type")
		}
		for _, child := range v {
			tighten(child)
		}
	case []any:
		for _, child := range v {
			tighten(child)
		}
	}
}

// custom writes a schema for each version of each custom resource definition.
func custom(dir, out string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("no custom resource definitions in %s", dir)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var crd struct {
			Spec struct {
				Group    string                `json:"group"`
				Names    struct{ Kind string } `json:"names"`
				Versions []struct {
					Name   string `json:"name"`
					Schema struct {
						OpenAPI map[string]any `json:"openAPIV3Schema"`
					} `json:"schema"`
				} `json:"versions"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal(data, &crd); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, v := range crd.Spec.Versions {
			schema := v.Schema.OpenAPI
			// The API server adds these to every custom resource.
			if properties, ok := schema["properties"].(map[string]any); ok {
				properties["metadata"] = map[string]any{"type": "object", "additionalProperties": true}
			}
			tighten(schema)
			k := kind{Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind}
			if err := write(filepath.Join(out, k.file()), schema); err != nil {
				return err
			}
		}
	}
	return nil
}

func write(path string, schema map[string]any) error {
	data, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
