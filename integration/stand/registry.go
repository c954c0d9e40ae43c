// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"fmt"
	"time"
)

// registryConfig is distribution's; see its docs on configuration. No
// authentication, and deletes allowed because tests take images away.
const registryConfig = `version: 0.1
log:
  level: warn
storage:
  filesystem:
    rootdirectory: %q
  delete:
    enabled: true
http:
  addr: %q
`

func (s *Stand) registry() daemon {
	config := s.layout.config("registry.yaml")
	return daemon{
		name:    Registry,
		program: s.program("registry"),
		args:    []string{"serve", config},
		// It would send traces to localhost:4318 otherwise.
		env:   []string{"OTEL_TRACES_EXPORTER=none"},
		grace: 5 * time.Second,
		prepare: func() error {
			text := fmt.Sprintf(registryConfig, s.layout.path("registry"), s.Registry)
			return writeFile(config, []byte(text), 0o644)
		},
		probe: probeHTTP("http://" + s.Registry + "/v2/"),
	}
}
