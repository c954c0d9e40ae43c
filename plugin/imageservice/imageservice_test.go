// SPDX-License-Identifier: Apache-2.0

package imageservice_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/plombproject/plomb/plugin/imageservice"
)

// containerd is a fake one.
type containerd struct {
	runtime.UnimplementedImageServiceServer
	runtime.UnimplementedRuntimeServiceServer
	pull func(ctx context.Context, req *runtime.PullImageRequest) (*runtime.PullImageResponse, error)
}

func (c *containerd) PullImage(ctx context.Context, req *runtime.PullImageRequest) (*runtime.PullImageResponse, error) {
	return c.pull(ctx, req)
}

func (c *containerd) ListImages(ctx context.Context, req *runtime.ListImagesRequest) (*runtime.ListImagesResponse, error) {
	big := strings.Repeat("x", 8<<20)
	return &runtime.ListImagesResponse{Images: []*runtime.Image{{Id: big}, {Id: req.GetFilter().GetImage().GetImage()}}}, nil
}

func (c *containerd) StreamImages(_ *runtime.StreamImagesRequest, s grpc.ServerStreamingServer[runtime.StreamImagesResponse]) error {
	for range 3 {
		if err := s.Send(&runtime.StreamImagesResponse{}); err != nil {
			return err
		}
	}
	return nil
}

// loans is a Lender that writes down.
type loans struct {
	mu    sync.Mutex
	lent  []string
	given int
	err   error
}

func (l *loans) Lend(_ context.Context, image, host, user, secret string) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	l.lent = append(l.lent, strings.Join([]string{image, host, user, secret}, " "))
	return func() { l.mu.Lock(); l.given++; l.mu.Unlock() }, nil
}

// seen gives what is lent now, and forgets it.
func (l *loans) seen() (lent []string, now int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lent, len(l.lent) - l.given
}

type stand struct {
	*containerd
	loans  *loans
	client runtime.ImageServiceClient
	conn   *grpc.ClientConn
	socket string
}

func newStand(t testing.TB) *stand {
	dir, err := os.MkdirTemp("", "p") // short, for sockets
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &stand{containerd: &containerd{}, loans: &loans{}, socket: filepath.Join(dir, "proxy.sock")}
	upstream := filepath.Join(dir, "containerd.sock")
	l, err := net.Listen("unix", upstream)
	require.NoError(t, err)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(imageservice.MaxMessage), grpc.MaxSendMsgSize(imageservice.MaxMessage))
	runtime.RegisterImageServiceServer(server, s.containerd)
	runtime.RegisterRuntimeServiceServer(server, s.containerd)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)

	listener, err := imageservice.Listen("unix://" + s.socket)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- imageservice.Serve(ctx, listener, upstream, s.loans) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	s.conn, err = grpc.NewClient("unix://"+s.socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(imageservice.MaxMessage), grpc.MaxCallSendMsgSize(imageservice.MaxMessage)))
	require.NoError(t, err)
	t.Cleanup(func() { s.conn.Close() })
	s.client = runtime.NewImageServiceClient(s.conn)
	return s
}

func pull(image string, auth *runtime.AuthConfig) *runtime.PullImageRequest {
	return &runtime.PullImageRequest{Image: &runtime.ImageSpec{Image: image}, Auth: auth}
}

func TestPullLends(t *testing.T) {
	s := newStand(t)
	basic := base64.StdEncoding.EncodeToString([]byte("ann:hun:ter2"))
	for _, c := range []struct {
		auth *runtime.AuthConfig
		want string // image, host, user and secret; empty: nothing is lent
	}{
		{&runtime.AuthConfig{Username: "ann", Password: "hunter2"}, "registry.example/app  ann hunter2"},
		{&runtime.AuthConfig{Username: "ann", Password: "hunter2", IdentityToken: "identity"}, "registry.example/app  ann hunter2"},
		{&runtime.AuthConfig{Auth: basic}, "registry.example/app  ann hun:ter2"},
		{&runtime.AuthConfig{IdentityToken: "identity"}, "registry.example/app   identity"},
		{&runtime.AuthConfig{Username: "ann", Password: "p", ServerAddress: "https://other.example:5/v1/"}, "registry.example/app other.example:5 ann p"},
		{&runtime.AuthConfig{Username: "ann", Password: "p", ServerAddress: "%"}, ""},
		{&runtime.AuthConfig{RegistryToken: "bearer"}, ""},
		{&runtime.AuthConfig{Auth: "%"}, ""},
		{&runtime.AuthConfig{Auth: base64.StdEncoding.EncodeToString([]byte("ann"))}, ""},
		{nil, ""},
	} {
		s.loans.lent, s.loans.given = nil, 0
		var lent []string
		var open int
		s.pull = func(_ context.Context, req *runtime.PullImageRequest) (*runtime.PullImageResponse, error) {
			lent, open = s.loans.seen()
			if !proto.Equal(pull("registry.example/app", c.auth), req) {
				return nil, errors.New("another request came")
			}
			return &runtime.PullImageResponse{ImageRef: "sha256:1"}, nil
		}
		got, err := s.client.PullImage(t.Context(), pull("registry.example/app", c.auth))
		require.NoError(t, err)
		if c.want == "" {
			require.Empty(t, lent)
		} else {
			require.Equal(t, []string{c.want}, lent)
			require.Equal(t, 1, open, "while containerd pulls")
		}
		require.Equal(t, "sha256:1", got.GetImageRef())
		require.Eventually(t, func() bool { _, now := s.loans.seen(); return now == 0 }, 10*time.Second, time.Millisecond)
	}
}

