// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/hack/sigstore/keys"
	"github.com/plombproject/plomb/hack/sigstore/local"
)

func newServe(now func() time.Time) *cobra.Command {
	opts := local.Options{Now: now}
	var without []string
	var readyFile string
	cmd := &cobra.Command{
		Use:   "serve --dir DIR",
		Short: "Serve Fulcio, a CT log, Rekor logs, a timestamp authority and GitHub's token endpoint until SIGTERM",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range without {
				opts.Without = append(opts.Without, local.Service(name))
			}
			server, err := local.Start(cmd.Context(), opts)
			if err != nil {
				return err
			}
			describe(cmd, server)
			if readyFile != "" {
				if err := keys.Replace(readyFile, []byte(server.URL+"\n"), 0o644); err != nil {
					return err
				}
			}
			return server.Wait(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Dir, "dir", "", "folder for keys, log, trusted_root.json and signing_config.json")
	flags.StringVar(&opts.Listen, "listen", "127.0.0.1:0", "address to listen on")
	flags.BoolVar(&opts.AllowNonLoopback, "allow-non-loopback", false, "let --listen be an address that others can reach")
	flags.StringVar(&readyFile, "ready-file", "", "file to write the base URL to once everything answers")
	flags.StringSliceVar(&without, "without", nil, fmt.Sprintf("services that answer 503, for tests: %v", local.Services()))
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}

// describe prints what is served and what a CI job would have in its
// environment; the request token stays in its private file.
func describe(cmd *cobra.Command, server *local.Server) {
	in := func(name string) string { return filepath.Join(server.Dir, name) }
	fmt.Fprintf(cmd.OutOrStdout(), `Local Sigstore at %s (GET /healthz)
  Fulcio %[1]s/fulcio, Rekor v2 %[1]s/rekor, Rekor v1 %[1]s/rekor-v1, timestamps %[1]s/tsa/api/v1/timestamp
  whom to trust   %s
  where to sign   %s
What a CI job has:
  export PLOMB_SIGSTORE='%s'
  . '%s'   # ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN
An identity token: sigstore token --dir '%[4]s'
`, server.URL, in(local.TrustedRootFile), in(local.SigningConfigFile), server.Dir, in(local.GitHubEnvFile))
}
