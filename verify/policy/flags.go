// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// Flags are a policy for every image as a command line states it: one signer,
// by certificate or by key.
type Flags struct {
	// Identity is whom a certificate must name. Nil if Keys is set.
	Identity *Identity
	// Keys are PEM public keys, of which any may have signed.
	Keys string
	// Hash is what the keys sign: sha256, sha384 or sha512; empty is what goes
	// with the key.
	Hash string
	// RequireLog asks for an entry in a transparency log even for a key.
	RequireLog bool
	// IgnoreLog does without one for a certificate; a timestamp must then say
	// when it was signed.
	IgnoreLog bool
	// RequireTimestamp asks for a timestamp by a trusted authority, and for a
	// certificate not in place of the log: that takes IgnoreLog.
	RequireTimestamp bool
	// IgnoreSCT does without certificate transparency.
	IgnoreSCT bool
}

// ForFlags is the set that the flags state. It fails with ErrInvalid or
// ErrUnsupported if the keys cannot be used.
func ForFlags(f Flags) (*Set, error) {
	a := Authority{Name: "flags"}
	var c compiler
	if f.Identity != nil {
		a.Identities = []Identity{*f.Identity}
		a.Trust.Keyless = &KeylessTrust{IgnoreSCT: f.IgnoreSCT}
	} else {
		a.Trust.Key, a.keys = c.key(&spec.Key{At: commandLine, Data: f.Keys, HashAlgorithm: f.Hash})
	}
	if err := errors.Join(c.faults...); err != nil {
		return nil, err
	}
	if f.RequireLog || f.RequireTimestamp && f.Identity != nil && !f.IgnoreLog {
		a.Trust.Log = &LogTrust{}
	}
	if f.RequireTimestamp || f.IgnoreLog && f.Identity != nil {
		a.Trust.Timestamp = &TimestampTrust{}
	}
	said := "flags\n" + a.Trust.ID()
	if f.Identity != nil {
		said += "\n" + f.Identity.String()
	}
	return fromFlags(said, a), nil
}
