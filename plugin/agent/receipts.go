// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/receipt"
)

// receipts is the node's log, opened when it is first needed and tried again as
// long as that fails: a disk is full for a while.
type receipts struct {
	settings settings.Settings
	metrics  *metrics

	mu   sync.Mutex
	open *receipt.Log
}

// log is bindir.Recorder.Log.
func (r *receipts) log() (bindir.Log, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		l, err := r.openLog()
		if err != nil {
			r.metrics.receiptErrors.Inc()
			return nil, err
		}
		r.open = l
	}
	return counted{r.open, r.metrics}, nil
}

func (r *receipts) openLog() (*receipt.Log, error) {
	if err := os.MkdirAll(r.settings.State, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", receipt.ErrLog, err)
	}
	node := r.settings.Node.Receipts
	return receipt.Open(r.settings.Receipts(), receipt.Options{MaxBytes: node.MaxBytes, Key: node.Key})
}

// append writes receipts of what is no decision about an image.
func (r *receipts) append(ctx context.Context, list ...*receipt.Receipt) error {
	l, err := r.log()
	if err == nil {
		_, err = l.Append(ctx, list...)
	}
	return err
}

func (r *receipts) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		return nil
	}
	return r.open.Close()
}

// counted counts what is written.
type counted struct {
	log     *receipt.Log
	metrics *metrics
}

func (c counted) Append(ctx context.Context, list ...*receipt.Receipt) (digest.Digest, error) {
	last, err := c.log.Append(ctx, list...)
	if err != nil {
		c.metrics.receiptErrors.Add(float64(len(list)))
	} else {
		c.metrics.receipts.Add(float64(len(list)))
	}
	return last, err
}
