// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"maps"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
)

// matches tells whether a pattern of kubelet's is about a name such as
// registry.example:5000/team/app. It is what kubelet does, in
// pkg/credentialprovider/keyring.go:
//
//	A match exists between an image and a matchImage when all of the below are true:
//	- Both contain the same number of domain parts and each part matches.
//	- The URL path of an imageMatch must be a prefix of the target image URL path.
//	- If the imageMatch contains a port, then the port must match in the image as well.
//
// The last one is stricter in the code than in these words: a pattern without
// a port does not match a name with one.
func matches(pattern, name string) bool {
	p, err := schemeless(pattern)
	if err != nil {
		return false
	}
	n, err := schemeless(name)
	if err != nil {
		return false
	}
	patternParts, patternPort := split(p.Host)
	nameParts, namePort := split(n.Host)
	if patternPort != namePort || len(patternParts) != len(nameParts) || !strings.HasPrefix(n.Path, p.Path) {
		return false
	}
	for i, part := range patternParts {
		// A name's part has no slash, so path and filepath are the same.
		if ok, err := path.Match(part, nameParts[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// checkPattern is kubelet's check of a matchImages entry.
func checkPattern(pattern string) error {
	_, err := schemeless(pattern)
	return err
}

func schemeless(s string) (*url.URL, error) { return url.Parse("https://" + s) }

// split cuts a host into its labels and the port.
func split(host string) (labels []string, port string) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, ""
	}
	return strings.Split(name, "."), port
}

// A keyring is the secrets of one file or answer by kubelet's patterns.
type keyring map[string]secret

// keyOf makes kubelet's key out of what a config.json or a provider says:
// without scheme, and with /v1/ and /v2/ meaning the whole host. It is empty
// for one that kubelet would ignore.
func keyOf(repository string) string {
	if !strings.HasPrefix(repository, "https://") && !strings.HasPrefix(repository, "http://") {
		repository = "https://" + repository
	}
	u, err := url.Parse(repository)
	// kubelet drops the user of user@host; nobody writes one in earnest.
	if err != nil || u.User != nil {
		return ""
	}
	if p := u.Path; strings.HasPrefix(p, "/v2/") || strings.HasPrefix(p, "/v1/") {
		u.Path = p[len("/v2"):]
	}
	if u.Path == "/" {
		return u.Host
	}
	return u.Host + u.Path
}

// find gives the secret that kubelet would try first. "The kubelet will traverse
// all keys in reverse order so that longer keys come before shorter keys with
// the same prefix, non-wildcard keys come before wildcard keys with the same
// prefix."
func (k keyring) find(t target) secret {
	keys := slices.Sorted(maps.Keys(k))
	slices.Reverse(keys)
	for _, key := range keys {
		if matches(key, t.name) && !k[key].empty() {
			return k[key]
		}
	}
	if t.host != hub {
		return secret{}
	}
	// docker login writes https://index.docker.io/v1/.
	for _, key := range []string{"index.docker.io", "registry-1.docker.io"} {
		if s := k[key]; !s.empty() {
			return s
		}
	}
	return secret{}
}
