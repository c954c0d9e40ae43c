// SPDX-License-Identifier: Apache-2.0

package bindir

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify"
)

// MaxDescriptor bounds the descriptor on standard input, in bytes. It may carry
// a small document in its data field.
const MaxDescriptor = 1 << 20

// ErrCall reports a call that containerd would not have made.
var ErrCall = errors.New("not called as an image verifier")

// call is what containerd asks.
type call struct {
	name   string
	digest digest.Digest
}

func (c call) refused(err error) Judgement {
	return Judgement{Decision: verify.Refused(c.name, ocispec.Descriptor{Digest: c.digest}, err, time.Now())}
}

// readFlags reads the command line. The call is as complete as it can be even
// with an error, so that the refusal can name the image.
func readFlags(args []string) (call, error) {
	flags := flag.NewFlagSet("plomb-verifier", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var c call
	var dgst, mediaType string
	flags.StringVar(&c.name, "name", "", "image reference")
	flags.StringVar(&dgst, "digest", "", "digest that the reference was resolved to")
	flags.StringVar(&mediaType, "stdin-media-type", "", "type of the descriptor on standard input")
	err := flags.Parse(args)
	c.digest = digest.Digest(dgst)
	switch {
	case err != nil:
		return c, fmt.Errorf("%w: %w", ErrCall, err)
	case flags.NArg() > 0:
		return c, fmt.Errorf("%w: unexpected argument %q", ErrCall, flags.Arg(0))
	case c.name == "" || dgst == "":
		return c, fmt.Errorf("%w: -name and -digest are required", ErrCall)
	case mediaType != ocispec.MediaTypeDescriptor:
		return c, fmt.Errorf("%w: -stdin-media-type is %q, want %s", ErrCall, mediaType, ocispec.MediaTypeDescriptor)
	}
	return c, nil
}

// readDescriptor reads the descriptor, which must be the one on the command
// line.
func (c call) readDescriptor(stdin io.Reader) (desc ocispec.Descriptor, err error) {
	data, err := limit.ReadAll(stdin, MaxDescriptor)
	if err != nil {
		return desc, fmt.Errorf("%w: descriptor on standard input: %w", ErrCall, err)
	}
	if err := strictjson.UnmarshalOpen(data, &desc); err != nil {
		return desc, fmt.Errorf("%w: descriptor on standard input: %w", ErrCall, err)
	}
	if desc.Digest != c.digest {
		return desc, fmt.Errorf("%w: -digest is %s and the descriptor's is %s", ErrCall, c.digest, desc.Digest)
	}
	return desc, nil
}
