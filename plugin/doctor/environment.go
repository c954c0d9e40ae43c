// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/plugin/settings"
)

// maxEnviron bounds a process' environment, in bytes.
const maxEnviron = 4 << 20

// environment compares what containerd hands on to plomb-verifier with what the
// doctor has: an operator's shell knows nothing of a unit's Environment=.
func (p *proof) environment(pid int) {
	data, err := limit.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"), maxEnviron)
	if err != nil {
		p.add(Check{ID: CheckEnvironment, Status: Warn, Detail: "containerd's environment cannot be read: " + err.Error()})
		return
	}
	theirs, err := settings.Read(lookup(data))
	if err != nil {
		p.add(Check{ID: CheckEnvironment, Status: Fail, Detail: "plomb-verifier refuses everything under containerd's environment: " + err.Error(), Remedy: "mend it in containerd's unit"})
		return
	}
	ours := p.Settings
	var differ []string
	for _, v := range []struct{ name, ours, theirs string }{
		{"PLOMB_STATE", ours.State, theirs.State},
		{"PLOMB_POLICY", ours.Policy, theirs.Policy},
		{"PLOMB_NO_MATCH_POLICY", string(ours.NoMatch), string(theirs.NoMatch)},
		{"PLOMB_NODE_CONFIG", ours.Config, theirs.Config},
		{"PLOMB_SOCKET", ours.Socket, theirs.Socket},
	} {
		if v.ours != v.theirs {
			differ = append(differ, v.name+" is "+v.theirs+" for containerd and "+v.ours+" here")
		}
	}
	if len(differ) > 0 {
		p.add(Check{ID: CheckEnvironment, Status: Warn, Detail: strings.Join(differ, "; "), Remedy: "run the doctor with containerd's variables, or set them in containerd's unit"})
		return
	}
	p.add(Check{ID: CheckEnvironment, Status: Pass, Detail: "containerd hands the verifier the settings that the doctor has"})
}

// lookup finds variables in the form of /proc/PID/environ.
func lookup(environ []byte) func(name string) string {
	list := strings.Split(string(environ), "\x00")
	return func(name string) string {
		i := slices.IndexFunc(list, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		if i < 0 {
			return ""
		}
		return strings.TrimPrefix(list[i], name+"=")
	}
}
