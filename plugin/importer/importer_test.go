// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/receipt"
	"github.com/plombproject/plomb/verify/verifytest"
)

const name = "registry.example/shop/app:v1"

// A stand is a node without containerd, and a key that its policy wants.
type stand struct {
	t        *testing.T
	sigstore *verifytest.Sigstore
	key      crypto.Signer
	settings settings.Settings
	// loaded is what containerd was given.
	loaded map[string][]byte
	fail   error
}

func newStand(t *testing.T) *stand {
	t.Helper()
	dir := t.TempDir()
	s := &stand{t: t, sigstore: verifytest.NewSigstore(t), key: verifytest.NewKey(t, "p256")}
	env := map[string]string{
		"PLOMB_POLICY": filepath.Join(dir, "policy"), "PLOMB_STATE": filepath.Join(dir, "state"), "PLOMB_NODE_CONFIG": filepath.Join(dir, "node.yaml"),
		"PLOMB_SOCKET": filepath.Join(dir, "agent.sock"),
	}
	var err error
	s.settings, err = settings.Read(func(name string) string { return env[name] })
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(s.settings.Policy, 0o700))
	require.NoError(t, os.Mkdir(s.settings.State, 0o700))
	pem := strings.ReplaceAll(strings.TrimSpace(string(verifytest.PublicPEM(t, s.key))), "\n", "\n        ")
	s.policy("keyed", "registry.example/shop/**", "key:\n      data: |\n        "+pem)
	s.policy("pass", "registry.example/pass/**", "static:\n      action: pass")
	return s
}

func (s *stand) policy(name, glob, authority string) {
	s.t.Helper()
	text := fmt.Sprintf("apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata:\n  name: %s\nspec:\n  images:\n  - glob: %q\n  authorities:\n  - %s\n", name, glob, authority)
	require.NoError(s.t, os.WriteFile(filepath.Join(s.settings.Policy, name+".yaml"), []byte(text), 0o600))
}

// layout writes an image, signed with key unless it is nil, as files of a tar.
func (s *stand) layout(key crypto.Signer, annotations map[string]string) map[string][]byte {
	s.t.Helper()
	store := verifytest.NewStore()
	layer := []byte("a layer")
	opts := verifytest.ImageOptions{
		Platforms: []string{platforms.Format(platforms.Normalize(platforms.DefaultSpec()))},
		Manifest: func(m *ocispec.Manifest) {
			m.Layers = []ocispec.Descriptor{store.Add(layer, ocispec.MediaTypeImageLayer)}
		},
	}
	if key != nil {
		opts.Bundle = func(subjects []provenance.Subject) []byte {
			return s.sigstore.Bundle(s.t, verifytest.Statement(s.t, subjects), verifytest.BundleOptions{Key: key, NoLogEntry: true, NoTimestamp: true})
		}
	}
	image := store.Image(s.t, opts)
	dir := s.t.TempDir()
	store.Layout(s.t, dir, "v1", image.Index)
	files := map[string][]byte{}
	require.NoError(s.t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil {
			files[name], err = os.ReadFile(path)
		}
		return err
	}))
	files["blobs/sha256/"+digest.FromBytes(layer).Encoded()] = layer
	files[ocispec.ImageIndexFile] = index(s.t, ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageIndex, Digest: image.Index, Size: int64(len(store.Get(image.Index))), Annotations: annotations,
	})
	files[ocispec.ImageLayoutFile] = []byte(`{"imageLayoutVersion":"1.0.0"}`)
	return files
}

func index(t *testing.T, entries ...ocispec.Descriptor) []byte {
	t.Helper()
	data, err := json.Marshal(ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: entries})
	require.NoError(t, err)
	return data
}

func named(name string) map[string]string { return map[string]string{annotationName: name} }

func pack(t *testing.T, files map[string][]byte, more ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, data := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}))
		_, err := w.Write(data)
		require.NoError(t, err)
	}
	for _, h := range more {
		require.NoError(t, w.WriteHeader(&h))
	}
	require.NoError(t, w.Close())
	path := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

