// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/plombproject/plomb/internal/strictjson"
)

// request and response are kubelet's CredentialProviderRequest and -Response.
// https://kubernetes.io/docs/reference/config-api/kubelet-credentialprovider.v1/
type request struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Image      string `json:"image"`
}

type response struct {
	Kind          string                `json:"kind"`
	APIVersion    string                `json:"apiVersion"`
	CacheKeyType  string                `json:"cacheKeyType"`
	CacheDuration *string               `json:"cacheDuration"`
	Auth          map[string]authConfig `json:"auth"`
}

type authConfig struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

const (
	keyImage    = "Image"
	keyRegistry = "Registry"
	keyGlobal   = "Global"
)

// maxCached bounds how many answers are remembered.
const maxCached = 1024

// providers are kubelet's credential provider plugins.
type providers struct {
	config, dir string
	programs    programs
	now         func() time.Time
	group       singleflight.Group

	mu    sync.Mutex
	cache map[string]cached
}

// cached is one answer, until it may no longer be used.
type cached struct {
	keys  keyring
	until time.Time
}

func newProviders(config, dir string, p programs) *providers {
	return &providers{config: config, dir: dir, programs: p, now: time.Now, cache: map[string]cached{}}
}

// lookup asks all providers that are about the name, as kubelet does, and takes
// the longest match of all their answers; of equal ones the first.
func (p *providers) lookup(ctx context.Context, t target) (secret, error) {
	list, err := readProviders(p.config)
	if err != nil {
		return secret{}, fmt.Errorf("%w: %w", ErrSource, err)
	}
	all := keyring{}
	var faults []error
	for _, one := range list {
		if !one.wants(t.name) {
			continue
		}
		keys, err := p.ask(ctx, one, t)
		if err != nil {
			faults = append(faults, fmt.Errorf("%w: provider %s: %w", ErrSource, one.Name, err))
			continue
		}
		for key, s := range keys {
			if _, there := all[key]; !there {
				all[key] = s
			}
		}
	}
	if found := all.find(t); !found.empty() {
		return found, nil
	}
	return secret{}, errors.Join(faults...)
}

// ask gives the answer of one provider, from memory if it may.
func (p *providers) ask(ctx context.Context, one provider, t target) (keyring, error) {
	if a := one.TokenAttributes; a != nil && (a.RequireServiceAccount == nil || *a.RequireServiceAccount) {
		return nil, fmt.Errorf("%w (tokenAttributes), which kubelet alone can have: let kubelet pull through imageService", ErrServiceAccount)
	}
	id := one.identity(p.dir)
	if keys, ok := p.remembered(id, t); ok {
		return keys, nil
	}
	// Whoever asks first may give up; the others still want the answer.
	result := p.group.DoChan(id+t.name, func() (any, error) { return p.exec(context.WithoutCancel(ctx), one, t) })
	select {
	case r := <-result:
		keys, _ := r.Val.(keyring)
		return keys, r.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: no answer in time: %w", ErrProgram, ctx.Err())
	}
}

// identity tells one configuration of a provider from another, so that an
// answer does not outlive what it was an answer to.
func (p provider) identity(dir string) string {
	data, _ := json.Marshal([]any{dir, p}) // plain data
	return string(data) + "\n"
}

// remembered looks in kubelet's order.
func (p *providers) remembered(id string, t target) (keyring, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for _, kind := range []string{keyImage, keyRegistry, keyGlobal} {
		if c, ok := p.cache[id+cacheKey(kind, t)]; ok && now.Before(c.until) {
			return c.keys, true
		}
	}
	return nil, false
}

// cacheKey is what an answer is valid for; empty for no valid kind.
func cacheKey(kind string, t target) string {
	switch kind {
	case keyImage:
		return "image " + t.name
	case keyRegistry:
		return "registry " + t.host
	case keyGlobal:
		return "global"
	}
	return ""
}

func (p *providers) exec(ctx context.Context, one provider, t target) (keyring, error) {
	req, err := json.Marshal(request{Kind: "CredentialProviderRequest", APIVersion: one.APIVersion, Image: t.name})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProgram, err)
	}
	dir, err := filepath.Abs(p.dir)
	if err != nil || p.dir == "" {
		return nil, fmt.Errorf("%w: kubeletProviderDir is not set", ErrProgram)
	}
	c := command{path: filepath.Join(dir, one.Name), args: one.Args, stdin: req}
	for _, v := range one.Env {
		c.env = append(c.env, v.Name+"="+v.Value)
	}
	out, err := p.programs.run(ctx, c)
	if err != nil {
		return nil, err
	}
	keys, kind, age, err := parseResponse(out, one)
	if err != nil {
		return nil, err
	}
	p.remember(one.identity(p.dir)+cacheKey(kind, t), keys, age)
	return keys, nil
}

// errResponse has no details: they could quote a secret.
var errResponse = errors.New("its answer is no CredentialProviderResponse")

// parseResponse reads a plugin's answer, and says for what and for how long it
// may be remembered.
func parseResponse(data []byte, one provider) (keys keyring, kind string, age time.Duration, err error) {
	var r response
	if strictjson.UnmarshalOpen(data, &r) != nil || r.Kind != "CredentialProviderResponse" {
		return nil, "", 0, fmt.Errorf("%w: %w", ErrProgram, errResponse)
	}
	// "The returned CredentialProviderResponse MUST use the same encoding
	// version as the input."
	if r.APIVersion != one.APIVersion {
		return nil, "", 0, fmt.Errorf("%w: %w of %s", ErrProgram, errResponse, one.APIVersion)
	}
	// "If an invalid value is specified, the response will NOT be used."
	if cacheKey(r.CacheKeyType, target{}) == "" {
		return nil, "", 0, fmt.Errorf("%w: %w: cacheKeyType is none of Image, Registry, Global", ErrProgram, errResponse)
	}
	if one.DefaultCacheDuration != nil {
		age = *one.DefaultCacheDuration
	}
	if r.CacheDuration != nil {
		if age, err = time.ParseDuration(*r.CacheDuration); err != nil {
			return nil, "", 0, fmt.Errorf("%w: %w: cacheDuration is no duration", ErrProgram, errResponse)
		}
	}
	keys = keyring{}
	for _, name := range slices.Sorted(maps.Keys(r.Auth)) {
		if key := keyOf(name); key != "" && keys[key].empty() {
			keys[key] = userSecret(r.Auth[name].Username, r.Auth[name].Password)
		}
	}
	return keys, r.CacheKeyType, age, nil
}

func (p *providers) remember(key string, keys keyring, age time.Duration) {
	if age <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if len(p.cache) >= maxCached {
		for k, c := range p.cache {
			if !now.Before(c.until) {
				delete(p.cache, k)
			}
		}
	}
	if len(p.cache) >= maxCached {
		return
	}
	p.cache[key] = cached{keys, now.Add(age)}
}
