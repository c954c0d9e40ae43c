// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// markerName is the file that makes a folder a stand. Only a folder that has
// it is ever cleaned or removed.
const markerName = "plomb-stand.json"

// maxSocketPath is the room in sockaddr_un.sun_path (108 bytes, unix(7))
// without the closing zero.
const maxSocketPath = 107

var (
	// ErrDirTooLong reports a folder whose sockets could not be addressed.
	ErrDirTooLong = errors.New("folder name too long for Unix sockets")
	// ErrNotAStand reports a folder without a stand's marker.
	ErrNotAStand = errors.New("not a stand")
	// ErrDangerousDir reports a folder no stand may ever live in.
	ErrDangerousDir = errors.New("dangerous folder")
)

// state is the marker's content: what a later process has to know to use or
// stop the stand. It holds choices only; process ids are in run/NAME.pid.
type state struct {
	Version     int      `json:"version"`
	Bin         string   `json:"bin"`
	Snapshotter string   `json:"snapshotter"`
	Daemons     []string `json:"daemons"`
	Registry    string   `json:"registry"` // host:port, its own or a lent one
	Sigstore    string   `json:"sigstore"` // host:port, its own; empty when lent
	Stream      string   `json:"stream"`   // host:port of containerd's CRI streaming
	Metrics     string   `json:"metrics"`  // host:port that an agent may use
	SigstoreDir string   `json:"sigstoreDir"`
	Policy      string   `json:"policy"`
	Frontend    string   `json:"frontend,omitempty"`
	Buildkitd   string   `json:"buildkitdProgram"`
	Verifier    string   `json:"verifierProgram"`
	// WorkerAddress is the containerd that buildkitd works in; empty for runc.
	WorkerAddress string `json:"workerAddress,omitempty"`
}

const stateVersion = 2

// layout turns the folder into paths.
type layout struct{ dir string }

func (l layout) path(elem ...string) string {
	return filepath.Join(append([]string{l.dir}, elem...)...)
}
func (l layout) marker() string             { return l.path(markerName) }
func (l layout) pidFile(name string) string { return l.path("run", name+".pid") }
func (l layout) logFile(name string) string { return l.path("log", name+".log") }
func (l layout) config(name string) string  { return l.path("etc", name) }
func (l layout) buildkitSocket() string     { return l.path("run", "buildkitd.sock") }
func (l layout) containerdSocket() string   { return l.path("run", "containerd.sock") }
func (l layout) longestSocket() string      { return l.path("run", "containerd.sock.ttrpc") }
func (l layout) hosts() string              { return l.path("etc", "certs.d") }
func (l layout) nriSocket() string          { return l.path("run", "nri.sock") }
func (l layout) agentSocket() string        { return l.path("run", "plomb", "agent.sock") }
func (l layout) nodeConfig() string         { return l.path("etc", "plomb", "node.yaml") }
func (l layout) nodeState() string          { return l.path("plomb") }

// id names what of this stand is outside its folder. It depends on the folder
// alone, so that a crashed stand's leftovers are found again.
func (l layout) id() string {
	sum := sha256.Sum256([]byte(l.dir))
	return "plomb-" + hex.EncodeToString(sum[:4])
}

// outside is the folder for sockets whose names have a length of their own.
func (l layout) outside() string { return filepath.Join("/run", l.id()) }

// resolve gives the folder its one true name, whether or not it exists yet:
// mount tables and process arguments are compared with it.
func resolve(dir string) (layout, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return layout{}, fmt.Errorf("folder %s: %w", dir, err)
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	} else if parent, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(parent, filepath.Base(abs))
	}
	l := layout{abs}
	if err := refuseDangerous(abs); err != nil {
		return layout{}, err
	}
	if n := len(l.longestSocket()); n > maxSocketPath {
		return layout{}, fmt.Errorf("%w: %s is %d bytes, at most %d fit: use a shorter one",
			ErrDirTooLong, abs, len(abs), len(abs)-(n-maxSocketPath))
	}
	if strings.ContainsAny(abs, "\n\"\\'") {
		return layout{}, fmt.Errorf("%w: %q has quotes, backslashes or line breaks, which the daemons' files cannot hold", ErrOptions, abs)
	}
	return l, nil
}

// refuseDangerous stops mistakes such as an unset shell variable before
// anything is written: system folders and home folders are never stands.
func refuseDangerous(abs string) error {
	home, _ := os.UserHomeDir()
	for _, bad := range []string{home, "/tmp", "/var/tmp", "/var/lib"} {
		if bad != "" && abs == bad {
			return fmt.Errorf("%w: %s: name a folder of the stand's own inside it", ErrDangerousDir, abs)
		}
	}
	if strings.Count(abs, "/") < 2 {
		return fmt.Errorf("%w: %s is at the top of the file system: name a folder further down", ErrDangerousDir, abs)
	}
	return nil
}

// claim makes the folder a stand, or finds that it is one. The returned state
// is nil for a new one.
func (l layout) claim() (*state, error) {
	if st, err := l.load(); err == nil {
		return st, nil
	} else if !errors.Is(err, ErrNotAStand) {
		return nil, err
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("folder for the stand: %w", err)
	}
	for _, e := range entries {
		if e.Name() != lockName {
			return nil, fmt.Errorf("%w: %s holds other files (%s): name an empty or new folder", ErrNotAStand, l.dir, e.Name())
		}
	}
	return nil, nil
}

func (l layout) makeFolders() error {
	for _, sub := range []string{"bin", "etc", "log", "run", "tmp", "home", "verifiers"} {
		if err := os.MkdirAll(l.path(sub), 0o755); err != nil {
			return fmt.Errorf("folder for the stand: %w", err)
		}
	}
	return nil
}

func (l layout) load() (*state, error) {
	data, err := os.ReadFile(l.marker())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no %s", ErrNotAStand, l.dir, markerName)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the stand's marker: %w", err)
	}
	var st state
	if err := json.Unmarshal(data, &st); err != nil {
		return nil, fmt.Errorf("stand's marker %s: %w", l.marker(), err)
	}
	if st.Version != stateVersion {
		return nil, fmt.Errorf("%w: %s has version %d, this program knows %d: stop it with the program that made it",
			ErrNotAStand, l.marker(), st.Version, stateVersion)
	}
	return &st, nil
}

func (l layout) save(st state) error {
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return fmt.Errorf("stand's marker: %w", err)
	}
	return writeFile(l.marker(), append(data, '\n'), 0o644)
}

// writeFile replaces a file by rename, so that no reader sees half of it.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, mode); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

const lockName = ".lock"

// lock makes starts and stops of one folder wait for each other. It waits
// again when the file it got was removed with the stand meanwhile, and fails
// with fs.ErrNotExist when the folder is gone.
func (l layout) lock() (unlock func(), err error) {
	for {
		f, err := os.OpenFile(l.path(lockName), os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, fmt.Errorf("locking the stand: %w", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			f.Close()
			return nil, fmt.Errorf("locking the stand: %w", err)
		}
		held, err1 := f.Stat()
		now, err2 := os.Stat(l.path(lockName))
		if err1 == nil && err2 == nil && os.SameFile(held, now) {
			return func() { f.Close() }, nil
		}
		f.Close()
	}
}