func (s *stand) load(_ context.Context, archive io.Reader) error {
	if s.fail != nil {
		return s.fail
	}
	loaded := map[string][]byte{}
	r := tar.NewReader(archive)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			s.loaded = loaded
			return nil
		}
		if err != nil {
			return err
		}
		if loaded[h.Name], err = io.ReadAll(r); err != nil {
			return err
		}
	}
}

func (s *stand) request(path string) Request {
	return Request{Path: path, Settings: s.settings, Recorder: bindir.RecorderOf(s.settings), Load: s.load}
}

func (s *stand) receipts() []receipt.Receipt {
	s.t.Helper()
	var list []receipt.Receipt
	for e, err := range receipt.Entries(s.settings.Receipts()) {
		require.NoError(s.t, err)
		list = append(list, e.Receipt)
	}
	return list
}

// agent notes what it is asked.
type agent struct {
	asked    []control.Question
	admitted bool
	err      error
}

func (a *agent) Verify(_ context.Context, q control.Question) (control.Answer, error) {
	a.asked = append(a.asked, q)
	return control.Answer{Admitted: a.admitted, Line: "because"}, a.err
}

func TestSignedArchiveIsLoaded(t *testing.T) {
	s := newStand(t)
	files := s.layout(s.key, named(name))
	files["manifest.json"] = []byte(`[]`) // of old Docker
	files["blobs/sha256/"+digest.FromString("junk").Encoded()] = []byte("junk")
	a := &agent{admitted: true}
	r := s.request(pack(t, files, tar.Header{Name: "blobs/", Typeflag: tar.TypeDir, Mode: 0o755}))
	r.Agent = a
	report, err := Import(t.Context(), r)
	require.NoError(t, err)
	require.True(t, report.Loaded, report.Images)
	require.Empty(t, report.Agent)
	require.Len(t, report.Images, 1)
	require.Equal(t, name, report.Images[0].Name)

	var idx ocispec.Index
	require.NoError(t, json.Unmarshal(s.loaded[ocispec.ImageIndexFile], &idx))
	require.Len(t, idx.Manifests, 1)
	require.Equal(t, report.Images[0].Digest, idx.Manifests[0].Digest)
	require.Equal(t, named(name), idx.Manifests[0].Annotations)
	require.NotContains(t, s.loaded, "blobs/sha256/"+digest.FromString("junk").Encoded())
	require.NotContains(t, s.loaded, "manifest.json")
	require.Contains(t, s.loaded, "blobs/sha256/"+digest.FromString("a layer").Encoded())
	for name, data := range s.loaded {
		if encoded, ok := strings.CutPrefix(name, "blobs/sha256/"); ok {
			require.Equal(t, encoded, fmt.Sprintf("%x", sha256.Sum256(data)))
		}
	}
	require.Equal(t, []control.Question{{Point: receipt.Import, Name: name, Digest: idx.Manifests[0].Digest, Stored: true}}, a.asked)
	got := s.receipts()
	require.Len(t, got, 1)
	require.Equal(t, receipt.Import, got[0].Point)
	require.True(t, got[0].Admitted)
}

