// SPDX-License-Identifier: Apache-2.0

package slsa_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	provenancev1 "github.com/in-toto/attestation/go/predicates/provenance/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/plombproject/plomb/provenance/slsa"
)

var update = flag.Bool("update", false, "write the golden files anew")

func full() slsa.Provenance {
	started := time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.UTC)
	finished := started.Add(time.Minute)
	epoch := int64(1700000000)
	hex := strings.Repeat("ab", 32)
	return slsa.Provenance{
		BuildDefinition: slsa.BuildDefinition{
			BuildType: slsa.BuildType,
			ExternalParameters: slsa.ExternalParameters{
				Dockerfile: slsa.Dockerfile{Name: "Dockerfile", SHA256: hex, From: slsa.ContextLocal},
				Target:     "release",
				Labels:     map[string]string{"team": "a"},
				Options:    map[string]string{"network": "host"},
				Context:    &slsa.Context{Kind: slsa.ContextGit, URI: "https://example.com/demo.git", Digest: map[string]string{"gitCommit": strings.Repeat("c", 40)}},
				Contexts:   map[string]slsa.Context{"docs": {Kind: slsa.ContextLocal, URI: "docs"}},
				Secrets:    []string{"npm"},
				Masked:     []string{"args.HTTP_PROXY"},
				Platforms:  []string{"linux/amd64", "linux/arm64/v8"},
				Args:       map[string]string{"VERSION": "1.2 <&>", "A": ""},
				Source:     &slsa.Source{Repository: "https://example.com/demo.git", Revision: strings.Repeat("c", 40), Ref: "refs/heads/main", Context: "app", Dockerfile: "app/build"},
				Repository: "registry.example.com/team/app",
			},
			InternalParameters: slsa.InternalParameters{
				Frontend: slsa.Frontend{Image: "example.com/plomb@sha256:" + hex, Version: "v1.0.0"},
				Sealing: slsa.Sealing{Layers: "keep", Scrub: "on", Subjects: "manifest", SBOM: "packages", SourceDateEpoch: &epoch,
					Scrubbed: map[string][]slsa.Scrubbed{"linux/amd64": {{Path: "/var/log/dpkg.log", Rule: "dpkg-log"}}}},
				BuildPlatform: "linux/amd64",
				WorkerLabels:  map[string]string{"org.mobyproject.buildkit.worker.executor": "oci"},
				BuildKit:      slsa.BuildKit{Product: "buildkit", AtLeast: "v0.31"},
				Completeness: &slsa.Completeness{Gaps: []slsa.Gap{
					{Kind: slsa.GapDependency, Name: "https://example.com/x"},
					{Kind: slsa.GapNetwork, Name: "sandbox", Steps: []slsa.Step{{Name: "[build 2/5] RUN", File: "Dockerfile", Line: 7}}},
				}},
			},
			ResolvedDependencies: []slsa.ResourceDescriptor{
				{URI: "pkg:docker/debian@12", Digest: map[string]string{"sha256": hex}},
				{Name: "frontend", URI: "https://example.com/x", MediaType: "text/plain", Annotations: map[string]any{"incomplete": true}},
			},
		},
		RunDetails: slsa.RunDetails{
			Builder:  slsa.Builder{ID: "https://example.com/builder", Version: map[string]string{"plomb": "v1.0.0"}},
			Metadata: slsa.Metadata{InvocationID: "abc", StartedOn: &started, FinishedOn: &finished},
			Byproducts: []slsa.ResourceDescriptor{{
				Name: slsa.ByproductSBOM, MediaType: "application/spdx+json", Digest: map[string]string{"sha256": hex},
				Annotations: map[string]any{slsa.AnnotationPredicateType: "https://spdx.dev/Document", slsa.AnnotationPlatform: "linux/amd64"},
			}},
		},
	}
}

// A new field that full leaves out would go untested.
func TestFullIsFull(t *testing.T) {
	var check func(path string, v reflect.Value)
	check = func(path string, v reflect.Value) {
		require.False(t, v.IsZero(), path)
		switch v.Kind() {
		case reflect.Pointer:
			check(path, v.Elem())
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() || v.Type() == reflect.TypeFor[slsa.ResourceDescriptor]() || v.Type() == reflect.TypeFor[slsa.Completeness]() {
				return
			}
			for i := range v.NumField() {
				check(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		}
	}
	check("Provenance", reflect.ValueOf(full()))
}

// The in-toto library knows the predicate's fields; anything that it does not
// know, or finds missing, is a mistake of ours.
func TestIsSLSAProvenance(t *testing.T) {
	for name, p := range map[string]slsa.Provenance{"full": full(), "least": least()} {
		t.Run(name, func(t *testing.T) {
			data, err := json.Marshal(p)
			require.NoError(t, err)
			var proto provenancev1.Provenance
			require.NoError(t, protojson.Unmarshal(data, &proto))
			require.NoError(t, proto.Validate())

			require.Equal(t, p.BuildDefinition.BuildType, proto.BuildDefinition.BuildType)
			require.Len(t, proto.BuildDefinition.ResolvedDependencies, len(p.BuildDefinition.ResolvedDependencies))
			require.Equal(t, p.RunDetails.Builder.ID, proto.RunDetails.Builder.Id)
			require.Equal(t, p.RunDetails.Metadata.InvocationID, proto.RunDetails.Metadata.InvocationId)
			if p.RunDetails.Metadata.StartedOn != nil {
				require.True(t, p.RunDetails.Metadata.StartedOn.Equal(proto.RunDetails.Metadata.StartedOn.AsTime()))
				require.True(t, p.RunDetails.Metadata.FinishedOn.Equal(proto.RunDetails.Metadata.FinishedOn.AsTime()))
			}
		})
	}
}

// least is what every build can tell of itself.
func least() slsa.Provenance {
	return slsa.Provenance{
		BuildDefinition: slsa.BuildDefinition{
			BuildType:            slsa.BuildType,
			ExternalParameters:   slsa.ExternalParameters{Dockerfile: slsa.Dockerfile{Name: "Dockerfile", SHA256: strings.Repeat("0", 64)}, Platforms: []string{"linux/amd64"}},
			InternalParameters:   slsa.InternalParameters{Completeness: &slsa.Completeness{Complete: true}},
			ResolvedDependencies: []slsa.ResourceDescriptor{},
		},
		RunDetails: slsa.RunDetails{Builder: slsa.Builder{ID: "https://example.com"}},
	}
}

// The bytes are signed and may be compared: a change of them is a change of
// the format.
func TestBytesAreStable(t *testing.T) {
	for name, p := range map[string]slsa.Provenance{"full": full(), "least": least()} {
		t.Run(name, func(t *testing.T) {
			compact, err := json.Marshal(p)
			require.NoError(t, err)
			var got bytes.Buffer
			require.NoError(t, json.Indent(&got, compact, "", "  "))
			got.WriteByte('\n')

			golden := filepath.Join("testdata", name+".json")
			if *update {
				require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got.String())

			var back slsa.Provenance
			require.NoError(t, json.Unmarshal(compact, &back))
			again, err := json.Marshal(back)
			require.NoError(t, err)
			require.Equal(t, string(compact), string(again))
		})
	}
}
