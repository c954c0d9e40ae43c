// SPDX-License-Identifier: Apache-2.0

package imageservice

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type lenderFunc func(image, host, user, secret string)

func (f lenderFunc) Lend(_ context.Context, image, host, user, secret string) (func(), error) {
	f(image, host, user, secret)
	return func() {}, nil
}

// FuzzPullImage: what a client sends as a PullImageRequest.
func FuzzPullImage(f *testing.F) {
	for _, auth := range []*runtime.AuthConfig{nil, {Username: "a", Password: "b"}, {Auth: "YTpi", ServerAddress: "https://h"}, {IdentityToken: "t"}} {
		data, err := proto.Marshal(&runtime.PullImageRequest{Image: &runtime.ImageSpec{Image: "registry.example/app"}, Auth: auth})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &proxy{lender: lenderFunc(func(image, _, _, secret string) {
			if image == "" || secret == "" {
				t.Fatal("lent nothing, or for nothing")
			}
		})}
		giveBack, err := p.lend(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		giveBack()
	})
}
