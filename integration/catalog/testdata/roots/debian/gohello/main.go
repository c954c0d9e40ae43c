// SPDX-License-Identifier: Apache-2.0

// Command gohello has no version of its own and needs a module of a pinned one.
package main

import (
	"fmt"

	"golang.org/x/mod/semver"
)

func main() { fmt.Println(semver.Canonical("v1.2")) }
