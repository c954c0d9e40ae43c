// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/distribution/reference"
)

// ErrLend reports a secret that cannot be lent: for a name that is none.
var ErrLend = errors.New("secret cannot be lent")

// Lent are secrets that are only there while somebody pulls an image with them.
//
// containerd tells a verifier the name and the digest, and not which of several
// pulls it is about. So at one time there is at most one secret per name: pulls
// of the same name with the same secret share it, with another one take turns.
// Otherwise one tenant's wrong secret would decide about another's image.
type Lent struct {
	mu    sync.Mutex
	loans map[string]*loan
}

// A loan is the secret for one image name.
type loan struct {
	secret  secret
	print   [sha256.Size]byte
	host    string
	holders int
	// returned is closed when the last holder is done.
	returned chan struct{}
}

// NewLent holds nothing yet.
func NewLent() *Lent { return &Lent{loans: map[string]*loan{}} }

// Lend lends a user and secret for one image until the returned function is
// called. The image is in any form that containerd understands; host is the
// only one that may get them, empty for the registry in the image's name. It
// waits while another secret is lent for the same name, or until ctx ends.
func (l *Lent) Lend(ctx context.Context, image, host, user, password string) (giveBack func(), err error) {
	ref, err := reference.ParseDockerRef(image)
	if err != nil {
		return nil, fmt.Errorf("%w: image name: %w", ErrLend, err)
	}
	own := canonical(reference.Domain(ref))
	if host == "" {
		host = own
	}
	name := ref.String()
	mine := &loan{secret: secret{user, password}, host: canonical(host), returned: make(chan struct{})}
	mine.print = sha256.Sum256(fmt.Appendf(nil, "%q %q %q", mine.host, user, password))
	for {
		held, ok := l.take(name, mine)
		if ok {
			return sync.OnceFunc(func() { l.giveBack(name, held) }), nil
		}
		select {
		case <-held.returned:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: another pull of %s uses another secret: %w", ErrLend, name, ctx.Err())
		}
	}
}

// take makes mine the loan for name, or joins the one that is there if it is
// for the same secret. Otherwise it gives the one that is in the way.
func (l *Lent) take(name string, mine *loan) (held *loan, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, there := l.loans[name]
	if there && held.print != mine.print {
		return held, false
	}
	if !there {
		held = mine
		l.loans[name] = held
	}
	held.holders++
	return held, true
}

func (l *Lent) giveBack(name string, held *loan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if held.holders--; held.holders > 0 {
		return
	}
	delete(l.loans, name)
	close(held.returned)
}

// lookup finds the secret lent for exactly this image, if host is the one that
// it is for.
func (l *Lent) lookup(t target) (secret, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, ok := l.loans[t.image]
	if !ok || held.host != t.host {
		return secret{}, false
	}
	return held.secret, true
}

// Count is how many names have a secret now.
func (l *Lent) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.loans)
}
