// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
	"github.com/plombproject/plomb/integration/tamper"
)

const plain = "FROM ${BUSYBOX}\nRUN echo plain > /etc/name\n"

// What cannot work ends with an error that names the thing and the remedy,
// and leaves nothing in the registry.
func TestBadInput(t *testing.T) {
	tests := map[string]struct {
		build func(t *testing.T) build
		says  []string
	}{
		"unknown option": {
			build: func(*testing.T) build {
				return build{dockerfile: plain, args: []string{"--build-arg", "PLOMB_SING=off"}}
			},
			says: []string{"PLOMB_SING", "PLOMB_SIGN"},
		},
		"bad value": {
			build: func(*testing.T) build {
				return build{dockerfile: plain, args: []string{"--build-arg", "PLOMB_SIGN=always"}}
			},
			says: []string{`PLOMB_SIGN="always"`, "auto, keyless, key, off"},
		},
		"no token where one is required": {
			build: func(*testing.T) build {
				return build{dockerfile: plain, args: []string{"--build-arg", "PLOMB_SIGN=keyless"}}
			},
			says: []string{"PLOMB_SIGN=keyless", "no signing credential", "--secret id=plomb-id-token"},
		},
		"expired token": {
			build: func(t *testing.T) build {
				return build{dockerfile: plain, token: token(t, "--lifetime", "-1h")}
			},
			says: []string{"token.actions.githubusercontent.com expired at", "pass a fresh one"},
		},
		"token of an unknown issuer": {
			build: func(t *testing.T) build {
				return build{dockerfile: plain, token: token(t, "--issuer", "https://issuer.example.com")}
			},
			says: []string{"certificate authority (Fulcio) at http://127.0.0.1:", "comes from an issuer it accepts"},
		},
		"no token but words": {
			build: func(t *testing.T) build {
				path := filepath.Join(t.TempDir(), "token")
				require.NoError(t, os.WriteFile(path, []byte("not a token"), 0o600))
				return build{dockerfile: plain, token: path}
			},
			says: []string{"unusable identity token", "not a signed JWT"},
		},
		"fulcio down": {
			build: func(t *testing.T) build {
				return build{dockerfile: plain, token: token(t), settings: settings(t, "/fulcio", true)}
			},
			says: []string{"certificate authority (Fulcio) at http://", "/fulcio", "check that it runs"},
		},
		"log down": {
			build: func(t *testing.T) build {
				return build{dockerfile: plain, token: token(t), settings: settings(t, "/rekor", true)}
			},
			says: []string{"transparency log (Rekor) at http://", "/rekor", "check that it runs"},
		},
		"timestamp authority down": {
			build: func(t *testing.T) build {
				return build{dockerfile: plain, token: token(t), settings: settings(t, "/tsa/", true)}
			},
			says: []string{"timestamp authority at http://", "/tsa/", "check that it runs"},
		},
		"broken signing config": {
			build: func(t *testing.T) build {
				dir := settings(t, "", false)
				require.NoError(t, os.WriteFile(filepath.Join(dir, "signing_config.json"), []byte(`{"mediaType":1}`), 0o600))
				return build{dockerfile: plain, token: token(t), settings: dir}
			},
			says: []string{"signing_config.json"},
		},
		"trusted root of another instance": {
			build: func(t *testing.T) build {
				dir := settings(t, "", false)
				require.NoError(t, os.WriteFile(filepath.Join(dir, "trusted_root.json"), foreignRoot(t), 0o600))
				return build{dockerfile: plain, token: token(t), settings: dir}
			},
			says: []string{"the new signature does not verify", "belong together"},
		},
		"syntax error": {
			build: func(*testing.T) build {
				return build{dockerfile: "FROM ${BUSYBOX}\nRUM echo hello\n"}
			},
			says: []string{">>> RUM echo hello", "unknown instruction: RUM (did you mean RUN?)"},
		},
		"failing step": {
			build: func(*testing.T) build {
				return build{dockerfile: "FROM ${BUSYBOX}\nRUN exit 3\n"}
			},
			says: []string{">>> RUN exit 3", "exit code: 3"},
		},
		"a step asks for the signing token": {
			build: func(t *testing.T) build {
				return build{token: token(t), dockerfile: "FROM ${BUSYBOX}\nRUN --mount=type=secret,id=plomb-id-token cat /run/secrets/plomb-id-token\n"}
			},
			says: []string{">>> RUN --mount=type=secret,id=plomb-id-token", `secret id "plomb-id-token" is reserved`},
		},
		"a step asks for the signing token as a variable": {
			build: func(t *testing.T) build {
				return build{token: token(t), dockerfile: "FROM ${BUSYBOX} AS thief\nRUN --mount=type=secret,id=plomb-github-token,env=T echo $T\nFROM ${BUSYBOX}\nCOPY --from=thief /etc/passwd /stolen\n"}
			},
			says: []string{`secret id "plomb-github-token" is reserved`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			b := tc.build(t)
			o := b.run(t)
			require.Error(t, o.err, o.log)
			for _, want := range tc.says {
				require.Contains(t, o.log, want)
			}
			r, tag := dissect.Registry(t, o.ref)
			_, err := r.Manifest(t.Context(), tag)
			require.ErrorIs(t, err, tamper.ErrNotFound, "something was pushed")
			if b.token != "" {
				secret, err := os.ReadFile(b.token)
				require.NoError(t, err)
				require.NotContains(t, o.log, strings.TrimSpace(string(secret)), "the token is in the log")
			}
		})
	}
}

