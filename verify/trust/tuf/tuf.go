// SPDX-License-Identifier: Apache-2.0

// Package tuf brings trusted roots from TUF repositories: over the network
// into a trust.Store, by command and never inside a verification, or out of
// an archive in a document.
//
// It follows the client workflow of the TUF specification
// (https://theupdateframework.github.io/specification/latest/#detailed-client-workflow)
// through go-tuf. What a repository signs it believes; mirrors, networks and
// archives it does not. How trusted roots are used is none of its business.
package tuf

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/plombproject/plomb/verify/trust"
)

const (
	// DefaultTarget and DefaultTargets are the names that all public Sigstore
	// repositories use.
	DefaultTarget  = "trusted_root.json"
	DefaultTargets = "targets"

	// maxTime bounds an update whose caller has set no deadline.
	maxTime = 5 * time.Minute
)

var (
	// ErrMirror reports a mirror that could not be asked: it is unreachable,
	// too slow, or sends more than it may.
	ErrMirror = errors.New("the mirror cannot be read")

	// ErrExpired reports metadata that is no longer in force. Somebody may be
	// keeping newer metadata back.
	ErrExpired = errors.New("the repository's metadata expired")

	// ErrRollback reports metadata that is older than what was seen before, or
	// than what newer metadata promises.
	ErrRollback = errors.New("the repository goes back in time")

	// ErrUnsigned reports metadata without enough signatures by trusted keys.
	ErrUnsigned = errors.New("the repository's metadata is not signed by trusted keys")

	// ErrRepository reports any other fault of a repository.
	ErrRepository = errors.New("invalid repository")

	// ErrNoRoot reports an instance that nobody said how to begin with.
	ErrNoRoot = errors.New("no root.json to begin with")
)

// An Instance is what is to be updated. What is empty stays as it was at the
// last update, and at the first is that of the known instance of that name, or
// the default.
type Instance struct {
	Store trust.Store
	Name  string
	// Mirror is the URL of the repository's metadata.
	Mirror string
	// Root is the root.json that trust begins with. Another than before begins
	// anew, without any memory of what the repository said.
	Root            []byte
	Targets, Target string
	// Grace, where not nil, is how long the root shall be used after the
	// metadata expired.
	Grace *time.Duration
	// Progress, where not nil, is told each URL before it is fetched.
	Progress func(url string)
	// Transport is http.DefaultTransport's like by default.
	Transport http.RoundTripper
}

// Result is a successful update.
type Result struct {
	State *trust.State
	// Changed says that the trusted root is another than before.
	Changed  bool
	Requests int
}

// Update refreshes the metadata of an instance, and the trusted root with it.
// If anything is wrong, the last good root stays, and its state says why and
// when the update failed. now is the time on this machine's clock.
func Update(ctx context.Context, i Instance, now time.Time) (*Result, error) {
	unlock, err := i.Store.Lock(i.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	p, err := plan(i)
	if err != nil {
		return nil, fmt.Errorf("update %s: %w", i.Name, err)
	}
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, maxTime)
		defer cancel()
	}
	result, err := p.update(ctx, now)
	if err == nil {
		return result, nil
	}
	err = fmt.Errorf("update %s from %s: %w", i.Name, p.source.Mirror, err)
	if p.before == nil {
		return nil, err
	}
	return nil, errors.Join(err, i.Store.Failed(i.Name, now, err))
}

// planned is an update that it is known where to begin with.
type planned struct {
	Instance
	source trust.Source
	grace  time.Duration
	// before is nil if there was no such instance.
	before *trust.State
	// anew says to forget the metadata in folder.
	anew   bool
	folder string
}

