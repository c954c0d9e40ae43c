// SPDX-License-Identifier: Apache-2.0

package license

import "strings"

// maxRecognised is the size of the longest text that is compared with the
// table below. A longer one bundles several licences.
const maxRecognised = 16 << 10

// texts are licences that packages paste into their licence field, known by
// phrases that all must be there and others that must not. Texts of the GNU
// licences are not among them: they do not say whether later versions may be
// chosen.
var texts = []struct {
	id      string
	all     []string
	without []string
}{
	{id: "MIT", all: []string{
		"permission is hereby granted, free of charge, to any person obtaining a copy",
		"the above copyright notice and this permission notice shall be included in all copies",
	}, without: []string{"except as contained in this notice"}},
	{id: "BSD-2-Clause", all: []string{
		"redistribution and use in source and binary forms",
		"redistributions in binary form must reproduce the above copyright notice",
	}, without: []string{"neither the name", "the name of the", "advertising materials", "the names of"}},
	{id: "BSD-3-Clause", all: []string{
		"redistribution and use in source and binary forms",
		"redistributions in binary form must reproduce the above copyright notice",
		"neither the name",
	}, without: []string{"advertising materials"}},
	{id: "Apache-2.0", all: []string{
		"apache license", "version 2.0, january 2004", "terms and conditions for use, reproduction, and distribution",
	}},
	{id: "ISC", all: []string{
		"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that",
	}},
	{id: "MPL-2.0", all: []string{"mozilla public license version 2.0", "1. definitions", "exhibit a"}},
}

// recognise names the licence that a text is the text of, if it is one of the
// table and no other.
func recognise(text string) (string, bool) {
	if len(text) > maxRecognised {
		return "", false
	}
	plain := strings.Join(strings.Fields(strings.ToLower(text)), " ")
	found := ""
	for _, t := range texts {
		if !containsAll(plain, t.all) || containsAny(plain, t.without) {
			continue
		}
		if found != "" {
			return "", false
		}
		found = t.id
	}
	return found, found != ""
}

func containsAll(text string, phrases []string) bool {
	for _, phrase := range phrases {
		if !strings.Contains(text, phrase) {
			return false
		}
	}
	return true
}

func containsAny(text string, phrases []string) bool {
	for _, phrase := range phrases {
		if strings.Contains(text, phrase) {
			return true
		}
	}
	return false
}