// What signs an image from beside it is loaded under the names where a registry
// without a referrers API would have it.
func TestSignaturesBesideTheImageAreLoaded(t *testing.T) {
	s := newStand(t)
	files := s.layout(nil, named(name))
	var idx, image ocispec.Index
	require.NoError(t, json.Unmarshal(files[ocispec.ImageIndexFile], &idx))
	subject := idx.Manifests[0].Digest
	require.NoError(t, json.Unmarshal(files["blobs/sha256/"+subject.Encoded()], &image))
	config := struct {
		Config ocispec.Descriptor `json:"config"`
	}{}
	require.NoError(t, json.Unmarshal(files["blobs/sha256/"+image.Manifests[0].Digest.Encoded()], &config))

	store := verifytest.NewStore()
	bundle := s.sigstore.Bundle(t, verifytest.Statement(t, []provenance.Subject{{
		Name: provenance.SubjectImageID, Digest: map[string]string{"sha256": config.Config.Digest.Encoded()},
		Annotations: map[string]string{provenance.AnnotationPlatform: platforms.Format(platforms.Normalize(platforms.DefaultSpec()))},
	}}), verifytest.BundleOptions{Key: s.key, NoLogEntry: true, NoTimestamp: true})
	referrer := store.AttachBundle(t, image.Manifests[0].Digest, bundle)
	dir := t.TempDir()
	store.Layout(t, dir, "v1", referrer.Digest)
	blobs, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
	require.NoError(t, err)
	for _, b := range blobs {
		files["blobs/sha256/"+b.Name()], err = os.ReadFile(filepath.Join(dir, "blobs", "sha256", b.Name()))
		require.NoError(t, err)
	}
	referrer.ArtifactType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	files[ocispec.ImageIndexFile] = index(t, idx.Manifests[0], referrer)

	report, err := Import(t.Context(), s.request(pack(t, files)))
	require.NoError(t, err)
	require.True(t, report.Loaded, report.Images)
	require.NoError(t, json.Unmarshal(s.loaded[ocispec.ImageIndexFile], &idx))
	require.Len(t, idx.Manifests, 2)
	list := idx.Manifests[1]
	require.Equal(t, "registry.example/shop/app:sha256-"+image.Manifests[0].Digest.Encoded(), list.Annotations[annotationName])
	require.Contains(t, string(s.loaded["blobs/sha256/"+list.Digest.Encoded()]), referrer.Digest.String())
	require.Contains(t, s.loaded, "blobs/sha256/"+referrer.Digest.Encoded())
}

func TestRefusedArchivesAreNotLoaded(t *testing.T) {
	for title, test := range map[string]struct {
		signer func(s *stand) crypto.Signer
		name   string
		reason string
	}{
		"unsigned":             {func(*stand) crypto.Signer { return nil }, name, "unsigned"},
		"a stranger's":         {func(s *stand) crypto.Signer { return verifytest.NewKey(s.t, "p256") }, name, "denied"},
		"no policy":            {func(s *stand) crypto.Signer { return s.key }, "other.example/app:v1", "no policy"},
		"welcome by name only": {func(*stand) crypto.Signer { return nil }, "registry.example/pass/app:v1", "anybody can write a name into an archive"},
	} {
		s := newStand(t)
		report, err := Import(t.Context(), s.request(pack(t, s.layout(test.signer(s), named(test.name)))))
		require.NoError(t, err, title)
		require.False(t, report.Loaded, title)
		require.Nil(t, s.loaded, title)
		require.Contains(t, report.Images[0].Line, test.reason, title)
		require.Len(t, s.receipts(), 1, title)
		require.False(t, s.receipts()[0].Admitted, title)
	}
}

// One image that is refused keeps the others out as well.
func TestAllOrNothing(t *testing.T) {
	s := newStand(t)
	good, bad := s.layout(s.key, named(name)), s.layout(nil, named("registry.example/shop/bad:v1"))
	files := map[string][]byte{}
	var entries []ocispec.Descriptor
	for _, layout := range []map[string][]byte{good, bad} {
		var idx ocispec.Index
		require.NoError(t, json.Unmarshal(layout[ocispec.ImageIndexFile], &idx))
		entries = append(entries, idx.Manifests...)
		for name, data := range layout {
			files[name] = data
		}
	}
	files[ocispec.ImageIndexFile] = index(t, entries...)
	report, err := Import(t.Context(), s.request(pack(t, files)))
	require.NoError(t, err)
	require.Len(t, report.Images, 2)
	require.True(t, report.Images[0].Admitted)
	require.False(t, report.Images[1].Admitted)
	require.False(t, report.Loaded)
	require.Nil(t, s.loaded)

	entries[1].Annotations = named(name)
	files[ocispec.ImageIndexFile] = index(t, entries...)
	_, err = Import(t.Context(), s.request(pack(t, files)))
	require.ErrorContains(t, err, "two images are called")
}

