// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/control"
)

// FuzzStatus has something else answer in the agent's place.
func FuzzStatus(f *testing.F) {
	for _, seed := range []string{"", "{}", "null", `{"node":"a","node":"b"}`, `{"mode":{"mode":"audit"},"running":[{}]}`, "[1"} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(f, err)
	answers := make(chan []byte, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(<-answers) })}
	go func() { _ = server.Serve(l) }()
	f.Cleanup(func() { _ = server.Close() })
	client := control.New(path)
	f.Fuzz(func(t *testing.T, data []byte) {
		answers <- data
		if _, err := client.Status(t.Context()); err != nil {
			require.ErrorIs(t, err, control.ErrAgent)
		}
	})
}

func TestNobodyAnswers(t *testing.T) {
	_, err := control.New(filepath.Join(t.TempDir(), "none")).Status(t.Context())
	require.ErrorIs(t, err, control.ErrAgent)
	require.ErrorContains(t, err, "is plomb agent running?")
	require.NotContains(t, err.Error(), "http://", "there is a socket, and no such address")
}

func TestAnAnswerThatIsARefusal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		http.Error(w, "no: "+string(body), http.StatusBadRequest)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	_, err = control.New(path).Verify(t.Context(), control.Question{Name: "x"})
	require.ErrorIs(t, err, control.ErrAgent)
	require.ErrorContains(t, err, `"name":"x"`)
}
