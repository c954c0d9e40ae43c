// SPDX-License-Identifier: Apache-2.0

package verifybench

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCounterListsRequests(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Docker-Content-Digest", "sha256:1")
		_, _ = io.WriteString(w, req.Method+req.URL.Path+"?"+req.URL.RawQuery)
	}))
	defer upstream.Close()
	c := newCounter(strings.TrimPrefix(upstream.URL, "http://"))
	address, stop, err := serve(c)
	require.NoError(t, err)
	defer stop()
	require.Empty(t, c.requests())
	resp, err := http.Get("http://" + address + "/v2/x/referrers/sha256:1?artifactType=y")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "GET/v2/x/referrers/sha256:1?artifactType=y", string(body))
	require.Equal(t, "sha256:1", resp.Header.Get("Docker-Content-Digest"))
	resp, err = http.Head("http://" + address + "/v2/")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, []string{"GET /v2/x/referrers/sha256:1", "HEAD /v2/"}, c.requests())
}

func TestReadBenchmarks(t *testing.T) {
	require.Equal(t, map[string]time.Duration{
		"BenchmarkVerify/rekor-v2/plomb": 1450 * time.Microsecond, "BenchmarkRule": 8693, "BenchmarkFast": 12,
	}, readBenchmarks(`goos: linux
BenchmarkVerify/rekor-v2/plomb-16         	     198	   1450000 ns/op	  495167 B/op	    6633 allocs/op
BenchmarkRule-2   	   23097	      8693 ns/op
BenchmarkFast   	100000000	        12.45 ns/op
PASS
`))
}

func TestABenchmarkThatIsGoneFails(t *testing.T) {
	found := map[string][]time.Duration{}
	for _, row := range benchmarks {
		found[row.name] = []time.Duration{1, 2}
	}
	require.NoError(t, checkBenchmarks(found, 2))
	delete(found, benchmarks[3].name)
	require.ErrorContains(t, checkBenchmarks(found, 2), benchmarks[3].name)
}

// The table names benchmarks that are there, and compares with rows of its own.
func TestBenchmarksAreThere(t *testing.T) {
	rows := map[string]bool{"": true}
	for _, row := range benchmarks {
		rows[row.name] = true
	}
	for _, row := range benchmarks {
		require.True(t, rows[row.against], row.against)
		folder, name, _ := strings.Cut(row.name, " ")
		name, _, _ = strings.Cut(name, "/")
		files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
		require.NoError(t, err)
		there := false
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			there = there || bytes.Contains(data, []byte("func "+name+"("))
		}
		require.True(t, there, row.name)
		asked := false
		for _, s := range suites {
			asked = asked || s.folder == folder && regexp.MustCompile(s.pattern).MatchString(name)
		}
		require.True(t, asked, row.name)
	}
}

func TestTables(t *testing.T) {
	r := Result{
		Processes: []Process{
			{Image: "a", Program: plomb, Requests: []string{"GET /1", "GET /2"}, against: cosign,
				samples: []sample{{10 * time.Millisecond, 5 * time.Millisecond}, {time.Hour, 5 * time.Millisecond}, {time.Millisecond, 5 * time.Millisecond}}},
			{Image: "a", Program: cosign, Requests: []string{"GET /1"}, against: cosign, samples: []sample{{40 * time.Millisecond, 50 * time.Millisecond}}},
			{Image: "b", Program: cosign, against: cosign, samples: []sample{{time.Hour, time.Hour}}},
			{Image: "c", Program: plomb, samples: []sample{{time.Second, time.Second}}},
		},
		Benchmarks: map[string][]time.Duration{
			"verify BenchmarkVerify/plomb": {1500 * time.Microsecond}, "verify BenchmarkVerify/sigstore-go": {time.Millisecond},
			"verify/policy/cel BenchmarkRule": {8693},
		},
	}
	var out bytes.Buffer
	require.NoError(t, r.write(&out))
	require.Contains(t, out.String(), `| a | plomb verify | 10.00 ms | 0.25 | 5.00 ms | 0.10 | 2 |
| a | cosign verify | 40.00 ms | 1.00 | 50.00 ms | 1.00 | 1 |
`)
	require.Contains(t, out.String(), "| c | plomb verify | 1000.00 ms | - | 1000.00 ms | - | 0 |\n", "with nothing beside it")
	require.Contains(t, out.String(), "the whole decision | 1.50 ms | 1.50 |\n")
	require.Contains(t, out.String(), "| a CEL rule of six comparisons | 8.7 µs | - |\n")
	require.Equal(t, 2+len(r.Processes)+3+len(benchmarks), strings.Count(out.String(), "\n"))
}

// What a program says is shown only if it failed, and then all of it.
func TestDo(t *testing.T) {
	b := &bench{work: t.TempDir(), stand: nil}
	sh, err := exec.LookPath("sh")
	require.NoError(t, err)
	out, s, err := b.do(t.Context(), command{path: sh, args: []string{"-c", "cat; echo $X"}, env: []string{"X=y"}, stdin: []byte("in ")})
	require.NoError(t, err)
	require.Equal(t, "in y\n", out)
	require.Positive(t, s.wall)
	_, _, err = b.do(t.Context(), command{path: sh, args: []string{"-c", "echo out; echo err >&2; exit 3"}})
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "out\nerr")
}