// TestBrokenLoan: the pull goes on; the verifier will say what it lacks.
func TestBrokenLoan(t *testing.T) {
	s := newStand(t)
	s.loans.err = errors.New("no")
	s.pull = func(context.Context, *runtime.PullImageRequest) (*runtime.PullImageResponse, error) {
		return &runtime.PullImageResponse{ImageRef: "sha256:1"}, nil
	}
	_, err := s.client.PullImage(t.Context(), pull("registry.example/app", &runtime.AuthConfig{Username: "ann", Password: "p"}))
	require.NoError(t, err)
}

func TestRefusalsAreKubelets(t *testing.T) {
	s := newStand(t)
	for message, want := range map[string]string{
		`failed to pull and unpack image "r.example/app:v1": image verifier bindir blocked pull of r.example/app:v1 with digest sha256:12 for reason: verifier plomb-verifier rejected image (exit code 1): denied: r.example/app:v1@sha256:12: no signature`: "SignatureValidationFailed: denied: r.example/app:v1@sha256:12: no signature",
		`image verifier plomb blocked pull of r.example/app:v1 with digest sha256:12 for reason: denied: no signature`:                                                                                                                                        "SignatureValidationFailed: denied: no signature",
		`SignatureValidationFailed: by another`:                                      "SignatureValidationFailed: by another",
		`blocking pull of x with digest y: image verifier bindir returned error: no`: `blocking pull of x with digest y: image verifier bindir returned error: no`,
		`not found`: "not found",
	} {
		for _, code := range []codes.Code{codes.Unknown, codes.InvalidArgument} {
			s.pull = func(context.Context, *runtime.PullImageRequest) (*runtime.PullImageResponse, error) {
				return nil, status.Error(code, message)
			}
			_, err := s.client.PullImage(t.Context(), pull("r.example/app:v1", nil))
			require.Equal(t, want, status.Convert(err).Message())
			if want != message {
				// kubelet takes the code off an Unknown error only.
				require.Equal(t, codes.Unknown, status.Code(err))
			} else {
				require.Equal(t, code, status.Code(err))
			}
		}
	}
}

// TestNewerFieldsAndMethods pass through a proxy that does not know them.
func TestNewerFieldsAndMethods(t *testing.T) {
	s := newStand(t)
	extra := protowire.AppendString(protowire.AppendTag(nil, 900, protowire.BytesType), "from the future")
	s.pull = func(ctx context.Context, req *runtime.PullImageRequest) (*runtime.PullImageResponse, error) {
		require.Equal(t, extra, []byte(req.ProtoReflect().GetUnknown()))
		md, _ := metadata.FromIncomingContext(ctx)
		require.Equal(t, []string{"value"}, md.Get("x-test"))
		_, ok := ctx.Deadline()
		require.True(t, ok, "kubelet's deadline is containerd's")
		resp := &runtime.PullImageResponse{ImageRef: "sha256:1"}
		resp.ProtoReflect().SetUnknown(extra)
		require.NoError(t, grpc.SetHeader(ctx, metadata.Pairs("x-head", "h")))
		require.NoError(t, grpc.SetTrailer(ctx, metadata.Pairs("x-tail", "t")))
		return resp, nil
	}
	req := pull("registry.example/app", nil)
	req.ProtoReflect().SetUnknown(extra)
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "x-test", "value"), time.Minute)
	defer cancel()
	var head, tail metadata.MD
	resp, err := s.client.PullImage(ctx, req, grpc.Header(&head), grpc.Trailer(&tail))
	require.NoError(t, err)
	require.Equal(t, extra, []byte(resp.ProtoReflect().GetUnknown()))
	require.Equal(t, []string{"h"}, head.Get("x-head"))
	require.Equal(t, []string{"t"}, tail.Get("x-tail"))

	// A method that containerd does not have is containerd's to refuse.
	err = s.conn.Invoke(ctx, "/runtime.v1.ImageService/Newer", req, resp)
	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.Contains(t, err.Error(), "unknown method Newer")

	stream, err := s.client.StreamImages(ctx, &runtime.StreamImagesRequest{})
	require.NoError(t, err)
	for range 3 {
		_, err = stream.Recv()
		require.NoError(t, err)
	}
	_, err = stream.Recv()
	require.Error(t, err)
	require.Equal(t, "EOF", err.Error())
}

