// SPDX-License-Identifier: Apache-2.0

// Command referrers is a registry with the referrers API of OCI distribution
// 1.1, for tests: the one of go-containerregistry, which keeps all in memory.
//
//	referrers --listen 127.0.0.1:0 --ready-file FILE
//
// It serves plain HTTP until SIGTERM. The file appears when it answers and
// holds host:port. distribution, the registry of the stand, has no referrers
// API, so tests need both. It is a module of its own because plomb does not
// link go-containerregistry.
//
// One of its ways is worth a test: what it lists as a referrer's artifactType
// is the media type of the config, whatever the manifest's artifactType says.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "referrers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("referrers", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	ready := flags.String("ready-file", "", "file to write host:port to once it answers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: registry.New(registry.WithReferrersSupport(true),
			registry.Logger(log.New(io.Discard, "", 0))),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if *ready != "" {
		if err := announce(*ready, listener.Addr().String()); err != nil {
			return errors.Join(err, server.Close())
		}
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

// announce writes the file whole or not at all.
func announce(path, address string) error {
	part := path + ".part"
	if err := os.WriteFile(part, []byte(address), 0o644); err != nil {
		return err
	}
	return os.Rename(part, path)
}
