// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"time"
)

// DropIn is the one file, for a folder that the main configuration imports,
// that makes the configuration what w wants. What no drop-in mends is left to
// Mend: apply both before a restart, or neither, because a config_path beside
// the mirrors that Mend takes away keeps CRI from loading.
//
// containerd (cmd/containerd/server/config) merges an imported file into what
// was read before: values of a plugin's section are replaced, also by false, 0
// and ""; a list there is replaced as a whole; tables are merged, and what is in
// one stays; the top-level lists disabled_plugins and required_plugins only
// grow. So the lists are written with what they had, and it is the same text
// again when dump is that of a configuration with this drop-in.
func DropIn(dump []byte, w Want) ([]byte, error) {
	t, err := readTree(dump)
	if err != nil {
		return nil, err
	}
	if !t.has(images) || !t.has(transfer) {
		return nil, fmt.Errorf("%w: it has no section %s or %s: containerd %s or later is needed, with both plugins", ErrConfig, images, transfer, MinimumPull)
	}
	var b strings.Builder
	b.WriteString(dropInHead)
	dropInImages(&b, t)
	dropInTransfer(&b, t)
	dropInBindir(&b, t, w)
	if w.RequireNRI != "" {
		dropInNRI(&b, t, w)
	}
	dropInProxies(&b, t)
	return []byte(b.String()), nil
}

const dropInHead = `# Written by plomb node install, which replaces it, and removed by plomb node uninstall.
# containerd asks image verifiers only when it pulls through its transfer service;
# docs/doctor.md says which of these settings keeps it from that, and why.
version = 3
`

func section(b *strings.Builder, id string, path ...string) {
	b.WriteString("\n" + header(id, path...))
}

func dropInImages(b *strings.Builder, t tree) {
	section(b, images)
	for _, f := range fallbacks {
		fmt.Fprintf(b, "  %s = %s\n", f.name, f.good)
	}
	section(b, images, "registry")
	fmt.Fprintf(b, "  config_path = %s\n", quote(hostsDir(t)))
}

// dropInTransfer carries over what had been said to CRI.
func dropInTransfer(b *strings.Builder, t tree) {
	section(b, transfer)
	fmt.Fprintf(b, "  config_path = %s\n", quote(hostsDir(t)))
	own, _ := t.number("plugins", transfer, "max_concurrent_downloads")
	if had, ok := t.number("plugins", images, "max_concurrent_downloads"); ok && had != 3 && own == 3 {
		own = had
	}
	if own != 3 {
		fmt.Fprintf(b, "  max_concurrent_downloads = %d\n", own)
	}
	snapshotters := t.snapshotters()
	if !slices.ContainsFunc(snapshotters, func(s string) bool { return s != defaultSnapshotter }) {
		return
	}
	// A list is replaced as a whole, so what was there is written again.
	known := t.unpacked()
	existing, _ := t.plugin(transfer, "unpack_config").([]any)
	for _, e := range existing {
		if m, ok := e.(map[string]any); ok {
			b.WriteString("  [[" + setting("plugins", transfer, "unpack_config") + "]]\n" + unpackTable(m))
		}
	}
	if len(existing) == 0 {
		b.WriteString("  [[" + setting("plugins", transfer, "unpack_config") + "]]\n" + unpackEntry(t, defaultSnapshotter))
	}
	for _, s := range snapshotters {
		if !slices.Contains(known, s) {
			b.WriteString("  [[" + setting("plugins", transfer, "unpack_config") + "]]\n" + unpackEntry(t, s))
		}
	}
}

// unpackEntry is one for the platform that containerd itself names.
func unpackEntry(t tree, snapshotter string) string {
	platform := "linux/" + goruntime.GOARCH
	if own := t.strings("plugins", "io.containerd.runtime.v2.task", "platforms"); len(own) > 0 {
		platform = own[0]
	}
	return fmt.Sprintf("    platform = %s\n    snapshotter = %s\n", quote(platform), quote(snapshotter))
}

// unpackTable writes one entry as it was.
func unpackTable(m map[string]any) string {
	var b strings.Builder
	for _, name := range []string{"platform", "snapshotter", "differ", "config_type", "layer_types", "optional"} {
		v := m[name]
		if v == nil || v == "" || v == false {
			continue
		}
		if l, ok := v.([]any); ok && len(l) == 0 {
			continue
		}
		fmt.Fprintf(&b, "    %s = %s\n", name, value(v))
	}
	return b.String()
}

func dropInBindir(b *strings.Builder, t tree, w Want) {
	dir := w.BinDir
	if dir == "" {
		dir = t.text("plugins", bindir, "bin_dir")
	}
	if dir == "" {
		dir = DefaultBinDir
	}
	section(b, bindir)
	fmt.Fprintf(b, "  bin_dir = %s\n", quote(dir))
	b.WriteString("  # Each program of the folder: none is passed over because of its name.\n  max_verifiers = -1\n")
	timeout := t.span("plugins", bindir, "per_verifier_timeout")
	if timeout < enough {
		timeout = 10 * time.Second
	}
	fmt.Fprintf(b, "  per_verifier_timeout = %s\n", quote(timeout.String()))
}

func dropInNRI(b *strings.Builder, t tree, w Want) {
	const validator = "default_validator"
	section(b, nri)
	b.WriteString("  disable = false\n  disable_connections = false\n")
	section(b, nri, validator)
	b.WriteString("  enable = true\n")
	fmt.Fprintf(b, "  required_plugins = %s\n", list(with(t.strings("plugins", nri, validator, "required_plugins"), w.RequireNRI)))
	b.WriteString("  tolerate_missing_plugins_annotation = \"\"\n")
}

// annotated is a snapshotter's export that has the transfer service do what
// disable_snapshot_annotations = false has CRI do.
const annotated = "enable_remote_snapshot_annotations"

// dropInProxies keeps lazy-loading snapshotters working. A proxy's section is
// replaced as a whole, so all of it is written.
func dropInProxies(b *strings.Builder, t tree) {
	want := t.plugin(images, "disable_snapshot_annotations") == false
	for _, name := range t.snapshotters() {
		proxy, ok := t.at("proxy_plugins", name).(map[string]any)
		if !ok || !want && t.text("proxy_plugins", name, "exports", annotated) != "true" {
			continue
		}
		fmt.Fprintf(b, "\n[%s]\n", setting("proxy_plugins", name))
		for _, k := range []string{"type", "address", "platform", "capabilities"} {
			if v := proxy[k]; v != nil && v != "" {
				fmt.Fprintf(b, "  %s = %s\n", k, value(v))
			}
		}
		fmt.Fprintf(b, "  [%s]\n", setting("proxy_plugins", name, "exports"))
		exports := with(t.keys("proxy_plugins", name, "exports"), annotated)
		slices.Sort(exports)
		for _, k := range exports {
			v := t.text("proxy_plugins", name, "exports", k)
			if k == annotated {
				v = "true"
			}
			fmt.Fprintf(b, "    %s = %s\n", key(k), quote(v))
		}
	}
}
