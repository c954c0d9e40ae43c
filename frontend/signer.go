// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"fmt"
	"time"

	"github.com/plombproject/plomb/frontend/credential"
	"github.com/plombproject/plomb/provenance/sign"
)

// A lookup is the search for a signing credential. It takes a container.
type lookup struct {
	source credential.Source
	token  bool
	key    *credential.PublicKey
	err    error
	done   chan struct{} // closed when the above are known
}

// lookForCredential begins the search, unless this is no build that signs.
func (b *build) lookForCredential(ctx context.Context) *lookup {
	l := &lookup{
		source: credential.Source{Secrets: &credential.Memory{Reader: b.self.secrets(b.gateway)}, Kind: b.options.Sign.kind(), Client: b.HTTP, Now: b.Now},
		done:   make(chan struct{}),
	}
	if b.options.Sign == SignOff || b.gateway.BuildOpts().Opts["requestid"] != "" {
		close(l.done)
		return l
	}
	go func() {
		defer close(l.done)
		l.token, l.key, l.err = l.source.Look(ctx)
	}()
	return l
}

// A signer is what is known of signing before the build steps run: enough to
// fail early where it cannot work.
type signer struct {
	services *sign.Services // nil: the image stays unsigned
	source   credential.Source
	key      sign.Key // nil: sign keyless
}

// signer finds out whether there will be a signature. The token itself is
// fetched when the build steps are done, and the key is used then.
func (b *build) signer(ctx context.Context, files *settings) (*signer, error) {
	l := b.credential
	<-l.done
	s := &signer{source: l.source}
	if l.err != nil {
		return nil, fmt.Errorf("look for a signing credential: %w", l.err)
	}
	if !l.token && l.key == nil {
		if b.options.Sign == SignKeyless || b.options.Sign == SignKey {
			return nil, fmt.Errorf("PLOMB_SIGN=%s: %w", b.options.Sign, s.source.Missing())
		}
		return s, nil
	}
	if err := refuseInlineCache(b.ui.BuildArgs); err != nil {
		return nil, err
	}
	var err error
	if l.key != nil {
		err = s.useKey(b, l.key, files)
	} else {
		s.services, err = files.services()
	}
	return s, err
}

// useKey refuses a key and services that do not go together while nothing has
// run yet.
func (s *signer) useKey(b *build, key *credential.PublicKey, files *settings) (err error) {
	if s.key, err = credential.NewKeySigner(b.self.secrets(b.gateway), key); err != nil {
		return err
	}
	if s.services, err = files.keyServices(); err != nil {
		return err
	}
	_, err = s.services.Keyed(s.key, b.Now())
	return err
}

// identity is who signs, now that the build steps are done.
func (s *signer) identity(ctx context.Context, now time.Time) (*sign.Identity, error) {
	if s.key != nil {
		return s.services.Keyed(s.key, now)
	}
	token, err := s.source.Token(ctx)
	if err != nil {
		return nil, err
	}
	return s.services.Certify(ctx, token.Raw, now)
}
