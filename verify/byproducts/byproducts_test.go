// SPDX-License-Identifier: Apache-2.0

package byproducts_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/byproducts"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/verifytest"
)

const amd64, arm64 = "linux/amd64", "linux/arm64"

var (
	good  = verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","name":"good \u003c"}`)
	other = verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","name":"other"}`)
	build = verifytest.Attestation{PredicateType: "https://slsa.dev/provenance/v0.2", Predicate: []byte(`{}`)}
)

// provenance names good for amd64 and other for arm64.
func provenance() *slsa.Provenance {
	p := verifytest.Provenance()
	p.RunDetails.Byproducts = []slsa.ResourceDescriptor{
		good.Byproduct(slsa.ByproductSBOM, amd64), other.Byproduct(slsa.ByproductSBOM, arm64),
	}
	return &p
}

// stored puts attestations beside an image for amd64.
func stored(t testing.TB, change func(*ocispec.Index), list ...verifytest.Attestation) (*verifytest.Store, byproducts.Subject) {
	t.Helper()
	store := verifytest.NewStore()
	img := store.Image(t, verifytest.ImageOptions{Index: change, Attestations: func(string) []verifytest.Attestation { return list }})
	var idx ocispec.Index
	require.NoError(t, json.Unmarshal(store.Get(img.Index), &idx))
	return store, byproducts.Subject{Manifest: img.Manifests[0], Platform: platforms.MustParse(amd64), Siblings: idx.Manifests}
}

func statuses(list []byproducts.Attestation) string {
	var out []string
	for _, a := range list {
		out = append(out, string(a.Status))
	}
	return strings.Join(out, " ")
}

func TestSigned(t *testing.T) {
	store, subject := stored(t, nil, good, build)
	list, err := byproducts.Check(t.Context(), store, subject, provenance())
	require.NoError(t, err)
	require.Equal(t, "signed unsigned", statuses(list))
	require.Equal(t, slsa.ByproductSBOM, list[0].Name)
	require.Equal(t, "application/spdx+json", list[0].MediaType)
	require.Equal(t, digest.FromBytes(good.Predicate), list[0].Predicate)
	require.Empty(t, list[0].Reason)
	require.Contains(t, list[1].Reason, "that of plomb is in its bundle")
	require.Len(t, store.Requests(), 2, "BuildKit's own provenance cannot be it and is not fetched")

	list, err = byproducts.Check(t.Context(), store, subject, nil)
	require.NoError(t, err)
	require.Equal(t, "unsigned unsigned", statuses(list), "nothing vouches for anything")
	require.Len(t, store.Requests(), 3)
}

// Platforms are compared as containerd compares them.
func TestPlatforms(t *testing.T) {
	for platform, want := range map[string]string{
		"linux/amd64": "signed", "linux/amd64/v1": "signed", "linux/x86_64": "signed",
		"linux/amd64/v3": "unsigned", "linux/arm64": "unsigned", "windows/amd64": "unsigned", "amd64": "unsigned", "": "unsigned", "a/b/c/d": "unsigned",
	} {
		store, subject := stored(t, nil, good)
		p := verifytest.Provenance()
		p.RunDetails.Byproducts = []slsa.ResourceDescriptor{good.Byproduct(slsa.ByproductSBOM, platform)}
		list, err := byproducts.Check(t.Context(), store, subject, &p)
		require.NoError(t, err)
		require.Equal(t, want, statuses(list), platform)
	}
}

func TestNoAttestations(t *testing.T) {
	store, subject := stored(t, nil)
	p := verifytest.Provenance()
	list, err := byproducts.Check(t.Context(), store, subject, &p)
	require.NoError(t, err)
	require.NotNil(t, list)
	require.Empty(t, list)
}

