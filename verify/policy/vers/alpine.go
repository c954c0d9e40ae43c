// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"
)

// apk is a version of Alpine, apk-package(5):
// number{.number}[letter]{_suffix[number]}[~hash][-r#].
type apk struct {
	numbers  []string
	letter   string
	suffixes []apkSuffix
	release  string
}

type apkSuffix struct {
	rank   int
	number string
}

var (
	validAPK    = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)*)([a-z]?)((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)[0-9]*)*)(?:~[0-9a-f]+)?(?:-r([0-9]+))?$`)
	apkSuffixes = regexp.MustCompile(`_([a-z]+)([0-9]*)`)
	// Those before "" come before the version without a suffix.
	apkOrder = []string{"alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"}
)

func parseAPK(text string) (version, error) {
	m := validAPK.FindStringSubmatch(text)
	if m == nil {
		return nil, errors.New("an Alpine version is like 1.2.3b_rc1-r4")
	}
	v := apk{numbers: strings.Split(m[1], "."), letter: m[2], release: m[4]}
	for _, s := range apkSuffixes.FindAllStringSubmatch(m[3], -1) {
		v.suffixes = append(v.suffixes, apkSuffix{slices.Index(apkOrder, s[1]), s[2]})
	}
	return v, nil
}

func (v apk) compare(other version) int {
	o := other.(apk)
	for i := 0; i < len(v.numbers) && i < len(o.numbers); i++ {
		if c := compareAPKNumber(i, v.numbers[i], o.numbers[i]); c != 0 {
			return c
		}
	}
	if c := cmp.Or(cmp.Compare(len(v.numbers), len(o.numbers)), strings.Compare(v.letter, o.letter)); c != 0 {
		return c
	}
	none := apkSuffix{rank: slices.Index(apkOrder, "")}
	for i := 0; i < len(v.suffixes) || i < len(o.suffixes); i++ {
		x, y := none, none
		if i < len(v.suffixes) {
			x = v.suffixes[i]
		}
		if i < len(o.suffixes) {
			y = o.suffixes[i]
		}
		if c := cmp.Or(cmp.Compare(x.rank, y.rank), compareNumbers(x.number, y.number)); c != 0 {
			return c
		}
	}
	return compareNumbers(v.release, o.release)
}

// compareAPKNumber compares one number; behind the first, one that begins with
// zero is a fraction and compared as text: 1.05 is before 1.1.
func compareAPKNumber(i int, a, b string) int {
	if i > 0 && (startsWith(a, '0') || startsWith(b, '0')) {
		return strings.Compare(a, b)
	}
	return compareNumbers(a, b)
}
