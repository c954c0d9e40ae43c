// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plombproject/plomb/plugin/settings"
)

// Analyse reads what `containerd config dump` printed. It looks at no file: see
// Verifiers for the folder, and Version for containerd's own.
func Analyse(dump []byte) (Report, error) {
	t, err := readTree(dump)
	if err != nil {
		return Report{}, err
	}
	if !t.has(images) && !t.has(transfer) && !t.has(cri) && t.text("root") == "" {
		return Report{}, fmt.Errorf("%w: that is not what containerd config dump prints", ErrConfig)
	}
	r := Report{Facts: facts(t)}
	for _, check := range checks {
		r.Findings = append(r.Findings, check(t)...)
	}
	return r, nil
}

func facts(t tree) Facts {
	f := Facts{
		Root: t.text("root"), State: t.text("state"),
		Address:            t.text("plugins", grpc, "address"),
		BinDir:             t.text("plugins", bindir, "bin_dir"),
		PerVerifierTimeout: t.span("plugins", bindir, "per_verifier_timeout"),
		NRI:                t.has(nri) && !t.disabled(nri) && !t.flag("plugins", nri, "disable") && !t.flag("plugins", nri, "disable_connections"),
		NRISocket:          t.text("plugins", nri, "socket_path"),
		CRI:                !t.disabled(cri) && !t.disabled(images) && t.has(images),
		HostsDir:           t.text("plugins", images, "registry", "config_path"),
		TransferHostsDir:   t.text("plugins", transfer, "config_path"),
		Sandbox:            t.text("plugins", images, "pinned_images", "sandbox"),
		Imports:            t.strings("imports"),
	}
	f.MaxVerifiers, _ = t.number("plugins", bindir, "max_verifiers")
	if f.Address == "" { // up to version 3 of the configuration
		f.Address = t.text("grpc", "address")
	}
	if t.flag("plugins", nri, "default_validator", "enable") {
		f.RequiredNRI = t.strings("plugins", nri, "default_validator", "required_plugins")
	}
	return f
}

// disabled tells that a plugin is not loaded. containerd compares whole URIs.
func (t tree) disabled(id string) bool {
	return slices.Contains(t.strings("disabled_plugins"), id)
}

// checks are made in this order; each row is a reason why verification is off,
// or weaker than it seems. The conditions are containerd 2.4.2's.
var checks = []func(tree) []Finding{
	checkPlugins,
	checkFallback,
	checkRegistry,
	checkHosts,
	checkUnpack,
	checkBindir,
	checkNRI,
}

// checkPlugins is about what is not loaded at all.
func checkPlugins(t tree) []Finding {
	var out []Finding
	off := func(id, at, effect string, fatal bool) {
		if t.disabled(id) {
			out = append(out, Finding{
				Setting: "disabled_plugins", Value: quote(id), Effect: effect, At: at, Fatal: fatal, Edit: true,
				Remedy: "take " + quote(id) + " out of disabled_plugins; the lists of imported files are added to it, and take nothing away",
			})
		}
	}
	off(transfer, AtPull, "without the transfer service CRI does not load, and nothing asks verifiers", true)
	off(bindir, AtPull, "no verifier is asked: containerd runs none of the programs in bin_dir", true)
	off(nri, AtCreate, "images that are on the node already start unchecked", true)
	off(images, AtPull, "CRI does not load: kubelet cannot use this containerd", true)
	off(cri, AtPull, "CRI does not load: kubelet cannot use this containerd", true)
	if !t.has(images) && !t.disabled(images) {
		value := "not there"
		if t.has(cri) {
			value = "the configuration of containerd before 2.0"
		}
		out = append(out, Finding{
			Setting: setting("plugins", images), Value: value, At: AtPull, Fatal: true, Edit: true,
			Effect: "CRI of this containerd does not pull through the transfer service, and asks no verifier",
			Remedy: "install containerd " + MinimumPull + " or later",
		})
	}
	return out
}

// A fallback is a setting with which CRI pulls by itself, without verifiers.
// The rows are those of CheckLocalImagePullConfigs in containerd's
// internal/cri/config, at whose log line "Falling back to local image pull
// mode" the pull is lost, and the setting that turns the same on directly.
type fallback struct {
	name string
	bad  func(v any) bool
	good string
	why  string
}

