// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crypto/sha256"
	"fmt"
)

// What is pushed with a subject is listed, and an image without referrers has
// an empty list, not an error.
func TestReferrers(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	ready, done := filepath.Join(t.TempDir(), "ready"), make(chan error, 1)
	go func() { done <- run(ctx, []string{"--ready-file", ready}) }()
	base := "http://" + waitFor(t, ready) + "/v2/app/"

	image := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"a/b","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000","size":2},"layers":[]}`
	subject := sum(image)
	put(t, base+"manifests/v1", image)
	if got := list(t, base+"referrers/"+subject); len(got) != 0 {
		t.Fatalf("referrers before there are any: %v", got)
	}
	referrer := strings.TrimSuffix(image, "}") + `,"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"` + subject + `","size":1}}`
	put(t, base+"manifests/"+sum(referrer), referrer)
	if got := list(t, base+"referrers/"+subject); len(got) != 1 || got[0] != sum(referrer) {
		t.Fatalf("referrers: %v", got)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, ready string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if address, err := os.ReadFile(ready); err == nil {
			return string(address)
		}
	}
	t.Fatal("it did not get ready")
	return ""
}

func put(t *testing.T, url, manifest string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(manifest))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		t.Fatal(url, answer.Status)
	}
}

func list(t *testing.T, url string) []string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var index struct{ Manifests []struct{ Digest string } }
	if err := json.NewDecoder(answer.Body).Decode(&index); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status, err)
	}
	var digests []string
	for _, m := range index.Manifests {
		digests = append(digests, m.Digest)
	}
	return digests
}

func sum(manifest string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(manifest))) }
