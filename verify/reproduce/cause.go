// SPDX-License-Identifier: Apache-2.0

package reproduce

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// A pair is one file on both sides, as far as it was read.
type pair struct {
	file              *File
	original, rebuilt []byte
	instruction       string
	layer             *peers
}

// peers is what is known of the layer that a file is in.
type peers struct {
	network  bool            // other versions of packages were installed
	original map[string]bool // shapes of the names that are on one side only
	rebuilt  map[string]bool
}

// A Row is one rule about likely causes. The first that matches is given, so
// that the specific ones come first.
type Row struct {
	ID    string
	Cause Cause
	// Detail is for people: what it is, and what to do.
	Detail string
	match  func(pair) bool
}

// Rows is the table of causes; docs/reproduce.md shows it.
var rows = []Row{
	{"mtime", Time, "only the modification time differs: it was earlier than the base image in one of the builds, so sealing kept it; touch the sources, or set SOURCE_DATE_EPOCH", onlyTime},
	{"mode", Source, "only mode or owner differ: the build context had other permissions; check umask and how the sources were checked out", onlyMode},
	{"volatile", Time, "a cache or log of times that sealing leaves out by default; build without PLOMB_SCRUB=off, or delete it in the same RUN", inPaths("/var/cache/fontconfig/*", "/var/cache/ldconfig/aux-cache", "/var/cache/apt/*.bin", "/var/cache/man/index.db", "/var/log/apt/*", "/var/log/*.log", "/etc/shadow", "/etc/shadow-")},
	{"package-version", Network, "another version of a package was installed; pin versions, or use a snapshot of the package mirror", packageVersion},
	{"package-index", Network, "a package index was downloaded again and has moved on; delete it in the same RUN, or use a snapshot of the mirror", inPaths("/var/lib/apt/lists/*", "/var/lib/dpkg/available", "/var/lib/apt/extended_states", "/lib/apk/db/scripts.tar*", "/var/cache/apk/*", "/var/lib/rpm/*", "/var/cache/dnf/*")},
	{"ssh-host-key", Random, "a key pair that was generated in the build; make it when the container starts", inPaths("/etc/ssh/ssh_host_*", "/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/certs/ssl-cert-snakeoil.pem")},
	{"private-key", Random, "a key that was generated in the build; make it when the container starts, and treat this one as published", bothContain("PRIVATE KEY-----")},
	{"java-keystore", Time, "a Java keystore holds the time of each entry; make it from the same file, or when the container starts", bothStart("\xfe\xed\xfe\xed")},
	{"pyc", Time, "compiled Python holds the time of its source; compile with --invalidation-mode unchecked-hash, or set PYTHONDONTWRITEBYTECODE", pyc},
	{"gzip", Time, "a gzip header holds the time of compression; use gzip -n", gzipTime},
	{"ar", Time, "a static library or Debian package holds member times; use ar -D, or SOURCE_DATE_EPOCH", arTime},
	{"zip", Time, "a zip or jar holds the times of its members; set SOURCE_DATE_EPOCH, or strip them with strip-nondeterminism", bothStart("PK\x03\x04")},
	{"tar", Time, "a tar holds the times of its members; use tar --mtime, --sort=name and --owner", tarTime},
	{"sqlite", Order, "a SQLite database holds a change counter, and pages in the order of the writes; dump and load it, or make it when the container starts", bothStart("SQLite format 3\x00")},
	{"order", Order, "the same lines in another order; sort them, or set LC_ALL=C where a program lists a folder", sameLines},
	{"date", Time, "dates or times in the text; take them from SOURCE_DATE_EPOCH, or leave them out", sameBut(dates)},
	{"locale", Locale, "text that depends on the language settings; set LC_ALL=C.UTF-8", sameBut(locales)},
	{"uuid", Random, "a UUID; make it from a name, or when the container starts", sameBut(uuids)},
	{"token", Random, "random text, or a digest of something that differs", sameBut(tokens)},
	{"temporary-path", Random, "the name of a temporary file; give it a fixed one", sameBut(temporary)},
	{"number", Time, "numbers in the text, such as a time, a duration, a process id or a port", sameBut(numbers)},
	{"binary-time", Time, "a few bytes of the binary differ where it holds a time; compilers honour SOURCE_DATE_EPOCH", binaryTime},
	{"random-bytes", Random, "the bytes have nothing in common: random, encrypted, or compressed from something that differs", randomBytes},
	{"name", Random, "a file with a random or dated name; give it a fixed one", variableName},
	{"network", Network, "the instruction uses the network; what it downloaded may have changed. Pin versions and checksums", byNetwork},
	{"unknown", Unknown, "no rule fits; look at both files with --keep", func(pair) bool { return true }},
}

