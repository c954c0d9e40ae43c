// SPDX-License-Identifier: Apache-2.0

package credential

import "context"

// A Memory reads secrets once: each reading takes a container. It answers every
// request with what the first one brought, so all have to ask for the same ids.
type Memory struct {
	Reader Reader
	got    *Given
	asked  int
}

// Read implements Reader.
func (m *Memory) Read(ctx context.Context, ids ...string) (*Given, error) {
	if m.got != nil {
		return m.got, nil
	}
	got, err := m.Reader.Read(ctx, ids...)
	if err == nil {
		m.got = got
		m.asked++
	}
	return got, err
}

// forget has the next request read again, unless that was done before.
func (m *Memory) forget() bool {
	if m.asked > 1 {
		return false
	}
	m.got = nil
	return true
}