var fallbacks = []fallback{
	{"use_local_image_pull", isTrue, "false", "it says so"},
	{"max_concurrent_downloads", func(v any) bool { return v != int64(3) }, "3", "any number but 3 belongs to the transfer service's section"},
	{"discard_unpacked_layers", isTrue, "false", "the transfer service cannot do that"},
	{"disable_snapshot_annotations", func(v any) bool { return v != true }, "true", "annotations are the snapshotter's own setting there: enable_remote_snapshot_annotations among its exports"},
	{"image_pull_with_sync_fs", isTrue, "false", "the transfer service cannot do that"},
}

func isTrue(v any) bool { return v == true }

// loses is what all rows of fallbacks do.
const loses = "CRI pulls by itself and asks no verifier"

func checkFallback(t tree) []Finding {
	if !t.has(images) {
		return nil
	}
	var out []Finding
	for _, f := range fallbacks {
		v := t.plugin(images, f.name)
		if v == nil && f.name == "use_local_image_pull" {
			// Before 2.1 there was no such setting, and no other way.
			v = "not there"
			out = append(out, Finding{Setting: setting("plugins", images, f.name), Value: "not there", At: AtPull, Fatal: true, Edit: true,
				Effect: loses + ": this containerd knows no other way", Remedy: "install containerd " + MinimumPull + " or later"})
			continue
		}
		if v != nil && f.bad(v) {
			out = append(out, Finding{Setting: setting("plugins", images, f.name), Value: value(v), At: AtPull, Fatal: true,
				Effect: loses + ": " + f.why, Remedy: header(images) + f.name + " = " + f.good})
		}
	}
	return out
}

// legacy are the tables of registries that CRI had before hosts.toml. Imported
// files add to a table and take nothing away, so no drop-in mends them.
var legacy = []string{"mirrors", "configs", "auths"}

func checkRegistry(t tree) []Finding {
	var out []Finding
	for _, name := range legacy {
		entries := t.keys("plugins", images, "registry", name)
		if len(entries) == 0 {
			continue
		}
		f := Finding{
			Setting: setting("plugins", images, "registry", name), Value: "{" + strings.Join(entries, ", ") + "}", At: AtPull, Fatal: true, Edit: true,
			Effect: loses + ": the transfer service knows hosts.toml only",
			Remedy: "take the tables registry." + name + " out and write a hosts.toml for each host: plomb node install does the first",
		}
		if name == "mirrors" && t.text("plugins", images, "registry", "config_path") != "" {
			f.Effect = "CRI does not load: mirrors and config_path exclude each other"
		}
		out = append(out, f)
	}
	return out
}

// checkHosts is about where hosts.toml is looked for. It opens nothing: a pull
// may ask other hosts than the verifier does, or than an administrator thinks.
func checkHosts(t tree) []Finding {
	if !t.has(images) {
		return nil
	}
	var out []Finding
	path := setting("plugins", images, "registry", "config_path")
	dir := t.text("plugins", images, "registry", "config_path")
	want := hostsDir(t)
	remedy := header(images, "registry") + "config_path = " + quote(want)
	switch {
	case dir == "" && len(t.keys("plugins", images, "registry", "mirrors")) == 0:
		out = append(out, Finding{Setting: path, Value: `""`, At: AtPull, Remedy: remedy,
			Effect: "containerd takes " + defaultHosts + " for it, which the transfer service reads as one folder: every hosts.toml is ignored"})
	case strings.Contains(dir, ":"):
		out = append(out, Finding{Setting: path, Value: quote(dir), At: AtPull, Remedy: remedy,
			Effect: "the transfer service reads it as one folder, which there is not: every hosts.toml is ignored"})
	}
	if other := t.text("plugins", transfer, "config_path"); t.has(transfer) && other != want {
		out = append(out, Finding{Setting: setting("plugins", transfer, "config_path"), Value: quote(other), At: AtPull,
			Effect: "pulls that are not kubelet's ask other registry hosts than kubelet's do",
			Remedy: header(transfer) + "config_path = " + quote(want)})
	}
	return out
}

