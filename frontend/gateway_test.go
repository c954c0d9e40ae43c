// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	fstypes "github.com/tonistiigi/fsutil/types"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/frontend/basesbom"
	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/frontend/catalog/document"
	"github.com/plombproject/plomb/frontend/credential"
	"github.com/plombproject/plomb/frontend/materials"
	"github.com/plombproject/plomb/frontend/seal"
	"github.com/plombproject/plomb/provenance/contents"
	"github.com/plombproject/plomb/provenance/sbom"
)

var now = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

const selfImage = "example.com/plomb/frontend:v1@sha256:1111111111111111111111111111111111111111111111111111111111111111"

// A gateway stands for BuildKit. It runs nothing: a solve of a seal's report
// yields a made-up layer, one of a local source its files.
type gateway struct {
	t        testing.TB
	opts     map[string]string
	locals   map[string]map[string]string // files of local sources, by name
	secrets  map[string]string
	key      crypto.Signer  // the secret plomb-key; nil for none
	keyFault string         // why it cannot be used
	signWith crypto.Signer  // another key than that; nil for none
	base     ocispecs.Image // config of every image
	baseSBOM string         // what the helper says of the base image's
	more     []sbom.Package // what every step brings beside its own
	noImage  bool           // the frontend was not started from an image
	without  apicaps.CapID  // a capability that this BuildKit lacks

	mu       sync.Mutex
	solved   []*pb.Definition
	warnings []string
	ran      [][]string // what containers were started with
	ranAgain bool       // cached seals are those of another run of their step
}

var (
	_ client.Client    = (*gateway)(nil)
	_ client.Reference = solved{}
)

func newGateway(t testing.TB, dockerfile string, opts ...string) *gateway {
	g := &gateway{t: t, baseSBOM: `{}`, opts: map[string]string{}, locals: map[string]map[string]string{"dockerfile": {"Dockerfile": dockerfile}}}
	for _, o := range opts {
		name, value, _ := strings.Cut(o, "=")
		g.opts[name] = value
	}
	created := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	g.base = ocispecs.Image{
		Created:  &created,
		Platform: ocispecs.Platform{OS: "linux", Architecture: "amd64"},
		RootFS:   ocispecs.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString("base")}},
		History:  []ocispecs.History{{CreatedBy: "ADD", Created: &created}},
	}
	return g
}

// build runs the frontend.
func (g *gateway) build() (*client.Result, error) {
	f := Frontend{Version: "v0", Now: func() time.Time { return now }, HTTP: http.DefaultClient}
	return f.Build(g.t.Context(), g)
}

func (g *gateway) BuildOpts() client.BuildOpts {
	opts := without(g.without, false)
	opts.Opts, opts.SessionID = g.opts, "session"
	opts.Workers = []client.WorkerInfo{{Labels: map[string]string{"executor": "fake"}, Platforms: []ocispecs.Platform{{OS: "linux", Architecture: "amd64"}}}}
	return opts
}

func (g *gateway) CurrentFrontend() (*llb.State, error) {
	if g.noImage {
		return nil, nil
	}
	s := llb.Image(selfImage)
	return &s, nil
}

func (g *gateway) Inputs(context.Context) (map[string]llb.State, error) { return nil, nil }

func (g *gateway) Warn(_ context.Context, _ digest.Digest, msg string, _ client.WarnOpts) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.warnings = append(g.warnings, msg)
	return nil
}

func (g *gateway) ResolveSourceMetadata(_ context.Context, op *pb.SourceOp, _ sourceresolver.Opt) (*sourceresolver.MetaResponse, error) {
	if strings.HasPrefix(op.Identifier, "git://") {
		return &sourceresolver.MetaResponse{Op: op, Git: &sourceresolver.ResolveGitResponse{Checksum: strings.Repeat("c", 40)}}, nil
	}
	config, err := json.Marshal(g.base)
	return &sourceresolver.MetaResponse{Op: op, Image: &sourceresolver.ResolveImageResponse{Digest: digest.FromString("base manifest"), Config: config}}, err
}

func (g *gateway) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config, err := json.Marshal(g.base)
	return ref, digest.FromString("base manifest"), config, err
}

func (g *gateway) Solve(_ context.Context, req client.SolveRequest) (*client.Result, error) {
	g.mu.Lock()
	g.solved = append(g.solved, req.Definition)
	g.mu.Unlock()
	res := client.NewResult()
	res.SetRef(solved{files: g.files(req.Definition), def: req.Definition})
	return res, nil
}

// files are those that the result of def has.
func (g *gateway) files(def *pb.Definition) map[string]string {
	ops, at := parse(g.t, def)
	if at == nil {
		return nil
	}
	op := ops[at.Digest]
	if src := op.GetSource(); src != nil {
		return g.locals[strings.TrimPrefix(src.Identifier, "local://")]
	}
	if args := op.GetExec().GetMeta().GetArgs(); len(args) > 1 && args[1] == seal.Command {
		r := seal.Report{DiffID: digest.FromString(at.Digest), Size: 1, Changes: 1, Lower: "run 1", Upper: "run 1",
			Scrubbed: []seal.Scrubbed{{Path: "/var/log/dpkg.log", Rule: "dpkg-log"}}}
		if md := def.Metadata[at.Digest]; g.ranAgain && (md == nil || !md.IgnoreCache) {
			r.Upper = "run 0"
		}
		report, err := json.Marshal(r)
		require.NoError(g.t, err)
		files := map[string]string{seal.ReportFile: string(report)}
		if slices.Contains(args, "--catalog") {
			// Every step brings a package of its own.
			files[catalog.ReportFile] = found(g.t, "/app/"+at.Digest+"/package.json", append(g.more, sbom.Package{Type: "npm", Name: "from-" + at.Digest, Version: "1.0.0"})...)
		}
		return files
	}
	if args := op.GetExec().GetMeta().GetArgs(); len(args) > 1 && args[1] == basesbom.Command {
		return map[string]string{"base.json": g.baseSBOM}
	}
	if args := op.GetExec().GetMeta().GetArgs(); len(args) > 1 && args[1] == catalog.Command {
		return map[string]string{catalog.ReportFile: found(g.t, "/var/lib/dpkg/status", sbom.Package{Type: "deb", Name: "bash", Version: "5"})}
	}
	if args := op.GetExec().GetMeta().GetArgs(); len(args) > 1 && args[1] == document.Command {
		return map[string]string{"summary.json": `{"packages":"` + digest.FromString("packages").String() + `","files":"` + digest.FromString("files").String() + `"}`}
	}
	if args := op.GetExec().GetMeta().GetArgs(); len(args) > 1 && args[1] == materials.Command {
		summary, err := json.Marshal(contextSummary)
		require.NoError(g.t, err)
		return map[string]string{"contents.json": string(summary)}
	}
	return nil
}