func TestUnsignedBuildWarns(t *testing.T) {
	o := build{dockerfile: plain}.must(t)
	require.Contains(t, o.log, "sealed but NOT signed")
	require.Contains(t, o.log, "--secret id=plomb-id-token")
	o = build{dockerfile: plain, args: []string{"--build-arg", "PLOMB_SIGN=off"}}.must(t)
	require.NotContains(t, o.log, "NOT signed")
}

// The token reaches neither the image nor its provenance.
func TestTokenStaysOut(t *testing.T) {
	tok := token(t)
	dest := filepath.Join(t.TempDir(), "image.tar")
	o := build{dockerfile: plain, token: tok, output: "type=oci,dest=" + dest + ",compression=uncompressed,force-compression=true"}.must(t)
	secret, err := os.ReadFile(tok)
	require.NoError(t, err)
	needle := strings.TrimSpace(string(secret))
	require.NotContains(t, o.log, needle)
	data, err := os.ReadFile(dest)
	require.NoError(t, err)
	require.NotContains(t, string(data), needle)
	// Nor does its signature part, which is what makes it worth stealing.
	require.NotContains(t, string(data), needle[strings.LastIndex(needle, ".")+1:])
}

// settings copies the local Sigstore's signing config and trusted root to a
// folder of their own. With dead, the service whose URL contains part gets an
// address where nobody listens.
func settings(t testing.TB, part string, dead bool) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "plomb-settings-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, name := range []string{"signing_config.json", "trusted_root.json"} {
		data, err := os.ReadFile(filepath.Join(shared.Sigstore, name))
		require.NoError(t, err)
		if dead && name == "signing_config.json" {
			data = []byte(kill(t, string(data), part))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return dir
}

// kill moves the URLs with part to a dead port.
func kill(t testing.TB, config, part string) string {
	t.Helper()
	lines := strings.Split(config, "\n")
	killed := 0
	for i, line := range lines {
		before, rest, ok := strings.Cut(line, "http://")
		if !ok || !strings.Contains(rest, part) {
			continue
		}
		_, path, _ := strings.Cut(rest, "/")
		lines[i] = before + "http://" + absentRegistry(t) + "/" + path
		killed++
	}
	require.NotZero(t, killed, config)
	return strings.Join(lines, "\n")
}

// foreignRoot is the trusted root of a second local Sigstore.
func foreignRoot(t *testing.T) []byte {
	t.Helper()
	other := standtest.Start(t, stand.Options{Only: []string{stand.Sigstore}})
	root, err := os.ReadFile(other.TrustedRoot())
	require.NoError(t, err)
	return root
}
