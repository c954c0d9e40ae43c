// SPDX-License-Identifier: Apache-2.0

//go:build integration

package keyed

import (
	"bytes"
	"encoding/pem"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
)

// Whoever writes the Dockerfile does not get at the key, and a key that cannot
// sign ends the build before a step runs.
func TestKeysAreRefused(t *testing.T) {
	const plain = "FROM ${BASE}\nRUN echo ran $((40+2))\n"
	steal := func(mount string) string {
		return "FROM ${BASE}\nRUN --mount=type=secret," + mount + " echo ran $((40+2))\n"
	}
	key := []string{"--secret", "id=plomb-key,src=" + keyFile(mine)}
	file := func(text string) string { return harness.Secret(t, text) }
	secret := func(id, text string) []string { return []string{"--secret", "id=" + id + ",src=" + file(text)} }
	sealed, err := os.ReadFile(keyFile(mine))
	require.NoError(t, err)
	for name, row := range map[string]struct {
		dockerfile string
		args       []string
		says       string
	}{
		"a step mounts the key":         {steal("id=plomb-key"), cosigned(mine), `secret id "plomb-key" is reserved`},
		"as a variable":                 {steal("id=plomb-key,env=K"), cosigned(mine), `secret id "plomb-key" is reserved`},
		"or its password":               {steal("id=plomb-key-password,target=/tmp/x"), cosigned(mine), `secret id "plomb-key-password" is reserved`},
		"by the place alone":            {steal("target=/run/secrets/plomb-key"), cosigned(mine), `secret id "plomb-key" is reserved`},
		"in a stage that is copied":     {strings.Replace(steal("id=plomb-key"), "${BASE}", "${BASE} AS thief", 1) + "FROM scratch\nCOPY --from=thief /etc /etc\n", cosigned(mine), `secret id "plomb-key" is reserved`},
		"or a certificate":              {steal("id=plomb-certificate"), nil, `secret id "plomb-certificate" is reserved`},
		"unsigned as well":              {steal("id=plomb-key"), append([]string{"--build-arg", "PLOMB_SIGN=off"}, key...), `secret id "plomb-key" is reserved`},
		"no key":                        {plain, []string{"--build-arg", "PLOMB_SIGN=key"}, "PLOMB_SIGN=key: no signing credential: pass a build secret: --secret id=plomb-key"},
		"a key where a token is wanted": {plain, append([]string{"--build-arg", "PLOMB_SIGN=keyless"}, cosigned(mine)...), "PLOMB_SIGN=keyless: no signing credential"},
		"a token as well":               {plain, append(secret("plomb-id-token", "x"), cosigned(mine)...), "say which to use with PLOMB_SIGN=keyless or PLOMB_SIGN=key"},
		"no password":                   {plain, key, "plomb-key is encrypted with a password"},
		"a wrong password":              {plain, append(secret("plomb-key-password", "wrong"), key...), "plomb-key-password does not open plomb-key"},
		"an empty key":                  {plain, secret("plomb-key", ""), "plomb-key is empty"},
		"a public key":                  {plain, []string{"--secret", "id=plomb-key,src=" + pubFile(mine)}, "not one private key in PEM"},
		"a certificate":                 {plain, append(secret("plomb-certificate", "x"), cosigned(mine)...), "plomb-certificate is not supported"},
		"a key that takes hours":        {plain, append(secret("plomb-key", endless(t, sealed)), "--secret", "id=plomb-key-password,src="+keyFile("password")), "other scrypt parameters"},
		"no timestamp authority":        {plain, append(dead(t), cosigned(mine)...), "timestamp authority at http://127.0.0.1:1/"},
	} {
		t.Run(name, func(t *testing.T) {
			ref := on.Registry + "/refused/" + harness.Name(t) + ":v1"
			begun := time.Now()
			p := harness.Command{On: on, Args: slices.Concat(harness.Push(ref), row.args, []string{folder(t, row.dockerfile)})}.Run(t)
			require.NotZero(t, p.Status)
			require.Contains(t, p.All, row.says)
			require.Equal(t, name == "no timestamp authority", strings.Contains(p.Stderr, "ran 42\n"), "%s", p.All)
			require.Less(t, time.Since(begun), time.Minute)
			plomb(t, 2, "verify", "--key", pubFile(mine), ref) // nothing was pushed
		})
	}
}

// endless is a key of cosign's whose password would take hours to try.
func endless(t *testing.T, key []byte) string {
	t.Helper()
	block, _ := pem.Decode(key)
	box := bytes.Replace(block.Bytes, []byte(`"N":65536`), []byte(`"N":1073741824`), 1)
	require.NotEqual(t, block.Bytes, box)
	return string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: box}))
}

// dead are settings with a timestamp authority where nobody listens.
func dead(t *testing.T) []string {
	t.Helper()
	dir := harness.Folder(t, map[string]string{"signing_config.json": `{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json",` +
		`"tsaUrls":[{"url":"http://127.0.0.1:1/","majorApiVersion":1,"validFor":{"start":"2020-01-01T00:00:00Z"},"operator":"o"}],` +
		`"rekorTlogConfig":{"selector":"ANY"},"tsaConfig":{"selector":"ANY"}}`})
	return []string{"--build-context", "plomb=" + dir}
}
