// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sealing

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// capabilityRecord is how a layer's tar holds a file's capabilities.
const capabilityRecord = "SCHILY.xattr.security.capability"

// packages leaves behind most of what the scrub table knows, from the packages
// that write it.
func packages(t *testing.T) sources {
	return sources{
		dockerfile: "FROM " + base(t, "debian") + `
RUN rm -f /etc/apt/apt.conf.d/90image && apt-get update \
 && apt-get install -y --no-install-recommends fontconfig fonts-dejavu-core dbus python3-minimal libpython3-stdlib libcap2-bin \
 && useradd --create-home app
COPY app.py /app/app.py
COPY app.py /var/log/dpkg.log
RUN python3 -m compileall -q /app && cp /bin/true /app/server && setcap cap_net_bind_service=+ep /app/server
`, files: map[string]string{"app.py": "def hello():\n    return 'hello'\n"},
	}
}

// Two builds of Debian with packages that leave times and random numbers
// behind are the same, and what a package needs to run is all there.
func TestDebianPackages(t *testing.T) {
	src := packages(t)
	img := src.build(t, overlayfs, "--no-cache")
	again := src.build(t, overlayfs, "--no-cache")
	require.Equal(t, img.layers, again.layers)
	require.Equal(t, img.manifest, again.manifest)

	installed := img.entries(t, 1)
	for name := range installed {
		for _, scrubbed := range []string{
			"var/cache/apt/pkgcache.bin", "var/cache/apt/srcpkgcache.bin", "var/lib/apt/lists/lock", "var/log/apt/",
			"var/log/dpkg.log", "var/log/alternatives.log", "var/cache/fontconfig/", "var/cache/ldconfig/aux-cache",
			"etc/machine-id", "var/lib/dbus/machine-id",
		} {
			require.False(t, strings.HasPrefix(name, scrubbed) && name != scrubbed || name == strings.TrimSuffix(scrubbed, "/"), name)
		}
	}
	require.Contains(t, installed["etc/shadow"].content, "\napp:!:20089:", "the day of T, 2025-01-01")
	require.Contains(t, installed, "usr/bin/fc-list")
	require.Contains(t, img.entries(t, 3), "var/log/dpkg.log", "what a COPY put there stays")

	top := img.entries(t, 4)
	require.NotEmpty(t, top["app/server"].PAXRecords[capabilityRecord])
	require.Contains(t, top, "app/__pycache__/app.cpython-311.pyc")
}

// Python takes the compiled file for that of the source, whose time was
// lowered: nothing is compiled again.
func TestPythonDoesNotCompileAgain(t *testing.T) {
	src := packages(t)
	log := sources{
		dockerfile: "FROM sealed\nRUN cd /app && python3 -v -c 'import app' 2>&1 | grep -E '__pycache__/app|app.py'\n",
	}.run(t, overlayfs, "", "--no-cache-filter=stage-0", "--build-context", "sealed=oci-layout://"+src.build(t, overlayfs).dir, "--output", "type=cacheonly")
	require.Contains(t, log, "/app/__pycache__/app.cpython-311.pyc matches /app/app.py")
	require.NotContains(t, log, "wrote")
}
