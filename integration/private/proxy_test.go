// SPDX-License-Identifier: Apache-2.0

//go:build integration

package private

import (
	"context"
	"fmt"
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
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/plombproject/plomb/integration/stand"
)

// imageService is a client of the CRI at a socket, as kubelet is.
func imageService(t *testing.T, socket string) runtime.ImageServiceClient {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return runtime.NewImageServiceClient(conn)
}

// pull pulls as kubelet does with a pull secret; none if it is empty.
func pull(ctx context.Context, c runtime.ImageServiceClient, image, secret string) error {
	req := &runtime.PullImageRequest{Image: &runtime.ImageSpec{Image: image}}
	if secret != "" {
		req.Auth = &runtime.AuthConfig{Username: user, Password: secret}
	}
	_, err := c.PullImage(ctx, req)
	return err
}

// startAgent starts plomb agent with the image service proxy, for the policy of
// the images and with more in node.yaml, and gives the proxy's socket.
func startAgent(t *testing.T, i images, more string) (socket string) {
	t.Helper()
	root, err := os.ReadFile(i.root)
	require.NoError(t, err)
	write(t, on.TrustedRoot(), string(root))
	require.NoError(t, os.RemoveAll(filepath.Join(on.Policy, "stand.yaml")))
	write(t, filepath.Join(on.Policy, "private.yaml"), policyText)
	node, err := os.ReadFile(on.NodeConfig())
	require.NoError(t, err)
	t.Cleanup(func() { write(t, on.NodeConfig(), string(node)) })
	socket = filepath.Join(on.Dir, "run", "images.sock")
	write(t, on.NodeConfig(), string(node)+"imageService: {listen: "+socket+"}\n"+more)
	require.NoError(t, on.StartAgent(t.Context()))
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(on.LogTail(stand.Agent, 60))
		}
		require.NoError(t, on.StopDaemon(context.WithoutCancel(t.Context()), stand.Agent))
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("unix", socket) // an earlier agent's file may be there
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 30*time.Second, 20*time.Millisecond)
	info, err := os.Stat(socket)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	return socket
}

// TestPullSecrets: kubelet pulls private images with a pod's secrets, through
// the proxy, from a real containerd with plomb-verifier and an agent.
func TestPullSecrets(t *testing.T) {
	i := push(t)
	host := withPasswords(t, "")
	proxy, containerd := imageService(t, startAgent(t, i, "")), imageService(t, on.ContainerdAddress)
	signed, unsigned := host+"/"+i.repository+":signed", host+"/"+i.repository+":unsigned"
	watched := watchProcesses(t)

	// Without the proxy nobody tells the verifier the secret.
	err := pull(t.Context(), containerd, signed, password)
	require.ErrorContains(t, err, "registry denies access")
	// With it, the image is verified, and pulled.
	require.NoError(t, pull(t.Context(), proxy, signed, password))

	err = pull(t.Context(), proxy, unsigned, password)
	require.Equal(t, codes.Unknown, status.Code(err), "the only code that kubelet takes off")
	message := status.Convert(err).Message()
	require.True(t, strings.HasPrefix(message, "SignatureValidationFailed: "), message)
	require.Contains(t, message, "signature")
	require.NotContains(t, message, "exit code")

	// What containerd itself could not do is not about signatures.
	err = pull(t.Context(), proxy, signed, wrong)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "SignatureValidationFailed")
	require.Error(t, pull(t.Context(), proxy, signed, ""))

	watched()
	clean(t)
}

// TestPullSecretsOfSeveral: tenants pull the same image at one time, some with
// a secret that is none. Nobody's secret decides for another.
func TestPullSecretsOfSeveral(t *testing.T) {
	i := push(t)
	host := withPasswords(t, "")
	proxy := imageService(t, startAgent(t, i, ""))
	image := host + "/" + i.repository + ":signed"
	errs := make([]error, 16)
	var wg sync.WaitGroup
	for n := range errs {
		secret := password
		if n%2 == 1 {
			secret = wrong
		}
		wg.Go(func() { errs[n] = pull(t.Context(), proxy, image, secret) })
	}
	wg.Wait()
	for n, err := range errs {
		if n%2 == 0 {
			require.NoError(t, err, fmt.Sprint(n))
		} else {
			require.Error(t, err, fmt.Sprint(n))
		}
	}
	clean(t)
}

// TestAgentAsksProviderOnce: kubelet's providers serve pulls that do not come
// through the proxy, and the agent remembers what they say.
func TestAgentAsksProviderOnce(t *testing.T) {
	i := push(t)
	host := withPasswords(t, "")
	part, asked := provider(t, host, answerFor(host, password))
	startAgent(t, i, "credentials: {"+part+"}\n")
	containerd := imageService(t, on.ContainerdAddress)
	watched := watchProcesses(t)
	require.NoError(t, pull(t.Context(), containerd, host+"/"+i.repository+":signed", password))
	require.ErrorContains(t, pull(t.Context(), containerd, host+"/"+i.repository+":unsigned", password), "unsigned")
	watched()
	require.Equal(t, host+"/"+i.repository+"\n", asked())
	clean(t)
}

// clean looks for secrets in all that the daemons wrote.
func clean(t *testing.T) {
	t.Helper()
	nowhereIn(t, filepath.Join(on.Dir, "log"))
	nowhereIn(t, on.NodeState())
	nowhereIn(t, filepath.Join(on.Dir, "containerd", "root"))
}
