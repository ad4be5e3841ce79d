package main

import (
	"context"
	"strings"
	"sync"

	"google.golang.org/grpc"
)

// watching tells when a client has sent a request on a Watch stream. A Lock does
// so once it knows its place in the queue; one that is cancelled earlier, while
// its Txn is still unanswered, leaves its key to its lease, whatever the server.
type watching struct {
	once sync.Once
	sent chan struct{}
}

func newWatching() *watching { return &watching{sent: make(chan struct{})} }

// option makes a client tell.
func (w *watching) option() grpc.DialOption {
	return grpc.WithChainStreamInterceptor(w.intercept)
}

func (w *watching) intercept(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn,
	method string, streamer grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	stream, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil || !strings.HasSuffix(method, "/Watch") {
		return stream, err
	}
	return &watchStream{stream, w}, nil
}

type watchStream struct {
	grpc.ClientStream
	watching *watching
}

func (s *watchStream) SendMsg(m any) error {
	err := s.ClientStream.SendMsg(m)
	s.watching.once.Do(func() { close(s.watching.sent) })
	return err
}
