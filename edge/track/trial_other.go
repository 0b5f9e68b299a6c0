//go:build !unix

package track

import (
	"errors"
	"net"
)

// trial would write without ever waiting. Here it can't, and so there is no fast lane: fasthttp answers all.
type trial struct{}

func (*trial) open(net.Conn) bool { return false }

func (*trial) try([]byte) (int, error) { return 0, errors.ErrUnsupported }
