// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"time"

	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// logged is a verified entry in a log.
type logged struct {
	witness
	log *root.TransparencyLog
}

// entries verifies the entries in trusted logs. Those in other logs do not
// count and do no harm, whatever they look like; one in a trusted log that does
// not verify was tampered with.
func (v *Verifier) entries(p *parsed, by signedBy, envelope []byte) ([]logged, error) {
	if v.logsAsked == 0 {
		return nil, nil
	}
	all := p.GetVerificationMaterial().GetTlogEntries()
	if len(all) > maxEntries {
		return nil, fmt.Errorf("%w: it has %d entries, more than %d", ErrLogEntry, len(all), maxEntries)
	}
	type place struct {
		log   *root.TransparencyLog
		index int64
	}
	var found []logged
	seen := map[place]bool{}
	for _, e := range all {
		log, ok := v.logs[hex.EncodeToString(e.GetLogId().GetKeyId())]
		if !ok {
			continue
		}
		at := place{log, e.GetLogIndex()}
		if seen[at] {
			return nil, fmt.Errorf("%w: %s, entry %d: it is there twice", ErrLogEntry, log.BaseURL, at.index)
		}
		seen[at] = true
		t, err := v.entry(e, log, p, by, envelope)
		if errors.Is(err, ErrLogKey) || errors.Is(err, ErrCertificate) {
			return nil, err
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s, entry %d: %w", ErrLogEntry, log.BaseURL, at.index, err)
		}
		found = append(found, logged{witness{v.logRoot.operator(log.BaseURL), t}, log})
	}
	return found, nil
}

// entry verifies one entry and returns the time the log has signed, if it has.
// Errors are ErrLogKey, ErrCertificate or the reason for ErrLogEntry.
func (v *Verifier) entry(e *protorekor.TransparencyLogEntry, log *root.TransparencyLog, p *parsed, by signedBy, envelope []byte) (time.Time, error) {
	if err := checkForm(e, p.version); err != nil {
		return time.Time{}, err
	}
	// The time in an entry is the log's word only under its signature, the
	// inclusion promise.
	var at time.Time
	if len(e.GetInclusionPromise().GetSignedEntryTimestamp()) > 0 {
		if at = time.Unix(e.GetIntegratedTime(), 0); !inForce(log, at) {
			return time.Time{}, notInForce(log, at)
		}
	}
	var err error
	m := &material{logs: v.logs, key: by.key}
	if isIntoto001(e) {
		err = verifyIntoto001(e, log, p, by, envelope, m)
	} else {
		err = verifyCurrent(e, p, by, m)
	}
	if err != nil {
		if p.certificate != nil && !at.IsZero() && !by.content.ValidAtTime(at, m) {
			return time.Time{}, fmt.Errorf("%w: valid from %s to %s, logged at %s", ErrCertificate,
				stamp(p.certificate.NotBefore), stamp(p.certificate.NotAfter), stamp(at))
		}
		return time.Time{}, line(err)
	}
	return at, nil
}

var treeOrigin = regexp.MustCompile(`^.* - [0-9]+\n`)

// checkForm demands of an entry what the bundle's version promises. Bundle
// specification: an inclusion promise in version 0.1, an inclusion proof from
// 0.2 on.
func checkForm(e *protorekor.TransparencyLogEntry, version int) error {
	switch {
	case version == 1 && len(e.GetInclusionPromise().GetSignedEntryTimestamp()) == 0:
		return errors.New("it has no inclusion promise, as a bundle of version 0.1 must")
	case version > 1 && e.GetInclusionProof() == nil:
		return errors.New("it has no inclusion proof, as a bundle of version 0.2 or later must")
	}
	return nil
}

// verifyCurrent leaves an entry to sigstore-go: promise, proof, checkpoint, and
// that it is about this very signature.
func verifyCurrent(e *protorekor.TransparencyLogEntry, p *parsed, by signedBy, m *material) error {
	entry, err := tlog.ParseTransparencyLogEntry(e)
	if err != nil {
		return err
	}
	// A checkpoint that names a tree is Rekor v1's. sigstore-go would take the
	// body of a v2 entry under one for granted.
	if entry.IsRekorV2() && treeOrigin.MatchString(e.GetInclusionProof().GetCheckpoint().GetEnvelope()) {
		return errors.New("a Rekor v2 entry under a Rekor v1 checkpoint")
	}
	view := &entity{entry: entry, signature: p.content, signer: by.content}
	_, err = verify.VerifyTlogEntry(view, m, 1, true)
	if err != nil && entry.HasInclusionPromise() {
		// sigstore-go passes over an entry whose promise does not verify.
		if reason := tlog.VerifySET(entry, m.logs); reason != nil {
			return reason
		}
	}
	return err
}

// checkLogKeys demands that each entry is under a key that was in force at every
// time of signing. sigstore-go checks this for Rekor v1, whose entries carry a
// time of their own, and not for v2
// (https://github.com/sigstore/sigstore-go/issues/496).
func checkLogKeys(entries []logged, times []witness) error {
	for _, e := range entries {
		for _, t := range times {
			if !inForce(e.log, t.time) {
				return notInForce(e.log, t.time)
			}
		}
	}
	return nil
}

func inForce(log *root.TransparencyLog, at time.Time) bool {
	return !at.Before(log.ValidityPeriodStart) && (log.ValidityPeriodEnd.IsZero() || !at.After(log.ValidityPeriodEnd))
}

func notInForce(log *root.TransparencyLog, at time.Time) error {
	until := "now"
	if !log.ValidityPeriodEnd.IsZero() {
		until = stamp(log.ValidityPeriodEnd)
	}
	return fmt.Errorf("%w: %s: the trusted root has its key from %s to %s, signed at %s", ErrLogKey, log.BaseURL,
		stamp(log.ValidityPeriodStart), until, stamp(at))
}
