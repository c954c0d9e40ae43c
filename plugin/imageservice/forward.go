// SPDX-License-Identifier: Apache-2.0

package imageservice

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
)

// frame is one message as it came.
type frame struct{ data []byte }

// raw is gRPC's codec for messages that nobody here takes apart.
type raw struct{}

// Name implements encoding.CodecV2: the content type is the one of protobuf.
func (raw) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (raw) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("%w: cannot send a %T", ErrProxy, v)
	}
	return mem.BufferSlice{mem.SliceBuffer(f.data)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("%w: cannot receive into a %T", ErrProxy, v)
	}
	f.data = data.Materialize()
	return nil
}

// forward passes one call on, with its metadata and its deadline, and gives its
// status. first is a message that was read already.
func (p *proxy) forward(down grpc.ServerStream, method string, first *frame) error {
	ctx, cancel := context.WithCancel(down.Context())
	defer cancel()
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		ctx = metadata.NewOutgoingContext(ctx, passed(md))
	}
	up, err := p.upstream.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	go p.upwards(down, up, first, cancel)
	return downwards(down, up)
}

// upwards sends what the client sends, until it has sent everything.
func (p *proxy) upwards(down grpc.ServerStream, up grpc.ClientStream, first *frame, cancel func()) {
	f := first
	for {
		if f == nil {
			f = &frame{}
			if err := down.RecvMsg(f); err != nil {
				if errors.Is(err, io.EOF) {
					_ = up.CloseSend()
				} else {
					cancel()
				}
				return
			}
		}
		// What is the matter is told to who receives.
		if err := up.SendMsg(f); err != nil {
			return
		}
		f = nil
	}
}

// downwards sends what the runtime answers, and gives how it ended.
func downwards(down grpc.ServerStream, up grpc.ClientStream) error {
	header, err := up.Header()
	if err != nil {
		return err
	}
	if err := down.SetHeader(passed(header)); err != nil {
		return err
	}
	for {
		f := &frame{}
		if err := up.RecvMsg(f); err != nil {
			down.SetTrailer(passed(up.Trailer()))
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := down.SendMsg(f); err != nil {
			return err
		}
	}
}

// passed is metadata without what belongs to one connection.
func passed(md metadata.MD) metadata.MD {
	md = md.Copy()
	for _, name := range []string{":authority", "content-type", "user-agent", "grpc-accept-encoding"} {
		delete(md, name)
	}
	return md
}
