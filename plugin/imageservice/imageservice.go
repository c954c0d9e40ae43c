// SPDX-License-Identifier: Apache-2.0

// Package imageservice stands between kubelet and containerd's image service
// (CRI, runtime.v1.ImageService): kubelet's --image-service-endpoint names its
// socket.
//
// kubelet hands a pull secret to whoever pulls, and containerd hands it on to
// nobody, so a verifier could not read the signatures of a private image. The
// proxy lends the secret of each PullImage to the verifier until that call
// returns. Besides it words refusals so that kubelet knows them for what they
// are.
//
// It enforces nothing: who calls containerd directly meets the verifier all the
// same. Every message passes as the bytes that came, so fields and methods that
// are newer than this program survive.
package imageservice

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// MaxMessage bounds one message, in bytes: what kubelet and containerd allow
// (maxMsgSize in k8s.io/cri-client, defaults.DefaultMaxRecvMsgSize).
const MaxMessage = 16 << 20

// stopLimit is how long calls may go on after the proxy was told to end.
const stopLimit = 5 * time.Second

// ErrProxy reports a proxy that cannot serve.
var ErrProxy = errors.New("image service proxy")

// A Lender keeps a pull secret for whoever verifies the image, until giveBack
// is called. host is the only one that may get it, empty for the registry in
// the image's name. An empty user is an identity token.
type Lender interface {
	Lend(ctx context.Context, image, host, user, secret string) (giveBack func(), err error)
}

// service is what is passed on: the image service of any version of CRI. The
// others are none of kubelet's business here.
var service = regexp.MustCompile(`^/runtime\.v[0-9a-z]+\.ImageService/[A-Za-z]+$`)

// Listen makes the socket, for root alone. A socket that nobody listens on any
// more is replaced; any other file is not.
func Listen(path string) (net.Listener, error) {
	path = strings.TrimPrefix(path, "unix://")
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.Mode()&os.ModeSocket == 0:
		return nil, fmt.Errorf("%w: %s is there and no socket: remove it, or set imageService.listen to another path", ErrProxy, path)
	case err == nil:
		c, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) { // a full queue, for one, is no proof of death
			return nil, fmt.Errorf("%w: %s is in use by another program", ErrProxy, path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrProxy, err)
		}
	}
	// Under a name that nobody connects to, until its mode is right.
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProxy, err)
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(tmp, 0o600)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		l.Close()
		_ = os.Remove(tmp)
		return nil, fmt.Errorf("%w: %w", ErrProxy, err)
	}
	return l, nil
}

// checkFolder refuses a folder in which others could put a socket of theirs:
// kubelet would give it every pull secret.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProxy, err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid != 0 && int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%w: others can write to the folder %s: set imageService.listen to a path below /run/plomb", ErrProxy, dir)
	}
	return nil
}

// Serve passes calls on to containerd's socket until ctx ends. It closes l.
func Serve(ctx context.Context, l net.Listener, upstream string, lender Lender) error {
	conn, err := grpc.NewClient("unix://"+strings.TrimPrefix(upstream, "unix://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// containerd restarts in seconds; gRPC would wait up to two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}, MinConnectTimeout: time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage), grpc.ForceCodecV2(raw{})))
	if err != nil {
		l.Close()
		return fmt.Errorf("%w: %s: %w", ErrProxy, upstream, err)
	}
	defer conn.Close()
	p := &proxy{upstream: conn, lender: lender}
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(raw{}), grpc.MaxRecvMsgSize(MaxMessage), grpc.MaxSendMsgSize(MaxMessage),
		grpc.UnknownServiceHandler(p.handle))
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		hard := time.AfterFunc(stopLimit, server.Stop)
		defer hard.Stop()
		server.GracefulStop()
	})
	err = server.Serve(l)
	if !stop() {
		<-ended
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrProxy, err)
}

// proxy passes calls on.
type proxy struct {
	upstream *grpc.ClientConn
	lender   Lender
}

// handle is one call, of any kind.
func (p *proxy) handle(_ any, down grpc.ServerStream) error {
	method, ok := grpc.MethodFromServerStream(down)
	if !ok || !service.MatchString(method) {
		return status.Errorf(codes.Unimplemented, "plomb's image service proxy does not serve %s", method)
	}
	if !strings.HasSuffix(method, "/PullImage") {
		return p.forward(down, method, nil)
	}
	first := &frame{}
	if err := down.RecvMsg(first); err != nil {
		return err
	}
	giveBack, err := p.lend(down.Context(), first.data)
	if err != nil {
		return err
	}
	defer giveBack()
	return refusal(p.forward(down, method, first))
}