func TestLargeMessages(t *testing.T) {
	s := newStand(t)
	name := strings.Repeat("y", 7<<20)
	list, err := s.client.ListImages(t.Context(), &runtime.ListImagesRequest{Filter: &runtime.ImageFilter{Image: &runtime.ImageSpec{Image: name}}})
	require.NoError(t, err)
	require.Equal(t, name, list.GetImages()[1].GetId())
}

// TestOtherServices: the socket is no way to start or enter containers.
func TestOtherServices(t *testing.T) {
	s := newStand(t)
	_, err := runtime.NewRuntimeServiceClient(s.conn).Version(t.Context(), &runtime.VersionRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.Contains(t, err.Error(), "plomb")
	for _, method := range []string{"/runtime.v1.ImageService/../RuntimeService/Exec", "/evil/runtime.v1.ImageService/PullImage", "/containerd.services.images.v1.Images/List"} {
		err = s.conn.Invoke(t.Context(), method, &runtime.VersionRequest{}, &runtime.VersionResponse{})
		require.Equal(t, codes.Unimplemented, status.Code(err), method)
	}
}

// TestCancelledPull reaches containerd, and gives the secret back.
func TestCancelledPull(t *testing.T) {
	s := newStand(t)
	started, stopped := make(chan struct{}), make(chan struct{})
	s.pull = func(ctx context.Context, _ *runtime.PullImageRequest) (*runtime.PullImageResponse, error) {
		close(started)
		<-ctx.Done()
		close(stopped)
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := s.client.PullImage(ctx, pull("registry.example/app", &runtime.AuthConfig{Username: "ann", Password: "p"}))
		ended <- err
	}()
	<-started
	cancel()
	require.Equal(t, codes.Canceled, status.Code(<-ended))
	<-stopped
	require.Eventually(t, func() bool { _, now := s.loans.seen(); return now == 0 }, 10*time.Second, time.Millisecond)
}

func TestContainerdIsAbsent(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "p"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = imageservice.Serve(ctx, l, filepath.Join(dir, "absent"), &loans{}) }()
	conn, err := grpc.NewClient("unix://"+filepath.Join(dir, "p"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	_, err = runtime.NewImageServiceClient(conn).ImageFsInfo(t.Context(), &runtime.ImageFsInfoRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err))
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err := imageservice.Listen(path)
	require.ErrorIs(t, err, imageservice.ErrProxy)
	require.FileExists(t, path)
	require.NoError(t, os.Remove(path))

	l, err := imageservice.Listen(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	_, err = imageservice.Listen(path)
	require.ErrorContains(t, err, "in use")
	require.NoError(t, l.Close())
	// What a killed agent left behind is in nobody's way.
	l, err = imageservice.Listen(path)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

func BenchmarkProxy(b *testing.B) {
	s := newStand(b)
	s.pull = func(context.Context, *runtime.PullImageRequest) (*runtime.PullImageResponse, error) {
		return &runtime.PullImageResponse{ImageRef: "sha256:1"}, nil
	}
	req := pull("registry.example/app", &runtime.AuthConfig{Username: "ann", Password: "p"})
	for name, client := range map[string]runtime.ImageServiceClient{"proxy": s.client, "direct": direct(b, s)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := client.PullImage(b.Context(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func direct(b *testing.B, s *stand) runtime.ImageServiceClient {
	conn, err := grpc.NewClient("unix://"+filepath.Join(filepath.Dir(s.socket), "containerd.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(b, err)
	b.Cleanup(func() { conn.Close() })
	return runtime.NewImageServiceClient(conn)
}
