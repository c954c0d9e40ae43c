// SPDX-License-Identifier: Apache-2.0

//go:build integration

package parity

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/tamper"
)

// fixtures are what cases may name as ${NAME}:
//
//	BUSYBOX     the base image of most cases
//	ONBUILD     a base with ONBUILD instructions
//	CONFIGURED  a base whose config says something about everything
//	NOHISTORY   BUSYBOX without history in its config
//	MULTI       BUSYBOX for linux/amd64 and linux/arm64; its programs run on both
//	LAYOUT      an OCI layout with BUSYBOX, as folder@digest
//	HTTP        a web server with hello.txt, hello.tar.gz, xattrs.tar, context.tar.gz, Dockerfile
//	HELLO_SUM   the digest of hello.txt
//	GIT, COMMIT a repository with two commits, a tag v1 and a folder sub; its head
//	KEY         the file of an SSH key
//	REGISTRY    the registry
//	TOKEN       the file of an identity token
type fixtures map[string]string

func (f fixtures) replacer(dir string) *strings.Replacer {
	pairs := []string{"${DIR}", dir}
	for name, value := range f {
		pairs = append(pairs, "${"+name+"}", value)
	}
	return strings.NewReplacer(pairs...)
}

func newFixtures(ctx context.Context, dir string) (fixtures, func(), error) {
	f := fixtures{"KEY": filepath.Join(dir, "key.pem"), "REGISTRY": shared.Registry}
	if err := os.MkdirAll(filepath.Join(dir, "www"), 0o755); err != nil {
		return nil, nil, err
	}
	for _, make := range []func(context.Context, string) error{f.images, f.noHistory, f.layout, f.files, f.xattrs, f.key, f.token} {
		if err := make(ctx, dir); err != nil {
			return nil, nil, err
		}
	}
	files := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(dir, "www"))))
	git := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(f["gitexec"], "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Join(dir, "git"), "GIT_HTTP_EXPORT_ALL=1"},
	})
	f["HTTP"], f["GIT"] = files.URL, git.URL+"/repo.git"
	return f, func() { files.Close(); git.Close() }, nil
}

const (
	onbuild = `FROM %s
ONBUILD RUN echo first > /first
ONBUILD COPY file /copied
ONBUILD ENV FROM_ONBUILD=yes
`
	configured = `FROM %s
ENV BASE=yes PATH=/base/bin:/bin
LABEL base=yes kept=yes
WORKDIR /base
USER 7:8
EXPOSE 80
VOLUME /base/volume
HEALTHCHECK --interval=3s CMD true
STOPSIGNAL SIGINT
SHELL ["/bin/sh", "-e", "-c"]
ENTRYPOINT ["/bin/sh"]
CMD ["-c", "true"]
`
	multi = `FROM scratch
COPY --from=%s / /
ENV PATH=/bin
`
)

func (f fixtures) images(ctx context.Context, dir string) error {
	var err error
	if f["BUSYBOX"], err = harness.Hack(ctx, shared, "base", "busybox"); err != nil {
		return err
	}
	for name, dockerfile := range map[string]string{"ONBUILD": onbuild, "CONFIGURED": configured, "MULTI": multi} {
		f[name] = shared.Registry + "/parity/" + strings.ToLower(name) + ":latest"
		args := []string{"build", "--provenance=false", "--output", "type=image,push=true,name=" + f[name]}
		if name == "MULTI" {
			args = append(args, "--platform", "linux/amd64,linux/arm64")
		}
		p := harness.Command{On: shared, Args: append(args, "-"), Stdin: strings.NewReader(fmt.Sprintf(dockerfile, f["BUSYBOX"]))}.Do(ctx)
		if p.Err != nil {
			return fmt.Errorf("%w: %s", p.Err, p.All)
		}
	}
	return nil
}

