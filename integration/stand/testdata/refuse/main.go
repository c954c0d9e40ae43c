// SPDX-License-Identifier: Apache-2.0

// Command refuse stands in for plomb-verifier: it refuses every image and
// says which environment it was given.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	fmt.Printf("policy %s root %s hosts %s",
		os.Getenv("PLOMB_POLICY"), os.Getenv("PLOMB_TRUSTED_ROOT"), os.Getenv("PLOMB_HOSTS"))
	os.Exit(1)
}
