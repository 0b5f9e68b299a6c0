package main

import (
	"errors"
	"testing"
)

var errDisk = errors.New("disk on fire")

type store struct{ failed chan struct{} }

func (s store) Failed() <-chan struct{} { return s.failed }
func (s store) Err() error              { return errDisk }

// A commit may hang for ever in a store that has failed. The node must stop all the same.
func TestUnlessFailed(t *testing.T) {
	s := store{make(chan struct{})}
	errStage := errors.New("stage")
	if err := unlessFailed(s, func() error { return errStage }); !errors.Is(err, errStage) {
		t.Errorf("of a sound store: %v", err)
	}
	forever := make(chan struct{})
	defer close(forever)
	close(s.failed)
	if err := unlessFailed(s, func() error { <-forever; return nil }); !errors.Is(err, errDisk) {
		t.Errorf("of a failed store: %v", err)
	}
}
