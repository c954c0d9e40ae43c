// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"regexp"
	"regexp/syntax"
	"unicode/utf8"

	"github.com/plombproject/plomb/verify/policy"
)

// A Difference is one part of a signer that is not as wanted.
type Difference struct {
	// Part is issuer, repository, workflow, ref, user, domain, host, path,
	// subject or key.
	Part string `json:"part"`
	Got  string `json:"got"`
	// Want is what would pass; if it is an expression it stands between slashes.
	Want string `json:"want"`
	// Fits is how much of Got an expression agrees with from its beginning.
	Fits string `json:"fits,omitempty"`

	expression bool
}

// nearest finds the identity that a signer is closest to, and what differs:
// as few parts as possible, and those as little as possible.
func nearest(ids []policy.Identity, issuer, subject string) (policy.Identity, []Difference) {
	var best policy.Identity
	var differs []Difference
	bestScore := -1
	for _, id := range ids {
		d := append(compare("issuer", issuer, id.Issuer, id.IssuerRegExp), subjects(subject, id.Subject, id.SubjectRegExp)...)
		score := 0
		for _, one := range d {
			score += 10000 + one.distance()
		}
		if bestScore < 0 || score < bestScore {
			best, differs, bestScore = id, d, score
		}
	}
	return best, differs
}

// distance is how far a part is from the one that is wanted.
func (d Difference) distance() int {
	if d.expression {
		return min(len(d.Got)-len(d.Fits), 9000)
	}
	return min(distance(d.Got, d.Want), 9000)
}

// compare is the difference of one part, if there is one.
func compare(part, got, want string, expr *regexp.Regexp) []Difference {
	switch {
	case expr != nil && expr.MatchString(got), expr == nil && got == want:
		return nil
	case expr != nil:
		return []Difference{{Part: part, Got: got, Want: "/" + expr.String() + "/", Fits: got[:fits(expr.String(), got)], expression: true}}
	}
	return []Difference{{Part: part, Got: got, Want: want}}
}

// subjects compares part by part, where both have the same parts.
func subjects(got, want string, expr *regexp.Regexp) []Difference {
	if expr != nil {
		return compare("subject", got, want, expr)
	}
	g, w := split(got), split(want)
	if len(g) == 0 || len(g) != len(w) || g[0].name != w[0].name {
		return compare("subject", got, want, nil)
	}
	var out []Difference
	for i := range g {
		out = append(out, compare(g[i].name, g[i].value, w[i].value, nil)...)
	}
	return out
}

type part struct{ name, value string }

var (
	// GitHub: https://HOST/OWNER/REPOSITORY/.github/workflows/FILE@REF
	github = regexp.MustCompile(`\A(https://[^/]+/[^/]+/[^/]+)/(\.github/workflows/[^@]+)@(.+)\z`)
	// GitLab: https://HOST/GROUP/PROJECT//PATH@REF
	gitlab = regexp.MustCompile(`\A(https://[^@]+?)//([^@]+)@(.+)\z`)
	email  = regexp.MustCompile(`\A([^/@]+)@([^/@]+)\z`)
	web    = regexp.MustCompile(`\A(https?://[^/]+)(/.*)?\z`)
)

// split takes a subject apart.
func split(subject string) []part {
	for _, form := range []struct {
		re    *regexp.Regexp
		names []string
	}{
		{github, []string{"repository", "workflow", "ref"}},
		{gitlab, []string{"repository", "workflow", "ref"}},
		{email, []string{"user", "domain"}},
		{web, []string{"host", "path"}},
	} {
		if m := form.re.FindStringSubmatch(subject); m != nil {
			var parts []part
			for i, name := range form.names {
				parts = append(parts, part{name, m[i+1]})
			}
			return parts
		}
	}
	return nil
}

// distance is the number of characters to insert, delete or replace to make b
// of a (Levenshtein). Long texts are cut: it is for names.
func distance(a, b string) int {
	const most = 300
	x, y := []rune(a), []rune(b)
	x, y = x[:min(len(x), most)], y[:min(len(y), most)]
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			cost := diagonal
			if x[i] != y[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(y)]
}

// fits is the length of the longest beginning of text that a match of expr from
// the beginning of text could go on from.
func fits(expr, text string) int {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return 0
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	const most = 2000
	text = text[:min(len(text), most)]
	live := follow(prog, []uint32{uint32(prog.Start)})
	longest := 0
	for i, r := range text {
		var next []uint32
		for _, pc := range live {
			if inst := &prog.Inst[pc]; inst.Op != syntax.InstMatch && inst.MatchRune(r) {
				next = append(next, inst.Out)
			}
		}
		if live = follow(prog, next); len(live) == 0 {
			break
		}
		longest = i + utf8.RuneLen(r)
	}
	return min(longest, len(text))
}

// follow adds what is reached without reading a character. Where an expression
// demands an edge, it is taken to be there.
func follow(prog *syntax.Prog, queue []uint32) []uint32 {
	seen := map[uint32]bool{}
	var live []uint32
	for len(queue) > 0 {
		pc := queue[0]
		queue = queue[1:]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch inst := &prog.Inst[pc]; inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			queue = append(queue, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
			queue = append(queue, inst.Out)
		case syntax.InstFail:
		default:
			live = append(live, pc)
		}
	}
	return live
}
