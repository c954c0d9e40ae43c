// SPDX-License-Identifier: Apache-2.0

package materials

import (
	"maps"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/moby/buildkit/solver/pb"
	"google.golang.org/protobuf/proto"
)

// hiddenText stands for what was left out of a text, where nothing else does.
const hiddenText = "[masked]"

// credentialNames are names of parameters, headers and settings whose value
// lets somebody in.
const credentialNames = `(?:token|secret|passwords?|passwd|passphrase|credentials?|api[-_]?key|access[-_]?key|secret[-_]?key|private[-_]?key|auth[-_]?key)`

// leaks are the rows of credentials that are known by what they look like or
// by what stands before them. The order matters: later rows see the text as
// earlier ones leave it.
var leaks = []struct {
	what    string
	pattern *regexp.Regexp
	with    string
}{
	{"private key", regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)`), hiddenText},
	{"JSON Web Token", regexp.MustCompile(`\bey[A-Za-z0-9_-]{10,}\.e[yw][A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*`), hiddenText},
	{"GitHub", regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}`), hiddenText},
	{"GitLab", regexp.MustCompile(`\bgl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|ffct)-[A-Za-z0-9_.-]{20,}`), hiddenText},
	{"AWS key id", regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`), hiddenText},
	{"Slack", regexp.MustCompile(`\bxox[a-z]-[A-Za-z0-9-]{10,}`), hiddenText},
	{"npm", regexp.MustCompile(`\bnpm_[A-Za-z0-9]{30,}`), hiddenText},
	{"PyPI", regexp.MustCompile(`\bpypi-[A-Za-z0-9_-]{40,}`), hiddenText},
	{"Docker Hub", regexp.MustCompile(`\bdckr_[a-z]{3}_[A-Za-z0-9_-]{20,}`), hiddenText},
	{"Google", regexp.MustCompile(`\bAIza[A-Za-z0-9_-]{30,}|\bya29\.[A-Za-z0-9_-]{20,}`), hiddenText},
	{"Stripe", regexp.MustCompile(`\b[sr]k_live_[A-Za-z0-9]{16,}`), hiddenText},
	{"Vault", regexp.MustCompile(`\bhv[sbr]\.[A-Za-z0-9_-]{20,}`), hiddenText},
	{"Hugging Face", regexp.MustCompile(`\bhf_[A-Za-z0-9]{30,}`), hiddenText},
	// Authorization: Basic … and Authorization=Bearer …
	{"Authorization header", regexp.MustCompile(`(?i)(\b(?:proxy-)?authorization["']?\s*[:=]\s*["']?)(?:(?:basic|bearer|token|digest|negotiate)\s+)?[^\s"',;&]+`), "${1}" + hiddenText},
	{"bearer token", regexp.MustCompile(`(?i)(\bbearer\s+)[A-Za-z0-9+/_=.~-]{8,}`), "${1}" + hiddenText},
	// In queries, as in signed URLs of object stores.
	{"query", regexp.MustCompile(`(?i)([?&;](?:sig|[^=&;#\s]*(?:token|signature|secret|passw|credential|api[-_]?key|access[-_]?key|auth)[^=&;#\s]*)=)[^&;#\s"',]+`), "${1}"},
	// Elsewhere: --password=…, "api_key": "…", password: …
	{"setting", regexp.MustCompile(`(?i)((?:^|[^A-Za-z0-9?&;])[A-Za-z0-9_-]*` + credentialNames + `(?:["']?\s*=\s*|["']\s*:\s*|:\s+)["']?)[^\s"'&;,]+`), "${1}" + hiddenText},
	// https%3A%2F%2Fuser%3Apassword%40host
	{"encoded URL", regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*%3A%2F%2F)(?:[^\s&"'%/]|%(?:[013-9a-f][0-9a-f]|2[0-9a-e]))*%40`), "${1}"},
}

// WithoutCredentials removes from text what lets somebody in: users and
// passwords in URLs, query parameters and settings that are credentials by
// their name, and tokens of well-known shapes. What looks like a URL and is
// none, as with a password that was not escaped, loses everything up to its
// last @.
//
// It cannot know a password that looks like a word and stands alone.
func WithoutCredentials(text string) string {
	text = withoutUsers(text)
	text = withoutScheme.ReplaceAllStringFunc(text, dropUser)
	for _, l := range leaks {
		text = l.pattern.ReplaceAllString(text, l.with)
	}
	return text
}

// HideUsers takes users and passwords of URLs out of the names that BuildKit
// prints while it solves def. What is changed is replaced: graphs that are
// solved at the same time share the old names.
func HideUsers(def *pb.Definition) {
	for _, md := range def.GetMetadata() {
		for key, name := range md.Description {
			if public := withoutUsers(name); public != name {
				md.Description = maps.Clone(md.Description)
				md.Description[key] = public
			}
		}
		if name := md.ProgressGroup.GetName(); withoutUsers(name) != name {
			md.ProgressGroup = proto.CloneOf(md.ProgressGroup)
			md.ProgressGroup.Name = withoutUsers(name)
		}
	}
}

var scheme = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://`)

// withoutScheme finds user:password@host that is followed by a port or a path,
// or whose host has a domain.
var withoutScheme = regexp.MustCompile(`[^\s:@/"'=,]+:[^\s@/"']+@(?:[A-Za-z0-9.-]+(?:/|:[0-9]+(?:\b|/))|[A-Za-z0-9.-]+\.[A-Za-z]{2,}\b)`)

// dropUser leaves image references (name:tag@sha256:…) and addresses of people
// (mailto:user@host) alone.
func dropUser(match string) string {
	at := strings.LastIndexByte(match, '@')
	user, host := match[:at], match[at+1:]
	for _, algorithm := range []string{"sha256:", "sha384:", "sha512:"} {
		if strings.HasPrefix(host, algorithm) {
			return match
		}
	}
	for _, address := range []string{"mailto:", "acct:", "sip:", "xmpp:"} {
		if strings.HasPrefix(user, address) && !strings.Contains(user[len(address):], ":") {
			return match
		}
	}
	return host
}

func withoutUsers(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	var out strings.Builder
	for {
		at := scheme.FindStringIndex(text)
		if at == nil {
			return out.String() + text
		}
		out.WriteString(text[:at[1]])
		rest := text[at[1]:]
		end := len(rest)
		if next := scheme.FindStringIndex(rest); next != nil {
			end = next[0]
		}
		if i := strings.IndexFunc(rest[:end], unicode.IsSpace); i >= 0 {
			end = i
		}
		out.WriteString(rest[userinfo(text[at[0]:at[1]], rest[:end]):end])
		text = rest[end:]
	}
}

// unescaped is user:1/2#3@host.example: a password that looks like a port.
var unescaped = regexp.MustCompile(`^[^\s./?#@:]+:[0-9]*[/?#].*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}`)

// image is an image by its digest, which is no host.
var image = regexp.MustCompile(`^(?:docker-image|oci-layout)(?:\+blob)?://[^@]*@sha(?:256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})\b`)

// userinfo returns how many bytes of rest, which follows a URL's scheme, are
// user and password.
func userinfo(scheme, rest string) int {
	if image.MatchString(scheme + rest) {
		return 0
	}
	u, err := url.Parse(scheme + rest)
	if err != nil || u.Host == "" || unescaped.MatchString(rest) {
		return strings.LastIndexByte(rest, '@') + 1
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return strings.LastIndexByte(rest, '@') + 1
}
