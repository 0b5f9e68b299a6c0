package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// state is all that must survive a restart, and change together.
type state struct {
	Topic      string             `json:"topic"`
	Partitions map[int]*partition `json:"partitions"`
	Counts     map[string]int64   `json:"counts"` // new events by kind
}

// partition is how far a partition of the topic was read.
type partition struct {
	Next int64          `json:"next"` // offset
	Last map[int]origin `json:"last"` // of each partition of carom.raw
}

// origin is the place of an event in the order of its partition of carom.raw.
type origin struct {
	Partition int   `json:"-"`
	Offset    int64 `json:"offset"`
	N         int64 `json:"n"`
}

func (o origin) after(p origin) bool { return o.Offset > p.Offset || o.Offset == p.Offset && o.N > p.N }

// parse reads "partition/offset/n".
func (o *origin) parse(s string) error {
	part := strings.Split(s, "/")
	if len(part) != 3 {
		return fmt.Errorf("header ce_origin is %q, want partition/offset/n", s)
	}
	var errs [3]error
	o.Partition, errs[0] = strconv.Atoi(part[0])
	o.Offset, errs[1] = strconv.ParseInt(part[1], 10, 64)
	o.N, errs[2] = strconv.ParseInt(part[2], 10, 64)
	if err := errors.Join(errs[:]...); err != nil {
		return fmt.Errorf("header ce_origin is %q: %w", s, err)
	}
	return nil
}

func readState(file, topic string) (*state, error) {
	s := &state{Topic: topic, Partitions: map[int]*partition{}, Counts: map[string]int64{}}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if s.Topic != topic {
		return nil, fmt.Errorf("%s is of topic %s, not of %s: name another file", file, s.Topic, topic)
	}
	return s, nil
}

// begin returns where to go on in a partition that holds have.
func (s *state) begin(number int, have span) (int64, error) {
	p := s.Partitions[number]
	if p == nil {
		p = &partition{Next: have.first, Last: map[int]origin{}}
		s.Partitions[number] = p
	}
	if p.Next < have.first || p.Next > have.end {
		return 0, fmt.Errorf("partition %d holds offsets %d to %d and we are at %d: retention was faster than we, or the topic was made anew; begin with another state file", number, have.first, have.end, p.Next)
	}
	return p.Next, nil
}

// pass moves past a record, and reports whether its event was not seen before.
func (s *state) pass(number int, offset int64, at origin) (fresh bool, err error) {
	p := s.Partitions[number]
	if offset != p.Next {
		return false, fmt.Errorf("partition %d: offset %d comes after %d: retention was faster than we", number, offset, p.Next-1)
	}
	p.Next++
	last, known := p.Last[at.Partition]
	if known && !at.after(last) {
		return false, nil // a repeat
	}
	p.Last[at.Partition] = at
	return true, nil
}

// write replaces the file as a whole, so that a crash leaves the old or the new.
func (s *state) write(file string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("save: %w", err), os.Remove(f.Name()))
	}
	return nil
}
