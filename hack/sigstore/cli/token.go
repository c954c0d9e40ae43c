// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/hack/sigstore/fulcio"
	"github.com/plombproject/plomb/hack/sigstore/idtoken"
	"github.com/plombproject/plomb/hack/sigstore/local"
)

func newToken(now func() time.Time) *cobra.Command {
	var dir string
	var request idtoken.Request
	var claims map[string]string
	cmd := &cobra.Command{
		Use:   "token --dir DIR",
		Short: "Print a fresh identity token, by default that of a GitHub Actions job, and nothing else",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request.Claims = make(map[string]any, len(claims))
			for name, value := range claims {
				request.Claims[name] = value
			}
			token, err := local.Token(dir, request, now)
			if errors.Is(err, fulcio.ErrUnknownIssuer) {
				fmt.Fprintf(cmd.ErrOrStderr(), "sigstore: warning: %v; Fulcio will refuse this token\n", err)
				err = nil
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "dir", "", "folder of a local Sigstore that was started once")
	flags.StringVar(&request.Issuer, "issuer", idtoken.DefaultIssuer, "issuer; the claims take the shape that Fulcio expects from it")
	flags.StringVar(&request.Repository, "repository", idtoken.DefaultRepository, "repository, as owner/name")
	flags.StringVar(&request.Workflow, "workflow", "", "workflow or pipeline file (default .github/workflows/release.yml for GitHub)")
	flags.StringVar(&request.Ref, "ref", idtoken.DefaultRef, "Git reference")
	flags.StringVar(&request.SHA, "sha", idtoken.DefaultSHA, "Git commit")
	flags.StringVar(&request.Subject, "subject", "", "subject, and e-mail address for issuers of those (default made from the rest)")
	flags.StringVar(&request.Audience, "audience", idtoken.DefaultAudience, "audience; Fulcio takes sigstore only")
	flags.DurationVar(&request.Lifetime, "lifetime", idtoken.DefaultLifetime, "how long it is valid; negative for one that expired that long ago")
	flags.StringToStringVar(&claims, "claim", nil, "claim to set over all others, as name=value; may be repeated")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}
