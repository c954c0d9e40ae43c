// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"context"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"
)

// transparency gives a Rekor client, which takes no transport, the retries and
// the words of a service.
type transparency struct {
	service *service
	log     sign.Transparency
}

// GetTransparencyLogEntry implements sign.Transparency.
func (t transparency) GetTransparencyLogEntry(ctx context.Context, pem []byte, b *protobundle.Bundle) error {
	pause := t.service.pause
	for n := 1; ; n++ {
		err := t.log.GetTransparencyLogEntry(ctx, pem, b)
		if err == nil {
			return nil
		}
		if n == attempts {
			return t.service.failure(err)
		}
		select {
		case <-ctx.Done():
			return t.service.failure(ctx.Err())
		case <-time.After(pause):
		}
		pause *= 2
	}
}