func TestAuditModeLoads(t *testing.T) {
	s := newStand(t)
	require.NoError(t, admission.WriteMode(s.settings.Mode(), admission.State{Mode: admission.Audit}))
	report, err := Import(t.Context(), s.request(pack(t, s.layout(nil, named(name)))))
	require.NoError(t, err)
	require.True(t, report.Loaded)
	require.Equal(t, admission.ByMode, report.Images[0].By)
}

func TestNothingIsLoadedWithoutAReceipt(t *testing.T) {
	s := newStand(t)
	require.NoError(t, os.Symlink(t.TempDir(), s.settings.Receipts()))
	report, err := Import(t.Context(), s.request(pack(t, s.layout(s.key, named(name)))))
	require.NoError(t, err)
	require.False(t, report.Loaded)
	require.Nil(t, s.loaded)
	require.Contains(t, report.Images[0].Line, "receipts cannot be written")
}

func TestNames(t *testing.T) {
	s := newStand(t)
	unnamed := pack(t, s.layout(s.key, nil))
	_, err := Import(t.Context(), s.request(unnamed))
	require.ErrorIs(t, err, ErrArchive)
	require.ErrorContains(t, err, "say it with --name")

	r := s.request(unnamed)
	r.Name = name
	report, err := Import(t.Context(), r)
	require.NoError(t, err)
	require.True(t, report.Loaded)

	for _, bad := range []string{"app:v1", "shop/app:v1", "Registry.example/APP", "registry.example/app:v1\n"} {
		r.Name = bad
		_, err := Import(t.Context(), r)
		require.ErrorIs(t, err, ErrArchive, bad)
	}
	report, err = Import(t.Context(), s.request(pack(t, s.layout(s.key, map[string]string{ocispec.AnnotationRefName: name}))))
	require.NoError(t, err)
	require.True(t, report.Loaded)
}