// found is a catalogue's report of one file.
func found(t testing.TB, path string, packages ...sbom.Package) string {
	data, err := json.Marshal(sbom.Report{Findings: []sbom.Finding{{Path: path, Packages: packages}}, Files: 1})
	require.NoError(t, err)
	return string(data)
}

func parse(t testing.TB, def *pb.Definition) (map[string]*pb.Op, *pb.Input) {
	ops := map[string]*pb.Op{}
	var last *pb.Op
	for _, dt := range def.GetDef() {
		last = &pb.Op{}
		require.NoError(t, proto.Unmarshal(dt, last))
		ops[digest.FromBytes(dt).String()] = last
	}
	if last == nil {
		return nil, nil
	}
	return ops, last.Inputs[0]
}

// seals are the seal operations of everything that was solved, by digest.
func (g *gateway) seals() map[string]*pb.ExecOp {
	found := map[string]*pb.ExecOp{}
	for _, def := range g.solved {
		ops, _ := parse(g.t, def)
		for dgst, op := range ops {
			if args := op.GetExec().GetMeta().GetArgs(); len(args) > 1 && args[1] == seal.Command {
				found[dgst] = op.GetExec()
			}
		}
	}
	return found
}

// contextSummary is what the helper says of every local context.
var contextSummary = contents.Summary{Digest: strings.Repeat("ab", 32), Entries: 2, Bytes: 3, Marks: "00112233"}

type solved struct {
	files map[string]string
	def   *pb.Definition
}

func (r solved) ToState() (llb.State, error) { return llb.Scratch(), nil }

func (r solved) Evaluate(context.Context) error { return nil }

func (r solved) ReadFile(_ context.Context, req client.ReadRequest) ([]byte, error) {
	content, ok := r.files[req.Filename]
	if !ok {
		return nil, os.ErrNotExist
	}
	data := []byte(content)
	if rng := req.Range; rng != nil {
		data = data[min(rng.Offset, len(data)):]
		if rng.Length > 0 {
			data = data[:min(rng.Length, len(data))]
		}
	}
	return data, nil
}

func (r solved) StatFile(_ context.Context, req client.StatRequest) (*fstypes.Stat, error) {
	content, ok := r.files[req.Path]
	if !ok {
		return nil, os.ErrNotExist
	}
	return &fstypes.Stat{Path: req.Path, Size: int64(len(content))}, nil
}

func (r solved) ReadDir(context.Context, client.ReadDirRequest) ([]*fstypes.Stat, error) {
	var list []*fstypes.Stat
	for name, content := range r.files {
		list = append(list, &fstypes.Stat{Path: name, Size: int64(len(content))})
	}
	slices.SortFunc(list, func(a, b *fstypes.Stat) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

func (g *gateway) NewContainer(context.Context, client.NewContainerRequest) (client.Container, error) {
	return container{g: g}, nil
}

// A container answers as the helper does that reads secrets.
type container struct {
	client.Container
	g *gateway
}

func (c container) Start(_ context.Context, req client.StartRequest) (client.ContainerProcess, error) {
	c.g.mu.Lock()
	c.g.ran = append(c.g.ran, req.Args)
	c.g.mu.Unlock()
	if req.Args[1] == credential.SignCommand {
		return process{out: req.Stdout, got: c.g.signature(req.Args[2])}, nil
	}
	got := credential.Given{Tokens: map[string]string{}}
	for _, id := range req.Args[2:] {
		if v, ok := c.g.secrets[id]; ok {
			got.Tokens[id] = v
		}
		if id == credential.Key && c.g.key != nil {
			got.Key = &credential.PublicKey{SPKI: spki(c.g.t, c.g.key), Fault: c.g.keyFault}
		}
	}
	return process{out: req.Stdout, got: got}, nil
}

func spki(t testing.TB, key crypto.Signer) []byte {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return der
}

// signature is what the helper prints that signs.
func (g *gateway) signature(dgst string) map[string][]byte {
	key := g.key
	if g.signWith != nil {
		key = g.signWith
	}
	sum, err := hex.DecodeString(digest.Digest(dgst).Encoded())
	require.NoError(g.t, err)
	sig, err := key.Sign(rand.Reader, sum, crypto.SHA256)
	require.NoError(g.t, err)
	return map[string][]byte{"spki": spki(g.t, key), "signature": sig}
}

func (c container) Release(context.Context) error { return nil }

type process struct {
	client.ContainerProcess
	out io.Writer
	got any
}

func (p process) Wait() error { return json.NewEncoder(p.out).Encode(p.got) }
