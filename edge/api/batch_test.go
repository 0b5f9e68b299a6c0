package api

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"carom/edge/ref"
)

// However many goroutines read the lines, they are answered in order.
func TestBulkAnswersInOrder(t *testing.T) {
	w := newWorld(t, nil)
	const lines, bad = 3000, 7
	var body strings.Builder
	for i := range lines {
		if i%bad == 0 {
			body.WriteString("{}\n")
			continue
		}
		body.WriteString(registration1(i) + "\n")
	}
	got := w.bulk("/v1/messages", body.String()).lines(t)
	if len(got) != lines {
		t.Fatalf("%d answers to %d lines", len(got), lines)
	}
	for i, a := range got {
		if i%bad == 0 {
			if a["status"] != 400.0 || a["line"] != float64(i+1) {
				t.Fatalf("line %d: %v", i+1, a)
			}
		} else if a["message"] != fmt.Sprintf("m-%d", i) {
			t.Fatalf("line %d: %v", i+1, a["message"])
		}
	}
	if _, facts := w.sink.count(); facts != lines-(lines+bad-1)/bad {
		t.Errorf("%d facts", facts)
	}
}

// buggyMinter has a bug that one message meets.
type buggyMinter struct{ Minter }

func (m buggyMinter) AppendMembers(dst []byte, msg *ref.Message) ([]byte, error) {
	if msg.Message == "m-2" {
		panic("test: a bug")
	}
	return m.Minter.AppendMembers(dst, msg)
}

func TestABugInALineIsAnswered(t *testing.T) {
	w := newWorld(t, func(_ *Options, d *Dependencies) { d.Minter = buggyMinter{d.Minter} })
	got := w.bulk("/v1/messages", registration1(1)+"\n"+registration1(2)+"\n{}\n").lines(t)
	if len(got) != 3 || got[1]["status"] != 500.0 || got[1]["line"] != 2.0 {
		t.Errorf("answers %v", got)
	}
	if n := w.metric("carom_api_panics_total"); n != 1 {
		t.Errorf("%v bugs counted, want 1", n)
	}
	if got := w.bulk("/v1/messages", registration1(3)).lines(t); len(got) != 1 || got[0]["message"] != "m-3" {
		t.Errorf("after it: %v", got)
	}
}

func TestAnswersAheadAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, entered := newAhead(), false
		a.enter(1)
		a.hold(answersAhead)
		go func() { a.enter(2); entered = true }()
		synctest.Wait()
		if entered {
			t.Error("a batch was read while too many answers wait")
		}
		next := getBatch()
		next.place = 2
		next.ready <- struct{}{}
		a.await(next)
		synctest.Wait()
		if !entered {
			t.Error("the batch that the commit waits for was held up")
		}
		go func() { a.enter(3); entered = false }()
		a.hold(-1)
		synctest.Wait()
		if entered {
			t.Error("there is room again, and nobody was told")
		}
	})
}
