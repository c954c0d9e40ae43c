// SPDX-License-Identifier: Apache-2.0

package imageservice

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
	crierrors "k8s.io/cri-api/pkg/errors"
)

// lend lends the secret of a PullImageRequest. A request that cannot be read,
// or that has no secret, lends nothing: what it means is containerd's to say.
func (p *proxy) lend(ctx context.Context, message []byte) (giveBack func(), err error) {
	nothing := func() {}
	var req runtime.PullImageRequest
	if err := proto.Unmarshal(message, &req); err != nil {
		return nothing, nil
	}
	host, user, secret := credentials(req.GetAuth())
	image := req.GetImage().GetImage()
	if secret == "" || image == "" {
		return nothing, nil
	}
	giveBack, err = p.lender.Lend(ctx, image, host, user, secret)
	switch {
	case err == nil:
		return giveBack, nil
	case ctx.Err() != nil:
		// The message names the image, and never the secret.
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return nothing, nil
}

// credentials reads an AuthConfig as containerd does, in ParseAuth of
// internal/cri/server/images/image_pull.go: "Do not return the auth info when
// server address doesn't match", then user name, identity token, auth. Neither
// has a use for a registry token.
func credentials(auth *runtime.AuthConfig) (host, user, secret string) {
	if server := auth.GetServerAddress(); server != "" {
		u, err := url.Parse(server)
		if err != nil || u.Host == "" {
			return "", "", ""
		}
		host = u.Host
	}
	switch {
	case auth.GetUsername() != "":
		return host, auth.GetUsername(), auth.GetPassword()
	case auth.GetIdentityToken() != "":
		return host, "", auth.GetIdentityToken()
	case auth.GetAuth() != "":
		plain, err := base64.StdEncoding.DecodeString(auth.GetAuth())
		if err != nil {
			return "", "", ""
		}
		user, secret, ok := strings.Cut(string(plain), ":")
		if !ok {
			return "", "", ""
		}
		return host, user, strings.Trim(secret, "\x00")
	}
	return "", "", ""
}

// What containerd says of a pull that a verifier blocked, in
// core/transfer/local/pull.go and pkg/imageverifier/bindir/bindir.go.
const (
	blocked = " blocked pull of "
	reason  = " for reason: "
	exit    = "rejected image (exit code "
)

// refusal makes a blocked pull what kubelet takes for one, in a pod's status
// and events. kubelet takes the code off an error that is Unknown, and of that
// one only (PullImage in cri-client/pkg/remote_image.go), and then looks at how
// the message starts (evalCRIPullErr in pkg/kubelet/images/image_manager.go).
// Whoever wrote the pod reads it, so containerd's words around the reason are
// left out.
func refusal(err error) error {
	s, ok := status.FromError(err)
	if err == nil || !ok || strings.HasPrefix(s.Message(), prefix) {
		return err
	}
	_, text, ok := strings.Cut(s.Message(), blocked)
	if !ok {
		return err
	}
	if _, why, ok := strings.Cut(text, reason); ok {
		text = why
	}
	if _, why, ok := strings.Cut(text, exit); ok {
		if _, why, ok = strings.Cut(why, "): "); ok {
			text = why
		}
	}
	changed := s.Proto()
	changed.Code, changed.Message = int32(codes.Unknown), prefix+text
	return status.ErrorProto(changed)
}

// prefix is what kubelet looks for.
var prefix = crierrors.ErrSignatureValidationFailed.Error() + ": "
