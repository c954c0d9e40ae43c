// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"errors"
	"regexp"
	"strings"
)

// gem is a version of RubyGems (Gem::Version): numbers and words in turn, of
// which words make a pre-release.
type gem []string

var (
	validGem    = regexp.MustCompile(`^[0-9]+(?:\.[0-9A-Za-z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$`)
	gemSegments = regexp.MustCompile(`[0-9]+|[A-Za-z]+`)
)

func parseGem(text string) (version, error) {
	if !validGem.MatchString(text) {
		return nil, errors.New("a version of RubyGems is like 1.2.3.rc1")
	}
	return gem(gemSegments.FindAllString(strings.ReplaceAll(text, "-", ".pre."), -1)), nil
}

func (v gem) compare(other version) int {
	o := other.(gem)
	for i := 0; i < len(v) || i < len(o); i++ {
		x, y := "0", "0"
		if i < len(v) {
			x = v[i]
		}
		if i < len(o) {
			y = o[i]
		}
		var c int
		switch {
		case isNumber(x) && isNumber(y):
			c = compareNumbers(x, y)
		case isNumber(x):
			c = 1
		case isNumber(y):
			c = -1
		default:
			c = strings.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return 0
}
