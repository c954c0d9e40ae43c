// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/plugin/agent"
	"github.com/plombproject/plomb/plugin/doctor"
	"github.com/plombproject/plomb/plugin/settings"
)

func agentCommand(stdio Stdio) *cobra.Command {
	var level slog.Level
	cmd := &cobra.Command{
		Use:   "agent [flags]",
		Short: "Serve a node: remember verdicts, answer its verifiers, watch its containers",
		Long: `agent answers plomb-verifier and containerd's NRI until it is ended. It verifies
each image once, remembers the verdict, writes receipts, and serves metrics and
health at a loopback address. plomb node install starts it as a service.

It takes its settings from the environment and from PLOMB_NODE_CONFIG
(/etc/plomb/node.yaml), as plomb-verifier does. What it logs goes to standard
error, a JSON document each line.

Exit status: 0 it was ended, 2 it could not serve, 64 wrong usage.`,
		Example: `  plomb agent
  plomb agent --log-level debug`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := settings.Read(stdio.Getenv)
			if err != nil {
				return fmt.Errorf("%w: %w", errFailed, err)
			}
			log := slog.New(slog.NewJSONHandler(stdio.Err, &slog.HandlerOptions{Level: level}))
			opts := agent.Options{Version: currentVersion(), Log: log, Prove: func(ctx context.Context) error { return selfTest(ctx, s, stdio) }}
			if err := agent.Run(cmd.Context(), s, opts); err != nil {
				return fmt.Errorf("%w: %w", errFailed, err)
			}
			return nil
		},
	}
	cmd.Flags().TextVar(&level, "log-level", slog.LevelInfo, "log messages of this `LEVEL` and above: debug, info, warn, error")
	return cmd
}

// selfTest is plomb node doctor as the agent's self-test.
func selfTest(ctx context.Context, s settings.Settings, stdio Stdio) error {
	report, err := doctor.Prove(ctx, doctor.Options{Settings: s, Config: stdio.Getenv("CONTAINERD_CONFIG"), PullOnly: s.Node.NRI.Off, Agentless: true})
	if err == nil && report.Verdict != doctor.Live {
		err = fmt.Errorf("enforcement is %s: %s", report.Verdict, report.Reason)
	}
	return err
}
