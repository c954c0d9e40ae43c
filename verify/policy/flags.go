// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"

	"github.com/opencontainers/go-digest"
)

// Flags are a policy for every image as a command line states it: one signer,
// by certificate or by key.
type Flags struct {
	// Identity is whom a certificate must name. Nil if Keys is set.
	Identity *Identity
	// Keys are PEM public keys, of which any may have signed.
	Keys string
	// Hash is what the keys sign: sha256, sha384 or sha512.
	Hash string
	// RequireLog asks for an entry in a transparency log even for a key.
	RequireLog bool
	// IgnoreLog does without one for a certificate; a timestamp must then say
	// when it was signed.
	IgnoreLog bool
	// RequireTimestamp asks for a timestamp by a trusted authority.
	RequireTimestamp bool
	// IgnoreSCT does without certificate transparency.
	IgnoreSCT bool
}

// ForFlags is the set that the flags state.
func ForFlags(f Flags) *Set {
	const origin = "command line"
	a := Authority{Name: "flags", Origin: origin}
	said := "keys\n" + f.Keys
	if f.Identity != nil {
		said = "identity\n" + f.Identity.String()
		a.Identities = []Identity{*f.Identity}
		a.Trust.Keyless = &KeylessTrust{IgnoreSCT: f.IgnoreSCT}
		a.Keyless = &Keyless{Identities: a.Identities}
	} else {
		a.Trust.Key = &KeyTrust{PEM: f.Keys, Hash: f.Hash}
	}
	if f.RequireLog {
		a.Trust.Log = &LogTrust{}
	}
	if f.RequireTimestamp || f.IgnoreLog && f.Identity != nil {
		a.Trust.Timestamp = &TimestampTrust{}
	}
	return &Set{
		where:    origin,
		digest:   digest.FromString(fmt.Sprintf("%s\n%s %t %t %t %t", said, f.Hash, f.RequireLog, f.IgnoreLog, f.RequireTimestamp, f.IgnoreSCT)),
		policies: []Policy{{Name: "flags", Origin: origin, Mode: Enforce, globs: []glob{everything()}, Authorities: []Authority{a}}},
	}
}
