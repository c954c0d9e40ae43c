// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd, if it started the agent, what sd_notify(3) is for.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd cannot be told", "state", state, "error", err)
	}
}

// watchdog tells systemd that the agent is alive, as often as it asked for,
// until ctx ends. alive is tried each time: an agent that hangs is restarted.
func watchdog(ctx context.Context, log *slog.Logger, alive func() error) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return
	}
	tick := time.NewTicker(every / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := alive(); err != nil {
			log.Error("the agent does not answer itself", "error", err)
			continue
		}
		notify(log, daemon.SdNotifyWatchdog)
	}
}
