// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
)

// ErrAgent reports an agent that is not there or does not answer.
var ErrAgent = errors.New("the agent does not answer")

// maxAnswer bounds what the agent may say, in bytes.
const maxAnswer = 16 << 20

// A Client asks one agent.
type Client struct {
	socket string
	http   http.Client
}

// New makes a client for the socket at path. It does not connect.
func New(path string) *Client {
	c := &Client{socket: path}
	c.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: 2 * time.Second}
		return d.DialContext(ctx, "unix", path)
	}}
	return c
}

// Status asks how things stand.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.do(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// Verify asks about an image.
func (c *Client) Verify(ctx context.Context, q Question) (Answer, error) {
	var a Answer
	err := c.do(ctx, http.MethodPost, "/v1/verify", q, &a)
	return a, err
}

func (c *Client) do(ctx context.Context, method, path string, question, answer any) error {
	var body bytes.Buffer
	if question != nil {
		if err := json.NewEncoder(&body).Encode(question); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, &body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var call *url.Error // its text has an address that nobody gave
		if errors.As(err, &call) {
			err = call.Err
		}
		hint := "is plomb agent running?"
		if errors.Is(err, fs.ErrPermission) {
			hint = "it answers root alone"
		}
		return fmt.Errorf("%w: %s: %w; %s", ErrAgent, c.socket, err, hint)
	}
	defer resp.Body.Close()
	data, err := limit.ReadAll(resp.Body, maxAnswer)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrAgent, c.socket, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s: %s: %s", ErrAgent, c.socket, resp.Status, bytes.TrimSpace(data))
	}
	if err := strictjson.UnmarshalOpen(data, answer); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrAgent, c.socket, err)
	}
	return nil
}
