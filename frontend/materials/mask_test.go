// SPDX-License-Identifier: Apache-2.0

package materials_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/materials"
	"github.com/plombproject/plomb/provenance/slsa"
)

func TestMaskArgs(t *testing.T) {
	m := materials.NewMask([]string{"npm-token", "pip-password", "CONFIG"}, map[string]string{
		"VERSION": "1.2", "EMPTY": "",
		"NPM_TOKEN": "s3cr3t-1", "npm.token": "s3cr3t-2", "PipPassword": "s3cr3t-3", "config": "s3cr3t-4",
		"HTTP_PROXY": "http://u:s3cr3t@proxy", "https_proxy": "http://s3cr3t", "FTP_PROXY": "s3cr3t", "ALL_PROXY": "s3cr3t", "no_proxy": "s3cr3t.internal",
		"AUTHORIZATION": "s3cr3t", "GITHUB_API_KEY": "s3cr3t", "dbPassword": "s3cr3t", "MY_SECRET": "s3cr3t", "AWS_SECRET_ACCESS_KEY": "s3cr3t",
		"INDEX": "https://user:s3cr3t@pypi.example/simple", "PIP_ARGS": "--index-url https://user:s3cr3t%@pypi.example/simple -v",
		"ELSEWHERE": "echo s3cr3t-1 | login", "ENCODED": "https://h.example/?x=s3cr3t-3",
		"MIRROR": "http://mirror.example/debian", "PUBLIC_KEY": "abc", "MONKEY": "george", "TOKENIZER": "fast",
	})
	require.Equal(t, map[string]string{
		"VERSION": "1.2", "EMPTY": "",
		"INDEX": "https://pypi.example/simple", "PIP_ARGS": "--index-url https://pypi.example/simple -v",
		"ELSEWHERE": "echo [masked] | login", "ENCODED": "https://h.example/?x=[masked]",
		"MIRROR": "http://mirror.example/debian", "PUBLIC_KEY": "abc", "MONKEY": "george", "TOKENIZER": "fast",
	}, m.Args())
	require.Equal(t, []string{
		"args.ALL_PROXY", "args.AUTHORIZATION", "args.AWS_SECRET_ACCESS_KEY", "args.ELSEWHERE", "args.ENCODED", "args.FTP_PROXY", "args.GITHUB_API_KEY",
		"args.HTTP_PROXY", "args.INDEX", "args.MY_SECRET", "args.NPM_TOKEN", "args.PIP_ARGS", "args.PipPassword",
		"args.config", "args.dbPassword", "args.https_proxy", "args.no_proxy", "args.npm.token",
	}, m.Masked())
}

// A proxy setting or a short value of a secret argument stands in too many
// other words to be looked for.
func TestMaskLooksForLongValuesOnly(t *testing.T) {
	m := materials.NewMask([]string{"debug"}, map[string]string{"DEBUG": "true", "NO_PROXY": "localhost", "TOKEN": "abcdefgh", "TOKEN2": "x", "API_TOKEN": "abcdefghij/+"})
	require.Equal(t, "localhost:5000/true/[masked]", m.Text("repository", "localhost:5000/true/abcdefgh"))
	require.Equal(t, "[masked] [masked]", m.Public("abcdefghij/+ abcdefghij%2F%2B"), "the longer one, and encoded")
	require.Equal(t, []string{"repository"}, m.Masked())
	require.Equal(t, map[string]string{"a": "[masked]", "[masked]": "b"}, m.Values("labels.", map[string]string{"a": "abcdefgh", "abcdefgh": "b"}))
}

func TestMaskDependencies(t *testing.T) {
	m := materials.NewMask(nil, map[string]string{"TOKEN": "s3cr3t-1"})
	got := m.Dependencies([]slsa.ResourceDescriptor{
		{URI: "https://example.com/s3cr3t-1/file", Digest: sha(sum)},
		{URI: "local://context", Annotations: map[string]any{slsa.AnnotationFilter: slsa.Filter{Follow: []string{"a", "s3cr3t-1"}, Exclude: []string{"s3cr3t-1/x"}}}},
		{URI: "pkg:docker/debian@12?digest=" + sum.String()},
	})
	data, err := json.Marshal(got)
	require.NoError(t, err)
	require.NotContains(t, string(data), "s3cr3t")
	require.Equal(t, "https://example.com/[masked]/file", got[0].URI)
	require.Equal(t, slsa.Filter{Follow: []string{"a", "[masked]"}, Exclude: []string{"[masked]/x"}}, got[1].Annotations[slsa.AnnotationFilter])
	require.Equal(t, "pkg:docker/debian@12?digest="+sum.String(), got[2].URI)
	require.Equal(t, []string{"dependencies"}, m.Masked())
}

