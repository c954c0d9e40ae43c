// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// cniConfig gives each pod a veth pair and a route of its own (ptp), so there
// is no bridge to leave behind, and no masquerading, so there are no firewall
// rules either: pods talk to this machine only. The pair ends with the pod's
// network namespace.
const cniConfig = `{
  "cniVersion": "1.0.0",
  "name": %[1]q,
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "ipam": {
        "type": "host-local",
        "dataDir": %[2]q,
        "ranges": [[{ "subnet": %[3]q }]],
        "routes": [{ "dst": "0.0.0.0/0" }]
      }
    }
  ]
}
`

// cniPluginDirs: Debian's package, then the usual place of manual installs.
var cniPluginDirs = [...]string{"/usr/lib/cni", "/opt/cni/bin"}

func (s *Stand) writeNetwork() error {
	subnet, err := subnetFor(s.streamAddr)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(cniConfig, s.layout.id(), s.layout.path("cni"), subnet)
	return writeFile(s.layout.path("etc", "cni", "10-stand.conflist"), []byte(text), 0o644)
}

// subnetFor derives the pods' network from a port that the stand listens on:
// whoever has the port has the subnet, so stands side by side never share one.
func subnetFor(addr string) (string, error) {
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("subnet for pods: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < firstPort || port > lastPort {
		return "", fmt.Errorf("subnet for pods: port %q is not between %d and %d", text, firstPort, lastPort)
	}
	n := port - firstPort
	return fmt.Sprintf("10.%d.%d.0/24", 128+n>>8, n&0xff), nil
}

// removeNetwork deletes what CNI keeps outside the stand: libcni's results,
// whose folder containerd offers no setting for.
func (l layout) removeNetwork() error {
	left, err := filepath.Glob(filepath.Join("/var/lib/cni/results", l.id()+"-*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("network leftover: %w", err)
		}
	}
	return nil
}
