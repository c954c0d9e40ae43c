// SPDX-License-Identifier: Apache-2.0

package nodebench

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/verify/receipt"
)

// firstPulls pulls each image that the node has not got. For the agent nobody
// has verified it before.
func (b *bench) firstPulls(ctx context.Context) error {
	if err := b.forget(ctx); err != nil {
		return err
	}
	for _, ref := range b.images {
		for _, verifier := range []string{None, Exits, Agent, StandAlone} {
			if err := b.cri.RemoveImage(ctx, ref); err != nil {
				return err
			}
			if err := b.pull(ctx, b.result.First, verifier, ref); err != nil {
				return err
			}
		}
	}
	return b.use(Agent)
}

// pullsAgain pulls an image that the node has. The verifiers take turns, so
// that whatever else the machine does falls on all of them.
func (b *bench) pullsAgain(ctx context.Context) error {
	for range b.Pulls {
		for _, verifier := range []string{None, Exits, Agent, StandAlone} {
			if err := b.pull(ctx, b.result.Again, verifier, b.images[0]); err != nil {
				return err
			}
		}
	}
	return b.use(Agent)
}

func (b *bench) pull(ctx context.Context, into map[string][]time.Duration, verifier, ref string) error {
	if err := b.use(verifier); err != nil {
		return err
	}
	began := time.Now()
	if _, err := b.cri.PullImage(ctx, ref); err != nil {
		return fmt.Errorf("verifier %s: %w", verifier, err)
	}
	into[verifier] = append(into[verifier], time.Since(began))
	return nil
}

// rush pulls all images at once, each many times, first with the verifier that
// only exits.
func (b *bench) rush(ctx context.Context) error {
	r := Rush{Pulls: b.Parallel, Images: len(b.images)}
	var err error
	if err := b.use(Exits); err != nil {
		return err
	}
	if r.Without, err = b.pullAll(ctx); err != nil {
		return err
	}
	if err := b.use(Agent); err != nil {
		return err
	}
	if err := b.forget(ctx); err != nil {
		return err
	}
	alone, err := b.alone()
	if err != nil {
		return err
	}
	if r.Wall, err = b.pullAll(ctx); err != nil {
		return err
	}
	if r.Alone, err = b.alone(); err != nil {
		return err
	}
	r.Alone -= alone
	counts, err := b.metrics(ctx)
	if err != nil {
		return err
	}
	r.Verifications, r.Requests = counts["plomb_verifications_total"], counts["plomb_registry_requests_total"]
	if r.Memory, err = b.peak(); err != nil {
		return err
	}
	b.result.Rushes = append(b.result.Rushes, r)
	return nil
}

func (b *bench) pullAll(ctx context.Context) (time.Duration, error) {
	for _, ref := range b.images {
		if err := b.cri.RemoveImage(ctx, ref); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for i := range b.Parallel {
		group.Go(func() error {
			_, err := b.cri.PullImage(ctx, b.images[i%len(b.images)])
			return err
		})
	}
	err := group.Wait()
	return time.Since(began), err
}

// alone counts the receipts of plomb-verifier itself.
func (b *bench) alone() (n int, err error) {
	for e, err := range receipt.Entries(filepath.Join(b.stand.NodeState(), "receipts")) {
		if err != nil {
			return 0, err
		}
		if strings.HasPrefix(e.Receipt.Verifier, "plomb-verifier ") {
			n++
		}
	}
	return n, nil
}

// metrics are the agent's counters, over all labels.
func (b *bench) metrics(ctx context.Context) (map[string]int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.stand.Metrics()+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	counts := map[string]int{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if name, n, ok := counter(lines.Text()); ok {
			counts[name] += n
		}
	}
	return counts, lines.Err()
}

// counter reads one line of Prometheus' text format.
func counter(line string) (name string, n int, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 || strings.HasPrefix(line, "#") {
		return "", 0, false
	}
	f, err := strconv.ParseFloat(line[i+1:], 64)
	if err != nil {
		return "", 0, false
	}
	name, _, _ = strings.Cut(line[:i], "{")
	return name, int(f), true
}

// peak is the most memory that the agent ever held, in bytes (proc(5), VmHWM).
func (b *bench) peak() (int64, error) {
	pid, _ := b.stand.PID(stand.Agent)
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", pid)
}
