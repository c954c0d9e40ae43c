// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"path"
	"strconv"
	"time"
)

// A ScrubRule names regular files that a RUN step leaves behind, that differ
// on every build, and that nothing in the image reads. A rule without rewrite
// keeps the step's version out of the layer; what a layer below has there
// stays.
type ScrubRule struct {
	// ID names the rule in reports and in the provenance.
	ID string
	// Paths are patterns as path.Match knows them, from the image's root.
	Paths []string
	// Reason says what differs, and why nobody misses it.
	Reason string

	rewrite rewriteFunc
}

// ScrubRules is the scrub table. PLOMB_SCRUB=off turns it off.
var ScrubRules = []ScrubRule{
	{
		ID:     "apt-cache",
		Paths:  []string{"/var/cache/apt/pkgcache.bin", "/var/cache/apt/srcpkgcache.bin"},
		Reason: "holds file times and pointers; apt makes it anew when it is missing",
	},
	{
		ID:     "apt-lists",
		Paths:  []string{"/var/lib/apt/lists/lock", "/var/lib/apt/lists/partial/*"},
		Reason: "locks and halves of downloads",
	},
	{
		ID:     "apt-log",
		Paths:  []string{"/var/log/apt/*"},
		Reason: "wall times and terminal output of the build",
	},
	{
		ID:     "dpkg-log",
		Paths:  []string{"/var/log/dpkg.log", "/var/log/alternatives.log", "/var/log/bootstrap.log"},
		Reason: "wall times of the build; dpkg's database is elsewhere",
	},
	{
		ID:     "fontconfig-cache",
		Paths:  []string{"/var/cache/fontconfig/*"},
		Reason: "holds directory times; fontconfig makes it anew when it does not match",
	},
	{
		ID:      "java-keystore",
		Paths:   []string{"/etc/ssl/certs/java/cacerts", "/etc/pki/ca-trust/extracted/java/cacerts"},
		Reason:  "ca-certificates-java gives each entry the time of the build; a later time than T becomes T",
		rewrite: clampKeystoreTimes,
	},
	{
		ID:     "ldconfig-aux-cache",
		Paths:  []string{"/var/cache/ldconfig/aux-cache"},
		Reason: "holds inode numbers and change times; only speeds up the next ldconfig",
	},
	{
		ID:     "machine-id",
		Paths:  []string{"/etc/machine-id", "/var/lib/dbus/machine-id"},
		Reason: "random, and must not be the same in two containers: it is made at first boot when missing",
	},
	{
		ID:     "npm-cache",
		Paths:  []string{"/root/.npm/_cacache/index-v5/*/*/*", "/home/*/.npm/_cacache/index-v5/*/*/*"},
		Reason: "holds wall times of downloads; npm fetches anew what its index does not have",
	},
	{
		ID:     "npm-log",
		Paths:  []string{"/root/.npm/_logs/*", "/home/*/.npm/_logs/*", "/root/.npm/_update-notifier-last-checked"},
		Reason: "wall times of the build",
	},
	{
		ID: "pip-cache",
		Paths: []string{"/root/.cache/pip/http/*/*/*/*/*/*", "/home/*/.cache/pip/http/*/*/*/*/*/*",
			"/root/.cache/pip/http-v2/*/*/*/*/*/*", "/home/*/.cache/pip/http-v2/*/*/*/*/*/*"},
		Reason: "holds the dates of the server's answers; pip fetches anew what is missing",
	},
	{
		ID:     "pip-log",
		Paths:  []string{"/root/.cache/pip/selfcheck/*", "/home/*/.cache/pip/selfcheck/*", "/root/.pip/pip.log"},
		Reason: "wall times of the build",
	},
	{
		ID:      "shadow-last-change",
		Paths:   []string{"/etc/shadow", "/etc/shadow-"},
		Reason:  "useradd writes today as the day of the last password change; a later day than T becomes T's",
		rewrite: clampShadowDays,
	},
}

// scrubRule returns the rule that p falls under, or nil.
func scrubRule(p string) *ScrubRule {
	for i := range ScrubRules {
		for _, pattern := range ScrubRules[i].Paths {
			if ok, _ := path.Match(pattern, p); ok {
				return &ScrubRules[i]
			}
		}
	}
	return nil
}

// clampShadowDays lowers the third field of each line of a shadow(5) file, the
// days from 1970 to the last change of the password, to those of t.
func clampShadowDays(content []byte, t time.Time) []byte {
	limit := t.Unix() / int64(24*time.Hour/time.Second)
	lines := bytes.Split(content, []byte("\n"))
	for i, line := range lines {
		fields := bytes.Split(line, []byte(":"))
		if len(fields) < 3 {
			continue
		}
		if days, err := strconv.ParseInt(string(fields[2]), 10, 64); err == nil && days > limit {
			fields[2] = strconv.AppendInt(nil, limit, 10)
			lines[i] = bytes.Join(fields, []byte(":"))
		}
	}
	return bytes.Join(lines, []byte("\n"))
}
