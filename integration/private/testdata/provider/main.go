// SPDX-License-Identifier: Apache-2.0

// Command provider is a fake credential provider of kubelet's (KEP-2133). It
// answers out of the file in FAKE_ANSWER, and appends what it was asked to the
// file in FAKE_ASKED.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	asked, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var request struct{ Kind, APIVersion, Image string }
	if err := json.Unmarshal(asked, &request); err != nil || request.Kind != "CredentialProviderRequest" {
		return fmt.Errorf("not a request: %s", asked)
	}
	log, err := os.OpenFile(os.Getenv("FAKE_ASKED"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	if _, err := fmt.Fprintln(log, request.Image); err != nil {
		return err
	}
	answer, err := os.ReadFile(os.Getenv("FAKE_ANSWER"))
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(answer)
	return err
}
