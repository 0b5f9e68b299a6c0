package targets

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	rnd "math/rand/v2"
	"strconv"
	"sync"
	"time"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// MintedOptions say what the minted hits are.
type MintedOptions struct {
	Path    string  // before /o/ and /c/: that of the node's track.base_url, as a rule empty
	Clicks  float64 // share of clicks, 0 to 1; the others are opens
	Repeats float64 // share of hits that repeat the one before them on their connection, by the same client, 0 to 1
}

// Minted are hits with references that are minted for them, each of a new message: every request is a new event. They
// are minted in advance, some ten thousand of them, so that asking costs no more than a copy.
type Minted struct {
	options MintedOptions
	keys    *ref.Keyring
	run     string // tells this run's messages from all others'

	batches chan *batch
	ended   chan struct{}
	closing sync.Once

	mu    sync.Mutex // guards what follows
	spent time.Duration
	made  int64
}

// batch is a run of hits in one piece of memory.
type batch struct {
	text []byte
	ends []uint32 // of each path in text
	kind []HitKind
	from uint32 // the client of the first
}

// How much is minted in advance: a megabyte or ten.
const (
	batchHits     = 64
	batchesBefore = 1024
)

// landing is where the clicks lead.
const landing = "https://example.com/"

// NewMinted starts to mint. Close ends that.
func NewMinted(keys *ref.Keyring, o MintedOptions) (*Minted, error) {
	if !(o.Clicks >= 0 && o.Clicks <= 1) {
		return nil, fmt.Errorf("clicks: %g: want a share from 0 to 1", o.Clicks)
	}
	if !(o.Repeats >= 0 && o.Repeats <= 1) {
		return nil, fmt.Errorf("repeats: %g: want a share from 0 to 1", o.Repeats)
	}
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	m := &Minted{
		options: o, keys: keys, run: hex.EncodeToString(id[:]),
		batches: make(chan *batch, batchesBefore), ended: make(chan struct{}),
	}
	first, err := m.mint(0)
	if err != nil {
		return nil, err
	}
	m.batches <- first
	go m.mintAll()
	return m, nil
}

// mintAll mints until Close.
func (m *Minted) mintAll() {
	clock, done := threadClock()
	defer done()
	for n := int64(batchHits); ; n += batchHits {
		began := clock()
		b, err := m.mint(n)
		if err != nil {
			panic("BUG: a reference can't be minted any more: " + err.Error()) // the first could
		}
		m.mu.Lock()
		m.spent += clock() - began
		m.made += batchHits
		m.mu.Unlock()
		select {
		case m.batches <- b:
		case <-m.ended:
			close(m.batches)
			return
		}
	}
}

// mint makes the hits from a number on.
func (m *Minted) mint(from int64) (*batch, error) {
	b := &batch{text: make([]byte, 0, batchHits*192), ends: make([]uint32, 0, batchHits), kind: make([]HitKind, 0, batchHits), from: uint32(from)}
	message := make([]byte, 0, 64)
	for n := from; n < from+batchHits; n++ {
		message = append(append(message[:0], "bench-"...), m.run...)
		message = strconv.AppendInt(append(message, '-'), n, 10)
		r := event.Ref{Account: "default", Sender: "bench", Message: string(message)}
		r.Contact = r.Message
		kind, purpose := Open, ref.OpenPixel
		b.text = append(b.text, m.options.Path...)
		if rnd.Float64() < m.options.Clicks {
			kind, purpose, r.URL = Click, ref.Click, landing
			b.text = append(b.text, "/c/"...)
		} else {
			b.text = append(b.text, "/o/"...)
		}
		var err error
		if b.text, err = m.keys.Seal(b.text, purpose, &r); err != nil {
			return nil, fmt.Errorf("mint a reference: %w", err)
		}
		if kind == Open {
			b.text = append(b.text, ".gif"...)
		}
		b.ends = append(b.ends, uint32(len(b.text)))
		b.kind = append(b.kind, kind)
	}
	return b, nil
}

// Close ends the minting. Connections that still ask get what they had last.
func (m *Minted) Close() { m.closing.Do(func() { close(m.ended) }) }

// Cost is how much CPU time minting took so far, and of how many hits; 0 where that can't be measured.
func (m *Minted) Cost() (cpu time.Duration, hits int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spent, m.made
}

// Hits returns what one connection asks.
func (m *Minted) Hits() Hits { return &mintedHits{m: m} }

var errNone = errors.New("BUG: no hit was minted")

type mintedHits struct {
	m    *Minted
	b    *batch
	next int
	last Hit
}

func (h *mintedHits) Next(into *Hit) {
	if repeats := h.m.options.Repeats; repeats > 0 && h.last.Path != nil && rnd.Float64() < repeats {
		*into = h.last
		return
	}
	if h.b == nil || h.next == len(h.b.ends) {
		if b := <-h.m.batches; b != nil {
			h.b, h.next = b, 0
		} else if h.b == nil {
			panic(errNone)
		} else {
			h.next = 0
		}
	}
	begin := uint32(0)
	if h.next > 0 {
		begin = h.b.ends[h.next-1]
	}
	h.last = Hit{Kind: h.b.kind[h.next], Path: h.b.text[begin:h.b.ends[h.next]], Client: h.b.from + uint32(h.next)}
	h.next++
	*into = h.last
}
