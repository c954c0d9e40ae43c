// SPDX-License-Identifier: Apache-2.0

package license

import (
	"regexp"
	"strings"
)

// Bounds of what is taken apart. What is beyond stays whole, as a LicenseRef-.
const (
	maxName       = 200     // bytes of a licence's name
	maxExpression = 8 << 10 // bytes of an expression
	maxDepth      = 32      // parentheses within parentheses
)

// expr is an expression of one operator: "" with at most one operand, AND, OR.
// Operands are finished, with parentheses where they need them.
type expr struct {
	op   string
	kids []string
}

func leaf(id string) expr { return expr{kids: []string{id}} }

// String is "" for an expression without operands.
func (e expr) String() string { return strings.Join(e.kids, " "+e.op+" ") }

// combine joins expressions by an operator, without those said twice.
func combine(op string, parts []expr) expr {
	var distinct []expr
	seen := map[string]bool{"": true}
	for _, part := range parts {
		if text := part.String(); !seen[text] {
			seen[text] = true
			distinct = append(distinct, part)
		}
	}
	if len(distinct) == 1 {
		return distinct[0]
	}
	var kids []string
	seen = map[string]bool{"": true}
	for _, part := range distinct {
		operands := part.kids
		if len(operands) > 1 && part.op != op {
			operands = []string{"(" + part.String() + ")"}
		}
		for _, kid := range operands {
			if !seen[kid] {
				seen[kid] = true
				kids = append(kids, kid)
			}
		}
	}
	return expr{op: op, kids: kids}
}

// Spellings that a scanner of words would tear apart.
var spellings = []struct {
	pattern *regexp.Regexp
	with    string
}{
	// "GPL (>= 2)": this version or a later one.
	{regexp.MustCompile(`\(?\s*>=\s*([0-9][0-9.]*)\s*\)?`), " $1+"},
	// "version 2 or (at your option) any later version": no choice of licences.
	{regexp.MustCompile(`(?i)([0-9]),?\s+or\s+(?:\(at\s+your\s+option\)\s+)?(?:any\s+)?(?:later|newer|above|greater|higher)(?:\s+versions?)?`), "$1+"},
	// "License, Version 2.0": no list.
	{regexp.MustCompile(`(?i),\s*(version|ver\.?|v\.?)\s*([0-9])`), " version $2"},
	// "GPL-3+-with-bison-exception"
	{regexp.MustCompile(`(?i)[-_]with[-_]([a-z0-9.-]+)[-_]exceptions?\b`), " with $1-exception"},
	// "LGPLv3+_or_GPLv2+"
	{regexp.MustCompile(`(?i)_(and|or|with)_`), " $1 "},
}

func respell(text string) string {
	for _, s := range spellings {
		text = s.pattern.ReplaceAllString(text, s.with)
	}
	return text
}

// tokens are words, the two parentheses and the operators AND, OR, WITH; with a
// comma before it an operator binds less than all others ("A or B, and C").
var tokens = regexp.MustCompile(`(?i),?\s*(?:&&?|\|\|?)|[(),;]|[a-z][a-z0-9+.-]*://[^\s,;()]+|[^\s(),;&|/]+|/`)

// operators by the lower-case token.
var operators = map[string]string{
	"and": "AND", "&": "AND", "&&": "AND",
	"or": "OR", "|": "OR", "||": "OR", "/": "OR",
	"with": "WITH",
	",":    ", AND", ";": ", AND",
}

// A parser takes one licence field apart.
type parser struct {
	rest  []string
	depth int
	known bool // some operand is a licence of the list
	refs  declared
}

// parse understands an expression, in SPDX's syntax or in the looser ones that
// databases use. It fails if no operand is known: then it was prose.
func (d declared) parse(text string) (expr, bool) {
	p := &parser{rest: tokens.FindAllString(respell(text), -1), refs: declared{}}
	e, ok := p.list()
	if !ok || len(p.rest) > 0 || !p.known {
		return expr{}, false
	}
	for ref, text := range p.refs {
		d[ref] = text
	}
	return e, true
}

// next is the operator that comes next, and how many tokens it has; "" if a
// word, a parenthesis or nothing comes.
func (p *parser) next() (op string, length int) {
	if len(p.rest) == 0 {
		return "", 0
	}
	op = operators[strings.ToLower(strings.TrimSpace(p.rest[0]))]
	if op == ", AND" && len(p.rest) > 1 {
		switch strings.ToLower(p.rest[1]) {
		case "and":
			return ", AND", 2
		case "or":
			return ", OR", 2
		}
	}
	return op, 1
}

// list: choice, and choice, or choice; from left to right.
func (p *parser) list() (expr, bool) {
	e, ok := p.chain("OR", func() (expr, bool) { return p.chain("AND", p.operand) })
	for ok {
		op, length := p.next()
		if !strings.HasPrefix(op, ", ") {
			break
		}
		p.rest = p.rest[length:]
		var right expr
		right, ok = p.chain("OR", func() (expr, bool) { return p.chain("AND", p.operand) })
		e = combine(strings.TrimPrefix(op, ", "), []expr{e, right})
	}
	return e, ok
}

// chain: part op part op part.
func (p *parser) chain(op string, part func() (expr, bool)) (expr, bool) {
	var parts []expr
	for {
		e, ok := part()
		if !ok {
			return expr{}, false
		}
		parts = append(parts, e)
		if next, length := p.next(); next == op {
			p.rest = p.rest[length:]
			continue
		}
		return combine(op, parts), true
	}
}

// operand is an expression in parentheses, or a licence with or without an
// exception.
func (p *parser) operand() (expr, bool) {
	if len(p.rest) > 0 && p.rest[0] == "(" {
		p.depth++
		if p.depth > maxDepth {
			return expr{}, false
		}
		p.rest = p.rest[1:]
		e, ok := p.list()
		if !ok || len(p.rest) == 0 || p.rest[0] != ")" {
			return expr{}, false
		}
		p.rest = p.rest[1:]
		p.depth--
		return e, true
	}
	name := p.words()
	if name == "" {
		return expr{}, false
	}
	if op, _ := p.next(); op != "WITH" {
		return p.license(name), true
	}
	p.rest = p.rest[1:]
	exception := p.words()
	if exception == "" {
		return expr{}, false
	}
	return p.withException(name, exception), true
}

// words are the tokens up to an operator or a parenthesis: one name.
func (p *parser) words() string {
	var words []string
	for len(p.rest) > 0 {
		if op, _ := p.next(); op != "" || p.rest[0] == "(" || p.rest[0] == ")" {
			break
		}
		words = append(words, p.rest[0])
		p.rest = p.rest[1:]
	}
	return strings.Join(words, " ")
}

// license is the expression for a name. Alpine used to write several licences
// with nothing between them: words that are all ids are such a list.
func (p *parser) license(name string) expr {
	if e, ok := lookup(name); ok {
		p.known = true
		return e
	}
	if foreign.MatchString(name) {
		p.known = true
		return p.refs.ref(name)
	}
	var all []expr
	for _, word := range strings.Fields(name) {
		e, ok := lookup(word)
		if !ok {
			return p.refs.ref(name)
		}
		all = append(all, e)
	}
	p.known = true
	return combine("AND", all)
}

func (p *parser) withException(name, exception string) expr {
	license, ok := lookup(name)
	id, known := lookupException(exception, license.String())
	if !ok || !known || len(license.kids) != 1 || strings.ContainsAny(license.kids[0], " (") {
		p.known = p.known || ok
		return p.refs.ref(name + " with " + exception)
	}
	p.known = true
	return leaf(license.kids[0] + " WITH " + id)
}
