// SPDX-License-Identifier: Apache-2.0

package containerd

import "slices"

// snapshotters are those that CRI unpacks images with, the default one first.
func (t tree) snapshotters() []string {
	out := []string{t.text("plugins", images, "snapshotter")}
	for _, name := range t.keys("plugins", runtime, "containerd", "runtimes") {
		out = append(out, t.text("plugins", runtime, "containerd", "runtimes", name, "snapshotter"))
	}
	for _, name := range t.keys("plugins", images, "runtime_platforms") {
		out = append(out, t.text("plugins", images, "runtime_platforms", name, "snapshotter"))
	}
	var unique []string
	for _, s := range out {
		if s != "" && !slices.Contains(unique, s) {
			unique = append(unique, s)
		}
	}
	return unique
}

// defaultSnapshotter is the only one that the transfer service unpacks with
// unless unpack_config names others.
const defaultSnapshotter = "overlayfs"

// unpacked are the snapshotters that the transfer service unpacks with.
func (t tree) unpacked() []string {
	list, ok := t.plugin(transfer, "unpack_config").([]any)
	if !ok {
		return []string{defaultSnapshotter}
	}
	var out []string
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			if s, ok := m["snapshotter"].(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

// checkUnpack finds snapshotters that the transfer service does not unpack with:
// a pull through it would fail, so this is no opening but a lock.
func checkUnpack(t tree) []Finding {
	if !t.has(images) || !t.has(transfer) {
		return nil
	}
	var out []Finding
	for _, s := range t.snapshotters() {
		if !slices.Contains(t.unpacked(), s) {
			out = append(out, Finding{Setting: setting("plugins", transfer, "unpack_config"), Value: "without " + quote(s), At: AtPull,
				Effect: "pulls for snapshotter " + s + " fail: the transfer service does not unpack with it",
				Remedy: "[[" + setting("plugins", transfer, "unpack_config") + "]]\n" + unpackEntry(t, s)})
		}
	}
	return out
}
