// SPDX-License-Identifier: Apache-2.0

package trust

import "time"

// Verify verifies a keyless bundle under the root alone.
func (r *Root) Verify(data []byte, now time.Time) (*Verified, error) {
	v, err := NewVerifier(Options{Root: r})
	if err != nil {
		return nil, err
	}
	return v.Verify(Input{Bundle: data}, now)
}