// defaultHosts is what containerd's CRI plugin takes without a config_path.
const defaultHosts = "/etc/containerd/certs.d:/etc/docker/certs.d"

// hostsDir is the one folder that both sections ought to have.
func hostsDir(t tree) string {
	for _, dir := range []string{t.text("plugins", images, "registry", "config_path"), t.text("plugins", transfer, "config_path"), defaultHosts} {
		if first, _, _ := strings.Cut(dir, ":"); first != "" {
			return first
		}
	}
	return ""
}

// enough is how long a verifier has to be given: plomb-verifier's own deadline,
// and time to say why.
const enough = settings.DefaultTimeout + settings.DefaultTimeout/8

func checkBindir(t tree) []Finding {
	if !t.has(bindir) {
		return nil
	}
	var out []Finding
	add := func(name, effect, want string, fatal bool) {
		out = append(out, Finding{Setting: setting("plugins", bindir, name), Value: value(t.plugin(bindir, name)), At: AtPull, Fatal: fatal,
			Effect: effect, Remedy: header(bindir) + name + " = " + want})
	}
	if t.text("plugins", bindir, "bin_dir") == "" {
		add("bin_dir", "there is no folder of verifiers: every image is admitted", quote(DefaultBinDir), true)
	}
	if n, ok := t.number("plugins", bindir, "max_verifiers"); ok && n == 0 {
		add("max_verifiers", "no verifier is run: every image is admitted", "-1", true)
	}
	if d := t.span("plugins", bindir, "per_verifier_timeout"); d < enough {
		add("per_verifier_timeout", fmt.Sprintf("containerd ends a verifier before it can say why: images are refused without a reason (want at least %s)", enough), `"10s"`, false)
	}
	return out
}

// RequiredNRI is the name under which plomb's agent registers.
const RequiredNRI = "plomb"

func checkNRI(t tree) []Finding {
	if !t.has(nri) || t.disabled(nri) {
		if t.disabled(nri) {
			return nil // said by checkPlugins
		}
		return []Finding{{Setting: setting("plugins", nri), Value: "not there", At: AtCreate, Fatal: true, Edit: true,
			Effect: "this containerd has no NRI: images that are on the node already start unchecked",
			Remedy: "install containerd " + MinimumCreate + " or later"}}
	}
	var out []Finding
	add := func(effect, remedy string, path ...string) {
		out = append(out, Finding{Setting: setting(append([]string{"plugins", nri}, path...)...), Value: value(t.plugin(nri, path...)),
			At: AtCreate, Fatal: true, Effect: effect, Remedy: remedy})
	}
	if t.flag("plugins", nri, "disable") {
		add("images that are on the node already start unchecked", header(nri)+"disable = false", "disable")
	}
	if t.flag("plugins", nri, "disable_connections") {
		add("the agent cannot register: images that are on the node already start unchecked", header(nri)+"disable_connections = false", "disable_connections")
	}
	const validator = "default_validator"
	required := t.strings("plugins", nri, validator, "required_plugins")
	switch {
	case !t.flag("plugins", nri, validator, "enable"):
		add("containers start unchecked whenever the agent is not there", header(nri, validator)+"enable = true\nrequired_plugins = "+list(with(required, RequiredNRI)), validator, "enable")
	case !slices.Contains(required, RequiredNRI):
		add("containers start unchecked whenever the agent is not there", header(nri, validator)+"required_plugins = "+list(with(required, RequiredNRI)), validator, "required_plugins")
	}
	const tolerate = "tolerate_missing_plugins_annotation"
	if t.text("plugins", nri, validator, tolerate) != "" {
		add("whoever writes a pod can have it start unchecked while the agent is not there", header(nri, validator)+tolerate+` = ""`, validator, tolerate)
	}
	return out
}

// with is a list and a name that it has to have.
func with(names []string, name string) []string {
	if name == "" || slices.Contains(names, name) {
		return names
	}
	return append(slices.Clone(names), name)
}

// header is a table's header line for a plugin's section.
func header(id string, path ...string) string {
	return "[" + setting(append([]string{"plugins", id}, path...)...) + "]\n"
}
