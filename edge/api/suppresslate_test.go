package api

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"carom/pipeline/suppress"
)

// undecidedBook is a book to which no decision comes, but for one order.
type undecidedBook struct {
	Suppressions
	decided [16]byte
	waits   int
}

func (b *undecidedBook) Decision(ctx context.Context, _ [16]byte) (suppress.Decision, error) {
	b.waits++
	<-ctx.Done()
	return suppress.Decision{}, ctx.Err()
}

func (b *undecidedBook) Decided(id [16]byte) (suppress.Decision, bool, error) {
	return suppress.Decision{ID: id, OK: true}, id == b.decided, nil
}

// Of a bulk whose decisions do not come one line waits, and the others tell what is known.
func TestBulkWaitsOnce(t *testing.T) {
	book := &undecidedBook{decided: [16]byte{3}}
	s := &Server{o: Options{RequestTimeout: time.Millisecond}, stopping: context.Background()}
	s.d.Suppressions = book
	in := &importing{s: s, r: httptest.NewRequest("POST", "/v1/suppressions", nil)}
	for line := range 5 {
		draft := append(append([]byte{byte(line)}, make([]byte, 23)...), "bob@example.com"...)
		answer := string(in.settle(nil, draft, line))
		want := "undecided"
		if line == 3 {
			want = "added"
		}
		if !strings.Contains(answer, want) {
			t.Errorf("line %d: %s", line, answer)
		}
	}
	if book.waits != 1 || in.sum.Failed != 4 || in.sum.Added != 1 {
		t.Errorf("%d waits, %+v", book.waits, in.sum)
	}
}
