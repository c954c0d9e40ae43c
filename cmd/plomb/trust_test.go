// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/trust/tuf/tuftest"
	"github.com/plombproject/plomb/verify/verifytest"
)

// TestTrustScripts runs the stories in testdata/trust. Each finds a TUF mirror
// of its own at $MIRROR, the root.json to begin with in tuf-root.json, that of a
// stranger in other-root.json, a trusted root in root.json, and an empty store
// in $PLOMB_TRUST. Commands: `publish` makes the mirror have another trusted
// root, `slow` makes it take a second and a half, `expired` makes it expire, and
// `age NAME HOURS` makes an instance older.
func TestTrustScripts(t *testing.T) {
	sigstore := verifytest.NewSigstore(t)
	first := sigstore.TrustedRoot(t, verifytest.RootOptions{})
	second := verifytest.NewSigstore(t).TrustedRoot(t, verifytest.RootOptions{})
	repository := func(ts *testscript.TestScript) *tuftest.Repository {
		return ts.Value("tuf").(*tuftest.Repository)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "trust"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":  status,
			"age":     age,
			"publish": func(ts *testscript.TestScript, _ bool, _ []string) { repository(ts).Publish(second) },
			"expired": func(ts *testscript.TestScript, _ bool, _ []string) {
				repository(ts).Expires["timestamp"] = time.Now().Add(-time.Minute)
				repository(ts).Publish(second)
			},
			"slow": func(ts *testscript.TestScript, _ bool, _ []string) {
				repository(ts).Handle("2.root.json", func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(1500 * time.Millisecond)
					http.NotFound(w, r)
				})
			},
		},
		Setup: func(env *testscript.Env) error {
			r := tuftest.New(t)
			r.Publish(first)
			env.Values["tuf"] = r
			env.Setenv("MIRROR", r.Serve())
			env.Setenv("PLOMB_TRUST", filepath.Join(env.WorkDir, "store"))
			for name, data := range map[string][]byte{"tuf-root.json": r.Root(1), "other-root.json": tuftest.New(t).Root(1), "root.json": first} {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), data, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// age shifts an instance into the past: `age corp 48`.
func age(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: age NAME HOURS")
	}
	hours, err := strconv.Atoi(args[1])
	ts.Check(err)
	path := filepath.Join(ts.Getenv("PLOMB_TRUST"), args[0], "state.json")
	data, err := os.ReadFile(path)
	ts.Check(err)
	state, err := trust.ParseState(data)
	ts.Check(err)
	shift := -time.Duration(hours) * time.Hour
	state.Updated, state.Expires = state.Updated.Add(shift), state.Expires.Add(shift)
	data, err = json.Marshal(state)
	ts.Check(err)
	ts.Check(os.WriteFile(path, data, 0o600))
}
