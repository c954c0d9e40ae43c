// SPDX-License-Identifier: Apache-2.0

package containerd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/containerd"
)

func TestMendKeepsTheRest(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"nothing to do": {"version = 3 # x\n\n[grpc]\n", "version = 3 # x\n\n[grpc]\n"},
		"empty":         {"", ""},
		"no line break": {`disabled_plugins = ["io.containerd.nri.v1.nri"]`, "#plomb: disabled_plugins = [\"io.containerd.nri.v1.nri\"]\ndisabled_plugins = []\n"},
		"dotted keys": {
			"[plugins.\"io.containerd.cri.v1.images\"]\nregistry.mirrors.\"a\".endpoint = [\"b\"]\nsnapshotter = \"x\"\n",
			"[plugins.\"io.containerd.cri.v1.images\"]\n#plomb: registry.mirrors.\"a\".endpoint = [\"b\"]\nsnapshotter = \"x\"\n",
		},
		"inline tables below": {
			"[plugins.\"io.containerd.cri.v1.images\".registry]\nmirrors = { a = { endpoint = [\"b\"] } }\n",
			"[plugins.\"io.containerd.cri.v1.images\".registry]\n#plomb: mirrors = { a = { endpoint = [\"b\"] } }\n",
		},
		"version 1":  {"[plugins.cri.registry.auths.x]\nauth = \"y\"\n[debug]\n", "#plomb: [plugins.cri.registry.auths.x]\n#plomb: auth = \"y\"\n[debug]\n"},
		"CRLF":       {"[plugins.cri.registry.auths.x]\r\nauth = \"y\"\r\n[debug]\r\n", "#plomb: [plugins.cri.registry.auths.x]\r\n#plomb: auth = \"y\"\r\n[debug]\r\n"},
		"many lines": {"disabled_plugins = [ # why\n  \"a.b\",\n  \"io.containerd.grpc.v1.cri\", # off\n]\n", "#plomb: disabled_plugins = [ # why\n#plomb:   \"a.b\",\n#plomb:   \"io.containerd.grpc.v1.cri\", # off\n#plomb: ]\ndisabled_plugins = [\"a.b\"]\n"},
		"of others":  {"[plugins.mine.registry.mirrors.x]\ny = 1\n", "[plugins.mine.registry.mirrors.x]\ny = 1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := containerd.Mend([]byte(c.in))
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
		})
	}
}

func TestMendRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"no TOML":      "[",
		"inline above": "[plugins.\"io.containerd.cri.v1.images\"]\nregistry = { mirrors = { a = { endpoint = [\"b\"] } } }\n",
	} {
		_, err := containerd.Mend([]byte(in))
		require.ErrorIs(t, err, containerd.ErrConfig, name)
	}
}

func TestImports(t *testing.T) {
	const line = `imports = ["/etc/containerd/conf.d/*.toml"]` + "\n"
	for name, c := range map[string]struct {
		in, want string
		ok       bool
	}{
		"empty":         {"", line, false},
		"a table only":  {"[debug]\nlevel = \"info\"\n", line + "[debug]\nlevel = \"info\"\n", false},
		"keys":          {"# top\nversion = 3\n# more\n[debug]\n", "# top\nversion = 3\n" + line + "# more\n[debug]\n", false},
		"no line break": {"version = 3", "version = 3\n" + line, false},
		"others":        {"version = 3\nimports = [\n  \"a.toml\",\n]\n[debug]\n", "version = 3\nimports = [\"a.toml\", \"/etc/containerd/conf.d/*.toml\"]\n[debug]\n", false},
		"there":         {"imports = ['/etc/containerd/conf.d/*.toml']\n", "imports = ['/etc/containerd/conf.d/*.toml']\n", true},
		"there, odd":    {"imports = ['/etc/containerd//conf.d/./*.toml']\n", "imports = ['/etc/containerd//conf.d/./*.toml']\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok, err := containerd.Imports([]byte(c.in), "/etc/containerd/conf.d")
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
			require.Equal(t, c.ok, ok)
		})
	}
	for _, dir := range []string{"", "conf.d", "/etc/*/conf.d"} {
		_, _, err := containerd.Imports(nil, dir)
		require.ErrorIs(t, err, containerd.ErrConfig, dir)
	}
}

func TestSourcesAndWhere(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	top := write("config.toml", "version = 2\nimports = [\"d/*.toml\", \"config.toml\"]\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n  discard_unpacked_layers = true\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"a\"]\nendpoint = []\n")
	b := write("d/b.toml", "version = 3\n\n[plugins]\n[plugins.\"io.containerd.cri.v1.images\"]\ndiscard_unpacked_layers = true\n")
	a := write("d/a.toml", "imports = [\""+dir+"/config.toml\"]\n")
	write("d/c.txt", "[")
	files, err := containerd.Sources(top)
	require.NoError(t, err)
	require.Equal(t, []string{top, a, b}, files)
	require.Equal(t, []containerd.Place{{File: top, Line: 4}, {File: b, Line: 5}},
		containerd.Where(files, containerd.Finding{Setting: images + "discard_unpacked_layers"}))
	require.Equal(t, []containerd.Place{{File: top, Line: 5}},
		containerd.Where(files, containerd.Finding{Setting: images + "registry.mirrors"}))
	require.Empty(t, containerd.Where(files, containerd.Finding{Setting: images + "use_local_image_pull"}))

	files, err = containerd.Sources(filepath.Join(dir, "none.toml"))
	require.NoError(t, err)
	require.Empty(t, files)
	write("d/d.toml", "[")
	_, err = containerd.Sources(top)
	require.ErrorIs(t, err, containerd.ErrConfig)
	require.True(t, strings.Contains(err.Error(), "d.toml"), err)
}