// TestAttacks: whoever may write to the registry can put anything beside the
// image, and nothing but what was signed counts as signed.
func TestAttacks(t *testing.T) {
	wrap := func(predicate string) []byte {
		return []byte(`{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":` + predicate + `}`)
	}
	statement := func(data []byte) verifytest.Attestation {
		return verifytest.Attestation{PredicateType: verifytest.PredicateSPDX, Predicate: good.Predicate, Statement: data}
	}
	text := string(good.Predicate)
	for _, c := range []struct {
		name        string
		attestation verifytest.Attestation
		want, says  string
	}{
		{"swapped", verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","name":"evil"}`), "unsigned missing", "the provenance names sha256:"},
		{"of another platform", other, "unsigned missing", digest.FromBytes(other.Predicate).String()},
		{"of another image", verifytest.SBOM(`{"name":"another image's, and signed there"}`), "unsigned missing", "this is sha256:"},
		{"encoded anew", verifytest.SBOM(strings.ReplaceAll(text, `\u003c`, "<")), "unsigned missing", "this is sha256:"},
		{"with white space", verifytest.SBOM(strings.ReplaceAll(text, ":", ": ")), "unsigned missing", "this is sha256:"},
		{"two predicates, ours first", statement(wrap(text + `,"predicate":{"evil":1}`)), "unsigned missing", `repeated key "predicate"`},
		{"two predicates, ours last", statement(wrap(`{"evil":1},"predicate":` + text)), "unsigned missing", `repeated key "predicate"`},
		{"a predicate in other case", statement(wrap(text + `,"Predicate":{"evil":1}`)), "unsigned missing", `repeated key "Predicate"`},
		{"only in other case", statement(bytes.Replace(wrap(text), []byte(`"predicate":`), []byte(`"PREDICATE":`), 1)), "unsigned missing", "another spelling"},
		{"an escaped key", statement(wrap(text + `,"predic\u0061te":{"evil":1}`)), "unsigned missing", "repeated key"},
		{"two types", statement(wrap(text + `,"predicateType":"https://spdx.dev/Document"`)), "unsigned missing", "repeated key"},
		{"trailing data", statement(append(wrap(text), "{}"...)), "unsigned missing", "trailing data"},
		{"cut off", statement(wrap(text)[:90]), "unsigned missing", "not an in-toto statement"},
		{"no object", statement([]byte(`[1]`)), "unsigned missing", "not an object"},
		{"predicate in a string", statement(wrap(fmt.Sprintf("%q", text))), "unsigned missing", "predicate is not an object"},
		{"broken text", statement(append([]byte("{\"\xff\":1,"), wrap(text)[1:]...)), "unsigned missing", "UTF-8"},
		{"other type inside", verifytest.Attestation{PredicateType: verifytest.PredicateSPDX,
			Statement: bytes.Replace(wrap(text), []byte("https://spdx.dev/Document"), []byte("https://evil.dev/Document"), 1)}, "unsigned missing", "the manifest says"},
		{"under another type", verifytest.Attestation{PredicateType: "https://cyclonedx.org/bom", Predicate: good.Predicate}, "unsigned missing", "names no attestation of this type"},
		{"another media type", verifytest.Attestation{PredicateType: verifytest.PredicateSPDX, Predicate: good.Predicate, MediaType: "application/json"},
			"unsigned missing", `media type is "application/json"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, subject := stored(t, nil, c.attestation)
			list, err := byproducts.Check(t.Context(), store, subject, provenance())
			require.NoError(t, err)
			require.Equal(t, c.want, statuses(list))
			require.Contains(t, list[0].Reason, c.says)
			require.Equal(t, digest.FromBytes(good.Predicate), list[1].Predicate)
			require.Contains(t, list[1].Reason, "does not carry it")
		})
	}
}

func TestMissing(t *testing.T) {
	for name, change := range map[string]func(*ocispec.Index){
		"no attestation manifest": func(idx *ocispec.Index) { idx.Manifests = idx.Manifests[:1] },
		"of another manifest": func(idx *ocispec.Index) {
			idx.Manifests[1].Annotations["vnd.docker.reference.digest"] = digest.FromString("elsewhere").String()
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, subject := stored(t, change, good)
			list, err := byproducts.Check(t.Context(), store, subject, provenance())
			require.NoError(t, err)
			require.Equal(t, "missing", statuses(list))
		})
	}
}

// Beside the right one, another one is not signed.
func TestSecondSBOM(t *testing.T) {
	store, subject := stored(t, nil, verifytest.SBOM(`{"name":"evil"}`), good)
	list, err := byproducts.Check(t.Context(), store, subject, provenance())
	require.NoError(t, err)
	require.Equal(t, "unsigned signed", statuses(list))
}

// What cannot be read may be the right one: that is no statement about it.
func TestUnreadable(t *testing.T) {
	store, subject := stored(t, nil, good)
	entries, err := byproducts.List(t.Context(), store, subject)
	require.NoError(t, err)
	store.Fail(entries[0].Layer, 503)
	list, err := byproducts.Check(t.Context(), store, subject, provenance())
	require.NoError(t, err)
	require.Equal(t, "unknown unknown", statuses(list))

	store, subject = stored(t, nil, good)
	store.Lie(entries[0].Layer, []byte(`{}`))
	list, err = byproducts.Check(t.Context(), store, subject, provenance())
	require.NoError(t, err)
	require.Equal(t, "unsigned missing", statuses(list), "a lie says something")
	require.Contains(t, list[0].Reason, "digest mismatch")
}

func TestByproductsThatNameNothing(t *testing.T) {
	for name, spoil := range map[string]func(*slsa.ResourceDescriptor){
		"no platform":       func(r *slsa.ResourceDescriptor) { delete(r.Annotations, slsa.AnnotationPlatform) },
		"half a platform":   func(r *slsa.ResourceDescriptor) { r.Annotations[slsa.AnnotationPlatform] = "linux" },
		"platform a number": func(r *slsa.ResourceDescriptor) { r.Annotations[slsa.AnnotationPlatform] = 1 },
		"no predicate type": func(r *slsa.ResourceDescriptor) { delete(r.Annotations, slsa.AnnotationPredicateType) },
		"no digest":         func(r *slsa.ResourceDescriptor) { r.Digest = nil },
		"digest too short":  func(r *slsa.ResourceDescriptor) { r.Digest["sha256"] = "00" },
	} {
		t.Run(name, func(t *testing.T) {
			store, subject := stored(t, nil, good)
			p := provenance()
			spoil(&p.RunDetails.Byproducts[0])
			list, err := byproducts.Check(t.Context(), store, subject, p)
			require.NoError(t, err)
			require.Equal(t, "unsigned", statuses(list))
		})
	}
}

func TestBounds(t *testing.T) {
	e := byproducts.Entry{PredicateType: verifytest.PredicateSPDX, MediaType: "application/vnd.in-toto+json", Layer: digest.FromString("x"), Size: byproducts.MaxStatement + 1}
	store := verifytest.NewStore()
	_, err := byproducts.Fetch(t.Context(), store, e)
	require.ErrorIs(t, err, limit.ErrTooLarge)
	require.Empty(t, store.Requests(), "nothing is fetched that says it is too large")

	// The size is the registry's word: what comes is counted.
	huge := bytes.Repeat([]byte(" "), byproducts.MaxStatement+1)
	e.Layer, e.Size = store.Add(huge, "").Digest, 10
	_, err = byproducts.Fetch(t.Context(), store, e)
	require.ErrorIs(t, err, limit.ErrTooLarge)

	many := make([]verifytest.Attestation, byproducts.MaxAttestations+1)
	for i := range many {
		many[i] = good
	}
	store, subject := stored(t, nil, many...)
	_, err = byproducts.Check(t.Context(), store, subject, provenance())
	require.ErrorIs(t, err, byproducts.ErrTooMany)

	store, subject = stored(t, func(idx *ocispec.Index) {
		for range byproducts.MaxManifests {
			idx.Manifests = append(idx.Manifests, idx.Manifests[1])
		}
	}, good)
	_, err = byproducts.Check(t.Context(), store, subject, provenance())
	require.ErrorIs(t, err, byproducts.ErrTooMany)
}

func TestBrokenAttestationManifest(t *testing.T) {
	store, subject := stored(t, nil, good)
	for _, data := range []string{`{}`, `{"schemaVersion":2,"manifests":[]}`} {
		subject.Siblings[1].Digest = store.Add([]byte(data), "").Digest
		_, err := byproducts.Check(t.Context(), store, subject, provenance())
		require.ErrorIs(t, err, document.ErrMalformed)
	}
}

func TestSplitKeepsTheBytes(t *testing.T) {
	for _, predicate := range []string{`{}`, `{ "a" : [1, "}"] }`, `{"a":"\u003c"}`, "{\n}"} {
		for _, format := range []string{`{"predicateType":"t","predicate":%s}`, "{ \"predicate\" \t:\n %s , \"predicateType\" : \"t\" }\n"} {
			predicateType, got, err := byproducts.Split(fmt.Appendf(nil, format, predicate))
			require.NoError(t, err)
			require.Equal(t, "t", predicateType)
			require.Equal(t, predicate, string(got))
		}
	}
}

// FuzzSplit: what is taken out is what every other decoder takes for the
// predicate, to the byte.
func FuzzSplit(f *testing.F) {
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"t","predicate":{"a":1}}`))
	f.Add([]byte(`{"predicate":{"a":1},"predicateType":"t","predicate":{"a":2}}`))
	f.Add([]byte(`{"predicate": {"a":"\ud800"} ,"predicateType":"t","x":-1e5 ,"y":null}`))
	f.Add([]byte(`{"Predicate":{},"predicateType":"t"}{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		predicateType, predicate, err := byproducts.Split(data)
		if err != nil {
			require.ErrorIs(t, err, byproducts.ErrStatement)
			return
		}
		var folding struct {
			PredicateType string          `json:"predicateType"`
			Predicate     json.RawMessage `json:"predicate"`
		}
		require.NoError(t, json.Unmarshal(data, &folding))
		require.Equal(t, string(folding.Predicate), string(predicate))
		require.Equal(t, folding.PredicateType, predicateType)
		var exact map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(data, &exact))
		require.Equal(t, string(exact["predicate"]), string(predicate))
	})
}
