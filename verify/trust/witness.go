// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxTimestamps and maxEntries bound what is verified of one bundle; real ones
// have one or two.
const maxTimestamps, maxEntries = 32, 32

// witness is a log or a timestamp authority that has seen the signature.
type witness struct {
	operator string
	// time is when; zero where a log has not signed the time.
	time time.Time
}

// operators counts who they are: what one operator runs is one witness.
func operators(ws []witness) int {
	distinct := map[string]bool{}
	for _, w := range ws {
		distinct[w.operator] = true
	}
	return len(distinct)
}

// timestamped verifies the signed timestamps. Those of authorities that are not
// trusted do not count and do no harm; reasons say why they do not.
func (v *Verifier) timestamped(p *parsed) (found []witness, reasons []string, err error) {
	stamps := p.GetVerificationMaterial().GetTimestampVerificationData().GetRfc3161Timestamps()
	if len(stamps) > maxTimestamps {
		return nil, nil, fmt.Errorf("%w: it has %d timestamps, more than %d", ErrTimestamp, len(stamps), maxTimestamps)
	}
	for _, s := range stamps {
		for _, tsa := range v.timestampers {
			t, err := tsa.Verify(s.GetSignedTimestamp(), p.signature)
			if err != nil {
				reasons = append(reasons, line(err).Error())
				continue
			}
			found = append(found, witness{operator: v.timestampRoot.operator(t.URI), time: t.Time})
			break
		}
	}
	return found, reasons, nil
}

// earliest is the first of the times, zero if there are none.
func earliest(ws []witness) time.Time {
	var first time.Time
	for _, w := range ws {
		if first.IsZero() || w.time.Before(first) {
			first = w.time
		}
	}
	return first
}

// line is a reason on one line: libraries write tables.
func line(err error) error {
	if text := err.Error(); strings.ContainsAny(text, "\r\n\t") || len(text) > maxReason {
		return errors.New(cut(strings.Join(strings.Fields(text), " "), maxReason))
	}
	return err
}

const maxReason = 500

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