// The history of an image holds the values of build arguments.
func TestMaskInstruction(t *testing.T) {
	m := materials.NewMask([]string{"mine"}, map[string]string{"NPM_TOKEN": "two words of s3cr3t", "MINE": "s3c", "VERSION": "1"})
	for in, want := range map[string]string{
		"RUN |2 NPM_TOKEN=two words of s3cr3t VERSION=1 /bin/sh -c npm ci # buildkit":        "RUN |2 NPM_TOKEN=[masked] VERSION=1 /bin/sh -c npm ci # buildkit",
		"RUN |1 MINE=s3c /bin/sh -c make":                                                    "RUN |1 MINE=[masked] /bin/sh -c make",
		"ARG NPM_TOKEN=default-s3cr3t":                                                       "ARG NPM_TOKEN=[masked]",
		`ENV MINE="a s3cr3t" B=c`:                                                            `ENV MINE=[masked] B=c`,
		`ENV API_KEY='a s3cr3t'`:                                                             `ENV API_KEY=[masked]`,
		"RUN /bin/sh -c curl -H 'Authorization: Bearer s3cr3t' https://u:s3cr3t@h.example/x": "RUN /bin/sh -c curl -H 'Authorization: [masked]' https://h.example/x",
		"RUN /bin/sh -c echo two words of s3cr3t":                                            "RUN /bin/sh -c echo [masked]",
		"RUN /bin/sh -c deploy --password=s3cr3t":                                            "RUN /bin/sh -c deploy --password=[masked]",
		"RUN --mount=type=secret,id=mine,env=MINE /bin/sh -c a=b make # buildkit":            "RUN --mount=type=secret,id=mine,env=MINE /bin/sh -c a=b make # buildkit",
		"COPY --from=docker.io/team/secret:v1@sha256:" + sum.Encoded() + " /a /b # buildkit": "COPY --from=docker.io/team/secret:v1@sha256:" + sum.Encoded() + " /a /b # buildkit",
		`CMD ["sh"]`: `CMD ["sh"]`,
	} {
		require.Equal(t, want, m.Instruction(in), in)
	}
	require.Empty(t, m.Masked(), "an instruction is no parameter")
}

// Tokens of well-known shapes, wherever they stand. They are put together here
// so that no scanner takes this file for a leak.
func TestTokensAreMasked(t *testing.T) {
	long := strings.Repeat("a1B2", 12)
	for what, token := range map[string]string{
		"GitHub":              "gh" + "p_" + long[:36],
		"GitHub fine-grained": "github" + "_pat_" + long[:22] + "_" + long,
		"GitLab":              "gl" + "pat-" + long[:20],
		"AWS":                 "AK" + "IA" + strings.ToUpper(long[:16]),
		"Slack":               "xo" + "xb-" + "1234567890-" + long,
		"npm":                 "np" + "m_" + long[:36],
		"PyPI":                "py" + "pi-" + long,
		"Docker Hub":          "dckr" + "_pat_" + long[:27],
		"Google":              "AI" + "za" + long[:35],
		"Stripe":              "sk" + "_live_" + long[:24],
		"Vault":               "hv" + "s." + long[:24],
		"Hugging Face":        "h" + "f_" + long[:34],
		"JSON Web Token":      "ey" + long + ".ey" + long + "." + long,
		"private key":         "-----BEGIN EC PRIVATE" + " KEY-----\n" + long + "\n-----END EC PRIVATE" + " KEY-----",
		"cut off key":         "-----BEGIN OPENSSH PRIVATE" + " KEY-----\n" + long,
	} {
		for _, around := range []string{"%", "a % b", "x=%", `{"a":"%"}`, "https://h.example/%/b"} {
			got := materials.WithoutCredentials(strings.ReplaceAll(around, "%", token))
			require.NotContains(t, got, long[:16], what+" in "+around)
			require.NotContains(t, strings.ToLower(got), strings.ToLower(long[:16]), what)
			require.Contains(t, got, "[masked]", what)
		}
	}
	for _, plain := range []string{
		sum.String(), "ghp_short", "npm_config_cache=/x", "glibc-2.36-a-very-long-version-name.el9", "sk_live", "eyes.eyed.eyes",
		"docker-image://example.com/vault-token:1.2", "type=secret,id=x", "tokenizer=fast", "pkg:docker/app@v1?platform=linux%2Famd64",
	} {
		require.Equal(t, plain, materials.WithoutCredentials(plain))
	}
}

// What is left of a text never changes when it is masked once more, and a
// password in a URL is gone whatever stands around it.
func FuzzWithoutCredentials(f *testing.F) {
	for _, seed := range []string{"", "https://", "a://b@c://d@e", "x@y", "%3A%2F%2F%40", "Authorization: ", "\xff://\xff@", "a:b@c.de/", "?token=", "BEGIN PRIVATE KEY"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, around string) {
		_ = materials.WithoutCredentials(around)
		got := materials.WithoutCredentials(around + " https://user:s3cr3tpassword@example.com/x")
		if strings.Contains(got, "s3cr3tpassword") {
			t.Fatalf("%q keeps the password", got)
		}
	})
}

// Whatever a history holds around it, the value of a secret argument is gone.
func FuzzMaskInstruction(f *testing.F) {
	for _, seed := range []string{"", "RUN |1 ", "NPM_TOKEN=", `"`, "'", "a=\"b", "\xff=", "=[masked]"} {
		f.Add(seed, seed)
	}
	m := materials.NewMask(nil, map[string]string{"NPM_TOKEN": "s3cr3tpassword"})
	f.Fuzz(func(t *testing.T, before, after string) {
		got := m.Instruction(before + "NPM_TOKEN=s3cr3tpassword" + after)
		if strings.Contains(got, "s3cr3tpassword") {
			t.Fatalf("%q keeps the value", got)
		}
	})
}