func plan(i Instance) (*planned, error) {
	p := &planned{Instance: i, grace: trust.DefaultGrace, anew: true, folder: filepath.Join(i.Store.Dir, i.Name, "tuf")}
	before, err := i.Store.State(i.Name)
	switch {
	case err == nil:
		p.before, p.grace, p.source = before, before.Grace(), before.Source
	case !errors.Is(err, trust.ErrNoInstance):
		return nil, err
	}
	if p.source.Mirror == "" { // new, or a file until now
		p.source, p.grace = trust.Source{}, trust.DefaultGrace
	}
	p.anew = p.source.Mirror == "" || i.Root != nil && p.source.InitialRoot != digest.FromBytes(i.Root)
	known := known(i.Name)
	p.source.Mirror = first(i.Mirror, p.source.Mirror, known.Mirror)
	p.source.Targets = first(i.Targets, p.source.Targets, DefaultTargets)
	p.source.Target = first(i.Target, p.source.Target, DefaultTarget)
	p.source.File = ""
	if i.Grace != nil {
		p.grace = *i.Grace
	}
	if p.anew {
		if p.Root == nil { // mirrors need not be trusted: any will do
			p.Root = known.Root
		}
		switch {
		case p.source.Mirror == "":
			return nil, fmt.Errorf("%w: give the repository's URL with --mirror and its root.json, from somebody you trust, with --root", ErrNoRoot)
		case p.Root == nil:
			return nil, fmt.Errorf("%w: give the root.json of %s, from somebody you trust, with --root", ErrNoRoot, p.source.Mirror)
		}
		p.source.InitialRoot = digest.FromBytes(p.Root)
	}
	if p.grace < 0 || p.grace > trust.MaxGrace {
		return nil, fmt.Errorf("a grace period of %s: want 0 to %s", p.grace, trust.MaxGrace)
	}
	return p, checkMirror(p.source.Mirror)
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// checkMirror refuses what is no base of URLs. HTTP without TLS is welcome:
// the repository's signatures protect what it says, and its expiry how old it
// may be. A password would end up in state.json.
func checkMirror(mirror string) error {
	u, err := url.Parse(mirror)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("%w: %q: want an http or https URL without password, query and fragment", ErrMirror, mirror)
	}
	return nil
}

// update does the work, and keeps what was verified, also of an attempt that
// fails later: who has seen version 5 must not believe version 4 afterwards.
func (p *planned) update(ctx context.Context, now time.Time) (*Result, error) {
	s, err := newScratch(p.folder, p.anew)
	if err != nil {
		return nil, err
	}
	defer s.remove()
	fetch := newMirror(ctx, p.Transport, p.Progress)
	root := p.Root
	if !p.anew {
		if root, err = s.root(); err != nil {
			return nil, err
		}
	}
	data, set, err := refresh(root, p.source, s.dir, fetch, now)
	if err != nil {
		if !p.anew {
			err = errors.Join(err, s.keep())
		}
		return nil, err
	}
	if _, err := trust.ParsePart(data); err != nil {
		return nil, fmt.Errorf("target %s: %w", p.source.Target, err)
	}
	if err := s.keep(); err != nil {
		return nil, err
	}
	state := &trust.State{
		Source:       p.source,
		Updated:      now.UTC().Truncate(time.Second),
		GraceSeconds: int64(p.grace / time.Second),
		Metadata:     describe(set),
	}
	state.Expires = earliest(state.Metadata)
	if err := p.Store.Commit(p.Name, data, state); err != nil {
		return nil, err
	}
	return &Result{
		State:    state,
		Changed:  p.before == nil || p.before.TrustedRoot != state.TrustedRoot,
		Requests: fetch.requests,
	}, nil
}

func describe(set trustedmetadata.TrustedMetadata) map[string]trust.Metadata {
	roles := map[string]trust.Metadata{
		metadata.ROOT:      {Version: set.Root.Signed.Version, Expires: set.Root.Signed.Expires.UTC()},
		metadata.TIMESTAMP: {Version: set.Timestamp.Signed.Version, Expires: set.Timestamp.Signed.Expires.UTC()},
		metadata.SNAPSHOT:  {Version: set.Snapshot.Signed.Version, Expires: set.Snapshot.Signed.Expires.UTC()},
	}
	for role, m := range set.Targets {
		roles[role] = trust.Metadata{Version: m.Signed.Version, Expires: m.Signed.Expires.UTC()}
	}
	return roles
}

func earliest(roles map[string]trust.Metadata) time.Time {
	var first time.Time
	for _, m := range roles {
		if first.IsZero() || m.Expires.Before(first) {
			first = m.Expires
		}
	}
	return first
}
