package kafka

import "carom/pipeline/log"

// Events returns a writer of the events topic, for one stage: partition by key, see KeyPartition.
func (p *Producer) Events() log.Writer { panic("BUG") }

// Addresses returns a writer of the addresses topic, which has one partition.
func (p *Producer) Addresses() log.Writer { panic("BUG") }

// Scores returns a writer of the scores topic: partition by key.
func (p *Producer) Scores() log.Writer { panic("BUG") }

// Rejects returns a writer of one partition of the rejects topic.
func (p *Producer) Rejects(partition int32) log.Writer { panic("BUG") }

// Ticker returns what appends ticks to one partition of the raw topic.
func (p *Producer) Ticker(partition int32) log.Ticker { panic("BUG") }
