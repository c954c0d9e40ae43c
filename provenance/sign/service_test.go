// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/stretchr/testify/require"
)

const remedy = "turn it on and off again"

// quick is a service whose retries do not keep a test waiting.
func quick(url string) *service {
	s := newService("test service", url, remedy)
	s.pause = time.Millisecond
	return s
}

// answers is a server that gives its answers in turn, the last one for ever.
func answers(t *testing.T, codes ...int) (url string, bodies func() []string) {
	var mu sync.Mutex
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			body = []byte(err.Error())
		}
		got = append(got, string(body))
		code := codes[min(len(got), len(codes))-1]
		if code == 0 {
			panic(http.ErrAbortHandler) // hang up
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "answer of "+http.StatusText(code))
	}))
	t.Cleanup(srv.Close)
	return srv.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
}

func post(t *testing.T, s *service, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, body)
	require.NoError(t, err)
	return (&http.Client{Transport: s}).Do(req)
}

func TestServiceRetries(t *testing.T) {
	for name, row := range map[string]struct {
		codes []int
		tries int
	}{
		"at once":                {[]int{200}, 1},
		"created":                {[]int{201}, 1},
		"busy, then well":        {[]int{503, 200}, 2},
		"too many requests":      {[]int{429, 500, 200}, 3},
		"hangs up, then answers": {[]int{0, 0, 0, 200}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			url, bodies := answers(t, row.codes...)
			resp, err := post(t, quick(url), strings.NewReader("the request"))
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Contains(t, string(body), "answer of")
			require.Len(t, bodies(), row.tries)
			for _, b := range bodies() {
				require.Equal(t, "the request", b, "each attempt sends the whole request")
			}
		})
	}
}

func TestServiceFails(t *testing.T) {
	for name, row := range map[string]struct {
		code, tries int
		says        string
	}{
		"always busy":     {503, attempts, "it answered 503 Service Unavailable: answer of Service Unavailable"},
		"always too many": {429, attempts, "429 Too Many Requests"},
		"a bad request":   {400, 1, "it answered 400 Bad Request: answer of Bad Request"},
		"not allowed":     {403, 1, "403 Forbidden"},
		"moved elsewhere": {302, 1, "302 Found"},
		"always hangs up": {0, attempts, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			url, bodies := answers(t, row.code)
			_, err := post(t, quick(url), strings.NewReader("x"))
			isServiceError(t, err, url)
			require.ErrorContains(t, err, row.says)
			require.Len(t, bodies(), row.tries)
		})
	}
}

// isServiceError requires the four things that a failure must tell.
func isServiceError(t *testing.T, err error, url string) {
	t.Helper()
	err = explain(err)
	require.ErrorIs(t, err, ErrService)
	require.NotErrorIs(t, err, ErrSelfCheck)
	require.ErrorContains(t, err, "test service at "+url+": ")
	require.True(t, strings.HasSuffix(err.Error(), remedy), err.Error())
}

func TestServiceConnectionRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	_, err = post(t, quick(url), strings.NewReader("x"))
	isServiceError(t, err, url)
	require.ErrorContains(t, err, "connection refused")
}

func TestServiceStopsWhenAsked(t *testing.T) {
	url, bodies := answers(t, 503)
	s := quick(url)
	s.pause = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("x"))
	require.NoError(t, err)
	_, err = s.RoundTrip(req)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	isServiceError(t, err, url)
	require.Len(t, bodies(), 1)
}

// A body that cannot be sent twice is sent once.
func TestServiceDoesNotSendHalfARequest(t *testing.T) {
	url, bodies := answers(t, 503)
	_, err := post(t, quick(url), io.MultiReader(strings.NewReader("once")))
	isServiceError(t, err, url)
	require.Equal(t, []string{"once"}, bodies())
}

func TestServiceBoundsWhatItQuotes(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
	}))
	defer srv.Close()
	_, err := post(t, quick(srv.URL), nil)
	require.Less(t, len(err.Error()), 2*maxErrorBody)
}

func TestServicePausesTwiceAsLongEachTime(t *testing.T) {
	url, _ := answers(t, 503)
	s := quick(url)
	s.pause = 10 * time.Millisecond
	before := time.Now()
	_, err := post(t, s, nil)
	require.Error(t, err)
	require.GreaterOrEqual(t, time.Since(before), (1+2+4)*s.pause)
}

// A log answers as it was told to, then with success.
type log struct {
	errs  []error
	tries int
}

func (l *log) GetTransparencyLogEntry(context.Context, []byte, *protobundle.Bundle) error {
	l.tries++
	if l.tries <= len(l.errs) {
		return l.errs[l.tries-1]
	}
	return nil
}

func TestTransparency(t *testing.T) {
	busy := errors.New("busy")
	l := &log{errs: []error{busy, busy}}
	require.NoError(t, transparency{service: quick("http://log"), log: l}.GetTransparencyLogEntry(t.Context(), nil, nil))
	require.Equal(t, 3, l.tries)

	l = &log{errs: []error{busy, busy, busy, busy, busy}}
	err := transparency{service: quick("http://log"), log: l}.GetTransparencyLogEntry(t.Context(), nil, nil)
	isServiceError(t, err, "http://log")
	require.ErrorIs(t, err, busy)
	require.Equal(t, attempts, l.tries)

	s := quick("http://log")
	s.pause = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = transparency{service: s, log: &log{errs: []error{busy}}}.GetTransparencyLogEntry(ctx, nil, nil)
	require.ErrorIs(t, err, context.Canceled)
	isServiceError(t, err, "http://log")
}
