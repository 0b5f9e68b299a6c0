package kafka

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// errProducerClosed is what a use of a closed producer fails with.
var errProducerClosed = errors.New("kafka: producer closed")

// Producer writes records to topics. All stages of a process and its relay share one. It is safe for concurrent use.
type Producer struct {
	client *Client
}

// NewProducer returns a producer of c, which stays its caller's to close, after the producer.
func (c *Client) NewProducer(reg prometheus.Registerer) *Producer {
	return &Producer{client: c}
}

// Close gives up what is not acknowledged. It can be called twice.
func (p *Producer) Close() error { return nil }
