// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// EnvFile is the file to source for using the stand from a shell.
func (s *Stand) EnvFile() string { return s.layout.path("env") }

// Env returns the variables of EnvFile. What this stand neither has nor was
// lent is left out. PATH is the caller's with Bin before it.
func (s *Stand) Env() map[string]string {
	env := map[string]string{
		"PLOMB_STAND":        s.Dir,
		"PLOMB_BIN":          s.Bin,
		"PLOMB_REGISTRY":     s.Registry,
		"PLOMB_FRONTEND":     s.Frontend,
		"PLOMB_SIGSTORE":     s.Sigstore,
		"PLOMB_TRUSTED_ROOT": s.TrustedRoot(),
		"PLOMB_POLICY":       s.Policy,
		"PLOMB_NODE_CONFIG":  s.layout.nodeConfig(),
		"PLOMB_STATE":        s.layout.nodeState(),
		"PLOMB_SOCKET":       s.layout.agentSocket(),
		"PATH":               s.Bin + ":" + os.Getenv("PATH"),
	}
	if slices.Contains(s.names, Buildkitd) {
		env["BUILDKIT_HOST"] = s.BuildkitHost
		env["BUILDX_BUILDER"] = builder
		for _, pair := range s.buildxEnv() {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
	}
	if slices.Contains(s.names, Containerd) {
		env["CONTAINERD_ADDRESS"] = s.ContainerdAddress
		env["PLOMB_HOSTS"] = s.layout.hosts()
		env["CONTAINERD_CONFIG"] = s.ContainerdConfig()
		env["PLOMB_RESTART_COMMAND"] = s.program("stand") + " restart " + s.Dir + " " + Containerd
	}
	if s.Frontend == "" {
		delete(env, "PLOMB_FRONTEND")
	}
	return env
}

// Environ is this process' environment with Env over it, for exec.Cmd.
func (s *Stand) Environ() []string {
	list := os.Environ()
	for _, name := range slices.Sorted(maps.Keys(s.Env())) {
		list = append(list, name+"="+s.Env()[name])
	}
	return list
}

func (s *Stand) writeEnv() error {
	return writeFile(s.EnvFile(), []byte(formatEnv(s.Env(), s.Bin)), 0o644)
}

// formatEnv writes one `export NAME='value'` per line, for any POSIX shell.
// PATH alone refers to the shell's own: the file may be sourced from another
// shell than the one that started the stand.
func formatEnv(env map[string]string, bin string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if name != "PATH" {
			fmt.Fprintf(&b, "export %s=%s\n", name, quote(env[name]))
		}
	}
	fmt.Fprintf(&b, "export PATH=%s:\"$PATH\"\n", quote(bin))
	return b.String()
}

// quote makes one shell word (POSIX shell, 2.2.2 Single-Quotes: "A
// single-quote cannot occur within single-quotes").
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