func TestHostileArchives(t *testing.T) {
	s := newStand(t)
	blob := "blobs/sha256/" + digest.FromString("x").Encoded()
	for title, test := range map[string]struct {
		change func(files map[string][]byte)
		more   []tar.Header
		reason string
	}{
		"a way out":           {more: []tar.Header{{Name: "../../etc/cron.d/x", Mode: 0o644}}, reason: "leads out of it"},
		"a way out below":     {more: []tar.Header{{Name: "blobs/../../x", Mode: 0o644}}, reason: "leads out of it"},
		"an absolute name":    {more: []tar.Header{{Name: "/etc/passwd", Mode: 0o644}}, reason: "leads out of it"},
		"a symbolic link":     {more: []tar.Header{{Name: blob, Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"}}, reason: "no plain file"},
		"a hard link":         {more: []tar.Header{{Name: blob, Typeflag: tar.TypeLink, Linkname: "index.json"}}, reason: "no plain file"},
		"a device":            {more: []tar.Header{{Name: blob, Typeflag: tar.TypeBlock}}, reason: "no plain file"},
		"a pipe":              {more: []tar.Header{{Name: blob, Typeflag: tar.TypeFifo}}, reason: "no plain file"},
		"two indexes":         {more: []tar.Header{{Name: "./index.json"}}, reason: "twice"},
		"a blob of no digest": {change: func(f map[string][]byte) { f["blobs/sha256/abc"] = nil }, reason: "no name of a blob"},
		"another algorithm":   {change: func(f map[string][]byte) { f["blobs/md5/"+strings.Repeat("0", 32)] = nil }, reason: "no name of a blob"},
		"a blob below a blob": {change: func(f map[string][]byte) { f[blob+"/x"] = nil }, reason: "no name of a blob"},
		"other bytes":         {change: func(f map[string][]byte) { f[blob] = []byte("y") }, reason: "the bytes of " + blob},
		"no layout":           {change: func(f map[string][]byte) { delete(f, ocispec.ImageLayoutFile) }, reason: "it has no oci-layout"},
		"another layout":      {change: func(f map[string][]byte) { f[ocispec.ImageLayoutFile] = []byte(`{"imageLayoutVersion":"2"}`) }, reason: "want 1.0.0"},
		"no index":            {change: func(f map[string][]byte) { delete(f, ocispec.ImageIndexFile) }, reason: "it has no index.json"},
		"two meanings":        {change: func(f map[string][]byte) { f[ocispec.ImageIndexFile] = []byte(`{"manifests":[],"Manifests":[]}`) }, reason: "strict JSON"},
		"an endless index":    {change: func(f map[string][]byte) { f[ocispec.ImageIndexFile] = make([]byte, maxIndex+1) }, reason: "too large"},
		"no image":            {change: func(f map[string][]byte) { f[ocispec.ImageIndexFile] = []byte(`{}`) }, reason: "lists no image"},
		"no layer":            {change: func(f map[string][]byte) { delete(f, "blobs/sha256/"+digest.FromString("a layer").Encoded()) }, reason: "which is not in it"},
	} {
		files := s.layout(s.key, named(name))
		if test.change != nil {
			test.change(files)
		}
		s.loaded = nil
		_, err := Import(t.Context(), s.request(pack(t, files, test.more...)))
		require.ErrorIs(t, err, ErrArchive, title)
		require.ErrorContains(t, err, test.reason, title)
		require.Nil(t, s.loaded, title)
	}
}

func TestFilesThatAreNoArchive(t *testing.T) {
	s := newStand(t)
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, bytes.Repeat([]byte("text\n"), 1000), 0o600))
	for path, reason := range map[string]string{
		filepath.Join(t.TempDir(), "absent"): "no such file", t.TempDir(): "no regular file", "/dev/zero": "no regular file",
		text: "give a tar that is not compressed",
	} {
		_, err := Import(t.Context(), s.request(path))
		require.ErrorIs(t, err, ErrArchive)
		require.ErrorContains(t, err, reason)
	}
}

// The manifest for this node is not in the archive.
func TestOtherPlatformIsUndecided(t *testing.T) {
	s := newStand(t)
	files := s.layout(s.key, named(name))
	var idx, image ocispec.Index
	require.NoError(t, json.Unmarshal(files[ocispec.ImageIndexFile], &idx))
	require.NoError(t, json.Unmarshal(files["blobs/sha256/"+idx.Manifests[0].Digest.Encoded()], &image))
	delete(files, "blobs/sha256/"+image.Manifests[0].Digest.Encoded())
	report, err := Import(t.Context(), s.request(pack(t, files)))
	require.NoError(t, err)
	require.False(t, report.Loaded)
	require.Contains(t, report.Images[0].Line, "undecided")
}

// The file changes between the decision and the loading.
func TestArchiveThatIsSwapped(t *testing.T) {
	s := newStand(t)
	files := s.layout(s.key, named(name))
	path := pack(t, files)
	r := s.request(path)
	r.Load = func(ctx context.Context, archive io.Reader) error {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(data, []byte("a layer"), []byte("A LAYER")), 0o600))
		return s.load(ctx, archive)
	}
	_, err := Import(t.Context(), r)
	require.ErrorIs(t, err, ErrLoad)
	require.ErrorContains(t, err, "changed while it was imported")
	require.Nil(t, s.loaded)
}

func TestContainerdThatFails(t *testing.T) {
	s := newStand(t)
	s.fail = errors.New("no space left")
	_, err := Import(t.Context(), s.request(pack(t, s.layout(s.key, named(name)))))
	require.ErrorIs(t, err, ErrLoad)
	require.ErrorContains(t, err, "no space left")
}

func TestAgentThatDoesNotAgree(t *testing.T) {
	for _, a := range []*agent{{err: control.ErrAgent}, {admitted: false}} {
		s := newStand(t)
		r := s.request(pack(t, s.layout(s.key, named(name))))
		r.Agent = a
		report, err := Import(t.Context(), r)
		require.NoError(t, err)
		require.True(t, report.Loaded)
		require.NotEmpty(t, report.Agent)
	}
}