// noHistory pushes BUSYBOX with a config that has no history, as some tools
// make them.
func (f fixtures) noHistory(ctx context.Context, _ string) error {
	name, _, _ := strings.Cut(f["BUSYBOX"], "@")
	from, tag, err := tamper.Parse(name)
	if err != nil {
		return err
	}
	f["NOHISTORY"] = from.Ref("nohistory")
	data, err := from.Manifest(ctx, tag)
	if err != nil {
		return err
	}
	var m ocispecs.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	if data, err = from.Blob(ctx, m.Config.Digest); err != nil {
		return err
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(data, &config); err != nil {
		return err
	}
	delete(config, "history")
	if data, err = json.Marshal(config); err != nil {
		return err
	}
	m.Config.Size = int64(len(data))
	if m.Config.Digest, err = from.PutBlob(ctx, data); err != nil {
		return err
	}
	if data, err = json.Marshal(m); err != nil {
		return err
	}
	_, err = from.PutManifest(ctx, "nohistory", data)
	return err
}

func (f fixtures) layout(ctx context.Context, dir string) error {
	to := filepath.Join(dir, "layout")
	p := harness.Command{On: shared, Args: []string{"build", "--provenance=false", "--output", "type=oci,tar=false,dest=" + to, "-"},
		Stdin: strings.NewReader("FROM " + f["BUSYBOX"] + "\nENV LAYOUT=yes\n")}.Do(ctx)
	if p.Err != nil {
		return fmt.Errorf("%w: %s", p.Err, p.All)
	}
	data, err := os.ReadFile(filepath.Join(to, "index.json"))
	if err != nil {
		return err
	}
	var index ocispecs.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return err
	}
	f["LAYOUT"] = to + "@" + index.Manifests[0].Digest.String()
	return nil
}

// served makes the files of the two servers. Times are fixed, so that a server
// answers the same on every run.
const served = `
export TZ=UTC
cd www
echo hello > hello.txt
mkdir -p hello/sub && echo hello > hello/sub/file && ln -s file hello/sub/link
touch -h -d 2020-02-03T04:05:06 hello.txt hello/sub/* hello/sub hello
tar -czf hello.tar.gz --owner=12 --group=34 hello
mkdir context && echo remote > context/file
printf 'FROM scratch\nCOPY file /\n' > context/Dockerfile
tar -czf context.tar.gz -C context .
printf 'FROM scratch\nLABEL from=http\n' > Dockerfile
cd ..
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_AUTHOR_DATE=2020-02-03T04:05:06Z
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.com GIT_COMMITTER_DATE=2020-02-03T04:05:06Z
mkdir git && git init -q -b main work && cd work
mkdir sub && echo one > file && echo sub > sub/file && ln -s file link
printf 'FROM scratch\nCOPY file /\n' > Dockerfile
printf 'FROM scratch\nCOPY file /from-sub\n' > sub/Dockerfile
git add . && git commit -q -m one && git tag -a -m v1 v1
echo two > file && git commit -q -a -m two
git clone -q --bare . ../git/repo.git
`

func (f fixtures) files(ctx context.Context, dir string) error {
	scripts := []struct{ name, script string }{
		{"", served},
		{"HELLO_SUM", `printf sha256: && sha256sum < www/hello.txt | cut -c -64`},
		{"COMMIT", `git -C git/repo.git rev-parse main`},
		{"gitexec", `git --exec-path`},
	}
	for _, s := range scripts {
		p := harness.Command{On: shared, Name: "/bin/sh", Args: []string{"-euc", s.script}, Dir: dir}.Do(ctx)
		if p.Err != nil {
			return fmt.Errorf("%w: %s", p.Err, p.All)
		}
		if s.name != "" {
			f[s.name] = strings.TrimSpace(p.Out)
		}
	}
	return nil
}

// xattrs makes an archive of files with capabilities and attributes, without
// the programs that set them, which not every machine has.
func (f fixtures) xattrs(_ context.Context, dir string) error {
	// struct vfs_cap_data of capability.h, revision 2 with the effective bit:
	// cap_net_raw (13) is permitted.
	netRaw := string([]byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, records := range map[string]map[string]string{
		"cap":  {"SCHILY.xattr.security.capability": netRaw},
		"note": {"SCHILY.xattr.user.note": "hello"},
	} {
		hdr := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(name)), Format: tar.FormatPAX, PAXRecords: records}
		if err := w.WriteHeader(hdr); err != nil {
			return err
		}
		if _, err := w.Write([]byte(name)); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "www", "xattrs.tar"), b.Bytes(), 0o644)
}

// token writes an identity token that outlives the tests.
func (f fixtures) token(ctx context.Context, dir string) error {
	token, err := harness.Hack(ctx, shared, "token", "--lifetime", "1h")
	if err != nil {
		return err
	}
	f["TOKEN"] = filepath.Join(dir, "token")
	return os.WriteFile(f["TOKEN"], []byte(token), 0o600)
}

func (f fixtures) key(context.Context, string) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	return os.WriteFile(f["KEY"], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}