// Rows returns the table of causes, in order.
func Rows() []Row { return slices.Clone(rows) }

func explain(p pair) Row {
	i := slices.IndexFunc(rows, func(r Row) bool { return r.match(p) })
	return rows[i]
}

// content reports whether the content was there to be compared.
func (p pair) content() bool {
	return slices.Contains(p.file.Differs, "content") && len(p.original)+len(p.rebuilt) > 0
}

func onlyTime(p pair) bool { return slices.Equal(p.file.Differs, []string{"mtime"}) }

func onlyMode(p pair) bool {
	return len(p.file.Differs) > 0 && !slices.ContainsFunc(p.file.Differs, func(d string) bool {
		return d != "mode" && d != "owner" && d != "mtime"
	})
}

// versionLine finds versions in the databases of dpkg and apk.
var versionLine = regexp.MustCompile(`(?m)^(?:Version: |V:)(.+)$`)

func packageVersion(p pair) bool {
	if !p.content() || !slices.Contains([]string{"/var/lib/dpkg/status", "/lib/apk/db/installed", "/usr/lib/apk/db/installed"}, p.file.Path) &&
		path.Dir(p.file.Path) != "/var/lib/dpkg/status.d" {
		return false
	}
	return !slices.EqualFunc(versionLine.FindAll(p.original, -1), versionLine.FindAll(p.rebuilt, -1), bytes.Equal)
}

func inPaths(patterns ...string) func(pair) bool {
	return func(p pair) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool {
			ok, err := path.Match(pattern, p.file.Path)
			return ok && err == nil
		})
	}
}

func bothStart(magic string) func(pair) bool {
	return func(p pair) bool {
		return bytes.HasPrefix(p.original, []byte(magic)) && bytes.HasPrefix(p.rebuilt, []byte(magic))
	}
}

func bothContain(text string) func(pair) bool {
	return func(p pair) bool {
		return bytes.Contains(p.original, []byte(text)) && bytes.Contains(p.rebuilt, []byte(text))
	}
}

// pyc: bytes 8 to 11 hold the source's time (PEP 552).
func pyc(p pair) bool {
	return strings.HasSuffix(p.file.Path, ".pyc") && len(p.original) >= 16 && len(p.rebuilt) >= 16 &&
		!bytes.Equal(p.original[8:12], p.rebuilt[8:12]) && bytes.Equal(p.original[:8], p.rebuilt[:8])
}

// gzipTime: bytes 4 to 7 hold a time (RFC 1952, 2.3); nothing else may differ.
func gzipTime(p pair) bool {
	if !bothStart("\x1f\x8b\x08")(p) || len(p.original) < 8 || len(p.rebuilt) < 8 {
		return false
	}
	return !bytes.Equal(p.original[4:8], p.rebuilt[4:8]) && bytes.Equal(p.original[8:], p.rebuilt[8:])
}

// arTime: member headers of 60 bytes hold a time at 16 to 27 (ar(5)).
func arTime(p pair) bool {
	return bothStart("!<arch>\n")(p) && bytes.Equal(arHeader.ReplaceAll(p.original, nil), arHeader.ReplaceAll(p.rebuilt, nil))
}

var arHeader = regexp.MustCompile("(?s)[0-9]{1,12} *[0-9]{1,6} *[0-9]{1,6} *[0-7]{3,8} *[0-9]{1,10} *`\n")

// tarTime: a POSIX header has its magic at 257.
func tarTime(p pair) bool {
	is := func(data []byte) bool { return len(data) >= 512 && string(data[257:262]) == "ustar" }
	return is(p.original) && is(p.rebuilt)
}

func text(data []byte) bool {
	return len(data) > 0 && !bytes.ContainsRune(data, 0) && utf8.Valid(trimRune(data))
}

// trimRune takes off what the end of the reading cut in two.
func trimRune(data []byte) []byte {
	for range min(utf8.UTFMax-1, len(data)) {
		if r, n := utf8.DecodeLastRune(data); r != utf8.RuneError || n > 1 {
			break
		}
		data = data[:len(data)-1]
	}
	return data
}

func texts(p pair) bool { return p.content() && text(p.original) && text(p.rebuilt) }

func sameLines(p pair) bool {
	if !texts(p) || len(p.original) != len(p.rebuilt) {
		return false
	}
	a, b := bytes.Split(p.original, []byte("\n")), bytes.Split(p.rebuilt, []byte("\n"))
	slices.SortFunc(a, bytes.Compare)
	slices.SortFunc(b, bytes.Compare)
	return slices.EqualFunc(a, b, bytes.Equal)
}

