// SPDX-License-Identifier: Apache-2.0

package reproduce

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// noise is unrelated bytes that are the same on every run of the test.
func noise(seed byte, n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte{seed})).Read(b)
	return string(b)
}

// A story is two contents of a file and the rule that should explain them.
type story struct {
	name              string
	path              string
	original, rebuilt string
	instruction       string
	rule              string
}

var stories = []story{
	{"date", "/when", "Sun Nov 22 13:00:00 UTC 2026\n", "Mon Nov 23 09:01:02 UTC 2026\n", "", "date"},
	{"ISO 8601", "/v.json", `{"built":"2026-11-22T13:00:00.123Z"}`, `{"built":"2026-11-22T13:00:01.5Z"}`, "", "date"},
	{"RFC 2822", "/m", "Date: Sun, 22 Nov 2026 13:00:00 +0000\n", "Date: Mon, 23 Nov 2026 13:00:01 +0100\n", "", "date"},
	{"seconds since 1970", "/t", "T=1795352400\n", "T=1795359999\n", "", "date"},
	{"font cache", "/var/cache/fontconfig/ab-le64.cache-8", noise(1, 50), noise(1, 49) + "x", "RUN apt-get install fontconfig", "volatile"},
	{"dpkg log", "/var/log/dpkg.log", "2026-11-22 x\n", "2026-11-23 x\n", "", "volatile"},
	{"log line", "/srv/x.log", "2026-11-22 13:00:00,123 INFO done\n", "2026-11-22 13:07:09,001 INFO done\n", "", "date"},
	{"dpkg status", "/var/lib/dpkg/status", "Package: curl\nVersion: 7.88.1-10\n\n", "Package: curl\nVersion: 7.88.1-11\n\n", "RUN apt-get install curl", "package-version"},
	{"apk database", "/lib/apk/db/installed", "P:curl\nV:8.1\n", "P:curl\nV:8.2\n", "", "package-version"},
	{"same versions", "/var/lib/dpkg/status", "Version: 1\nInstalled: 2026-11-22\n", "Version: 1\nInstalled: 2026-11-23\n", "", "date"},
	{"apt list", "/var/lib/apt/lists/deb.debian.org_dists_bookworm_InRelease", "a", "b", "", "package-index"},
	{"host key", "/etc/ssh/ssh_host_rsa_key.pub", "ssh-rsa AAAA a", "ssh-rsa BBBB b", "", "ssh-host-key"},
	{"private key", "/srv/tls.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n", "-----BEGIN PRIVATE KEY-----\nBBBB\n", "", "private-key"},
	{"keystore", "/etc/ssl/certs/java/cacerts", "\xfe\xed\xfe\xed\x00\x00\x00\x02" + noise(1, 90), "\xfe\xed\xfe\xed\x00\x00\x00\x02" + noise(2, 90), "", "java-keystore"},
	{"pyc", "/m/__pycache__/a.cpython-312.pyc", "\xcb\r\r\n\x00\x00\x00\x00\x01\x02\x03\x04\x10\x00\x00\x00code", "\xcb\r\r\n\x00\x00\x00\x00\x05\x02\x03\x04\x10\x00\x00\x00code", "", "pyc"},
	{"gzip", "/a.gz", "\x1f\x8b\x08\x00\x01\x02\x03\x04\x00\x03data", "\x1f\x8b\x08\x00\x05\x06\x07\x08\x00\x03data", "", "gzip"},
	{"gzip of other data", "/a.gz", "\x1f\x8b\x08\x00" + noise(1, 100), "\x1f\x8b\x08\x00" + noise(2, 100), "", "random-bytes"},
	{"ar", "/lib.a", "!<arch>\na.o/            1795352400  0     0     100644  4         `\ndata", "!<arch>\na.o/            1795359999  0     0     100644  4         `\ndata", "", "ar"},
	{"zip", "/app.jar", "PK\x03\x04" + noise(1, 50), "PK\x03\x04" + noise(1, 49) + "x", "", "zip"},
	{"sqlite", "/app.db", "SQLite format 3\x00" + noise(1, 99), "SQLite format 3\x00" + noise(2, 99), "", "sqlite"},
	{"order", "/list", "b\na\nc\n", "c\nb\na\n", "", "order"},
	{"order of keys", "/k", "x=1\ny=2\n", "y=2\nx=1\n", "", "order"},
	{"locale", "/etc/env", "LANG=de_DE.UTF-8\n", "LANG=C.UTF-8\n", "", "locale"},
	{"uuid", "/id", "id: 6f1c1e9e-3b1d-4a8a-9a35-0d5a3e2f1b00\n", "id: 11111111-3b1d-4a8a-9a35-0d5a3e2f1b01\n", "", "uuid"},
	{"digest", "/sum", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  -\n", "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b  -\n", "", "token"},
	{"base64", "/t", "tTp1gLfmJ4c8wYQ7k1Zb+A==\n", "q9QF3bmXc0AA8yLkkVnH/w==\n", "", "token"},
	{"temporary file", "/c", "using /tmp/a1.x now\n", "using /tmp/zz9.yyy now\n", "", "temporary-path"},
	{"process id", "/pid", "pid 17\n", "pid 4711\n", "", "number"},
	{"stamped binary", "/bin/x", noise(1, 1000) + "\x10\x20\x30\x60" + noise(2, 1000), noise(1, 1000) + "\x11\x21\x30\x60" + noise(2, 1000), "", "binary-time"},
	{"random", "/rnd", "\x01\xff\x02\xfe\x03\xfd\x04\xfc", "\xf1\x0f\xf2\x0e\xf3\x0d\xf4\x0c", "", "random-bytes"},
	{"download", "/page", "<p>alpha</p>\n", "<p>beta beta</p>\n", "RUN /bin/sh -c curl -sf https://example.com > /page", "network"},
	{"ADD", "/page", "<p>alpha</p>\n", "<p>beta beta</p>\n", "ADD https://example.com/page /page # buildkit", "network"},
	{"nobody knows", "/page", "<p>alpha</p>\n", "<p>beta beta</p>\n", "RUN /bin/sh -c ./render > /page", "unknown"},
}

func (s story) pair() pair {
	return pair{
		file:     &File{Path: s.path, Change: changed, Differs: []string{"content"}},
		original: []byte(s.original), rebuilt: []byte(s.rebuilt), instruction: s.instruction,
		layer: &peers{original: map[string]bool{}, rebuilt: map[string]bool{}},
	}
}

func TestCauses(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			require.Equal(t, s.rule, explain(s.pair()).ID)
			s.original, s.rebuilt = s.rebuilt, s.original
			require.Equal(t, s.rule, explain(s.pair()).ID, "the other way round")
		})
	}
}

