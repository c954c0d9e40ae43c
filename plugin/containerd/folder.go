// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// VerifierName is the program's in the folder of verifiers.
const VerifierName = "plomb-verifier"

// Verifiers says what is wrong with the folder of verifiers. containerd lists it
// anew for each pull, in the order of names, runs whatever is there, and admits
// everything while there is nothing.
func Verifiers(f Facts) []Finding {
	if f.BinDir == "" {
		return nil // said by Analyse
	}
	finding := func(value, effect, remedy string, fatal bool) Finding {
		return Finding{Setting: f.BinDir, Value: value, Effect: effect, Remedy: remedy, At: AtPull, Fatal: fatal, Edit: true}
	}
	const install = "run plomb node install"
	entries, err := os.ReadDir(f.BinDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{finding("not there", "every image is admitted", install, true)}
	case err != nil:
		return []Finding{finding(err.Error(), "every pull fails", install, false)}
	case len(entries) == 0:
		return []Finding{finding("empty", "every image is admitted", install, true)}
	}
	var out []Finding
	at := slices.IndexFunc(entries, func(e fs.DirEntry) bool { return e.Name() == VerifierName })
	switch {
	case at < 0:
		out = append(out, finding("without "+VerifierName, "plomb is not asked", install, true))
	case f.MaxVerifiers > 0 && at >= f.MaxVerifiers:
		out = append(out, finding(fmt.Sprintf("%s is file %d, and max_verifiers is %d", VerifierName, at+1, f.MaxVerifiers),
			"plomb is not asked", header(bindir)+"max_verifiers = -1", true))
	}
	for _, e := range entries {
		if why := cannotRun(filepath.Join(f.BinDir, e.Name())); why != "" {
			out = append(out, finding(quote(e.Name())+" "+why, "every pull fails", "remove it, or make it a program", false))
		} else if e.Name() != VerifierName {
			out = append(out, finding("also "+quote(e.Name()), "it is run too, and may refuse what plomb admits", "remove it unless it is meant", false))
		}
	}
	return out
}

// cannotRun says why containerd fails to run a file, or "".
func cannotRun(path string) string {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "cannot be read"
	case info.IsDir():
		return "is a folder"
	case !info.Mode().IsRegular():
		return "is no regular file"
	case info.Mode().Perm()&0o111 == 0:
		return "is not executable"
	case info.Size() == 0:
		return "is empty"
	}
	return ""
}
