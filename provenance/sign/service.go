// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// A service is one Sigstore instance as an http.RoundTripper: it bounds and
// retries requests, and gives a failure the service's name, its URL and a
// remedy, so that every client of sigstore-go fails in the same words.
type service struct {
	name   string // as a reader knows it
	url    string // from the signing config
	remedy string
	inner  http.RoundTripper
	pause  time.Duration // before the first retry; doubles with each
}

const (
	attempts     = 4 // one request and three retries
	firstPause   = time.Second / 2
	maxErrorBody = 1 << 10 // bytes of a refusal that are shown
)

func newService(name, url, remedy string) *service {
	return &service{name: name, url: url, remedy: remedy, inner: http.DefaultTransport, pause: firstPause}
}

// RoundTrip implements http.RoundTripper. Connection failures, 429 and 5xx are
// tried again; any other status but 2xx is the service's final word.
func (s *service) RoundTrip(req *http.Request) (*http.Response, error) {
	pause := s.pause
	for n := 1; ; n++ {
		resp, err := s.inner.RoundTrip(req)
		if err == nil && resp.StatusCode/100 == 2 {
			return resp, nil
		}
		if again(resp) && n < attempts && rewind(req) {
			discard(resp)
			select {
			case <-req.Context().Done():
				return nil, s.failure(req.Context().Err())
			case <-time.After(pause):
			}
			pause *= 2
			continue
		}
		if err == nil {
			err = refusal(resp)
		}
		return nil, s.failure(err)
	}
}

func (s *service) failure(err error) error {
	return &serviceError{fmt.Errorf("%w: %s at %s: %w: %s", ErrService, s.name, s.url, err, s.remedy)}
}

// serviceError lets explain find our words below those of net/http. What a
// service answers is quoted, but for tokens: a service may send back ours.
type serviceError struct{ error }

func (e *serviceError) Error() string { return token.ReplaceAllString(e.error.Error(), "[token]") }

func (e *serviceError) Unwrap() error { return e.error }

// token matches a JWT, or the part of one that was cut off: base64url of JSON
// objects, which begin with {" or with a brace and a space or newline.
var token = regexp.MustCompile(`\bey[A-Za-z0-9_-]{10,}(\.[A-Za-z0-9_-]*)*|\bew[A-Za-z0-9_-]{10,}(\.[A-Za-z0-9_-]*)+`)

// again reports whether another attempt may help. No response means that the
// connection failed.
func again(resp *http.Response) bool {
	return resp == nil || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode/100 == 5
}

func rewind(req *http.Request) bool {
	if req.Body == nil {
		return true
	}
	if req.GetBody == nil {
		return false
	}
	body, err := req.GetBody()
	req.Body = body
	return err == nil
}

func discard(resp *http.Response) {
	if resp != nil {
		resp.Body.Close()
	}
}

func refusal(resp *http.Response) error {
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	return fmt.Errorf("it answered %s: %s", resp.Status, strings.TrimSpace(string(body)))
}