// sameBut reports texts that are the same once what the pattern finds is left
// out, and that do have it.
func sameBut(pattern *regexp.Regexp) func(pair) bool {
	return func(p pair) bool {
		if !texts(p) {
			return false
		}
		a, b := pattern.ReplaceAllLiteral(p.original, []byte{0}), pattern.ReplaceAllLiteral(p.rebuilt, []byte{0})
		return bytes.Equal(a, b)
	}
}

// Pieces of patterns.
const (
	months = `(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*`
	clock  = `\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AP]M)?`
	zone   = `(?: ?(?:Z\b|UTC|GMT|CES?T|[A-Z]{3,4}\b|[+-]\d{2}:?\d{2}))?`
	day    = `(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)`

	// Seconds since 1970, or parts of them, from 2020 to 2033.
	epoch = `\b1[6-9]\d{8}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?\b`
)

var (
	dates = regexp.MustCompile(epoch + `|(?:` + day + `?` +
		`(?:` + months + ` +\d{1,2}(?:,? +\d{4})?|\d{1,2}[ -]` + months + `[ -]\d{2,4}|(?:19|20)\d{2}[-/.]?\d{2}[-/.]?\d{2}|\d{1,2}/\d{1,2}/\d{2,4})` +
		`(?:(?:[T ,_-]| at )+` + clock + zone + `)?(?: +\d{4}\b)?)` +
		`|` + clock + zone)
	locales   = regexp.MustCompile(`\b(?:C|POSIX|[a-z]{2,3}_[A-Z]{2})(?:\.(?:UTF-?8|utf8|ISO-?8859-\d+))?(?:@[a-z]+)?\b`)
	uuids     = regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	tokens    = regexp.MustCompile(`[A-Za-z0-9+/_-]{16,}={0,2}`)
	temporary = regexp.MustCompile(`/(?:var/)?tmp/[^\s"':]+|/tmp[A-Za-z0-9._-]+`)
	numbers   = regexp.MustCompile(`\d+(?:[.,]\d+)*`)
)

// binaryTime: the same size, few differences, and each of them could be a time.
func binaryTime(p pair) bool {
	if !p.content() || texts(p) || len(p.original) != len(p.rebuilt) || len(p.original) < 64 {
		return false
	}
	differing, runs, last := 0, 0, -8
	for i := range p.original {
		if p.original[i] == p.rebuilt[i] {
			continue
		}
		differing++
		if i-last > 4 {
			runs++
		}
		last = i
	}
	return runs <= 16 && differing <= 8*runs && differing*100 < len(p.original)
}

// randomBytes: in unrelated bytes of the same length, one in 256 is equal by
// chance.
func randomBytes(p pair) bool {
	n := min(len(p.original), len(p.rebuilt))
	if !p.content() || texts(p) || n < 4 {
		return false
	}
	equal := 0
	for i := range n {
		if p.original[i] == p.rebuilt[i] {
			equal++
		}
	}
	return equal*8 <= n
}

// shape is a name without what varies in it.
func shape(name string) string {
	return variable.ReplaceAllString(name, "*")
}

var variable = regexp.MustCompile(`[0-9a-fA-F]{6,}|[0-9]+|[A-Za-z0-9]{8,}`)

// variableName: a file on one side that has a counterpart on the other, but for
// what varies in its name.
func variableName(p pair) bool {
	switch p.file.Change {
	case onlyOriginal:
		return p.layer.rebuilt[shape(p.file.Path)] && !p.layer.network
	case onlyRebuilt:
		return p.layer.original[shape(p.file.Path)] && !p.layer.network
	}
	return false
}

// downloads finds, in an instruction, programs that are there to download.
var downloads = regexp.MustCompile(`(?i)\b(?:apt|apt-get|aptitude|apk|dnf|yum|microdnf|zypper|pip3?|pipx|uv|npm|npx|yarn|pnpm|gem|bundle|cargo|composer|mvn|gradle|curl|wget|git (?:clone|fetch|pull)|go (?:get|install|mod)|conda|poetry)\b|^(?:ADD|COPY) .*https?://`)

func byNetwork(p pair) bool { return p.layer.network || downloads.MatchString(p.instruction) }

// peers looks at the layer as a whole.
func (l *Layer) peers(before, after map[string][]byte) *peers {
	out := &peers{original: map[string]bool{}, rebuilt: map[string]bool{}}
	for i := range l.Files {
		f := &l.Files[i]
		switch f.Change {
		case onlyOriginal:
			out.original[shape(f.Path)] = true
		case onlyRebuilt:
			out.rebuilt[shape(f.Path)] = true
		case changed:
			if packageVersion(pair{file: f, original: before[f.Path], rebuilt: after[f.Path]}) {
				out.network = true
			}
		}
	}
	return out
}
