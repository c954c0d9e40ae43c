// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"fmt"

	"github.com/plombproject/plomb/frontend/credential"
	"github.com/plombproject/plomb/provenance/sign"
)

// A lookup is the search for a signing credential. It takes a container.
type lookup struct {
	source  credential.Source
	present bool
	err     error
	done    chan struct{} // closed when present and err are known
}

// lookForCredential begins the search, unless this is no build that signs.
func (b *build) lookForCredential(ctx context.Context) *lookup {
	l := &lookup{
		source: credential.Source{Secrets: &credential.Memory{Reader: b.self.secrets(b.gateway)}, Client: b.HTTP, Now: b.Now},
		done:   make(chan struct{}),
	}
	if b.options.Sign == SignOff || b.gateway.BuildOpts().Opts["requestid"] != "" {
		close(l.done)
		return l
	}
	go func() {
		defer close(l.done)
		l.present, l.err = l.source.Present(ctx)
	}()
	return l
}

// A signer is what is known of signing before the build steps run: enough to
// fail early where it cannot work.
type signer struct {
	services *sign.Services // nil: the image stays unsigned
	source   credential.Source
}

// signer finds out whether there will be a signature. The token itself is
// fetched when the build steps are done.
func (b *build) signer(ctx context.Context, files *settings) (*signer, error) {
	l := b.credential
	<-l.done
	s := &signer{source: l.source}
	if l.err != nil {
		return nil, fmt.Errorf("look for a signing credential: %w", l.err)
	}
	if !l.present && b.options.Sign == SignKeyless {
		_, err := s.source.Token(ctx)
		return nil, fmt.Errorf("PLOMB_SIGN=keyless: %w", err)
	}
	if !l.present {
		return s, nil
	}
	if err := refuseInlineCache(b.ui.BuildArgs); err != nil {
		return nil, err
	}
	var err error
	s.services, err = files.services()
	return s, err
}