// What is not about content, and the tar.
func TestCausesWithoutContent(t *testing.T) {
	tarball := func(b byte) string {
		block := bytes.Repeat([]byte{0}, 512)
		copy(block[257:], "ustar")
		block[140] = b
		return string(block)
	}
	s := story{path: "/a.tar", original: tarball('1'), rebuilt: tarball('2')}
	require.Equal(t, "tar", explain(s.pair()).ID)

	none := &peers{}
	require.Equal(t, "mtime", explain(pair{file: &File{Path: "/a", Change: changed, Differs: []string{"mtime"}}, layer: none}).ID)
	require.Equal(t, "mode", explain(pair{file: &File{Path: "/a", Change: changed, Differs: []string{"mode", "mtime"}}, layer: none}).ID)
	require.Equal(t, "mode", explain(pair{file: &File{Path: "/a", Change: changed, Differs: []string{"owner"}}, layer: none}).ID)
	require.Equal(t, "unknown", explain(pair{file: &File{Path: "/a", Change: changed, Differs: []string{"kind"}}, layer: none}).ID)
	require.Equal(t, "unknown", explain(pair{file: &File{Path: "/a", Change: changed, Differs: []string{"content"}}, layer: none}).ID, "too many or too large to be read")
	require.Equal(t, "unknown", explain(pair{file: &File{Path: "/a", Change: onlyRebuilt}, layer: none}).ID)
	require.Equal(t, "network", explain(pair{file: &File{Path: "/a", Change: onlyRebuilt}, layer: &peers{network: true}}).ID)
}

func TestNamesThatVary(t *testing.T) {
	l := Layer{Files: []File{
		{Path: "/c/tmp.9f3a61b2", Change: onlyOriginal}, {Path: "/c/tmp.11aa22bb", Change: onlyRebuilt},
		{Path: "/log-20261122", Change: onlyOriginal}, {Path: "/log-20261123", Change: onlyRebuilt},
		{Path: "/gone", Change: onlyOriginal},
	}}
	p := l.peers(nil, nil)
	var got []string
	for i := range l.Files {
		got = append(got, explain(pair{file: &l.Files[i], layer: p}).ID)
	}
	require.Equal(t, []string{"name", "name", "name", "name", "unknown"}, got)
}

// Every rule is told by a story or by one of the tests above.
func TestEveryRuleIsTested(t *testing.T) {
	seen := map[string]bool{"mtime": true, "mode": true, "tar": true, "name": true}
	for _, s := range stories {
		seen[s.rule] = true
	}
	guide, err := os.ReadFile("../../docs/reproduce.md")
	require.NoError(t, err)
	ids := map[string]bool{}
	for _, r := range Rows() {
		require.True(t, seen[r.ID], r.ID)
		require.False(t, ids[r.ID], "%s is there twice", r.ID)
		ids[r.ID] = true
		require.Contains(t, string(guide), "| `"+r.ID+"` | "+string(r.Cause)+" | "+r.Detail+" |\n")
	}
	require.Equal(t, len(Rows()), strings.Count(string(guide), "| time |")+strings.Count(string(guide), "| source |")+strings.Count(string(guide), "| network |")+
		strings.Count(string(guide), "| random |")+strings.Count(string(guide), "| order |")+strings.Count(string(guide), "| locale |")+strings.Count(string(guide), "| unknown |"),
		"the guide has no row that the table has not")
}

// FuzzExplain: whatever is in the files, there is an explanation, in time.
func FuzzExplain(f *testing.F) {
	for _, s := range stories {
		f.Add(s.path, []byte(s.original), []byte(s.rebuilt))
	}
	f.Fuzz(func(t *testing.T, path string, a, b []byte) {
		s := story{path: path, original: string(a), rebuilt: string(b)}
		require.NotEmpty(t, explain(s.pair()).ID)
	})
}
