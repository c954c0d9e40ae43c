// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Trust says under which roots and keys the evidence for an authority has to
// verify. It is a description: the trust and notation steps do the verifying.
type Trust struct {
	// Exactly one of Keyless, Key and Notation is set.
	Keyless  *KeylessTrust
	Key      *KeyTrust
	Notation *NotationTrust
	// Log asks for an entry in a transparency log. Nil: a keyless signature
	// needs one unless Timestamp is set, and a keyed one does not.
	Log *LogTrust
	// Timestamp asks for a timestamp by an authority of the root of that name.
	Timestamp *TimestampTrust
}

// KeylessTrust is a certificate authority.
type KeylessTrust struct {
	// Root names a TrustRoot document; empty is the machine's trusted root.
	Root string
	// CACert is a PEM chain that takes the place of the root's authorities.
	CACert string
	// IgnoreSCT does without certificate transparency.
	IgnoreSCT bool
}

// KeyTrust is public keys, of which any may have signed.
type KeyTrust struct {
	// PEM holds one or several public keys.
	PEM string
	// Hash is sha256, sha384 or sha512; empty is what goes with the key.
	Hash string
}

// LogTrust is a transparency log.
type LogTrust struct {
	// Root is as in KeylessTrust.
	Root string
	// URL, if set, is the log as the trusted root names it.
	URL string
}

// TimestampTrust is a timestamp authority.
type TimestampTrust struct {
	// Root is as in KeylessTrust.
	Root string
}

// NotationTrust is a trust policy statement of the Notary Project.
type NotationTrust struct {
	Level             string
	TrustStores       []string
	TrustedIdentities []string
	VerifyTimestamp   string
	// Certificates and TimestampCertificates are PEM.
	Certificates          string
	TimestampCertificates string
}

// ID is the same for two trusts under which the same evidence verifies, and
// differs for others.
func (t Trust) ID() string {
	text, err := json.Marshal(t)
	if err != nil {
		panic("a Trust is plain data: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Roots are the names of the trusted roots that the trust needs, each once;
// empty stands for the machine's. A trust in bare keys needs none.
func (t Trust) Roots() []string {
	var names []string
	if t.Keyless != nil {
		names = append(names, t.Keyless.Root)
	}
	if t.Log != nil {
		names = append(names, t.Log.Root)
	}
	if t.Timestamp != nil {
		names = append(names, t.Timestamp.Root)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
