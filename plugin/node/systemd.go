// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoRestart reports that containerd has to be restarted by somebody else.
var ErrNoRestart = fmt.Errorf("%w: nothing is known that restarts it: restart containerd, and run the same command again; "+
	"or name what does with --restart-command", ErrRestart)

const (
	agentUnit      = "plomb-agent.service"
	containerdUnit = "containerd.service"
)

// Systemd keeps the agent as a unit.
type Systemd struct {
	// Dir is the folder for units, /etc/systemd/system.
	Dir string
	// Run runs one command. Nil: as a process, whose output is in its error.
	Run func(ctx context.Context, argv ...string) error
	// RestartCommand is what restarts containerd; empty: systemctl.
	RestartCommand []string
}

// HasSystemd tells that systemd runs this machine (sd_booted(3)).
func HasSystemd() bool {
	info, err := os.Stat("/run/systemd/system")
	return err == nil && info.IsDir()
}

// unitText is the agent's unit.
//
// It starts after containerd, because it registers over containerd's socket,
// and before kubelet, because a containerd that requires it creates no container
// until it has. containerd itself does not wait for it: what is pulled until
// then plomb-verifier verifies alone. Nothing requires it, so that a node whose
// agent does not start still boots, and can be looked into.
const unitText = `# Written by plomb node install, and removed by plomb node uninstall.
[Unit]
Description=plomb agent: image verification for containerd
Documentation=https://github.com/plombproject/plomb/blob/main/docs/node.md
# It registers with containerd. kubelet asks for the containers, and containerd
# creates none before the agent has registered: so kubelet waits, and finds it.
# Only an order, no requirement: a node whose agent fails can still be looked into.
After=containerd.service network-online.target
Wants=network-online.target
Before=kubelet.service
# While enforcing, containerd needs it for every container: never give up.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
%[5]sExecStart=%[1]s agent
%[2]sRestart=always
RestartSec=1
WatchdogSec=30
TimeoutStopSec=10
# A cache that grows wild ends the agent, not the node. Of two, the agent is not
# the one that the kernel should end first.
MemoryMax=256M
OOMScoreAdjust=-900
TasksMax=1024

# It reads policies and credentials, talks to registries and to containerd's
# sockets, and writes to these folders. It needs no capability: all are root's.
UMask=0077
ProtectSystem=strict
# By itself strict spares /run here: ProtectKernelTunables and others imply
# MountAPIVFS, which mounts /run for the unit, and that is left writable. The
# sockets and pid files of all other daemons are there.
ReadOnlyPaths=/run
ReadWritePaths=%[3]s
%[4]sCapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
SystemCallArchitectures=native
MemoryDenyWriteExecute=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
KeyringMode=private
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
# Credentials of docker login lie in root's home.
ProtectHome=read-only
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible

[Install]
WantedBy=multi-user.target
`

// Files are the agent's unit.
func (s Systemd) Files(u Unit) []File {
	var env, folders, prepare strings.Builder
	for _, pair := range u.Environment {
		fmt.Fprintf(&env, "Environment=%s\n", unitWord(pair))
	}
	// systemd makes folders of its own again at each start.
	if u.Run == "/run/plomb" {
		// Kept while the agent starts again, since others may have mounted it.
		folders.WriteString("RuntimeDirectory=plomb\nRuntimeDirectoryMode=0700\nRuntimeDirectoryPreserve=restart\n")
	} else if u.Run != "" {
		// Not as RuntimeDirectory, which would give a folder that others use another
		// mode and owner. Below /run it is gone after a boot, and in its sandbox the
		// agent could not make it.
		fmt.Fprintf(&prepare, "ExecStartPre=+-/bin/mkdir -p -m 0700 %s\n", unitWord(u.Run))
	}
	if u.State == "/var/lib/plomb" {
		folders.WriteString("StateDirectory=plomb\nStateDirectoryMode=0700\n")
	}
	writable := unitWord("-"+u.State) + " " + unitWord("-"+u.Run)
	text := fmt.Sprintf(unitText, unitWord(u.Program), env.String(), writable, folders.String(), prepare.String())
	return []File{{Path: filepath.Join(s.Dir, agentUnit), Mode: 0o644, Data: []byte(text)}}
}

// ContainerdFiles give containerd, and so plomb-verifier, the same settings.
func (s Systemd) ContainerdFiles(env []string) []File {
	if len(env) == 0 {
		return nil
	}
	var text strings.Builder
	text.WriteString("# Written by plomb node install: plomb-verifier inherits containerd's environment.\n[Service]\n")
	for _, pair := range env {
		fmt.Fprintf(&text, "Environment=%s\n", unitWord(pair))
	}
	return []File{{Path: filepath.Join(s.Dir, containerdUnit+".d", "plomb.conf"), Mode: 0o644, Data: []byte(text.String())}}
}

// CheckEnvironment refuses values that would be more than one line of a unit.
func CheckEnvironment(env []string) error {
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%s has a line break or another control character", name)
		}
	}
	return nil
}

// unitWord quotes a word for a unit (systemd.syntax(7), Quoting; systemd.unit(5),
// Specifiers).
func unitWord(word string) string {
	word = strings.ReplaceAll(word, "%", "%%")
	if !strings.ContainsAny(word, " \t\"'\\$;") {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", "$$").Replace(word) + `"`
}

// Start starts the agent, or starts it again.
func (s Systemd) Start(ctx context.Context, _ Unit) error {
	return s.all(ctx, ErrAgent, s.argv("start")...)
}

// Stop ends the agent, also for the next boot.
func (s Systemd) Stop(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.Dir, agentUnit)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return s.all(ctx, ErrAgent, s.argv("stop")...)
}

// Reload has systemd read the units.
func (s Systemd) Reload(ctx context.Context) error {
	return s.all(ctx, ErrAgent, s.argv("reload")...)
}

// RestartContainerd restarts the unit, or whatever the command restarts.
func (s Systemd) RestartContainerd(ctx context.Context) error {
	return s.all(ctx, ErrRestart, s.argv("restart")...)
}

// argv are the commands for an action.
func (s Systemd) argv(action string) [][]string {
	switch action {
	case "start":
		return [][]string{{"systemctl", "daemon-reload"}, {"systemctl", "enable", agentUnit}, {"systemctl", "restart", agentUnit}}
	case "stop":
		return [][]string{{"systemctl", "disable", "--now", agentUnit}}
	case "reload":
		return [][]string{{"systemctl", "daemon-reload"}}
	}
	if len(s.RestartCommand) > 0 {
		return [][]string{s.RestartCommand}
	}
	return [][]string{{"systemctl", "daemon-reload"}, {"systemctl", "restart", containerdUnit}}
}

// Says are the commands for an action.
func (s Systemd) Says(action string) []string {
	var lines []string
	for _, argv := range s.argv(action) {
		lines = append(lines, "run "+strings.Join(argv, " "))
	}
	return lines
}

func (s Systemd) all(ctx context.Context, sentinel error, commands ...[]string) error {
	run := s.Run
	if run == nil {
		run = command
	}
	for _, argv := range commands {
		if err := run(ctx, argv...); err != nil {
			return fmt.Errorf("%w: %w", sentinel, err)
		}
	}
	return nil
}

// command runs a program, without a shell.
func command(ctx context.Context, argv ...string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out[max(0, len(out)-2048):])))
	}
	return nil
}
